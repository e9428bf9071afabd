"""What is kept from one run to the next: files that are replaced whole or not at all."""

import os
from collections.abc import Iterable
from pathlib import Path

import structlog

from mailingest.core.pipeline import Pipeline
from mailingest.errors import UsageError

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


def replace_file(path: Path, lines: Iterable[bytes]) -> None:
    """Write a file so that a crash at any moment leaves the old one or the new one."""
    temporary = path.with_name(path.name + ".new")
    with os.fdopen(os.open(temporary, _FLAGS, _FILE_MODE), "wb") as file:
        file.writelines(line + b"\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def restore(pipeline: Pipeline, path: Path) -> None:
    """Give a pipeline its snapshot; a damaged one is set aside, and the start goes on."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return
    try:
        pipeline.restore(lines)
    except (ValueError, TypeError) as error:
        aside = path.with_name(path.name + ".damaged")
        path.replace(aside)
        _log.warning(
            "snapshot is damaged and set aside; mails under way lose their sender",
            path=str(aside),
            reason=str(error),
        )
        return
    _log.info("snapshot restored", path=str(path), queue_ids=len(pipeline.queue_map))
