"""Time stamps of syslog lines -> moments in UTC; infers the year and the zone that RFC 3164 omits.

An RFC 3164 time stamp (section 4.1.2) is local time without year and zone.  The zone comes from
the caller.  The year is the latest one that does not lie in the future of a reference time: now
when a line is received, the modification time of the file when it is replayed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import NamedTuple


class Moment(NamedTuple):
    """A point in time: whole ``seconds`` since 1970, and the full time as ISO 8601 in UTC."""

    seconds: int
    text: str


# A sender whose clock or zone is wrong may be up to a day ahead; its lines are not a year old.
YEAR_TOLERANCE = 86_400.0
# Lines of a file are in order, but for a few of several hosts: so much back is another year.
_ROUND_SECONDS = 300 * 86_400.0
# Of the two readings of an hour that DST repeats, clocks less than this far apart tell which.
REPEATED_HOUR_TOLERANCE = 300.0
# The longest gap between two leap years (1896 to 1904): 29 February always has one within it.
_LONGEST_LEAP_GAP = 8
# Lines come in order, so a few stamps are enough; the bound is against senders with odd clocks.
_MEMO_SIZE = 4096

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?(Z|z|[+-]\d\d:?\d\d)?", re.ASCII
)
# When a minute begins, in seconds since 1970, and the beginning of its text: "2026-11-24T15:41:".
_Minute = tuple[int, str]
# Where the whole seconds of an ISO 8601 time end.
_SECONDS_END = len("2026-11-24T15:41:13")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment_of(seconds: float) -> Moment:
    """Make a moment of seconds since 1970; microseconds are kept."""
    whole = int(seconds // 1)
    microseconds = min(round((seconds - whole) * 1_000_000), 999_999)
    fraction = f"{microseconds:06d}".removesuffix("000")
    # isoformat() takes a fifth of the time of strftime().
    text = datetime.fromtimestamp(whole, UTC).isoformat()[:_SECONDS_END]
    return Moment(whole, f"{text}.{fraction}Z")


@dataclass(slots=True)
class FileSpan:
    """What the stamps without a year say of a file, read in its order.

    ``last`` is the moment of the last one in seconds since 1970, None if there is none;
    ``goes_round`` is whether there are more months than a year has, so that the years of the first
    ones cannot be right.
    """

    last: int | None = None
    goes_round: bool = False
    latest: int = 0

    def add(self, seconds: int) -> None:
        """Take the next moment."""
        self.last = seconds
        self.goes_round |= seconds < self.latest - _ROUND_SECONDS
        self.latest = max(self.latest, seconds)


class Clock:
    """Reads time stamps; remembers the latest ones, since most lines share their second.

    ``zone`` is the zone of RFC 3164 stamps, ``host_zones`` the exceptions by hostname.  With
    ``in_order``, lines are read in the order in which they were written (a file), and an hour
    that DST repeats is decided by the line before; otherwise by the reference time.
    """

    def __init__(
        self, zone: tzinfo, host_zones: Mapping[str, tzinfo] | None = None, *, in_order: bool
    ) -> None:
        self._zone = zone
        self._host_zones = dict(host_zones or {})
        self._in_order = in_order
        self._latest: dict[tzinfo, int] = {}
        # Minutes as stamps have them, and their beginnings.
        self._legacy: dict[tuple[str, tzinfo], _Minute] = {}
        self._legacy_reference = 0.0
        # Of lines that come together, most have the stamp of the one before.
        self._before: tuple[str, float, Moment] | None = None
        self._minutes: dict[str, _Minute] = {}
        self._file = FileSpan()

    def begin_file(self) -> FileSpan:
        """Another file begins; what its stamps without a year will say."""
        self._file = FileSpan()
        # Each stamp has to be looked at once more.
        self._legacy.clear()
        self._before = None
        return self._file

    def read_legacy(
        self, stamp: str, hostname: str, reference: float, zone: tzinfo | None = None
    ) -> Moment | None:
        """Read ``Nov  4 15:41:13``; None if no such day or time exists.

        ``reference`` is in seconds since 1970.  A ``zone`` goes before the one that is set.
        """
        if zone is not None:
            return self._read_in(zone, stamp, reference)
        before = self._before
        if before is not None and before[0] == stamp and before[1] == reference:
            return before[2]
        # A repeated hour lasts an hour, and a year is only ambiguous by days: half an hour is near.
        if abs(reference - self._legacy_reference) > 1800.0 or len(self._legacy) > _MEMO_SIZE:
            self._legacy.clear()
            self._legacy_reference = reference
        zone = self._host_zones.get(hostname, self._zone) if self._host_zones else self._zone
        minute = self._legacy.get((stamp[:-2], zone))
        if minute is None:
            candidates = _local_readings(stamp, zone, reference)
            if not candidates:
                return None
            moment = moment_of(self._choose(candidates, zone, reference))
            minute = _whole_minute(stamp, zone, reference) if len(candidates) == 1 else None
            if minute is not None:
                self._legacy[(stamp[:-2], zone)] = minute
        elif (known := _within(minute, stamp[-2:], "000")) is not None:
            moment = known
        else:
            return None
        if moment.seconds > self._latest.get(zone, 0):
            self._latest[zone] = moment.seconds
        self._file.add(moment.seconds)
        if not self._host_zones and minute is not None:
            self._before = (stamp, reference, moment)
        return moment

    def is_settled(self, stamp: str, reference: float) -> bool:
        """Whether all lines with the stamp that `read_legacy` read last are of that moment.

        They are not in an hour that DST repeats, and may not be where hosts have their own zones.
        """
        before = self._before
        return before is not None and before[0] == stamp and before[1] == reference

    def read_iso(self, stamp: str, hostname: str, zone: tzinfo | None = None) -> Moment | None:
        """Read an RFC 3339 time stamp, fraction and offset are optional; None if it is not one.

        A ``zone`` is that of a stamp without offset, and goes before the one that is set.
        """
        # The minute and the offset decide everything but the digits behind them.
        match = _ISO.fullmatch(stamp)
        if match is None:
            return None
        minute, second, fraction, offset = match.groups()
        key = minute + offset if offset else f"{minute} {zone or hostname}"
        known = self._minutes.get(key)
        if known is None:
            try:
                if offset:
                    zone = _offset_zone(offset)
                elif zone is None:
                    zone = self._host_zones.get(hostname, self._zone)
                time = datetime.fromisoformat(minute).replace(tzinfo=zone).astimezone(UTC)
            except (ValueError, OverflowError):
                return None
            if len(self._minutes) > _MEMO_SIZE:
                self._minutes.clear()
            known = ((time - _EPOCH) // timedelta(seconds=1), f"{time:%Y-%m-%dT%H:%M:}")
            self._minutes[key] = known
        return _within(known, second, (fraction or "").ljust(3, "0"))

    def _read_in(self, zone: tzinfo, stamp: str, reference: float) -> Moment | None:
        candidates = _local_readings(stamp, zone, reference)
        return moment_of(self._choose(candidates, zone, reference)) if candidates else None

    def _choose(self, candidates: list[int], zone: tzinfo, reference: float) -> int:
        if len(candidates) == 1:
            return candidates[0]
        first, second = candidates
        if self._in_order:
            latest = self._latest.get(zone, 0)
            return first if first >= latest - REPEATED_HOUR_TOLERANCE else second
        return second if second <= reference + REPEATED_HOUR_TOLERANCE else first


def _within(minute: _Minute, second: str, fraction: str) -> Moment | None:
    """The moment of a second of a minute; None if no minute has it."""
    base, prefix = minute
    # 60 is a leap second (RFC 3339 section 5.7); stores do not know it.
    second = "59" if second == "60" else second
    if second > "59" or base < 0:
        return None
    return Moment(base + int(second), f"{prefix}{second}.{fraction}Z")


def _whole_minute(stamp: str, zone: tzinfo, reference: float) -> _Minute | None:
    """The minute of a stamp, if all of its seconds are read alike."""
    first, last = (
        _local_readings(f"{stamp[:-2]}{second}", zone, reference) for second in ("00", "59")
    )
    # Local time was a matter of seconds until the railway came.
    if len(first) != 1 or last != [first[0] + 59] or first[0] < 0 or first[0] % 60:
        return None
    return first[0], moment_of(first[0]).text[: _SECONDS_END - len("00")]


def _local_readings(stamp: str, zone: tzinfo, reference: float) -> list[int]:
    """All moments (one, or two in an hour that DST repeats) of a stamp in its latest past year."""
    try:
        month = _MONTHS[stamp[:3]]
        day = int(stamp[3:-8])
        hour, minute, second = int(stamp[-8:-6]), int(stamp[-5:-3]), int(stamp[-2:])
    except (KeyError, ValueError):
        return []
    if second == 60:
        second = 59
    horizon = reference + YEAR_TOLERANCE
    latest_year = datetime.fromtimestamp(horizon, UTC).year + 1
    for year in range(latest_year, latest_year - _LONGEST_LEAP_GAP - 2, -1):
        try:
            local = datetime(year, month, day, hour, minute, second, tzinfo=zone)
        except ValueError:
            continue
        first = int(local.timestamp())
        if first <= horizon:
            second_reading = int(local.replace(fold=1).timestamp())
            # In an hour that DST leaves out, the second reading is the earlier one: a wrong clock.
            return [first, second_reading] if second_reading > first else [first]
    return []


def _offset_zone(offset: str) -> tzinfo:
    """ValueError unless it is in RFC 3339's range, 23:59 each way."""
    if offset in "Zz":
        return UTC
    hours, minutes = int(offset[1:3]), int(offset[-2:])
    if minutes > 59:
        raise ValueError
    delta = timedelta(hours=hours, minutes=minutes)
    return timezone(-delta if offset[0] == "-" else delta)
