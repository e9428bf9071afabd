"""What is missing from an answer, and why.  An answer without gaps is whole.

Only a whole answer without any mail means that there is no such mail.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

GapCode = Literal[
    "day_unreadable",
    "shards_failed",
    "server_limit",
    "timed_out",
    "file_unreadable",
    "lines_unreadable",
    "not_stored_yet",
    "not_understood",
    "not_counted",
    "store_unavailable",
    "too_many_lines",
    "limit",
]
"""Why something is missing, for scripts; docs/trace.md says what each one means."""

# Of a store with hundreds of closed days, some are enough to know what to do.
_MOST_OF_A_CODE: Final = 5


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that an answer lacks: ``text`` says to an operator what, why, and what to do."""

    code: GapCode
    text: str


TIMED_OUT: Final = Gap("timed_out", "the time for this question was over: ask for less time")


def is_ended(gaps: Iterable[Gap]) -> bool:
    """Whether the search was broken off: by its time, or by a store that went away."""
    return any(gap.code in ("timed_out", "store_unavailable") for gap in gaps)


def is_late(gaps: Iterable[Gap]) -> bool:
    """Whether more would be found in more time."""
    return any(gap.code == "timed_out" for gap in gaps)


def merged(*several: Iterable[Gap]) -> list[Gap]:
    """All gaps, each once, in their order."""
    return list(dict.fromkeys(gap for gaps in several for gap in gaps))


def summed(gaps: Sequence[Gap]) -> list[Gap]:
    """The gaps, but of one code the first few, and how many more there are."""
    by_code: dict[GapCode, list[Gap]] = {}
    for gap in gaps:
        by_code.setdefault(gap.code, []).append(gap)
    shown = []
    for code, alike in by_code.items():
        shown += alike[:_MOST_OF_A_CODE]
        if len(alike) > _MOST_OF_A_CODE:
            shown.append(Gap(code, f"and {len(alike) - _MOST_OF_A_CODE} more of this kind"))
    return shown


def wholeness(why: Sequence[Gap]) -> dict[str, Any]:
    """The keys of every answer in JSON: ``whole``, and ``why`` it is not."""
    return {
        "whole": not why,
        "why": [{"code": gap.code, "text": gap.text} for gap in summed(why)],
    }
