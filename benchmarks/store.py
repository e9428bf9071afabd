"""Counts what the daemon has put into its SQLite store, from outside."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.support.sqlite import count_stored

CONFIG: Final = """
[[inputs.udp]]
host = "127.0.0.1"
port = {port}
[[inputs.tcp]]
host = "127.0.0.1"
port = {port}
[sqlite]
directory = "{directory}/mail"
[state]
directory = "{directory}/state"
"""
_QUIET_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.5


def stored(directory: Path) -> int:
    """How many documents are in the daily files."""
    total = 0
    for file in directory.glob("mail/*.sqlite"):
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as database:
            try:
                total += count_stored(database)
            except sqlite3.OperationalError as error:
                # The daemon has created the file and not yet its table.
                if "no such table" not in str(error):
                    raise
    return total


def rejected(directory: Path) -> int:
    """How many documents are in the dead-letter files."""
    return sum(
        file.read_bytes().count(b"\n") for file in directory.glob("state/**/dead-letters-*.ndjson")
    )


def wait_until_quiet(
    directory: Path, expected: int, check: Callable[[], None], limit: float
) -> int:
    """Documents stored when all are there, none has come for a while, or ``limit`` seconds passed.

    ``check`` is called now and then; it raises if waiting is pointless.
    """
    deadline = time.monotonic() + limit
    count, changed = stored(directory), time.monotonic()
    while count < expected and time.monotonic() < min(deadline, changed + _QUIET_SECONDS):
        check()
        time.sleep(_POLL_SECONDS)
        if (now := stored(directory)) != count:
            count, changed = now, time.monotonic()
    return count
