"""The SQLite store: faults of disk and files, and the questions of the reader."""

import asyncio
import os
import random
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mailingest.documents import Document
from mailingest.errors import StoreUnavailable, UsageError
from mailingest.stores.sqlite import files as module
from mailingest.stores.sqlite import turns
from mailingest.stores.sqlite.turns import turn
from mailingest.stores.sqlite.writer import SqliteWriter
from tests.support.documents import (
    document,
    files_limited_to,
    public_directory,
    unprivileged,
)
from tests.support.lab.polling import PATIENCE
from tests.support.sqlite import StoredDocuments

TODAY = "mail-2026.11.24.sqlite"


def noise(number: int) -> str:
    """A text that cannot be compressed by much."""
    return random.Random(number).randbytes(250).hex()


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[SqliteWriter]:
    writer = SqliteWriter(directory)
    try:
        await writer.open()
        yield writer
    finally:
        await writer.close()


def numbers(directory: Path, **criteria: Any) -> list[int]:
    return [found["number"] for found in StoredDocuments(directory, "mail").find(**criteria)]


# Files


async def test_files_are_private_to_owner_and_group(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with opened(tmp_path / "a" / "store") as writer:
            await writer.write([document(1)])
            modes = {
                path.name: stat.S_IMODE(path.stat().st_mode)
                for path in [tmp_path / "a" / "store", *(tmp_path / "a" / "store").iterdir()]
            }
    finally:
        os.umask(before)
    assert modes == {"store": 0o750, TODAY: 0o640, f"{TODAY}-wal": 0o640, f"{TODAY}-shm": 0o640}


async def test_only_the_days_in_use_stay_open(tmp_path: Path) -> None:
    days = [f"2026.11.{day:02d}" for day in range(1, 11)]
    async with opened(tmp_path) as writer:
        await writer.write([document(number, day=day) for number, day in enumerate(days)])
        logs = sorted(path.name for path in tmp_path.glob("*-wal"))
        assert logs == [f"mail-{day}.sqlite-wal" for day in days[-3:]]
        await writer.write([document(99, day=days[0])])
        logs = sorted(path.name for path in tmp_path.glob("*-wal"))
        assert logs == [f"mail-{day}.sqlite-wal" for day in (days[0], *days[-2:])]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"mail-{day}.sqlite" for day in days
    ]


async def test_a_day_removed_while_open_is_begun_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as writer:
        await writer.write([document(1)])
        for path in tmp_path.iterdir():
            path.unlink()
        await writer.write([document(2)])
        assert numbers(tmp_path) == [2]


async def test_documents_are_read_from_outside_as_the_documentation_says(tmp_path: Path) -> None:
    """The program of docs/store.md."""
    async with opened(tmp_path) as writer:
        await writer.write([document(number, message="grün") for number in range(100)])
    with closing(sqlite3.connect(tmp_path / TODAY)) as connection:
        query = "SELECT number, dictionary FROM dictionaries"
        readers = {
            number: zstandard.ZstdDecompressor(dict_data=zstandard.ZstdCompressionDict(dictionary))
            for number, dictionary in connection.execute(query)
        }
        bodies = [
            orjson.loads(line)
            for (frame,) in connection.execute("SELECT body FROM blocks ORDER BY number")
            for line in readers[zstandard.get_frame_parameters(frame).dict_id]
            .decompress(frame)
            .split(b"\n")
        ]
    assert [(body["number"], body["message"]) for body in bodies] == [
        (number, "grün") for number in range(100)
    ]


async def test_documents_survive_the_death_of_the_process(tmp_path: Path) -> None:
    program = """if True:
        import asyncio, os, pathlib, signal, sys
        from mailingest.stores.sqlite.writer import SqliteWriter
        from tests.support.documents import document

        async def main():
            writer = SqliteWriter(pathlib.Path(sys.argv[1]))
            await writer.open()
            await writer.write([document(number) for number in range(3000)])
            os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(main())
    """
    died = subprocess.run([sys.executable, "-c", program, str(tmp_path)], timeout=PATIENCE)
    assert died.returncode == -9
    async with opened(tmp_path) as writer:
        result = await writer.write([document(number) for number in range(3001)])
    assert (result.stored, result.duplicates) == (3001, 3000)


# Faults


async def test_a_directory_that_is_a_file_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    with pytest.raises(UsageError, match="store: File exists"):
        async with opened(tmp_path / "store"):
            pass


