"""Lines -> the end of a file, whole or not at all."""

import os
import stat
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
    before = os.fstat(descriptor)
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError:
        if stat.S_ISREG(before.st_mode):
            os.ftruncate(descriptor, before.st_size)
            # Standard output need not be in append mode: go back to the end by hand.
            os.lseek(descriptor, 0, os.SEEK_END)
        raise
