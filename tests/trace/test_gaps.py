"""What an answer lacks is told with it: a store that goes away meanwhile, and limits."""

import asyncio
import json
from contextlib import redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from mailingest.commands import trace as module
from mailingest.errors import StoreUnavailable
from mailingest.stores.criteria import Criteria, address_term
from mailingest.stores.gaps import Gap, summed, wholeness
from mailingest.stores.protocol import Found
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.trace.engine import trace
from mailingest.trace.questions import Question
from mailingest.trace.windows import trace_all
from tests.support.logs import SETTINGS, documents_of, lines_of
from tests.support.stores import sqlite_reader

# Long lines are log lines.
# ruff: noqa: E501

LOG = "\n".join(
    f"""
{day}T10:00:01 mx1 postfix/qmgr: AAAAAA{day}: from=<ann@example.com>, size=500, nrcpt=1 (queue active)
{day}T10:00:02 mx1 postfix/smtp: AAAAAA{day}: to=<bob@example.net>, relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 Ok)
{day}T10:00:03 mx1 postfix/qmgr: AAAAAA{day}: removed"""
    for day in range(10, 20)
)
BOB = Criteria(recipient=address_term("bob@example.net"))
NOBODY = Criteria(recipient=address_term("nobody@example.net"))


class Leaving(SqliteReader):
    """A real store that answers so many calls of each kind, and is away then."""

    left: dict[str, int]

    async def find(self, criteria: Criteria, limit: int) -> Found:
        self._count("find")
        return await super().find(criteria, limit)

    async def of_mails(self, *arguments: object) -> Found:
        self._count("of_mails")
        return await super().of_mails(*arguments)  # type: ignore[arg-type]

    async def unmatched(self, criteria: Criteria, limit: int) -> Found:
        self._count("unmatched")
        return await super().unmatched(criteria, limit)

    def _count(self, name: str) -> None:
        if name in self.left:
            self.left[name] -= 1
            if self.left[name] < 0:
                raise StoreUnavailable("10.0.0.1 is away")


@pytest.fixture
async def store(tmp_path: Path) -> Leaving:
    await sqlite_reader(tmp_path, documents_of(lines_of(LOG)))
    made = Leaving(tmp_path, "mail")
    made.left = {}
    return made


async def test_what_was_found_before_the_store_went_away_is_told(store: Leaving) -> None:
    store.left = {"of_mails": 0}
    result = await trace(store, BOB)
    assert len(result.stories) == 10
    [gap] = result.why
    assert gap.code == "store_unavailable"
    assert "10.0.0.1 is away" in gap.text


async def test_no_such_mail_is_not_said_if_the_store_went_away(store: Leaving) -> None:
    store.left = {"unmatched": 0}
    result = await trace(store, NOBODY)
    assert (result.stories, [gap.code for gap in result.why]) == ([], ["store_unavailable"])


async def test_a_store_that_gives_nothing_at_all_is_unavailable(store: Leaving) -> None:
    store.left = {"find": 0}
    with pytest.raises(StoreUnavailable):
        await trace(store, BOB)
    with pytest.raises(StoreUnavailable):
        [result async for result in trace_all(store, BOB)]


async def test_all_mails_are_told_as_far_as_the_store_gives_them(store: Leaving) -> None:
    store.left = {"find": 4}
    results = [result async for result in trace_all(store, BOB)]
    assert sum(len(result.stories) for result in results) > 0
    assert [gap.code for gap in results[-1].why] == ["store_unavailable"]
    assert all(result.is_whole for result in results[:-1])


async def test_the_limit_is_told_apart_from_too_many_lines(store: Leaving) -> None:
    assert [gap.code for gap in (await trace(store, BOB, limit=3)).why] == ["limit"]
    assert (await trace(store, BOB, limit=10)).is_whole
    result = await trace(store, BOB, limit=9, most_events=5)
    assert [gap.code for gap in result.why] == ["too_many_lines"]


def test_of_many_gaps_of_one_kind_some_are_named() -> None:
    days = [Gap("day_unreadable", f"day {number}") for number in range(300)]
    late = Gap("timed_out", "late")
    shown = summed([*days, late])
    assert [gap.text for gap in shown] == [
        *(f"day {number}" for number in range(5)),
        "and 295 more of this kind",
        "late",
    ]
    assert wholeness([]) == {"whole": True, "why": []}
    assert wholeness([late]) == {"whole": False, "why": [{"code": "timed_out", "text": "late"}]}


def test_what_is_known_only_after_the_first_mails_is_an_object_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Leaving(tmp_path, "mail")
    store.left = {"find": 4}
    asyncio.run(_fill(tmp_path))
    monkeypatch.setattr(module, "build_reader", lambda *_, **__: store)
    out = TextIOWrapper(BytesIO())
    with redirect_stdout(out):
        options = module.Options(limit=0, form="json")
        code = module.run(SETTINGS, Question(recipient="bob@example.net"), options)
    assert code == module.EXIT_NOT_WHOLE
    out.seek(0)
    *rows, last = map(json.loads, out)
    assert rows
    assert all((row["verdict"], row["whole"]) == ("handed_over", True) for row in rows)
    assert (last["verdict"], last["whole"]) == (None, False)
    assert [why["code"] for why in last["why"]] == ["store_unavailable"]


async def _fill(directory: Path) -> None:
    await sqlite_reader(directory, documents_of(lines_of(LOG)))
