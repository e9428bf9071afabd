"""All documents of an open file in the order of their time, a few blocks of them in memory at once.

The order within a second is that in which they were stored.
"""

import heapq
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson

from mailingest.stores.sqlite import earlier
from mailingest.stores.sqlite.blocks import Blocks
from mailingest.stores.sqlite.bounds import Bounds
from mailingest.stores.sqlite.files import open_for_reading
from mailingest.stores.sqlite.packing import Packed
from mailingest.stores.sqlite.schema import has_blocks, has_earlier_documents


def contents(connection: sqlite3.Connection, bounds: Bounds | None = None) -> Iterator[Packed]:
    """The documents of the seconds that the bounds have a part of; raises what sqlite3 raises."""
    start, end = (bounds or Bounds()).seconds()
    parts: list[Iterator[Packed]] = []
    if has_earlier_documents(connection):
        parts.append(earlier.contents(connection, start, end))
    if has_blocks(connection):
        parts.append(_in_blocks(Blocks(connection), connection, start, end))
    return heapq.merge(*parts, key=_place)


def exported(path: Path, bounds: Bounds) -> Iterator[bytes]:
    """The JSON of a file's documents within a time span."""
    connection = open_for_reading(path)
    if connection is None:
        return
    ends = bounds.seconds()
    with closing(connection):
        for one in contents(connection, bounds):
            if one.second not in ends or bounds.include(orjson.loads(one.line)):
                yield one.line


def _in_blocks(
    reading: Blocks, connection: sqlite3.Connection, start: int, end: int
) -> Iterator[Packed]:
    waiting: list[tuple[int, int, Packed]] = []
    places = connection.execute(
        "SELECT number, first FROM blocks WHERE last >= ? AND first <= ? ORDER BY first, number",
        [start, end],
    )
    for number, first in places:
        # No block that comes later has one that is older than this.
        while waiting and waiting[0][0] < first:
            yield heapq.heappop(waiting)[-1]
        for one in reading.documents(number):
            if start <= one.second <= end:
                heapq.heappush(waiting, (one.second, one.position, one))
    while waiting:
        yield heapq.heappop(waiting)[-1]


def _place(one: Packed) -> tuple[int, int]:
    return one.second, one.position
