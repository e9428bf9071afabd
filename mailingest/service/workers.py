"""Work in several processes, which the one that receives starts, tells of new lines, and watches.

See `mailingest.service.work.Work`; what a process does is in `mailingest.service.worker`.  There is
one spool, of which each of them reads all lines and stores its share.  A file of the spool is
removed when all of them have a snapshot of a later place.  One that dies is started again: it goes
on from its snapshot, and stores nothing twice, for ids are made of the lines.
"""

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from mailingest.config import Settings
from mailingest.errors import MailingestError, UsageError
from mailingest.logs.logger import log
from mailingest.service.changing import Prepared
from mailingest.service.channel import Channel, Message, packed
from mailingest.service.chores import Chore
from mailingest.service.counters import COUNTERS, Counter, Reading
from mailingest.service.layouts import make_directories
from mailingest.service.parts import Figures, Parts, Receiving
from mailingest.service.worker import Task, environment, send_task, start_command
from mailingest.service.worker_reports import Report, together, total
from mailingest.spool.following import JournalEnd, Missing
from mailingest.spool.layout import earliest, snapshot_paths, snapshot_position
from mailingest.spool.records import Position
from mailingest.watching.notices import Notice

# How often the workers are told of new lines at most; a document waits for its batch anyway.
_TELL_SECONDS: Final = 0.02
# What waits to be heard: one that hears nothing for a time need not be told each step.
_MOST_UNHEARD: Final = 64 * 1024
# A worker reports twice a second; one that says nothing for so long does not get on.
_SILENT_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 1.0
# One that is started again waits that long, twice as long after each time that it got nowhere.
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 10.0
# More than a line takes that ends the process (`mailingest.spool.frame_mark`).
_MOST_FAILURES: Final = 8
_WELL_SECONDS: Final = 60.0
# Beyond the time that the workers have for the end, for them to say so.
_GRACE_SECONDS: Final = 5.0
# A store that does not answer to a reload takes a minute of it.
_PREPARE_SECONDS: Final = 90.0
_SUMMED: Final = [
    counter
    for counter in COUNTERS
    if counter.of == "sum" and counter.kind in ("counter", "histogram")
]


@dataclass(slots=True, eq=False)
class _Worker:
    """One of the processes, and what it said last.

    ``snapshot`` is the place that its snapshot is of.  ``before`` is what was counted by those that
    had its place before; ``failures`` is how often in a row one got nowhere.
    """

    number: int
    snapshot: Position | None = None
    process: asyncio.subprocess.Process | None = None
    channel: Channel | None = None
    report: Report | None = None
    reporting: asyncio.subprocess.Process | None = None
    before: dict[str, Reading] = field(default_factory=dict)
    hosts: Mapping[str, float] = field(default_factory=dict)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    has_finished: bool = False
    error: MailingestError | None = None
    heard_at: float = 0.0
    failures: int = 0
    answers: dict[int, asyncio.Future[Message]] = field(default_factory=dict)

    def kill(self) -> None:
        """End the process at once."""
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.kill()

    def say(self, **message: object) -> None:
        """Tell the process, if there is one that hears."""
        if self.channel is not None:
            self.channel.say(**message)

    def reading(self, counter: Counter) -> Reading:
        """What it counts, with those before it."""
        assert self.report is not None  # noqa: S101  whoever asks has looked
        reading = self.report.readings[counter.name]
        if counter.name not in self.before:
            return reading
        return total([self.before[counter.name], reading])

    def hear(self, report: Report) -> None:
        """Take what the process says of itself; another one than before counts from 0 on."""
        if self.report is not None and self.reporting is not self.process:
            self.before = {counter.name: self.reading(counter) for counter in _SUMMED}
        self.reporting = self.process
        self.report = report
        self.hosts = report.hosts or self.hosts


