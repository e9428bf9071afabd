"""The daemon: inputs -> spool -> pipeline -> batcher -> output, until it is told to stop.

Inputs only append to the spool; one task takes from it, as long as the batcher has room.  So a
store that is slow or away holds up nobody until the spool is full.
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from typing import Any

import structlog
import uvloop

from mailingest.config import Settings
from mailingest.delivery.batcher import Batcher
from mailingest.delivery.deadletters import DeadLetters
from mailingest.documents import Document
from mailingest.errors import MailingestError
from mailingest.inputs.stream import TcpInput
from mailingest.inputs.udp import UdpInput
from mailingest.pipeline import Pipeline
from mailingest.service import gc_tuning
from mailingest.service.snapshots import Snapshots
from mailingest.service.systemd import notify, watchdog_interval
from mailingest.spool.journal import Record
from mailingest.spool.queue import Spool
from mailingest.spool.snapshot import make_directory, restore
from mailingest.stores.protocol import Writer
from mailingest.wiring import build_pipeline, build_store

_log = structlog.get_logger(__name__)

# Delivery lines that wait for their qmgr line go out about this many seconds late at most.
_TICK_SECONDS = 0.5
# Datagrams of one turn of the event loop are one record, up to about this size.
_DATAGRAMS_OCTETS = 64 * 1024
# Datagrams go before lines that are safe in the spool: after each record up to so many turns, as
# long as two of them bring what uvloop reads at once.
_MOST_TURNS = 32
_BUSY_TURN = 32
# A stream is named by the millisecond of the start, and below it the number of the connection.
_CONNECTION_BITS = 22


def run(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; the exit code is 0, also if lines are left in the spool.

    Raises UsageError if it cannot start.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        daemon = Daemon(settings)
        gc_tuning.relax()
        return runner.run(daemon.main())


class Daemon:
    """One run of the service."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._snapshot = settings.state.directory / "queue-ids"
        spool = settings.state.directory / "spool"
        make_directory(settings.state.directory, "state.directory")
        make_directory(spool, "state.directory")
        self._spool = Spool(spool, max_octets=settings.spool.max_bytes)
        self._streams = time.time_ns() // 1_000_000 << _CONNECTION_BITS
        self._datagrams: list[tuple[str, bytes]] = []
        self._datagrams_octets = 0
        self._datagrams_taken = 0
        self._datagrams_refused = 0
        self._frames_failed = 0
        self._is_idle = asyncio.Event()
        self._pipeline: Pipeline = build_pipeline(settings, live=True)
        store = build_store(settings)
        self._output: Writer = store.writer()
        self._batcher = Batcher(
            self._output,
            DeadLetters(settings.state.directory, max_bytes=settings.state.max_dead_letter_bytes),
            max_documents=settings.batch.max_documents,
            max_bytes=settings.batch.max_bytes,
            max_age=settings.batch.max_age,
            capacity=settings.batch.capacity,
            in_flight=store.in_flight,
            keep_trying=store.keep_trying,
        )
        self._snapshots = Snapshots(self._snapshot, self._pipeline, self._spool, self._batcher)
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
        self._spool.open(restore(self._pipeline, self._snapshot))
        working = [
            asyncio.create_task(self._batcher.run()),
            asyncio.create_task(self._consume()),
        ]
        try:
            return await self._serve(stop, working)
        finally:
            for source in self._sources:
                source.close()
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            await self._output.close()
            self._spool.close()

    async def _serve(self, stop: asyncio.Event, working: list[asyncio.Task[None]]) -> int:
        for source in self._sources:
            source.open()
        receiving = [asyncio.create_task(source.serve()) for source in self._sources]
        chores = [
            asyncio.create_task(_every(_TICK_SECONDS, self._tick)),
            asyncio.create_task(self._snapshots.keep(self._settings.state.snapshot_interval)),
            asyncio.create_task(_every(self._settings.log.report_interval, self._report)),
        ]
        if (interval := watchdog_interval()) is not None:
            chores.append(asyncio.create_task(_every(interval, _sign_of_life)))
        notify("READY=1")
        _log.info("started", addresses=[source.address for source in self._sources])
        stopping = asyncio.create_task(stop.wait())
        try:
            await _first_of(stopping, *working, *receiving, *chores)
        finally:
            notify("STOPPING=1")
            for task in (stopping, *chores):
                task.cancel()
            await asyncio.gather(stopping, *chores, return_exceptions=True)
        return await self._stop(receiving, working)

    async def _stop(
        self, receiving: list[asyncio.Task[None]], working: list[asyncio.Task[None]]
    ) -> int:
        """Take in what the kernel has received, and store what can be in the time set."""
        _log.info("stopping", frames=self._spool.frames, documents=self._batcher.pending)
        end = time.monotonic() + self._settings.shutdown_timeout
        self._spool.lift_bound()
        for source in self._sources:
            source.close()
        self._append_datagrams()
        if receiving:
            _, late = await asyncio.wait(receiving, timeout=end - time.monotonic())
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        draining = asyncio.create_task(self._drain(end))
        await asyncio.wait((draining, *working), return_when=asyncio.FIRST_COMPLETED)
        draining.cancel()
        left = self._spool.frames + self._pipeline.queue_map.waiting + self._batcher.pending
        if left:
            _log.warning("stopped; lines are in the spool until the next start", frames=left)
        else:
            # Nothing waits, so it is valid at once.
            await self._snapshots.take()
            _log.info("stopped")
        self._spool.look()
        await self._report()
        return 0

    @property
    def _is_caught_up(self) -> bool:
        """Whether all lines in the spool went through the pipeline and into the batcher."""
        return self._is_idle.is_set() and not self._spool.frames

    async def _drain(self, end: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(end - time.monotonic()):
                while not self._is_caught_up:
                    self._is_idle.clear()
                    await self._is_idle.wait()
            for document in self._pipeline.flush():
                self._batcher.add(document)
            await self._batcher.drain(max(0.0, end - time.monotonic()))

    def _take_datagram(self, payload: bytes, peer: str) -> bool:
        if self._spool.full is not None:
            return False
        self._datagrams_taken += 1
        if not self._datagrams:
            asyncio.get_running_loop().call_soon(self._append_datagrams)
        self._datagrams.append((peer, payload))
        self._datagrams_octets += len(payload)
        if self._datagrams_octets >= _DATAGRAMS_OCTETS:
            self._append_datagrams()
        return True

    def _append_datagrams(self) -> None:
        """Append what one turn of the event loop brought."""
        if not self._datagrams:
            return
        datagrams, self._datagrams, self._datagrams_octets = self._datagrams, [], 0
        now = time.time()
        records = [
            Record(now, peer, 0, [payload for _, payload in group])
            for peer, group in groupby(datagrams, itemgetter(0))
        ]
        if not self._spool.append(records):
            self._datagrams_refused += len(datagrams)

    async def _take_frames(self, frames: list[bytes], peer: str, connection: int) -> None:
        stream = self._streams + connection
        try:
            while not self._spool.append([Record(time.time(), peer, stream, frames)]):
                await self._spool.room()
        except asyncio.CancelledError:
            _log.error("lines were read and not taken", peer=peer, frames=len(frames))
            raise

    async def _consume(self) -> None:
        feed = self._pipeline.feed
        while True:
            self._pipeline.queue_map.mark = self._spool.position.octets
            record = self._spool.take()
            if record is None:
                self._is_idle.set()
                await self._spool.wait()
                self._is_idle.clear()
                continue
            now, peer, stream = record.received_at, record.peer, record.stream
            documents: list[Document] = []
            for frame in record.frames:
                try:
                    documents += feed(frame, now, peer, stream)
                except Exception:
                    # A fault of ours; it would come again after each start, and hold up all mail.
                    self._frames_failed += 1
                    _log.exception("a line made the pipeline fail", line=repr(frame[:2000]))
            await self._batcher.put_many(documents)
            await self._let_datagrams_in()

    async def _let_datagrams_in(self) -> None:
        """Put into the spool what the kernel has: its buffer is small, and the spool is not."""
        for _ in range(_MOST_TURNS):
            before = self._datagrams_taken
            # What one turn reads from a socket, the next one or two hand on.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if self._datagrams_taken - before < _BUSY_TURN:
                return

    async def _tick(self) -> None:
        self._spool.look()
        # While there are lines to take, the time is theirs.
        if self._is_caught_up:
            for document in self._pipeline.tick(time.time()):
                self._batcher.add(document)

    def _reload(self) -> None:
        """SIGHUP after log rotation: an NDJSON file is opened anew."""
        self._reopening = asyncio.create_task(self._output.reopen())

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
            "datagrams_dropped": sum(source.datagrams_dropped for source in self._udp)
            + self._datagrams_refused,
            "datagrams_dropped_by_kernel": sum(source.kernel_drops for source in self._udp),
            "connections_open": sum(source.connections_open for source in self._tcp),
            "connections_refused": sum(source.connections_refused for source in self._tcp),
            "frames_received": lines.frames,
            "frames_empty": lines.frames_empty,
            "frames_failed": self._frames_failed,
            "frames_oversized": sum(source.frames.oversized for source in self._tcp),
            "lines_unmatched": dict(lines.unmatched),
            "spool_bytes": self._spool.octets,
            "spool_frames": self._spool.frames,
            "spool_full": self._spool.full,
            "spool_frames_lost": self._spool.frames_lost,
            "queue_ids": len(self._pipeline.queue_map),
            "queue_ids_evicted": queue.entries_evicted,
            "deliveries_enriched": queue.deliveries_enriched,
            "deliveries_unmatched": queue.deliveries_unmatched,
            "deliveries_waiting": self._pipeline.queue_map.waiting,
            "documents_stored": batcher.documents_stored,
            "documents_duplicate": batcher.documents_duplicate,
            "documents_rejected": batcher.documents_rejected,
            "documents_left_out": lines.documents_left_out,
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
