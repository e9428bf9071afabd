"""The documents of an open file -> who sent what to whom, hour by hour, and what is kept of that.

Reading a day for it takes seconds.  So, of hours that are over, what was counted is kept in the
file.  It holds as long as the blocks of that hour have as many documents as were counted: lines
that come late, or blocks that are packed again, make it void, and the hour is read again.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import zstandard

from mailingest.stores.breakdown import Breakdown, Figures
from mailingest.stores.sqlite.bounds import Bounds
from mailingest.stores.sqlite.contents import contents
from mailingest.stores.sqlite.schema import has_blocks, has_earlier_documents

HOUR: Final = 3600
KEPT_NAMES: Final = 1000
"""Names of each kind that are kept of an hour: some 100 KB, which are compressed."""

# A table of its own, which an earlier version leaves alone: the version of the file stays.
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS hours (hour INTEGER PRIMARY KEY, documents INTEGER NOT NULL, "
    "body BLOB NOT NULL)"
)
# What none of these is in is not counted; a document of an earlier version does not say.
_COUNTED: Final = (b'"outcome":', b'"postfix_received_size":', b'_level":"', b'hold"', b'_warning"')
_OF_THIS_VERSION: Final = b'"program_kind":'

Step = Callable[[], None]


def add_hours(
    found: Breakdown, connection: sqlite3.Connection, start: int, end: int, go_on: Step
) -> None:
    """Add what a file has from the second ``start`` to before ``end``; raises what sqlite3 raises.

    ``go_on`` is called now and then, and may raise.
    """
    kept = []
    for hour, body in _kept(connection, start, end):
        go_on()
        try:
            one = _unpacked(body)
        except (zstandard.ZstdError, ValueError, TypeError, KeyError):
            continue  # it is damaged, and read again
        found.merge(one)
        kept.append(hour)
    for first, last in _gaps(start, end, kept):
        _read(found, connection, first, last, go_on)


def keep_hours(connection: sqlite3.Connection, until: int, step: Step) -> int:
    """Keep what is counted of the hours that end by ``until``; how many of them were read.

    ``step`` is called between two transactions, and may raise.
    """
    count = 0
    for hour in missing_hours(connection, until):
        connection.execute(_TABLE)
        found = Breakdown()
        # What is counted is of one moment, with the number of documents of that moment.
        connection.execute("BEGIN")
        documents = _documents(connection, hour)
        _read(found, connection, hour, hour + HOUR, step)
        connection.execute("COMMIT")
        found.keep(KEPT_NAMES)
        values = [hour, documents, _packed(found)]
        connection.execute("INSERT OR REPLACE INTO hours VALUES (?, ?, ?)", values)
        count += 1
        step()
    return count


def missing_hours(connection: sqlite3.Connection, until: int) -> list[int]:
    """The hours that end by ``until`` of which nothing is kept."""
    if not has_blocks(connection) or has_earlier_documents(connection):
        return []
    [first, last] = connection.execute("SELECT min(first), max(last) FROM blocks").fetchone()
    if first is None:
        return []
    start = first // HOUR * HOUR
    end = min(until, last + HOUR) // HOUR * HOUR
    kept = {hour for hour, _ in _kept(connection, start, end)}
    return [hour for hour in range(start, end, HOUR) if hour not in kept]


def forget_hours(connection: sqlite3.Connection) -> None:
    """Delete what is kept, with the names in it."""
    connection.execute("DROP TABLE IF EXISTS hours")


def _kept(connection: sqlite3.Connection, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The hours that are wholly within the time, and of which what is kept holds."""
    query = "SELECT 1 FROM sqlite_master WHERE name = 'hours'"
    if connection.execute(query).fetchone() is None or has_earlier_documents(connection):
        return
    rows = connection.execute(
        "SELECT hour, documents, body FROM hours WHERE hour >= ? AND hour <= ?",
        [start, end - HOUR],
    ).fetchall()
    for hour, documents, body in rows:
        if documents == _documents(connection, hour):
            yield hour, body


def _documents(connection: sqlite3.Connection, hour: int) -> int:
    """How many documents the blocks have that have any of the hour."""
    query = "SELECT coalesce(sum(count), 0) FROM blocks WHERE last >= ? AND first < ?"
    count: int = connection.execute(query, [hour, hour + HOUR]).fetchone()[0]
    return count


def _gaps(start: int, end: int, hours: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The times between hours, each as its first second and the one after it."""
    for hour in sorted(hours):
        if start < hour:
            yield start, hour
        start = hour + HOUR
    if start < end:
        yield start, end


def _read(
    found: Breakdown, connection: sqlite3.Connection, start: int, end: int, go_on: Step
) -> None:
    bounds = Bounds(datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC))
    for number, one in enumerate(contents(connection, bounds)):
        if number % 1000 == 0:
            go_on()
        line = one.line
        if one.second < end and (
            _OF_THIS_VERSION not in line or any(part in line for part in _COUNTED)
        ):
            found.add(orjson.loads(line))


def _packed(found: Breakdown) -> bytes:
    values: dict[str, Any] = {
        "names": {
            dimension: {name: figures.row() for name, figures in names.items()}
            for dimension, names in found.names.items()
        },
        **{name: getattr(found, name) for name in (*_NUMBERS, "short_by", "tls", "warnings")},
    }
    return zstandard.compress(orjson.dumps(values))


_NUMBERS: Final = ("received", "received_bytes", "forwarded", "held", "reject_warnings")


def _unpacked(body: bytes) -> Breakdown:
    values = orjson.loads(zstandard.decompress(body))
    found = Breakdown()
    for dimension, names in values["names"].items():
        found.names[dimension] = {name: Figures.of_row(row) for name, row in names.items()}
    for name in _NUMBERS:
        setattr(found, name, values[name])
    for name in ("short_by", "tls", "warnings"):
        getattr(found, name).update(values[name])
    return found
