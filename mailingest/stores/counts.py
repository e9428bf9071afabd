"""How much of what happened when, and why: what an overview asks a store for."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import nsmallest
from typing import Any, Final

from mailingest.postfix.completion import completed
from mailingest.postfix.names import OUTCOME, REASON, SIZE
from mailingest.postfix.outcome import OUTCOMES, Outcome
from mailingest.stores.events import time_of
from mailingest.stores.gaps import Gap

MOST_REASONS: Final = 20
"""Reasons of an outcome that are named, the most frequent; all others are one number."""
# Of an outcome while documents are counted; the rarer half is dropped then.
_MOST_KEPT: Final = 2000

NOT_COUNTED: Final = Gap(
    "not_counted", "lines of this time, or their reasons, were stored by a version that counts none"
)
"""What a server or a day's file has of another program, or of an earlier version."""


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
        return [*self.gaps, NOT_COUNTED] if self.is_partial else self.gaps

    def add(self, document: Mapping[str, Any]) -> None:
        """Count a document, also one that an earlier version made, if it is of the time."""
        fields = completed(document)
        outcome: Outcome | None = fields.get(OUTCOME)
        second = int(time_of(document).timestamp()) if outcome is not None else -1
        if outcome is None or not self.buckets.start <= second < self.buckets.end:
            return
        self.volume[outcome][self.buckets.bucket_of(second)] += 1
        if outcome == "sent":
            self.sent_bytes += fields.get(SIZE, 0)
        if REASON in fields:
            self.reasons[outcome][fields[REASON]] += 1
            if len(self.reasons[outcome]) > _MOST_KEPT:
                self.keep_most(_MOST_KEPT // 2)

    def merge(self, other: "Counts") -> None:
        """Add those of a time within this one, whose buckets are no longer than these."""
        for outcome, volume in other.volume.items():
            for place, count in enumerate(volume):
                if count:
                    second = other.buckets.start + place * other.buckets.seconds
                    self.volume[outcome][self.buckets.bucket_of(second)] += count
            self.reasons[outcome].update(other.reasons[outcome])
        self.sent_bytes += other.sent_bytes
        self.keep_most(_MOST_KEPT)

    def keep_most(self, count: int = MOST_REASONS) -> None:
        """Leave the most frequent reasons only; of those as frequent, the first by their text."""
        for outcome, found in self.reasons.items():
            if len(found) > count:
                kept = nsmallest(count, found.items(), key=lambda one: (-one[1], one[0]))
                self.reasons[outcome] = Counter(dict(kept))

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
