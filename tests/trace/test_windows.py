"""All mails of a real log, span by span, are those that are told at once."""

import asyncio
import gzip
from collections import Counter
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import datetime
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import get_args

import orjson
import pytest

from benchmarks.recipients import mail_of
from mailingest.commands.trace import EXIT_FOUND, Options
from mailingest.commands.trace import run as run_trace
from mailingest.config import Settings
from mailingest.config.sections import State, Syslog
from mailingest.stores.criteria import Criteria, address_term
from mailingest.stores.opening import opened
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.writer import SqliteWriter
from mailingest.trace import collected, windows
from mailingest.trace.answer import story_to_json
from mailingest.trace.engine import trace
from mailingest.trace.facts import Facts
from mailingest.trace.questions import Question
from mailingest.trace.stories import build_stories
from mailingest.trace.story import Story, Verdict
from mailingest.trace.windows import trace_all
from tests.support.lab import TIMEZONE
from tests.support.logs import documents_of

_LOG = Path(__file__).parents[1] / "data" / "scenarios" / "mail.log.gz"
# The log has some four thousand.
_EVENTS = 400
_RECIPIENTS = 400

QUESTIONS = [
    Criteria(),
    Criteria(recipient=address_term("@example.net")),
    # Only qmgr's lines and deliveries name a sender, some time after the first line.
    Criteria(sender=address_term("sender@example.net")),
    Criteria(verdicts=frozenset({"bounced", "rejected"})),
]


@pytest.fixture(scope="module")
def log() -> bytes:
    return gzip.decompress(_LOG.read_bytes())


@pytest.fixture(scope="module")
def store(log: bytes, tmp_path_factory: pytest.TempPathFactory) -> SqliteReader:
    directory = tmp_path_factory.mktemp("store")
    asyncio.run(_store(directory, log))
    return SqliteReader(directory, "mail")


async def _store(directory: Path, log: bytes) -> None:
    async with opened(SqliteWriter(directory)) as writer:
        await writer.write(list(documents_of(log.splitlines())))


