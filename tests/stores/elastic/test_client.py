"""What the bridge expects of the client's insides; a new client that moves them fails here.

When one does, look at `mailingest.stores.elastic.compatibility` before the cap in pyproject.toml.
"""

import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib.metadata import requires, version

import pytest
from elastic_transport import (
    AiohttpHttpNode,
    ApiResponseMeta,
    AsyncTransport,
    HttpHeaders,
    NodeConfig,
)
from elasticsearch import AsyncElasticsearch, UnsupportedProductError
from packaging.requirements import Requirement

from mailingest.stores.elastic.compatibility import NATIVE_MAJOR, BridgeNode, plain_media_types
from mailingest.stores.elastic.connection import ElasticConnection
from tests.stores.elastic.canned import OPENSEARCH, Canned

CREATED = {"errors": False, "items": []}


def sent_headers(canned: Canned) -> list[dict[str, str]]:
    """The headers of each request."""
    return [
        dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        for head in canned.requests
    ]


@pytest.mark.parametrize("package", ["elasticsearch", "elastic-transport"])
def test_the_client_is_capped_to_the_major_version_that_is_tested(package: str) -> None:
    [wanted] = [
        requirement
        for requirement in map(Requirement, requires("mailingest") or [])
        if requirement.name == package and requirement.marker is None
    ]
    assert version(package).split(".")[0] == str(NATIVE_MAJOR)
    assert wanted.specifier.contains(version(package))
    assert not wanted.specifier.contains(f"{NATIVE_MAJOR + 1}.0.0")


def test_a_node_is_called_as_the_bridge_is_written() -> None:
    theirs = inspect.signature(AiohttpHttpNode.perform_request).parameters
    assert list(theirs) == list(inspect.signature(BridgeNode.perform_request).parameters)
    assert list(theirs) == ["self", "method", "target", "body", "headers", "request_timeout"]
    assert "node_class" in inspect.signature(AsyncElasticsearch).parameters
    assert "node_class" in inspect.signature(AsyncTransport).parameters


async def test_a_node_gives_what_the_bridge_takes_apart() -> None:
    async with Canned().running() as url:
        host, port = url.removeprefix("http://").split(":")
        node = AiohttpHttpNode(NodeConfig("http", host, int(port)))
        try:
            answer = await node.perform_request("GET", "/", headers=HttpHeaders())
        finally:
            await node.close()
    assert answer._fields == ("meta", "body")
    assert is_dataclass(ApiResponseMeta)
    assert "headers" in [field.name for field in fields(ApiResponseMeta)]
    assert isinstance(answer.meta.headers, Mapping)


async def test_without_the_bridge_the_client_takes_no_older_server() -> None:
    async with Canned().running() as url, AsyncElasticsearch(url) as client:
        with pytest.raises(UnsupportedProductError):
            await client.info()


async def test_with_it_headers_are_plain_and_the_answer_is_taken() -> None:
    canned = Canned((200, OPENSEARCH), [(200, CREATED)])
    async with canned.running() as url:
        connection = ElasticConnection([url])
        try:
            await connection.open()
            answer = await connection.client.bulk(operations=[])
        finally:
            await connection.close()
    assert answer.body == CREATED
    greeting, bulk = sent_headers(canned)
    assert greeting["accept"] == bulk["accept"] == "application/json"
    assert bulk["content-type"] == "application/x-ndjson"


async def test_the_clients_own_media_types_are_those_that_are_rewritten() -> None:
    canned = Canned((200, OPENSEARCH), [(200, CREATED)], "x-elastic-product: Elasticsearch\r\n")
    async with canned.running() as url, AsyncElasticsearch(url) as client:
        await client.bulk(operations=[])
    [sent] = sent_headers(canned)
    compatible = f"compatible-with={NATIVE_MAJOR}"
    assert sent["accept"] == f"application/vnd.elasticsearch+json; {compatible}"
    assert sent["content-type"] == f"application/vnd.elasticsearch+x-ndjson; {compatible}"
    plain = plain_media_types(HttpHeaders(sent))
    assert (plain["accept"], plain["content-type"]) == ("application/json", "application/x-ndjson")
