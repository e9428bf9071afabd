"""Numbers sorted into buckets: how long things took, in constant memory."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, Self


class Histogram:
    """Counts observations by ``bounds``, which ascend; an observation at a bound is below it."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self._counts)

    @property
    def sum(self) -> float:
        """All values together."""
        return self._sum

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Each bound, and how many values were not above it; the last bound is infinite."""
        total = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            yield bound, total

    def plus(self, other: "Histogram") -> "Histogram":
        """The observations of both, whose bounds are the same."""
        both = Histogram(self._bounds)
        pairs = zip(self._counts, other._counts, strict=True)
        both._counts = [one + another for one, another in pairs]
        both._sum = self._sum + other._sum
        return both

    def row(self) -> list[Any]:
        """All of it as JSON can have it."""
        return [self._bounds, self._counts, self._sum]

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> Self:
        """What `row` gave."""
        bounds, counts, total = row
        found = cls(bounds)
        found._counts, found._sum = counts, total
        return found
