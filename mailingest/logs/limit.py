"""A bound on mailingest's own log: what a sender can cause again and again is logged a few times.

It stands in one place, before anything is written, so that no log call can be forgotten.  Messages
are constant, and what differs is in their values: so a message is what is counted.
"""

import logging
import threading
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from mailingest.logs.logger import log

_MOST: Final = 10
_SECONDS: Final = 60.0
_SUMMARY: Final = "more like this in the last minute"
# A timer logs these, as often as it is set to; and who wants all details gets them.
_UNBOUNDED: Final = frozenset({_SUMMARY, "counters"})
_UNBOUNDED_LEVEL: Final = "debug"


@dataclass(slots=True)
class _Window:
    """A minute of one message: when it ends, how often the message was logged, and was not."""

    end: float
    logged: int = 0
    suppressed: int = 0


class LogLimit:
    """A processor of structlog that lets each message through ten times a minute.

    How many more there were is logged after the minute: with the next message, whatever it is, or
    by `report`.  Any thread may log.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[tuple[str, str], _Window] = {}

    def __call__(
        self, _: Any, level: str, entry: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Pass an entry on, or raise structlog.DropEvent."""
        message = str(entry.get("event"))
        if message in _UNBOUNDED or level == _UNBOUNDED_LEVEL:
            return entry
        if self._is_suppressed((message, level)):
            from structlog import DropEvent

            raise DropEvent
        return entry

    def forget(self) -> None:
        """Begin anew, as if nothing had been logged."""
        with self._lock:
            self._windows.clear()

    def _is_suppressed(self, key: tuple[str, str]) -> bool:
        now = self._clock()
        with self._lock:
            window = self._windows.get(key)
            if window is not None and window.logged >= _MOST and now < window.end:
                # A flood comes no further than here.
                window.suppressed += 1
                return True
        self.report()
        with self._lock:
            self._windows.setdefault(key, _Window(now + _SECONDS)).logged += 1
        return False

    def report(self, *, at_the_end: bool = False) -> None:
        """Log what was suppressed in the minutes that are over, or until now."""
        with self._lock:
            now = self._clock()
            over = [one for one, window in self._windows.items() if at_the_end or window.end <= now]
            ended = [
                (message, level, self._windows.pop((message, level))) for message, level in over
            ]
        for message, level, window in ended:
            if window.suppressed:
                number = logging.getLevelNamesMapping().get(level.upper(), logging.ERROR)
                log.log(number, _SUMMARY, of=message, count=window.suppressed)


log_limit: Final = LogLimit()
"""The one of this process: `mailingest.logs.configuration.configure` puts it in."""
