"""The dashboard for Grafana: its own schema, fields that exist, queries that a server takes.

The schema is that of Grafana's published library (grafana-foundation-sdk).  No Grafana is asked.
"""

import json
import re
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from mailingest.config import data_directory
from mailingest.stores.elastic.grafana import grafana_dashboard
from mailingest.stores.elastic.schema import index_template
from tests.stores.elastic.dashboards import assert_panels_fit, mapping_of
from tests.support.elastic import asking
from tests.support.grafana import dropped, mistyped
from tests.support.servers import SearchServer

SHIPPED: dict[str, Any] = json.loads(
    (data_directory("config") / "grafana-dashboard.json").read_text()
)
TARGETS = [
    pytest.param(target, id=panel["title"])
    for panel in SHIPPED["panels"]
    for target in panel["targets"]
]
# What Grafana makes of a text box that holds `*`.
VARIABLES = {"$recipient": "*"}
AGGREGATED = {"terms": {"keyword"}, "date_histogram": {"date"}, "percentiles": {"float", "long"}}


def lucene(target: dict[str, Any]) -> str:
    query: str = target["query"]
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    return query


def test_grafana_knows_all_of_it() -> None:
    register_default_plugins()
    taken = json.loads(json.dumps(Dashboard.from_json(SHIPPED), cls=JSONEncoder))
    assert list(dropped(SHIPPED, taken)) == []


def test_the_types_are_those_of_the_schema() -> None:
    register_default_plugins()
    assert list(mistyped(Dashboard.from_json(SHIPPED))) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param(("titel",), "Mail", id="an unknown name"),
        pytest.param(("panels", 0, "gridPos", "w"), "6", id="a text for a number"),
        pytest.param(("panels", 4, "targets", 0, "bucketAggs", 0, "sise"), "1", id="in a query"),
        pytest.param(("time", "from"), 24, id="a number for a text"),
        pytest.param(("panels", 11, "transformations", 0, "id"), 24, id="in a transformation"),
    ],
)
def test_a_slip_is_found(path: tuple[Any, ...], value: object) -> None:
    register_default_plugins()
    slipped = json.loads(json.dumps(SHIPPED))
    inner = slipped
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    read = Dashboard.from_json(slipped)
    taken = json.loads(json.dumps(read, cls=JSONEncoder))
    assert len([*dropped(slipped, taken), *mistyped(read)]) == 1


@pytest.mark.parametrize("target", TARGETS)
def test_fields_can_be_aggregated_also_where_logstash_made_the_day(target: dict[str, Any]) -> None:
    assert target["timeField"] == "@timestamp"
    for aggregation in [*target["bucketAggs"], *target["metrics"]]:
        if field := aggregation.get("field"):
            mapping = mapping_of(field)
            assert mapping is not None, field
            assert mapping["type"] in AGGREGATED[aggregation["type"]], field
            if aggregation["type"] == "terms":
                assert field.endswith((".keyword", ".domain"))


@pytest.mark.parametrize("target", TARGETS)
def test_queries_name_declared_fields(target: dict[str, Any]) -> None:
    fields = re.findall(r"([\w@.-]+):", target["query"])
    assert fields
    assert all(mapping_of(field) for field in fields), fields


def test_columns_are_declared_fields() -> None:
    [shown] = [
        step["options"]["include"]["names"]
        for step in SHIPPED["panels"][-1]["transformations"]
        if step["id"] == "filterFieldsByName"
    ]
    assert all(mapping_of(field) for field in shown)


def test_the_panels_do_not_overlap_and_fit_the_grid() -> None:
    assert_panels_fit((panel["gridPos"] for panel in SHIPPED["panels"]), 24)
    assert len({panel["id"] for panel in SHIPPED["panels"]}) == len(SHIPPED["panels"])


def test_another_prefix_is_in_the_names() -> None:
    written = json.loads(grafana_dashboard("post"))
    assert (written["uid"], written["title"]) == ("post-flow", "[post] Mail flow")
    assert json.loads(grafana_dashboard("mail")) == SHIPPED


async def test_servers_take_the_queries_and_aggregate(search_server: SearchServer) -> None:
    index = "grafana-2026.03.01"
    async with asking(search_server) as client:
        await client.indices.create(index=index, **index_template(replicas=0))
        try:
            events: list[dict[str, object]] = [
                {"postfix_status": "sent", "postfix_to": "a@example.net", "outcome": "sent"},
                {"postfix_status": "deferred", "postfix_to": "B@example.net", "postfix_delay": 4.5},
                {"postfix_action": "milter-reject", "outcome": "rejected"},
            ]
            for event in events:
                document = {"@timestamp": "2026-03-01T12:00:00Z", **event}
                await client.index(index=index, document=document, refresh=True)
            found = {}
            for panel in SHIPPED["panels"]:
                [target] = panel["targets"]
                answer = await client.search(
                    index=index,
                    query={"query_string": {"query": lucene(target), "analyze_wildcard": True}},
                    aggs={
                        one["id"]: {one["type"]: {"field": one["field"]}}
                        for one in [*target["bucketAggs"], *target["metrics"]]
                        if one["type"] in ("terms", "percentiles")
                    },
                    track_total_hits=True,
                )
                found[panel["title"]] = answer["hits"]["total"]["value"]
        finally:
            await client.indices.delete(index=index)
    assert found == {
        "Delivered": 1,
        "Deferred": 0,
        "Bounced": 0,
        "Refused": 1,
        "Deliveries by status": 2,
        "Delays of delivered mail": 1,
        "Refused before the queue": 1,
        "Top reasons of deferrals": 1,
        "Top relays that bounce": 0,
        "Top sender domains": 2,
        "Top recipient domains": 2,
        "Deliveries": 2,
    }
