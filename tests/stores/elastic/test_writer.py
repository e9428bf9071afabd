"""The Elasticsearch and OpenSearch writer on real servers, plain and secured."""

from collections.abc import Callable
from contextlib import suppress
from itertools import count, islice
from uuid import uuid4

import pytest

from mailingest.errors import StoreUnavailable, UsageError
from mailingest.stores.elastic.schema import index_template
from mailingest.stores.elastic.template import IndexTemplate
from tests.conftest import MAX_REQUEST
from tests.support.elastic import (
    MAPPINGS,
    asking,
    cluster_setting,
    document,
    opened,
    searched,
    state_version,
    stored,
    template_for,
    writer_to,
)
from tests.support.lab.polling import until
from tests.support.ports import free_port
from tests.support.servers import ELASTICSEARCH, OPENSEARCH, Kind, SearchServer
from tests.support.servers.security import ADMIN


@pytest.fixture
def prefix() -> str:
    """An index prefix that no other test uses, as the server is shared."""
    return f"mail-{uuid4().hex[:8]}"


# ---- what is stored, on real servers


async def test_the_writer_knows_the_server(any_server: SearchServer) -> None:
    async with opened(any_server) as writer:
        assert writer.connection.server is not None
        assert writer.connection.server.kind == any_server.kind.name
        assert writer.connection.server.version == any_server.kind.version


async def test_documents_land_in_the_index_of_their_day(
    any_server: SearchServer, prefix: str
) -> None:
    batch = [document(prefix, 1), document(prefix, 2, "2026.03.02"), document(prefix, 3)]

    async with opened(any_server, template=template_for(prefix)) as writer:
        result = await writer.write(batch)

    assert (result.stored, result.duplicates, result.rejected, result.retry) == (3, 0, [], [])
    async with asking(any_server) as client:
        assert await stored(client, prefix) == {
            f"{prefix}-2026.03.01": [batch[0].id, batch[2].id],
            f"{prefix}-2026.03.02": [batch[1].id],
        }
        answer = await client.get(index=batch[0].index, id=batch[0].id)
        assert answer["_source"] == batch[0].fields


async def test_writing_a_batch_twice_stores_it_once(any_server: SearchServer, prefix: str) -> None:
    batch = [document(prefix, number) for number in range(3)]

    async with opened(any_server, template=template_for(prefix)) as writer:
        await writer.write(batch[:2])
        result = await writer.write(batch)

    assert (result.stored, result.duplicates, result.rejected, result.retry) == (3, 2, [], [])
    async with asking(any_server) as client:
        assert await stored(client, prefix) == {batch[0].index: [one.id for one in batch]}


async def test_an_empty_batch_is_no_request_and_no_error(any_server: SearchServer) -> None:
    async with opened(any_server) as writer:
        result = await writer.write([])

    assert (result.stored, result.rejected, result.retry) == (0, [], [])


async def test_compressed_requests_are_understood(any_server: SearchServer, prefix: str) -> None:
    async with opened(any_server, template=template_for(prefix), compress=True) as writer:
        result = await writer.write([document(prefix, 1)])

    assert result.stored == 1


async def test_a_value_that_does_not_fit_is_rejected_and_the_others_stored(
    any_server: SearchServer, prefix: str
) -> None:
    batch = [
        document(prefix, 1, postfix_nrcpt=1),
        document(prefix, 2, postfix_nrcpt="two"),
        document(prefix, 3, postfix_nrcpt=3),
    ]

    async with opened(any_server, template=template_for(prefix)) as writer:
        result = await writer.write(batch)

    assert (result.stored, result.retry) == (2, [])
    [rejection] = result.rejected
    assert rejection.document is batch[1]
    # The position came before it, and the name changed, with version 8.
    assert rejection.reason.startswith(("400 mapper_parsing_exc", "400 document_parsing_exc"))
    assert "failed to parse field [postfix_nrcpt]" in rejection.reason
    assert '"two"' in rejection.reason
    async with asking(any_server) as client:
        assert await stored(client, prefix) == {batch[0].index: [batch[0].id, batch[2].id]}


