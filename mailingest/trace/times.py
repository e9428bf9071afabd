"""What a user types for a point in time -> that point."""

import re
from datetime import datetime, time, timedelta, tzinfo

from mailingest.errors import QuestionError

_AGO = re.compile(r"(\d{1,6})\s*(s|sec|m|min|h|d|w)[a-z]*", re.ASCII)
_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
FORMS = "30m, 12h, 7d, today, yesterday, 15:40, 2026-11-24, 2026-11-24T15:40"


def read_time(text: str, *, now: datetime, zone: tzinfo) -> datetime:
    """Read an absolute time in a zone, or how long ago; raises QuestionError naming the forms."""
    wanted = text.strip().lower().removesuffix(" ago")
    local = now.astimezone(zone)
    midnight = datetime.combine(local.date(), time(), zone)
    if wanted == "now":
        return now
    if wanted == "today":
        return midnight
    if wanted == "yesterday":
        return datetime.combine(local.date() - timedelta(days=1), time(), zone)
    if ago := _AGO.fullmatch(wanted):
        try:
            return now - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
        except OverflowError:
            raise _invalid(text, f"{text!r} is before the year 1") from None
    try:
        return datetime.combine(local.date(), time.fromisoformat(wanted), zone)
    except ValueError:
        pass
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError:
        raise _invalid(text, f"{text!r} is not a valid time: write it as one of {FORMS}") from None
    return read if read.tzinfo else read.replace(tzinfo=zone)


def _invalid(text: str, message: str) -> QuestionError:
    return QuestionError(message, "invalid_time", text=text, forms=FORMS)
