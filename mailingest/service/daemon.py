"""The daemon: starts the parts, lets them serve until a signal comes, and drains what is left.

Each task lives in a group that waits for its end.  The group of those that store holds the group of
those that receive, so that what has been received can still be stored::

    storing:   batcher, processor, syncing ---------------------------> cancelled when drained
      serving:   inputs ------------> closed by the signal
                 chores ------------> cancelled by the signal

If one part fails, all end, and its error is that of the daemon.
"""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final

import uvloop

from mailingest import build
from mailingest.config import Settings
from mailingest.errors import MailingestError, UsageError, sole_error
from mailingest.inputs.addresses import address_text
from mailingest.logs.limit import log_limit
from mailingest.logs.logger import log
from mailingest.service import gc_tuning, heap
from mailingest.service.control import answering
from mailingest.service.counters import Value, read_counters
from mailingest.service.descriptors import within_limits
from mailingest.service.endpoint import endpoint_of
from mailingest.service.frame_limit import FrameLimit
from mailingest.service.noticed import FILE, recalled
from mailingest.service.operator_log import log_noticed, log_sender, log_sockets
from mailingest.service.overview import overview, sample
from mailingest.service.parts import build_parts
from mailingest.service.rates import Rates
from mailingest.service.reload import Outcome, Reloader
from mailingest.service.snapshots import Snapshots
from mailingest.service.systemd import notify, notify_reloading, watchdog_interval
from mailingest.spool.records import Position
from mailingest.spool.snapshot import restore
from mailingest.spool.status_socket import status_served
from mailingest.stores.threads import in_thread
from mailingest.wiring import build_store, store_place

# Delivery lines that wait for their qmgr line go out about this many seconds late at most.
_TICK_SECONDS: Final = 0.5
# Reading all counters costs as much as some lines.
_LOOK_SECONDS: Final = 1.0
# What was read since is looked for in the spool at the next start.
_POSITIONS_SECONDS: Final = 5.0
# Dead letters that a command has taken away are counted this long at most.
_MEASURE_SECONDS: Final = 60.0
_HOUSE_SECONDS: Final = 1800.0
# Another kind of signal that comes within this many seconds belongs to the first one: Ctrl-C sends
# SIGINT to all processes of a terminal, and what has started the daemon passes it on as SIGTERM.
_PASSED_ON_SECONDS: Final = 5.0

# Seconds between changes of what `systemctl status` shows.
_STATUS_SECONDS: Final = 5.0

Chore = Coroutine[Any, Any, None]


