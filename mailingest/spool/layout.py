"""Which snapshots there are of the lines before a place in the spool: one for each worker."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from mailingest.spool.records import Position
from mailingest.spool.snapshot import read_position

SNAPSHOT: Final = "queue-ids"
"""The name of a snapshot."""
_WORKERS: Final = "workers"


def workers_path(state: Path) -> Path:
    """The file that says how many workers there are, if there is more than one."""
    return state / _WORKERS


def workers_of(state: Path) -> int:
    """How many workers the state directory is for."""
    try:
        return max(1, int(workers_path(state).read_bytes()))
    except (OSError, ValueError):
        return 1


def snapshot_paths(state: Path, workers: int) -> list[Path]:
    """Where the snapshots of so many workers are."""
    if workers == 1:
        return [state / SNAPSHOT]
    return [state / f"worker-{number}-of-{workers}" / SNAPSHOT for number in range(workers)]


def snapshot_position(path: Path) -> Position | None:
    """The place in the spool that a snapshot belongs to; None without a valid one."""
    try:
        with path.open("rb") as file:
            return read_position(file.readline())
    except (FileNotFoundError, ValueError, TypeError):
        return None  # the daemon is going to begin at the beginning


def earliest(positions: Iterable[Position | None]) -> Position | None:
    """The first of some places; None, the beginning, if one of them is that."""
    known = list(positions)
    return None if None in known else min(one for one in known if one is not None)
