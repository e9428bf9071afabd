"""A process that works on its share of the lines that another process has accepted.

It follows that one's journal and stores what its lines become.  What it knows of earlier lines is
in a snapshot of its own, from which the next process goes on when this one dies: the same lines
become the same documents, with the same ids.  It ends at once when the process that receives does.
"""

import asyncio
import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import uvloop

from mailingest.config import Settings
from mailingest.errors import MailingestError, UsageError, sole_error
from mailingest.logs.configuration import configure
from mailingest.logs.limit import log_limit
from mailingest.logs.logger import log
from mailingest.ownership import open_own
from mailingest.service import gc_tuning, heap
from mailingest.service.changing import Changing, Prepared
from mailingest.service.channel import Channel, Message, unpacked
from mailingest.service.chores import every
from mailingest.service.frame_limit import FrameLimit
from mailingest.service.layouts import directory_of, mark_directory
from mailingest.service.noticed import FILE, recalled
from mailingest.service.one_process import (
    TICK_SECONDS,
    begin_processing,
    measure_dead_letters,
    open_mark,
    tick,
)
from mailingest.service.operator_log import log_not_reopened
from mailingest.service.parts import build_processing
from mailingest.service.snapshots import Snapshots, save_nothing
from mailingest.service.worker_reports import Report, readings_of
from mailingest.spool.following import FollowedJournal, JournalEnd
from mailingest.spool.frame_mark import FrameMark
from mailingest.spool.layout import SNAPSHOT
from mailingest.spool.records import Position
from mailingest.spool.snapshot import restore
from mailingest.watching.passing_on import PassingWatch, show
from mailingest.watching.watch import Watch
from mailingest.wiring import build_service_share

REPORT_SECONDS: Final = 0.5
# The names of all hosts may be many.
_HOSTS_EVERY: Final = 10
_LENGTH_BYTES: Final = 8
# The one before ends as soon as whoever started it has.
_LOCK_SECONDS: Final = 60.0
_LOCK_POLL_SECONDS: Final = 0.05
# An operator's signals are for the process that receives, which says what is to be done.
_NOT_HERE: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Task(NamedTuple):
    """What a worker is to do: its ``number`` from 0 ``of`` so many.

    ``begin`` is the first place of the spool that is kept, and ``end`` where it ends now.
    """

    settings: Settings
    number: int
    of: int
    begin: Position
    end: JournalEnd


class Worker:
    """What the process has, and what it is asked for over a ``channel``."""

    def __init__(self, task: Task, channel: Channel) -> None:
        self._task = task
        self._channel = channel
        state = task.settings.state.directory
        self._directory = directory_of(state, task.number, task.of)
        self._settings = task.settings
        self._spool = FollowedJournal(state / "spool", self._say_snapshot)
        share = build_service_share(task.number, task.of)
        mark = FrameMark(mark_directory(state, task.number, task.of))
        give_way = partial(asyncio.sleep, 0)
        self._processing = build_processing(task.settings, self._spool, mark, give_way, share)
        self._snapshots = Snapshots(
            self._directory / SNAPSHOT,
            self._processing.pipeline,
            self._spool,
            self._processing.batcher.receipts,
            self._processing.writer.sync,
            save_nothing,
        )
        self._changing = Changing(task.settings, self._processing, self._snapshots.hurry, share)
        self._frame_limit = FrameLimit(mark)
        self._prepared: tuple[Settings, Prepared] | None = None
        self._ending: asyncio.Timeout | None = None
        self._stop = asyncio.Event()
        self._end: float | None = None
        self._reports = 0

    async def main(self) -> None:
        """Work until it is told to stop; raises MailingestError."""
        processing = self._processing
        position = restore(processing.pipeline, self._directory / SNAPSHOT)
        self._watch: Watch = recalled(self._directory / FILE) if self._is_first else PassingWatch()
        processing.pipeline.watch = self._watch
        self._spool.open(position, self._task.begin, self._task.end)
        open_mark(processing.mark, position)
        self._frame_limit.start()
        self._channel.say(begun=position and [*position])
        self._report()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = begin_processing(group, processing)
                tasks.append(group.create_task(self._hear()))
                chores = [group.create_task(chore) for chore in self._chores()]
                await self._stop.wait()
                for task in chores:
                    task.cancel()
                await self._finish()
                for task in tasks:
                    task.cancel()
        except ExceptionGroup as error:
            raise sole_error(error) from None
        finally:
            self._frame_limit.stop()
            await processing.writer.close()
            processing.mark.close()
        self._report(with_hosts=True)
        self._channel.say(ended=True)
        await self._channel.said()

    @property
    def _is_first(self) -> bool:
        return self._task.number == 0

    def _chores(self) -> list[Any]:
        return [
            every(lambda: TICK_SECONDS, self._tick),
            every(lambda: REPORT_SECONDS, self._say_how_it_is),
            self._snapshots.keep(lambda: self._settings.state.snapshot_interval),
            measure_dead_letters(self._processing),
        ]

    async def _tick(self) -> None:
        log_limit.report()
        tick(self._processing, tells_of_hosts=self._is_first)

    async def _finish(self) -> None:
        """Store what can be stored until the time that was told, and take a snapshot then."""
        processing = self._processing
        reporting = asyncio.ensure_future(every(lambda: REPORT_SECONDS, self._say_how_it_is))
        try:
            async with asyncio.timeout_at(self._end) as self._ending:
                await processing.processor.catch_up()
                processing.processor.flush()
                await processing.batcher.drain()
                # Nothing waits, so it is valid at once.
                await self._snapshots.take()
        except TimeoutError:
            pass  # what is left is in the spool
        finally:
            self._ending = None
            reporting.cancel()

    # What is told

    async def _say_how_it_is(self) -> None:
        self._report(with_hosts=not self._reports % _HOSTS_EVERY)
        self._reports += 1

    def _report(self, *, with_hosts: bool = False) -> None:
        processing, watch = self._processing, self._processing.pipeline.watch
        report = Report(
            self._spool.position,
            self._spool.settled,
            processing.unstored,
            processing.batcher.lag,
            processing.batcher.held,
            watch.hosts.last_line if with_hosts and self._is_first else {},
            watch.board.current,
            readings_of(processing),
        )
        self._channel.say(report=report.to_json())
        if isinstance(watch, PassingWatch) and (sights := watch.take()):
            self._channel.say(seen=sights)
        for missing in self._spool.take_missing():
            self._channel.say(missing=[*missing])

    def _say_snapshot(self, position: Position) -> None:
        self._channel.say(snapshot=[*position])

    # What is asked for

    async def _hear(self) -> None:
        async for message in self._channel.messages():
            await self._do(message)
        _end_at_once()

    async def _do(self, message: Message) -> None:
        match message:
            case {"end": end}:
                self._follow(JournalEnd(*end))
            case {"prepare": settings, "number": number}:
                await self._prepare(unpacked(settings), number)
            case {"change": True}:
                self._change()
            case {"give_up": True}:
                await self._give_up()
            case {"reopen": True}:
                await self._reopen()
            case {"seen": sights}:
                show(self._watch, sights)
            case {"stop": seconds}:
                self._stop_in(seconds)

    def _follow(self, end: JournalEnd) -> None:
        try:
            self._spool.advance(end)
        except OSError as error:
            # The process that receives finds it out as well, and makes it anew.
            log.error("the spool cannot be read", reason=error.strerror)

    async def _prepare(self, settings: Settings, number: int) -> None:
        await self._give_up()
        answer: dict[str, object] = {"refused": None}
        try:
            prepared = await self._changing.prepare(settings)
        except MailingestError as error:
            answer["refused"] = str(error)
        else:
            self._prepared = (settings, prepared)
            answer["patterns_changed"] = prepared.patterns_changed
            answer["store_changed"] = prepared.store_changed
        self._channel.say(prepared=answer, number=number)

    def _change(self) -> None:
        if self._prepared is not None:
            self._settings, prepared = self._prepared
            self._prepared = None
            configure(self._settings.log)
            prepared.change()

    async def _give_up(self) -> None:
        if self._prepared is not None:
            _, prepared = self._prepared
            self._prepared = None
            await prepared.give_up()

    async def _reopen(self) -> None:
        try:
            await self._processing.writer.reopen()
        except MailingestError as error:
            log_not_reopened(error)

    def _stop_in(self, seconds: float | None) -> None:
        """Stop so many seconds from now at the latest; None: when all is stored."""
        self._end = None if seconds is None else asyncio.get_running_loop().time() + seconds
        if self._ending is not None:
            self._ending.reschedule(self._end)
        self._stop.set()


