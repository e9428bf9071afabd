"""Queue ID -> when its mail began, as far as the ID tells.  Pure.

Source: Postfix's global/mail_queue.h.  A short ID begins with the microseconds of the second, as
five hexadecimal digits; a long one with seconds since 1970 and microseconds, in base 52.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

_SHORT: Final = re.compile(r"[0-9A-F]{6,}", re.ASCII)
BASE_52: Final = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
"""Postfix's digits of a long ID: no vowels, lest there are words."""
_LONG: Final = re.compile(rf"([{BASE_52}]{{6}})([{BASE_52}]{{4}})z[{BASE_52}]+", re.ASCII)
_MICROSECONDS: Final = 1_000_000
_SECOND: Final = timedelta(seconds=1)
# So soon after its creation the line about a mail is there, unless the machine is overloaded.
_LOGGED_WITHIN: Final = timedelta(milliseconds=100)


def possible_times(queue_id: str, logged_at: datetime) -> Sequence[datetime]:
    """When a mail may have begun whose first line was logged in this second, latest first.

    ``logged_at`` is right to the second.  Nothing is known of IDs of other forms.

    >>> at = datetime(2026, 11, 24, 15, 41, 22, tzinfo=UTC)
    >>> [str(time)[17:26] for time in possible_times("0CCE09984CD2", at)]
    ['22.052448']
    >>> [str(time)[17:26] for time in possible_times("F2ED6984427", at)]
    ['22.995030', '21.995030']
    """
    if (long := _LONG.fullmatch(queue_id)) is not None:
        seconds, microseconds = map(_number, long.groups())
        time = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)
        return [time] if abs(time - logged_at) < 2 * _SECOND else []
    if _SHORT.fullmatch(queue_id) is None:
        return []
    microseconds = int(queue_id[:5], 16)
    if microseconds >= _MICROSECONDS:
        return []
    time = logged_at.replace(microsecond=microseconds)
    is_early = time + _LOGGED_WITHIN < logged_at.replace(microsecond=0) + _SECOND
    return [time] if is_early else [time, time - _SECOND]


def _number(digits: str) -> int:
    number = 0
    for digit in digits:
        number = number * len(BASE_52) + BASE_52.index(digit)
    return number
