"""Names of daily indices and files <-> days.

One rule everywhere: with N days, a day is deleted N days after it began, in UTC.  What is kept is
today and the N - 1 days before.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final

_DAY: Final = re.compile(r"([0-9]{4})\.([0-9]{2})\.([0-9]{2})")


def day_of(name: str, prefix: str) -> date | None:
    """The day of a daily index or file of a type; None for a name that is not `TYPE-YYYY.MM.dd`.

    >>> day_of("mail-2026.11.24", "mail")
    datetime.date(2026, 11, 24)
    >>> day_of("mail-archive-2026.11.24", "mail")
    """
    found = _DAY.fullmatch(name.removeprefix(f"{prefix}-"))
    if found is None or not name.startswith(f"{prefix}-"):
        return None
    try:
        return date(*map(int, found.groups()))
    except ValueError:  # there is no such day
        return None


def day_of_any(name: str, types: Iterable[str]) -> date | None:
    """The day of a daily index or file of one of the types; None for any other name."""
    days = (day_of(name, one) for one in types)
    return next((day for day in days if day is not None), None)


def type_of(name: str) -> str:
    """The type of a daily index.

    >>> type_of("mail-test-2026.11.24")
    'mail-test'
    """
    return name[: -len("-YYYY.MM.dd")]


def touches(day: date, since: datetime | None, until: datetime | None) -> bool:
    """Whether a day, in UTC, has a part of a time span; None is no bound."""
    return (since is None or since.astimezone(UTC).date() <= day) and (
        until is None or day <= until.astimezone(UTC).date()
    )


def is_over(day: date, *, today: date, days: int) -> bool:
    """Whether a day began ``days`` days ago or earlier."""
    return today - day >= timedelta(days=days)


def days_over(
    names: Iterable[str], prefix: str, days: int, *, today: date
) -> list[tuple[date, str]]:
    """The names of days that are over, with their days, oldest first; all others are left out."""
    dated = [(day, name) for name in names if (day := day_of(name, prefix)) is not None]
    return sorted((day, name) for day, name in dated if is_over(day, today=today, days=days))
