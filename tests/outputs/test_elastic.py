"""The Elasticsearch and OpenSearch output: on real servers, and on canned answers for faults."""

import asyncio
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from elasticsearch import AsyncElasticsearch

from mailingest.core.documents import Document
from mailingest.core.template import index_template
from mailingest.errors import MailingestError, OutputUnavailable, UsageError
from mailingest.outputs.compatibility import BridgeNode
from mailingest.outputs.elastic import ElasticOutput, IndexTemplate
from tests.conftest import MAX_REQUEST
from tests.servers import SearchServer

SECRET = "correct-horse-battery"
MAPPINGS: Mapping[str, Any] = {
    "dynamic": False,
    "properties": {
        "@timestamp": {"type": "date"},
        "postfix_to": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
        "postfix_nrcpt": {"type": "integer"},
    },
}


@pytest.fixture
def prefix() -> str:
    """An index prefix that no other test uses, as the server is shared."""
    return f"mail-{uuid4().hex[:8]}"


def template_for(prefix: str, **settings: object) -> IndexTemplate:
    settings = {"number_of_shards": 1, "number_of_replicas": 0} | settings
    return IndexTemplate(prefix, (f"{prefix}-*",), {"settings": settings, "mappings": MAPPINGS})


def document(prefix: str, number: int, day: str = "2026.03.01", **fields: object) -> Document:
    values = {"@timestamp": f"{day.replace('.', '-')}T12:00:00.000Z"} | fields
    return Document(
        f"{prefix}-{day}", f"{number:020d}", orjson.dumps(values), 1772366400 + number, values
    )


@asynccontextmanager
async def opened(*hosts: str, **options: Any) -> AsyncIterator[ElasticOutput]:
    output = ElasticOutput(hosts, **options)
    try:
        await output.open()
        yield output
    finally:
        await output.close()


@asynccontextmanager
async def asking(server: SearchServer) -> AsyncIterator[AsyncElasticsearch]:
    async with AsyncElasticsearch([server.url], node_class=BridgeNode) as client:
        yield client


async def stored(client: AsyncElasticsearch, prefix: str) -> dict[str, list[str]]:
    """The document ids by index."""
    await client.indices.refresh(index=f"{prefix}-*")
    answer = await client.search(index=f"{prefix}-*", size=1000)
    found: dict[str, list[str]] = {}
    for hit in answer["hits"]["hits"]:
        found.setdefault(hit["_index"], []).append(hit["_id"])
    return {index: sorted(ids) for index, ids in found.items()}


async def state_version(client: AsyncElasticsearch) -> int:
    return int((await client.cluster.state(metric="version"))["version"])


@asynccontextmanager
async def cluster_setting(
    client: AsyncElasticsearch, name: str, value: object
) -> AsyncIterator[None]:
    await client.cluster.put_settings(transient={name: value})
    try:
        yield
    finally:
        await client.cluster.put_settings(transient={name: None})


# ---- what is stored, on real servers


async def test_the_output_knows_the_server(search_server: SearchServer) -> None:
    async with opened(search_server.url) as output:
        assert output.server is not None
        assert output.server.kind == search_server.kind.name
        assert output.server.version == search_server.kind.version


async def test_documents_land_in_the_index_of_their_day(
    search_server: SearchServer, prefix: str
) -> None:
    batch = [document(prefix, 1), document(prefix, 2, "2026.03.02"), document(prefix, 3)]

    async with opened(search_server.url, template=template_for(prefix)) as output:
        result = await output.write(batch)

    assert (result.stored, result.duplicates, result.rejected, result.retry) == (3, 0, [], [])
    async with asking(search_server) as client:
        assert await stored(client, prefix) == {
            f"{prefix}-2026.03.01": [batch[0].id, batch[2].id],
            f"{prefix}-2026.03.02": [batch[1].id],
        }
        answer = await client.get(index=batch[0].index, id=batch[0].id)
        assert answer["_source"] == batch[0].fields


async def test_writing_a_batch_twice_stores_it_once(
    search_server: SearchServer, prefix: str
) -> None:
    batch = [document(prefix, number) for number in range(3)]

    async with opened(search_server.url, template=template_for(prefix)) as output:
        await output.write(batch[:2])
        result = await output.write(batch)

    assert (result.stored, result.duplicates, result.rejected, result.retry) == (3, 2, [], [])
    async with asking(search_server) as client:
        assert await stored(client, prefix) == {batch[0].index: [one.id for one in batch]}


