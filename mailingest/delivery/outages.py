"""The log of a store that takes nothing: often enough to be seen, and not at each try."""

import logging
import math
from collections.abc import Callable
from typing import Final, Literal

from mailingest.errors import MailingestError, UsageError
from mailingest.logs.logger import log

# Seconds between two messages of one level: a store may be away for days, and is tried several
# times a minute.  What only an operator can fix is an error.
LOG_INTERVAL: Final = 30.0

What = Literal["documents", "held documents", "dead letters"]
_RECOVERED: Final[dict[What, str]] = {
    "documents": "the store takes documents again",
    "held documents": "no documents are held any more",
    "dead letters": "dead letters have room again",
}


class OutageLog:
    """Logs what waits for another try, and when a store takes documents again.

    ``clock`` gives seconds, and never goes back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._logged: dict[tuple[What, int], float] = {}  # when, by what waits and level
        self._held: dict[What, str] = {}
        self._is_news: set[What] = set()

    @property
    def held(self) -> str | None:
        """What waits for an operator, and why, in one line; None if nothing does."""
        return "; ".join(f"{what}: {why}" for what, why in self._held.items()) or None

    def log_retry(
        self, what: What, why: str | MailingestError, seconds: float, pending: int
    ) -> None:
        """Something is tried again after some seconds; ``pending`` documents are not stored."""
        level = logging.WARNING
        self._held.pop(what, None)
        if isinstance(why, UsageError):
            level = logging.ERROR
            self._held[what] = str(why)
        now = self._clock()
        if now - self._logged.get((what, level), -math.inf) < LOG_INTERVAL:
            level = logging.DEBUG
        else:
            self._logged[what, level] = now
            self._is_news.add(what)
        log.log(
            level,
            f"{what} wait for another try",
            reason=str(why),
            seconds=round(seconds, 1),
            pending=pending,
        )

    def log_recovery(self, what: What, pending: int) -> None:
        """It waits no more."""
        self._held.pop(what, None)
        if what in self._is_news:
            self._is_news.remove(what)
            log.info(_RECOVERED[what], pending=pending)
