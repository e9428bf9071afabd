"""What a user types for a point in time, in English or German -> that point.  Pure."""

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final

from mailingest.errors import QuestionError

FORMS: Final = "30m, 12h, 7d, today, yesterday, 15:40, 2026-11-24, 2026-11-24T15:40"

_UNITS: Final[Mapping[int, str]] = {
    1: "s sec secs second seconds sek sekunde sekunden",
    60: "m min mins minute minutes minuten",
    3600: "h hr hrs hour hours std stunde stunden",
    86_400: "d day days t tag tage tagen",
    604_800: "w wk week weeks woche wochen",
}
_SECONDS: Final = {word: seconds for seconds, words in _UNITS.items() for word in words.split()}
_DAYS: Final[Mapping[str, int]] = {
    "today": 0,
    "heute": 0,
    "yesterday": 1,
    "gestern": 1,
    "vorgestern": 2,
}
_NOW: Final = frozenset({"now", "jetzt"})
_AGO: Final = re.compile(r"(?:vor\s+)?(\d{1,6})\s*([a-z]+)(?:\s+ago)?", re.ASCII)
# DIN 5008; without a year, it is the last such day.
_GERMAN: Final = re.compile(r"(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})?", re.ASCII)
_CLOCK: Final = re.compile(r"(?:um\s+)?(\d{1,2}:\d{2}(?::\d{2})?)(?:\s*uhr)?", re.ASCII)


def read_time(text: str, *, now: datetime, zone: tzinfo) -> datetime:
    """Read an absolute time in a zone, or how long ago; raises QuestionError naming the forms.

    >>> from datetime import UTC
    >>> now = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)
    >>> print(read_time("gestern 9:05", now=now, zone=UTC))
    2026-11-23 09:05:00+00:00
    """
    wanted = text.strip().lower()
    if wanted in _NOW:
        return now
    if (ago := _AGO.fullmatch(wanted)) and ago[2] in _SECONDS:
        try:
            return now - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
        except OverflowError:
            raise _invalid(text, f"{text!r} is before the year 1") from None
    try:
        return _absolute(wanted, now.astimezone(zone).date(), zone)
    except (ValueError, OverflowError):
        raise _invalid(text, f"{text!r} is not a valid time: write it as one of {FORMS}") from None


def _absolute(wanted: str, today: date, zone: tzinfo) -> datetime:
    """A day, a time of today, or both; raises ValueError."""
    if clock := _CLOCK.fullmatch(wanted):
        return datetime.combine(today, _time(clock[1]), zone)
    first, _, rest = wanted.replace(",", " ").partition(" ")
    if first in _DAYS:
        day = today - timedelta(days=_DAYS[first])
        return datetime.combine(day, _time_of_day(rest), zone)
    if german := _GERMAN.match(wanted):
        day = _day(german, today)
        return datetime.combine(day, _time_of_day(wanted[german.end() :].lstrip(", ")), zone)
    read = datetime.fromisoformat(wanted.upper())
    return read if read.tzinfo else read.replace(tzinfo=zone)


def _time_of_day(text: str) -> time:
    """The time behind a day; nothing is its beginning."""
    if not text.strip():
        return time()
    clock = _CLOCK.fullmatch(text.strip())
    if clock is None:
        raise ValueError(text)
    return _time(clock[1])


def _time(clock: str) -> time:
    return time.fromisoformat(clock.zfill(5) if clock.count(":") == 1 else clock.zfill(8))


def _day(german: re.Match[str], today: date) -> date:
    day, month = int(german[1]), int(german[2])
    if german[3]:
        return date(int(german[3]), month, day)
    # The 29th of February may be some years ago.
    years = (year for year in range(today.year, today.year - 9, -1))
    for year in years:
        try:
            if (found := date(year, month, day)) <= today:
                return found
        except ValueError:
            continue
    raise ValueError(german[0])


def _invalid(text: str, message: str) -> QuestionError:
    return QuestionError(message, "invalid_time", text=text, forms=FORMS)
