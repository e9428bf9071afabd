"""Answers of real servers that lack something: failed shards, limits, and time that was over."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from mailingest.config import Settings
from mailingest.stores.criteria import Criteria, text_term
from mailingest.stores.elastic import reader as module
from mailingest.stores.elastic.reader import ElasticReader
from mailingest.stores.elastic.store import ElasticStore
from mailingest.stores.protocol import Found
from mailingest.trace.engine import trace
from mailingest.wiring import build_store
from tests.support.elastic import asking, cluster_setting, searched
from tests.support.logs import documents_of, lines_of
from tests.support.servers import SearchServer
from tests.support.stores import elastic_settings, fill

LOG = "".join(f"24T10:00:00 mx1 postfix/qmgr: AAAAAA1: number {number}\n" for number in range(25))
TEXT = Criteria(text=text_term("number"))


@pytest.fixture
async def settings(search_server: SearchServer) -> Settings:
    """Settings of a store that has the log."""
    made = elastic_settings(search_server.url, f"mail-{uuid4().hex[:8]}")
    await fill(build_store(made), documents_of(lines_of(LOG), made))
    return made


@asynccontextmanager
async def reader_of(settings: Settings) -> AsyncIterator[ElasticReader]:
    store = build_store(settings)
    assert isinstance(store, ElasticStore)
    reader = store.reader()
    try:
        yield reader
    finally:
        await reader.close()


def told(found: Found) -> list[tuple[str, str]]:
    return [(gap.code, gap.text) for gap in found.gaps]


async def test_a_shard_that_fails_is_told_with_the_server_s_reason(
    search_server: SearchServer, settings: Settings
) -> None:
    other = f"{settings.index.prefix}-2026.11.20"
    fields = {"@timestamp": {"type": "date"}, "message": {"type": "long"}}
    async with asking(search_server) as client, reader_of(settings) as reader:
        await client.indices.create(index=other, mappings={"dynamic": False, "properties": fields})
        await searched(client, other, size=0)
        found = await reader.find(TEXT, 100)
        assert len(found.events) == 25
        [(code, text)] = told(found)
        assert (code, other in text) == ("shards_failed", True)
        assert "wildcard" in text
        # Its day is not asked for.
        since = datetime(2026, 11, 21, tzinfo=UTC)
        assert told(await reader.find(Criteria(text=TEXT.text, since=since), 100)) == []
        # All shards of what is left fail.
        await client.indices.delete(index=f"{settings.index.prefix}-2026.11.24")
        await client.index(index=other, document={"@timestamp": "2026-11-20T10:00:00Z"})
        await searched(client, other, size=0)
        result = await trace(reader, TEXT)
        assert (result.stories, [gap.code for gap in result.why]) == ([], ["shards_failed"])


async def test_pages_are_as_small_as_an_index_wants_them(
    search_server: SearchServer, settings: Settings
) -> None:
    index = f"{settings.index.prefix}-2026.11.24"
    async with asking(search_server) as client, reader_of(settings) as reader:
        await client.indices.put_settings(index=index, settings={"index.max_result_window": 7})
        found = await reader.find(Criteria(), 100)
        assert (len(found.events), told(found)) == (25, [])
        await client.indices.create(index=f"{settings.index.prefix}-2026.11.25")
        await client.indices.put_settings(index=index, settings={"index.max_result_window": 3})
        found = await reader.find(TEXT, 20)
        assert (len(found.events), found.is_cut, told(found)) == (20, True, [])


async def test_more_clauses_than_the_server_takes_are_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    clauses = [{"term": {"host": str(number)}} for number in range(1100)]
    monkeypatch.setattr(module, "ABOUT_A_MAIL", {"bool": {"should": clauses}})
    async with reader_of(settings) as reader:
        found = await reader.find(Criteria(), 100)
    assert found.events == []
    [(code, text)] = told(found)
    assert (code, "maxClauseCount" in text) == ("server_limit", True)


async def test_a_search_that_the_server_ends_is_told(
    search_server: SearchServer, settings: Settings
) -> None:
    # A filter of an alias is asked of each line, which takes a while here.
    loop = "for (int i = 0; i < 900000; i++) { if (i % 7 == 8) { return false } } return true"
    slow: dict[str, Any] = {"script": {"script": {"source": loop}}}
    prefix = settings.index.prefix
    lines = lines_of(LOG.replace("number", "slow") * 8)
    other = elastic_settings(search_server.url, f"{prefix}-x")
    await fill(build_store(other), documents_of(lines, other))
    async with asking(search_server) as client, reader_of(settings) as reader:
        await client.indices.put_alias(
            index=f"{prefix}-x-2026.11.24", name=f"{prefix}-2026.11.23", filter=slow
        )
        async with cluster_setting(client, "search.default_search_timeout", "1ms"):
            found = await reader.find(Criteria(), 1000)
        assert "timed_out" in [gap.code for gap in found.gaps]
