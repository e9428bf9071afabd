"""What is in the spool, seen from outside, while the daemon runs and when it does not."""

import asyncio
import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import orjson

from mailingest.config import Settings
from mailingest.errors import UsageError
from mailingest.ownership import why_unreadable
from mailingest.spool.control import read_control
from mailingest.spool.layout import earliest, snapshot_paths, snapshot_position, workers_of
from mailingest.spool.losses import Losses
from mailingest.spool.queue import STATE_BYTES, STATE_FILE
from mailingest.spool.records import Position
from mailingest.spool.recovery import find_end, first_record
from mailingest.spool.segments import Segment, find_segments

# A batch is written every second or two; its oldest line may be this old.
_ON_ITS_WAY: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Status:
    """How the spool is.

    ``frames_waiting`` are received and not stored; ``bytes_waiting`` are what the daemon has not
    taken yet, or is going to read after its start.
    ``frames_kept`` is all that is on disk: what is stored goes with the next snapshot.
    ``oldest_waiting`` is when the first of the waiting frames came (ISO 8601, UTC), or None.
    ``position`` is where the daemon reads on, ``end`` where all ends, in bytes since the spool
    began.  ``addresses`` are where a running daemon listens.  ``full`` is the reason for which it
    takes no more, or None; ``held`` is the one for which it cannot store what it has, with what to
    do about it, or None.
    ``frames_lost`` could not be read since the spool began, nor could ``bytes_lost`` at its end, of
    which nobody knows how many frames they were.
    ``counters`` are those of a running daemon since its start, but for those by tag, or None.
    """

    directory: str
    running: bool
    full: str | None
    held: str | None
    bytes: int
    max_bytes: int
    frames_kept: int
    frames_waiting: int
    bytes_waiting: int
    oldest_waiting: str | None
    position: int
    end: int
    frames_lost: int
    bytes_lost: int
    counters: dict[str, int | str | None] | None
    addresses: list[str]


def spool_status(settings: Settings) -> Status:
    """Look at the spool; raises UsageError if it cannot be read."""
    directory = settings.state.directory / "spool"
    try:
        return _look(directory, settings.state.directory, settings.spool.max_bytes)
    except PermissionError as error:
        raise UsageError(why_unreadable(Path(error.filename or directory))) from None
    except OSError as error:
        raise UsageError(f"{error.filename or directory}: {error.strerror}") from None


async def backlog(settings: Settings) -> list[str]:
    """Notes on lines that were accepted here and may not be in the store, for a trace.

    A line on its way to the store is none; nor is there any where no daemon has ever run.
    """
    try:
        status = await asyncio.to_thread(spool_status, settings)
    except UsageError as error:
        return [f"what waits to be stored could not be looked at: {error}"]
    if not status.frames_waiting or status.oldest_waiting is None:
        return []
    age = datetime.now(UTC) - datetime.fromisoformat(status.oldest_waiting)
    if status.running and age < _ON_ITS_WAY:
        return []
    return [
        f"{status.frames_waiting:,} lines wait to be stored since {status.oldest_waiting}: "
        "mailingest spool status says more"
    ]


def _look(directory: Path, state: Path, max_bytes: int) -> Status:
    daemon = _daemon(directory)
    position = daemon.position
    segments = find_segments(directory)
    if not daemon.running:
        position = earliest(map(snapshot_position, snapshot_paths(state, workers_of(state))))
    mark, losses = read_control(directory)
    losses = losses or Losses()
    begin = Position(segments[0].begin if segments else 0)
    end = find_end(segments, mark, position or begin).position
    first = first_record(segments)
    begin = Position(
        begin.bytes if segments else end.bytes,
        end.frames if first is None else first.begin.frames,
    )
    if position is None or position.bytes < begin.bytes:
        position = begin
    waiting, oldest = _waiting(daemon, segments, position, end, losses.settled)
    return Status(
        directory=str(directory),
        running=daemon.running,
        full=daemon.full,
        held=daemon.held,
        bytes=end.bytes - begin.bytes,
        max_bytes=max_bytes,
        frames_kept=end.frames - begin.frames,
        frames_waiting=waiting,
        bytes_waiting=end.bytes - position.bytes,
        oldest_waiting=None if oldest is None else _iso(oldest),
        position=position.bytes,
        end=end.bytes,
        frames_lost=losses.frames,
        bytes_lost=losses.bytes,
        counters=daemon.counters,
        addresses=daemon.addresses,
    )


def _waiting(
    daemon: "_Daemon", segments: Sequence[Segment], position: Position, end: Position, settled: int
) -> tuple[int, float | None]:
    """How many frames are received and not stored, and when the first of them came."""
    if daemon.unstored is not None:
        waiting = end.frames - position.frames + daemon.unstored
        if daemon.unstored and daemon.oldest is not None:
            return waiting, daemon.oldest
    else:
        # What came after the snapshot may be stored, and is then going to be read once more.
        waiting = end.frames - max(position.frames, settled)
    oldest = first_record(segments, position) if waiting else None
    return waiting, None if oldest is None else oldest.batch.received_at


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class _Daemon:
    """Whether a daemon runs, and what it says: where it is, what is wrong, its counters."""

    running: bool
    position: Position | None = None
    full: str | None = None
    held: str | None = None
    unstored: int | None = None
    oldest: float | None = None
    counters: dict[str, int | str | None] | None = None
    addresses: list[str] = field(default_factory=list)


def _daemon(directory: Path) -> _Daemon:
    try:
        descriptor = os.open(directory / STATE_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return _Daemon(False)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        said = os.read(descriptor, STATE_BYTES)
    else:
        return _Daemon(False)
    finally:
        os.close(descriptor)
    try:
        state = orjson.loads(said)
        position = Position(state["bytes"], state["frames"])
        return _Daemon(
            True,
            position,
            state["full"],
            state.get("held"),
            state.get("unstored"),
            state.get("oldest"),
            state.get("counters"),
            state.get("addresses", []),
        )
    except (ValueError, KeyError):
        return _Daemon(True)  # it has just been started, or is the version before
