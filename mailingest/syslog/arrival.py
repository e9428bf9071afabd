"""What time of a line can be believed, seen from its arrival.

The time of a line is its sender's word: a wrong clock, or anybody who reaches the port, may say
any.  It decides in which day's index or file the line is kept, and so how long.
"""

from dataclasses import dataclass
from typing import Final

TIME_IMPLAUSIBLE: Final = "_syslog_time_implausible"
"""Tags a line that is filed under its arrival."""

_DAY_SECONDS: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class BelievedTimes:
    """How far from its arrival a line may be dated, in days.

    The defaults: a clock that is off by more than 3 days is broken, and a time stamp without a year
    (RFC 3164) says no more than that the line is not a year old.
    """

    days_ahead: float = 3.0
    days_behind: float = 366.0

    def include(self, seconds: float, received_at: float) -> bool:
        """Whether a line may be dated so; both are in seconds since 1970."""
        ahead = seconds - received_at
        return -self.days_behind * _DAY_SECONDS <= ahead <= self.days_ahead * _DAY_SECONDS
