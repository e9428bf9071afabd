"""Lines -> the end of a file, whole or not at all."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailingest.ownership import open_own


def open_for_append(path: Path) -> int:
    """Open a file of lines to append to; returns the descriptor, raises OSError.

    If a crash left the last line without its end, the end is added: a new line must not
    become one with it.
    """
    descriptor = open_own(path, os.O_RDWR | os.O_APPEND, follow_links=True)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            os.write(descriptor, b"\n")
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def append_whole(descriptor: int, data: bytes) -> None:
    """Write all of ``data``, or raise OSError and leave a regular file as long as it was."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        _write(descriptor, data)
        return
    with _alone(descriptor):
        before = os.fstat(descriptor)
        try:
            _write(descriptor, data)
        except OSError:
            os.ftruncate(descriptor, before.st_size)
            # Standard output need not be in append mode: go back to the end by hand.
            os.lseek(descriptor, 0, os.SEEK_END)
            raise


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@contextmanager
def _alone(descriptor: int) -> Iterator[None]:
    """Have other processes that append to a file wait: what is taken back must be this one's."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        yield  # a file system without locks
        return
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
