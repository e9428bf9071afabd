"""What real servers refuse for no fault of a document: it is held, told, and stored when mended."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random
from uuid import uuid4

import orjson
import pytest
from elasticsearch import AsyncElasticsearch, BadRequestError

from mailingest.commands.deadletter import purge_letters, retry_letters
from mailingest.config import Settings
from mailingest.delivery import batcher as module
from mailingest.delivery.batcher import Batcher
from mailingest.delivery.deadletters import DeadLetters, read_letters
from mailingest.delivery.receipts import Receipt
from mailingest.documents import Document
from mailingest.stores.elastic.refusals import FEW
from mailingest.stores.elastic.schema import index_template
from mailingest.stores.elastic.template import IndexTemplate
from tests.support.elastic import asking, opened, searched
from tests.support.lab.polling import PATIENCE, until
from tests.support.servers import SearchServer

NOON = 1_772_366_400
DAY = 86_400
TODAY = "2026.03.01"
MAPPED_OTHERWISE = {"properties": {"host": {"properties": {"name": {"type": "keyword"}}}}}

Step = Callable[[], Awaitable[object]]


@pytest.fixture(autouse=True)
def little_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    def backoff(attempt: int, rng: Random) -> float:
        return min(0.02 * float(2**attempt), 0.5)

    monkeypatch.setattr(module, "backoff", backoff)


@pytest.fixture
def prefix() -> str:
    return f"mail-{uuid4().hex[:8]}"


def line(
    prefix: str, number: int, day: str = TODAY, days_ago: int = 0, **fields: object
) -> Document:
    values = {"@timestamp": f"{day.replace('.', '-')}T12:00:00.000Z", "host": "mx1"} | fields
    seconds = NOON - days_ago * DAY
    return Document(f"{prefix}-{day}", f"{number:020d}", orjson.dumps(values), seconds, values)


def says_so(batcher: Batcher, text: str) -> bool:
    return text in (batcher.held or "")


@asynccontextmanager
async def delivering(
    server: SearchServer, prefix: str, letters: DeadLetters, **options: object
) -> AsyncIterator[Batcher]:
    """A batcher before the server, on the day TODAY."""
    template = IndexTemplate(prefix, (f"{prefix}-*",), index_template(replicas=0))
    async with opened(server, template=template) as writer:
        batcher = Batcher(
            writer,
            letters,
            max_documents=40,
            max_age=0.05,
            in_flight=2,
            live=True,
            now=lambda: NOON,
            **options,  # type: ignore[arg-type]  # numbers, as the tests have them
        )
        task = asyncio.create_task(batcher.run())
        try:
            yield batcher
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def ids(client: AsyncElasticsearch, prefix: str) -> Counter[str]:
    answer = await searched(client, f"{prefix}-*", size=5000)
    return Counter(hit["_id"] for hit in answer["hits"]["hits"])


class Site:
    """What an operator does to a cluster."""

    def __init__(self, client: AsyncElasticsearch, prefix: str) -> None:
        self.client = client
        self.prefix = prefix
        self.index = f"{prefix}-{TODAY}"

    def setting(self, name: str, value: object) -> Step:
        return lambda: self.client.indices.put_settings(index=self.index, settings={name: value})

    def of_the_cluster(self, name: str, value: object) -> Step:
        return lambda: self.client.cluster.put_settings(transient={name: value})

    async def alias(self, is_write_index: bool) -> None:
        action = {"index": f"{self.prefix}-000001", "alias": self.index}
        await self.client.indices.update_aliases(
            actions=[{"add": {**action, "is_write_index": is_write_index}}]
        )

    async def make(self, name: str, **body: object) -> None:
        await self.client.indices.create(index=name, **body)  # type: ignore[arg-type]

    async def make_as_others_do(self) -> None:
        """The index of today, mapped before mailingest's template was there."""
        client = self.client

        async def is_made() -> bool:
            # The writer may be about to put it.
            await client.options(ignore_status=404).indices.delete_index_template(name=self.prefix)
            with suppress(BadRequestError):
                await self.make(self.index, mappings=MAPPED_OTHERWISE)
                return True
            return False

        await until(is_made, "the index is made")

    async def make_alias(self, is_write_index: bool) -> None:
        await self.make(f"{self.prefix}-000001")
        await self.alias(is_write_index)