# With the smaller number, every mail is one whose lines are passed over once it is told.
@pytest.mark.parametrize("large", [windows.LARGE, 1])
@pytest.mark.parametrize("criteria", QUESTIONS)
async def test_no_mail_is_missing_and_none_comes_twice(
    store: SqliteReader, criteria: Criteria, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LARGE", large)
    whole = await trace(store, criteria, limit=0)
    assert whole.stories
    assert not whole.is_full
    results = [result async for result in trace_all(store, criteria, events=_EVENTS)]
    assert not any(result.is_cut for result in results)
    answer = _without_history if criteria.verdicts else _answer
    told = Counter(answer(story) for result in results for story in result.stories)
    assert told == Counter(map(answer, whole.stories))


@pytest.mark.parametrize("verdict", get_args(Verdict))
async def test_a_verdict_finds_all_of_its_mails(store: SqliteReader, verdict: Verdict) -> None:
    whole = await trace(store, Criteria(), limit=0)
    asked = await trace(store, Criteria(verdicts=frozenset({verdict})), limit=0)
    told = Counter(map(_without_history, asked.stories))
    assert told == Counter(_without_history(one) for one in whole.stories if one.verdict == verdict)


def _without_history(story: Story) -> bytes:
    """The answer without refusals in earlier sessions: no line of theirs has the verdict."""
    return _answer(replace(story, refused_before=()))


def _answer(story: Story) -> bytes:
    return orjson.dumps(story_to_json(story))


async def test_a_mail_that_is_larger_than_a_span_does_not_make_spans_ever_shorter(
    tmp_path: Path,
) -> None:
    lines = [_deferred(tries, recipient) for tries in range(100) for recipient in range(3)]
    await _store(tmp_path, "\n".join(lines).encode())
    store = SqliteReader(tmp_path, "mail")
    whole = await trace(store, Criteria(), limit=0)
    assert [story.verdict for story in whole.stories] == ["pending"] * 3
    results = [result async for result in trace_all(store, Criteria(), events=100)]
    # It is spread over 100 minutes: spans of a second, which hold it each time, would be 6,000.
    assert len(results) < 100
    assert not any(result.is_cut for result in results)
    told = Counter(_answer(story) for result in results for story in result.stories)
    assert told == Counter(map(_answer, whole.stories))


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many stories were built each time."""
    numbers: list[int] = []

    def counted(facts: Facts, *, until: datetime | None) -> list[Story]:
        stories = build_stories(facts, until=until)
        numbers.append(len(stories))
        return stories

    monkeypatch.setattr(collected, "build_stories", counted)
    return numbers


async def test_a_large_mail_is_built_once(tmp_path: Path, built: list[int]) -> None:
    # Its rounds are spread over 80 minutes, and its first one does not fit into a span.
    await _store(tmp_path, b"\n".join(mail_of(_RECIPIENTS)))
    store = SqliteReader(tmp_path, "mail")
    whole = await trace(store, Criteria(), limit=0)
    built.clear()
    results = [result async for result in trace_all(store, Criteria(), events=_EVENTS)]
    assert len(built) > 1
    assert sum(built) == len(whole.stories) >= _RECIPIENTS
    told = Counter(_answer(story) for result in results for story in result.stories)
    assert told == Counter(map(_answer, whole.stories))


async def test_a_span_that_leads_to_too_many_lines_builds_nothing(
    tmp_path: Path, built: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # 15 minutes have 45 lines, which are not a few of 80, and lead to 300.
    lines = [_deferred(tries, recipient) for tries in range(100) for recipient in range(3)]
    await _store(tmp_path, "\n".join(lines).encode())
    monkeypatch.setattr(windows, "LARGE", 100)
    results = trace_all(SqliteReader(tmp_path, "mail"), Criteria(), events=80)
    assert [len(result.stories) async for result in results if result.stories] == [3]
    assert sum(built) == 3


def _deferred(tries: int, recipient: int) -> str:
    return (
        f"2026-03-02T{5 + tries // 60:02}:{tries % 60:02}:00.{recipient}+00:00 mx1"
        f" postfix/smtp[7]: 4fXbpG2Zh0z9q2P: to=<user{recipient}@example.net>,"
        f" relay=none, delay={60 * tries + 1}, delays={60 * tries}/0/1/0, dsn=4.4.1,"
        " status=deferred (connect to mx.example.net[192.0.2.1]:25: Connection refused)"
    )


async def test_a_question_for_nothing_has_one_result(store: SqliteReader) -> None:
    criteria = Criteria(recipient=address_term("nobody@nowhere.test"))
    results = [result async for result in trace_all(store, criteria)]
    assert not any(result.stories for result in results)
    assert results[-1].is_whole


def test_all_mails_of_a_file_that_is_too_large_for_memory(
    log: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mail.log"
    path.write_bytes(log)
    monkeypatch.setattr("mailingest.commands.trace.EVENTS", _EVENTS)
    settings = Settings(syslog=Syslog(timezone=TIMEZONE), state=State(directory=tmp_path))
    shown = {}
    for limit in (0, 1_000_000):
        out = TextIOWrapper(BytesIO())
        with redirect_stdout(out):
            options = Options(files=[str(path)], limit=limit, form="json")
            assert run_trace(settings, Question(), options) == EXIT_FOUND
        rows = map(orjson.loads, out.buffer.getvalue().splitlines())
        # Lines that are the same within a second may come in another order.
        shown[limit] = Counter(orjson.dumps({**row, "proof": sorted(row["proof"])}) for row in rows)
    assert shown[0] == shown[1_000_000]


def test_raw_has_all_lines_of_each_mail_once(log: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    path.write_bytes(log)
    settings = Settings(syslog=Syslog(timezone=TIMEZONE), state=State(directory=tmp_path))
    out = TextIOWrapper(BytesIO())
    with redirect_stdout(out):
        options = Options(files=[str(path)], limit=0, form="json", raw=True)
        assert run_trace(settings, Question(), options) == EXIT_FOUND
    rows = [orjson.loads(line) for line in out.buffer.getvalue().splitlines()]
    mails = {(*row["chain"][0].values(), row["received_at"]) for row in rows if row["chain"]}
    firsts = [row for row in rows if row["lines"] is not None]
    assert len(firsts) == len(mails) + sum(not row["chain"] for row in rows)
    lines: list[str] = []
    for row in rows:
        lines = row["lines"] or lines
        assert set(row["proof"]) <= set(lines)
