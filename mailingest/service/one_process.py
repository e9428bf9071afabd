"""Work in the process that receives; see `mailingest.service.work.Work`."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from mailingest.config import Settings
from mailingest.errors import UsageError
from mailingest.service.changing import Changing, Prepared
from mailingest.service.chores import Chore, every
from mailingest.service.frame_limit import FrameLimit
from mailingest.service.noticed import FILE, recalled
from mailingest.service.operator_log import log_noticed, log_sender
from mailingest.service.parts import Figures, Parts, Processing
from mailingest.service.snapshots import Snapshots
from mailingest.spool.frame_mark import FrameMark
from mailingest.spool.layout import SNAPSHOT
from mailingest.spool.records import Position
from mailingest.spool.snapshot import restore
from mailingest.stores.threads import in_thread

# Delivery lines that wait for their qmgr line go out about this many seconds late at most.
TICK_SECONDS: Final = 0.5
# Dead letters that a command has taken away are counted this long at most.
_MEASURE_SECONDS: Final = 60.0


class OneProcess:
    """The work of a daemon that is one process; ``settings`` gives those in force."""

    def __init__(self, settings: Settings, parts: Parts, in_force: Callable[[], Settings]) -> None:
        self._path = settings.state.directory / SNAPSHOT
        self._parts = parts
        self._in_force = in_force
        self._snapshots = Snapshots(
            self._path,
            parts.pipeline,
            parts.spool,
            parts.batcher.receipts,
            parts.writer.sync,
            parts.positions.save,
        )
        self._changing = Changing(settings, parts, self._snapshots.hurry)
        self._frame_limit = FrameLimit(parts.mark)

    @property
    def figures(self) -> Figures:
        return self._parts

    @property
    def unstored(self) -> int:
        return self._parts.unstored

    @property
    def is_alive(self) -> bool:
        return True

    def open(self) -> None:
        parts = self._parts
        position = restore(parts.pipeline, self._path)
        parts.pipeline.watch = recalled(self._path.with_name(FILE))
        parts.spool.open(position)
        open_mark(parts.mark, position)
        self._frame_limit.start()

    async def begin(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        return begin_processing(group, self._parts)

    def chores(self) -> list[Chore]:
        return [
            every(lambda: TICK_SECONDS, self._tick),
            self._snapshots.keep(lambda: self._in_force().state.snapshot_interval),
            measure_dead_letters(self._parts),
        ]

    async def finish(self, end: float) -> None:
        parts = self._parts
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                await parts.processor.catch_up()
            parts.processor.flush()
            await parts.batcher.drain(max(0.0, end - asyncio.get_running_loop().time()))
        if not parts.spool.frames + self.unstored:
            # Nothing waits, so it is valid at once.
            await self._snapshots.take()

    async def close(self) -> None:
        self._frame_limit.stop()
        await self._parts.writer.close()
        self._parts.mark.close()

    async def prepare(self, settings: Settings) -> Prepared:
        return await self._changing.prepare(settings)

    async def reopen(self) -> None:
        await self._parts.writer.reopen()

    async def _tick(self) -> None:
        tick(self._parts)


def open_mark(mark: FrameMark, position: Position | None) -> None:
    """Open the mark of the frame that is worked on; raises UsageError."""
    try:
        mark.open()
    except OSError as error:
        raise UsageError(
            f"state.directory: the mark of the spool: {error.strerror}: look after the disk"
        ) from None
    if position is not None:
        mark.forget(position.frames)


def begin_processing(group: asyncio.TaskGroup, processing: Processing) -> list[asyncio.Task[None]]:
    """Take lines from the spool and store what they become, in tasks of that group."""
    return [
        group.create_task(processing.batcher.run()),
        group.create_task(processing.processor.run()),
    ]


def tick(processing: Processing, *, tells_of_hosts: bool = True) -> None:
    """Let time pass, and log what was noticed."""
    processing.processor.tick(time.time())
    pipeline = processing.pipeline
    for notice in (*pipeline.senders.take(), *pipeline.peers.take()):
        if tells_of_hosts:
            log_sender(notice)
    for noticed, has_begun in pipeline.watch.board.take():
        log_noticed(noticed, has_begun=has_begun)


async def measure_dead_letters(processing: Processing) -> None:
    """Look now and then how many there are."""
    while True:
        await in_thread(processing.dead_letters.measure)
        await asyncio.sleep(_MEASURE_SECONDS)
