"""Hosts that used to log and are silent, by the rhythm that each of them has.

Time goes by slots of five minutes.  Of each host is kept in which slots of the last twelve days it
logged, as the bits of one number: bit 0 is the slot before this one.  A silence is odd

* if it is longer than three times the longest one of that time.  A host that was not known for a
  week before it may have days off: then it has to be 24 times as long; and one that was not known
  for a day may have nights.  In either case half an hour.
* or if, at the same time of the seven days before, and an hour earlier and later, it logged in
  eight slots at least.  So a busy host's day is held against its day and not against its night.
  One that keeps whole days off, as on weekends, may keep another one off: this is not for it.

What was not observed, since mailingest did not run, is no silence, and proves nothing else.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import orjson

from mailingest.watching.notices import LONGEST_HOST, Notice

SLOT_SECONDS: Final = 300
_DAY: Final = 86_400 // SLOT_SECONDS
_WEEK: Final = 7 * _DAY
_KEPT: Final = 12 * _DAY
_MASK: Final = (1 << _KEPT) - 1
_HOUR: Final = 3600 // SLOT_SECONDS

_FEWEST_SILENT: Final = 6
_FACTOR: Final = 3
_FACTOR_AT_FIRST: Final = 24
_USUAL_SLOTS: Final = 8
_MOST_COMPARED: Final = _KEPT - _WEEK - _HOUR
# Of a stretch of time that was not all observed, this part may be missing.
_MISSING_PART: Final = 4
# Made-up hosts must not fill the memory: some 600 bytes each.
MOST_HOSTS: Final = 4096
_SNAPSHOT_ROWS: Final = 500


class Hosts:
    """When hosts logged.

    ``last_line`` has the time of the last line of each, in seconds since 1970; whoever has a line
    of a host that is in it writes its time there, and calls `add` for all others.
    """

    def __init__(self) -> None:
        self.last_line: dict[str, float] = {}
        self.not_watched = 0
        """How many lines came from hosts for which there was no room."""
        self._history: dict[str, int] = {}
        self._silent: dict[str, float] = {}
        self._slot = self._judged = 0
        self._observed = 0
        """In which slots mailingest ran: bits like those of a host."""

    def add(self, host: str, now: float) -> None:
        """A host logs that is not known."""
        if len(self.last_line) >= MOST_HOSTS or len(host) > LONGEST_HOST:
            self.not_watched += 1
            return
        self.last_line[host] = now
        self._history[host] = 0

    def advance(self, now: float) -> None:
        """Let time pass; ``now`` is in seconds since 1970."""
        slot = int(now) // SLOT_SECONDS
        steps = slot - self._slot
        if steps <= 0:
            return
        if not self._slot:
            self._slot = slot
            return
        began = self._slot * SLOT_SECONDS
        steps = min(steps, _KEPT)
        self._observed = ((self._observed << 1 | 1) << (steps - 1)) & _MASK
        for host, known in list(self._history.items()):
            logged = self.last_line[host] >= began
            history = ((known << 1 | logged) << (steps - 1)) & _MASK
            if history or self.last_line[host] >= slot * SLOT_SECONDS:
                self._history[host] = history
            else:
                self._forget(host)
        self._slot = slot
        if len(self.last_line) >= MOST_HOSTS:
            self._make_room()

    def notices(self) -> Iterator[Notice]:
        """The hosts that are silent and should not be."""
        if self._slot != self._judged:
            self._judged = self._slot
            self._judge()
        for host, since in list(self._silent.items()):
            if self.last_line[host] > since:
                del self._silent[host]
            else:
                yield Notice("host_silent", host, since, "no line since then")

    def snapshot(self) -> Iterator[bytes]:
        """All that is known, as lines of bytes, for `restore`."""
        rows: list[list[object]] = [
            [host, self.last_line[host], f"{history:x}", self._silent.get(host)]
            for host, history in self._history.items()
        ]
        head = orjson.dumps([self._slot, f"{self._observed:x}"])
        return _rows(head, rows)

    def restore(self, lines: Iterable[bytes]) -> None:
        """Take what a snapshot has; raises ValueError for what is none."""
        head, *rest = map(orjson.loads, lines)
        self._slot, self._observed = int(head[0]), int(head[1], 16)
        for rows in rest:
            for host, last_line, history, silent in rows:
                self.last_line[host] = float(last_line)
                self._history[host] = int(history, 16)
                if silent is not None:
                    self._silent[host] = float(silent)

    def _judge(self) -> None:
        began = self._slot * SLOT_SECONDS
        for host, history in self._history.items():
            last_line = self.last_line[host]
            if last_line < began and host not in self._silent and self._is_odd(history):
                self._silent[host] = last_line

    def _is_odd(self, history: int) -> bool:
        silent = min(_trailing_zeros(history), _trailing_zeros(~self._observed & _MASK))
        known = history.bit_length() - silent
        if silent < _FEWEST_SILENT or known < _DAY:
            return False
        # What was not observed is taken for logged here: it makes no silence longer.
        longest = _longest_zeros((history | ~self._observed & _MASK) >> silent, known)
        if silent > (_FACTOR if known >= _WEEK else _FACTOR_AT_FIRST) * max(longest, 1):
            return True
        return longest < _DAY and self._usually_logs(history, min(silent, _MOST_COMPARED))

    def _usually_logs(self, history: int, slots: int) -> bool:
        """Whether it logged at this time on each of the seven days before."""
        stretch = (1 << slots) - 1
        for day in range(_DAY, _WEEK + 1, _DAY):
            for begin in (day - _HOUR, day, day + _HOUR):
                observed = (self._observed >> begin & stretch).bit_count()
                if (slots - observed) * _MISSING_PART > slots:
                    return False
                if (history >> begin & stretch).bit_count() < _USUAL_SLOTS:
                    return False
        return True

    def _make_room(self) -> None:
        """Forget hosts of which there are hardly any lines: names that somebody made up."""
        for host, history in list(self._history.items()):
            if history.bit_count() <= 1:
                self._forget(host)

    def _forget(self, host: str) -> None:
        del self.last_line[host], self._history[host]
        self._silent.pop(host, None)


def _rows(head: bytes, rows: list[list[object]]) -> Iterator[bytes]:
    yield head
    for start in range(0, len(rows), _SNAPSHOT_ROWS):
        yield orjson.dumps(rows[start : start + _SNAPSHOT_ROWS])


def _trailing_zeros(bits: int) -> int:
    """How many zeros there are before the first one; as many as are kept if there is none."""
    return (bits & -bits).bit_length() - 1 if bits else _KEPT


def _longest_zeros(bits: int, known: int) -> int:
    """The longest run of zeros among the first bits, of which that many are known."""
    return max(map(len, f"{bits & (1 << known) - 1:b}".split("1")), default=0)
