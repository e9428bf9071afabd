"""The files of the embedded store, one a day: which there are, and how they are opened."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from mailingest.errors import StoreUnavailable, UsageError
from mailingest.logs.logger import log
from mailingest.ownership import create_own, is_denied, why_not_writable, why_unreadable
from mailingest.spool.files import sync_directory
from mailingest.stores.days import day_of, touches, type_of
from mailingest.stores.sqlite.schema import bring_up_to_date, schema_version
from mailingest.syslog.sources import TYPE_NAME

SUFFIX: Final = ".sqlite"
COMPANIONS: Final = ("-wal", "-shm")
"""What SQLite itself adds to the name of a database, for its log and the index of that."""
DAMAGED: Final = ".damaged-"
"""What is added to the name of a file that is set aside, before the time of that."""

# Larger pages than the usual 4 KiB hold blocks of some 2 KiB with less waste.  The log is
# folded into the database each 16 MiB, so that a page that many batches touch is copied once.
# NORMAL in WAL mode: a commit survives the death of the process; a power failure may take the
# commits since the last checkpoint or `sync_log`, but never damages the file.
_SETTINGS: Final = (
    "PRAGMA page_size = 8192",
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA wal_autocheckpoint = 2048",
    "PRAGMA cache_size = -8192",
    "PRAGMA journal_size_limit = 67108864",
)

_DAY_LENGTH: Final = len("YYYY.MM.dd")

# Another process may hold the write lock this long before the batch is put off.
_LOCK_TIMEOUT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A day's file that is open for writing."""

    path: Path
    connection: sqlite3.Connection
    identity: tuple[int, int]

    @property
    def is_in_place(self) -> bool:
        """Whether the file has neither been removed nor replaced since it was opened."""
        try:
            return _identity(self.path) == self.identity
        except FileNotFoundError:
            return False


def open_for_writing(path: Path) -> OpenFile:
    """Open or create a day's file, and bring its schema up to date.

    Raises UsageError for a file of a newer version, or one that this user may not write to,
    StoreUnavailable if it cannot be created, and what sqlite3 raises.
    """
    try:
        # SQLite would create the file readable by all; its -wal and -shm follow this one in mode
        # and, where root makes them, in owner.
        os.close(create_own(path, os.O_RDWR))
    except FileExistsError:
        pass  # to close it would drop the locks that SQLite has on it (fcntl(2))
    except PermissionError as error:
        raise UsageError(why_not_writable(path)) from error
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror}") from error
    connection = sqlite3.connect(
        path,
        timeout=_LOCK_TIMEOUT_SECONDS,
        isolation_level=None,  # BEGIN and COMMIT are written out
        cached_statements=4,  # a statement of 2000 rows is large
    )
    try:
        schema_version(connection, path)
        for setting in _SETTINGS:
            connection.execute(setting)
        bring_up_to_date(connection, path)
        return OpenFile(path, connection, _identity(path))
    except BaseException:
        connection.close()
        raise


def open_for_reading(path: Path) -> sqlite3.Connection | None:
    """A connection that cannot write, also while the file is being written; close it.

    It is None for a file that was just created and still has no table.  Raises UsageError for one
    of a newer version, and what sqlite3 raises.
    """
    address = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(address, uri=True, isolation_level=None)
    try:
        try:
            version = schema_version(connection, path)
        except sqlite3.OperationalError as error:
            # Without the right to write, no log can be made; of a file system that is mounted
            # read-only, SQLite only says that there is none to open.
            code = error.sqlite_errorcode
            is_read_only = code == sqlite3.SQLITE_CANTOPEN and not _log_of(path).exists()
            if code != sqlite3.SQLITE_READONLY_DIRECTORY and not is_read_only:
                raise
            # There is no log, so nobody is writing: the file may be taken as unchanging.
            connection.close()
            connection = sqlite3.connect(f"{address}&immutable=1", uri=True, isolation_level=None)
            version = schema_version(connection, path)
    except BaseException:
        connection.close()
        raise
    if version == 0:
        connection.close()
        return None
    # All that a question reads is of one moment: blocks may be packed again meanwhile.
    connection.execute("BEGIN")
    return connection