def run(settings: Settings, read: Callable[[], Settings]) -> int:
    """Run until SIGTERM or SIGINT; the exit code is 0, also if lines are left in the spool.

    A second signal ends the process at once.  ``read`` gives the settings of the time of a reload
    (SIGHUP), or raises UsageError.  Raises UsageError if it cannot start.
    """
    heap.use_one_arena()
    settings = within_limits(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        daemon = Daemon(settings, read)
        gc_tuning.tune()
        return runner.run(daemon.main())


class Daemon:
    """One run of the service; without ``read``, a reload finds the same settings again."""

    def __init__(self, settings: Settings, read: Callable[[], Settings] | None = None) -> None:
        self._snapshot = settings.state.directory / "queue-ids"
        self._parts = parts = build_parts(settings)
        self._snapshots = Snapshots(
            self._snapshot,
            parts.pipeline,
            parts.spool,
            parts.batcher.receipts,
            parts.writer.sync,
            parts.positions,
        )
        self._rates = Rates()
        self._reloader = Reloader(settings, parts, self._snapshots, read or (lambda: settings))
        self._frame_limit = FrameLimit(parts.mark)
        self._stop = asyncio.Event()
        self._stopped_by: tuple[signal.Signals, float] | None = None
        self._hangup = asyncio.Event()

    @property
    def _settings(self) -> Settings:
        """Those in force: a reload brings other ones."""
        return self._reloader.settings

    async def main(self) -> int:
        """Start, serve, and drain; raises UsageError if it cannot start."""
        self._handle_signals()
        parts = self._parts
        position = restore(parts.pipeline, self._snapshot)
        parts.pipeline.watch = recalled(self._snapshot.with_name(FILE))
        parts.spool.open(position)
        self._open_positions()
        self._open_mark(position)
        try:
            async with (
                endpoint_of(self._settings.metrics, parts),
                status_served(self._settings.state.directory, self._overview),
                asyncio.TaskGroup() as storing,
            ):
                tasks = [
                    storing.create_task(parts.batcher.run()),
                    storing.create_task(parts.processor.run()),
                    storing.create_task(self._sync_spool()),
                ]
                end = await self._serve()
                await self._drain(end)
                for task in tasks:
                    task.cancel()
        except ExceptionGroup as group:
            error = sole_error(group)
            if isinstance(error, BrokenPipeError):
                raise MailingestError("the reader of standard output has gone") from None
            raise error from None
        finally:
            self._frame_limit.stop()
            await parts.writer.close()
            parts.mark.close()
            parts.spool.close()
        return 0

    def counters(self) -> dict[str, Value]:
        """What came in, what became of it, and what was lost, since the start."""
        return read_counters(self._parts)

    def _overview(self) -> object:
        return overview(self._parts, self._rates, self._settings.store_kind)

    def _open_positions(self) -> None:
        try:
            self._parts.positions.open()
        except OSError as error:
            raise UsageError(
                f"state.directory: the positions of what is followed: {error.strerror}: look after "
                "the disk"
            ) from None

    def _open_mark(self, position: Position | None) -> None:
        mark = self._parts.mark
        try:
            mark.open()
        except OSError as error:
            raise UsageError(
                f"state.directory: the mark of the spool: {error.strerror}: look after the disk"
            ) from None
        if position is not None:
            mark.forget(position.frames)
        self._frame_limit.start()

    async def _serve(self) -> float:
        """Receive until a signal comes, and take in what the kernel has received.

        Returns the time of the event loop when storing what there is has to be at its end.
        """
        loop, listeners = asyncio.get_running_loop(), self._parts.listeners
        try:
            listeners.open()
            async with (
                asyncio.TaskGroup() as serving,
                answering(self._settings.state.directory, {"reload": self._reload_asked_for}),
            ):
                listeners.serve(serving)
                chores = [serving.create_task(chore) for chore in self._chores()]
                self._parts.readiness.phase = "serving"
                log_sockets(listeners.transports)
                notify("READY=1")
                log.info(
                    "started",
                    build=build(),
                    listens=listeners.places,
                    store=store_place(self._settings),
                )
                try:
                    await self._stop.wait()
                finally:
                    self._parts.readiness.phase = "stopping"
                    notify("STOPPING=1")
                self._reloader.stop()
                end = loop.time() + self._settings.shutdown_timeout
                self._announce_end()
                for task in chores:
                    task.cancel()
                self._close_inputs()
                await listeners.ended(end - loop.time())
        finally:
            self._close_inputs()
        return end

    def _announce_end(self) -> None:
        spool, batcher = self._parts.spool, self._parts.batcher
        log.info("stopping", frames=spool.frames, documents=batcher.pending)
        spool.lift_bound()
        self._look_at_spool()

    def _close_inputs(self) -> None:
        self._parts.listeners.close()
        self._parts.intake.append_datagrams()

    async def _drain(self, end: float) -> None:
        """Store what can be stored until the event loop has that time."""
        parts = self._parts
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                await parts.processor.catch_up()
            parts.processor.flush()
            await parts.batcher.drain(max(0.0, end - asyncio.get_running_loop().time()))
        if left := self._frames_left():
            log.warning("stopped; lines are in the spool until the next start", frames=left)
        else:
            # Nothing waits, so it is valid at once.
            await self._snapshots.take()
            log.info("stopped")
        if self._settings.spool.sync != "never":
            await parts.spool.sync()
        await self._save_positions()
        self._look_at_spool()
        await self._report()

    def _frames_left(self) -> int:
        parts = self._parts
        return parts.spool.frames + parts.pipeline.queue_map.waiting + parts.batcher.pending

    # What is done beside receiving

    def _chores(self) -> list[Chore]:
        chores: list[Chore] = [
            _every(lambda: _TICK_SECONDS, self._tick),
            _every(lambda: _LOOK_SECONDS, self._look),
            _every(lambda: self._settings.log.report_interval, self._report),
            self._snapshots.keep(lambda: self._settings.state.snapshot_interval),
            _every(lambda: _POSITIONS_SECONDS, self._save_positions),
            self._reload_after_hangup(),
            self._measure_dead_letters(),
            self._keep_house(),
            self._keep_systemd_informed(),
        ]
        if (interval := watchdog_interval()) is not None:
            chores.append(_every(lambda: interval, _sign_of_life))
        return chores

    async def _tick(self) -> None:
        log_limit.report()
        self._parts.processor.tick(time.time())
        pipeline = self._parts.pipeline
        for notice in (*pipeline.senders.take(), *pipeline.peers.take()):
            log_sender(notice)
        for noticed, has_begun in pipeline.watch.board.take():
            log_noticed(noticed, has_begun=has_begun)

    async def _look(self) -> None:
        self._look_at_spool()

    def _look_at_spool(self) -> None:
        counters = self.counters()
        self._rates.feed(sample(self._parts, counters))
        # Those by tag may be many, and the state file has one size.
        self._parts.spool.look(
            {name: value for name, value in counters.items() if not isinstance(value, dict)},
            self._parts.batcher.held,
            unstored=self._parts.pipeline.queue_map.waiting + self._parts.batcher.pending,
            addresses=self._addresses(),
        )

    def _addresses(self) -> list[str]:
        """Where the daemon listens: transport and address."""
        addresses, metrics = self._parts.listeners.transports, self._settings.metrics
        if metrics.port is not None:
            addresses.append(f"tcp {address_text(metrics.host, metrics.port)}")
        return addresses

    async def _keep_systemd_informed(self) -> None:
        """What `systemctl status` shows."""
        before = 0
        while True:
            frames = self._parts.pipeline.counters.frames
            notify(f"STATUS={self._status((frames - before) / _STATUS_SECONDS)}")
            before = frames
            await asyncio.sleep(_STATUS_SECONDS)

    def _status(self, rate: float) -> str:
        parts = self._parts
        text = f"{rate:,.0f} lines/s; {self._frames_left():,} wait to be stored"
        reasons = [reason for reason in (parts.spool.full, parts.batcher.held) if reason]
        return " ".join("; ".join([text, *reasons]).split())

    async def _save_positions(self) -> None:
        try:
            await self._parts.positions.save()
        except OSError as error:
            log.error(
                "the positions of what is followed cannot be written; they are in the spool, which "
                "is kept until they can",
                reason=error.strerror,
            )

    async def _report(self) -> None:
        log.info("counters", **self.counters())

    async def _measure_dead_letters(self) -> None:
        while True:
            await in_thread(self._parts.dead_letters.measure)
            await asyncio.sleep(_MEASURE_SECONDS)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(_HOUSE_SECONDS)
            try:
                await build_store(self._settings).keep_house()
            except MailingestError as error:
                log.warning("days that are over cannot be made smaller", reason=str(error))

    async def _sync_spool(self) -> None:
        """For a power failure, as often as is set."""

        async def sync() -> None:
            if self._settings.spool.sync != "never":
                await self._parts.spool.sync()

        await _every(lambda: self._settings.spool.sync_interval, sync)

    # Reloads

    async def _reload_after_hangup(self) -> None:
        """SIGHUP, by an operator or after log rotation."""
        while True:
            await self._hangup.wait()
            self._hangup.clear()
            await self._reload()

    async def _reload_asked_for(self) -> dict[str, Any]:
        return asdict(await self._reload())

    async def _reload(self) -> Outcome:
        notify_reloading()
        try:
            outcome = await self._reloader.reload()
            await self._reopen_after_rotation()
        finally:
            notify("READY=1")
        return outcome

    async def _reopen_after_rotation(self) -> None:
        """Files are opened anew, whatever became of the configuration."""
        try:
            await self._parts.writer.reopen()
        except MailingestError as error:
            log.error(
                "the output cannot be opened anew after SIGHUP; it is tried again with each "
                "write, and lines wait in the spool until then",
                reason=str(error),
            )

    # Signals

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._hangup.set)

    def _on_stop_signal(self, number: signal.Signals) -> None:
        now = asyncio.get_running_loop().time()
        if self._stopped_by is None:
            self._stopped_by = (number, now)
            self._stop.set()
            return
        first, at = self._stopped_by
        if number == first or now - at >= _PASSED_ON_SECONDS:
            log.warning(
                "ended at once by a second signal; lines are in the spool until the next start",
                frames=self._frames_left(),
            )
            # As the signal alone would have done it: whoever waits for the process sees by what it
            # has ended, and nothing that takes long can hold it up.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


async def _every(seconds: Callable[[], float], action: Callable[[], Awaitable[None]]) -> None:
    """Do something each time so many seconds are over, which a reload may change meanwhile."""
    loop = asyncio.get_running_loop()
    while True:
        last = loop.time()
        while (left := last + seconds() - loop.time()) > 0:  # noqa: ASYNC110  a clock is polled
            await asyncio.sleep(min(left, _TICK_SECONDS))
        await action()


async def _sign_of_life() -> None:
    notify("WATCHDOG=1")
