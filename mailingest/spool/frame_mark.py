"""Which frame is being worked on, known to the next process if this one dies of it.

A line may end the process: a fault of a library, a pattern that wants all memory, or one that never
ends, so that systemd's watchdog kills it.  The line is in the spool, and so it comes again after
each start.  A frame that the process died with twice is given up, and not worked on any more.

The mark is a file that is mapped into memory, so noting a frame costs no system call, and what was
noted is there when the process is not.  It need not survive a power failure.

Numbers of frames are those of the journal.  In the file they are one higher, so that 0 is none::

    8 bytes each: format, the frame being worked on, the frame of the latest death, how many deaths
    in a row were with it, then those that are given up
"""

import mmap
import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

from mailingest.logs.logger import log
from mailingest.ownership import open_own

_NAME: Final = "frame"
_BYTES: Final = 4096
_FORMAT: Final = int.from_bytes(b"frame\0\0\1", "little")
_NOW, _SUSPECT, _DEATHS, _GIVEN_UP = 1, 2, 3, 4
_MOST_DEATHS: Final = 2


class FrameMark:
    """The mark in a directory, which must be this process's own; see `open`.

    ``cell[0]`` is what the one who works notes: the frame's number and 1, and 0 when it is done.
    It is written several times for each line, so there is no method for it.
    """

    def __init__(self, directory: Path) -> None:
        self._use(bytearray(_BYTES))
        self._path = directory / _NAME
        self._given_up: set[int] = set()

    @property
    def given_up(self) -> Collection[int]:
        """The numbers of the frames that are not to be worked on, and that may come again."""
        return self._given_up

    @property
    def current(self) -> int | None:
        """The number of the frame that is worked on now."""
        return self.cells[_NOW] - 1 if self.cells[_NOW] else None

    def open(self) -> None:
        """See what the process before died with; raises OSError."""
        descriptor = open_own(self._path, os.O_RDWR)
        try:
            if os.fstat(descriptor).st_size != _BYTES:
                # Real zeros: a page that had no room on the disk would end the process when it is
                # written to.
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, bytes(_BYTES), 0)
            mapped = mmap.mmap(descriptor, _BYTES)
        finally:
            os.close(descriptor)
        self._use(mapped)
        if self.cells[0] != _FORMAT:
            self.cells[:] = memoryview(bytes(_BYTES)).cast("Q")
            self.cells[0] = _FORMAT
        self._note_death()
        self._given_up = {number - 1 for number in self.cells[_GIVEN_UP:] if number}

    def give_up(self, number: int) -> None:
        """Have a frame given up, also by the next process."""
        self._keep(self._given_up | {number})

    def forget(self, number: int) -> None:
        """The frames before a number do not come again."""
        if any(one < number for one in self._given_up):
            self._keep({one for one in self._given_up if one >= number})

    def close(self) -> None:
        """Nothing is worked on."""
        self.cell[0] = 0
        mapped = self.cells.obj
        self.cell.release()
        self.cells.release()
        self._use(bytearray(_BYTES))
        if isinstance(mapped, mmap.mmap):
            mapped.close()

    def _use(self, memory: bytearray | mmap.mmap) -> None:
        self.cells: memoryview = memoryview(memory).cast("Q")
        self.cell: memoryview = self.cells[_NOW : _NOW + 1]

    def _note_death(self) -> None:
        cells = self.cells
        if not cells[_NOW]:
            return
        # After damage it may be any number: one that is higher has no place in a cell.
        before = min(cells[_DEATHS], _MOST_DEATHS) if cells[_SUSPECT] == cells[_NOW] else 0
        cells[_DEATHS] = before + 1
        cells[_SUSPECT], cells[_NOW] = cells[_NOW], 0
        log.warning(
            "the process before ended while it worked on a line",
            frame=cells[_SUSPECT] - 1,
            times=cells[_DEATHS],
        )
        if cells[_DEATHS] >= _MOST_DEATHS:
            given_up = {number - 1 for number in cells[_GIVEN_UP:] if number}
            self._keep(given_up | {cells[_SUSPECT] - 1})

    def _keep(self, numbers: set[int]) -> None:
        self._given_up = numbers
        room = len(self.cells) - _GIVEN_UP
        # The newest ones, if there were so many deaths.
        kept = sorted(numbers)[-room:]
        for place in range(room):
            self.cells[_GIVEN_UP + place] = kept[place] + 1 if place < len(kept) else 0
