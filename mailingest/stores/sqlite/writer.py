"""Documents -> SQLite: one file a day, the store for a site without Elasticsearch."""

import os
import sqlite3
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from mailingest.documents import Document
from mailingest.errors import StoreUnavailable, UsageError
from mailingest.postfix.index_keys import is_of_session, linked_queue_id
from mailingest.stores.days import day_of
from mailingest.stores.protocol import WriteResult
from mailingest.stores.sqlite.summary import TABLE, Summary, add_table
from mailingest.stores.threads import in_thread

_log = structlog.get_logger(__name__)

SCHEMA_VERSION = 2

# The body is stored as text, so that SQLite's own JSON functions read it.  Each searched
# field has a column of its own; its index leaves out the documents without the field, which
# are most of them.  Addresses and message-ids are case-folded, queue ids are not: long queue
# ids differ by case (postconf(5), enable_long_queue_ids).  The time in an index gives the newest
# documents first without a look at any other.  `linked` is what only a trace asks for: the other
# queue id that a line names, or the process id of a line about a session.
_SEARCHED = (
    "postfix_queueid",
    "postfix_to",
    "postfix_orig_to",
    "postfix_from",
    "postfix_message-id",
    "linked",
)
_SCHEMA = (
    "CREATE TABLE documents (id TEXT PRIMARY KEY NOT NULL, time INTEGER NOT NULL, "
    "body TEXT NOT NULL, " + ", ".join(f'"{name}" TEXT' for name in _SEARCHED) + ")",
    "CREATE INDEX by_time ON documents(time)",
    *(
        f'CREATE INDEX "by_{name}" ON documents("{name}", time) WHERE "{name}" IS NOT NULL'
        for name in _SEARCHED
    ),
    TABLE,
)

# Larger pages than the usual 4 KiB hold bodies of some 700 bytes with less waste.  The log is
# folded into the database each 16 MiB, so that a page that many batches touch is copied once.
# NORMAL in WAL mode: a commit survives the death of the process; a power failure may take the
# commits since the last checkpoint, but never damages the file.
_SETTINGS = (
    "PRAGMA page_size = 8192",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA wal_autocheckpoint = 2048",
    "PRAGMA cache_size = -8192",
    "PRAGMA journal_size_limit = 67108864",
)

# sqlite3 gives up the interpreter lock for each statement and each time may wait 5 ms (the
# switch interval) to get it back from a busy main thread.  executemany pays that for every
# row; one statement for a whole batch pays it once.  9 values a row, of 32766 allowed.
_ROWS_PER_STATEMENT = 2000

# Another process may hold the write lock this long before the batch is put off.
_LOCK_TIMEOUT_SECONDS = 1.0

# Today, yesterday around midnight, and one for a host whose clock is wrong.
_MAX_OPEN_DAYS = 3


