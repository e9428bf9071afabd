"""What the files of the embedded store hold, and what takes how much of them."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mailingest.stores.days import type_of
from mailingest.stores.sqlite.files import day_text, open_for_reading, with_companions
from mailingest.stores.sqlite.schema import has_blocks, has_earlier_documents, schema_version


@dataclass(frozen=True, slots=True)
class DayStats:
    """A day's file: sizes in bytes, of the whole with its log and of each table and index.

    ``loose`` are documents that compaction would pack again.
    """

    type: str
    day: str
    documents: int
    loose: int
    size: int
    schema: int
    parts: dict[str, int]


def day_stats(path: Path) -> DayStats | None:
    """Those of a file, None of an empty one; raises UsageError and what sqlite3 raises."""
    connection = open_for_reading(path)
    if connection is None:
        return None
    with closing(connection):
        documents, loose = _counts(connection)
        return DayStats(
            type_of(path.stem),
            day_text(path),
            documents,
            loose,
            sum(one.stat().st_size for one in with_companions(path) if one.exists()),
            schema_version(connection, path),
            _parts(connection),
        )


def _counts(connection: sqlite3.Connection) -> tuple[int, int]:
    documents = loose = 0
    if has_blocks(connection):
        query = "SELECT coalesce(sum(count), 0), coalesce(sum(count * NOT is_compact), 0)"
        documents, loose = connection.execute(f"{query} FROM blocks").fetchone()
    if has_earlier_documents(connection):
        [count] = connection.execute("SELECT count(*) FROM documents").fetchone()
        documents += count
        loose += count
    return documents, loose


def _parts(connection: sqlite3.Connection) -> dict[str, int]:
    """The size of each table and index; nothing where SQLite was built without that table."""
    query = "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC"
    try:
        return dict(connection.execute(query).fetchall())
    except sqlite3.OperationalError:
        return {}
