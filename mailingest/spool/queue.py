"""What was received and is not stored yet: a journal on disk, and its end in memory.

Frames go into the journal first, and come out in the same order.  As long as whoever takes them
out keeps up, they do not come back from the disk.
"""

import asyncio
import fcntl
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import orjson
import structlog

from mailingest.errors import UsageError
from mailingest.spool.journal import SEGMENT_OCTETS, Entry, Journal, Position, Record

_log = structlog.get_logger(__name__)

# Kept in memory beside the disk: a tenth of a second of a busy site's lines.
_TAIL_OCTETS: Final = 1024 * 1024
# What other processes may know (`mailingest spool status`).  It is written in place, and so even
# if the disk is full; the process that holds it locked is the only one that writes the spool.
_NO_BOUND: Final = 1 << 62
STATE_FILE: Final = "state"
_STATE_OCTETS: Final = 4096
_FILE_MODE: Final = 0o640


class Spool:
    """The spool of this process.

    ``position`` is behind the last record that `take` gave.  ``full`` says why there is no room,
    or is None.  ``frames_lost`` counts frames that were in the spool and cannot be read.
    """

    def __init__(
        self, directory: Path, *, max_octets: int, segment_octets: int = SEGMENT_OCTETS
    ) -> None:
        self.position = Position()
        self.frames_lost = 0
        self._directory = directory
        self._journal = Journal(directory, max_octets=max_octets, segment_octets=segment_octets)
        self._tail: deque[tuple[Position, Record]] = deque()
        self._tail_octets = 0
        # The tail has all records from ``position`` to here.
        self._covered = 0
        self._reader: Iterator[Entry] | None = None
        self._arrived = asyncio.Event()
        self._has_room = asyncio.Event()
        self._state = -1

    @property
    def full(self) -> str | None:
        return self._journal.full

    @property
    def octets(self) -> int:
        """How much is on disk."""
        return self._journal.octets

    @property
    def frames(self) -> int:
        """How many frames wait to be taken."""
        return self._journal.end.frames - self.position.frames

    def open(self, position: Position | None) -> None:
        """Go on at a position, None for the beginning; raises UsageError."""
        try:
            self._state = os.open(
                self._directory / STATE_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE
            )
            fcntl.flock(self._state, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.position = self._journal.open(position)
        except BlockingIOError:
            raise UsageError(
                f"state.directory: another mailingest works in {self._directory.parent}: stop it, "
                f"or set another directory"
            ) from None
        except OSError as error:
            raise UsageError(f"{self._directory}: {error.strerror}") from None
        self._covered = self.position.octets
        if self.frames:
            _log.info("the spool has frames of an earlier run", frames=self.frames)

    def append(self, records: Sequence[Record]) -> bool:
        """Take records, all or none; False if there is no room, until `look` finds some.

        Each has at most some 100 KiB.
        """
        if self.full is not None:
            return False
        begin = self._journal.end.octets
        ends = self._journal.append(records)
        if ends is None:
            _log.error("the spool is full; TCP senders wait, datagrams are lost", reason=self.full)
            return False
        size = ends[-1].octets - begin
        if self._covered == begin and self._tail_octets + size <= _TAIL_OCTETS:
            self._tail.extend(zip(ends, records, strict=True))
            self._tail_octets += size
            self._covered = begin + size
        self._arrived.set()
        return True

    def take(self) -> Record | None:
        """The next record, None if there is none now."""
        if self._tail:
            # The reader, if any, stands where the tail began.
            self._reader = None
            end, record = self._tail.popleft()
            self._tail_octets -= end.octets - self.position.octets
            self.position = end
            return record
        while self.position.octets < self._journal.end.octets:
            is_new = self._reader is None
            reader = self._reader = self._reader or self._journal.read(self.position)
            entry = next(reader, None)
            if entry is None:
                # It does not know the files that were begun after it.
                self._reader = None
                if is_new:
                    self._skip_what_is_damaged()
                continue
            if missing := entry.begin.frames - self.position.frames:
                self._count_lost(missing)
            self.position = entry.end
            self._covered = entry.end.octets
            return entry.record
        return None

    async def wait(self) -> None:
        """Wait until there may be a record to take."""
        self._arrived.clear()
        await self._arrived.wait()

    async def room(self) -> None:
        """Wait until `look` finds room again, if there is none."""
        if self.full is not None:
            self._has_room.clear()
            await self._has_room.wait()

    def could_free(self, since: Position) -> bool:
        """Whether what was taken since a position is about a whole file."""
        return self.position.octets - since.octets >= self._journal.segment_octets

    def forget(self, position: Position) -> None:
        """Remove what lies before a position, as far as that frees whole files."""
        try:
            self._journal.forget(position)
        except OSError as error:
            _log.error("the spool cannot be trimmed", reason=error.strerror)

    def look(self, counters: Mapping[str, object] | None = None) -> None:
        """Try again whether there is room, and tell other processes how things are.

        ``counters`` are those of the whole service, for its operators.
        """
        if self.full is not None:
            self._journal.probe()
            if self.full is None:
                _log.info("the spool has room again")
                self._has_room.set()
        state: dict[str, object] = {**self.position._asdict(), "full": self.full}
        if counters is not None:
            state["counters"] = counters
        try:
            os.pwrite(self._state, orjson.dumps(state).ljust(_STATE_OCTETS), 0)
        except OSError as error:
            _log.debug("other processes cannot be told of the spool", reason=error.strerror)

    def lift_bound(self) -> None:
        """Take what comes now as long as the disk has room: it cannot be given back."""
        self._journal.max_octets = _NO_BOUND
        self.look()

    def close(self) -> None:
        self._journal.close()
        if self._state >= 0:
            os.close(self._state)
            self._state = -1

    def _skip_what_is_damaged(self) -> None:
        """No record can be read from here on."""
        end = self._journal.end
        if self.position.octets < end.octets:
            self._count_lost(end.frames - self.position.frames)
            self.position = end
            self._covered = end.octets

    def _count_lost(self, frames: int) -> None:
        self.frames_lost += frames
        _log.error("frames of the spool cannot be read and are lost", frames=frames)