async def test_a_full_disk_puts_the_whole_batch_off_and_the_retry_stores_it(
    tmp_path: Path,
) -> None:
    first = [document(number) for number in range(10)]
    second = [document(number, message=noise(number) * 2) for number in range(10, 4010)]
    async with opened(tmp_path) as writer:
        await writer.write(first)
        with files_limited_to(1_000_000), pytest.raises(StoreUnavailable, match=TODAY):
            await writer.write(second)
        assert sorted(numbers(tmp_path)) == list(range(10))
        result = await writer.write(second)
        assert (result.stored, result.duplicates) == (4000, 0)
        assert len(numbers(tmp_path, limit=9999)) == 4010


async def test_a_fault_in_the_second_day_leaves_the_first_stored_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOCK_TIMEOUT_SECONDS", 0.01)
    batch = [document(1), document(2, day="2026.11.25")]
    async with opened(tmp_path) as writer:
        await writer.write([document(0), document(0, day="2026.11.25")])
        with closing(sqlite3.connect(tmp_path / "mail-2026.11.25.sqlite")) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match=r"2026\.11\.25.*locked"):
                await writer.write(batch)
            assert numbers(tmp_path) == [0, 1, 0]
        result = await writer.write(batch)
        assert (result.stored, result.duplicates) == (2, 1)
        assert numbers(tmp_path) == [2, 0, 1, 0]


async def test_a_writer_waits_for_the_turn_of_another_process(tmp_path: Path) -> None:
    async with opened(tmp_path) as writer:
        with turn(tmp_path):
            writing = asyncio.create_task(writer.write([document(1)]))
            done, _ = await asyncio.wait([writing], timeout=0.3)
            assert not done
            assert numbers(tmp_path) == []
        assert (await writing).stored == 1


async def test_a_process_that_does_not_give_up_its_turn_holds_nobody_up_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_LONGEST_SECONDS", 0.01)
    async with opened(tmp_path) as writer:
        with turn(tmp_path):
            assert (await writer.write([document(1)])).stored == 1


async def test_a_batch_of_many_days_holds_few_of_them_open(tmp_path: Path) -> None:
    batch = [document(n, day=f"20{n % 20:02d}.{1 + n // 20:02d}.03") for n in range(200)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with opened(tmp_path) as writer:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, hard))
        try:
            assert (await writer.write(batch)).stored == 200
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(numbers(tmp_path, limit=500)) == 200


async def test_readers_do_not_hold_up_the_writer(tmp_path: Path) -> None:
    async with opened(tmp_path) as writer:
        await writer.write([document(number) for number in range(100)])
        reading = StoredDocuments(tmp_path, "mail").find()
        assert next(reading)["number"] == 99
        assert (await writer.write([document(100)])).stored == 1
        assert len(list(reading)) == 99


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(b"this is no database at all" * 100, id="not a database"),
        pytest.param(b"SQLite format 3\x00" + b"\xff" * 5000, id="a broken header"),
    ],
)
async def test_a_damaged_file_is_set_aside_and_begun_anew(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / TODAY).write_bytes(damage)
    writer = SqliteWriter(tmp_path)
    with pytest.raises(StoreUnavailable, match=r"was damaged, set aside as .*\.damaged-2"):
        await writer.open()
    [aside] = tmp_path.glob("*.damaged-*")
    assert aside.read_bytes() == damage
    await writer.open()
    assert (await writer.write([document(1)])).stored == 1
    assert numbers(tmp_path) == [1]
    await writer.close()


