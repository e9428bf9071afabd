"""What became of each plugin and each option of a pipeline."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Final, Literal

from mailingest.logstash.tree import Place

Verdict = Literal["carried", "replaced", "not carried", "wrong"]
"""``carried`` over into the configuration; ``replaced`` by what mailingest does by itself; ``not
carried`` over, and somebody has to decide; ``wrong`` or stale in the source."""

HEADLINES: Final[Mapping[Verdict, str]] = {
    "carried": "carried over",
    "replaced": "replaced: mailingest does it by itself",
    "not carried": "not carried over, and what to do",
    "wrong": "wrong in the pipeline",
}

_DEEPER: Final = " " * 6


@dataclass(frozen=True, slots=True)
class Entry:
    """One plugin or option, or what a condition or a pattern says, and what became of it."""

    place: Place
    what: str
    verdict: Verdict
    text: str
    kind: Literal["plugin", "option", "condition", "pattern"]


def needs_somebody(entries: Iterable[Entry]) -> bool:
    """Whether anything was left for people to decide."""
    return any(one.verdict in ("not carried", "wrong") for one in entries)


def lines(entries: Sequence[Entry]) -> list[str]:
    """The report as text: by verdict, and places of the same kind together."""
    found: list[str] = []
    for verdict, headline in HEADLINES.items():
        groups: dict[tuple[str, str, str], list[Place]] = {}
        for one in entries:
            if one.verdict == verdict:
                groups.setdefault((one.place.file, one.what, one.text), []).append(one.place)
        if not groups:
            continue
        count = sum(map(len, groups.values()))
        found += [*([""] if found else []), f"{headline} ({count})"]
        for (file, what, text), places in groups.items():
            said = f"{what}: {text}" if text else what
            if len(places) == 1:
                found.append(f"  {places[0]}: {said}")
            else:
                found.append(f"  {file}: {said}")
                where = ", ".join(f"{place.line}:{place.column}" for place in places)
                found += wrap(where, 92, initial_indent=_DEEPER, subsequent_indent=_DEEPER)
    return found


def summary(entries: Iterable[Entry]) -> str:
    """How many of each, on one line."""
    entries = list(entries)
    counts = {verdict: sum(one.verdict == verdict for one in entries) for verdict in HEADLINES}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