class WorkersFigures:
    """See `mailingest.service.parts.Figures`."""

    def __init__(self, receiving: Receiving, workers: Sequence[_Worker]) -> None:
        self._receiving = receiving
        self._workers = workers

    @property
    def receiving(self) -> Receiving:
        return self._receiving

    def read(self, counter: Counter) -> Reading:
        if counter.of == "receiver":
            # It reads what receives only.
            parts: Parts = self._receiving  # type: ignore[assignment]
            return counter.read(parts)
        return together(counter, [one.reading(counter) for one in self._reported])

    @property
    def lag(self) -> float | None:
        return max((lag for one in self._reports if (lag := one.lag) is not None), default=None)

    @property
    def held(self) -> str | None:
        return next((one.held for one in self._reports if one.held is not None), None)

    @property
    def hosts(self) -> Mapping[str, float]:
        return self._workers[0].hosts

    @property
    def notices(self) -> Sequence[Notice]:
        found = {(n.kind, n.subject): n for one in self._reports for n in one.notices}
        return sorted(found.values(), key=lambda one: one.since)

    @property
    def _reported(self) -> list[_Worker]:
        return [one for one in self._workers if one.report is not None]

    @property
    def _reports(self) -> list[Report]:
        return [one.report for one in self._workers if one.report is not None]


