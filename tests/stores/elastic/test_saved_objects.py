"""The saved objects: references resolve, inner JSON parses, fields exist.  No Kibana is asked."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from mailingest.config import data_directory
from mailingest.stores.elastic.saved_objects import saved_objects
from tests.stores.elastic.dashboards import assert_panels_fit, mapping_of
from tests.stores.elastic.kibana_schemas import ATTRIBUTES, SavedObject

OBJECTS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (data_directory("config") / "saved-objects.ndjson").read_text().splitlines()
]
# What Kibana 7.10 and OpenSearch Dashboards write; newer ones migrate it when they import it.
FORMATS = {
    "index-pattern": "7.6.0",
    "search": "7.9.3",
    "visualization": "7.10.0",
    "dashboard": "7.9.3",
}
each = pytest.mark.parametrize("thing", OBJECTS, ids=lambda thing: str(thing["id"]))


def inner_json(attributes: dict[str, Any]) -> Iterator[Any]:
    """The parts of an object that are JSON in a string."""
    for name, value in attributes.items():
        if name.endswith("JSON") or name == "visState":
            yield json.loads(value)
        elif isinstance(value, dict):
            yield from inner_json(value)


def aggregations(thing: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(thing["attributes"].get("visState", '{"aggs":[]}'))[
        "aggs"
    ]
    return found


def query_of(thing: dict[str, Any]) -> str:
    meta = thing["attributes"].get("kibanaSavedObjectMeta", {})
    source = json.loads(meta.get("searchSourceJSON", "{}"))
    return str(source.get("query", {}).get("query", ""))


def test_there_is_a_data_view_a_search_and_a_dashboard_with_all_else_on_it() -> None:
    kinds = [thing["type"] for thing in OBJECTS]
    assert kinds.count("index-pattern") == kinds.count("search") == kinds.count("dashboard") == 1
    [dashboard] = [thing for thing in OBJECTS if thing["type"] == "dashboard"]
    shown = {reference["id"] for reference in dashboard["references"]}
    assert shown == {
        thing["id"] for thing in OBJECTS if thing["type"] in ("search", "visualization")
    }


def test_ids_are_unique() -> None:
    assert len({(thing["type"], thing["id"]) for thing in OBJECTS}) == len(OBJECTS)


@each
def test_the_format_is_one_that_all_versions_import(thing: dict[str, Any]) -> None:
    assert thing["migrationVersion"] == {thing["type"]: FORMATS[thing["type"]]}


@each
def test_each_version_knows_the_names_and_types(thing: dict[str, Any]) -> None:
    SavedObject.model_validate(thing)
    ATTRIBUTES[thing["type"]].model_validate(thing["attributes"])


@each
def test_what_a_day_of_logstash_has_as_text_is_asked_for_by_keyword(thing: dict[str, Any]) -> None:
    for aggregation in aggregations(thing):
        field = aggregation["params"].get("field", "")
        if aggregation["type"] == "terms" and not field.endswith(".domain"):
            assert field.endswith(".keyword"), field


@each
def test_references_resolve_to_objects_that_come_before(thing: dict[str, Any]) -> None:
    before = {(one["type"], one["id"]) for one in OBJECTS[: OBJECTS.index(thing)]}
    assert {(one["type"], one["id"]) for one in thing["references"]} <= before


@each
def test_what_an_object_names_it_refers_to(thing: dict[str, Any]) -> None:
    named = re.findall(
        r'"(?:indexRefName|panelRefName)":"([^"]+)"',
        json.dumps(thing["attributes"]).replace("\\", ""),
    )
    assert sorted(named) == sorted(reference["name"] for reference in thing["references"])


@each
def test_inner_json_parses_and_has_the_title(thing: dict[str, Any]) -> None:
    for part in inner_json(thing["attributes"]):
        if isinstance(part, dict) and "title" in part:
            assert part["title"] == thing["attributes"]["title"]


@each
def test_aggregations_are_over_fields_that_can_be_aggregated(thing: dict[str, Any]) -> None:
    for aggregation in aggregations(thing):
        field = aggregation["params"].get("field")
        if aggregation["type"] == "count":
            assert field is None
            continue
        mapping = mapping_of(field)
        assert mapping is not None, field
        wanted = {
            "terms": {"keyword", "ip", "long"},
            "date_histogram": {"date"},
            "percentiles": {"float", "long"},
        }[aggregation["type"]]
        assert mapping["type"] in wanted, field


@each
def test_metrics_come_first_and_ids_are_those_of_the_series(thing: dict[str, Any]) -> None:
    found = aggregations(thing)
    assert len({one["id"] for one in found}) == len(found)
    assert [one["schema"] for one in found][:1] in ([], ["metric"])
    if thing["type"] == "visualization":
        state = json.loads(thing["attributes"]["visState"])
        series = [one["data"]["id"] for one in state["params"].get("seriesParams", [])]
        assert set(series) <= {one["id"] for one in found}
        orders = {one["params"]["orderBy"] for one in found if one["type"] == "terms"}
        assert orders <= {one["id"] for one in found if one["schema"] == "metric"}


@each
def test_queries_and_columns_name_declared_fields(thing: dict[str, Any]) -> None:
    fields = re.findall(r"([\w@.-]+):", query_of(thing))
    fields += thing["attributes"].get("columns", [])
    fields += [name for name, _ in thing["attributes"].get("sort", [])]
    fields += [thing["attributes"].get("timeFieldName", "@timestamp")]
    assert all(mapping_of(field) for field in fields), fields


def test_the_panels_do_not_overlap_and_fit_the_grid() -> None:
    [dashboard] = [thing for thing in OBJECTS if thing["type"] == "dashboard"]
    panels = json.loads(dashboard["attributes"]["panelsJSON"])
    assert [panel["gridData"]["i"] for panel in panels] == [one["panelIndex"] for one in panels]
    assert_panels_fit((panel["gridData"] for panel in panels), 48)


def test_the_default_prefix_gives_the_shipped_file() -> None:
    assert [json.loads(line) for line in saved_objects("mail").splitlines()] == OBJECTS


def test_another_prefix_is_in_all_names() -> None:
    text = saved_objects("post").decode()
    written = [json.loads(line) for line in text.splitlines()]
    assert written[0]["attributes"]["title"] == "post-*"
    assert '"mail-' not in text
    assert "[mail]" not in text
    known = {(one["type"], one["id"]) for one in written}
    assert all(id.startswith("post-") for _, id in known)
    assert all(
        (reference["type"], reference["id"]) in known
        for one in written
        for reference in one["references"]
    )