async def test_an_empty_batch_is_no_request_and_no_error(search_server: SearchServer) -> None:
    async with opened(search_server.url) as output:
        result = await output.write([])

    assert (result.stored, result.rejected, result.retry) == (0, [], [])


async def test_compressed_requests_are_understood(search_server: SearchServer, prefix: str) -> None:
    async with opened(search_server.url, template=template_for(prefix), compress=True) as output:
        result = await output.write([document(prefix, 1)])

    assert result.stored == 1


async def test_a_value_that_does_not_fit_is_rejected_and_its_neighbours_stored(
    search_server: SearchServer, prefix: str
) -> None:
    batch = [
        document(prefix, 1, postfix_nrcpt=1),
        document(prefix, 2, postfix_nrcpt="two"),
        document(prefix, 3, postfix_nrcpt=3),
    ]

    async with opened(search_server.url, template=template_for(prefix)) as output:
        result = await output.write(batch)

    assert (result.stored, result.retry) == (2, [])
    [rejection] = result.rejected
    assert rejection.document is batch[1]
    assert rejection.reason.startswith("400 mapper_parsing_exception: failed to parse field")
    assert '"two"' in rejection.reason
    async with asking(search_server) as client:
        assert await stored(client, prefix) == {batch[0].index: [batch[0].id, batch[2].id]}


async def test_a_body_that_spoils_the_request_is_found_and_rejected_alone(
    search_server: SearchServer, prefix: str
) -> None:
    batch = [document(prefix, number) for number in range(5)]
    batch[3].body = b'{"a":\n1}'

    async with opened(
        search_server.url, template=template_for(prefix), user="mail", password=SECRET
    ) as output:
        result = await output.write(batch)

    assert (result.stored + len(result.rejected), result.retry) == (5, [])
    [rejection] = result.rejected
    assert rejection.document is batch[3]
    # Version 7 repeats the request's head where it cannot parse the body.
    assert "authorization" not in rejection.reason.lower()
    async with asking(search_server) as client:
        ids = [one.id for one in batch if one is not batch[3]]
        assert await stored(client, prefix) == {batch[0].index: ids}


async def test_a_request_over_the_servers_limit_is_sent_in_halves(
    search_server: SearchServer, prefix: str
) -> None:
    batch = [document(prefix, number, message="x" * 50_000) for number in range(16)]
    assert sum(len(one.body) for one in batch) > 3 * MAX_REQUEST

    async with opened(search_server.url, template=template_for(prefix)) as output:
        result = await output.write(batch)

    assert (result.stored, result.duplicates, result.rejected, result.retry) == (16, 0, [], [])
    async with asking(search_server) as client:
        assert await stored(client, prefix) == {batch[0].index: [one.id for one in batch]}


async def test_a_document_over_the_servers_limit_is_rejected_and_the_rest_stored(
    search_server: SearchServer, prefix: str
) -> None:
    batch = [
        document(prefix, 1),
        document(prefix, 2, message="x" * MAX_REQUEST),
        document(prefix, 3),
    ]

    async with opened(search_server.url, template=template_for(prefix)) as output:
        result = await output.write(batch)

    assert (result.stored, result.retry) == (2, [])
    [rejection] = result.rejected
    assert rejection.document is batch[1]
    assert rejection.reason.startswith("413 larger than the server takes")


async def test_a_recipient_is_found_as_a_phrase_within_a_time_range(
    search_server: SearchServer, prefix: str
) -> None:
    batch = [
        document(prefix, 1, postfix_to="info@example.org"),
        document(prefix, 2, postfix_to="info@example.net"),
        document(prefix, 3, "2026.03.02", postfix_to="info@example.org"),
    ]
    template = IndexTemplate(prefix, (f"{prefix}-*",), index_template(replicas=0))
    async with opened(search_server.url, template=template) as output:
        await output.write(batch)

    async with asking(search_server) as client:
        await client.indices.refresh(index=f"{prefix}-*")
        day = {"gte": "2026-03-01T00:00:00Z", "lt": "2026-03-02T00:00:00Z"}
        answer = await client.search(
            index=f"{prefix}-*",
            query={
                "bool": {
                    "must": [{"match_phrase": {"postfix_to": "info@example.org"}}],
                    "filter": [{"range": {"@timestamp": day}}],
                }
            },
        )
        assert [hit["_id"] for hit in answer["hits"]["hits"]] == [batch[0].id]
        answer = await client.search(
            index=f"{prefix}-*", query={"term": {"postfix_to.keyword": "info@example.net"}}
        )
        assert [hit["_id"] for hit in answer["hits"]["hits"]] == [batch[1].id]