class Workers:
    """``number`` processes; ``settings`` are those that they begin with."""

    def __init__(self, settings: Settings, receiving: Receiving, number: int) -> None:
        self._settings = settings
        self._receiving = receiving
        self._spool = receiving.spool
        self._workers = [_Worker(one) for one in range(number)]
        self._figures = WorkersFigures(receiving, self._workers)
        self._is_ending = False
        self._trimmable = asyncio.Event()
        self._requests = count(1)
        self._starting = asyncio.Lock()

    @property
    def figures(self) -> Figures:
        return self._figures

    @property
    def unstored(self) -> int:
        return sum(one.report.unstored for one in self._workers if one.report is not None)

    @property
    def is_alive(self) -> bool:
        # One that does not get on is ended, by `_look_after`.
        return True

    def open(self) -> None:
        state = self._settings.state.directory
        make_directories(state, len(self._workers))
        for one, path in zip(self._workers, snapshot_paths(state, len(self._workers)), strict=True):
            one.snapshot = snapshot_position(path)
        positions = [one.snapshot for one in self._workers]
        furthest = max((one for one in positions if one is not None), default=None)
        self._spool.open(earliest(positions), furthest)

    async def begin(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        tasks = [group.create_task(self._keep(one)) for one in self._workers]
        tasks += [
            group.create_task(self._tell()),
            group.create_task(self._trim()),
            group.create_task(self._look_after()),
        ]
        for one in self._workers:
            await one.begun.wait()
        return tasks

    def chores(self) -> list[Chore]:
        return []

    async def finish(self, end: float) -> None:
        await self._finish(max(0.0, end - asyncio.get_running_loop().time()))

    async def finish_all(self) -> None:
        """Wait until all that is in the spool is stored and in snapshots."""
        await self._finish(None)

    async def _finish(self, seconds: float | None) -> None:
        self._is_ending = True
        self._tell_now()
        for one in self._workers:
            one.say(stop=seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(None if seconds is None else seconds + _GRACE_SECONDS):
                for one in self._workers:
                    await one.ended.wait()
        for one in self._workers:
            one.kill()
        await self._trim_now()

    @property
    def has_finished(self) -> bool:
        """Whether all have stored what they had."""
        return all(one.has_finished for one in self._workers) and not self.unstored

    async def close(self) -> None:
        for one in self._workers:
            one.kill()
            if one.process is not None:
                await one.process.wait()
            if one.channel is not None:
                one.channel.close()

    # Processes

    async def _keep(self, worker: _Worker) -> None:
        """Have a process for a worker until the end; raises MailingestError if none gets on."""
        loop = asyncio.get_running_loop()
        furthest = -1
        while not self._is_ending:
            began = loop.time()
            ending = await self._run(worker)
            worker.begun.clear()
            if worker.error is not None:
                raise worker.error
            if self._is_ending or worker.has_finished:
                break
            settled = worker.report.settled if worker.report is not None else -1
            gets_on = settled > furthest or loop.time() - began >= _WELL_SECONDS
            furthest = max(furthest, settled)
            worker.failures = 0 if gets_on else worker.failures + 1
            if worker.failures >= _MOST_FAILURES:
                raise MailingestError(
                    f"worker {worker.number} ended {_MOST_FAILURES} times in a row before it had "
                    f"stored anything, the last time by {ending}: its log lines above may say why; "
                    "lines are in the spool"
                )
            self._receiving.workers.restarted += 1
            pause = min(_FIRST_PAUSE_SECONDS * 2**worker.failures, _LONGEST_PAUSE_SECONDS)
            log.error(
                "a worker has ended and is started again; its lines are in the spool",
                worker=worker.number,
                by=ending,
                seconds=pause,
            )
            await asyncio.sleep(pause)
        worker.ended.set()

    async def _run(self, worker: _Worker) -> str:
        """Run a process to its end; says by what it ended."""
        process, own = await self._started(worker)
        watching = asyncio.ensure_future(_hear_no_more_after(process, own))
        try:
            task = Task(self._settings, worker.number, len(self._workers), self._begin, self._end)
            with suppress(ConnectionError):
                await asyncio.to_thread(send_task, own, packed(task))
            channel = worker.channel = await Channel.over(own)
            worker.heard_at = asyncio.get_running_loop().time()
            async for message in channel.messages():
                self._hear(worker, message)
            channel.close()
            code = await process.wait()
        except BaseException:
            worker.kill()
            raise
        finally:
            watching.cancel()
            worker.channel = None
            self._receiving.workers.running = sum(one.channel is not None for one in self._workers)
            for answer in worker.answers.values():
                if not answer.done():
                    answer.set_result({"refused": "a worker has ended meanwhile: try again"})
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    async def _started(self, worker: _Worker) -> tuple[asyncio.subprocess.Process, socket.socket]:
        """A new process, and our end of the pair of sockets that it has the other one of."""
        # One after another: a process must not have the other end of another one's as well.
        async with self._starting:
            own, other = socket.socketpair()
            with other:
                other.set_inheritable(True)
                process = worker.process = await asyncio.create_subprocess_exec(
                    *start_command(other.fileno()),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=[other.fileno()],
                    env=environment(os.environ),
                )
        return process, own

    def _hear(self, worker: _Worker, message: Message) -> None:
        worker.heard_at = asyncio.get_running_loop().time()
        match message:
            case {"report": values}:
                worker.hear(Report.from_json(values))
                self._note_reports()
            case {"snapshot": position}:
                worker.snapshot = Position(*position)
                self._trimmable.set()
            case {"seen": sights}:
                self._workers[0].say(seen=sights)
            case {"missing": missing}:
                self._spool.missing(Missing(*missing))
            case {"begun": position}:
                worker.snapshot = None if position is None else Position(*position)
                self._receiving.workers.running = sum(
                    one.channel is not None for one in self._workers
                )
                worker.begun.set()
                # It may have asked for what has been told before it heard.
                worker.say(end=[*self._end])
            case {"prepared": answer, "number": number}:
                if (future := worker.answers.get(number)) is not None and not future.done():
                    future.set_result(answer)
            case {"ended": True}:
                worker.has_finished = True
            case {"error": text, "refused": refused}:
                worker.error = UsageError(text) if refused else MailingestError(text)

    def _note_reports(self) -> None:
        """How far all of them are, the spool is."""
        reports = [one.report for one in self._workers]
        known = [one for one in reports if one is not None]
        if len(known) == len(reports):
            self._spool.passed(min(one.position for one in known))
            self._spool.settle(min(one.settled for one in known))

    async def _look_after(self) -> None:
        """End what does not get on; it is started again."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            # Whether the spool is full, too: then a snapshot is wanted.
            self._tell_now()
            now = asyncio.get_running_loop().time()
            for one in self._workers:
                if one.begun.is_set() and now - one.heard_at > _SILENT_SECONDS:
                    log.error(
                        "a worker has said nothing for a minute, and is ended", worker=one.number
                    )
                    one.heard_at = now
                    one.kill()

    # The spool

    @property
    def _begin(self) -> Position:
        """The first place that is kept; its frames were settled before, if there is no snapshot."""
        return self._spool.begin

    @property
    def _end(self) -> JournalEnd:
        return self._spool.journal_end

    async def _tell(self) -> None:
        """Let the workers know of new lines."""
        told: JournalEnd | None = None
        while True:
            if self._end == told:
                await self._spool.wait()
                continue
            told = self._end
            self._tell_now()
            await asyncio.sleep(_TELL_SECONDS)

    def _tell_now(self) -> None:
        end = self._end
        for one in self._workers:
            if one.channel is not None and one.channel.unheard_bytes < _MOST_UNHEARD:
                one.say(end=[*end])

    async def _trim(self) -> None:
        while True:
            await self._trimmable.wait()
            self._trimmable.clear()
            await self._trim_now()

    async def _trim_now(self) -> None:
        """Remove what no worker needs any more."""
        position = earliest(one.snapshot for one in self._workers)
        if position is None:
            return
        try:
            # Positions are in records of the spool as well, so they are written down before.
            await self._receiving.positions.save()
        except OSError:
            return  # it is logged where it is tried again
        self._spool.forget(position)

    # Reloads

    async def prepare(self, settings: Settings) -> Prepared:
        number = next(self._requests)
        asked = [one for one in self._workers if one.begun.is_set()]
        text = packed(settings)
        answers = []
        for one in asked:
            future = one.answers[number] = asyncio.get_running_loop().create_future()
            one.say(prepare=text, number=number)
            answers.append(future)
        try:
            async with asyncio.timeout(_PREPARE_SECONDS):
                said = await asyncio.gather(*answers)
        except TimeoutError:
            said = [{"refused": "a worker does not answer: try again"}]
        finally:
            for one in asked:
                one.answers.pop(number, None)
        prepared = _Prepared(self, settings, [one.process for one in asked], said)
        for answer in said:
            if answer["refused"] is not None:
                await prepared.give_up()
                raise UsageError(answer["refused"])
        return prepared

    async def reopen(self) -> None:
        for one in self._workers:
            one.say(reopen=True)

    def change(
        self, settings: Settings, ready: Sequence[asyncio.subprocess.Process | None]
    ) -> None:
        """Have all go on with other settings, for which these processes are ready."""
        self._settings = settings
        for one in self._workers:
            if one.process in ready:
                one.say(change=True)
            else:
                # It was started with the old ones meanwhile.
                one.kill()

    def give_up(self) -> None:
        """Have none go on with other settings."""
        for one in self._workers:
            one.say(give_up=True)


async def _hear_no_more_after(process: asyncio.subprocess.Process, own: socket.socket) -> None:
    """Have what a process said come to its end when that has ended, whoever holds its socket."""
    await process.wait()
    with suppress(OSError):  # it is closed already
        own.shutdown(socket.SHUT_RD)


class _Prepared:
    """See `Prepared`."""

    def __init__(
        self,
        workers: Workers,
        settings: Settings,
        ready: Sequence[asyncio.subprocess.Process | None],
        answers: Sequence[Message],
    ) -> None:
        self._workers = workers
        self._settings = settings
        self._ready = ready
        self._answers = answers

    @property
    def patterns_changed(self) -> bool:
        return any(one["patterns_changed"] for one in self._answers)

    @property
    def store_changed(self) -> bool:
        return any(one["store_changed"] for one in self._answers)

    def change(self) -> None:
        self._workers.change(self._settings, self._ready)

    async def give_up(self) -> None:
        self._workers.give_up()
