"""Documents -> SQLite: one file a day, the store for a site without Elasticsearch."""

import os
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mailingest.documents import Document
from mailingest.errors import StoreUnavailable, UsageError
from mailingest.logs.logger import log
from mailingest.ownership import is_denied, make_own_directories, why_not_writable
from mailingest.stores.protocol import Rejection, WriteResult
from mailingest.stores.sqlite.files import (
    SUFFIX,
    OpenFile,
    day_files,
    open_for_writing,
    set_aside,
    sync_log,
    with_companions,
)
from mailingest.stores.sqlite.inserting import Inserter
from mailingest.stores.sqlite.turns import turn
from mailingest.stores.threads import in_thread
from mailingest.syslog.sources import DEFAULT_TYPE

# Of each type, today and yesterday around midnight; and one for a host whose clock is wrong.
_OPEN_DAYS_OF_A_TYPE: Final = 2
_MORE_OPEN_DAYS: Final = 1


@dataclass(frozen=True, slots=True)
class _Day:
    file: OpenFile
    inserter: Inserter


class SqliteWriter:
    """Stores each document in ``DIRECTORY/INDEX.sqlite``, once.

    All work with the database is done in one thread of its own.  ``write`` commits day by day, once
    per batch and day, and holds no more than a few days of each of the ``types`` open; a commit
    survives the death of the process, and a power failure after the next ``sync``.  If one of
    several days fails, the whole batch is reported unavailable; the days that were committed come
    out as duplicates when it is tried again.  Only a file that an operator has to set right does
    not concern the others: its documents are held.
    """

    def __init__(self, directory: Path, types: Sequence[str] = (DEFAULT_TYPE,)) -> None:
        self._directory = directory
        self._types = types
        self._most_open = len(types) * _OPEN_DAYS_OF_A_TYPE + _MORE_OPEN_DAYS
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite-writer")
        self._days: dict[str, _Day] = {}  # least recently used first
        self._unsynced: set[str] = set()  # days with commits since the last sync
        self._was_opened = False

    async def open(self) -> None:
        """Create the directory and open the newest days, so that a bad file shows at start.

        Raises UsageError (directory unusable, file of a newer version) or StoreUnavailable.  A day
        that this user may not write to is an error in the log, and holds up only itself.
        """
        await in_thread(self._open, executor=self._executor)

    async def write(self, batch: Sequence[Document]) -> WriteResult:
        """Store a batch; raises StoreUnavailable (full, locked, damaged)."""
        return await in_thread(lambda: self._write(batch), executor=self._executor)

    async def sync(self) -> None:
        """Wait until all commits are on the disk; raises StoreUnavailable."""
        await in_thread(self._sync, executor=self._executor)

    async def reopen(self) -> None:
        """Nothing to do: each batch looks whether its files are still in place."""

    async def close(self) -> None:
        """Close all files; the last close of a file folds its log into the database."""
        await in_thread(lambda: self._keep_open(0), executor=self._executor)
        self._executor.shutdown(wait=False)

    def _open(self) -> None:
        try:
            make_own_directories(self._directory)
        except PermissionError as error:
            raise UsageError(why_not_writable(self._directory)) from error
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(f"sqlite directory {self._directory}: {error.strerror}") from error
        except OSError as error:
            raise StoreUnavailable(f"{self._directory}: {error.strerror}") from error
        if is_denied(self._directory, os.W_OK | os.X_OK):
            raise UsageError(why_not_writable(self._directory))
        if self._was_opened:
            return  # what is wrong with a day holds up its own documents only
        for name in self._types:
            for newest in day_files(self._directory, [name])[:1]:
                with turn(self._directory):
                    self._open_newest(newest)
        self._was_opened = True

    def _open_newest(self, path: Path) -> None:
        try:
            self._day(path.stem)
        except sqlite3.DatabaseError as error:
            failure = self._failure(path.stem, error)
        except UsageError as error:
            failure = error
        else:
            return
        if not self._denied(path):
            raise failure
        log.error("a day cannot be written, and its documents wait", reason=str(failure))

    def _write(self, batch: Sequence[Document]) -> WriteResult:
        by_index: dict[str, list[Document]] = {}
        for document in batch:
            by_index.setdefault(document.index, []).append(document)
        result = WriteResult()
        for index, documents in by_index.items():
            try:
                inserted = self._write_or_explain(index, documents)
            except UsageError as error:
                result.held += [Rejection(document, str(error)) for document in documents]
                continue
            result.stored += len(documents)
            result.duplicates += len(documents) - inserted
            # A batch may be of any number of days, and each open one takes three descriptors.
            self._keep_open(self._most_open)
        return result

    def _write_or_explain(self, index: str, documents: Sequence[Document]) -> int:
        """Commit the documents of a day; raises StoreUnavailable or UsageError."""
        try:
            with turn(self._directory):
                return self._write_day(index, documents)
        except BaseException as error:
            # Closing rolls back whatever was begun and leaves no half-failed connection.
            self._keep_open(0)
            if isinstance(error, sqlite3.DatabaseError):
                raise self._failure(index, error) from error
            raise

    def _write_day(self, index: str, documents: Sequence[Document]) -> int:
        """Commit the documents of a day; how many of them were new."""
        day = self._day(index)
        connection = day.file.connection
        connection.execute("BEGIN IMMEDIATE")
        new = day.inserter.insert(documents)
        self._unsynced.add(index)
        connection.execute("COMMIT")
        return new

    def _sync(self) -> None:
        for index in self._unsynced:
            try:
                sync_log(self._path(index))
            except OSError as error:
                raise StoreUnavailable(f"{self._path(index)}: {error.strerror}") from error
        self._unsynced.clear()

    def _day(self, index: str) -> _Day:
        day = self._days.pop(index, None)
        if day is not None and not day.file.is_in_place:
            # Someone removed the file; rows written to it now would vanish with it.
            day.file.connection.close()
            day = None
        if day is None:
            file = open_for_writing(self._path(index))
            day = _Day(file, Inserter(file.connection))
        self._days[index] = day
        return day

    def _keep_open(self, count: int) -> None:
        while len(self._days) > count:
            self._days.pop(next(iter(self._days))).file.connection.close()

    def _failure(self, index: str, error: sqlite3.DatabaseError) -> Exception:
        path = self._path(index)
        match error.sqlite_errorcode & 0xFF:  # the primary result code
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                return StoreUnavailable(f"{path} was damaged, set aside as {set_aside(path)}")
            case _ if denied := self._denied(path):
                return UsageError(why_not_writable(*denied))
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
                return UsageError(
                    f"{path} cannot be written to: give back owner and mode ({error})"
                )
            case sqlite3.SQLITE_ERROR:
                return UsageError(f"{path}: not a database of mailingest ({error})")
            case _:
                return StoreUnavailable(f"{path}: {error}")

    @staticmethod
    def _denied(path: Path) -> list[Path]:
        """What of a day's file this user may not write to."""
        return [one for one in with_companions(path) if is_denied(one, os.W_OK)]

    def _path(self, index: str) -> Path:
        return self._directory / f"{index}{SUFFIX}"
