"""Backfill: log files -> the same pipeline and store as live, resumable after an interruption."""

import asyncio
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import orjson
import uvloop
from rich.progress import Progress, TaskID

from mailingest.commands.checkpoint import Checkpoint, ResumePoint
from mailingest.commands.progress import progress_bar
from mailingest.config import Settings
from mailingest.delivery.batcher import Batcher
from mailingest.delivery.deadletters import DeadLetters
from mailingest.documents import Document
from mailingest.errors import sole_error
from mailingest.inputs.files import DamagedFile, LogFile
from mailingest.inputs.pipes import BlockReader
from mailingest.inputs.years import tell_doubt
from mailingest.logs.logger import log
from mailingest.pipeline import FrameBlock, Pipeline
from mailingest.service import gc_tuning, heap
from mailingest.service.frame_limit import FrameLimit, FrameTooSlow
from mailingest.spool.files import make_directory
from mailingest.spool.frame_mark import FrameMark
from mailingest.stores.protocol import Writer
from mailingest.wiring import build_batcher, build_pipeline, build_store, log_files

# An interrupted replay repeats at most this many seconds of work.
_CHECKPOINT_SECONDS: Final = 10.0
_EXIT_INTERRUPTED: Final = 130


def run(
    settings: Settings, arguments: Sequence[str], *, restart: bool, year: int | None = None
) -> "ReplayResult":
    """Replay the files named by the arguments.  Raises UsageError if it cannot start."""
    heap.use_one_arena()
    pipeline = build_pipeline(settings, live=False)
    files = log_files(settings, arguments, year)
    replay = Replay(settings, pipeline, files, restart=restart)
    gc_tuning.tune()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(replay.main())


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What came of a replay: numbers of files, of lines, and of documents by what became of them.

    ``stored`` are those that are in the store now, ``duplicates`` the ones of them that had been
    there before.  ``unmatched`` are lines that no pattern matched, by tag.
    """

    interrupted: bool
    files: int
    files_damaged: int
    lines: int
    empty: int
    unmatched: dict[str, int]
    stored: int
    duplicates: int
    rejected: int
    left_out: int
    deliveries_unmatched: int

    @property
    def exit_code(self) -> int:
        """1 if a file was damaged or a document was refused, 130 after an interruption."""
        if self.interrupted:
            return _EXIT_INTERRUPTED
        return 1 if self.files_damaged or self.rejected else 0

    def sentence(self) -> str:
        """It in words; what is 0 and need not be is left out."""
        known = f", {self.duplicates:,} of which were stored before" if self.duplicates else ""
        unmatched = sum(self.unmatched.values())
        parts = (
            (unmatched, "no pattern matched {} (mailingest parse --unmatched shows them)"),
            (self.rejected, "the store refused {} (mailingest deadletter list says why)"),
            (self.left_out, "{} are left out, as the configuration says"),
            (self.files_damaged, "{} of the files are damaged, and read as far as they could be"),
        )
        said = [
            f"{self.stored:,} events of {self.lines:,} lines in {self.files:,} "
            f"{'file' if self.files == 1 else 'files'} are in the store{known}",
            *(text.format(f"{count:,}") for count, text in parts if count),
        ]
        if self.interrupted:
            said.append("it was interrupted: the same command goes on from here")
        return f"{'; '.join(said)}."

    def json(self) -> str:
        """It as an object, with the counters' names."""
        names = {
            "empty": "lines_empty",
            "unmatched": "lines_unmatched",
            "stored": "documents_stored",
            "duplicates": "documents_duplicate",
            "rejected": "documents_rejected",
            "left_out": "documents_left_out",
        }
        return orjson.dumps(
            {names.get(name, name): value for name, value in asdict(self).items()}
        ).decode()


class Replay:
    """One run over a set of files, in the order given.

    A checkpoint is written only when everything before it is stored and no event waits, so that
    going on from it gives the same documents as not being interrupted.
    """

    def __init__(
        self, settings: Settings, pipeline: Pipeline, files: list[LogFile], *, restart: bool
    ) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._files = files
        self._lines = 0
        self._began = time.monotonic()
        self._damaged = 0
        self._interrupted = False
        # In memory only: a replay that is killed is not started again by itself.
        self._mark = FrameMark(settings.state.directory)
        self._reader = BlockReader()
        make_directory(settings.state.directory, "state.directory")
        self._checkpoint = Checkpoint(settings.state.directory, files, settings.default_source)
        if restart:
            self._checkpoint.forget()
        found = self._checkpoint.restore(pipeline)
        if found is not None:
            log.info("goes on where the last run stopped", file=found.file + 1)
        self._start = found or ResumePoint()

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
        with progress_bar("{task.fields[rate]}") as progress:
            size = sum(file.size_bytes for file in self._files)
            task = progress.add_task("", total=size or None, rate="")
            done = sum(file.size_bytes for file in self._files[: self._start.file])
            for number in range(self._start.file, len(self._files)):
                file = self._files[number]
                progress.update(task, description=file.path.name)
                try:
                    await self._read_file(number, batcher, writer, progress, task, done)
                except DamagedFile as error:
                    self._damaged += 1
                    log.error("file is damaged; what could be read was", reason=str(error))
                if self._interrupted:
                    if not file.is_regular:
                        # It cannot be read again.
                        await self._store_all(batcher, writer)
                    return
                done += file.size_bytes
                progress.update(task, completed=done)
            await self._store_all(batcher, writer)
            self._checkpoint.forget()

    async def _store_all(self, batcher: Batcher, writer: Writer) -> None:
        for document in self._pipeline.flush():
            await batcher.put(document)
        await batcher.drain()
        await writer.sync()

    async def _read_file(
        self,
        number: int,
        batcher: Batcher,
        writer: Writer,
        progress: Progress,
        task: TaskID,
        done: int,
    ) -> None:
        file = self._files[number]
        start = self._start.offset if number == self._start.file else 0
        span = self._pipeline.begin_file()
        checkpointed = time.monotonic()
        async for block in self._reader.blocks(file, start):
            documents = self._feed(block.lines, file.mtime, batcher)
            self._lines += len(block.lines)
            await batcher.put_many(documents)
            now = time.monotonic()
            rate = self._lines / max(now - self._began, 0.001)
            progress.update(task, completed=done + block.progress, rate=f"{rate:,.0f} lines/s")
            is_due = self._interrupted or now - checkpointed >= _CHECKPOINT_SECONDS
            if is_due and not self._pipeline.queue_map.waiting:
                await batcher.drain()
                await writer.sync()
                place = ResumePoint(number, block.offset_after)
                await self._checkpoint.save(place, self._pipeline)
                checkpointed = now
                if self._interrupted:
                    return
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
        if not counters.frames and not self._interrupted:
            log.warning(
                "there was no line in what was to be read: nothing was stored",
                files=[str(file.path) for file in self._files],
            )
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
