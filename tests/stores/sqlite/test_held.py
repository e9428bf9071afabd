"""Mails that are held are looked up by an index, in files of schema 4 and 5, fresh and packed."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mailingest.documents import Document
from mailingest.stores.criteria import Criteria
from mailingest.stores.opening import opened
from mailingest.stores.sqlite.compaction import compact
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.writer import SqliteWriter
from mailingest.trace.engine import TraceResult, trace
from tests.support.earlier import write_fourth
from tests.support.logs import documents_of, lines_of

# Long lines are log lines.
# ruff: noqa: E501

DAY = "mail-2026.11.24.sqlite"
HELD = """
24T03:00:00 mx1 postfix/smtpd[7]: AAAAAAAAA1: client=pc.example.com[192.0.2.7]
24T03:00:01 mx1 postfix/cleanup[8]: AAAAAAAAA1: hold: header Subject: x from pc.example.com[192.0.2.7]; from=<ann@example.com> to=<header@example.net> proto=ESMTP helo=<pc>: why
24T06:45:00 mx1 postfix/smtpd[17]: NOQUEUE: hold: RCPT from pc.example.com[192.0.2.7]: <ann@example.com>: Sender address on hold; from=<ann@example.com> to=<map@example.net> proto=ESMTP helo=<pc>
24T06:45:00 mx1 postfix/smtpd[17]: AAAAAAAAA2: client=pc.example.com[192.0.2.7]
24T06:45:01 mx1 postfix/cleanup[8]: AAAAAAAAA2: message-id=<two@example.com>
24T09:45:00 mx1 postfix/smtpd[27]: AAAAAAAAA3: client=pc.example.com[192.0.2.7]
24T09:45:01 mx1 postfix/cleanup[8]: AAAAAAAAA3: milter-hold: END-OF-MESSAGE from pc.example.com[192.0.2.7]: milter triggers HOLD action; from=<ann@example.com> to=<milter@example.net> proto=ESMTP helo=<pc>
24T12:45:00 mx1 postfix/qmgr[9]: AAAAAAAAA4: from=<ann@example.com>, size=385, nrcpt=1 (queue active)
24T12:45:01 mx1 postfix/qmgr[9]: warning: saving corrupt file "AAAAAAAAA4" from queue "active" to queue "corrupt"
24T15:45:00 mx1 postfix/qmgr[9]: AAAAAAAAA5: from=<ann@example.com>, size=385, nrcpt=1 (queue active)
24T15:45:01 mx1 postfix/postsuper[10]: AAAAAAAAA5: placed on hold
"""
OTHER_HOURS = (5, 8, 11, 14)
# No block is of more than an hour: what is held is in blocks of its own.
OTHERS = "".join(
    f"24T{hour:02}:{minute:02}:00 mx1 postfix/qmgr[9]: 4B{hour:02}{minute:02}0001: from=<ann@example.com>, size=385, nrcpt=1 (queue active)\n"
    f"24T{hour:02}:{minute:02}:01 mx1 postfix/smtpd[7]: NOQUEUE: reject: RCPT from pc.example.com[192.0.2.9]: 550 5.1.1 <bob@example.net>: no; from=<ann@example.com> to=<bob@example.net> proto=ESMTP helo=<pc>\n"
    f"24T{hour:02}:{minute:02}:02 mx1 postfix/smtp[11]: warning: 4B{hour:02}{minute:02}0001: numeric hostname in resource data\n"
    f"24T{hour:02}:{minute:02}:03 mx1 postfix/qmgr[9]: 4B{hour:02}{minute:02}0001: removed\n"
    for hour in OTHER_HOURS
    for minute in range(30)
)
LAST = "24T18:00:00 mx1 postfix/qmgr[9]: 4B99990001: from=<ann@example.com>, size=385, nrcpt=1 (queue active)\n"
EXPECTED = [f"AAAAAAAAA{number}" for number in range(1, 6)]


async def held(directory: Path) -> TraceResult:
    reader = SqliteReader(directory, "mail")
    return await trace(reader, Criteria(verdicts=frozenset({"held"})), limit=0)


def queue_ids(result: TraceResult) -> list[str]:
    assert {story.verdict for story in result.stories} == {"held"}
    return [story.queues[0].key.queue_id for story in result.stories]


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return documents_of(lines_of(HELD + OTHERS + LAST))


async def write(directory: Path, documents: list[Document], version: int, batch: int = 10) -> None:
    if version == 4:
        write_fourth(directory / DAY, documents, batch)
        return
    async with opened(SqliteWriter(directory)) as writer:
        for start in range(0, len(documents), batch):
            await writer.write(documents[start : start + batch])


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("is_packed", [False, True])
async def test_what_is_held_is_found(
    tmp_path: Path, documents: list[Document], version: int, is_packed: bool
) -> None:
    await write(tmp_path, documents, version)
    assert version_of(tmp_path / DAY) == version
    if is_packed:
        compact(tmp_path / DAY, lambda: None)
    result = await held(tmp_path)
    assert queue_ids(result) == EXPECTED
    assert result.is_whole


@pytest.mark.parametrize("version", [4, 5])
async def test_what_is_written_to_a_day_that_is_there_is_found(
    tmp_path: Path, documents: list[Document], version: int
) -> None:
    await write(tmp_path, documents[5:], version)
    await write(tmp_path, documents[:5], 5)
    assert version_of(tmp_path / DAY) == version
    assert queue_ids(await held(tmp_path)) == EXPECTED


@pytest.mark.parametrize("is_packed", [False, True])
async def test_blocks_without_what_is_held_are_not_read(
    tmp_path: Path, documents: list[Document], is_packed: bool
) -> None:
    await write(tmp_path, documents, 5)
    if is_packed:
        compact(tmp_path / DAY, lambda: None)
    with closing(sqlite3.connect(tmp_path / DAY)) as connection:
        damage = "UPDATE blocks SET body = zeroblob(9) WHERE first / 3600 % 24 = ?"
        for hour in OTHER_HOURS:
            assert connection.execute(damage, [hour]).rowcount
        connection.commit()
    result = await held(tmp_path)
    assert queue_ids(result) == EXPECTED
    assert result.is_whole
