"""What was received and is not stored yet: a journal on disk, and its end in memory.

Frames go into the journal first, and come out in the same order.  As long as whoever takes them
out keeps up, they do not come back from the disk.
"""

import asyncio
import fcntl
import os
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import orjson

from mailingest.errors import UsageError
from mailingest.logs.logger import log
from mailingest.ownership import open_own
from mailingest.spool.arrivals import Arrivals
from mailingest.spool.files import make_directory
from mailingest.spool.following import JournalEnd, Missing
from mailingest.spool.journal import SEGMENT_BYTES, Journal
from mailingest.spool.records import FrameBatch, JournalRecord, Position
from mailingest.spool.syncing import GroupCommit

# Kept in memory beside the disk: a tenth of a second of a busy site's lines.
_TAIL_BYTES: Final = 1024 * 1024
_NO_BOUND: Final = 1 << 62
# What other processes may know (`mailingest spool status`).  It is written in place, and so even
# if the disk is full; the process that holds it locked is the only one that writes the spool.
STATE_FILE: Final = "state"
STATE_BYTES: Final = 16_384
# Of a reason: with the counters, it fits in whatever is in it.
_HELD_CHARACTERS: Final = 1000


class Spool:
    """The spool of this process.

    ``position`` is behind the last batch that `take` gave.  ``full`` says why there is no room,
    or is None.
    """

    def __init__(
        self, directory: Path, *, max_bytes: int, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self.position = Position()
        self._directory = directory
        self._max_bytes = max_bytes
        self._journal = Journal(directory, max_bytes=max_bytes, segment_bytes=segment_bytes)
        self._commit = GroupCommit(self._journal)
        self._tail: deque[tuple[Position, FrameBatch]] = deque()
        self._tail_bytes = 0
        # The tail has all batches from ``position`` to here.
        self._covered = 0
        self._reader: Generator[JournalRecord, None, None] | None = None
        self._arrived = asyncio.Event()
        self._has_room = asyncio.Event()
        self._state = -1
        self._is_gone = False
        self._arrivals = Arrivals()

    @property
    def full(self) -> str | None:
        return self._journal.full

    @property
    def max_bytes(self) -> int:
        """How many bytes it may have on disk."""
        return self._max_bytes

    @property
    def size(self) -> int:
        """How many bytes are on disk."""
        return self._journal.size

    @property
    def frames(self) -> int:
        """How many frames wait to be taken."""
        return self._journal.end.frames - self.position.frames

    @property
    def frames_lost(self) -> int:
        """How many frames were in the spool and could not be read, since the start."""
        return self._journal.damage.frames

    @property
    def bytes_lost(self) -> int:
        """How many bytes at its end could not be read; nobody knows how many frames they were."""
        return self._journal.damage.bytes

    def open(self, position: Position | None, furthest: Position | None = None) -> None:
        """Go on at a position, None for the beginning; raises UsageError.

        ``furthest`` is up to where somebody has read before, if there are several who read.
        """
        try:
            self._take_hold()
            self.position = self._journal.open(position, furthest)
        except OSError as error:
            raise UsageError(f"{self._directory}: {error.strerror}") from None
        self._covered = self.position.bytes
        if self.frames:
            if (oldest := self._journal.first_from(self.position)) is not None:
                self._arrivals.note(self._journal.end.frames, oldest.batch.received_at)
            log.info("the spool has frames of an earlier run", frames=self.frames)

    @property
    def end(self) -> Position:
        """The place behind the last batch that was appended."""
        return self._journal.end

    @property
    def begin(self) -> Position:
        """The first place that is kept, and the number of the frames before it that are stored."""
        return self._journal.start

    @property
    def journal_end(self) -> JournalEnd:
        """The same, and what a process that follows it has to know besides."""
        journal = self._journal
        return JournalEnd(*journal.end, journal.last_begin, journal.segment_bytes, journal.full)

    def passed(self, position: Position) -> None:
        """Other processes have taken all before a position."""
        self._end_reading()
        self._tail.clear()
        self._tail_bytes = 0
        self.position = position
        self._covered = position.bytes

    def missing(self, missing: Missing) -> None:
        """Another process, which follows this spool, could not read some frames of it."""
        self._journal.missing(missing)

    def metadata_since(self, position: Position) -> Iterator[bytes]:
        """The metadata of all records behind a place, stored or not, as far as they are there."""
        return (batch.metadata for batch in self._journal.intact(position.bytes))

    def append(self, batches: Sequence[FrameBatch]) -> bool:
        """Take batches, all or none; False if there is no room, until `look` finds some.

        Raises ValueError for a batch without frames, or of more than 1 MiB (each frame with 4
        bytes for its length).
        """
        if self.full is not None:
            return False
        begin = self._journal.end.bytes
        ends = self._journal.append(batches)
        if ends is None:
            log.error("the spool is full; TCP senders wait, datagrams are lost", reason=self.full)
            return False
        size = ends[-1].bytes - begin
        if self._covered == begin and self._tail_bytes + size <= _TAIL_BYTES:
            self._tail.extend(zip(ends, batches, strict=True))
            self._tail_bytes += size
            self._covered = begin + size
        self._arrived.set()
        return True

    async def sync(self) -> None:
        """Wait until all that was appended is on the disk; raises MailingestError if it fails."""
        await self._commit.sync()

    def take(self) -> FrameBatch | None:
        """The next batch, None if there is none now."""
        if self._tail:
            self._end_reading()
            end, batch = self._tail.popleft()
            self._tail_bytes -= end.bytes - self.position.bytes
            self.position = end
            return batch
        if self.position >= self._journal.end:
            return None
        if self._reader is None:
            self._reader = self._journal.read(self.position)
        record = next(self._reader, None)
        if record is None:
            self._reader = None
        self.position = self._journal.end if record is None else record.end
        self._covered = self.position.bytes
        return None if record is None else record.batch

    async def wait(self) -> None:
        """Wait until there may be a batch to take."""
        self._arrived.clear()
        await self._arrived.wait()

    async def room(self) -> None:
        """Wait until `look` finds room again, if there is none."""
        if self.full is not None:
            self._has_room.clear()
            await self._has_room.wait()

    def could_free(self, since: Position) -> bool:
        """Whether what was taken since a position is about a whole file."""
        return self.position.bytes - since.bytes >= self._journal.segment_bytes

    def settle(self, frames: int) -> None:
        """The frames before a number are stored: if they are damaged later, it is no loss."""
        self._journal.settle(frames)

    def forget(self, position: Position) -> None:
        """All before a position is stored: remove it, as far as that frees whole files."""
        try:
            self._journal.forget(position)
        except OSError as error:
            log.error("the spool cannot be trimmed", reason=error.strerror)

    def look(
        self,
        counters: Mapping[str, object] | None = None,
        held: str | None = None,
        *,
        unstored: int = 0,
        addresses: Sequence[str] = (),
    ) -> None:
        """Try again whether there is room, and let other processes know how things are.

        ``counters`` are those of the whole service, for its operators, and ``held`` is why lines
        are not stored, if only they can set it right.  ``unstored`` is how many frames were taken
        and are not stored, ``addresses`` are where the service listens.
        """
        if self._is_in_place():
            self._is_gone = False  # it may have come back
        else:
            self._go_on_elsewhere()
        if self.full is not None and not self._is_gone:
            self._journal.probe()
            if self.full is None:
                log.info("the spool has room again")
                self._has_room.set()
        state: dict[str, object] = {
            **self.position._asdict(),
            "full": self.full,
            "unstored": unstored,
            "oldest": self._oldest(unstored),
            "addresses": addresses,
        }
        if held is not None:
            state["held"] = held[:_HELD_CHARACTERS]
        if counters is not None:
            state["counters"] = counters
        try:
            os.pwrite(self._state, orjson.dumps(state).ljust(STATE_BYTES), 0)
        except OSError as error:
            log.debug("the state of the spool cannot be written", reason=error.strerror)

    def limit(self, max_bytes: int) -> None:
        """Keep at most so much on disk from now on."""
        self._max_bytes = max_bytes
        self._journal.limit(max_bytes)

    def _oldest(self, unstored: int) -> float | None:
        """When the first frame that is not stored came, to a second or so."""
        self._arrivals.note(self._journal.end.frames, time.time())
        found = self._arrivals.oldest(self._journal.settled)
        return found if self.frames or unstored else None

    def lift_bound(self) -> None:
        """Take what comes now as long as the disk has room: it cannot be given back."""
        self._journal.max_bytes = _NO_BOUND
        self.look()

    def close(self) -> None:
        """Close the files; what is in them stays."""
        self._end_reading()
        self._journal.close()
        if self._state >= 0:
            os.close(self._state)
            self._state = -1

    def _take_hold(self) -> None:
        """Have the directory for this process alone; raises OSError and UsageError."""
        path = self._directory / STATE_FILE
        state = open_own(path, os.O_RDWR)
        try:
            fcntl.flock(state, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(state)
            raise UsageError(
                f"state.directory: another mailingest works in {self._directory.parent}: stop it, "
                f"or set another directory"
            ) from None
        if self._state >= 0:
            os.close(self._state)
        self._state = state

    def _is_in_place(self) -> bool:
        """Whether the directory is still the one that this process has hold of."""
        try:
            path = self._directory / STATE_FILE
            return os.path.samestat(os.fstat(self._state), path.stat())
        except OSError:
            return False

    def _go_on_elsewhere(self) -> None:
        """The directory was deleted or renamed: nothing is accepted until there is another one."""
        if not self._is_gone:
            log.error(
                "the directory of the spool was deleted or renamed; lines in it that are not "
                "stored are lost, and nothing is accepted until it is there again",
                path=str(self._directory),
            )
        self._is_gone = True
        self._journal.refuse("its directory was deleted or renamed")
        try:
            make_directory(self._directory.parent, "state.directory")
            make_directory(self._directory, "state.directory")
            self._take_hold()
            self._journal.begin_anew()
        except (OSError, UsageError) as error:
            self._journal.refuse(str(error))
            return
        self._is_gone = False
        log.warning("the directory of the spool is made anew", path=str(self._directory))

    def _end_reading(self) -> None:
        """What follows is in the tail, which begins where the reader stands."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
