"""Documents, in any order -> the counts of their time; pure."""

from collections.abc import Mapping
from typing import Any, Final

from mailingest.postfix.outcome import BUCKET_SECONDS
from mailingest.stores.breakdown import Breakdown
from mailingest.stores.counts import Counts, TimeBuckets
from mailingest.stores.events import time_of

HOUR: Final = 3600


class Tally:
    """Counts documents of a time, None for all."""

    def __init__(self, buckets: TimeBuckets | None = None) -> None:
        self.breakdown = Breakdown()
        self._buckets = buckets
        self._hours: dict[int, Counts] = {}

    def add(self, document: Mapping[str, Any]) -> None:
        """Count a document if it is of the time."""
        second = int(time_of(document).timestamp())
        if self._buckets is not None and not self._buckets.start <= second < self._buckets.end:
            return
        hour = second // HOUR * HOUR
        counts = self._hours.get(hour)
        if counts is None:
            buckets = TimeBuckets(hour, BUCKET_SECONDS, HOUR // BUCKET_SECONDS)
            counts = self._hours[hour] = Counts(buckets)
        counts.add(document)
        self.breakdown.add(document)

    def counts(self) -> Counts:
        """What was counted; of all documents, by hours from the first to the last of them."""
        buckets = self._buckets
        if buckets is None:
            first, last = min(self._hours, default=0), max(self._hours, default=0)
            buckets = TimeBuckets(first, HOUR, (last - first) // HOUR + 1)
        counts = Counts(buckets)
        for one in self._hours.values():
            counts.merge(one)
        counts.keep_most()
        return counts
