"""The embedded store beside its writer, damaged, and without the right to write."""

import asyncio
import shutil
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mailingest.errors import StoreUnavailable, UsageError
from mailingest.stores.criteria import Criteria, text_term
from mailingest.stores.sqlite import wanted as module
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.writer import SqliteWriter
from tests.support.documents import document, public_directory, unprivileged
from tests.support.lab.polling import PATIENCE

TODAY = "mail-2026.11.24.sqlite"


async def write(directory: Path, *numbers: int, day: str = "2026.11.24") -> None:
    writer = SqliteWriter(directory)
    await writer.open()
    await writer.write([mail(number, day) for number in numbers])
    await writer.close()


def mail(number: int, day: str = "2026.11.24") -> Any:
    return document(number, day=day, postfix_queueid="AAAAAA1", message="removed")


async def numbers(directory: Path, prefix: str = "mail") -> list[int]:
    found = await SqliteReader(directory, prefix).of_mails(["AAAAAA1"], [], None, None, 1000)
    return [event["number"] for event in found.events]


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    await write(tmp_path, 1, 2)
    await write(tmp_path, 3, day="2026.11.25")
    return tmp_path


async def test_it_reads_beside_the_writer(tmp_path: Path) -> None:
    writer = SqliteWriter(tmp_path)
    await writer.open()
    for number in range(3):
        await writer.write([mail(number)])
        assert len(await numbers(tmp_path)) == number + 1
    await writer.close()


@pytest.mark.parametrize("writing", [True, False], ids=["while written", "when closed"])
async def test_it_needs_no_right_to_write(writing: bool) -> None:
    with public_directory() as directory:
        writer = SqliteWriter(directory)
        await writer.open()
        await writer.write([mail(1)])
        if not writing:
            await writer.close()
        for path in directory.iterdir():
            path.chmod(0o444)
        directory.chmod(0o555)
        with unprivileged():
            assert await numbers(directory) == [1]
        if writing:
            await writer.close()


async def test_a_damaged_day_is_noted_and_the_others_are_read(store: Path) -> None:
    (store / TODAY).write_bytes(b"no database" * 1000)
    source = SqliteReader(store, "mail")
    found = await source.of_mails(["AAAAAA1"], [], None, None, 10)
    assert [event["number"] for event in found.events] == [3]
    [gap] = found.gaps
    assert gap.code == "day_unreadable"
    assert gap.text == f"{store / TODAY} cannot be read: file is not a database"
    span = await source.span()
    assert span is not None
    assert f"{span.first:%d} {span.last:%d}" == "25 25"


async def test_a_store_without_any_day_that_can_be_read_is_unavailable(store: Path) -> None:
    for path in store.iterdir():
        path.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreUnavailable, match="not a database"):
        await SqliteReader(store, "mail").span()


async def test_a_day_of_another_user_is_noted() -> None:
    with public_directory() as directory:
        await write(directory, 1)
        (directory / TODAY).chmod(0o600)
        with unprivileged():
            found = await SqliteReader(directory, "mail").find(Criteria(), 10)
    assert [gap.text for gap in found.gaps] == [
        f"{directory / TODAY} cannot be read: {directory / TODAY} belongs to root:root, and nobody "
        "may not read it: ask as root"
    ]


async def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    with public_directory() as directory:
        directory.chmod(0o700)
        with unprivileged(), pytest.raises(UsageError, match="nobody may not read it"):
            await SqliteReader(directory, "mail").span()


async def test_a_directory_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    assert await SqliteReader(tmp_path / "none", "mail").span() is None


async def test_a_file_of_a_newer_version_is_refused(store: Path) -> None:
    with closing(sqlite3.connect(store / TODAY)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(UsageError, match="newer"):
        await numbers(store)


async def test_a_day_that_was_just_created_is_empty(store: Path) -> None:
    (store / "mail-2026.11.26.sqlite").touch()
    assert await numbers(store) == [3, 2, 1]


async def test_other_prefixes_and_files_are_not_read(store: Path) -> None:
    shutil.copy(store / TODAY, store / "mail-extra-2026.11.24.sqlite")
    shutil.copy(store / TODAY, store / f"{TODAY}.damaged-20261124T000000Z")
    (store / "mail-2026.11.24.txt").write_text("no database")
    assert await numbers(store) == [3, 2, 1]
    assert await numbers(store, "mail-extra") == [2, 1]
    assert await numbers(store, "m*") == []


async def test_a_question_that_is_withdrawn_ends_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(tmp_path, *range(5000))
    begun = threading.Event()
    looked_at = 0

    def slowly(*_: object, **__: object) -> bool:
        nonlocal looked_at
        looked_at += 1
        begun.set()
        time.sleep(0.05)
        return False

    monkeypatch.setattr(module, "meets_term", slowly)
    source = SqliteReader(tmp_path, "mail")
    asking = asyncio.create_task(source.find(Criteria(text=text_term("removed")), 10))
    assert await asyncio.to_thread(begun.wait, PATIENCE)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    done = looked_at
    assert done < 5000
    await asyncio.sleep(0.2)
    assert looked_at == done
