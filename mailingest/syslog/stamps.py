"""The time stamp at the beginning of a text, in any of the forms that log files have.

`timestamps` reads what syslog itself writes.  This is for the rest: a year before or behind the
time, fractions of a second, a blank for the ``T``, zones as names, months in other languages, days
before months, seconds since 1970, TAI64N.
"""

import re
from calendar import monthrange
from collections.abc import Sequence
from datetime import UTC, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final, NamedTuple

from mailingest.syslog.calendar_names import MONTHS, WEEKDAYS
from mailingest.syslog.timestamps import Clock, Moment, moment_of

_ENGLISH: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
# Hours from UTC; of the names only those that stand for one offset in mail servers' logs.
_ZONES: Final = {
    **{"Z": 0.0, "UTC": 0.0, "GMT": 0.0, "UT": 0.0, "WET": 0.0, "WEST": 1.0, "CET": 1.0},
    **{"MEZ": 1.0, "CEST": 2.0, "MESZ": 2.0, "EET": 2.0, "EEST": 3.0, "MSK": 3.0, "JST": 9.0},
    **{"KST": 9.0, "AEST": 10.0, "AEDT": 11.0, "NZST": 12.0, "NZDT": 13.0},
    # RFC 822 section 5.1.
    **{"EST": -5.0, "EDT": -4.0, "CST": -6.0, "CDT": -5.0, "MST": -7.0, "MDT": -6.0},
    **{"PST": -8.0, "PDT": -7.0},
}
# Digits are those of ASCII: what they say goes into the time of a document as it is.
_TIME = (
    r"(?P<time>(?a:\d\d:\d\d:\d\d|\d:\d\d:\d\d(?= [AP]M)))"
    r"(?:[.,](?P<fraction>(?a:\d{1,9}))(?a:\d{0,9}))?(?: (?P<half>[AP])M(?![^\s\]]))?"
)
_NAMED_ZONE = "|".join(sorted(_ZONES, key=len, reverse=True))
_ZONE = (
    rf"(?: ?(?P<offset>(?a:[+-]\d\d(?::?\d\d)?)|Z))?(?: (?P<zone>{_NAMED_ZONE}))?"
    r"(?![\w+]|[.,](?u:\d))"
)
_YEAR = r"(?a:19[7-9]\d|20\d\d)"
# A word of letters in whatever language; East Asian ones begin with the month's number.
_WORD = r"(?:[^\W\d_][^\s\d:\[\]<>(){}|=\"',;/.-]{0,24}|\d{1,2}[月월])"
_WEEKDAY = r"(?P<weekday>[^\W\d_][^\s\d:\[\]<>(){}|=\"';/-]{0,12},? )?"
# journalctl names any zone, and always the weekday.
_ANY_ZONE = r"(?(weekday)(?: [A-Z]{3,5}(?= ))?)"
_ISO = re.compile(
    rf"\[?{_WEEKDAY}(?P<year>{_YEAR})[-/.:](?P<month>\d\d)[-/.:](?P<day>\d\d)[T _-]{_TIME}{_ZONE}"
    rf"{_ANY_ZONE}\]?",
    re.ASCII,
)
# Not ASCII only: the months' names are not.
_MONTH_FIRST = re.compile(
    rf"\[?{_WEEKDAY}(?:(?P<before>{_YEAR})[ -])?(?P<name>{_WORD})\.?[ -]{{1,2}}"
    rf"(?P<day>(?a:\d{{1,2}}))\.?,?[ -](?:(?P<year>{_YEAR}),?(?: @)?[ -])?{_TIME}{_ZONE}"
    rf"(?: (?P<after>{_YEAR})(?![^\s\]]))?\]?"
)
_DAY_FIRST = re.compile(
    rf"\[?{_WEEKDAY}(?P<day>(?a:\d{{1,2}}))\.?[ /-](?P<name>{_WORD})\.?"
    rf"(?:[ /-](?P<year>{_YEAR}))?,?[ :]{_TIME}{_ZONE}\]?"
)
# With slashes, nobody knows which number is the month.
_DAY_MONTH_YEAR = re.compile(
    rf"\[?{_WEEKDAY}(?P<day>\d{{1,2}})\.(?P<month>\d{{1,2}})\.(?P<year>{_YEAR}),? {_TIME}{_ZONE}"
    r"\]?",
    re.ASCII,
)
# Seconds with a fraction, or an integer in seconds, milli-, micro- or nanoseconds.
_EPOCH = re.compile(r"\[?(\d{10})(?:\.(\d{1,9})|(\d{3}|\d{6}|\d{9}))?(?=[\]\s])\]?", re.ASCII)
# daemontools' multilog; the label is 2^62 + 10 seconds ahead of Unix time.
_TAI64N = re.compile(r"@4([0-9a-f]{15})([0-9a-f]{8})(?=\s)")
_TAI_AHEAD: Final = 10
# In the year 5138: what is more was not counted in seconds, and from 10000 on there is no date.
_LAST_SECONDS: Final = 1e11
# The kernel's and journalctl's short-monotonic: seconds since a start that nobody knows; its
# short-delta has the seconds since the line before as well.
_MONOTONIC = re.compile(r"\[ *\d{1,9}\.\d{6}(?: <[\d .*]{1,24}>)?\](?=\s)", re.ASCII)
_BEGINS: Final = (_ISO, _MONTH_FIRST, _DAY_FIRST, _DAY_MONTH_YEAR)
_MOST_NAMES: Final = 256
_FEWEST_LETTERS: Final = 3
_LEAP_YEAR: Final = 2000
# With a leap second; what is wrong with the rest is seen when it is converted.
_LAST_TIME: Final = "23:59:60"


