"""Files of earlier versions: a row for each document in a table, and an index for each column.

Such a file is read as it is; what is new goes into the tables of this version beside.  The body
of a document is JSON as text there.
"""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from typing import Final

import orjson

from mailingest.postfix.names import QUEUE_ID, SASL_USERNAME
from mailingest.stores.events import StoredEvent
from mailingest.stores.sqlite.bounds import Bounds
from mailingest.stores.sqlite.keys import Lookup
from mailingest.stores.sqlite.packing import Packed
from mailingest.stores.sqlite.wanted import Wanted

_HOUR: Final = 3600
_SAMPLES: Final = 4000
_LOGIN: Final = f"json_extract(body, '$.\"{SASL_USERNAME}\"')"

# Conditions on a column, by comparison; the first two are quick.
_CONDITIONS: Final = {
    "equals": "{} IN (SELECT value FROM json_each(?1))",
    "starts": "{} >= ?1 AND {} < ?1 || char(1114111)",  # the greatest character
    "ends": "substr({}, -length(?1)) = ?1",
    "contains": "instr({}, ?1)",
}


def ids_among(connection: sqlite3.Connection, ids: Collection[str]) -> set[str]:
    """Those of the ids that documents have."""
    query = "SELECT id FROM documents WHERE id IN (SELECT value FROM json_each(?))"
    listed = orjson.dumps(list(ids)).decode()
    return {document_id for (document_id,) in connection.execute(query, [listed])}


def rows(
    connection: sqlite3.Connection, lookup: Lookup, bounds: Bounds, limit: int
) -> list[tuple[int, int]]:
    """Time and row of the newest documents that meet a look-up."""
    within, values = bounds.condition()
    column, index = f'"{lookup.column}"', f'"by_{lookup.column}"'
    there = f"{column} IS NOT NULL"
    if lookup.column == SASL_USERNAME and not _has_logins(connection):
        # What was stored before version 3 has its login in the text only.
        column, index = f"lower({_LOGIN})", "by_time"
        there = f"{QUEUE_ID} IS NOT NULL AND instr(body, '\"{SASL_USERNAME}\"')"
    condition = _CONDITIONS[lookup.comparison].replace("{}", column)
    # Columns and conditions are constants of this package; values are bound.
    query = (
        f"SELECT time, rowid FROM documents INDEXED BY {index}"  # noqa: S608
        f" WHERE {there} AND {condition} AND {within}"
        " ORDER BY time DESC, rowid DESC LIMIT ?"
    )
    texts = list(lookup.texts)
    value = orjson.dumps(texts).decode() if lookup.comparison == "equals" else texts[0]
    return connection.execute(query, [value, *values, limit]).fetchall()


def look_up(
    connection: sqlite3.Connection, lookups: Sequence[Lookup], bounds: Bounds, limit: int
) -> list[StoredEvent]:
    """The newest documents that meet any of the look-ups."""
    found = {row for one in lookups for row in rows(connection, one, bounds, limit)}
    newest = [row for _, row in sorted(found, reverse=True)[:limit]]
    query = (
        "SELECT rowid, id, body FROM documents"
        " WHERE rowid IN (SELECT value FROM json_each(?)) ORDER BY rowid DESC"
    )
    listed = orjson.dumps(newest).decode()
    return [_event(*row) for row in connection.execute(query, [listed])]


def scan(
    connection: sqlite3.Connection, wanted: Wanted, bounds: Bounds, limit: int
) -> Iterator[tuple[float, StoredEvent | None]]:
    """The newest documents about mails that are wanted, with the share of the day that is read.

    They are read hour by hour, the newest first.
    """
    within, span = bounds.condition()
    condition, values = wanted.condition()
    query = (
        f"SELECT rowid, id, body FROM documents INDEXED BY by_time WHERE {within}"  # noqa: S608
        f" AND {QUEUE_ID} IS NOT NULL AND {condition}"
        " AND time BETWEEN ? AND ? ORDER BY time DESC, rowid DESC"
    )
    count = 0
    first, last = first_and_last(connection)
    for hour in range(last, first - 1, -_HOUR):
        yield (last - hour) / (last - first + 1), None
        for row in connection.execute(query, [*span, *values, hour - _HOUR + 1, hour]):
            event = _event(*row)
            if wanted.fits(event):
                yield 0, event
                count += 1
                if count == limit:
                    return


def contents(connection: sqlite3.Connection, start: int, end: int) -> Iterator[Packed]:
    """The documents of these seconds in the order of their time."""
    query = (
        "SELECT time, rowid, id, body FROM documents WHERE time BETWEEN ? AND ?"
        " ORDER BY time, rowid"
    )
    for second, row, document_id, body in connection.execute(query, [start, end]):
        yield Packed(second, row, document_id, body.encode())


def take(connection: sqlite3.Connection, count: int) -> list[Packed]:
    """Remove the first documents from the table, and give them."""
    query = "SELECT time, rowid, id, body FROM documents ORDER BY time, rowid LIMIT ?"
    found = [
        Packed(second, row, document_id, body.encode())
        for second, row, document_id, body in connection.execute(query, [count])
    ]
    rows = orjson.dumps([one.position for one in found]).decode()
    delete = "DELETE FROM documents WHERE rowid IN (SELECT value FROM json_each(?))"
    connection.execute(delete, [rows])
    return found


def samples(connection: sqlite3.Connection) -> Iterator[bytes]:
    """Some thousand documents from all over the table."""
    [last] = connection.execute("SELECT max(rowid) FROM documents").fetchone()
    rows = orjson.dumps(list(range(1, (last or 0) + 1, (last or 0) // _SAMPLES + 1))).decode()
    query = "SELECT body FROM documents WHERE rowid IN (SELECT value FROM json_each(?))"
    for (body,) in connection.execute(query, [rows]):
        yield body.encode()


def first_and_last(connection: sqlite3.Connection) -> tuple[int, int]:
    """The first and last second that there are documents of; without any, the last is earlier."""
    # Each is a look at one end of an index; both in one statement would read it through.
    ends = [
        connection.execute(f"SELECT {which}(time) FROM documents").fetchone()[0]  # noqa: S608
        for which in ("min", "max")
    ]
    return (0, -1) if ends[0] is None else (ends[0], ends[1])


def at(connection: sqlite3.Connection, second: int) -> list[StoredEvent]:
    """The documents of a second."""
    query = "SELECT rowid, id, body FROM documents WHERE time = ?"
    return [_event(*row) for row in connection.execute(query, [second])]


def _has_logins(connection: sqlite3.Connection) -> bool:
    columns = connection.execute("SELECT name FROM pragma_table_info('documents')")
    return (SASL_USERNAME,) in columns.fetchall()


def _event(row: int, document_id: str, body: str) -> StoredEvent:
    return {**orjson.loads(body), "_id": document_id, "_position": row}
