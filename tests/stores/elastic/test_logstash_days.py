"""Days that Logstash made, alone and beside days of this version: found and told like its own."""

import gzip
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import orjson
import pytest

from mailingest.postfix.fields import FIELDS
from mailingest.stores.counts import TimeBuckets
from mailingest.stores.criteria import Criteria, address_term, id_term, text_term
from mailingest.stores.elastic.store import ElasticStore
from mailingest.stores.protocol import CountingReader, Reader
from mailingest.trace.answer import story_to_json
from mailingest.trace.engine import trace
from mailingest.wiring import build_store
from tests.stores.test_counts import DAY, KINDS_OF_LINES
from tests.stores.test_counts import LOG as COUNTED
from tests.stores.test_reading import LOG
from tests.support import client7
from tests.support.elastic import asking
from tests.support.logs import as_stored_before, documents_below, documents_of, lines_of
from tests.support.logstash import Variant, earlier_template, logstash_documents, store_day
from tests.support.servers import SearchServer
from tests.support.stores import elastic_settings, fill, sqlite_reader

_SCENARIOS = Path(__file__).parents[2] / "data" / "scenarios" / "mail.log.gz"
_SCRIPT = Path(__file__).parents[2] / "data" / "search_recipient.py"
_QUESTIONS = 2

QUESTIONS = [
    Criteria(recipient=address_term("bob@mail.example.NET")),
    Criteria(recipient=address_term("robert@example.org")),
    Criteria(recipient=address_term("@mail.example.net")),
    Criteria(recipient=address_term("bob@")),
    Criteria(sender=address_term("ann.smith@example.com")),
    Criteria(sender=address_term("x@evil.example")),
    Criteria(sender=address_term("<>")),
    Criteria(message_id=id_term("ONE.1@example.com")),
    Criteria(queue_id="4bXyK1gQmWz1Bcd"),
    Criteria(queue_id="4BXYK1GQMWZ1BCD"),
    Criteria(queue_id="REMOTE77"),
    Criteria(queue_id="ABCDEF02"),
    Criteria(client=text_term("pc.EXAMPLE")),
    Criteria(client=text_term("192.0.2.6")),
    Criteria(relay=text_term("MX.example.net[198.51")),
    Criteria(text=text_term("ueued as remote7")),
    Criteria(host=text_term("MX2")),
    Criteria(verdicts=frozenset({"rejected"})),
    Criteria(),
]


async def answers(source: Reader, criteria: Criteria) -> list[dict[str, Any]]:
    """The answers to a question, in any order.

    How a connection was encrypted is in a line of its own, which this program joins as it comes.
    """
    result = await trace(source, criteria, limit=0)
    assert not result.is_cut
    told = [{**story_to_json(story), "tls": None} for story in result.stories]
    return sorted(told, key=lambda one: orjson.dumps(one))


async def reader_of_days(
    server: SearchServer, logstash: Sequence[bytes], own: Sequence[bytes], variant: Variant
) -> CountingReader:
    """A reader of a day by Logstash, and of one by this program."""
    settings = elastic_settings(server.url, f"mail-{uuid4().hex[:8]}")
    store = build_store(settings)
    assert isinstance(store, ElasticStore)
    async with asking(server) as client:
        if logstash:
            index = f"{settings.index.prefix}-2026.11.23"
            await store_day(client, index, logstash_documents(logstash, variant))
    if own:
        await fill(store, documents_below(settings.index.prefix, own))
    return store.reader()


@pytest.mark.parametrize("variant", get_args(Variant))
async def test_a_day_by_logstash_has_the_same_answers(
    search_server: SearchServer, tmp_path: Path, variant: Variant
) -> None:
    lines = lines_of(LOG)
    own = await sqlite_reader(tmp_path, documents_of(lines))
    source = await reader_of_days(search_server, lines, [], variant)
    for criteria in QUESTIONS:
        assert await answers(source, criteria) == await answers(own, criteria), criteria
    await source.close()


async def test_a_day_of_an_earlier_version_has_the_same_answers(
    search_server: SearchServer, tmp_path: Path
) -> None:
    """Its mapping, and documents with and without what this version computes."""
    lines = lines_of(LOG)
    documents = documents_of(lines)
    own = await sqlite_reader(tmp_path, documents)
    settings = elastic_settings(search_server.url, f"mail-{uuid4().hex[:8]}")
    bodies = [orjson.loads(document.body) for document in documents]
    bodies[::2] = map(as_stored_before, bodies[::2])
    async with asking(search_server) as client:
        index = f"{settings.index.prefix}-2026.11.24"
        await store_day(client, index, bodies, earlier_template())
    source = build_store(settings).reader()
    for criteria in QUESTIONS:
        assert await answers(source, criteria) == await answers(own, criteria), criteria
    counts, expected = await source.counts(DAY), await own.counts(DAY)
    assert (counts.volume, counts.sent_bytes) == (expected.volume, expected.sent_bytes)
    await source.close()


async def test_a_mail_may_begin_on_a_day_by_logstash_and_end_on_one_of_this_program(
    search_server: SearchServer, tmp_path: Path
) -> None:
    lines = lines_of(LOG)
    own = await sqlite_reader(tmp_path, documents_of(lines))
    for cut in (2, 4, 6, 12):
        source = await reader_of_days(search_server, lines[:cut], lines[cut:], "plain")
        for criteria in QUESTIONS:
            assert await answers(source, criteria) == await answers(own, criteria), (cut, criteria)
        await source.close()