def states(site: Site) -> dict[str, tuple[str, bool, Step, Step]]:
    """What is said, whether the index is there, what breaks it, and what an operator does."""

    def block(name: str) -> tuple[Step, Step]:
        return site.setting(name, True), site.setting(name, None)

    index, client = site.index, site.client
    return {
        "write block": (
            f"{index} has a write block: set index.blocks.write to null (PUT {index}/_settings)",
            True,
            *block("index.blocks.write"),
        ),
        "read-only": (f"{index} is read-only", True, *block("index.blocks.read_only")),
        "flood stage": (
            "free disk space",
            True,
            # What the server does to an index by itself when its disk passes the flood stage.
            *block("index.blocks.read_only_allow_delete"),
        ),
        "closed": (
            f"{index} is closed: open it (POST {index}/_open)",
            True,
            lambda: client.indices.close(index=index),
            lambda: client.indices.open(index=index),
        ),
        "mapped otherwise": (
            f"{index} maps host as object, and mailingest as keyword: move its documents",
            False,
            site.make_as_others_do,
            lambda: client.indices.delete(index=index),
        ),
        "shard limit": (
            f"so that {index} cannot be made: delete old indices, with `mailingest retention`",
            False,
            site.of_the_cluster("cluster.max_shards_per_node", 1),
            site.of_the_cluster("cluster.max_shards_per_node", None),
        ),
        "missing alias": (
            f"{index} is missing and the server may not make it",
            False,
            site.of_the_cluster("action.auto_create_index", f"-{site.prefix}-*,+*"),
            lambda: site.make_alias(True),
        ),
        "alias without a write index": (
            f"{index} is an alias without a write index",
            False,
            lambda: site.make_alias(False),
            lambda: site.alias(True),
        ),
        "missing pipeline": (
            "names an ingest pipeline that the server does not have",
            True,
            site.setting("index.default_pipeline", "none-such"),
            site.setting("index.default_pipeline", "_none"),
        ),
        "cluster read-only": (
            "the whole cluster is read-only: set cluster.blocks.read_only to null",
            True,
            site.of_the_cluster("cluster.blocks.read_only", True),
            site.of_the_cluster("cluster.blocks.read_only", None),
        ),
    }


async def test_what_is_no_fault_of_a_document_is_held_told_and_stored_once_when_mended(
    search_server: SearchServer, tmp_path: Path
) -> None:
    async with asking(search_server) as client:
        site = Site(client, "")
        for number, name in enumerate(states(site)):
            site = Site(client, f"mail-{uuid4().hex[:8]}")
            says, is_there_before, break_it, mend_it = states(site)[name]
            letters = DeadLetters(tmp_path / f"{number}")
            try:
                async with delivering(search_server, site.prefix, letters) as batcher:
                    sent = [line(site.prefix, one) for one in range(100)]
                    if is_there_before:
                        await batcher.put_many(sent[:30])
                        await batcher.drain()
                    await break_it()
                    # Some in batches of their own, and what was stored already comes again.
                    await batcher.put_many(sent[:70])
                    await until(partial(says_so, batcher, says), f"{name}: {says}")
                    assert "\n" not in str(batcher.held)
                    for one in sent[70:]:
                        await batcher.put(one)
                    assert batcher.pending >= 70
                    await mend_it()
                    assert await batcher.drain(PATIENCE) == 0, name
                    assert batcher.held is None
                assert await ids(client, site.prefix) == Counter(one.id for one in sent), name
                assert list(read_letters(tmp_path / f"{number}")) == [], name
            finally:
                await client.cluster.put_settings(
                    transient={"action.auto_create_index": None, "cluster.*": None}
                )


async def test_a_quiet_site_learns_that_its_index_is_mapped_otherwise(
    search_server: SearchServer, prefix: str, tmp_path: Path
) -> None:
    index = f"{prefix}-{TODAY}"
    async with asking(search_server) as client:
        await Site(client, prefix).make_as_others_do()
        async with delivering(search_server, prefix, DeadLetters(tmp_path)) as batcher:
            for number in range(FEW + 5):
                await batcher.put(line(prefix, number))
                # As if hours lay between two lines.
                await until(lambda: not batcher.pending or batcher.held)
            await until(lambda: says_so(batcher, f"{index} maps host as object"))
            assert batcher.documents_rejected == FEW - 1
            await client.indices.delete(index=index)
            assert await batcher.drain(PATIENCE) == 0
        settings = Settings.model_validate(
            {
                "state": {"directory": tmp_path},
                "elasticsearch": {"hosts": [search_server.url], "replicas": 0},
                "index": {"prefix": prefix},
            }
        )
        assert await asyncio.to_thread(retry_letters, settings, [])
        expected = Counter(line(prefix, number).id for number in range(FEW + 5))
        assert await ids(client, prefix) == expected


