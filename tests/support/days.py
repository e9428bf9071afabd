"""What depends on the day is compared with that of one day, also at midnight."""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import TypeVar

Result = TypeVar("Result")


async def on_one_day(deed: Callable[[date], Awaitable[Result]]) -> Result:
    """What it gave for today (UTC), once it has begun and ended on the same day."""
    while True:
        today = datetime.now(UTC).date()
        result = await deed(today)
        if datetime.now(UTC).date() == today:
            return result