async def test_the_mails_of_a_real_site_have_the_same_answers(
    search_server: SearchServer, tmp_path: Path
) -> None:
    lines = gzip.decompress(_SCENARIOS.read_bytes()).splitlines()
    documents = documents_of(lines)
    own = await sqlite_reader(tmp_path, documents)
    # Which of two indices has the earlier line of one moment, nobody knows.
    times = [document.seconds for document in documents]
    half = next(
        cut for cut in range(len(lines) // 2, len(lines)) if max(times[:cut]) < min(times[cut:])
    )
    source = await reader_of_days(search_server, lines[:half], lines[half:], "plain")
    for criteria in _questions_about([document.fields for document in documents]):
        assert await answers(source, criteria) == await answers(own, criteria), criteria
    await source.close()


def _questions_about(events: Iterable[Any]) -> Iterator[Criteria]:
    """Questions of each kind that find something, and for the outcomes."""
    found: dict[str, Counter[str]] = {}
    for event in events:
        for name, value in event.items():
            found.setdefault(name, Counter())[str(value)] += 1

    def some(name: str) -> list[str]:
        values = sorted(found[name])
        return values[:: max(1, len(values) // _QUESTIONS)]

    yield from (Criteria(recipient=address_term(one)) for one in some("postfix_to"))
    yield from (Criteria(sender=address_term(one)) for one in some("postfix_from"))
    yield from (Criteria(message_id=id_term(one)) for one in some("postfix_message-id"))
    yield from (Criteria(queue_id=one) for one in some("postfix_queueid"))
    for verdict in ("bounced", "discarded", "pending"):
        yield Criteria(verdicts=frozenset({verdict}))


@pytest.mark.parametrize("log", [COUNTED, KINDS_OF_LINES], ids=["outcomes", "kinds of lines"])
@pytest.mark.parametrize("variant", ["plain", "ecs"])
async def test_the_overview_counts_the_lines_of_a_day_by_logstash(
    search_server: SearchServer, tmp_path: Path, log: str, variant: Variant
) -> None:
    lines = lines_of(log)
    own = await (await sqlite_reader(tmp_path, documents_of(lines))).counts(DAY)
    half = len(lines) // 2
    for logstash, ours in ((lines, []), (lines[:half], lines[half:])):
        source = await reader_of_days(search_server, logstash, ours, variant)
        counts = await source.counts(DAY)
        assert counts.volume == own.volume
        assert counts.is_partial is False
        assert not counts.gaps
        assert counts.reasons == own.reasons
        await source.close()


async def test_sizes_are_counted_where_they_are_numbers(search_server: SearchServer) -> None:
    lines = lines_of(COUNTED)
    # The index of Logstash's day has the name of the day before.
    both = TimeBuckets(DAY.start - 86_400, 3600, 48)
    days: list[tuple[Variant, list[bytes], int]] = [
        ("plain", lines, 500),
        ("numbers", lines, 500),
        ("plain", [], 0),
    ]
    for variant, ours, sizes in days:
        source = await reader_of_days(search_server, lines[:2], ours, variant)
        counts = await source.counts(both)
        assert (counts.sent_bytes, counts.gaps) == (sizes, [])
        await source.close()


SCRIPTS_DAY = ("2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z")
FREQUENT, RARE = "anna.info@script.example", "info@script.example"


def _deliveries(recipient: str, count: int) -> str:
    return "".join(
        f"21T10:{minute:02}:00 mx1 postfix/smtp[14]: AAAAAA1: to=<{recipient}>, relay=none, "
        "delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent (250 Ok)\n"
        for minute in range(count)
    )


@pytest.mark.parametrize("made_by", ["this program", "Logstash"])
async def test_the_search_script_of_a_site_finds_what_it_found(
    search_server: SearchServer, made_by: str
) -> None:
    """It asks for `mail-*` with match_phrase, and looks at fifty hits."""
    lines = lines_of(_deliveries(RARE, 1) + _deliveries(FREQUENT, 60))
    days = ([], lines) if made_by == "this program" else (lines, [])
    source = await reader_of_days(search_server, *days, "plain")
    await source.close()

    def found(recipient: str) -> list[str]:
        printed = client7.run(_SCRIPT, [search_server.url, recipient, *SCRIPTS_DAY])
        return [line.split()[1] for line in printed.splitlines()]

    try:
        assert found(RARE) == [RARE]
        assert found(RARE.upper()) == [RARE]
        assert found(FREQUENT) == [FREQUENT] * 50
    finally:
        async with asking(search_server) as client:
            await client.indices.delete(index="mail-*-2026.11.21,mail-*-2026.11.23")


async def test_side_by_side_few_fields_differ_for_kibana(search_server: SearchServer) -> None:
    lines = lines_of(LOG)
    settings = elastic_settings(search_server.url, f"mail-{uuid4().hex[:8]}")
    store = build_store(settings)
    async with asking(search_server) as client:
        index = f"{settings.index.prefix}-2026.11.23"
        await store_day(client, index, logstash_documents(lines))
        await fill(store, documents_below(settings.index.prefix, lines))
        answer = await client.perform_request(
            "GET",
            f"/{settings.index.prefix}-*/_field_caps?fields=*",
            headers={"accept": "application/json"},
        )
    kinds = {
        name: set(found) - {"unmapped", "object"}
        for name, found in answer.body["fields"].items()
        if not name.startswith("_")
    }
    differing = {name for name, found in kinds.items() if len(found) > 1}
    types = {field.name: field.type for field in FIELDS}
    # All `.keyword` are alike, and so are addresses, texts and times: see docs/cluster.md.
    assert {types.get(name, name) for name in differing} == {"keyword", "integer", "float", "ip"}
