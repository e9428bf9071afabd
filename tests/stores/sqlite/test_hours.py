"""What hours that are over have counted is kept in the day's file, as long as it holds."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from mailingest.documents import Document
from mailingest.stores.counts import TimeBuckets
from mailingest.stores.sqlite import hours
from mailingest.stores.sqlite.background import Packer
from mailingest.stores.sqlite.bounds import Bounds
from mailingest.stores.sqlite.compaction import compact
from mailingest.stores.sqlite.contents import contents
from mailingest.stores.sqlite.packing import Packed
from mailingest.stores.sqlite.store import SqliteStore
from tests.support.logs import documents_of, lines_of
from tests.support.stores import fill

MIDNIGHT = 1_795_478_400  # 24 November 2026, UTC
DAY = TimeBuckets(MIDNIGHT, 3600, 24)
FILE = "mail-2026.11.24.sqlite"


def sent(hour: int, minute: int, recipient: str) -> str:
    return (
        f"24T{hour:02}:{minute:02}:00 mx1 postfix/smtp: AAAAAA{minute % 10}: to=<{recipient}>, "
        "relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, "
        "status=sent (250 Ok)"
    )


def documents(*lines: str) -> list[Document]:
    return documents_of(lines_of("\n".join(lines)))


@pytest.fixture
async def store(tmp_path: Path) -> SqliteStore:
    store = SqliteStore(tmp_path, ["mail"])
    lines = [sent(hour, minute, f"u{hour}@example.net") for hour in (8, 9, 11) for minute in (1, 2)]
    await fill(store, documents(*lines))
    return store


async def recipients(store: SqliteStore, buckets: TimeBuckets = DAY) -> dict[str, int]:
    found = await store.reader().breakdown(buckets)
    return {name: figures.sent for name, figures in found.names["recipient"].items()}


EVERY = {"u8@example.net": 2, "u9@example.net": 2, "u11@example.net": 2}


def kept(store: SqliteStore) -> list[int]:
    with closing(sqlite3.connect(store.directory / FILE)) as connection:
        rows = connection.execute("SELECT hour FROM hours ORDER BY hour").fetchall()
    return [(hour - MIDNIGHT) // 3600 for (hour,) in rows]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many documents were looked at, each time that some are read."""
    counted: list[int] = []

    def counting(connection: sqlite3.Connection, bounds: Bounds) -> Iterator[Packed]:
        counted.append(0)
        for one in contents(connection, bounds):
            counted[-1] += 1
            yield one

    monkeypatch.setattr(hours, "contents", counting)
    return counted


async def test_hours_that_are_over_are_kept_and_not_read_again(
    store: SqliteStore, read: list[int]
) -> None:
    assert await recipients(store) == EVERY
    assert sum(read) == 6
    now = MIDNIGHT + 11 * 3600 + 1800
    Packer(store.directory, store.types).run(date(2026, 11, 24), now)
    assert kept(store) == [8, 9, 10]
    read.clear()
    assert await recipients(store) == EVERY
    assert sum(read) == 2  # those of the hour that is not over


async def test_a_line_that_comes_late_is_counted(store: SqliteStore) -> None:
    Packer(store.directory, store.types).run(date(2026, 11, 24), MIDNIGHT + 86_400)
    await fill(store, documents(sent(8, 59, "late@example.net")))
    assert await recipients(store) == {**EVERY, "late@example.net": 1}
    Packer(store.directory, store.types).run(date(2026, 11, 24), MIDNIGHT + 86_400)
    assert await recipients(store) == {**EVERY, "late@example.net": 1}


async def test_a_part_of_an_hour_is_read(store: SqliteStore) -> None:
    Packer(store.directory, store.types).run(date(2026, 11, 24), MIDNIGHT + 86_400)
    part = TimeBuckets(MIDNIGHT + 9 * 3600 + 60, 60, 1)
    assert await recipients(store, part) == {"u9@example.net": 1}


async def test_what_is_damaged_is_read_anew(store: SqliteStore) -> None:
    Packer(store.directory, store.types).run(date(2026, 11, 24), MIDNIGHT + 86_400)
    with closing(sqlite3.connect(store.directory / FILE)) as connection, connection:
        connection.execute("UPDATE hours SET body = zeroblob(10)")
    assert await recipients(store) == EVERY


async def test_packing_keeps_the_hours_and_forgetting_forgets_them(store: SqliteStore) -> None:
    path = store.directory / FILE
    compact(path, lambda: None)
    assert kept(store) == [8, 9, 10, 11]
    assert await recipients(store) == EVERY
    compact(path, lambda: None, "u9@example.net")
    assert await recipients(store) == {"u8@example.net": 2, "u11@example.net": 2}