class SqliteWriter:
    """Stores each document in ``DIRECTORY/INDEX.sqlite``, once.

    All work with the database is done in one thread of its own.  ``write`` commits once per
    batch and day.  If one of several days fails, the whole batch is reported unavailable;
    the days that were committed come out as duplicates when it is tried again.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite-output")
        self._days: dict[str, _Day] = {}  # least recently used first

    async def open(self) -> None:
        """Create the directory and open the newest day, so that a bad file shows at start.

        Raises UsageError (directory unusable, file of a newer version) or StoreUnavailable.
        """
        await in_thread(self._open, executor=self._executor)

    async def write(self, batch: Sequence[Document]) -> WriteResult:
        """Store a batch; raises StoreUnavailable (full, locked, damaged) or UsageError."""
        return await in_thread(lambda: self._write(batch), executor=self._executor)

    async def reopen(self) -> None:
        """No file of this store is rotated."""

    async def close(self) -> None:
        """Close all files; the last close of a file folds its log into the database."""
        await in_thread(lambda: self._keep_open(0), executor=self._executor)
        self._executor.shutdown(wait=False)

    def _open(self) -> None:
        try:
            self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError, PermissionError) as error:
            raise UsageError(f"sqlite directory {self._directory}: {error.strerror}") from error
        except OSError as error:
            raise StoreUnavailable(f"{self._directory}: {error.strerror}") from error
        if not os.access(self._directory, os.W_OK | os.X_OK, effective_ids=True):
            raise UsageError(f"sqlite directory {self._directory}: not writable")
        newest = max(self._directory.glob("*-????.??.??.sqlite"), default=None)
        if newest is not None:
            try:
                self._day(newest.stem)
            except sqlite3.DatabaseError as error:
                raise self._failure(newest.stem, error) from error

    def _write(self, batch: Sequence[Document]) -> WriteResult:
        by_index: dict[str, list[Document]] = {}
        for document in batch:
            by_index.setdefault(document.index, []).append(document)
        inserted = 0
        begun: dict[str, sqlite3.Connection] = {}
        index = ""
        try:
            for index, documents in by_index.items():
                day = self._day(index)
                connection = begun[index] = day.connection
                connection.execute("BEGIN IMMEDIATE")
                new: list[Document] = []
                for start in range(0, len(documents), _ROWS_PER_STATEMENT):
                    new += _insert(connection, documents[start : start + _ROWS_PER_STATEMENT])
                day.summary.add(new)
                inserted += len(new)
            for index in by_index:
                begun[index].execute("COMMIT")
        except BaseException as error:
            # Closing rolls back whatever was begun and leaves no half-failed connection.
            self._keep_open(0)
            if isinstance(error, sqlite3.DatabaseError):
                raise self._failure(index, error) from error
            raise
        self._keep_open(_MAX_OPEN_DAYS)
        return WriteResult(stored=len(batch), duplicates=len(batch) - inserted)

    def _day(self, index: str) -> "_Day":
        day = self._days.pop(index, None)
        if day is not None and not day.in_place():
            # Someone removed the file; rows written to it now would vanish with it.
            day.connection.close()
            day = None
        if day is None:
            day = _open_day(self._directory / f"{index}.sqlite")
        self._days[index] = day
        return day

    def _keep_open(self, count: int) -> None:
        while len(self._days) > count:
            self._days.pop(next(iter(self._days))).connection.close()

    def _failure(self, index: str, error: sqlite3.DatabaseError) -> Exception:
        path = self._directory / f"{index}.sqlite"
        match error.sqlite_errorcode & 0xFF:  # the primary result code
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                return StoreUnavailable(f"{path} was damaged, set aside as {_set_aside(path)}")
            case sqlite3.SQLITE_ERROR:
                return UsageError(f"{path}: not a database of mailingest ({error})")
            case _:
                return StoreUnavailable(f"{path}: {error}")


@dataclass(slots=True)
class _Day:
    path: Path
    connection: sqlite3.Connection
    identity: tuple[int, int]
    summary: Summary

    def in_place(self) -> bool:
        try:
            return _identity(self.path) == self.identity
        except FileNotFoundError:
            return False


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _open_day(path: Path) -> _Day:
    try:
        # SQLite would create the file readable by all; its -wal and -shm follow this mode.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o640))
    except FileExistsError:
        pass
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror}") from error
    connection = sqlite3.connect(
        path,
        timeout=_LOCK_TIMEOUT_SECONDS,
        isolation_level=None,  # BEGIN and COMMIT are ours
        cached_statements=4,  # a statement of 2000 rows is large
    )
    try:
        _schema_version(connection, path)
        for setting in _SETTINGS:
            connection.execute(setting)
        connection.execute("BEGIN IMMEDIATE")
        version = _schema_version(connection, path)
        if version == 0:
            for statement in _SCHEMA:
                connection.execute(statement)
        elif version == 1:
            add_table(connection)
        if version < SCHEMA_VERSION:
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
        return _Day(path, connection, _identity(path), Summary(connection))
    except BaseException:
        connection.close()
        raise


def _schema_version(connection: sqlite3.Connection, path: Path) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise UsageError(
            f"{path}: written by a newer mailingest (schema {version}, known {SCHEMA_VERSION})"
        )
    return version


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
    _log.error("damaged database set aside", path=str(path), aside=str(aside))
    try:
        path.rename(aside)
        # A log is left if someone else has the file open; SQLite would take it for the new one's.
        for suffix in ("-wal", "-shm"):
            companion = path.with_name(path.name + suffix)
            if companion.exists():
                companion.rename(aside.with_name(aside.name + suffix))
    except OSError as error:
        raise StoreUnavailable(f"{path} is damaged and cannot be renamed: {error}") from error
    return aside


# Not INSERT OR IGNORE, which would pass over any other broken constraint in silence too.
_PLACEHOLDERS = "(?, ?, CAST(? AS TEXT), ?, ?, ?, ?, ?, ?)"


def _insert(connection: sqlite3.Connection, documents: Sequence[Document]) -> Sequence[Document]:
    """Insert up to ``_ROWS_PER_STATEMENT`` documents; returns those that were new."""
    values: list[object] = []
    for document in documents:
        get = document.fields.get
        values += (
            document.id,
            document.seconds,
            document.body,
            get("postfix_queueid"),
            _folded(get("postfix_to")),
            _folded(get("postfix_orig_to")),
            _folded(get("postfix_from")),
            _folded(get("postfix_message-id")),
            _linked(document.fields),
        )
    rows = ", ".join([_PLACEHOLDERS] * len(documents))
    # Only the constant above goes into the text.
    statement = f"INSERT INTO documents VALUES {rows} ON CONFLICT (id) DO NOTHING"  # noqa: S608
    cursor = connection.execute(statement, values)
    if cursor.rowcount == len(documents):
        return documents
    if not cursor.rowcount:
        return ()
    # Rows are numbered one after the other.  Of a document that came twice, one is new.
    before = (cursor.lastrowid or 0) - cursor.rowcount
    new = connection.execute("SELECT id FROM documents WHERE rowid > ?", [before]).fetchall()
    by_id = {document.id: document for document in documents}
    return [by_id[document_id] for (document_id,) in new]


def _folded(value: Any) -> str | None:
    return None if value is None else str(value).casefold()


def _linked(fields: Mapping[str, Any]) -> str | None:
    return fields.get("pid") if is_of_session(fields) else linked_queue_id(fields)


def day_files(
    directory: Path, prefix: str, since: datetime | None = None, until: datetime | None = None
) -> list[Path]:
    """The files of the days from ``since`` to ``until``, the newest first.

    There are none as long as there is no such directory.  Raises UsageError if it cannot be read.
    """
    first = f"{since.astimezone(UTC):%Y.%m.%d}" if since else ""
    last = f"{until.astimezone(UTC):%Y.%m.%d}" if until else "~"
    try:
        # Path.glob() passes over what it may not read.
        paths = [path for path in directory.iterdir() if path.suffix == ".sqlite"]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"sqlite directory {directory}: {error.strerror}") from error
    days = {day: path for path in paths if (day := day_of(path.stem, prefix))}
    return [
        path
        for day, path in sorted(days.items(), reverse=True)
        if first <= f"{day:%Y.%m.%d}" <= last
    ]


def open_for_reading(path: Path) -> sqlite3.Connection | None:
    """A connection that cannot write, also while the file is being written; close it.

    It is None for a file that was just created and still has no table.  Raises UsageError for one
    of a newer version, and what sqlite3 raises.
    """
    address = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(address, uri=True)
    try:
        try:
            version = _schema_version(connection, path)
        except sqlite3.OperationalError as error:
            # Without the right to write, no log can be made; of a file system that is mounted
            # read-only, SQLite only tells that there is none to open.
            code = error.sqlite_errorcode
            is_read_only = code == sqlite3.SQLITE_CANTOPEN and not _log_of(path).exists()
            if code != sqlite3.SQLITE_READONLY_DIRECTORY and not is_read_only:
                raise
            # There is no log, so nobody is writing: the file may be taken as unchanging.
            connection.close()
            connection = sqlite3.connect(f"{address}&immutable=1", uri=True)
            version = _schema_version(connection, path)
    except BaseException:
        connection.close()
        raise
    if version == 0:
        connection.close()
        return None
    return connection


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")
