"""Questions end in time, and none is in the way of another user's."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.config import Settings
from mailingest.stores.criteria import Criteria, address_term, text_term
from mailingest.stores.gaps import TIMED_OUT
from mailingest.stores.protocol import CountingReader, Found, Span
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.trace.answer import story_to_json
from mailingest.trace.engine import trace
from mailingest.web.access import Access
from mailingest.web.server import access_of
from mailingest.web.timed_reader import TimedReader, _pieces
from mailingest.web.turns import MOST_AT_ONCE, Busy, Turns
from mailingest.wiring import build_store
from tests.support.lab.polling import PATIENCE
from tests.support.logs import documents_of, lines_of
from tests.support.stores import MakeCountingReader, log_file_reader, sqlite_reader
from tests.web import serving

# Long lines are log lines.
# ruff: noqa: E501

D = "delay=1, delays=0/0/0/1"
LOG = "\n".join(
    f"""
{day}T10:00:00 mx1 postfix/smtpd: AAAAAA{day}: client=pc.example.com[192.0.2.7]
{day}T10:00:01 mx1 postfix/qmgr: AAAAAA{day}: from=<ann@example.com>, size=500, nrcpt=1 (queue active)
{day}T10:00:02 mx1 postfix/smtp: AAAAAA{day}: to=<bob@example.net>, relay=mx.example.net[198.51.100.9]:25, {D}, dsn=2.0.0, status=sent (250 Ok)
{day}T10:00:03 mx1 postfix/qmgr: AAAAAA{day}: removed"""
    for day in range(10, 25)
)


class Held(SqliteReader):
    """A real store that finds nothing more once it is held, until it is asked to stop."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "mail")
        self.holds = ""
        self.held = 0

    async def find(self, criteria: Criteria, limit: int) -> Found:
        found = await super().find(criteria, limit)
        await self._wait_at("find")
        return found

    async def of_mails(self, *arguments: object) -> Found:
        await self._wait_at("of_mails")
        return await super().of_mails(*arguments)  # type: ignore[arg-type]

    async def span(self) -> Span | None:
        await self._wait_at("span")
        return await super().span()

    async def _wait_at(self, step: str) -> None:
        if step == self.holds:
            self.held += 1
            try:
                await asyncio.Event().wait()
            finally:
                self.held -= 1


@pytest.fixture
async def store(tmp_path: Path) -> Held:
    await sqlite_reader(tmp_path, documents_of(lines_of(LOG)))
    return Held(tmp_path)


def user(name: str) -> dict[str, str]:
    return {"X-Remote-User": name}


def access(seconds: float) -> Access:
    return Access(
        proxy_header="X-Remote-User",
        proxies=frozenset({"127.0.0.1"}),
        questions_a_minute=1000,
        question_seconds=seconds,
    )


# Half of the time is for finding, which a busy machine needs for what takes milliseconds elsewhere.
@pytest.mark.parametrize(
    ("holds", "seconds", "mails"), [("span", 0.2, 0), ("find", 0.2, 0), ("of_mails", 8.0, 1)]
)
async def test_an_answer_that_is_not_whole_says_so(
    store: Held, holds: str, seconds: float, mails: int
) -> None:
    store.holds = holds
    path = "?from=ann@example.com"
    async for page in serving.served(store, access(seconds)):
        answers = await asyncio.gather(
            page.get(f"search.json{path}", headers=user("ann")),
            page.get(f"{path}&lang=en", headers=user("bob")),
            page.get(f"{path}&lang=de", headers=user("carla")),
        )
        assert [status for status, _ in answers] == [200 if mails else 504] * 3
        found = json.loads(answers[0][1])
        assert found["whole"] is False
        assert [one["code"] for one in found["why"]] == ["timed_out"]
        assert len(found["mails"]) == mails
        assert "took too long" in answers[1][1]
        assert "dauerte zu lange" in answers[2][1]
        assert "No such mail" not in answers[1][1]
        assert store.held == 0


async def test_an_overview_that_takes_too_long_says_so(store: Held) -> None:
    store.holds = "span"
    async for page in serving.served(store, access(0.2)):
        status, html = await page.get("overview?lang=en", headers=user("ann"))
        # There may be logs of that time, and nothing was counted.
        assert (status, "took too long" in html) == (504, True)
        assert "Nothing of that time is counted" not in html


async def test_an_answer_in_time_is_whole(store: Held) -> None:
    async for page in serving.served(store, access(PATIENCE)):
        async with page.session.get(
            page.url + "search.json?from=ann@example.com", headers=user("ann")
        ) as response:
            found = await response.json()
        assert (found["whole"], found["why"]) == (True, [])
        assert len(found["mails"]) == 15


