"""Whatever a question is looked up by, it has the answers that reading everything has."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.generate import generate
from mailingest.postfix.names import CLIENT_IP, RECIPIENT, RELAY, SASL_USERNAME, SENDER
from mailingest.stores.criteria import Criteria, address_term, text_term
from mailingest.stores.events import StoredEvent
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.trace.criteria import meets
from mailingest.trace.engine import trace
from mailingest.trace.story import Story, Verdict
from tests.support.logs import documents_of
from tests.support.stores import sqlite_reader

# With the filters, aliases and hosts of the benchmarks' site; few enough sessions for some hours.
LINES, RATE = 1500, 0.02


class Everything(NamedTuple):
    """A store, what is in it, and its answers to no question."""

    reader: SqliteReader
    events: list[StoredEvent]
    stories: list[Story]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Everything:
    lines = generate(LINES, 7, style="iso", start="2026-11-24T18:00:00+00:00", rate=RATE)
    documents = documents_of(line.rstrip(b"\n") for line in lines)

    async def fill() -> Everything:
        reader = await sqlite_reader(tmp_path_factory.mktemp("store"), documents)
        found = await reader.find(Criteria(), 10 * LINES)
        return Everything(reader, found.events, (await trace(reader, Criteria(), limit=0)).stories)

    return asyncio.run(fill())


TERMS = {
    "sender": (SENDER, address_term),
    "recipient": (RECIPIENT, address_term),
    "sasl_user": (SASL_USERNAME, address_term),
    "client": (CLIENT_IP, text_term),
    "relay": (RELAY, text_term),
    "host": ("host", text_term),
    "text": ("message", text_term),
}

IN_NO_INDEX = ("client", "relay", "host", "text")


def _part(name: str, value: str, data: st.DataObject) -> str:
    """A whole value, or a part of it that may be asked for."""
    local, at, domain = value.rpartition("@")
    parts = [value, *([f"@{domain}", f"{local}@", domain] if at else [])]
    return value[5:25] if name == "text" else data.draw(st.sampled_from(parts), label=name)


def _asked(everything: Everything, data: st.DataObject) -> Criteria:
    """A question about a line of a mail that there is, mostly with the mail's verdict."""
    story = data.draw(st.sampled_from(everything.stories), label="mail")
    others = data.draw(st.frozensets(st.sampled_from(get_args(Verdict)), max_size=1))
    verdicts = data.draw(st.sampled_from([frozenset({story.verdict}) | others, others]))
    lines = [event for queue in story.queues for event in queue.events]
    event = data.draw(st.sampled_from(lines or everything.events), label="line")
    names = data.draw(
        st.lists(st.sampled_from(sorted(TERMS)), max_size=2, unique=True)
        | st.sampled_from([[name] for name in IN_NO_INDEX])
    )
    terms: dict[str, Any] = {
        name: make(_part(name, str(event[field]), data))
        for name, (field, make) in TERMS.items()
        if name in names and field in event
    }
    criteria = Criteria(verdicts=verdicts, **terms)
    if story.received_at is not None and data.draw(st.booleans(), label="has a time"):
        hours = data.draw(st.sampled_from([1, 4]))
        until = story.received_at + timedelta(hours=hours)
        criteria = replace(criteria, since=story.received_at, until=until)
    return criteria


def _key(story: Story) -> tuple[object, ...]:
    names = [queue.key for queue in story.queues]
    refusal = story.refusal.event["_id"] if story.refusal is not None else None
    return story.verdict, story.recipient, names, refusal


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_question_has_the_answers_that_meet_it(
    everything: Everything, data: st.DataObject
) -> None:
    limit = data.draw(st.integers(min_value=1, max_value=5), label="limit")
    criteria = _asked(everything, data)
    met = [_key(one) for one in everything.stories if meets(criteria, one)]
    found = asyncio.run(trace(everything.reader, criteria, limit=0))
    assert sorted(map(repr, map(_key, found.stories))) == sorted(map(repr, met))
    newest = asyncio.run(trace(everything.reader, criteria, limit=limit))
    every = [one.received_at for one in found.stories]
    assert [one.received_at for one in newest.stories] == every[-limit:]
    assert newest.is_cut or len(met) <= limit
