"""Log files -> the same pipeline and store as live, resumable after an interruption."""

import asyncio
import signal
import time
from collections.abc import Sequence
from typing import Final

from mailingest.commands.checkpoint import Checkpoint, ResumePoint
from mailingest.commands.replay_progress import ShowProgress
from mailingest.commands.replay_result import ReplayResult
from mailingest.config import Settings
from mailingest.delivery.batcher import Batcher
from mailingest.delivery.deadletters import DeadLetters
from mailingest.documents import Document
from mailingest.errors import sole_error
from mailingest.inputs.files import DamagedFile, LogFile
from mailingest.inputs.pipes import BlockReader
from mailingest.inputs.years import tell_doubt
from mailingest.logs.logger import log
from mailingest.pipeline import FrameBlock
from mailingest.postfix.spreading import Share
from mailingest.service.frame_limit import FrameLimit, FrameTooSlow
from mailingest.spool.files import make_directory
from mailingest.spool.frame_mark import FrameMark
from mailingest.stores.protocol import Writer
from mailingest.wiring import build_batcher, build_pipeline, build_store

# An interrupted replay repeats at most this many seconds of work.
_CHECKPOINT_SECONDS: Final = 10.0


class Replay:
    """One run over a set of files, in the order given, for all lines or one worker's ``share``.

    A checkpoint is written only when everything before it is stored and no event waits, so that
    going on from it gives the same documents as not being interrupted.
    """

    def __init__(
        self,
        settings: Settings,
        files: Sequence[LogFile],
        show: ShowProgress,
        share: Share | None = None,
    ) -> None:
        """Raises UsageError if it cannot start."""
        self._settings = settings
        self._share = share
        self._pipeline = build_pipeline(settings, live=False, share=share)
        self._files = files
        self._show = show
        self._lines = 0
        self._damaged = 0
        self._interrupted = False
        # In memory only: a replay that is killed is not started again by itself.
        self._mark = FrameMark(settings.state.directory)
        self._reader = BlockReader()
        make_directory(settings.state.directory, "state.directory")
        self._checkpoint = Checkpoint(
            settings.state.directory, files, settings.default_source, share
        )
        found = self._checkpoint.restore(self._pipeline)
        if found is not None:
            log.info("goes on where the last run stopped", file=found.file + 1)
        self._start = self._place = found or ResumePoint()

    async def main(self) -> ReplayResult:
        """Read, store, and tell what came of it."""
        state = self._settings.state
        writer = build_store(self._settings).writer()
        dead_letters = DeadLetters(state.directory, max_bytes=state.max_dead_letter_bytes)
        batcher = build_batcher(self._settings, writer, dead_letters)
        loop = asyncio.get_running_loop()
        limit = FrameLimit(self._mark)
        limit.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(batcher.run())
                reading = tasks.create_task(self._read(batcher, writer))
                for number in (signal.SIGTERM, signal.SIGINT):
                    loop.add_signal_handler(number, self._interrupt, reading)
                await asyncio.wait([reading])
                writing.cancel()
        except ExceptionGroup as group:
            raise sole_error(group) from None
        finally:
            limit.stop()
            await writer.close()
        return self._conclude(batcher)

    def _interrupt(self, reading: asyncio.Task[None]) -> None:
        """Stop at the next checkpoint; asked a second time (the store may be away), at once."""
        if self._interrupted:
            reading.cancel()
        self._interrupted = True
        self._reader.stop()

    async def _read(self, batcher: Batcher, writer: Writer) -> None:
        done = sum(file.size_bytes for file in self._files[: self._start.file])
        for number in range(self._start.file, len(self._files)):
            file = self._files[number]
            try:
                await self._read_file(number, batcher, writer, done)
            except DamagedFile as error:
                self._damaged += 1
                if self._tells:
                    log.error("file is damaged; what could be read was", reason=str(error))
            if self._interrupted:
                if not file.is_regular:
                    # It cannot be read again.
                    await self._store_all(batcher, writer)
                return
            done += file.size_bytes
        await self._store_all(batcher, writer)
        if self._share is not None:
            # Others may be interrupted yet, and lines be added to the file until they go on.
            await self._checkpoint.save(self._place, self._pipeline)

    @property
    def _tells(self) -> bool:
        """Whether it is for this worker to tell of what all of them see."""
        return self._share is None or self._share.number == 0

    async def _store_all(self, batcher: Batcher, writer: Writer) -> None:
        for document in self._pipeline.flush():
            await batcher.put(document)
        await batcher.drain()
        await writer.sync()

    async def _read_file(self, number: int, batcher: Batcher, writer: Writer, done: int) -> None:
        file = self._files[number]
        start = self._start.offset if number == self._start.file else 0
        span = self._pipeline.begin_file()
        checkpointed = time.monotonic()
        async for block in self._reader.blocks(file, start):
            documents = self._feed(block.lines, file.mtime, batcher)
            self._lines += len(block.lines)
            self._place = ResumePoint(number, block.offset_after)
            await batcher.put_many(documents)
            self._show(file.path.name, done + block.progress, self._pipeline.counters.frames)
            now = time.monotonic()
            is_due = self._interrupted or now - checkpointed >= _CHECKPOINT_SECONDS
            if is_due and not self._pipeline.queue_map.waiting:
                await batcher.drain()
                await writer.sync()
                await self._checkpoint.save(self._place, self._pipeline)
                checkpointed = now
                if self._interrupted:
                    return
        if self._tells:
            tell_doubt(file, span)

    def _feed(self, lines: Sequence[bytes], reference: float, batcher: Batcher) -> list[Document]:
        """The documents of lines; one that takes too long is set aside, as by the daemon."""
        block = FrameBlock(lines, reference, cell=self._mark.cell, first=self._lines + 1)
        documents = self._pipeline.feed_all(block)
        for place, error in block.failed:
            if not isinstance(error, FrameTooSlow):
                raise error
            log.error("a line is set aside", reason=str(error), line=repr(lines[place][:2000]))
            batcher.reject(self._pipeline.unread(lines[place], reference, "", 0), str(error))
        return documents

    def _conclude(self, batcher: Batcher) -> ReplayResult:
        counters = self._pipeline.counters
        return ReplayResult(
            interrupted=self._interrupted,
            files=len(self._files),
            files_damaged=self._damaged,
            lines=counters.frames,
            empty=counters.frames_empty,
            unmatched=dict(counters.unmatched),
            stored=batcher.documents_stored,
            duplicates=batcher.documents_duplicate,
            rejected=batcher.documents_rejected,
            left_out=counters.documents_left_out,
            deliveries_unmatched=self._pipeline.queue_map.counters.deliveries_unmatched,
        )
