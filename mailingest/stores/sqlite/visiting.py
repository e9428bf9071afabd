"""One question after the other to the files of a time span, newest first, and how to stop it."""

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import orjson

from mailingest.logs.logger import log
from mailingest.ownership import is_denied, why_unreadable
from mailingest.stores.gaps import Gap
from mailingest.stores.sqlite.bounds import Bounds
from mailingest.stores.sqlite.files import (
    damaged_files,
    day_files,
    day_text,
    open_for_reading,
    with_companions,
)
from mailingest.stores.threads import Interrupted


class Days:
    """The files for one question, of which one is open at a time.

    A file that cannot be read is logged and becomes one of ``gaps``; the others are asked.
    """

    def __init__(self, directory: Path, types: Sequence[str]) -> None:
        self._directory = directory
        self._types = types
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._is_interrupted = False
        self.gaps: list[Gap] = []

    def interrupt(self) -> None:
        """End the work, from another thread; it raises Interrupted soon."""
        with self._lock:
            self._is_interrupted = True
            if self._connection is not None:
                self._connection.interrupt()

    def go_on(self) -> None:
        """Raise Interrupted if the work is to end."""
        if self._is_interrupted:
            raise Interrupted

    def within(self, bounds: Bounds) -> list[Path]:
        """The files of a time span, newest day first; those of a day are of several types.

        Those that were set aside become gaps.
        """
        span = (self._directory, self._types, bounds.since, bounds.until)
        for path in damaged_files(*span):
            reason = "it was damaged and set aside: replay the logs of that day, then remove it"
            self._add(path, reason)
        return day_files(*span)

    def visit(self, paths: Sequence[Path], ask: Callable[[Path, sqlite3.Connection], bool]) -> None:
        """Open one after the other until ``ask`` returns False, and the others of that day."""
        last_day = ""
        for path in paths:
            if last_day and day_text(path) != last_day:
                return
            try:
                connection = open_for_reading(path)
                if connection is None:
                    continue
                with closing(connection):
                    self._set_current(connection)
                    try:
                        if not ask(path, connection):
                            last_day = day_text(path)
                    finally:
                        self._set_current(None)
            except (sqlite3.DatabaseError, orjson.JSONDecodeError) as error:
                self._failed(path, error)

    def _set_current(self, connection: sqlite3.Connection | None) -> None:
        with self._lock:
            self._connection = connection
            if self._is_interrupted and connection is not None:
                raise Interrupted

    def _failed(self, path: Path, error: Exception) -> None:
        if self._is_interrupted:
            raise Interrupted from error
        if not path.exists():
            return  # retention has deleted it meanwhile
        unreadable = [one for one in with_companions(path) if is_denied(one, os.R_OK)]
        reason = why_unreadable(unreadable[0]) if unreadable else str(error)
        if self._add(path, reason):
            log.error("a day of the store cannot be read", path=str(path), reason=reason)

    def _add(self, path: Path, reason: str) -> bool:
        """Whether this was not known yet."""
        gap = Gap("day_unreadable", f"{path} cannot be read: {reason}")
        if gap in self.gaps:
            return False
        self.gaps.append(gap)
        return True
