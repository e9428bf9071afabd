"""One heap for all threads of a process that runs for months."""

import ctypes
from typing import Final

# glibc's <malloc.h>.
_M_ARENA_MAX: Final = -8


def use_one_arena() -> None:
    """Have the memory that one thread frees be there for the others; before there are any.

    Left as it is, glibc gives each thread a heap of its own.  A document is made in one thread and
    freed in another, so holes spread over all of them: after half a million lines the service had
    160 MB, and 134 with one heap.  Python lets one thread at a time allocate, so nobody waits.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none, and one heap
        mallopt(_M_ARENA_MAX, 1)
