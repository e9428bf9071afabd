"""Where mailingest's own log goes: what cannot be written there must not end what it tells of.

A log file lies on a disk that may be full, and whoever reads a pipe may have gone.
"""

import sys
from typing import Final, TextIO


class LogOutput:
    """Standard error; ``lines_lost`` counts the lines that could not be written to it."""

    def __init__(self) -> None:
        self.lines_lost = 0
        self._file: TextIO = sys.stderr
        self._is_whole = True

    def use(self, file: TextIO) -> None:
        """Write to this file from now on."""
        self._file = file

    def write(self, text: str) -> None:
        """Take a part of a line."""
        try:
            self._file.write(text)
        except OSError:
            self._is_whole = False  # counted at the end of the line

    def flush(self) -> None:
        """The line is at its end."""
        try:
            self._file.flush()
        except OSError:
            self._is_whole = False
        if not self._is_whole:
            self.lines_lost += 1
            self._is_whole = True


log_output: Final = LogOutput()
"""The one of this process."""