def damage(path: Path) -> None:
    """Overwrite all but the first page."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(8192)
        file.write(b"\xa5" * (size - 8192))


async def test_damage_inside_a_file_in_use_is_set_aside_and_nothing_new_is_lost(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as writer:
        await writer.write(
            [
                document(number, message=f"{number * 7919 % 1000003:x}" * 90)
                for number in range(1000)
            ]
        )
    damage(tmp_path / TODAY)
    async with opened(tmp_path) as writer:
        with pytest.raises(StoreUnavailable, match="was damaged"):
            await writer.write([document(5000)])
        assert (await writer.write([document(5000)])).stored == 1
        assert numbers(tmp_path) == [5000]
    assert len(list(tmp_path.glob("*.damaged-*"))) == 1


async def test_the_log_of_a_damaged_file_is_set_aside_with_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as writer:
        await writer.write(
            [
                document(number, message=f"{number * 7919 % 1000003:x}" * 90)
                for number in range(1000)
            ]
        )
    with closing(sqlite3.connect(tmp_path / TODAY)) as other:
        other.execute("SELECT number FROM blocks LIMIT 1").fetchone()
        async with opened(tmp_path) as writer:
            await writer.write([document(1001)])
        assert (tmp_path / f"{TODAY}-wal").stat().st_size > 0
        damage(tmp_path / TODAY)
        async with opened(tmp_path) as writer:
            with pytest.raises(StoreUnavailable, match="was damaged"):
                await writer.write([document(5000)])
            await writer.write([document(5000)])
            assert numbers(tmp_path) == [5000]
        aside = sorted(path.name.rpartition("Z")[2] for path in tmp_path.glob("*.damaged-*"))
        assert aside == ["", "-shm", "-wal"]


async def test_a_file_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / TODAY)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = (tmp_path / TODAY).read_bytes()
    with pytest.raises(UsageError, match=r"newer mailingest \(schema 99, known 5\)"):
        async with opened(tmp_path):
            pass
    with pytest.raises(UsageError, match="newer"):
        numbers(tmp_path)
    assert (tmp_path / TODAY).read_bytes() == before


async def test_a_directory_that_vanished_is_unavailable_until_it_is_back(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    async with opened(directory) as writer:
        shutil.rmtree(directory)
        with pytest.raises(StoreUnavailable, match="No such file or directory"):
            await writer.write([document(1)])
        await writer.open()  # as the batcher does before it tries again
        assert (await writer.write([document(1)])).stored == 1


async def test_a_place_that_may_come_right_by_itself_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "store").symlink_to(tmp_path / "store")
    with pytest.raises(StoreUnavailable, match="Too many levels of symbolic links"):
        async with opened(tmp_path / "store" / "sqlite"):
            pass


async def test_a_day_that_only_an_operator_can_set_right_holds_up_no_other(tmp_path: Path) -> None:
    async with opened(tmp_path) as writer:
        file = tmp_path / "mail-2026.11.25.sqlite"
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA user_version = 99")
        held = document(1, day="2026.11.25")
        result = await writer.write([held, document(2)])
        assert (result.stored, result.rejected, result.retry) == (1, [], [])
        [only] = result.held
        assert only.document is held
        assert "newer" in only.reason
        file.unlink()
        result = await writer.write([held, document(2)])
        assert (result.stored, result.duplicates, result.held) == (2, 1, [])


async def test_a_day_that_may_not_be_written_is_held() -> None:
    with public_directory() as directory:
        async with opened(directory) as writer:
            await writer.write([document(1)])
        directory.chmod(0o777)
        (directory / TODAY).chmod(0o444)
        with unprivileged():
            async with opened(directory) as writer:
                result = await writer.write([document(2), document(3, day="2026.11.25")])
        assert result.stored == 1
        [held] = result.held
        assert held.reason == (
            f"{directory / TODAY} belongs to root, and nobody may not write to it: work as root"
        )


async def test_a_file_with_another_name_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "zebra.sqlite").write_bytes(b"of another program")
    async with opened(tmp_path) as writer:
        await writer.write([document(1)])
    assert (tmp_path / "zebra.sqlite").read_bytes() == b"of another program"
    assert numbers(tmp_path) == [1]


async def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / TODAY)) as connection:
        connection.execute("CREATE TABLE documents (something TEXT)")
    with pytest.raises(UsageError, match="not a database of mailingest"):
        async with opened(tmp_path):
            pass


async def test_a_directory_that_may_not_be_written_is_refused_at_start() -> None:
    with public_directory() as directory:
        directory.chmod(0o555)
        with unprivileged(), pytest.raises(UsageError, match="nobody may not write to it"):
            async with opened(directory):
                pass


@given(
    batches=st.lists(
        st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["2026.11.24", "2026.11.25"]))),
        max_size=5,
    )
)
async def test_stored_and_duplicates_add_up_whatever_is_repeated(
    batches: list[list[tuple[int, str]]],
) -> None:
    known: set[tuple[int, str]] = set()
    with tempfile.TemporaryDirectory() as directory:
        async with opened(Path(directory)) as writer:
            for batch in batches:
                documents: list[Document] = [document(number, day=day) for number, day in batch]
                result = await writer.write(documents)
                new = set(batch) - known
                assert result.stored == len(batch)
                assert result.duplicates == len(batch) - len(new)
                known |= new
        assert len(numbers(Path(directory))) == len(known)
