"""Outputs, documents and index templates for the tests on search servers."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, cast

import orjson
from elasticsearch import ApiError, AsyncElasticsearch

from mailingest.documents import Document
from mailingest.stores.elastic.compatibility import BridgeNode
from mailingest.stores.elastic.connection import ElasticConnection, Login
from mailingest.stores.elastic.template import IndexTemplate
from mailingest.stores.elastic.tls import Tls
from mailingest.stores.elastic.writer import ElasticWriter
from tests.support.lab.polling import PATIENCE
from tests.support.servers import SearchServer
from tests.support.servers.security import ADMIN, PASSWORD

MAPPINGS: Mapping[str, Any] = {
    "dynamic": False,
    "properties": {
        "@timestamp": {"type": "date"},
        "postfix_to": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
        "postfix_nrcpt": {"type": "integer"},
    },
}


def template_for(prefix: str, **settings: object) -> IndexTemplate:
    settings = {"number_of_shards": 1, "number_of_replicas": 0} | settings
    return IndexTemplate(prefix, (f"{prefix}-*",), {"settings": settings, "mappings": MAPPINGS})


def document(prefix: str, number: int, day: str = "2026.03.01", **fields: object) -> Document:
    values = {"@timestamp": f"{day.replace('.', '-')}T12:00:00.000Z"} | fields
    return Document(
        f"{prefix}-{day}", f"{number:020d}", orjson.dumps(values), 1772366400 + number, values
    )


def writer_to(
    *servers: SearchServer | str,
    user: str = ADMIN,
    template: IndexTemplate | None = None,
    **options: Any,
) -> ElasticWriter:
    for server in servers:
        if isinstance(server, SearchServer) and server.kind.is_secured:
            options.setdefault("login", lambda: Login(user, PASSWORD))
            options.setdefault("tls", Tls(ca_certs=server.certificates.authority))
    options.setdefault("timeout", PATIENCE)
    urls = [server.url if isinstance(server, SearchServer) else server for server in servers]
    templates = [] if template is None else [template]
    return ElasticWriter(ElasticConnection(urls, **options), *templates)


@asynccontextmanager
async def opened(
    *servers: SearchServer | str, user: str = ADMIN, **options: Any
) -> AsyncIterator[ElasticWriter]:
    """An writer to servers, or to URLs; ``user`` logs in to the secured ones."""
    writer = writer_to(*servers, user=user, **options)
    try:
        await writer.open()
        yield writer
    finally:
        await writer.close()


@asynccontextmanager
async def asking(server: SearchServer) -> AsyncIterator[AsyncElasticsearch]:
    """An official client with all rights, to look with."""
    access: dict[str, Any] = {"request_timeout": PATIENCE}
    if server.kind.is_secured:
        access["basic_auth"] = (ADMIN, PASSWORD)
        access["ca_certs"] = str(server.certificates.authority)
    async with AsyncElasticsearch([server.url], node_class=BridgeNode, **access) as client:
        yield client


async def searched(client: AsyncElasticsearch, index: str, **body: Any) -> Mapping[str, Any]:
    """The answer to a search in all that was written before, when all of it can be searched.

    The shards of an index that was just created, or whose server has just started, are not there
    at once: a search fails then, or leaves them out.
    """
    patient = client.options(request_timeout=PATIENCE)
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await patient.cluster.health(
                    index=index, wait_for_status="yellow", timeout=f"{PATIENCE:g}s"
                )
                await patient.indices.refresh(index=index)
                answer = await patient.search(
                    index=index, allow_partial_search_results=False, **body
                )
            except ApiError as error:
                # One more index was created meanwhile.
                if error.meta.status != HTTPStatus.SERVICE_UNAVAILABLE:
                    raise
                await asyncio.sleep(0.1)
            else:
                return cast(Mapping[str, Any], answer.body)


async def stored(client: AsyncElasticsearch, prefix: str) -> dict[str, list[str]]:
    """The document ids by index."""
    answer = await searched(client, f"{prefix}-*", size=1000)
    found: dict[str, list[str]] = {}
    for hit in answer["hits"]["hits"]:
        found.setdefault(hit["_index"], []).append(hit["_id"])
    return {index: sorted(ids) for index, ids in found.items()}


async def state_version(client: AsyncElasticsearch) -> int:
    """The version of the cluster's state, when nothing is left that would change it."""
    await client.cluster.health(
        wait_for_events="languid", wait_for_no_initializing_shards=True, timeout=f"{PATIENCE:g}s"
    )
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