def is_zone(word: str) -> bool:
    """Whether a word is the name of a zone: some write one between time and host."""
    return word in _ZONES


class Stamp(NamedTuple):
    """A time stamp: where it ends in the text, and what it says.

    ``moment`` is there if that is the whole time.  Otherwise ``date`` has the possible dates, as in
    RFC 3339 or, without a year, as in RFC 3164; ``fraction`` are the digits of the second, and
    ``zone`` is None if it is the one that is set.  With neither, there is no telling the time.
    """

    end: int
    moment: Moment | None = None
    date: Sequence[str] = ()
    fraction: str = ""
    zone: tzinfo | None = None


def read_stamp(text: str, at: int = 0) -> Stamp | None:
    """The stamp that a text has at a place, or None."""
    for form in _BEGINS:
        match = form.match(text, at)
        if match is not None and (stamp := _calendar(match)) is not None:
            return stamp
    if (match := _EPOCH.match(text, at)) is not None:
        seconds, fraction, unit = match.groups()
        return _exact(int(seconds), fraction or unit or "", match.end())
    if (match := _TAI64N.match(text, at)) is not None:
        seconds, nanoseconds = (int(part, 16) for part in match.groups())
        if nanoseconds < 1_000_000_000:
            return _exact(seconds - _TAI_AHEAD, f"{nanoseconds:09d}", match.end())
    if (match := _MONOTONIC.match(text, at)) is not None:
        return Stamp(match.end())
    return None


def epoch_stamp(seconds: float) -> Stamp | None:
    """A stamp of seconds since 1970; None if they are those of no log."""
    return Stamp(0, moment_of(seconds)) if 0 <= seconds < _LAST_SECONDS else None


def moment_of_stamp(stamp: Stamp, clock: Clock, hostname: str, reference: float) -> Moment | None:
    """The moment of a stamp; None if no such day or time exists.

    Of several dates that it may stand for, it is the latest that is not in the future.
    """
    if stamp.moment is not None:
        return stamp.moment
    found = [
        moment
        for date in stamp.date
        if (moment := _dated(date, stamp.zone, clock, hostname, reference)) is not None
    ]
    if not found:
        return None
    moment = max(found)
    return _with_fraction(moment, stamp.fraction)


def _dated(
    date: str, zone: tzinfo | None, clock: Clock, hostname: str, reference: float
) -> Moment | None:
    if date[0].isdigit():
        return clock.read_iso(date, hostname, zone)
    return clock.read_legacy(date, hostname, reference, zone)


def _calendar(match: re.Match[str]) -> Stamp | None:
    parts = match.groupdict()
    if (weekday := parts["weekday"]) and weekday.rstrip(",. ").casefold() not in WEEKDAYS:
        return None
    months = _months(parts["month"] or "") if "month" in parts else _month_numbers(parts["name"])
    year = parts.get("before") or parts["year"] or parts.get("after")
    day, time = int(parts["day"]), _of_the_day(parts["time"], parts["half"])
    possible = [month for month in months if _is_day(int(year or _LEAP_YEAR), month, day)]
    if not possible or time > _LAST_TIME:
        return None
    if year is None:
        date = [f"{_ENGLISH[month - 1]} {day:2d} {time}" for month in possible]
    else:
        date = [f"{year}-{month:02d}-{day:02d}T{time}" for month in possible]
    zone = _zone(parts["offset"], parts["zone"])
    return Stamp(match.end(), None, date, parts["fraction"] or "", zone)


def _of_the_day(time: str, half: str | None) -> str:
    """The time with 24 hours, of one with twelve if ``half`` says which."""
    if half is None:
        return time
    hour, _, rest = time.partition(":")
    return f"{int(hour) % 12 + 12 * (half == 'P'):02d}:{rest}"


def _is_day(year: int, month: int, day: int) -> bool:
    return 1 <= day <= monthrange(year, month)[1]


def _months(number: str) -> Sequence[int]:
    return (int(number),) if 1 <= int(number) <= len(_ENGLISH) else ()


@lru_cache(maxsize=_MOST_NAMES)
def _month_numbers(name: str) -> Sequence[int]:
    """The months that a name may stand for."""
    if name in _ENGLISH:
        return (_ENGLISH.index(name) + 1,)
    word = name.casefold()
    if word in MONTHS:
        return MONTHS[word]
    # Systems cut names otherwise than CLDR does.
    if len(word) < _FEWEST_LETTERS:
        return ()
    longer = {months for known, months in MONTHS.items() if known.startswith(word)}
    return longer.pop() if len(longer) == 1 else ()


def _zone(offset: str | None, name: str | None) -> tzinfo | None:
    if offset is None:
        return None if name is None else timezone(timedelta(hours=_ZONES[name]))
    if offset == "Z":
        return UTC
    hours, minutes = int(offset[1:3]), int(offset[3:].lstrip(":") or "0")
    if hours > 23 or minutes > 59:
        return None
    delta = timedelta(hours=hours, minutes=minutes)
    return timezone(-delta if offset[0] == "-" else delta)


def _exact(seconds: int, fraction: str, end: int) -> Stamp | None:
    stamp = epoch_stamp(seconds)
    if stamp is None or stamp.moment is None:
        return None
    return Stamp(end, _with_fraction(stamp.moment, fraction))


def _with_fraction(moment: Moment, fraction: str) -> Moment:
    if not fraction:
        return moment
    whole = moment.text.partition(".")[0]
    return Moment(moment.seconds, f"{whole}.{fraction.ljust(3, '0')}Z")