async def until_held(store: Held, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while store.held != count:
            await asyncio.sleep(0.01)


async def test_nobody_waits_for_another_user(store: Held) -> None:
    store.holds = "find"
    async for page in serving.served(store, access(PATIENCE)):
        slow = [
            asyncio.create_task(page.get("?to=bob@example.net", headers=user("ann")))
            for _ in range(3)
        ]
        await until_held(store, 1)
        store.holds = ""
        status, html = await page.get("?to=bob@example.net", headers=user("carla"))
        assert (status, "Handed over" in html) == (200, True)
        assert (await page.get("", headers=user("ann")))[0] == 200, "the form asks nothing"
        assert store.held == 1, "one question of a user at a time"
        assert not any(one.done() for one in slow)
        for one in slow:
            one.cancel()
        await asyncio.wait(slow)
        await until_held(store, 0)


async def test_who_goes_away_can_ask_again(store: Held) -> None:
    store.holds = "find"
    async for page in serving.served(store, access(PATIENCE)):
        asked = asyncio.create_task(page.get("?to=bob@example.net", headers=user("ann")))
        await until_held(store, 1)
        store.holds = ""
        asked.cancel()
        status, html = await page.get("?to=bob@example.net", headers=user("ann"))
        assert (status, "Handed over" in html) == (200, True)


async def test_a_user_s_questions_wait_for_a_time_and_in_a_short_queue(store: Held) -> None:
    store.holds = "find"
    async for page in serving.served(store, access(3.0)):
        answers = await asyncio.gather(
            *(page.get("search.json?to=bob@example.net", headers=user("ann")) for _ in range(20))
        )
        statuses = [status for status, _ in answers]
        assert set(statuses) == {504, 503}
        assert statuses.count(503) >= 11
        assert any("Other questions are still being answered" in html for _, html in answers)


async def test_turns_are_remembered_only_while_somebody_asks() -> None:
    turns = Turns(0.01)
    async with turns.turn("ann"):
        with pytest.raises(Busy):
            async with turns.turn("ann"):
                pass
        async with turns.turn("bob"):
            assert len(turns._locks) == 2
    assert turns._locks == {}


async def test_so_many_users_ask_at_the_same_time() -> None:
    turns = Turns(PATIENCE)
    let_go = asyncio.Event()

    async def ask(name: str) -> None:
        async with turns.turn(name):
            await let_go.wait()

    tasks = [asyncio.create_task(ask(str(number))) for number in range(MOST_AT_ONCE)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await ask("one more")
    let_go.set()
    await asyncio.gather(*tasks)
    await ask("one more")


QUESTIONS = [
    Criteria(),
    Criteria(sender=address_term("ann@example.com")),
    Criteria(sender=address_term("ann")),
    Criteria(text=text_term("status=sent")),
    Criteria(text=text_term("status=sent"), since=datetime(2026, 11, 12, tzinfo=UTC)),
    Criteria(text=text_term("removed"), until=datetime(2026, 11, 12, 12, tzinfo=UTC)),
    Criteria(queue_id="AAAAAA17"),
    Criteria(recipient=address_term("bob@example.net"), text=text_term("status=sent")),
    Criteria(until=datetime(2026, 10, 1, tzinfo=UTC)),
]


async def test_what_is_found_piece_by_piece_is_what_is_found_at_once(
    make_counting_reader: MakeCountingReader,
) -> None:
    reader = await make_counting_reader(LOG)
    for criteria in QUESTIONS:
        for limit in (1, 4, 7, 1000):
            timed = TimedReader(reader, PATIENCE)
            assert await timed.span() == await reader.span()
            assert await timed.find(criteria, limit) == await reader.find(criteria, limit)
        whole = await trace(reader, criteria)
        in_time = await trace(TimedReader(reader, PATIENCE), criteria)
        assert list(map(story_to_json, in_time.stories)) == list(map(story_to_json, whole.stories))
        assert (in_time.why, in_time.is_cut) == (whole.why, whole.is_cut)


async def test_without_time_every_store_says_so(make_counting_reader: MakeCountingReader) -> None:
    reader = await make_counting_reader(LOG)
    result = await trace(TimedReader(reader, 0.0), Criteria(text=text_term("removed")))
    assert (result.stories, result.why) == ([], [TIMED_OUT])
    whole = await trace(TimedReader(reader, PATIENCE), Criteria(text=text_term("removed")))
    assert len(whole.stories) == 15


async def test_log_files_are_left_in_time_too(tmp_path: Path) -> None:
    files = log_file_reader(tmp_path / "mail.log", lines_of(LOG))
    criteria = Criteria(text=text_term("removed"))
    for seconds, count in ((0.0, 0), (PATIENCE, 15)):
        timed = TimedReader(cast(CountingReader, files), seconds)
        result = await trace(timed, criteria)
        assert (len(result.stories), result.is_whole) == (count, bool(count))
    await files.close()


async def test_a_server_that_never_answers_is_not_waited_for() -> None:
    connections: list[asyncio.StreamWriter] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = Settings.model_validate({"elasticsearch": {"hosts": [f"http://127.0.0.1:{port}"]}})
    reader: CountingReader = build_store(settings).reader()
    try:
        async for page in serving.served(reader, access(0.3)):
            status, html = await page.get("?to=bob", headers=user("ann"))
            assert (status, "took too long" in html) == (504, True)
        assert connections
    finally:
        for one in connections:
            one.close()
        server.close()


@given(
    st.integers(0, 400),
    st.none() | st.integers(-50, 500),
    st.none() | st.integers(-50, 500),
)
def test_the_pieces_of_a_time_are_all_of_it(
    hours: int, since: int | None, until: int | None
) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    first, last = (
        start + timedelta(hours=one) if one is not None else None for one in (since, until)
    )
    criteria = Criteria(since=first, until=last)
    pieces = list(_pieces(Span(start, start + timedelta(hours=hours)), criteria))
    assert (pieces[0][1], pieces[-1][0]) == (last, first)
    for later, earlier in pairwise(pieces):
        assert later[0] == earlier[1]
        assert later[0] is not None
    assert len(pieces) <= 6


def test_the_time_is_a_setting() -> None:
    assert (
        access_of(Settings.model_validate({"web": {"question_seconds": 5}})).question_seconds == 5
    )
    with pytest.raises(ValueError, match="question_seconds"):
        Settings.model_validate({"web": {"question_seconds": 0}})
