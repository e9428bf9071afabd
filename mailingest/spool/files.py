"""Files and directories below ``state.directory``: readable by the daemon's user and group only,
and replaced whole or not at all.

Queue IDs and addresses are personal data.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from mailingest.errors import UsageError
from mailingest.ownership import (
    is_denied,
    make_own_directories,
    open_own,
    why_not_writable,
)


def make_directory(path: Path, key: str) -> None:
    """Make a directory of mailingest's; raises UsageError naming the setting."""
    try:
        if not path.is_dir():
            make_own_directories(path)
            sync_directory(path.parent)
    except PermissionError:
        raise UsageError(f"{key}: {why_not_writable(path)}") from None
    except OSError as error:
        raise UsageError(f"{key}: cannot make {path}: {error.strerror}") from None
    if is_denied(path, os.W_OK | os.X_OK):
        raise UsageError(f"{key}: {why_not_writable(path)}")


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
        self._file = os.fdopen(open_own(self._temporary, os.O_WRONLY | os.O_TRUNC), "wb")
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