async def test_a_body_that_spoils_the_request_is_found_and_rejected_alone(
    any_server: SearchServer, prefix: str
) -> None:
    batch = [document(prefix, number) for number in range(5)]
    batch[3].body = b'{"a":\n1}'

    async with opened(any_server, template=template_for(prefix), user=ADMIN) as writer:
        result = await writer.write(batch)

    assert (result.stored + len(result.rejected), result.retry) == (5, [])
    [rejection] = result.rejected
    assert rejection.document is batch[3]
    # Version 7 repeats the request's head where it cannot parse the body.
    assert "authorization" not in rejection.reason.lower()
    async with asking(any_server) as client:
        ids = [one.id for one in batch if one is not batch[3]]
        assert await stored(client, prefix) == {batch[0].index: ids}


async def test_a_request_over_the_servers_limit_is_sent_in_halves(
    any_server: SearchServer, prefix: str
) -> None:
    batch = [document(prefix, number, message="x" * 50_000) for number in range(16)]
    assert sum(len(one.body) for one in batch) > 3 * MAX_REQUEST

    async with opened(any_server, template=template_for(prefix)) as writer:
        result = await writer.write(batch)

    assert (result.stored, result.duplicates, result.rejected, result.retry) == (16, 0, [], [])
    async with asking(any_server) as client:
        assert await stored(client, prefix) == {batch[0].index: [one.id for one in batch]}


async def test_a_document_over_the_servers_limit_is_rejected_and_the_rest_stored(
    any_server: SearchServer, prefix: str
) -> None:
    batch = [
        document(prefix, 1),
        document(prefix, 2, message="x" * MAX_REQUEST),
        document(prefix, 3),
    ]

    async with opened(any_server, template=template_for(prefix)) as writer:
        result = await writer.write(batch)

    assert (result.stored, result.retry) == (2, [])
    [rejection] = result.rejected
    assert rejection.document is batch[1]
    assert rejection.reason.startswith("413 larger than the server takes")


async def test_a_recipient_is_found_as_a_phrase_within_a_time_range(
    any_server: SearchServer, prefix: str
) -> None:
    batch = [
        document(prefix, 1, postfix_to="info@example.org"),
        document(prefix, 2, postfix_to="info@example.net"),
        document(prefix, 3, "2026.03.02", postfix_to="info@example.org"),
    ]
    template = IndexTemplate(prefix, (f"{prefix}-*",), index_template(replicas=0))
    if not any_server.kind.has_analyzers:
        template = template_for(prefix)
    async with opened(any_server, template=template) as writer:
        await writer.write(batch)

    async with asking(any_server) as client:
        day = {"gte": "2026-03-01T00:00:00Z", "lt": "2026-03-02T00:00:00Z"}
        answer = await searched(
            client,
            f"{prefix}-*",
            query={
                "bool": {
                    "must": [{"match_phrase": {"postfix_to": "info@example.org"}}],
                    "filter": [{"range": {"@timestamp": day}}],
                }
            },
        )
        assert [hit["_id"] for hit in answer["hits"]["hits"]] == [batch[0].id]
        answer = await searched(
            client, f"{prefix}-*", query={"term": {"postfix_to.keyword": "info@example.net"}}
        )
        assert [hit["_id"] for hit in answer["hits"]["hits"]] == [batch[1].id]


# ---- the index template, on real servers


async def test_the_template_shapes_new_indices(any_server: SearchServer, prefix: str) -> None:
    template = template_for(prefix, refresh_interval="7s")

    async with opened(any_server, template=template) as writer:
        await writer.write([document(prefix, 1, unknown="x")])

    index = f"{prefix}-2026.03.01"
    async with asking(any_server) as client:
        made = (await client.indices.get(index=index))[index]
        assert made["settings"]["index"]["refresh_interval"] == "7s"
        assert made["mappings"]["properties"] == MAPPINGS["properties"]


