"""Files and directories below ``state.directory``: readable by the daemon's user and group only,
and replaced whole or not at all.

Queue IDs and addresses are personal data.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from mailingest.errors import UsageError

FILE_MODE: Final = 0o640
_DIRECTORY_MODE: Final = 0o750
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


def make_directory(path: Path, key: str) -> None:
    """Make a directory of mailingest's; raises UsageError naming the setting."""
    try:
        if not path.is_dir():
            path.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            sync_directory(path.parent)
    except OSError as error:
        raise UsageError(f"{key}: cannot make {path}: {error.strerror}") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f"{key}: cannot write to {path}: make it writable for this user")


def sync_directory(path: Path) -> None:
    """Wait until the names in a directory are on the disk; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Replacement:
    """A new content for a file: a crash at any moment leaves the old one or the new one.

    Used as a context, in which `write` and then `commit` are called; without `commit` the old
    content stays.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(path.name + ".new")

    def __enter__(self) -> Self:
        self._file = os.fdopen(os.open(self._temporary, _FLAGS, FILE_MODE), "wb")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._file.close()  # it may be the disk that has no room for the rest
        finally:
            self._temporary.unlink(missing_ok=True)

    def write(self, line: bytes) -> None:
        """Write a line, given without its end."""
        self._file.write(line + b"\n")

    def commit(self) -> None:
        """Put the new content in place of the old one, and wait until it is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._temporary.replace(self._path)
        sync_directory(self._path.parent)


def replace_file(path: Path, lines: Iterable[bytes]) -> None:
    """Replace the content of a file, whole or not at all."""
    with Replacement(path) as file:
        for line in lines:
            file.write(line)
        file.commit()
