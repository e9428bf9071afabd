"""Deletes the events of days that are over, where the server lets that be done.

Usually it deletes itself what is older than ``-retentionPeriod``, whole days of all types.  Events
of a type that are to go earlier are deleted by tasks of the server (``-delete.enable``), one for
each day.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final

import orjson

from mailingest.errors import UsageError
from mailingest.stores.days import is_over
from mailingest.stores.protocol import Expired
from mailingest.stores.victorialogs import logsql
from mailingest.stores.victorialogs.connection import Connection
from mailingest.stores.victorialogs.rows import TYPE, usual_time
from mailingest.stores.victorialogs.server import Limits

_DAY_SECONDS: Final = 86_400
_POLL_SECONDS: Final = 0.1


async def delete_days(
    connection: Connection,
    name: str,
    days: int,
    *,
    today: date,
    dry_run: bool,
    report: Callable[[Expired], None],
) -> None:
    """Delete them, and report each; raises UsageError or StoreUnavailable."""
    limits = await connection.limits()
    if not limits.can_delete:
        if limits.is_known and days * _DAY_SECONDS >= limits.retention:
            return  # the server does so
        raise UsageError(not_ours(limits))
    of_type = logsql.equals(TYPE, name)
    rows = await connection.table(f"{of_type} | stats by (_time:1d) count() n")
    found = sorted(datetime.fromisoformat(usual_time(row["_time"])).date() for row in rows)
    for day in found:
        if is_over(day, today=today, days=days):
            events = logsql.all_of([of_type, *_of_day(day)])
            size = await _size(connection, events)
            if not dry_run:
                await _delete(connection, events)
            report(Expired(f"{name}-{day:%Y.%m.%d}", size))


def not_ours(limits: Limits) -> str:
    """Who deletes what is old."""
    kept = f"for {limits.retention_text}" if limits.is_known else "as long as it is set to"
    return (
        f"retention: the server keeps events {kept} and deletes them itself (its flag "
        "-retentionPeriod); to delete those of a type earlier, start it with -delete.enable"
    )


def _of_day(day: date) -> list[str]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return logsql.within(start, start + timedelta(days=1))


async def _size(connection: Connection, events: str) -> int | None:
    """The bytes of blocks on the disk that have such events."""
    [row] = await connection.table(
        f"{events} | block_stats | stats sum(values_bytes) texts, sum(bloom_bytes) filters"
    )
    try:
        return int(float(row["texts"])) + int(float(row["filters"]))
    except ValueError:
        return None


async def _delete(connection: Connection, events: str) -> None:
    started = orjson.loads(await connection.text("/delete/run_task", filter=events))
    while True:
        active = orjson.loads(await connection.text("/delete/active_tasks"))
        if all(task["task_id"] != started["task_id"] for task in active):
            return
        await asyncio.sleep(_POLL_SECONDS)
