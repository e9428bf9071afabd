"""A replay by several processes, each of which reads all files and stores its share of the lines.

So each has the same times and the same order before it, and what it makes of its lines is what one
process would make of them (`mailingest.postfix.spreading`).  To read a line's header, and to know
whose it is, is a seventh of the work.  Each has checkpoints of its own.

A process gets its task on standard input, and tells on standard output, in lines of JSON, how far
it is and what came of it.
"""

import asyncio
import os
import pickle
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

import orjson
import uvloop

from mailingest.commands.replay_progress import ShowProgress
from mailingest.commands.replay_result import ReplayResult
from mailingest.commands.replaying import Replay
from mailingest.config import Settings
from mailingest.errors import MailingestError, UsageError
from mailingest.inputs.files import LogFile
from mailingest.logs.configuration import configure
from mailingest.service import gc_tuning, heap
from mailingest.wiring import build_replay_share

# The working directory is not searched for modules: anybody may have put them there.
_START: Final = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from mailingest.commands.replay_workers import work; work()"
)
_TELL_SECONDS: Final = 0.25


class _Task(NamedTuple):
    """What one of several processes is to do; see `mailingest.postfix.spreading.Share`."""

    settings: Settings
    files: Sequence[LogFile]
    number: int
    of: int


@dataclass(slots=True)
class _Worker:
    """A process, how far it is, and what it said in the end: what came of it, or its error."""

    number: int
    process: asyncio.subprocess.Process | None = None
    file: str = ""
    bytes_read: int = 0
    lines: int = 0
    result: ReplayResult | None = None
    error: MailingestError | None = None


class Workers:
    """So many processes that replay files, with their progress added up."""

    def __init__(
        self, settings: Settings, files: Sequence[LogFile], jobs: int, show: ShowProgress
    ) -> None:
        self._settings = settings
        self._files = files
        self._show = show
        self._workers = [_Worker(number) for number in range(jobs)]
        self._signals = 0

    async def main(self) -> ReplayResult:
        """Wait for all of them; raises the error of one that fails, once all have stopped."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._interrupt)
        async with asyncio.TaskGroup() as tasks:
            for one in self._workers:
                tasks.create_task(self._run(one))
        for one in self._workers:
            if one.error is not None:
                raise one.error
        nothing = ReplayResult.interrupted_before(self._files)
        return ReplayResult.of_shares([one.result or nothing for one in self._workers])

    def _interrupt(self) -> None:
        self._signals += 1
        for one in self._workers:
            self._stop(one)

    def _stop(self, worker: _Worker) -> None:
        """Stop at the next checkpoint; asked a second time, at once: see `Replay`."""
        if worker.process is not None and worker.process.returncode is None:
            worker.process.terminate()

    async def _run(self, worker: _Worker) -> None:
        process = worker.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", _START, *sys.path),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # A terminal's Ctrl-C is for this process, which passes it on.
            start_new_session=True,
        )
        assert process.stdin is not None  # noqa: S101  it was asked for
        assert process.stdout is not None  # noqa: S101
        if self._signals:
            self._stop(worker)
        task = _Task(self._settings, self._files, worker.number, len(self._workers))
        process.stdin.write(pickle.dumps(task))
        process.stdin.close()
        async for line in process.stdout:
            self._hear(worker, orjson.loads(line))
        code = await process.wait()
        if worker.result is None and worker.error is None and not self._signals:
            worker.error = MailingestError(
                f"one of the processes of the replay has ended ({_ending(code)}): the same command "
                "goes on from here"
            )
        if worker.error is not None:
            self._interrupt()

    def _hear(self, worker: _Worker, said: Mapping[str, Any]) -> None:
        if "error" in said:
            kind = UsageError if said["refused"] else MailingestError
            worker.error = kind(said["error"])
        elif "result" in said:
            worker.result = ReplayResult(**said["result"])
        else:
            worker.file, worker.bytes_read, worker.lines = said["at"]
            slowest = min(self._workers, key=lambda one: one.bytes_read)
            lines = sum(one.lines for one in self._workers)
            self._show(slowest.file, slowest.bytes_read, lines)


def work() -> None:
    """The process of its own."""
    task: _Task = pickle.load(sys.stdin.buffer)  # noqa: S301  this program itself wrote it
    configure(task.settings.log)
    heap.use_one_arena()
    share = build_replay_share(task.settings, task.number, task.of)
    try:
        replay = Replay(task.settings, task.files, _Teller().tell, share)
        gc_tuning.tune()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            _say({"result": asdict(runner.run(replay.main()))})
    except MailingestError as error:
        _say({"error": str(error), "refused": isinstance(error, UsageError)})
    except BrokenPipeError:
        sys.exit(1)  # who has started it has gone


class _Teller:
    """Tells now and then how far a worker is."""

    def __init__(self) -> None:
        self._told = 0.0

    def tell(self, file: str, bytes_read: int, lines: int) -> None:
        now = time.monotonic()
        if now - self._told >= _TELL_SECONDS:
            self._told = now
            _say({"at": [file, bytes_read, lines]})


def _say(said: Mapping[str, Any]) -> None:
    """Without a buffer that Python would write at the exit of a process whose reader has gone."""
    os.write(1, orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE))


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
