"""The query of the overview -> the time that it is about, as time buckets; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from math import ceil
from typing import Final

from mailingest.postfix.outcome import BUCKET_SECONDS
from mailingest.stores.counts import TimeBuckets
from mailingest.trace.times import FORMS, read_time
from mailingest.web.questions import invalid

SPANS: Final[Mapping[str, timedelta]] = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
"""The times that a link leads to."""

_DEFAULT_SPAN: Final = "24h"
_HOUR: Final = 3600
DAY: Final = 24 * _HOUR
_BUCKET_SECONDS: Final = (
    BUCKET_SECONDS,
    _HOUR // 2,
    _HOUR,
    3 * _HOUR,
    6 * _HOUR,
    12 * _HOUR,
    DAY,
)
_MOST_BUCKETS: Final = 60
# Before syslog there is nothing to be seen, and a picture of millennia helps nobody.
_MOST_DAYS: Final = 3660
_LONGEST_VALUE: Final = 100


@dataclass(frozen=True, slots=True)
class Period:
    """A time, as it was typed and as time buckets; ``span`` is one of `SPANS` or "".

    ``type`` is that of the events that are counted, "" for all.
    """

    span: str
    since: str
    until: str
    buckets: TimeBuckets
    type: str = ""

    @property
    def query(self) -> dict[str, str]:
        """The query that asks for the same."""
        typed = {
            "span": self.span,
            "since": self.since,
            "until": self.until,
            "type": self.type,
        }
        return {name: value for name, value in typed.items() if value}


def read_period(query: Mapping[str, str], *, now: datetime, zone: tzinfo) -> Period:
    """Read the query of a page; raises QuestionError for a time that makes no sense."""
    since, until, kind = (
        query.get(name, "").strip()[:_LONGEST_VALUE] for name in ("since", "until", "type")
    )
    if not (since or until):
        span = query.get("span", "").strip() or _DEFAULT_SPAN
        if span not in SPANS:
            raise invalid("unknown_span", spans=", ".join(SPANS))
        return Period(span, "", "", _buckets(now - SPANS[span], now, zone), kind)
    last = read_time(until, now=now, zone=zone) if until else now
    try:
        first = read_time(since, now=now, zone=zone) if since else last - SPANS[_DEFAULT_SPAN]
    except OverflowError:
        raise invalid("invalid_time", text=until, forms=FORMS) from None
    if last <= first:
        raise invalid("invalid_order")
    if last - first > timedelta(days=_MOST_DAYS):
        raise invalid("too_many_days", most=_MOST_DAYS)
    return Period("", since, until, _buckets(first, last, zone), kind)


def _buckets(first: datetime, last: datetime, zone: tzinfo) -> TimeBuckets:
    """Buckets that cover all of the time and begin at round local times."""
    begin, end = int(first.timestamp()), ceil(last.timestamp())
    length = (last - first).total_seconds() / _MOST_BUCKETS
    seconds = next((one for one in _BUCKET_SECONDS if one >= length), ceil(length / DAY) * DAY)
    offset = int((last.astimezone(zone).utcoffset() or timedelta()).total_seconds())
    offset -= offset % BUCKET_SECONDS
    start = (begin + offset) // seconds * seconds - offset
    return TimeBuckets(start, seconds, ceil((end - start) / seconds))
