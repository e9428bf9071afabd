"""Backfill: log files -> the store, by one process or by several that share the lines."""

import asyncio
from collections.abc import Sequence

import uvloop

from mailingest.commands.checkpoint import Checkpoint
from mailingest.commands.replay_progress import shown_progress
from mailingest.commands.replay_result import ReplayResult
from mailingest.commands.replay_workers import Workers
from mailingest.commands.replaying import Replay
from mailingest.config import Settings
from mailingest.errors import UsageError
from mailingest.inputs.files import LogFile
from mailingest.logs.logger import log
from mailingest.service import gc_tuning, heap
from mailingest.wiring import log_files


def run(
    settings: Settings,
    arguments: Sequence[str],
    *,
    restart: bool,
    year: int | None = None,
    jobs: int = 1,
) -> ReplayResult:
    """Replay the files named by the arguments, in ``jobs`` processes.

    Raises UsageError if it cannot start, and MailingestError if one of several processes fails.
    """
    if settings.store_kind == "kafka":
        raise UsageError(
            "kafka.servers: old lines are not for a topic, whose lines are taken for new ones: "
            "replay them where the workers store"
        )
    files = log_files(settings, arguments, year)
    checkpoint = Checkpoint(settings.state.directory, files, settings.default_source)
    if restart:
        checkpoint.forget()
    was_interrupted = checkpoint.is_kept
    result = _run_alone(settings, files) if jobs == 1 else _run_in_shares(settings, files, jobs)
    if not result.interrupted:
        checkpoint.forget()
    if not (result.lines or result.interrupted or was_interrupted):
        log.warning(
            "there was no line in what was to be read: nothing was stored",
            files=[str(file.path) for file in files],
        )
    return result


def _run_alone(settings: Settings, files: Sequence[LogFile]) -> ReplayResult:
    heap.use_one_arena()
    with shown_progress(files) as show:
        replay = Replay(settings, files, show)
        gc_tuning.tune()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(replay.main())


def _run_in_shares(settings: Settings, files: Sequence[LogFile], jobs: int) -> ReplayResult:
    for file in files:
        if not file.is_regular:
            raise UsageError(
                f"{file.path}: a pipe can be read by one process only: leave out --jobs, or store "
                "what comes through it in a file first"
            )
    if settings.ndjson.path == "-":
        raise UsageError(
            "ndjson.path: standard output can be written by one process only: leave out --jobs, or "
            "name a file"
        )
    with shown_progress(files) as show:
        return asyncio.run(Workers(settings, files, jobs, show).main())