async def test_putting_the_template_that_the_server_has_changes_nothing_there(
    any_server: SearchServer, prefix: str
) -> None:
    async with asking(any_server) as client:
        async with opened(any_server, template=template_for(prefix)) as writer:
            before = await state_version(client)
            await writer.open()
        async with opened(any_server, template=template_for(prefix)):
            assert await state_version(client) == before


async def test_a_changed_template_replaces_the_old_one(
    any_server: SearchServer, prefix: str
) -> None:
    async with asking(any_server) as client:
        for replicas in (0, 1):
            wanted = template_for(prefix, number_of_replicas=replicas)
            async with opened(any_server, template=wanted):
                made = await client.indices.simulate_index_template(name=f"{prefix}-2026.03.01")
                index = made["template"]["settings"]["index"]
                assert index["number_of_replicas"] == str(replicas)


async def test_opening_again_makes_good_a_template_that_is_gone(
    any_server: SearchServer, prefix: str
) -> None:
    async with (
        asking(any_server) as client,
        opened(any_server, template=template_for(prefix)) as writer,
    ):
        await client.indices.delete_index_template(name=prefix)

        await writer.open()

        assert await client.indices.exists_index_template(name=prefix)


async def test_a_template_that_the_server_refuses_is_an_error_of_the_operator(
    any_server: SearchServer, prefix: str
) -> None:
    wrong = IndexTemplate(prefix, (f"{prefix}-*",), {"settings": {"no_such_setting": 1}})

    with pytest.raises(UsageError, match=r"unknown setting \[index.no_such_setting\]"):
        async with opened(any_server, template=wrong):
            pass


# ---- outages, on real servers


@pytest.mark.servers
async def test_a_writer_outlives_a_restart_of_its_server(
    search_servers: Callable[[Kind], SearchServer], prefix: str
) -> None:
    search_server = search_servers(OPENSEARCH)  # an Elasticsearch is killed below
    running = writer_to(search_server, template=template_for(prefix))
    new = writer_to(search_server, template=template_for(prefix))
    try:
        await running.open()
        await running.write([document(prefix, 1)])
        with search_server.stopped():
            with pytest.raises(StoreUnavailable, match="cannot be reached: check that it runs"):
                await running.write([document(prefix, 2)])
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                await new.open()
            with pytest.raises(StoreUnavailable, match="not open yet"):
                await new.write([document(prefix, 3)])
        await new.open()
        assert (await new.write([document(prefix, 3)])).stored == 1
        assert (await running.write([document(prefix, 2)])).stored == 1
    finally:
        await running.close()
        await new.close()
    async with asking(search_server) as client:
        ids = [document(prefix, number).id for number in (1, 2, 3)]
        assert await stored(client, prefix) == {f"{prefix}-2026.03.01": ids}


@pytest.mark.servers
async def test_a_host_that_dies_is_left_out_and_taken_again_when_it_is_back(
    search_servers: Callable[[Kind], SearchServer], prefix: str
) -> None:
    # Two clusters of one node each, where a site has two nodes of one cluster: so it can be seen
    # which of them took a document.
    first, second = (search_servers(kind) for kind in (ELASTICSEARCH, OPENSEARCH))
    numbers = count()

    async def write_some() -> None:
        for number in islice(numbers, 4):
            assert (await writer.write([document(prefix, number)])).stored == 1

    async def documents(server: SearchServer) -> int:
        async with asking(server) as client:
            return sum(map(len, (await stored(client, prefix)).values()))

    async with opened(first, second) as writer:
        await write_some()
        in_first, in_second = await documents(first), await documents(second)
        assert (in_first, in_second) == (2, 2)
        first.kill()
        try:
            await write_some()
        finally:
            first.start()
        assert (await documents(first), await documents(second)) == (in_first, in_second + 4)

        async def is_used_again() -> bool:
            await write_some()
            return await documents(first) > in_first

        await until(is_used_again, "the host that is back takes documents")


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_host_that_is_down_at_the_start_is_left_out(
    any_server: SearchServer, is_first: bool, prefix: str
) -> None:
    down = any_server.url.replace(str(any_server.port), str(free_port()))
    hosts = (down, any_server) if is_first else (any_server, down)
    async with opened(*hosts, template=template_for(prefix)) as writer:
        for number in range(4):
            assert (await writer.write([document(prefix, number)])).stored == 1


