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
from collections.abc import Callable
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
from mailingest.service.chores import Chore, every
from mailingest.service.control import answering
from mailingest.service.counters import Value, read_counters
from mailingest.service.descriptors import within_limits
from mailingest.service.endpoint import endpoint_of
from mailingest.service.one_process import OneProcess
from mailingest.service.operator_log import log_not_reopened, log_sockets
from mailingest.service.overview import overview, sample
from mailingest.service.parts import build_parts, build_receiving
from mailingest.service.rates import Rates
from mailingest.service.reload import Outcome, Reloader
from mailingest.service.resharing import Resharing
from mailingest.service.systemd import notify, notify_reloading, watchdog_interval
from mailingest.service.work import Work
from mailingest.service.workers import Workers
from mailingest.spool.status_socket import status_served
from mailingest.wiring import build_store, store_place

# What the log holds back is told about so many seconds later.
_LIMIT_SECONDS: Final = 0.5
# Reading all counters costs as much as some lines.
_LOOK_SECONDS: Final = 1.0
# What was read since is looked for in the spool at the next start.
_POSITIONS_SECONDS: Final = 5.0
_HOUSE_SECONDS: Final = 1800.0
# Another kind of signal that comes within this many seconds belongs to the first one: Ctrl-C sends
# SIGINT to all processes of a terminal, and what has started the daemon passes it on as SIGTERM.
_PASSED_ON_SECONDS: Final = 5.0

# Seconds between changes of what `systemctl status` shows.
_STATUS_SECONDS: Final = 5.0


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
        self._work: Work = (
            OneProcess(settings, build_parts(settings), lambda: self._settings)
            if settings.workers == 1
            else Workers(settings, build_receiving(settings), settings.workers)
        )
        self._receiving = self._work.figures.receiving
        self._rates = Rates()
        self._reloader = Reloader(
            settings, self._receiving, self._work.prepare, read or (lambda: settings)
        )
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
        receiving, work = self._receiving, self._work
        if not await Resharing(self._settings, self._stop).done():
            return 0
        work.open()
        self._open_positions()
        try:
            async with (
                endpoint_of(self._settings.metrics, work.figures),
                status_served(self._settings.state.directory, self._overview),
                asyncio.TaskGroup() as storing,
            ):
                tasks = [*await work.begin(storing), storing.create_task(self._sync_spool())]
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
            await work.close()
            receiving.spool.close()
        return 0

    def counters(self) -> dict[str, Value]:
        """What came in, what became of it, and what was lost, since the start."""
        return read_counters(self._work.figures)

    def _overview(self) -> object:
        return overview(self._work.figures, self._rates, self._settings.store_kind)

    def _open_positions(self) -> None:
        try:
            self._receiving.positions.open()
        except OSError as error:
            raise UsageError(
                f"state.directory: the positions of what is followed: {error.strerror}: look after "
                "the disk"
            ) from None

    async def _serve(self) -> float:
        """Receive until a signal comes, and take in what the kernel has received.

        Returns the time of the event loop when storing what there is has to be at its end.
        """
        loop, listeners = asyncio.get_running_loop(), self._receiving.listeners
        try:
            listeners.open()
            async with (
                asyncio.TaskGroup() as serving,
                answering(self._settings.state.directory, {"reload": self._reload_asked_for}),
            ):
                listeners.serve(serving)
                chores = [serving.create_task(chore) for chore in self._chores()]
                self._receiving.readiness.phase = "serving"
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
                    self._receiving.readiness.phase = "stopping"
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
        spool = self._receiving.spool
        log.info("stopping", frames=spool.frames, documents=self._work.unstored)
        spool.lift_bound()
        self._look_at_spool()

    def _close_inputs(self) -> None:
        self._receiving.listeners.close()
        self._receiving.intake.append_datagrams()

    async def _drain(self, end: float) -> None:
        """Store what can be stored until the event loop has that time."""
        await self._work.finish(end)
        if left := self._frames_left():
            log.warning("stopped; lines are in the spool until the next start", frames=left)
        else:
            log.info("stopped")
        if self._settings.spool.sync != "never":
            await self._receiving.spool.sync()
        await self._save_positions()
        self._look_at_spool()
        await self._report()

    def _frames_left(self) -> int:
        return self._receiving.spool.frames + self._work.unstored

    # What is done beside receiving

    def _chores(self) -> list[Chore]:
        chores: list[Chore] = [
            *self._work.chores(),
            every(lambda: _LIMIT_SECONDS, self._report_limit),
            every(lambda: _LOOK_SECONDS, self._look),
            every(lambda: self._settings.log.report_interval, self._report),
            every(lambda: _POSITIONS_SECONDS, self._save_positions),
            self._reload_after_hangup(),
            self._keep_house(),
            self._keep_systemd_informed(),
        ]
        if (interval := watchdog_interval()) is not None:
            chores.append(every(lambda: interval, self._give_sign_of_life))
        return chores

    async def _report_limit(self) -> None:
        log_limit.report()

    async def _look(self) -> None:
        self._look_at_spool()

    def _look_at_spool(self) -> None:
        counters = self.counters()
        self._rates.feed(sample(counters))
        # Those by tag may be many, and the state file has one size.
        self._receiving.spool.look(
            {name: value for name, value in counters.items() if not isinstance(value, dict)},
            self._work.figures.held,
            unstored=self._work.unstored,
            addresses=self._addresses(),
        )

    def _addresses(self) -> list[str]:
        """Where the daemon listens: transport and address."""
        addresses, metrics = self._receiving.listeners.transports, self._settings.metrics
        if metrics.port is not None:
            addresses.append(f"tcp {address_text(metrics.host, metrics.port)}")
        return addresses

    async def _keep_systemd_informed(self) -> None:
        """What `systemctl status` shows."""
        before = 0
        while True:
            frames = sample(self.counters()).received
            notify(f"STATUS={self._status((frames - before) / _STATUS_SECONDS)}")
            before = frames
            await asyncio.sleep(_STATUS_SECONDS)

    def _status(self, rate: float) -> str:
        text = f"{rate:,.0f} lines/s; {self._frames_left():,} wait to be stored"
        held = (self._receiving.spool.full, self._work.figures.held)
        reasons = [reason for reason in held if reason]
        return " ".join("; ".join([text, *reasons]).split())

    async def _save_positions(self) -> None:
        try:
            await self._receiving.positions.save()
        except OSError as error:
            log.error(
                "the positions of what is followed cannot be written; they are in the spool, which "
                "is kept until they can",
                reason=error.strerror,
            )

    async def _report(self) -> None:
        log.info("counters", **self.counters())

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
                await self._receiving.spool.sync()

        await every(lambda: self._settings.spool.sync_interval, sync)

    async def _give_sign_of_life(self) -> None:
        if self._work.is_alive:
            notify("WATCHDOG=1")

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
            await self._work.reopen()
        except MailingestError as error:
            log_not_reopened(error)

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
