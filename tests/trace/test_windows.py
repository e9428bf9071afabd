"""All mails of a real log, span by span, are those that are told at once."""

import asyncio
from collections import Counter
from contextlib import redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path

import orjson
import pytest

from mailingest.commands.trace import EXIT_FOUND, Options
from mailingest.commands.trace import run as run_trace
from mailingest.config import Settings
from mailingest.config.sections import State, Syslog
from mailingest.stores.criteria import Criteria, address_term
from mailingest.stores.opening import opened
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.writer import SqliteWriter
from mailingest.trace.answer import story_to_json
from mailingest.trace.engine import trace
from mailingest.trace.questions import Question
from mailingest.trace.windows import trace_all
from tests.support.lab import TIMEZONE
from tests.support.lab.volume import Volume
from tests.support.logs import documents_of

pytest_plugins = ["tests.support.lab.fixture"]
pytestmark = pytest.mark.lab

_LINES = 8000
_EVENTS = 2000

QUESTIONS = [
    Criteria(),
    Criteria(recipient=address_term("@example.net")),
    # Only qmgr's lines and deliveries name a sender, some time after the first line.
    Criteria(sender=address_term("m1@")),
    Criteria(verdicts=frozenset({"bounced", "rejected"})),
]


@pytest.fixture(scope="module")
def store(volume: Volume, tmp_path_factory: pytest.TempPathFactory) -> SqliteReader:
    directory = tmp_path_factory.mktemp("store")
    asyncio.run(_store(directory, volume.log))
    return SqliteReader(directory, "mail")


async def _store(directory: Path, log: bytes) -> None:
    async with opened(SqliteWriter(directory)) as writer:
        await writer.write(list(documents_of(log.splitlines()[:_LINES])))


@pytest.mark.parametrize("criteria", QUESTIONS)
async def test_no_mail_is_missing_and_none_comes_twice(
    store: SqliteReader, criteria: Criteria
) -> None:
    whole = await trace(store, criteria, limit=0)
    assert whole.stories
    assert not whole.is_full
    results = [result async for result in trace_all(store, criteria, events=_EVENTS)]
    assert not any(result.is_cut for result in results)
    told = Counter(
        orjson.dumps(story_to_json(story)) for result in results for story in result.stories
    )
    assert told == Counter(orjson.dumps(story_to_json(story)) for story in whole.stories)


async def test_a_question_for_nothing_has_one_result(store: SqliteReader) -> None:
    criteria = Criteria(recipient=address_term("nobody@nowhere.test"))
    results = [result async for result in trace_all(store, criteria)]
    assert not any(result.stories for result in results)
    assert results[-1].is_certain


def test_all_mails_of_a_file_that_is_too_large_for_memory(
    volume: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "mail.log"
    log.write_bytes(b"\n".join([*volume.log.splitlines()[:_LINES], b""]))
    monkeypatch.setattr("mailingest.commands.trace.EVENTS", _EVENTS)
    settings = Settings(syslog=Syslog(timezone=TIMEZONE), state=State(directory=tmp_path))
    shown = {}
    for limit in (0, 1_000_000):
        out = TextIOWrapper(BytesIO())
        with redirect_stdout(out):
            options = Options(files=[str(log)], limit=limit, form="json")
            assert run_trace(settings, Question(), options) == EXIT_FOUND
        shown[limit] = Counter(out.buffer.getvalue().splitlines())
    assert shown[0] == shown[1_000_000]
