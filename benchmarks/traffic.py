"""The log of a mail site, told in order of time.

Four hosts: ``mx1`` and ``mx2`` take mail from outside and hand a part of it through a content
filter, ``mbox1`` keeps the mailboxes, ``out1`` sends for the site's users.  A story schedules its
lines ahead; stories run side by side, so their lines lie between each other as they do in life.
"""

from collections.abc import Callable, Iterator
from heapq import heappop
from typing import Final

from benchmarks.journal import Line
from benchmarks.refusals import Refusals

SESSIONS_PER_SECOND: Final = 1.6
"""About a million lines a day."""
# Some stories begin with a line a few milliseconds before their main one.
_LEAD: Final = 0.01


class Traffic(Refusals):
    """An endless log, the same for the same seed, start (seconds since 1970) and rate."""

    def __init__(
        self, seed: int, start: float, sessions_per_second: float = SESSIONS_PER_SECOND
    ) -> None:
        super().__init__(seed)
        self._start = start
        self._rate = sessions_per_second

    def lines(self) -> Iterator[Line]:
        """All lines, oldest first."""
        heap = self._heap
        stories = self._stories()
        now = self._start
        while True:
            now += self._random.expovariate(self._rate)
            while heap and heap[0][0] < now:
                yield heappop(heap)
            self._pick(stories)(now + _LEAD)

    def _stories(self) -> list[Callable[[float], None]]:
        shares = {
            self._inbound: 250,
            self._outbound: 110,
            self._home_made: 40,
            self._rejected: 430,
            self._screened: 110,
            self._abused: 90,
            self._probed: 45,
            self._housekeeping: 15,
        }
        return [story for story, share in shares.items() for _ in range(share)]
