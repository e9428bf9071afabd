"""A bound on the time that one line may take: what backtracks for ever must not stop the service.

A timer of the kernel runs while the process uses its CPU.  If it goes off twice and the same line
is still worked on, the line is given up: `re` looks for signals while it matches, so the exception
is raised in the midst of it.  What does not look for signals is left to systemd's watchdog.

CPU time is what counts, so a machine that is busy with other work, or sleeps, costs no line.
"""

import signal
from types import FrameType
from typing import Final

from mailingest.errors import MailingestError
from mailingest.spool.frame_mark import FrameMark

# A usual line takes some 25 microseconds, and the slowest one that the shipped patterns know 50
# milliseconds.  Twice this is well below WatchdogSec=.
_SECONDS: Final = 5.0


class FrameTooSlow(MailingestError):
    """A line took more than its time."""


class FrameLimit:
    """Raises FrameTooSlow in the main thread while a frame that takes too long is marked."""

    def __init__(self, mark: FrameMark) -> None:
        self._mark = mark
        self._seen: int | None = None

    def start(self) -> None:
        """Start the timer; for the main thread."""
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, _SECONDS, _SECONDS)

    def stop(self) -> None:
        """Stop the timer."""
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _look(self, _signal: int, _frame: FrameType | None) -> None:
        current, seen = self._mark.current, self._seen
        self._seen = current
        if current is not None and current == seen:
            self._seen = None
            raise FrameTooSlow(f"it took more than {_SECONDS:g} s of CPU time")
