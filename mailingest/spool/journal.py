"""Batches of frames -> segments of a journal on disk -> the same batches, also after a crash.

A journal is a sequence of records, in files of some megabytes each.  A place in it is the number of
bytes before it since the journal began.  What is written is in the kernel's hands: it survives the
death of the process, and a power failure once it is synced (`mailingest.spool.syncing`).

Whatever is damaged, cut or missing: what is intact is read, in order and once, and the numbers of
the frames say how many are lost.
"""

import errno
import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Final

from mailingest.logs.logger import log
from mailingest.ownership import open_own
from mailingest.spool.control import ControlFile
from mailingest.spool.damage import DamageReport
from mailingest.spool.following import Missing
from mailingest.spool.reading import Unreadable, pieces, read_journal
from mailingest.spool.records import FrameBatch, JournalRecord, Position, encode
from mailingest.spool.recovery import find_end, find_start, first_record
from mailingest.spool.segments import (
    Segment,
    find_segments,
    new_segment,
    segment_header,
)

# Space comes back by whole segments; a snapshot of the queue IDs costs about as much to write.
SEGMENT_BYTES: Final = 16 * 1024 * 1024
# A journal has room for at least 8 segments, for some to be freed while others are read.
_LEAST_SEGMENTS: Final = 8

# The journal leaves a twentieth of the file system free, or this much: without room for a snapshot
# of the queue IDs no segment could ever be removed.
_MOST_LEFT_FREE: Final = 256 * 1024 * 1024
_SHARE_LEFT_FREE: Final = 20
# Free space is looked up each time that as much was written.
_LOOK_EVERY_BYTES: Final = 1024 * 1024
# Zeros, which are no record, are written and taken back: quotas are seen by that alone.
_PROBE_BYTES: Final = 256 * 1024


