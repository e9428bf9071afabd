"""Backfill: log files -> the same pipeline and output as live, resumable after an interruption."""

import asyncio
import hashlib
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import structlog
import uvloop
from rich.progress import Progress, TaskID

from mailingest.commands.progress import progress_bar
from mailingest.config import Settings
from mailingest.delivery.batcher import Batcher
from mailingest.delivery.deadletters import DeadLetters
from mailingest.errors import UsageError
from mailingest.inputs.files import DamagedFile, LogFile, identity
from mailingest.inputs.rotation import expand
from mailingest.pipeline import Pipeline
from mailingest.service import gc_tuning
from mailingest.spool.files import make_directory, replace_file
from mailingest.wiring import build_pipeline, build_store, first_time

_log = structlog.get_logger(__name__)

# An interrupted replay repeats at most this many seconds of work.
_CHECKPOINT_SECONDS = 10.0
_EXIT_INTERRUPTED = 130


def run(settings: Settings, arguments: Sequence[str], *, restart: bool) -> int:
    """Replay the files named by the arguments.

    The exit code is 1 if a file was damaged or a document could not be stored, and 130 after an
    interruption.  Raises UsageError if it cannot start.
    """
    pipeline = build_pipeline(settings, live=False)
    files = expand(arguments, first_time(settings))
    replay = Replay(settings, pipeline, files, restart=restart)
    gc_tuning.tune()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(replay.main())


@dataclass(slots=True)
class _Position:
    """Where to go on: the file's place in the set, and the offset in its uncompressed text."""

    file: int = 0
    offset: int = 0


class Replay:
    """One run over a set of files, in the order given.

    A checkpoint has the position and all that the pipeline knows of earlier lines.  It is written
    only when everything before it is stored and no event waits, so that going on from it gives
    the same documents as not being interrupted.
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
        self._position = _Position()
        make_directory(settings.state.directory, "state.directory")
        names = [identity(file.path) for file in files if file.is_regular]
        digest = hashlib.blake2b("\n".join(names).encode(), digest_size=16).hexdigest()
        self._checkpoint: Path | None = None
        # What comes through a pipe cannot be read again.
        if len(names) == len(files):
            self._checkpoint = settings.state.directory / f"replay-{digest}"
        if restart:
            self._forget()
        else:
            self._resume()

    async def main(self) -> int:
        """Read, store and report."""
        output = build_store(self._settings).writer()
        batcher = Batcher(
            output,
            DeadLetters(
                self._settings.state.directory,
                max_bytes=self._settings.state.max_dead_letter_bytes,
            ),
            max_documents=self._settings.batch.max_documents,
            max_bytes=self._settings.batch.max_bytes,
            max_age=self._settings.batch.max_age,
            capacity=self._settings.batch.capacity,
        )
        writing = asyncio.create_task(batcher.run())
        reading = asyncio.create_task(self._read(batcher))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._interrupt, reading)
        try:
            await asyncio.wait((reading, writing), return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                reading.cancel()
                writing.result()
            if not reading.cancelled():
                reading.result()
        finally:
            writing.cancel()
            await asyncio.gather(writing, reading, return_exceptions=True)
            await output.close()
        return self._conclude(batcher)

    def _interrupt(self, reading: asyncio.Task[None]) -> None:
        """Stop at the next checkpoint; asked a second time (the store may be away), at once."""
        if self._interrupted:
            reading.cancel()
        self._interrupted = True

    async def _read(self, batcher: Batcher) -> None:
        with progress_bar("{task.fields[rate]}") as progress:
            size = sum(file.size_bytes for file in self._files)
            task = progress.add_task("", total=size or None, rate="")
            done = sum(file.size_bytes for file in self._files[: self._position.file])
            first = self._position
            for number in range(first.file, len(self._files)):
                file = self._files[number]
                start = first.offset if number == first.file else 0
                self._position = _Position(number, start)
                progress.update(task, description=file.path.name)
                try:
                    await self._read_file(file, start, batcher, progress, task, done)
                except DamagedFile as error:
                    self._damaged += 1
                    _log.error("file is damaged; what could be read was", reason=str(error))
                if self._interrupted:
                    return
                done += file.size_bytes
                progress.update(task, completed=done)
            for document in self._pipeline.flush():
                await batcher.put(document)
            await batcher.drain()
            self._forget()

    async def _read_file(
        self,
        file: LogFile,
        start: int,
        batcher: Batcher,
        progress: Progress,
        task: TaskID,
        done: int,
    ) -> None:
        feed, reference = self._pipeline.feed, file.mtime
        checkpointed = time.monotonic()
        for block in file.blocks(start):
            documents = [document for line in block.lines for document in feed(line, reference)]
            self._lines += len(block.lines)
            await batcher.put_many(documents)
            now = time.monotonic()
            rate = self._lines / max(now - self._began, 0.001)
            progress.update(task, completed=done + block.progress, rate=f"{rate:,.0f} lines/s")
            is_due = self._interrupted or now - checkpointed >= _CHECKPOINT_SECONDS
            if is_due and not self._pipeline.queue_map.waiting:
                self._position.offset = block.offset_after
                await batcher.drain()
                await self._save()
                checkpointed = now
                if self._interrupted:
                    return

    async def _save(self) -> None:
        if self._checkpoint is not None:
            position = orjson.dumps([self._position.file, self._position.offset])
            rows = [position, *self._pipeline.snapshot()]
            await asyncio.to_thread(replace_file, self._checkpoint, rows)

    def _resume(self) -> None:
        if self._checkpoint is None or not self._checkpoint.exists():
            return
        position, *rows = self._checkpoint.read_bytes().splitlines()
        try:
            self._position = _Position(*orjson.loads(position))
            self._pipeline.restore(rows)
        except (ValueError, TypeError) as error:
            raise UsageError(
                f"{self._checkpoint}: the checkpoint is damaged ({error}): use --restart"
            ) from None
        _log.info("goes on where the last run stopped", file=self._position.file + 1)

    def _forget(self) -> None:
        if self._checkpoint is not None:
            self._checkpoint.unlink(missing_ok=True)

    def _conclude(self, batcher: Batcher) -> int:
        counters = self._pipeline.counters
        _log.info(
            "replay interrupted; run it again to go on" if self._interrupted else "replay finished",
            files=len(self._files),
            files_damaged=self._damaged,
            lines=counters.frames,
            lines_empty=counters.frames_empty,
            lines_unmatched=dict(counters.unmatched),
            documents_stored=batcher.documents_stored,
            documents_duplicate=batcher.documents_duplicate,
            documents_rejected=batcher.documents_rejected,
            documents_left_out=counters.documents_left_out,
            deliveries_unmatched=self._pipeline.queue_map.counters.deliveries_unmatched,
        )
        if self._interrupted:
            return _EXIT_INTERRUPTED
        return 1 if self._damaged or batcher.documents_rejected else 0
