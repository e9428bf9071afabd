"""Damage to the spool of a daemon that was killed, and what must come of it.

What a change takes is known from outside: the records that lay at that place before, of which the
daemon has to count all that it does not know to be stored.  Nothing of this asks the code that
finds its way around damage.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Final

from mailingest.spool.control import read_control
from mailingest.spool.losses import Losses
from mailingest.spool.records import JournalRecord, Position
from mailingest.spool.segments import Segment, find_segments, read_records
from mailingest.spool.snapshot import read_position

KINDS: Final = ("byte changed", "file cut")
# What is not stored yet lies at the end.
_END_SHARE: Final = 0.2


class SpoolDamage:
    """Damages the newest file of a spool.

    ``damaged`` are the frames that could not be read once more from the snapshot on, ``lost`` those
    of them that must be counted.
    """

    def __init__(self, state: Path, random: Random) -> None:
        self.damaged: list[bytes] = []
        self.lost: list[bytes] = []
        self.kinds: Counter[str] = Counter()
        self.took_nothing = 0
        self._spool = state / "spool"
        self._snapshot = state / "queue-ids"
        self._random = random

    def do(self) -> None:
        """Change a byte of the newest file that has records, or cut it; no daemon may run."""
        segments = [one for one in find_segments(self._spool) if any(_records(one))]
        if not segments:
            return
        segment = segments[-1]
        records = list(_records(segment))
        place = self._place(segment)
        kind = self._random.choice(KINDS)
        if kind == "file cut":
            damaged = [one for one in records if one.end.bytes > segment.begin + place]
            with segment.path.open("r+b") as file:
                file.truncate(place)
        else:
            at = segment.begin + place
            damaged = [one for one in records if one.begin.bytes <= at < one.end.bytes]
            with segment.path.open("r+b") as file:
                file.seek(place)
                byte = file.read(1)[0]
                file.seek(place)
                file.write(bytes([byte ^ self._random.randint(1, 255)]))
        self.kinds[kind] += 1
        end, losses = self._control()
        # What is known to be stored is no loss (if it is not, it will be found missing), and what
        # was just being written is accepted by nobody.
        lost = [one for one in damaged if losses.settled <= one.begin.frames < end.frames]
        self.took_nothing += not lost
        self.lost += _frames(lost)
        begin = self._stored().frames
        self.damaged += _frames(one for one in damaged if one.begin.frames >= begin)

    def is_all_stored(self) -> bool:
        """Whether a snapshot says that all that is in the spool is stored."""
        return self._stored() == self._control()[0]

    def figures(self) -> dict[str, int]:
        """How much was damaged, and what the daemon has counted in all its lives."""
        _, losses = self._control()
        # With the control file intact, nothing is counted in bytes.
        wrong = abs(losses.frames - len(self.lost)) + losses.bytes
        return {
            **dict(sorted(self.kinds.items())),
            "of them in what was stored": self.took_nothing,
            "lines of damaged records": len(self.lost),
            "lines counted as lost": losses.frames,
            "counted wrongly": wrong,
        }

    def _place(self, segment: Segment) -> int:
        begin = self._random.choice((0.0, 1.0 - _END_SHARE))
        return int(segment.size * self._random.uniform(begin, 1.0 - 1e-9))

    def _stored(self) -> Position:
        try:
            with self._snapshot.open("rb") as file:
                return read_position(file.readline())
        except FileNotFoundError:
            return Position()

    def _control(self) -> tuple[Position, Losses]:
        end, losses = read_control(self._spool)
        assert end is not None
        assert losses is not None
        return end, losses


def _frames(records: Iterable[JournalRecord]) -> Iterator[bytes]:
    return (frame for one in records for frame in one.batch.frames)


def _records(segment: Segment) -> Iterator[JournalRecord]:
    return read_records(segment, segment.begin)
