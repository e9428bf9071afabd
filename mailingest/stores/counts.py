"""How much of what happened when, and why: what an overview asks a store for."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from mailingest.postfix.outcome import OUTCOMES, Outcome
from mailingest.stores.gaps import Gap

MOST_REASONS: Final = 20
"""Reasons of an outcome that are named, the most frequent; all others are one number."""

_NOT_COUNTED: Final = Gap(
    "not_counted", "lines of this time, or their reasons, were stored by a version that counts none"
)


@dataclass(frozen=True, slots=True)
class TimeBuckets:
    """``count`` buckets of ``seconds`` each from ``start`` on, in seconds since 1970.

    ``start`` and ``seconds`` are whole multiples of `mailingest.postfix.outcome.BUCKET_SECONDS`.
    """

    start: int
    seconds: int
    count: int

    @property
    def end(self) -> int:
        """The first second after the last bucket."""
        return self.start + self.seconds * self.count

    @property
    def since(self) -> datetime:
        return datetime.fromtimestamp(self.start, UTC)

    @property
    def until(self) -> datetime:
        return datetime.fromtimestamp(self.end, UTC)

    def bucket_of(self, second: int) -> int:
        """The number of the bucket that a second lies in."""
        return (second - self.start) // self.seconds


@dataclass(slots=True)
class Counts:
    """The lines of each outcome (see `mailingest.postfix.outcome`), by time bucket.

    ``reasons`` has, by outcome, the most frequent reasons with their numbers.  ``sent_bytes`` is
    the size of what was sent.  With ``is_partial``, lines of that time are in the store that were
    not counted, or their reasons were not, since an earlier version or another program stored them;
    ``gaps`` are what could not be read.
    """

    buckets: TimeBuckets
    volume: dict[Outcome, list[int]] = field(init=False)
    reasons: dict[Outcome, Counter[str]] = field(init=False)
    sent_bytes: int = 0
    is_partial: bool = False
    gaps: Sequence[Gap] = ()

    def __post_init__(self) -> None:
        self.volume = {outcome: [0] * self.buckets.count for outcome in OUTCOMES}
        self.reasons = {outcome: Counter() for outcome in OUTCOMES}

    @property
    def why(self) -> Sequence[Gap]:
        """Why the counts are not whole; nothing if they are."""
        return [*self.gaps, _NOT_COUNTED] if self.is_partial else self.gaps

    def total(self, *outcomes: Outcome) -> int:
        """The lines of these outcomes."""
        return sum(sum(self.volume[outcome]) for outcome in outcomes)

    def top(self, outcomes: Iterable[Outcome]) -> list[tuple[Outcome, str, int]]:
        """The most frequent reasons of these outcomes, with what they are reasons for."""
        found = [
            (outcome, reason, count)
            for outcome in outcomes
            for reason, count in self.reasons[outcome].items()
        ]
        return sorted(found, key=lambda one: (-one[2], one[1]))[:MOST_REASONS]
