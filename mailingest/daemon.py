"""The daemon: inputs -> pipeline -> batcher -> output, until it is told to stop."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
import uvloop

from mailingest.config import Settings
from mailingest.core.pipeline import Pipeline
from mailingest.errors import MailingestError
from mailingest.inputs.tcp import TcpInput
from mailingest.inputs.udp import UdpInput
from mailingest.notify import notify, watchdog_interval
from mailingest.outputs import Output
from mailingest.outputs.batcher import Batcher
from mailingest.outputs.deadletters import DeadLetters
from mailingest.state import Replacement, make_directory, restore
from mailingest.wiring import build_output, build_pipeline

_log = structlog.get_logger(__name__)

# Delivery lines that wait for their qmgr line go out about this many seconds late at most.
_TICK_SECONDS = 0.5
# Two bulk requests under way keep Elasticsearch busy while the next batch is made.
_ELASTICSEARCH_IN_FLIGHT = 2


def run(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; the exit code is 1 if documents could not be written.

    Raises UsageError if it cannot start.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Daemon(settings).main())


class Daemon:
    """One run of the service."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._snapshot = settings.state.directory / "queue-ids"
        self._saving = asyncio.Lock()
        make_directory(settings.state.directory, "state.directory")
        self._pipeline: Pipeline = build_pipeline(settings, live=True)
        self._output: Output = build_output(settings)
        self._batcher = Batcher(
            self._output,
            DeadLetters(settings.state.directory, max_bytes=settings.state.max_dead_letter_bytes),
            max_documents=settings.batch.max_documents,
            max_bytes=settings.batch.max_bytes,
            max_age=settings.batch.max_age,
            capacity=settings.batch.capacity,
            in_flight=_ELASTICSEARCH_IN_FLIGHT if settings.elasticsearch.hosts else 1,
        )
        self._udp = [
            UdpInput(
                listener.host,
                listener.port,
                receive_buffer=listener.receive_buffer,
                deliver=self._take_datagram,
            )
            for listener in settings.inputs.udp
        ]
        self._tcp = [
            TcpInput(
                listener.host,
                listener.port,
                max_connections=listener.max_connections,
                idle_timeout=listener.idle_timeout,
                deliver=self._take_frames,
            )
            for listener in settings.inputs.tcp
        ]
        self._sources: list[UdpInput | TcpInput] = [*self._udp, *self._tcp]

    async def main(self) -> int:
        """Start, serve, and drain; raises UsageError if it cannot start."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        restore(self._pipeline, self._snapshot)
        writing = asyncio.create_task(self._batcher.run())
        try:
            return await self._serve(stop, writing)
        finally:
            for source in self._sources:
                source.close()
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await self._output.close()

    async def _serve(self, stop: asyncio.Event, writing: asyncio.Task[None]) -> int:
        for source in self._sources:
            source.open()
        receiving = [asyncio.create_task(source.serve()) for source in self._sources]
        chores = [
            asyncio.create_task(_every(_TICK_SECONDS, self._tick)),
            asyncio.create_task(
                _every(self._settings.state.snapshot_interval, self._save_snapshot_to_its_end)
            ),
            asyncio.create_task(_every(self._settings.log.report_interval, self._report)),
        ]
        if (interval := watchdog_interval()) is not None:
            chores.append(asyncio.create_task(_every(interval, _sign_of_life)))
        notify("READY=1")
        _log.info("started", addresses=[source.address for source in self._sources])
        stopping = asyncio.create_task(stop.wait())
        try:
            await _first_of(stopping, writing, *receiving, *chores)
        finally:
            notify("STOPPING=1")
            for task in (stopping, *chores):
                task.cancel()
            await asyncio.gather(stopping, *chores, return_exceptions=True)
        return await self._stop(receiving, writing)

    async def _stop(self, receiving: list[asyncio.Task[None]], writing: asyncio.Task[None]) -> int:
        """Take in what the kernel has received, and write out everything in the time set."""
        _log.info("stopping", pending=self._batcher.pending)
        deadline = self._settings.shutdown_timeout
        began = time.monotonic()
        for source in self._sources:
            source.close()
        _, late = await asyncio.wait(receiving, timeout=deadline) if receiving else ((), ())
        for task in late:
            task.cancel()
        for document in self._pipeline.flush():
            self._batcher.add(document)
        draining = asyncio.create_task(
            self._batcher.drain(max(0.0, deadline - (time.monotonic() - began)))
        )
        await asyncio.wait((draining, writing), return_when=asyncio.FIRST_COMPLETED)
        draining.cancel()
        left = self._batcher.pending
        await self._save_snapshot()
        await self._report()
        if left:
            _log.error("documents could not be written in time and are lost", documents=left)
        else:
            _log.info("stopped")
        return 1 if left else 0

    def _take_datagram(self, payload: bytes, peer: str) -> bool:
        if not self._batcher.has_room:
            return False
        for document in self._pipeline.feed(payload, time.time(), peer):
            self._batcher.add(document)
        return True

    async def _take_frames(self, frames: list[bytes], peer: str) -> None:
        now = time.time()
        feed = self._pipeline.feed
        await self._batcher.put_many(
            [document for frame in frames for document in feed(frame, now, peer)]
        )

    async def _tick(self) -> None:
        for document in self._pipeline.tick(time.time()):
            self._batcher.add(document)

    async def _save_snapshot(self) -> None:
        # Rows are made between frames, a few hundred queue IDs at a time; the disk is waited for
        # in a thread.
        async with self._saving:
            try:
                with Replacement(self._snapshot) as file:
                    for row in self._pipeline.snapshot():
                        await asyncio.to_thread(file.write, row)
                    await asyncio.to_thread(file.commit)
            except OSError as error:
                _log.error("snapshot not written", path=str(self._snapshot), reason=error.strerror)

    async def _save_snapshot_to_its_end(self) -> None:
        # Cancelled half-way, its thread would go on and meet the last snapshot's.
        await asyncio.shield(asyncio.create_task(self._save_snapshot()))

    def _reload(self) -> None:
        """SIGHUP after log rotation: an NDJSON file is opened anew."""
        reopen = getattr(self._output, "reopen", None)
        if reopen is not None:
            self._reopening = asyncio.create_task(reopen())

    async def _report(self) -> None:
        _log.info("counters", **self.counters())

    def counters(self) -> dict[str, Any]:
        """What came in, what became of it, and what was lost, since the start."""
        lines, queue, batcher = (
            self._pipeline.counters,
            self._pipeline.queue_map.counters,
            self._batcher,
        )
        return {
            "datagrams_received": sum(source.datagrams_received for source in self._udp),
            "datagrams_dropped": sum(source.datagrams_dropped for source in self._udp),
            "datagrams_dropped_by_kernel": sum(source.kernel_drops for source in self._udp),
            "connections_open": sum(source.connections_open for source in self._tcp),
            "connections_refused": sum(source.connections_refused for source in self._tcp),
            "frames_received": lines.frames,
            "frames_empty": lines.frames_empty,
            "frames_oversized": sum(source.frames.oversized for source in self._tcp),
            "lines_unmatched": dict(lines.unmatched),
            "queue_ids": len(self._pipeline.queue_map),
            "queue_ids_evicted": queue.entries_evicted,
            "deliveries_enriched": queue.deliveries_enriched,
            "deliveries_unmatched": queue.deliveries_unmatched,
            "deliveries_waiting": self._pipeline.queue_map.waiting,
            "documents_stored": batcher.documents_stored,
            "documents_duplicate": batcher.documents_duplicate,
            "documents_rejected": batcher.documents_rejected,
            "documents_pending": batcher.pending,
            "retries": batcher.retries,
        }


async def _every(seconds: float, action: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        await action()


async def _sign_of_life() -> None:
    notify("WATCHDOG=1")


async def _first_of(*tasks: asyncio.Task[Any]) -> None:
    """Wait until one task ends; raises its error if it has one."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        error = task.exception()
        if isinstance(error, BrokenPipeError):
            raise MailingestError("the reader of standard output has gone") from None
        if error is not None:
            raise error
