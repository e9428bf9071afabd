"""Packs days that are over while the daemon runs: a process of its own, at the lowest priority."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

from mailingest.errors import MailingestError
from mailingest.logs.logger import log
from mailingest.stores.sqlite.compaction import compact, is_worth_while
from mailingest.stores.sqlite.files import files_before

# A replay of old logs is over when nothing has been written for so long.
_QUIET_SECONDS: Final = 1800
_NICE: Final = 19
# Whoever waits to write gets the file between two transactions.
_PAUSE_SECONDS: Final = 0.02
# The working directory is not searched for modules: anybody may have put them there.
_START: Final = (
    "import sys; path = sys.argv[1]; sys.path[:] = sys.argv[2:]; "
    "from mailingest.stores.sqlite.background import main; main(path)"
)


class Packer:
    """Packs the days of a directory, one after the other."""

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
        """Pack the days before ``today`` that are worth while; ``now`` is in seconds since 1970."""
        for path in files_before(self._directory, self._types, today):
            if self._is_interrupted:
                return
            if _is_due(path, now):
                self._pack(path)

    def _pack(self, path: Path) -> None:
        command = [sys.executable, "-P", "-c", _START, str(path), *sys.path]
        environment = {**os.environ, "SQLITE_TMPDIR": str(self._directory)}
        before = path.stat().st_size
        with subprocess.Popen(  # noqa: S603  this program itself
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
        ) as self._process:
            if self._is_interrupted:
                self._process.terminate()
            _, said = self._process.communicate()
        if self._process.returncode == 0:
            log.info("a day was packed", path=str(path), before=before, after=path.stat().st_size)
        elif not self._is_interrupted:
            reason = said.decode(errors="replace").strip().rpartition("\n")[2]
            log.warning("a day could not be packed", path=str(path), reason=reason)


def main(path: str) -> None:
    """The process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever has started it ends it
    os.nice(_NICE)
    try:
        compact(Path(path), lambda: time.sleep(_PAUSE_SECONDS))
    except (MailingestError, sqlite3.DatabaseError) as error:
        sys.exit(f"{path}: {error}")


def _is_due(path: Path, now: float) -> bool:
    try:
        return now - path.stat().st_mtime > _QUIET_SECONDS and is_worth_while(path)
    except (sqlite3.DatabaseError, MailingestError, OSError):
        return False  # whoever reads or writes it says what is wrong