async def test_a_server_that_hangs_is_a_time_out_and_the_next_try_stores_once(
    any_server: SearchServer, prefix: str
) -> None:
    batch = [document(prefix, number) for number in range(3)]
    async with opened(any_server, template=template_for(prefix)):
        pass
    writer = writer_to(any_server, timeout=1.0)

    async def is_open() -> bool:
        with suppress(StoreUnavailable):  # a busy machine may need longer for it
            await writer.open()
            return True
        return False

    await until(is_open, "the server answers within the time-out")
    with any_server.frozen(), pytest.raises(StoreUnavailable, match="did not answer in time"):
        await writer.write(batch)
    await writer.close()
    async with opened(any_server) as writer:
        result = await writer.write(batch)

    assert (result.stored, result.rejected, result.retry) == (3, [], [])
    async with asking(any_server) as client:
        assert await stored(client, prefix) == {batch[0].index: [one.id for one in batch]}


async def test_what_needs_a_new_index_is_held_and_the_rest_stored_while_there_is_no_room_for_one(
    any_server: SearchServer, prefix: str
) -> None:
    today, tomorrow = document(prefix, 1), document(prefix, 2, "2026.03.02")
    async with (
        asking(any_server) as client,
        opened(any_server, template=template_for(prefix)) as writer,
    ):
        await writer.write([today])
        async with cluster_setting(client, "cluster.max_shards_per_node", 1):
            mixed = await writer.write([document(prefix, 3), tomorrow])
        later = await writer.write([one.document for one in mixed.held])

    assert (mixed.stored, mixed.rejected, mixed.retry) == (1, [], [])
    [held] = mixed.held
    assert held.document is tomorrow
    assert "raise cluster.max_shards_per_node" in held.reason
    assert later.stored == 1


async def test_documents_are_held_while_the_server_may_not_create_indices(
    any_server: SearchServer, prefix: str
) -> None:
    async with asking(any_server) as client, opened(any_server) as writer:
        async with cluster_setting(client, "action.auto_create_index", "false"):
            [held] = (await writer.write([document(prefix, 1)])).held
        assert "allow it in action.auto_create_index" in held.reason
        assert (await writer.write([document(prefix, 1)])).stored == 1


async def test_documents_wait_while_the_disk_is_full(any_server: SearchServer, prefix: str) -> None:
    one, other = document(prefix, 1), document(prefix, 2)
    # What the server does to an index by itself when its disk passes the flood stage.
    block = "index.blocks.read_only_allow_delete"
    async with (
        asking(any_server) as client,
        opened(any_server, template=template_for(prefix)) as writer,
    ):
        await writer.write([one])
        await client.indices.put_settings(index=one.index, settings={block: True})
        with pytest.raises(UsageError, match="free disk space"):
            await writer.write([other])
        await client.indices.put_settings(index=one.index, settings={block: None})
        assert (await writer.write([other])).stored == 1


async def test_a_document_for_a_closed_index_does_not_hold_up_those_of_others(
    any_server: SearchServer, prefix: str
) -> None:
    old, straggler = document(prefix, 1), document(prefix, 2)
    today = document(prefix, 3, "2026.03.09")
    async with (
        asking(any_server) as client,
        opened(any_server, template=template_for(prefix)) as writer,
    ):
        await writer.write([old])
        await client.indices.close(index=old.index)

        result = await writer.write([straggler, today])

    assert (result.stored, result.rejected, result.retry) == (1, [], [])
    [held] = result.held
    assert held.document is straggler
    assert held.reason == (
        f"{old.index} is closed: open it (POST {old.index}/_open) "
        "(400 index_closed_exception: closed)"
    )
