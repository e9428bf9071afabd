"""Looks after the days while the daemon runs: a process of its own, at the lowest priority.

Days that are over are packed, and what was counted of hours that are over is kept.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from typing import Final

from mailingest.errors import MailingestError
from mailingest.logs.logger import log
from mailingest.stores.sqlite.compaction import compact, is_worth_while
from mailingest.stores.sqlite.files import (
    day_files,
    files_before,
    open_for_reading,
    open_for_writing,
)
from mailingest.stores.sqlite.hours import keep_hours, missing_hours

# A replay of old logs is over when nothing has been written for so long.
_QUIET_SECONDS: Final = 1800
# Lines of an hour may come later than its end.
_LATE_SECONDS: Final = 300
_NICE: Final = 19
# Whoever waits to write gets the file between two transactions.
_PAUSE_SECONDS: Final = 0.02
# The working directory is not searched for modules: anybody may have put them there.
_START: Final = (
    "import sys; path = sys.argv[1]; sys.path[:] = sys.argv[2:]; "
    "from mailingest.stores.sqlite.background import {work}"
)


class Packer:
    """Looks after the days of a directory, one after the other."""

    def __init__(self, directory: Path, types: Sequence[str]) -> None:
        self._directory = directory
        self._types = types
        self._process: subprocess.Popen[bytes] | None = None
        self._is_interrupted = False

    def interrupt(self) -> None:
        """End the work soon, from another thread; what was packed until then is well."""
        self._is_interrupted = True
        if self._process is not None:
            self._process.terminate()

    def run(self, today: date, now: float) -> None:
        """Pack the days before ``today`` that are worth while, and keep what hours count.

        ``now`` is in seconds since 1970.
        """
        until = int(now) - _LATE_SECONDS
        over = files_before(self._directory, self._types, today)
        for path in day_files(self._directory, self._types)[::-1]:
            if self._is_interrupted:
                return
            is_over = path in over
            if is_over and not _is_quiet(path, now):
                continue
            if is_over and _holds(path, is_worth_while):
                if (saved := self._work(path, "pack; pack(path)")) is not None:
                    log.info("a day was packed", path=str(path), before=saved[0], after=saved[1])
            elif _holds(path, partial(_lacks_hours, until=until)):
                self._work(path, f"count; count(path, {until})")

    def _work(self, path: Path, work: str) -> tuple[int, int] | None:
        """Do it in a process of its own; the size of the file before and after, None if it failed.

        ``work`` is a function of this module, and a call of it.
        """
        start = _START.format(work=work)
        command = [sys.executable, "-P", "-c", start, str(path), *sys.path]
        environment = {**os.environ, "SQLITE_TMPDIR": str(self._directory)}
        before = path.stat().st_size
        with subprocess.Popen(  # noqa: S603  this program itself
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
        ) as self._process:
            if self._is_interrupted:
                self._process.terminate()
            _, said = self._process.communicate()
        if self._process.returncode == 0:
            return before, path.stat().st_size
        if not self._is_interrupted:
            reason = said.decode(errors="replace").strip().rpartition("\n")[2]
            log.warning("a day could not be packed", path=str(path), reason=reason)
        return None


def pack(path: str) -> None:
    """The process of its own that packs a day."""
    with _said(path):
        compact(Path(path), _pause)


def count(path: str, until: int) -> None:
    """The one that counts the hours that end by ``until``."""
    with _said(path), closing(open_for_writing(Path(path)).connection) as connection:
        keep_hours(connection, until, _pause)


@contextmanager
def _said(path: str) -> Iterator[None]:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever has started it ends it
    os.nice(_NICE)
    try:
        yield
    except (MailingestError, sqlite3.DatabaseError) as error:
        sys.exit(f"{path}: {error}")


def _pause() -> None:
    time.sleep(_PAUSE_SECONDS)


def _lacks_hours(path: Path, until: int) -> bool:
    connection = open_for_reading(path)
    if connection is None:
        return False
    with closing(connection):
        return bool(missing_hours(connection, until))


def _is_quiet(path: Path, now: float) -> bool:
    try:
        return now - path.stat().st_mtime > _QUIET_SECONDS
    except OSError:
        return False


def _holds(path: Path, what: Callable[[Path], bool]) -> bool:
    try:
        return what(path)
    except (sqlite3.DatabaseError, MailingestError, OSError):
        return False  # whoever reads or writes it says what is wrong
