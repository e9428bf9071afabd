"""When what is not stored yet came in: marks of the journal's end by time, a bounded number."""

from collections import deque
from typing import Final

# Two a second at first: of an outage of hours, it need not be known to the second.
_MOST_MARKS: Final = 1000


class Arrivals:
    """Knows about when a frame came, by its number."""

    def __init__(self) -> None:
        self._marks: deque[tuple[int, float]] = deque()

    def note(self, end: int, now: float) -> None:
        """All frames before a number have come by now (seconds since 1970)."""
        if self._marks and self._marks[-1][0] >= end:
            return
        if len(self._marks) >= _MOST_MARKS:
            self._marks = deque(list(self._marks)[::2])
        self._marks.append((end, now))

    def oldest(self, settled: int) -> float | None:
        """When the first frame came that is not before this number; None if all are."""
        while self._marks and self._marks[0][0] <= settled:
            self._marks.popleft()
        return self._marks[0][1] if self._marks else None