async def test_documents_taken_for_their_index_are_let_go_when_it_takes_others(
    search_server: SearchServer, prefix: str, tmp_path: Path
) -> None:
    poison = [line(prefix, number, postfix_nrcpt={"a": 1}) for number in range(2 * FEW)]
    good = line(prefix, 99)
    async with asking(search_server) as client:
        async with delivering(search_server, prefix, DeadLetters(tmp_path)) as batcher:
            await batcher.put_many(poison)
            await until(lambda: batcher.documents_held == len(poison))
            await batcher.put(good)
            assert await batcher.drain(PATIENCE) == 0
        assert await ids(client, prefix) == Counter([good.id])
    assert {one.id for one in read_letters(tmp_path)} == {one.id for one in poison}


async def test_a_day_that_was_put_away_holds_up_nothing_until_dead_letters_are_full(
    search_server: SearchServer, prefix: str, tmp_path: Path
) -> None:
    old, yesterday = "2026.02.27", "2026.02.28"
    stragglers = [line(prefix, number, old, 2) for number in range(60)]
    today = [line(prefix, number) for number in range(1000, 1100)]
    late = [line(prefix, number, yesterday, 1) for number in range(2000, 2030)]
    letters = DeadLetters(tmp_path, max_bytes=6000)
    async with asking(search_server) as client:
        async with delivering(search_server, prefix, letters, capacity=150) as batcher:
            for index in (f"{prefix}-{old}", f"{prefix}-{yesterday}"):
                await client.indices.create(index=index)
                await client.indices.close(index=index)
            await batcher.put_many([*late[:10], *stragglers, *today, *late[10:]], Receipt("s", 1))
            await until(lambda: batcher.documents_stored == len(today), "today's mail goes on")
            await until(lambda: says_so(batcher, "are full"), "the dead letters are full")
            await until(lambda: says_so(batcher, f"{prefix}-{yesterday} is closed"))
            assert f"{prefix}-{old}" not in str(batcher.held)
            assert not batcher.receipts.cover(Receipt("s", 1))
            kept = {one.id for one in read_letters(tmp_path)}
            assert 0 < len(kept) < len(stragglers)
            left = len(late) + len(stragglers) - len(kept)
            await until(lambda: batcher.documents_held == batcher.pending == left)

            # The operator throws some away, opens one day, and raises nothing.
            purge_letters(
                Settings.model_validate({"state": {"directory": tmp_path}}),
                before=None,
                confirm=lambda _: True,
            )
            await client.indices.open(index=f"{prefix}-{yesterday}")
            await until(lambda: batcher.documents_stored == len(today) + len(late))
            everything = set(kept)

            def is_empty() -> bool:
                everything.update(one.id for one in read_letters(tmp_path))
                for file in tmp_path.glob("dead-letters-*"):
                    file.unlink()
                return not batcher.pending

            await until(is_empty, "all is put away")
            assert batcher.receipts.cover(Receipt("s", 1))
        assert everything == {one.id for one in stragglers}
        await client.indices.delete(index=f"{prefix}-{old}")
        assert await ids(client, prefix) == Counter(one.id for one in (*today, *late))


async def test_a_request_that_is_refused_for_every_document_is_no_fault_of_each(
    search_server: SearchServer, prefix: str
) -> None:
    # A proxy that adds a parameter, for one.
    async with opened(search_server) as writer:
        bulk = writer.connection.client.bulk

        async def spoilt(**options: object) -> object:
            return await bulk(**{**options, "wait_for_active_shards": "none-such"})  # type: ignore[arg-type]

        writer.connection.client.bulk = spoilt  # type: ignore[method-assign, assignment]
        result = await writer.write([line(prefix, number) for number in range(500)])

    assert (result.stored, result.retry) == (0, [])
    assert len(result.rejected) == FEW - 1
    assert len(result.held) == 500 - len(result.rejected)
    assert "takes no document" in result.held[0].reason