# ---- the index template, on real servers


async def test_the_template_shapes_new_indices(search_server: SearchServer, prefix: str) -> None:
    template = template_for(prefix, refresh_interval="7s")

    async with opened(search_server.url, template=template) as output:
        await output.write([document(prefix, 1, unknown="x")])

    index = f"{prefix}-2026.03.01"
    async with asking(search_server) as client:
        made = (await client.indices.get(index=index))[index]
        assert made["settings"]["index"]["refresh_interval"] == "7s"
        assert made["mappings"]["properties"] == MAPPINGS["properties"]


async def test_putting_the_template_that_the_server_has_changes_nothing_there(
    search_server: SearchServer, prefix: str
) -> None:
    async with asking(search_server) as client:
        async with opened(search_server.url, template=template_for(prefix)) as output:
            before = await state_version(client)
            await output.open()
        async with opened(search_server.url, template=template_for(prefix)):
            assert await state_version(client) == before


async def test_a_changed_template_replaces_the_old_one(
    search_server: SearchServer, prefix: str
) -> None:
    async with asking(search_server) as client:
        for replicas in (0, 1):
            wanted = template_for(prefix, number_of_replicas=replicas)
            async with opened(search_server.url, template=wanted):
                answer = await client.indices.get_index_template(name=prefix)
                [only] = answer["index_templates"]
                index = only["index_template"]["template"]["settings"]["index"]
                assert index["number_of_replicas"] == str(replicas)


async def test_opening_again_makes_good_a_template_that_is_gone(
    search_server: SearchServer, prefix: str
) -> None:
    async with (
        asking(search_server) as client,
        opened(search_server.url, template=template_for(prefix)) as output,
    ):
        await client.indices.delete_index_template(name=prefix)

        await output.open()

        assert await client.indices.exists_index_template(name=prefix)


async def test_a_template_that_the_server_refuses_is_an_error_of_the_operator(
    search_server: SearchServer, prefix: str
) -> None:
    wrong = IndexTemplate(prefix, (f"{prefix}-*",), {"settings": {"no_such_setting": 1}})

    with pytest.raises(UsageError, match=r"unknown setting \[index.no_such_setting\]"):
        async with opened(search_server.url, template=wrong):
            pass


# ---- outages, on real servers


async def test_an_output_outlives_a_restart_of_its_server(
    search_server: SearchServer, prefix: str
) -> None:
    running = ElasticOutput([search_server.url], template=template_for(prefix))
    new = ElasticOutput([search_server.url], template=template_for(prefix))
    try:
        await running.open()
        await running.write([document(prefix, 1)])
        with search_server.stopped():
            with pytest.raises(OutputUnavailable, match="cannot be reached: check that it runs"):
                await running.write([document(prefix, 2)])
            with pytest.raises(OutputUnavailable, match="cannot be reached"):
                await new.open()
            with pytest.raises(OutputUnavailable, match="not open yet"):
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


async def test_a_server_that_hangs_is_a_time_out_and_the_next_try_stores_once(
    search_server: SearchServer, prefix: str
) -> None:
    batch = [document(prefix, number) for number in range(3)]
    async with opened(search_server.url, template=template_for(prefix)):
        pass
    async with opened(search_server.url, timeout=1.0) as output:
        with (
            search_server.frozen(),
            pytest.raises(OutputUnavailable, match="did not answer in time"),
        ):
            await output.write(batch)
    async with opened(search_server.url) as output:
        result = await output.write(batch)

    assert (result.stored, result.rejected, result.retry) == (3, [], [])
    async with asking(search_server) as client:
        assert await stored(client, prefix) == {batch[0].index: [one.id for one in batch]}