class Journal:
    """The one that is written; the directory must be this process's own.

    It holds at most ``max_bytes`` in its ``directory``.  ``begin`` and ``end`` are the places of
    its first byte and behind its last record.  ``full`` says why there is no room for more, or is
    None.  ``damage`` has what this process found missing.
    """

    def __init__(
        self, directory: Path, *, max_bytes: int, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self._usual_segment_bytes = segment_bytes
        self.max_bytes = max_bytes
        self.segment_bytes = segment_bytes
        self.limit(max_bytes)
        self.full: str | None = None
        self.end = Position()
        self.directory = directory
        self._control = ControlFile(directory)
        self.damage = DamageReport(self._control)
        self._segments: list[Segment] = []
        self._descriptor = -1
        self._inode = -1
        self._path = ""
        self._since_look = _LOOK_EVERY_BYTES

    @property
    def begin(self) -> int:
        """The place of the first byte that is still there."""
        return self._segments[0].begin if self._segments else self.end.bytes

    @property
    def segments(self) -> Sequence[Segment]:
        """The files that are there, in order."""
        return self._segments

    @property
    def last_begin(self) -> int:
        """The place of the first byte of the last file; the end, if there is none."""
        return self._segments[-1].begin if self._segments else self.end.bytes

    @property
    def size(self) -> int:
        """How many bytes are on disk."""
        return self.end.bytes - self.begin

    def limit(self, max_bytes: int) -> None:
        """Hold at most so much from now on; what is there stays until it is stored."""
        self.max_bytes = max_bytes
        self.segment_bytes = min(self._usual_segment_bytes, max_bytes // _LEAST_SEGMENTS)

    def open(self, position: Position | None, furthest: Position | None = None) -> Position:
        """Find what an earlier process left, and return where to read on.

        ``position`` is one that `append` or `read` gave, and all before it is stored; None is the
        beginning.  ``furthest`` is up to where somebody has read, if that is more.  A record that
        was being written when the process died is cut off.  Raises OSError, and UsageError if a
        newer mailingest wrote here.
        """
        self._segments = find_segments(self.directory)
        self._control.open()
        if position is not None:
            self._control.losses.settle(position.frames)
        known = furthest or position or Position(self.begin)
        found = find_end(self._segments, self._control.end, known)
        self.end = found.position
        if found.torn_bytes:
            self._cut_off(self._segments[-1], found.torn_bytes)
        if found.unknown_bytes:
            self.damage.unknown(found.unknown_bytes, self._segments[-1])
        start = self._find_start(position)
        self._control.write_end(self.end)
        self._control.write_losses()
        self._control.sync()
        return start

    def append(self, batches: Sequence[FrameBatch]) -> list[Position] | None:
        """Write batches, all or none; the places behind them, or None: ``full`` says why.

        Raises ValueError for a batch that could not be read again.
        """
        try:
            segment = self._segment()
        except OSError as error:
            self._refuse(error)
            return None
        place, number = self.end
        parts: list[bytes] = []
        ends: list[Position] = []
        for batch in batches:
            record = encode(batch, number, segment.marker)
            parts.append(record)
            number += len(batch.frames)
            place += len(record)
            ends.append(Position(place, number))
        try:
            self._write(segment, parts[0] if len(parts) == 1 else b"".join(parts))
        except OSError as error:
            self._refuse(error)
            return None
        self.end = ends[-1]
        self._control.write_end(self.end)
        return ends

    def begin_anew(self) -> None:
        """The directory is another one, and empty: go on in it.  Raises OSError.

        What was in the files that are gone is missing when it is to be read.
        """
        self._close_segment()
        self._control.make_again(self.end)

    def refuse(self, reason: str) -> None:
        """Take nothing until `probe` finds that all is well again."""
        self.full = reason
        self._since_look = _LOOK_EVERY_BYTES

    def probe(self) -> None:
        """Find out whether there is room again."""
        try:
            segment = self._segment()
            self._write(segment, bytes(_PROBE_BYTES))
        except OSError as error:
            self._refuse(error)
        else:
            self.full = None
            segment.size -= _PROBE_BYTES
            self._cut(segment)

    def read(self, position: Position) -> Generator[JournalRecord, None, None]:
        """The records from a place on up to the end, without those that are damaged.

        What is missing between two records is counted before the second is given.
        """
        return read_journal(self, position, self.damage)

    def intact(self, place: int) -> Iterator[FrameBatch]:
        """What can be read from a place on, between two records; nothing is counted or told."""
        for piece in pieces(self, max(place, self.begin)):
            if not isinstance(piece, Unreadable):
                yield piece.batch

    def segments_from(self, place: int) -> list[Segment]:
        """The segments that have something behind a place."""
        return [segment for segment in self._segments if segment.end > place]

    def first_from(self, position: Position) -> JournalRecord | None:
        """The first record that is intact from a place on."""
        return first_record(self._segments, position)

    @property
    def settled(self) -> int:
        """The frames before this number are stored."""
        return self._control.losses.settled

    def settle(self, number: int) -> None:
        """The frames before a number are stored, and so they cannot be lost."""
        if self._control.losses.settle(number):
            self._control.write_losses()

    @property
    def start(self) -> Position:
        """Where to read on without a snapshot: all that is there is needed, and may be stored."""
        return self._find_start(None)

    def missing(self, missing: Missing) -> None:
        """Somebody who follows this journal could not read some frames of it."""
        by_name = {one.path.name: one for one in self._segments}
        gaps = [Unreadable(size, by_name.get(name or "")) for size, name in missing.gaps]
        self.damage.missing(missing.begin, missing.end, gaps)
        self.damage.finish()

    def forget(self, position: Position) -> None:
        """All before a place is stored: remove the segments before it.  Raises OSError."""
        self.settle(position.frames)
        count = 0
        while count < len(self._segments) - 1 and self._segments[count].end <= position.bytes:
            count += 1
        for segment in self._segments[:count]:
            segment.path.unlink(missing_ok=True)
        del self._segments[:count]

    def close(self) -> None:
        """Close the files; what is in them stays."""
        self._close_segment()
        self._control.close()

    def _find_start(self, position: Position | None) -> Position:
        if position is not None:
            if position.frames >= self.end.frames:
                return self.end
            return find_start(self._segments, position)
        # All that is left is read once more, for it has lines of mails under way.
        first = first_record(self._segments)
        number = self.end.frames if first is None else first.begin.frames
        if self.begin and not self._control.knows_losses:
            # Nobody knows what was removed.
            self._control.losses.settle(number)
        return Position(self.begin, min(number, self._control.losses.settled))

    def _refuse(self, error: OSError) -> None:
        self.refuse(error.strerror or str(error))

    def _write(self, segment: Segment, data: bytes) -> None:
        if self.size + len(data) > self.max_bytes:
            raise OSError(errno.EDQUOT, "spool.max_bytes is reached")
        self._since_look += len(data)
        if self._since_look >= _LOOK_EVERY_BYTES:
            self._look_for_space()
        try:
            written = os.pwrite(self._descriptor, data, segment.size)
            while written < len(data):
                written += os.pwrite(self._descriptor, data[written:], segment.size + written)
            # What is in a file without its name is found by no later process.
            if os.stat(self._path).st_ino != self._inode:  # noqa: PTH116  for each append: quick
                raise OSError(errno.ENOENT, "the file of the spool was replaced")
        except OSError:
            # Nothing of it may be read later: whoever sent it was told that it was refused.
            self._cut(segment)
            raise
        segment.size += len(data)

    def _look_for_space(self) -> None:
        system = os.statvfs(self.directory)
        size, free = system.f_blocks * system.f_frsize, system.f_bavail * system.f_frsize
        if free < min(_MOST_LEFT_FREE, size // _SHARE_LEFT_FREE):
            raise OSError(errno.ENOSPC, "the disk is full but for what a snapshot needs")
        self._since_look = 0

    def _segment(self) -> Segment:
        """The last segment, or a new one."""
        if self._descriptor >= 0 and self._segments[-1].size < self.segment_bytes:
            return self._segments[-1]
        self._close_segment()
        segment = new_segment(self.directory, self.end.bytes)
        self._descriptor = open_own(segment.path, os.O_WRONLY | os.O_TRUNC)
        self._inode = os.fstat(self._descriptor).st_ino
        self._path = str(segment.path)
        try:
            self._write(segment, segment_header())
        except OSError:
            self._close_segment()
            segment.path.unlink(missing_ok=True)
            raise
        self._segments.append(segment)
        self.end = Position(segment.end, self.end.frames)
        self._control.write_end(self.end)
        return segment

    def _close_segment(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _cut(self, segment: Segment) -> None:
        try:
            os.ftruncate(self._descriptor, segment.size)
        except OSError as error:
            log.error("the spool cannot be cut back", path=str(segment.path), reason=error.strerror)
            # The reader stops at the known end of this segment, and goes on in the next one.
            self._close_segment()

    def _cut_off(self, segment: Segment, size: int) -> None:
        log.warning(
            "a record of the spool that was being written is cut off",
            path=str(segment.path),
            bytes=size,
        )
        segment.size -= size
        os.truncate(segment.path, segment.size)
