"""What is kept from one run to the next: files that are replaced whole or not at all."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Self
from zlib import crc32

import orjson
import structlog

from mailingest.errors import UsageError
from mailingest.pipeline import Pipeline
from mailingest.spool.journal import Position

_log = structlog.get_logger(__name__)

# Queue IDs and addresses are personal data: for the daemon's user and its group only.
_FILE_MODE = 0o640
_DIRECTORY_MODE = 0o750
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


def make_directory(path: Path, key: str) -> None:
    """Make a directory of ours; raises UsageError naming the setting."""
    try:
        path.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{key}: cannot make {path}: {error.strerror}") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f"{key}: cannot write to {path}: make it writable for this user")


class Replacement:
    """A new content for a file: a crash at any moment leaves the old one or the new one.

    Used as a context, in which `write` and then `commit` are called; without `commit` the old
    content stays.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(path.name + ".new")

    def __enter__(self) -> Self:
        self._file = os.fdopen(os.open(self._temporary, _FLAGS, _FILE_MODE), "wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def write(self, line: bytes) -> None:
        """Write a line, given without its end."""
        self._file.write(line + b"\n")

    def commit(self) -> None:
        """Put the new content in place of the old one, and wait until it is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._temporary.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def replace_file(path: Path, lines: Iterable[bytes]) -> None:
    """Replace the content of a file, whole or not at all."""
    with Replacement(path) as file:
        for line in lines:
            file.write(line)
        file.commit()


def position_row(position: Position) -> bytes:
    """The first line of a snapshot: which place in the spool it belongs to."""
    return orjson.dumps([*position, crc32(repr(position).encode())])


def read_position(row: bytes) -> Position:
    """The place that a first line tells; raises ValueError if it is damaged."""
    octets, frames, proof = orjson.loads(row)
    position = Position(octets, frames)
    if proof != crc32(repr(position).encode()):
        raise ValueError("not as it was written")
    return position


def restore(pipeline: Pipeline, path: Path) -> Position | None:
    """Give a pipeline its snapshot, and say where to read on in the spool.

    None stands for the beginning.  A damaged snapshot is set aside, and the start goes on.
    """
    try:
        first, *rows = path.read_bytes().splitlines()
        position = read_position(first)
        pipeline.restore(rows)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        aside = path.with_name(path.name + ".damaged")
        path.replace(aside)
        _log.warning(
            "snapshot is damaged and set aside; mails under way lose their sender",
            path=str(aside),
            reason=str(error),
        )
        return None
    _log.info("snapshot restored", path=str(path), queue_ids=len(pipeline.queue_map))
    return position
