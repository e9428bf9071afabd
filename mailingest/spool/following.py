"""The journal of another process -> its batches: read only, as far as that process says it goes.

Nothing here writes: who appends also trims, cuts off what a crash left, and counts what is lost.
What is found missing is told to it.
"""

import asyncio
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from mailingest.spool.reading import Unreadable, read_journal
from mailingest.spool.records import FrameBatch, JournalRecord, Position
from mailingest.spool.recovery import find_start
from mailingest.spool.segments import Segment, find_segments

BEGINNING: Final = Position()


class JournalEnd(NamedTuple):
    """Where the journal ends now, and what whoever follows it has to know besides.

    ``last_begin`` is the place of the first byte of its last file: behind the end of a file there
    may be what was refused, and could not be cut off.  ``full`` is why it takes no more, or None.
    """

    bytes: int
    frames: int
    last_begin: int
    segment_bytes: int
    full: str | None

    @property
    def position(self) -> Position:
        """The place behind the last record."""
        return Position(self.bytes, self.frames)


class Missing(NamedTuple):
    """Frames from one number up to another that cannot be read.

    ``gaps`` are the bytes between, with the name of their file, None for one that is not there.
    """

    begin: int
    end: int
    gaps: list[tuple[int, str | None]]


class FollowedJournal:
    """The journal in a ``directory``, in the order in which it was written.

    ``position`` is behind the batch that was taken last; the frames before the number ``settled``
    are stored.  ``forget`` is told the places before which nothing need be kept for this reader.
    """

    def __init__(self, directory: Path, forget: Callable[[Position], None]) -> None:
        self.position = BEGINNING
        self.settled = 0
        self.forget = forget
        self._directory = directory
        self._end = JournalEnd(0, 0, -1, 0, None)
        self._segments: list[Segment] = []
        self._missing: list[Missing] = []
        self._reader: Generator[JournalRecord, None, None] | None = None
        self._arrived = asyncio.Event()

    @property
    def segments(self) -> Sequence[Segment]:
        """The files that are there, in order."""
        return self._segments

    @property
    def end(self) -> Position:
        """The place behind the last record that is known."""
        return self._end.position

    @property
    def full(self) -> str | None:
        """Why the journal takes no more, or None."""
        return self._end.full

    @property
    def frames(self) -> int:
        """How many frames wait to be taken."""
        return self._end.frames - self.position.frames

    def open(self, position: Position | None, begin: Position, end: JournalEnd) -> None:
        """Go on at a position that was the reader's; without one, at the ``begin`` of what is kept.

        Raises OSError, and UsageError if a newer mailingest wrote here.
        """
        self.advance(end)
        if position is None:
            self.position = begin
        elif position.frames >= end.frames:
            self.position = end.position
        else:
            self.position = find_start(self._segments, position)
        self.settled = self.position.frames

    def advance(self, end: JournalEnd) -> None:
        """The journal goes up to there now; raises OSError."""
        if end.last_begin != self._end.last_begin or not self._segments:
            self._segments = [
                one for one in find_segments(self._directory) if one.begin < end.bytes
            ]
        if self._segments:
            last = self._segments[-1]
            last.size = end.bytes - last.begin
        self._end = end
        if self.frames:
            self._arrived.set()

    def take(self) -> FrameBatch | None:
        """The next batch, None if there is none now."""
        if self.position >= self._end.position:
            return None
        if self._reader is None:
            self._reader = read_journal(self, self.position, self)
        record = next(self._reader, None)
        if record is None:
            self._reader = None
        self.position = self._end.position if record is None else record.end
        return None if record is None else record.batch

    async def wait(self) -> None:
        """Wait until there may be a batch to take."""
        self._arrived.clear()
        await self._arrived.wait()

    def settle(self, frames: int) -> None:
        """The frames before a number are stored."""
        self.settled = max(self.settled, frames)

    def could_free(self, since: Position) -> bool:
        """Whether what was taken since a position is about a whole file."""
        return self.position.bytes - since.bytes >= self._end.segment_bytes

    def missing(self, begin: int, end: int, gaps: Sequence[Unreadable]) -> None:
        """See `mailingest.spool.reading.Damage`."""
        of_files = [(one.size, one.segment.path.name if one.segment else None) for one in gaps]
        self._missing.append(Missing(begin, end, of_files))

    def finish(self) -> None:
        """See `mailingest.spool.reading.Damage`."""

    def take_missing(self) -> list[Missing]:
        """What was found missing since the last call."""
        missing, self._missing = self._missing, []
        return missing