def work(descriptor: int) -> None:
    """The process of its own, which has that end of a pair of sockets."""
    for number in _NOT_HERE:
        signal.signal(number, signal.SIG_IGN)
    sock = socket.socket(fileno=descriptor)
    task: Task = unpacked(_read_task(sock))
    configure(task.settings.log)
    heap.use_one_arena()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(task, sock))


async def _work(task: Task, sock: socket.socket) -> None:
    channel = await Channel.over(sock)
    try:
        lock = _locked(directory_of(task.settings.state.directory, task.number, task.of))
        worker = Worker(task, channel)
        gc_tuning.tune()
        await worker.main()
        os.close(lock)
    except (MailingestError, OSError) as error:
        channel.say(error=str(error), refused=isinstance(error, UsageError))
        await channel.said()


def send_task(sock: socket.socket, text: str) -> None:
    """Give a process its task, before any message."""
    content = text.encode()
    sock.sendall(len(content).to_bytes(_LENGTH_BYTES) + content)


def _read_task(sock: socket.socket) -> str:
    length = int.from_bytes(_read(sock, _LENGTH_BYTES))
    return _read(sock, length).decode()


def _read(sock: socket.socket, length: int) -> bytes:
    content = b""
    while len(content) < length:
        if not (more := sock.recv(length - len(content))):
            _end_at_once()
        content += more
    return content


def _locked(directory: Path) -> int:
    """Wait until no earlier process works with a directory; the descriptor that holds it."""
    descriptor = open_own(directory / "lock", os.O_RDWR)
    end = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise MailingestError(
                    f"another process works in {directory}, though who started it has ended: end it"
                ) from None
            time.sleep(_LOCK_POLL_SECONDS)
        else:
            return descriptor


def _end_at_once() -> NoReturn:
    """Whoever has accepted the lines has ended: as if both had died at once."""
    os._exit(1)


def start_command(descriptor: int) -> list[str]:
    """The command of a worker that has that end of a pair of sockets."""
    # The working directory is not searched for modules: anybody may have put them there.
    start = (
        "import sys; descriptor = int(sys.argv[1]); sys.path[:] = sys.argv[2:]; "
        "from mailingest.service.worker import work; work(descriptor)"
    )
    return [sys.executable, "-P", "-c", start, str(descriptor), *sys.path]


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker: systemd is told of the service by who receives."""
    of_systemd = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID")
    return {name: value for name, value in own.items() if name not in of_systemd}
