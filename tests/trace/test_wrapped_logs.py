"""A log of a real Postfix gives the same answers, whatever other systems put around its lines."""

import asyncio
import gzip
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mailingest.inputs.files import LogFile
from mailingest.stores.criteria import Criteria
from mailingest.stores.logfiles.reader import LogFilesReader
from mailingest.trace.answer import story_to_json
from mailingest.trace.engine import trace
from mailingest.wiring import line_reading
from tests.support.logs import SETTINGS
from tests.support.wrapping import WRAPPINGS, Wrapping

SCENARIOS = Path(__file__).parents[1] / "data" / "scenarios"
YEAR = 2026
WRITTEN = datetime(YEAR, 11, 24, 16, tzinfo=UTC).timestamp()

Row = dict[str, Any]


@cache
def lines(name: str = "mail.log.gz") -> tuple[str, ...]:
    return tuple(gzip.decompress((SCENARIOS / name).read_bytes()).decode().splitlines())


async def rows(path: Path, text: Iterable[str]) -> list[Row]:
    """All answers of a file, in an order that does not depend on equal times."""
    path.write_text("".join(f"{line}\n" for line in text), newline="\n")
    os.utime(path, (WRITTEN, WRITTEN))
    reader = LogFilesReader([LogFile(path)], line_reading(SETTINGS))
    found = await trace(reader, Criteria(), limit=0)
    assert found.is_whole
    return sorted(map(story_to_json, found.stories), key=repr)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    return asyncio.run(_plain(tmp_path_factory))


async def _plain(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    return await rows(tmp_path_factory.mktemp("plain") / "mail.log", lines())


@pytest.mark.parametrize("wrapping", WRAPPINGS, ids=lambda wrapping: wrapping.__name__)
async def test_the_answers_are_those_of_the_plain_log(
    wrapping: Wrapping, plain: list[Row], tmp_path: Path
) -> None:
    wrapped = await rows(tmp_path / "mail.log", (wrapping(line, YEAR) for line in lines()))
    assert len(plain) > 300
    assert wrapped == plain


async def test_tags_that_rsyslog_cuts_at_the_slash_change_no_answer(
    plain: list[Row], tmp_path: Path
) -> None:
    """True RFC 5424 of the same mails, forwarded without parser.permitSlashInProgramName."""

    def facts(row: Row) -> Any:
        names = ("recipient", "sender", "message_id", "client", "relay", "relay_ip", "dsn", "reply")
        chain = tuple(link["queue_id"] for link in row["chain"])
        return (chain, *(row[name] for name in (*names, "remote_queue_id", "attempts", "size")))

    cut = await rows(tmp_path / "mail.log", lines("mail.rfc5424.log.gz"))
    expected = sorted(plain, key=lambda row: repr(facts(row)))
    found = sorted(cut, key=lambda row: repr(facts(row)))
    assert [facts(row) for row in found] == [facts(row) for row in expected]
    pairs = list(zip(expected, found, strict=True))
    others = [
        (old["verdict"], new["verdict"]) for old, new in pairs if old["verdict"] != new["verdict"]
    ]
    # postsuper's `removed` is that of qmgr.
    assert others == [("deleted", "unknown")]
