"""Runs mailingest and writes down how its heap is: ``python -m benchmarks.heap_report FILE run``.

Each second, one JSON object replaces the content of FILE.  What the C library knows of its heap can
only be asked from inside.
"""

import ctypes
import json
import sys
import threading
import time
from pathlib import Path
from typing import Final

from mailingest.cli import main

_SECONDS: Final = 1.0


class _Mallinfo(ctypes.Structure):
    """``struct mallinfo2`` of glibc's <malloc.h>, in bytes and numbers."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def _report(path: Path) -> None:
    """Write down what is used of the heap, free in it, mapped beside it, and Python's blocks."""
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = _Mallinfo
    new = path.with_suffix(".new")
    while True:
        heap = ask()
        report = {
            "used": heap.uordblks,
            "free": heap.fordblks,
            "mapped": heap.hblkhd,
            "blocks": sys.getallocatedblocks(),
        }
        new.write_text(json.dumps(report))
        new.replace(path)
        time.sleep(_SECONDS)


if __name__ == "__main__":
    threading.Thread(target=_report, args=(Path(sys.argv.pop(1)),), daemon=True).start()
    main()
