"""Where each of the workers of the service keeps its state, and how many there were before."""

import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from mailingest.errors import UsageError
from mailingest.logs.logger import log
from mailingest.service.noticed import FILE as NOTICED
from mailingest.spool.files import make_directory, replace_file
from mailingest.spool.layout import SNAPSHOT, snapshot_paths, workers_of, workers_path

_DIRECTORY: Final = re.compile(r"worker-\d+-of-(\d+)")


def directory_of(state: Path, number: int, of: int) -> Path:
    """Where a worker has its snapshot; that of the only one is the state directory itself."""
    return snapshot_paths(state, of)[number].parent


def mark_directory(state: Path, number: int, of: int) -> Path:
    """Where a worker notes the frame that it works on."""
    return state / "spool" if of == 1 else directory_of(state, number, of)


def make_directories(state: Path, workers: int) -> None:
    """Make those of so many workers; raises UsageError."""
    for number in range(workers):
        make_directory(directory_of(state, number, workers), "state.directory")


def take_over(state: Path, snapshots: Sequence[Sequence[bytes]]) -> None:
    """Go on with so many workers, each with its snapshot, if it has rows; raises UsageError.

    A crash at any moment leaves the state of the workers before, or this one.
    """
    before, workers = workers_of(state), len(snapshots)
    make_directories(state, workers)
    try:
        for path, rows in zip(snapshot_paths(state, workers), snapshots, strict=True):
            if rows:
                replace_file(path, rows)
        # The first worker is the one that tells what is noticed.
        noticed = directory_of(state, 0, before) / NOTICED
        if noticed.exists():
            replace_file(
                directory_of(state, 0, workers) / NOTICED, noticed.read_bytes().splitlines()
            )
        replace_file(workers_path(state), [b"%d" % workers])
    except OSError as error:
        raise UsageError(
            f"state.directory: the state of {before} workers cannot be given to {workers}: "
            f"{error.strerror}: look after the disk"
        ) from None
    clean_up(state)
    if any(snapshots):
        log.info("the state is for another number of workers now", before=before, workers=workers)


def clean_up(state: Path) -> None:
    """Remove what belongs to other numbers of workers than that of now."""
    workers = workers_of(state)
    if workers > 1:
        with suppress(OSError):
            (state / SNAPSHOT).unlink()
    for path in state.glob("worker-*"):
        found = _DIRECTORY.fullmatch(path.name)
        if found and int(found[1]) != workers:
            shutil.rmtree(path, ignore_errors=True)
