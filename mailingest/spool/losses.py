"""What of a journal was lost, each frame counted once however often it is missed."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Self

# Far more than a disk damages between two snapshots; they have to fit into the control file.
_MOST_GAPS: Final = 64


@dataclass(slots=True)
class Losses:
    """Frames and bytes lost since the journal began.

    ``frames`` could not be read when they were to be; ``bytes`` are those at the end of a journal
    of which nobody knows how many frames they were.  Frames before the number ``settled`` are
    stored.  ``gaps`` are the numbers behind it that were counted, from the first up to, without,
    the last, in order: after a crash the same records are read once more.
    """

    frames: int = 0
    bytes: int = 0
    settled: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)

    def count(self, begin: int, end: int) -> int:
        """Count the frames from a number up to another, and say how many are new."""
        new = []
        at = max(begin, self.settled)
        for first, last in self.gaps:
            if at < first < end:
                new.append((at, first))
            if first < end:
                at = max(at, last)
        if at < end:
            new.append((at, end))
        if not new:
            return 0
        self.gaps = _joined(sorted([*self.gaps, *new]))
        lost = sum(last - first for first, last in new)
        self.frames += lost
        return lost

    def settle(self, number: int) -> bool:
        """All frames before a number are stored; whether that is news."""
        if number <= self.settled:
            return False
        self.settled = number
        self.gaps = [gap for gap in self.gaps if gap[1] > number]
        return True

    def as_row(self) -> list[object]:
        """All of it as JSON can have it."""
        return [self.frames, self.bytes, self.settled, self.gaps]

    @classmethod
    def from_row(cls, row: object) -> Self:
        """What `as_row` gave; raises ValueError for anything else."""
        match row:
            case [int(frames), int(size), int(settled), list(gaps)] if all(map(_is_gap, gaps)):
                return cls(frames, size, settled, [(begin, end) for begin, end in gaps])
        raise ValueError("no row of losses")


def _is_gap(value: object) -> bool:
    match value:
        case [int(), int()]:
            return True
    return False


def _joined(gaps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Gaps that touch as one; where there are too many, also those that lie closest."""
    distances = sorted(after[0] - before[1] for before, after in pairwise(gaps))
    most = max([0, *distances[: -_MOST_GAPS + 1]])
    joined = gaps[:1]
    for begin, end in gaps[1:]:
        if begin - joined[-1][1] <= most:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return joined