async def test_documents_wait_while_the_server_has_no_room_for_a_new_index(
    search_server: SearchServer, prefix: str
) -> None:
    today, tomorrow = document(prefix, 1), document(prefix, 2, "2026.03.02")
    async with (
        asking(search_server) as client,
        opened(search_server.url, template=template_for(prefix)) as output,
    ):
        await output.write([today])
        async with cluster_setting(client, "cluster.max_shards_per_node", 1):
            with pytest.raises(OutputUnavailable, match="maximum shards open"):
                await output.write([tomorrow])
            mixed = await output.write([document(prefix, 3), tomorrow])
        later = await output.write(mixed.retry)

    assert (mixed.stored, mixed.rejected, mixed.retry) == (1, [], [tomorrow])
    assert later.stored == 1


async def test_documents_wait_while_the_server_may_not_create_indices(
    search_server: SearchServer, prefix: str
) -> None:
    async with asking(search_server) as client, opened(search_server.url) as output:
        async with cluster_setting(client, "action.auto_create_index", "false"):
            with pytest.raises(OutputUnavailable, match="no such index"):
                await output.write([document(prefix, 1)])
        assert (await output.write([document(prefix, 1)])).stored == 1


async def test_documents_wait_while_the_disk_is_full(
    search_server: SearchServer, prefix: str
) -> None:
    one, other = document(prefix, 1), document(prefix, 2)
    # What the server does to an index by itself when its disk passes the flood stage.
    block = "index.blocks.read_only_allow_delete"
    async with (
        asking(search_server) as client,
        opened(search_server.url, template=template_for(prefix)) as output,
    ):
        await output.write([one])
        await client.indices.put_settings(index=one.index, settings={block: True})
        with pytest.raises(OutputUnavailable, match="disk usage exceeded flood-stage"):
            await output.write([other])
        await client.indices.put_settings(index=one.index, settings={block: None})
        assert (await output.write([other])).stored == 1


async def test_a_straggler_for_a_closed_index_does_not_hold_up_todays_documents(
    search_server: SearchServer, prefix: str
) -> None:
    old, straggler = document(prefix, 1), document(prefix, 2)
    today = document(prefix, 3, "2026.03.09")
    async with (
        asking(search_server) as client,
        opened(search_server.url, template=template_for(prefix)) as output,
    ):
        await output.write([old])
        await client.indices.close(index=old.index)

        result = await output.write([straggler, today])

    assert (result.stored, result.retry) == (1, [])
    [rejection] = result.rejected
    assert rejection.document is straggler
    assert rejection.reason == "400 index_closed_exception: closed"


# ---- faults that a healthy server does not show: canned answers from a socket

OPENSEARCH = {"version": {"distribution": "opensearch", "number": "2.19.4"}}
ELASTIC_9 = {"version": {"number": "9.2.0"}}


