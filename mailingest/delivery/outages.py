"""The log of a store that takes nothing: often enough to be seen, and not at each try."""

import logging
import math
from collections.abc import Callable
from typing import Final, Literal

import structlog

from mailingest.errors import MailingestError, UsageError

_log = structlog.get_logger(__name__)

# Seconds between two messages of one level: a store may be away for days, and is tried several
# times a minute.  What only an operator can fix is an error.
LOG_INTERVAL: Final = 30.0

What = Literal["documents", "dead letters"]


class OutageLog:
    """Logs what waits for another try, and when a store takes documents again.

    ``clock`` gives seconds, and never goes back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._logged: dict[tuple[What, int], float] = {}  # when, by what waits and level
        self._is_recovery_news = False

    def log_retry(
        self, what: What, why: str | MailingestError, seconds: float, pending: int
    ) -> None:
        """Something is tried again after some seconds; ``pending`` documents are not stored."""
        level = logging.ERROR if isinstance(why, UsageError) else logging.WARNING
        now = self._clock()
        if now - self._logged.get((what, level), -math.inf) < LOG_INTERVAL:
            level = logging.DEBUG
        else:
            self._logged[what, level] = now
            self._is_recovery_news = self._is_recovery_news or what == "documents"
        _log.log(
            level,
            f"{what} wait for another try",
            reason=str(why),
            seconds=round(seconds, 1),
            pending=pending,
        )

    def log_recovery(self, pending: int) -> None:
        """The store has taken documents."""
        if self._is_recovery_news:
            self._is_recovery_news = False
            _log.info("the store takes documents again", pending=pending)