def sync_log(path: Path) -> None:
    """Wait until all commits into a day's file are on the disk; raises OSError.

    They are in the log, since SQLite syncs what it folds into the database.  The database itself
    must not be opened here: closing it would drop the locks that SQLite has on it (fcntl(2)).
    """
    try:
        log = os.open(_log_of(path), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        pass  # the last close folded it in
    else:
        try:
            os.fsync(log)
        finally:
            os.close(log)
    sync_directory(path.parent)


def day_files(
    directory: Path,
    types: Sequence[str],
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Path]:
    """The files of the types of the days from ``since`` to ``until``, the newest day first.

    There are none as long as there is no such directory.  Raises UsageError if it cannot be read.
    """
    days = _days(directory, types)
    return [path for day, path in reversed(days) if touches(day, since, until)]


def files_before(directory: Path, types: Sequence[str], end: date) -> list[Path]:
    """The files of the types of the days before ``end``, the oldest first; raises UsageError."""
    return [path for day, path in _days(directory, types) if day < end]


def _days(directory: Path, types: Sequence[str]) -> list[tuple[date, Path]]:
    paths = [path for path in entries(directory) if path.suffix == SUFFIX]
    return sorted(
        (day, path) for path in paths for name in types if (day := day_of(path.stem, name))
    )


def other_types(directory: Path, types: Sequence[str]) -> list[str]:
    """Types that there are days of in the directory besides these; raises UsageError."""
    names = {type_of(path.stem) for path in entries(directory) if path.suffix == SUFFIX}
    return sorted(
        name
        for name in names.difference(types)
        if TYPE_NAME.fullmatch(name) and day_files(directory, [name])
    )


def day_text(path: Path) -> str:
    """The day of one of these files, as it stands in its name."""
    return path.stem[-_DAY_LENGTH:]


def damaged_files(
    directory: Path, types: Sequence[str], since: datetime | None, until: datetime | None
) -> list[Path]:
    """The files of these days that were set aside; raises UsageError as `day_files` does."""
    aside = f"{SUFFIX}{DAMAGED}"
    return [
        path
        for path in entries(directory)
        if aside in path.name and not path.name.endswith(COMPANIONS)
        for name in types
        if (day := day_of(path.name.partition(aside)[0], name)) is not None
        and touches(day, since, until)
    ]


def with_companions(path: Path) -> list[Path]:
    """A database and the files of SQLite beside it, whether they are there or not."""
    return [path, *(path.with_name(path.name + suffix) for suffix in COMPANIONS)]


def entries(directory: Path) -> list[Path]:
    """All that is in the directory, nothing if there is none; raises UsageError."""
    try:
        # Path.glob() passes over what it may not read.
        return sorted(directory.iterdir())
    except FileNotFoundError:
        return []
    except PermissionError as error:
        raise UsageError(why_unreadable(directory)) from error
    except OSError as error:
        raise UsageError(f"sqlite directory {directory}: {error.strerror}") from error


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise StoreUnavailable, which names the file, for what sqlite3 raises."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        denied = [one for one in with_companions(path) if is_denied(one, os.R_OK | os.W_OK)]
        if denied:
            raise UsageError(why_not_writable(denied[0])) from error
        raise StoreUnavailable(f"{path}: {error}") from error


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that its day can begin anew; raises StoreUnavailable."""
    aside = path.with_name(f"{path.name}{DAMAGED}{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
    log.error("damaged database set aside", path=str(path), aside=str(aside))
    try:
        path.rename(aside)
        # A log is left if someone else has the file open; SQLite would take it for the new one's.
        for suffix in COMPANIONS:
            companion = path.with_name(path.name + suffix)
            if companion.exists():
                companion.rename(aside.with_name(aside.name + suffix))
    except OSError as error:
        raise StoreUnavailable(f"{path} is damaged and cannot be renamed: {error}") from error
    return aside


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")
