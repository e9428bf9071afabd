"""Rejected documents -> JSON lines in the state directory, for people to look into and retry."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from mailingest.documents import Document
from mailingest.errors import StoreUnavailable, UsageError
from mailingest.logs.logger import log
from mailingest.ownership import make_own_directories, why_not_writable, why_unreadable
from mailingest.spool.files import sync_directory
from mailingest.stores.appending import append_whole, open_for_append
from mailingest.stores.protocol import Rejection

_FILES: Final = "dead-letters-????.??.??.ndjson"
# Some 60,000 documents: enough to see what is wrong with a mapping, too little to fill a disk.
MAX_BYTES = 64 * 1024 * 1024


class DeadLetters:
    """Keeps rejected documents in ``DIRECTORY/dead-letters-YYYY.MM.dd.ndjson`` (day in UTC).

    Each line is an object with ``time`` (of the rejection, ISO 8601, UTC), ``index``, ``id``,
    ``reason`` and ``document`` (the body).  None is ever removed here: when all files together have
    ``max_bytes``, no more are taken until an operator has made room.  The last one taken may go
    beyond that, so that one alone is always taken.

    It blocks while it writes: it is for a thread, one at a time.
    Another process may read the files at any time, and change them with `rewrite`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self.max_bytes = max_bytes
        self._clock = clock
        self.size_bytes = 0
        """Bytes of all dead letters when they were last looked at."""

    def measure(self) -> None:
        """Look how many bytes there are: other commands remove some."""
        with suppress(OSError):
            self.size_bytes = sum(path.stat().st_size for path in letter_files(self._directory))

    def write(self, rejections: Sequence[Rejection]) -> int:
        """Append the first N documents for which there is room, and return N.

        Raises UsageError if there is room for none, StoreUnavailable if they cannot be written.
        """
        now = datetime.fromtimestamp(self._clock(), UTC)
        try:
            make_own_directories(self._directory)
            # No waiting here: the batcher tries again later, and logs it.
            with _locked(self._directory, fcntl.LOCK_EX | fcntl.LOCK_NB):
                count = self._append(rejections, now)
                self.measure()
                return count
        except BlockingIOError:
            raise StoreUnavailable(
                f"dead letters in {self._directory} are being changed by another command"
            ) from None
        except PermissionError as error:
            place = Path(error.filename or self._directory)
            raise UsageError(f"dead letters: {why_not_writable(place)}") from error
        except OSError as error:
            raise StoreUnavailable(f"dead letters in {self._directory}: {error}") from error

    def _append(self, rejections: Sequence[Rejection], now: datetime) -> int:
        lines = self._lines_that_fit(rejections, now)
        descriptor = open_for_append(self._directory / f"dead-letters-{now:%Y.%m.%d}.ndjson")
        try:
            append_whole(descriptor, b"".join(lines))
            # The spool lets go of a line once it is here.
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_directory(self._directory)
        return len(lines)

    def _lines_that_fit(self, rejections: Sequence[Rejection], now: datetime) -> list[bytes]:
        room = self.max_bytes - sum(path.stat().st_size for path in letter_files(self._directory))
        lines: list[bytes] = []
        for rejection in rejections:
            if room <= 0:
                break
            lines.append(letter_line(rejection, now))
            room -= len(lines[-1])
        if rejections and not lines:
            raise UsageError(
                f"dead letters in {self._directory} are full: look at them with `mailingest "
                "deadletter list`, make room with `retry` or `purge`, or raise "
                "state.max_dead_letter_bytes and restart; lines wait in the spool"
            )
        return lines


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter; ``line`` is what the file has, by which `rewrite` knows it."""

    line: bytes
    time: datetime
    index: str
    id: str
    reason: str
    fields: Mapping[str, Any]

    def document(self) -> Document:
        """The document as it was rejected; raises ValueError if it has no usable time."""
        moment = datetime.fromisoformat(str(self.fields.get("@timestamp")))
        body = orjson.dumps(self.fields)
        return Document(self.index, self.id, body, int(moment.timestamp()), self.fields)


def letter_files(directory: Path) -> list[Path]:
    """The files of dead letters, oldest first; raises OSError.

    There are none as long as there is no such directory.
    """
    try:
        # Path.glob() passes over what it may not read.
        return sorted(path for path in directory.iterdir() if path.match(_FILES))
    except FileNotFoundError:
        return []


def _readable(directory: Path) -> list[Path]:
    try:
        return letter_files(directory)
    except PermissionError as error:
        raise UsageError(why_unreadable(directory)) from error
    except OSError as error:
        raise StoreUnavailable(f"{directory}: {error.strerror}") from error


def read_lines(directory: Path) -> Iterator[bytes]:
    """All lines of the files, oldest first; raises StoreUnavailable, or UsageError with the fix."""
    for path in _readable(directory):
        try:
            yield from path.read_bytes().splitlines()
        except FileNotFoundError:
            continue  # the command that works beside this one has removed it
        except PermissionError as error:
            raise UsageError(why_unreadable(path)) from error
        except OSError as error:
            raise StoreUnavailable(f"{path}: {error.strerror}") from error


def read_letters(directory: Path) -> Iterator[Letter]:
    """All dead letters, oldest first; a line that is none is logged and passed over.

    Raises StoreUnavailable if a file cannot be read.
    """
    for line in read_lines(directory):
        try:
            yield _letter(line)
        except (ValueError, KeyError, TypeError, AttributeError):
            log.warning("not a dead letter", line=line[:80].decode("utf-8", "replace"))


def rewrite(directory: Path, changes: Mapping[bytes, bytes | None]) -> int:
    """Put other lines in place of these ones, or nothing; returns how many were found.

    Each file is replaced whole or not at all, and removed when it is empty.  Lines that came
    since they were read stay, and a daemon that appends waits meanwhile.  Raises
    StoreUnavailable.
    """
    count = 0
    try:
        with _locked(directory, fcntl.LOCK_EX):
            for path in letter_files(directory):
                lines = path.read_bytes().splitlines()
                found = sum(line in changes for line in lines)
                if found:
                    kept = [changes.get(line, line) for line in lines]
                    _replace(path, [line for line in kept if line is not None])
                    count += found
    except OSError as error:
        raise StoreUnavailable(f"dead letters in {directory}: {error}") from error
    return count


def _replace(path: Path, lines: list[bytes]) -> None:
    if not lines:
        path.unlink()
        return
    temporary = path.with_suffix(".new")
    before = path.stat()
    with temporary.open("wb") as file:
        # Whoever runs the command, the daemon must be able to go on with the file.
        os.fchmod(file.fileno(), before.st_mode & 0o777)
        os.fchown(file.fileno(), before.st_uid, before.st_gid)
        file.writelines(line + b"\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


@contextmanager
def _locked(directory: Path, operation: int) -> Iterator[None]:
    # The directory itself, so that there is no lock file that belongs to the wrong user.
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)


def _letter(line: bytes) -> Letter:
    content = orjson.loads(line)
    fields = content["document"]
    fields.keys()  # raises AttributeError for what is no object
    return Letter(
        line,
        datetime.fromisoformat(content["time"]),
        str(content["index"]),
        str(content["id"]),
        str(content["reason"]),
        fields,
    )


def letter_line(rejection: Rejection, now: datetime) -> bytes:
    """The line of a dead letter, with its end."""
    document = rejection.document
    letter = {
        "time": now,
        "index": document.index,
        "id": document.id,
        "reason": rejection.reason,
        "document": orjson.Fragment(document.body),
    }
    return orjson.dumps(letter, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)
