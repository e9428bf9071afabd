"""What is in the store against what was accepted, and against what was in damaged records."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.fault_load import Expected

Event = dict[str, Any]

_LINE: Final = re.compile(r"<22>\S+ (\S+) postfix/\w+\[100\]: (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Comparison:
    """``figures`` by what they count, and what is ``wrong`` with which line."""

    figures: dict[str, int]
    wrong: list[str]


def compare(
    events: Sequence[Event],
    accepted: Mapping[str, Expected],
    lost: Sequence[bytes],
    damaged: Sequence[bytes],
) -> Comparison:
    """Compare; ``accepted`` is by host.

    Frames that were ``lost`` with damaged records need not be in the store.
    ``missing`` are lines that are not, though they were in no such record.  Of mails of which a
    line was ``damaged`` before a snapshot knew of it, their deliveries need not know anything.
    """
    missing = surplus = not_enriched = excused = 0
    wrong: list[str] = []
    # Lines that were cut by the end of their connection, some before the name of the host.
    fragments = sum(event["host"] not in accepted for event in events)
    for host, expected in accepted.items():
        of_host = [event for event in events if event["host"] == host]
        found = Counter(event["message"] for event in of_host)
        absent = expected.messages - found
        excusable = Counter(_texts(lost, host))
        lacking = absent - excusable
        missing += lacking.total()
        excused += (absent & excusable).total()
        more = found - expected.messages
        cut = _fragments(more, expected.messages)
        fragments += cut.total()
        doubled = more - cut
        surplus += doubled.total()
        unknown = {_queue_id(text) for text in _texts(damaged, host)}
        untold = [
            f"{name} is {event.get(name)!r}, not {value!r}: {event['message']}"
            for event in of_host
            if (facts := expected.deliveries.get(event["message"])) is not None
            and _queue_id(event["message"]) not in unknown
            for name, value in facts.items()
            if event.get(name) != value
        ]
        not_enriched += len(untold)
        wrong += [f"{host}: missing: {_shown(text, expected)}" for text in lacking.elements()]
        wrong += [f"{host}: surplus: {_shown(text, expected)}" for text in doubled.elements()]
        wrong += [f"{host}: {text}" for text in untold]
    figures = {
        "missing": missing,
        "lines lost with damaged records": excused,
        "surplus": surplus,
        "fragments": fragments,
        "facts missing in deliveries": not_enriched,
    }
    return Comparison(figures, wrong)


def _shown(text: str, expected: Expected) -> str:
    accepted_at = expected.accepted_at.get(text)
    return text if accepted_at is None else f"{text} (accepted at {accepted_at:.2f} s)"


def _texts(frames: Iterable[bytes], host: str) -> Iterator[str]:
    for frame in frames:
        line = _LINE.fullmatch(frame.decode())
        if line and line[1] == host:
            yield line[2]


def _queue_id(text: str) -> str:
    return text.partition(":")[0]


def _fragments(found: Counter[str], whole: Iterable[str]) -> Counter[str]:
    """Those that are the beginning of another text."""
    texts = sorted(whole)
    return Counter(
        {
            text: count
            for text, count in found.items()
            if (place := bisect_right(texts, text)) < len(texts) and texts[place].startswith(text)
        }
    )
