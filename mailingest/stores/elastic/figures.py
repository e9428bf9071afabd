"""The figures of a cluster that advice is made from; only reads there."""

from datetime import date
from typing import Any, Final, cast

from elasticsearch import AsyncElasticsearch

from mailingest.stores.days import day_of
from mailingest.stores.elastic.advice import Figures
from mailingest.stores.elastic.compatibility import Server, version_numbers
from mailingest.stores.elastic.connection import ElasticConnection

# Whole days, today left out: weekdays and weekends differ.
_DAYS: Final = 7
# The default of both servers, for one that does not tell its defaults.
_MAX_SHARDS_PER_NODE: Final = 1000


async def read_figures(connection: ElasticConnection, prefix: str, today: date) -> Figures:
    """The figures; takes the privileges to monitor the cluster and the indices."""
    client = connection.client
    nodes = await client.nodes.info(
        metric="jvm", filter_path=["nodes.*.roles", "nodes.*.jvm.mem.heap_max_in_bytes"]
    )
    data_nodes = [
        one for one in nodes.body.get("nodes", {}).values() if any(map(_is_of_data, one["roles"]))
    ]
    heap = sum(one["jvm"]["mem"]["heap_max_in_bytes"] for one in data_nodes)
    health = await client.cluster.health()
    shards = ("active_shards", "initializing_shards", "unassigned_shards")
    rows = await client.cat.indices(
        index=f"{prefix}-*",
        format="json",
        h=["index", "pri", "rep", "pri.store.size"],
        bytes="b",
        expand_wildcards="open",
    )
    days = {
        day: row
        for row in cast(list[dict[str, Any]], rows.body)
        if (day := day_of(str(row["index"]), prefix)) is not None
    }
    whole = sorted(day for day in days if day < today)[-_DAYS:]
    return Figures(
        data_nodes=len(data_nodes),
        heap_bytes=heap if _is_of_heap(connection.server) else None,
        max_shards_per_node=await _max_shards_per_node(client),
        shards=sum(health[name] for name in shards),
        day_shards=sum(int(row["pri"]) * (1 + int(row["rep"])) for row in days.values()),
        day_bytes=[int(days[day]["pri.store.size"] or 0) for day in whole],
    )


def _is_of_data(role: str) -> bool:
    """Whether a node of this role has shards; one of `data_frozen` has none of its own."""
    return role == "data" or (role.startswith("data_") and role != "data_frozen")


def _is_of_heap(server: Server | None) -> bool:
    """Whether shards take much heap; those of Elasticsearch 8.3 and later do not."""
    return server is None or server.kind == "opensearch" or version_numbers(server.version) < (8, 3)


async def _max_shards_per_node(client: AsyncElasticsearch) -> int:
    name = "max_shards_per_node"
    answer = await client.cluster.get_settings(
        include_defaults=True, filter_path=f"*.cluster.{name}"
    )
    # What is set for now goes before what is set for good.
    for level in ("transient", "persistent", "defaults"):
        if level in answer.body:
            return int(answer.body[level]["cluster"][name])
    return _MAX_SHARDS_PER_NODE
