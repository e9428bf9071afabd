"""Days that are packed again: nothing is lost, whoever reads or writes meanwhile, and what dies."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from mailingest.documents import Document
from mailingest.errors import StoreUnavailable
from mailingest.stores.criteria import Criteria, address_term
from mailingest.stores.sqlite import background
from mailingest.stores.sqlite.background import Packer
from mailingest.stores.sqlite.compaction import compact, is_worth_while
from mailingest.stores.sqlite.contents import contents
from mailingest.stores.sqlite.files import open_for_reading
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.store import SqliteStore
from mailingest.stores.sqlite.writer import SqliteWriter
from tests.support.documents import MIDNIGHT, document
from tests.support.earlier import write_earlier
from tests.support.lab.polling import PATIENCE

DAY = "mail-2026.11.24.sqlite"


def mail(number: int) -> Document:
    time = datetime.fromtimestamp(MIDNIGHT + number, UTC)
    return document(
        number,
        **{"@timestamp": f"{time:%Y-%m-%dT%H:%M:%S}.000Z"},
        postfix_queueid=f"4aBcD{number // 5}",
        postfix_to=f"user{number % 50}@example.net",
        message=f"line {number}",
        program_kind="postfix",
        outcome="bounced" if number % 100 == 0 else "sent",
    )


async def write(directory: Path, documents: list[Document], size: int = 5) -> int:
    """Write them in small batches; how many were new."""
    writer = SqliteWriter(directory)
    await writer.open()
    new = 0
    try:
        for start in range(0, len(documents), size):
            result = await writer.write(documents[start : start + size])
            new += result.stored - result.duplicates
    finally:
        await writer.close()
    return new


def stored(path: Path) -> list[tuple[str, int, bytes]]:
    connection = open_for_reading(path)
    assert connection is not None
    with closing(connection):
        return [(one.document_id, one.second, one.line) for one in contents(connection)]


def expected(documents: list[Document]) -> list[tuple[str, int, bytes]]:
    return [(one.id, one.seconds, one.body) for one in documents]


def is_sound(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        [said] = connection.execute("PRAGMA integrity_check").fetchone()
    return bool(said == "ok")


def no_step() -> None:
    """Nothing happens between two transactions."""


async def answers(directory: Path) -> list[list[int]]:
    """What several questions find."""
    reader = SqliteReader(directory, "mail")
    found = [
        await reader.of_mails(["4aBcD7"], [], None, None, 100),
        await reader.find(Criteria(recipient=address_term("user7@example.net")), 50),
        await reader.find(Criteria(recipient=address_term("ser7")), 50),
        await reader.find(Criteria(recipient=address_term("@example.net")), 50),
        await reader.find(Criteria(), 50),
    ]
    assert not any(one.gaps for one in found)
    return [[event["number"] for event in one.events] for one in found]


async def test_a_day_of_small_batches_is_packed_and_answers_as_before(tmp_path: Path) -> None:
    documents = [mail(number) for number in range(1500)]
    await write(tmp_path, documents)
    before = await answers(tmp_path)
    assert all(before)
    assert is_worth_while(tmp_path / DAY)
    result = compact(tmp_path / DAY, no_step)
    assert result.after < result.before
    assert not is_worth_while(tmp_path / DAY)
    assert stored(tmp_path / DAY) == expected(documents)
    assert await answers(tmp_path) == before
    assert is_sound(tmp_path / DAY)


@pytest.mark.parametrize("version", [1, 2, 3])
async def test_a_day_of_an_earlier_version_is_read_written_to_and_packed(
    tmp_path: Path, version: int
) -> None:
    documents = [mail(number) for number in range(1200)]
    write_earlier(tmp_path / DAY, documents[:1000], version)
    counted = stored(tmp_path / DAY)
    assert counted == expected(documents[:1000])
    assert (await answers(tmp_path))[4] == list(range(999, 949, -1))
    assert await write(tmp_path, documents, size=100) == 200
    before = await answers(tmp_path)
    assert before[4] == list(range(1199, 1149, -1))
    compact(tmp_path / DAY, no_step)
    assert stored(tmp_path / DAY) == expected(documents)
    assert await answers(tmp_path) == before
    assert await write(tmp_path, documents) == 0
    assert is_sound(tmp_path / DAY)


async def test_who_reads_and_writes_meanwhile_notices_nothing(tmp_path: Path) -> None:
    documents = [mail(number) for number in range(1500)]
    await write(tmp_path, documents)
    before = await answers(tmp_path)
    late = iter([mail(number) for number in range(2010, 2050)])
    connection = open_for_reading(tmp_path / DAY)
    assert connection is not None
    seen: Iterator[object] = contents(connection)
    first = next(seen)
    written: list[Document] = []

    def step() -> None:
        assert asyncio.run(answers(tmp_path))[:2] == before[:2]
        one = next(late)
        assert asyncio.run(write(tmp_path, [one])) == 1
        written.append(one)

    await asyncio.to_thread(compact, tmp_path / DAY, step)
    assert written
    assert stored(tmp_path / DAY) == expected(documents + written)
    # A question that began before has what there was then.
    assert len([first, *seen]) == len(documents)
    connection.close()
    assert await write(tmp_path, documents) == 0


KILLED = """if True:
    import os, pathlib, signal, sys
    from mailingest.stores.sqlite.compaction import compact

    left = int(sys.argv[2])

    def step():
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    compact(pathlib.Path(sys.argv[1]), step)
"""


async def test_the_death_of_the_process_loses_nothing(tmp_path: Path) -> None:
    documents = [mail(number) for number in range(3000)]
    write_earlier(tmp_path / DAY, documents[:2500], 3)
    await write(tmp_path, documents[2500:], size=10)
    for steps in (1, 1, 1):
        died = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path / DAY), str(steps)], timeout=PATIENCE
        )
        assert died.returncode == -signal.SIGKILL
        assert stored(tmp_path / DAY) == expected(documents)
        assert is_sound(tmp_path / DAY)
    compact(tmp_path / DAY, no_step)
    assert stored(tmp_path / DAY) == expected(documents)
    assert await write(tmp_path, documents, size=500) == 0


async def test_what_is_forgotten_is_nowhere_in_the_file(tmp_path: Path) -> None:
    documents = [mail(number) for number in range(1500)]
    await write(tmp_path, documents)
    result = compact(tmp_path / DAY, no_step, "USER7@example.net")
    kept = [one for one in documents if one.fields["postfix_to"] != "user7@example.net"]
    assert result.left_out == 30
    assert stored(tmp_path / DAY) == expected(kept)
    assert all(b"user7@example.net" not in path.read_bytes() for path in tmp_path.iterdir())
    assert (await answers(tmp_path))[1] == []


async def test_the_daemon_packs_days_that_are_over_and_quiet(tmp_path: Path) -> None:
    await write(tmp_path, [mail(number) for number in range(1500)])
    size = (tmp_path / DAY).stat().st_size
    packer = Packer(tmp_path, ["mail"])
    packer.run(date(2026, 11, 24), MIDNIGHT * 2)  # the day is not over
    packer.run(date(2026, 11, 25), os.stat(tmp_path / DAY).st_mtime + 60)  # nor quiet
    assert is_worth_while(tmp_path / DAY)
    packer.run(date(2026, 11, 25), MIDNIGHT * 2)
    assert (tmp_path / DAY).stat().st_size < size
    assert not is_worth_while(tmp_path / DAY)


async def test_packing_ends_with_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(tmp_path, [mail(number) for number in range(1500)])
    os.utime(tmp_path / DAY, (MIDNIGHT, MIDNIGHT))
    monkeypatch.setattr(background, "_START", "import time; print(flush=True); time.sleep(600)")
    working = asyncio.create_task(SqliteStore(tmp_path, ["mail"]).keep_house())
    await asyncio.sleep(0.5)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(working, PATIENCE)


# Damage


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE dictionaries SET dictionary = zeroblob(length(dictionary))",
        "DELETE FROM dictionaries",
        "UPDATE blocks SET body = substr(body, 1, length(body) - 9) || zeroblob(9)",
        "UPDATE blocks SET body = x'28b52ffd' || zeroblob(20)",
        "UPDATE blocks SET ids = substr(ids, 14)",
    ],
)
async def test_damaged_contents_are_told_by_every_question(tmp_path: Path, damage: str) -> None:
    await write(tmp_path, [mail(number) for number in range(100)], size=20)
    with closing(sqlite3.connect(tmp_path / DAY)) as connection:
        connection.execute(damage)
        connection.commit()
    reader = SqliteReader(tmp_path, "mail")
    for criteria in (
        Criteria(recipient=address_term("user7@example.net")),
        Criteria(queue_id="4aBcD7"),
        Criteria(),
    ):
        found = await reader.find(criteria, 10)
        assert [gap.code for gap in found.gaps] == ["day_unreadable"]
    with pytest.raises(StoreUnavailable):
        list(SqliteStore(tmp_path, ["mail"]).export(None, None))


async def test_a_writer_sets_a_day_aside_whose_dictionary_is_damaged(tmp_path: Path) -> None:
    await write(tmp_path, [mail(1)])
    with closing(sqlite3.connect(tmp_path / DAY)) as connection:
        connection.execute("UPDATE dictionaries SET dictionary = zeroblob(100)")
        connection.commit()
    with pytest.raises(StoreUnavailable, match="was damaged, set aside"):
        await write(tmp_path, [mail(2)])
    assert await write(tmp_path, [mail(2)]) == 1
    found = await SqliteReader(tmp_path, "mail").find(Criteria(), 10)
    assert [event["number"] for event in found.events] == [2]
    assert [gap.code for gap in found.gaps] == ["day_unreadable"]


async def test_a_block_that_claims_to_be_huge_is_not_unpacked(tmp_path: Path) -> None:
    await write(tmp_path, [mail(1)])
    # A frame without dictionary, of one segment, with a content size of 8 bytes: 1 TB.
    bomb = bytes.fromhex("28b52ffd e0") + (1 << 40).to_bytes(8, "little") + bytes(8)
    with closing(sqlite3.connect(tmp_path / DAY)) as connection:
        connection.execute("UPDATE blocks SET body = ?", [bomb])
        connection.commit()
    found = await SqliteReader(tmp_path, "mail").find(Criteria(), 10)
    [gap] = found.gaps
    assert "claims to be of 1099511627776 bytes" in gap.text
