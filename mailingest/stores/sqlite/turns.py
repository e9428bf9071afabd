"""Processes that write to the days of one directory take turns.

SQLite lets who waits for a file look again after ever longer pauses, and gives up at once where two
begin a new file.  So of several that write all the time, one may not get to write for seconds.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

# After that, SQLite's own locks decide: who has the turn may have been stopped.
_LONGEST_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.002


@contextmanager
def turn(directory: Path) -> Iterator[None]:
    """Write while no other process of mailingest does; where that cannot be had, at once."""
    try:
        # The directory itself, so that there is no lock file that belongs to the wrong user.
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield  # nobody may read it, or it is not there: who writes says what is wrong
        return
    try:
        _wait(descriptor)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int) -> None:
    end = time.monotonic() + _LONGEST_SECONDS
    while time.monotonic() < end:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOOK_SECONDS)
        except OSError:
            return  # a file system without locks
        else:
            return
