"""A filter -> the newest events that meet it, page by page."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mailingest.stores.events import StoredEvent, newest_first
from mailingest.stores.protocol import Found
from mailingest.stores.victorialogs import logsql
from mailingest.stores.victorialogs.connection import Connection
from mailingest.stores.victorialogs.rows import BATCH, ID, PLACE, TIME, TYPE, decode

PAGE: Final = 2000
"""Lines of an answer: some MB.  The server finds the newest by halving the time, up to 50,000."""

_TAIL: Final = "| delete _stream, _stream_id"
_Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class _Place:
    """How far was read: of this moment, what was written before ``batch`` and ``place``."""

    time: str
    batch: int | None = None
    place: int = 0


async def newest(
    connection: Connection,
    filters: list[str],
    limit: int,
    is_wanted: Callable[[StoredEvent], bool] | None = None,
) -> Found:
    """The newest events, each once, and whether there are more than ``limit``."""
    base = logsql.all_of(filters)
    found: dict[tuple[str, str], StoredEvent] = {}
    place: _Place | None = None
    while len(found) <= limit:
        size = PAGE if is_wanted else min(PAGE, limit + 1 - len(found))
        rows, place = await _page(connection, base, place, size)
        for row in rows:
            key = (row[TYPE], row[ID])
            event = decode(row)
            # The copy that was written first has the place that the line had in the log.
            if key in found and found[key]["_position"] < event["_position"]:
                continue
            if is_wanted is None or is_wanted(event):
                found[key] = event
        if place is None:
            break
    events = newest_first(found.values())
    return Found(events[:limit], len(events) > limit)


async def _page(
    connection: Connection, base: str, after: _Place | None, size: int
) -> tuple[list[_Row], _Place | None]:
    """Some of the newest lines, and where to go on; None if there are no more."""
    if after is not None and after.batch != 0:
        rows = await _of_moment(connection, base, after, size)
        if len(rows) == size:
            last = rows[-1]
            return rows, _Place(after.time, int(last[BATCH]), int(last[PLACE]))
        if rows:
            return rows, _Place(after.time, 0)
    earlier = [base] if after is None else [base, f"_time:<{_exact(after.time)}"]
    query = f"{' '.join(earlier)} | sort by (_time desc) limit {size} {_TAIL}"
    rows = await connection.table(query)
    if len(rows) < size:
        return rows, None
    # Of the last moment there may be more, and which of its lines these are is not said.
    moment = min((row[TIME] for row in rows), key=_exact)
    return [row for row in rows if row[TIME] != moment], _Place(moment)


async def _of_moment(connection: Connection, base: str, after: _Place, size: int) -> list[_Row]:
    """Lines of one moment, those that were written last first."""
    time = _exact(after.time)
    filters = [base, f"_time:[{time},{time}]"]
    if after.batch is not None:
        filters.append(
            f"({BATCH}:<{after.batch} or ({BATCH}:={after.batch} {PLACE}:<{after.place}))"
        )
    return await connection.table(
        f"{' '.join(filters)} | sort by ({BATCH} desc, {PLACE} desc) limit {size} {_TAIL}"
    )


def _exact(time: str) -> str:
    """A time of an answer to the nanosecond: texts of one length are in the order of time.

    >>> _exact("2026-11-24T10:00:00Z"), _exact("2026-11-24T10:00:00.12Z")
    ('2026-11-24T10:00:00.000000000Z', '2026-11-24T10:00:00.120000000Z')
    """
    seconds, _, fraction = time.removesuffix("Z").partition(".")
    return f"{seconds}.{fraction.ljust(9, '0')}Z"
