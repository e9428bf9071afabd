"""Sizes and durations as people write them ("4GiB", "5 min"), and back; pure.

A number without a unit is in the unit of the setting: bytes, seconds or days.  K, M, G and T are
powers of 1024, with or without "iB" or "B" behind them, as for systemd, nginx and rsyslog's "1k".
"""

import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

MOST_BYTES: Final = 2**63 - 1
MOST_SECONDS: Final = 36_500 * 86_400

_SIZES: Final = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_NUMBER: Final = r"(?P<number>[0-9][0-9_]*(?:\.[0-9]*)?|\.[0-9]+)"
_SIZE: Final = re.compile(
    _NUMBER + r"\s*(?:(?P<unit>[kmgt]?)(?:i?b)?|bytes?)",
    re.IGNORECASE | re.ASCII,
)
_SECONDS: Final = {
    1: ("s", "sec", "secs", "second", "seconds"),
    60: ("m", "min", "mins", "minute", "minutes"),
    3600: ("h", "hr", "hrs", "hour", "hours"),
    86_400: ("d", "day", "days"),
    7 * 86_400: ("w", "week", "weeks"),
}
_UNITS: Final = {
    "ms": Fraction(1, 1000),
    **{name: Fraction(seconds) for seconds, names in _SECONDS.items() for name in names},
}
# As systemd writes and reads them: several parts, such as 1h 30min.
_DURATION: Final = re.compile(_NUMBER + r"\s*(?P<unit>[a-z]*)\s*", re.IGNORECASE | re.ASCII)
_MOST_CHARACTERS: Final = 40

_SIZE_FORM: Final = 'must be a size such as "4GiB" or "512MiB", or a whole number of bytes'
_DURATION_FORM: Final = 'must be a duration such as "30s", "5min", "1h" or "7d", or {plain}'


def read_size(given: Any) -> int:
    """Bytes of a size; raises ValueError, whose text says the right form."""
    number, unit = _plain_number(given), 1
    if number is None and isinstance(given, str) and len(given) <= _MOST_CHARACTERS:
        match = _SIZE.fullmatch(given.strip())
        if match is not None:
            number, unit = _fraction(match["number"]), _SIZES[(match["unit"] or "").lower()]
    # Half a byte is a slip; the bytes of "1.1G" are to be a whole number all the same.
    if number is None or number < 0 or (unit == 1 and number.denominator != 1):
        raise ValueError(_SIZE_FORM)
    if number * unit > MOST_BYTES:
        raise ValueError('must be a size below 8388608TiB, such as "4GiB"')
    return int(number * unit)


def read_seconds(given: Any) -> float:
    """Seconds of a duration; raises ValueError, whose text says the right form."""
    return float(_read_duration(given, 1, "a number of seconds"))


def read_days(given: Any) -> float:
    """Days of a duration, whose numbers without a unit are days; raises ValueError as above."""
    return float(_read_duration(given, 86_400, "a number of days") / 86_400)


def read_whole_days(given: Any) -> int:
    """As `read_days`, where a part of a day would mean nothing."""
    days = _read_duration(given, 86_400, "a whole number of days") / 86_400
    if days.denominator != 1:
        raise ValueError('must be whole days, such as "30d", or a whole number of days')
    return int(days)


def size_text(size: int) -> str:
    """A number of bytes in the largest unit that divides it, as `read_size` reads it."""
    for unit in "TGMK":
        value = _SIZES[unit.lower()]
        if size and size % value == 0:
            return f"{size // value}{unit}iB"
    return f"{size}B"


def duration_text(seconds: float) -> str:
    """A number of seconds in the largest unit that divides it, as `read_seconds` reads it."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds // length:.0f}{unit}"
    if 0 < seconds < 1 and (seconds * 1000).is_integer():
        return f"{seconds * 1000:.0f}ms"
    return f"{Decimal(repr(seconds)):f}".removesuffix(".0") + "s"


def _read_duration(given: Any, unit: int, plain: str) -> Fraction:
    seconds = _plain_number(given)
    if seconds is not None:
        seconds *= unit
    elif isinstance(given, str) and 0 < len(given.strip()) <= _MOST_CHARACTERS:
        seconds = _sum_of_parts(given.strip(), unit)
    if seconds is None or seconds < 0:
        raise ValueError(_DURATION_FORM.format(plain=plain))
    if seconds > MOST_SECONDS:
        raise ValueError('must be a duration of at most "36500d"')
    return seconds


def _sum_of_parts(text: str, unit: int) -> Fraction | None:
    total, end = Fraction(0), 0
    for match in _DURATION.finditer(text):
        number, name = _fraction(match["number"]), match["unit"]
        is_alone = match.span() == (0, len(text))
        # M is a month for systemd: nobody shall have to know which of the two is meant.
        length = Fraction(unit) if not name and is_alone else _UNITS.get(name.lower())
        if match.start() != end or number is None or length is None or name == "M":
            return None
        total += number * length
        end = match.end()
    return total if end == len(text) else None


def _plain_number(given: Any) -> Fraction | None:
    if isinstance(given, float):
        return Fraction(str(given)) if math.isfinite(given) else None
    # To Python, true is 1.
    return Fraction(given) if isinstance(given, int) and not isinstance(given, bool) else None


def _fraction(digits: str) -> Fraction | None:
    try:
        return Fraction(digits)
    except ValueError:  # underscores that stand for nothing
        return None