@dataclass
class Canned:
    """An HTTP server with one answer for ``GET /`` and a list of answers for the rest."""

    greeting: tuple[int, object] = (200, OPENSEARCH)
    answers: list[tuple[int, object]] = field(default_factory=list)
    headers: str = ""
    requests: list[str] = field(default_factory=list)
    """The heads of the requests, in lower case."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode().lower():
                if "content-length: " in head:
                    await reader.readexactly(int(head.split("content-length: ")[1].split()[0]))
                self.requests.append(head)
                greeted = head.startswith("get / ")
                status, content = self.greeting if greeted else self.answers.pop(0)
                match content:
                    case str():
                        kind, body = "text/html", content
                    case bytes():
                        kind, body = "application/octet-stream", content.decode()
                    case _:
                        kind, body = "application/json", json.dumps(content)
                writer.write(
                    f"HTTP/1.1 {status} Canned\r\ncontent-type: {kind}\r\n{self.headers}"
                    f"content-length: {len(body)}\r\n\r\n{body}".encode()
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has closed the connection
        finally:
            writer.close()

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=tls)
        async with server:
            port = server.sockets[0].getsockname()[1]
            yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"


SECURITY = {"error": {"type": "security_exception", "reason": "action is unauthorized"}}


@pytest.mark.parametrize(
    ("greeting", "error", "message"),
    [
        pytest.param(
            (401, "Unauthorized"),
            UsageError,
            "refuses the login: check user and password, or api_key",
            id="a wrong password",
        ),
        pytest.param(
            (403, SECURITY),
            UsageError,
            "the role needs the cluster privileges monitor and manage_index_templates",
            id="a missing privilege",
        ),
        pytest.param(
            (404, "<h1>Not Found</h1>"),
            UsageError,
            "404 <h1>Not Found</h1>; check hosts",
            id="a wrong address",
        ),
        pytest.param(
            (200, "<h1>Welcome</h1>"),
            UsageError,
            "neither Elasticsearch nor OpenSearch",
            id="a web server",
        ),
        pytest.param(
            (200, {"version": {"number": "6.8.23"}}),
            UsageError,
            "Elasticsearch 6.8.23 is too old",
            id="an old server",
        ),
        pytest.param(
            (503, "OpenSearch Security not initialized."),
            OutputUnavailable,
            "is not ready: 503 OpenSearch Security not initialized.",
            id="a server that has just started",
        ),
        pytest.param(
            (200, b"what?"),
            OutputUnavailable,
            "the answer is not JSON: check for a proxy",
            id="another protocol",
        ),
        pytest.param(
            (502, "<h1>Bad Gateway</h1>"),
            OutputUnavailable,
            "is not ready: 502",
            id="a proxy whose server is down",
        ),
        pytest.param(
            (429, {"error": {"type": "circuit_breaking_exception", "reason": "Data too large"}}),
            OutputUnavailable,
            "429 circuit_breaking_exception: Data too large",
            id="a server out of memory",
        ),
    ],
)
async def test_a_failed_opening_says_in_one_line_what_to_do(
    greeting: tuple[int, object], error: type[MailingestError], message: str
) -> None:
    async with Canned(greeting).running() as url:
        output = ElasticOutput([url], user="mail", password=SECRET)
        with pytest.raises(error) as caught:
            await output.open()

    told = str(caught.value)
    assert message in told
    assert "\n" not in told
    assert SECRET not in told + repr(caught.value) + repr(output)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((429, {"error": {"type": "busy", "reason": ""}}), id="too many requests"),
        pytest.param((503, {"error": {"type": "no_master", "reason": ""}}), id="no master"),
        pytest.param((502, "<h1>Bad Gateway</h1>"), id="a proxy without its server"),
        pytest.param((401, "Unauthorized"), id="a password that was changed"),
        pytest.param((403, SECURITY), id="a privilege that was taken away"),
        pytest.param((400, "<h1>Bad Request</h1>"), id="a proxy that understands nothing"),
        pytest.param((200, {"errors": False, "items": []}), id="an answer that does not fit"),
    ],
)
async def test_a_fault_of_the_whole_request_leaves_the_batch_for_later(
    answer: tuple[int, object],
) -> None:
    async with Canned(answers=[answer]).running() as url, opened(url) as output:
        with pytest.raises(OutputUnavailable):
            await output.write([document("mail", 1), document("mail", 2)])


async def test_what_was_stored_before_the_outage_is_told_and_the_rest_is_for_later() -> None:
    batch = [document("mail", number, message="x" * 600_000) for number in range(3)]
    canned = Canned(
        answers=[
            (200, {"errors": False, "items": [{"create": {"status": 201}}]}),
            (503, {"error": {"type": "no_master", "reason": ""}}),
        ]
    )
    async with canned.running() as url, opened(url) as output:
        result = await output.write(batch)

    assert (result.stored, result.rejected, result.retry) == (1, [], batch[1:])


async def test_a_proxy_that_takes_away_the_product_header_is_told() -> None:
    # Elasticsearch 9 sends it, and the client insists on it.
    async with Canned((200, ELASTIC_9), [(200, {})]).running() as url:
        template = IndexTemplate("mail", ("mail-*",), {})
        with pytest.raises(UsageError, match="the server is not Elasticsearch"):
            async with opened(url, template=template):
                pass


async def test_halves_are_sent_in_order() -> None:
    batch = [document("mail", number) for number in range(2)]
    number_error = {"status": 400, "error": {"type": "first", "reason": ""}}
    canned = Canned(
        answers=[
            (413, "<h1>Request Entity Too Large</h1>"),
            (200, {"errors": True, "items": [{"create": number_error}]}),
            (200, {"errors": False, "items": [{"create": {"status": 201}}]}),
        ]
    )
    async with canned.running() as url, opened(url) as output:
        result = await output.write(batch)

    assert [one.document for one in result.rejected] == batch[:1]
    assert (result.stored, result.retry) == (1, [])


@pytest.mark.parametrize(
    ("greeting", "accepted"),
    [
        pytest.param(OPENSEARCH, "accept: application/json\r", id="plain to a bridged server"),
        pytest.param(ELASTIC_9, "compatible-with=9", id="its own to a native server"),
    ],
)
async def test_each_server_gets_the_media_types_that_it_knows(
    greeting: object, accepted: str
) -> None:
    created = (200, {"errors": False, "items": [{"create": {"status": 201}}]})
    canned = Canned((200, greeting), [created], headers="x-elastic-product: Elasticsearch\r\n")
    async with canned.running() as url, opened(url) as output:
        result = await output.write([document("mail", 1)])

    assert result.stored == 1
    first, bulk = canned.requests
    assert "accept: application/json\r" in first
    assert accepted in bulk
    assert "x-ndjson" in bulk


@pytest.mark.parametrize(
    ("api_key", "sent"),
    [
        pytest.param("aWQ6a2V5", "authorization: apikey awq6a2v5", id="encoded"),
        pytest.param("id:key", "authorization: apikey awq6a2v5", id="id and key"),
    ],
)
async def test_an_api_key_may_be_written_in_both_ways(api_key: str, sent: str) -> None:
    canned = Canned()
    async with canned.running() as url, opened(url, api_key=api_key):
        pass

    assert sent in canned.requests[0]


async def test_the_second_host_is_tried_when_the_first_is_down() -> None:
    created = (200, {"errors": False, "items": [{"create": {"status": 201}}]})
    canned = Canned(answers=[created])
    async with canned.running() as url, opened("http://127.0.0.1:9", url) as output:
        assert (await output.write([document("mail", 1)])).stored == 1


@pytest.mark.parametrize(
    ("host", "options", "message"),
    [
        pytest.param("127.0.0.1:9200", {}, "scheme", id="no scheme"),
        pytest.param("http://127.0.0.1", {}, "port", id="no port"),
        pytest.param(
            "https://127.0.0.1:9", {"ca_certs": Path("/no/such.pem")}, "ca_certs", id="no CA file"
        ),
        pytest.param(
            "http://127.0.0.1:9",
            {"user": "mail", "password": SECRET, "api_key": "id:key"},
            "api_key",
            id="two kinds of login",
        ),
    ],
)
async def test_settings_that_cannot_work_are_refused(
    host: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        await ElasticOutput([host], **options).open()
    assert SECRET not in str(caught.value)


# ---- TLS


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key in the same file."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=test"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(path), "-out", str(path.with_suffix(".crt"))),
        ],
        check=True,
        capture_output=True,
    )
    path.write_bytes(path.read_bytes() + path.with_suffix(".crt").read_bytes())
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_a_certificate_of_an_unknown_authority_is_refused_with_the_cure(
    tls: ssl.SSLContext,
) -> None:
    async with Canned().running(tls) as url:
        output = ElasticOutput([url])
        with pytest.raises(UsageError, match="not trusted: set ca_certs to the PEM file"):
            await output.open()


@pytest.mark.parametrize("option", ["ca_certs", "verify"])
async def test_a_certificate_is_accepted_with_its_authority_or_unverified(
    option: str, tls: ssl.SSLContext, certificate: Path
) -> None:
    options: dict[str, Any] = {"ca_certs": certificate} if option == "ca_certs" else {}
    async with (
        Canned().running(tls) as url,
        opened(url, verify=option != "verify", **options) as output,
    ):
        assert output.server is not None


async def test_https_to_a_server_without_tls_is_refused_with_the_cure(
    search_server: SearchServer,
) -> None:
    output = ElasticOutput([search_server.url.replace("http:", "https:")])
    with pytest.raises(UsageError, match="does not speak TLS: write http:// in hosts"):
        await output.open()


async def test_http_to_a_server_with_tls_names_the_scheme(tls: ssl.SSLContext) -> None:
    async with Canned().running(tls) as url:
        output = ElasticOutput([url.replace("https:", "http:")])
        with pytest.raises(OutputUnavailable, match="address and scheme in hosts"):
            await output.open()
