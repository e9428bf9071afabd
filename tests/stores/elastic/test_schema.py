"""The index template: every declared field, with the type that it has."""

import json
from typing import Any

import pytest

from mailingest.postfix.fields import FIELDS, Field
from mailingest.stores.elastic.schema import index_template

KEYWORD = {"type": "keyword", "ignore_above": 8191}
PROPERTIES: dict[str, Any] = index_template(replicas=1)["mappings"]["properties"]


def test_all_declared_fields_are_mapped_and_no_others() -> None:
    assert list(PROPERTIES) == [field.name for field in FIELDS]


@pytest.mark.parametrize(
    ("name", "mapping"),
    [
        pytest.param("@timestamp", {"type": "date"}, id="the time is a date"),
        pytest.param("postfix_size", {"type": "long"}, id="a number"),
        pytest.param("postfix_delay", {"type": "float"}, id="a fraction"),
        pytest.param("postfix_client_ip", {"type": "ip"}, id="an address of the network"),
        pytest.param("raw", {"type": "binary"}, id="bytes"),
        pytest.param(
            "postfix_status",
            {**KEYWORD, "fields": {"keyword": KEYWORD}},
            id="a keyword, also under the name that Logstash's mapping has",
        ),
        pytest.param("message", {"type": "text", "norms": False}, id="a line, by its words only"),
        pytest.param(
            "postfix_smtp_response",
            {
                "type": "text",
                "norms": False,
                "fields": {"keyword": {"type": "keyword", "ignore_above": 256}},
            },
            id="a text, whole if it is short",
        ),
        pytest.param(
            "postfix_to",
            {
                "type": "text",
                "analyzer": "mailingest_address",
                "norms": False,
                "fields": {
                    "keyword": {**KEYWORD, "normalizer": "mailingest_lowercase"},
                    "domain": {**KEYWORD, "normalizer": "mailingest_domain"},
                },
            },
            id="a mail address, case-insensitive, whole, by its domain and by its parts",
        ),
    ],
)
def test_a_type(name: str, mapping: dict[str, Any]) -> None:
    assert PROPERTIES[name] == mapping


def test_all_addresses_are_case_blind() -> None:
    addresses = [field.name for field in FIELDS if field.type == "address"]

    assert {"postfix_from", "postfix_to", "postfix_orig_to"} <= set(addresses)
    assert [name for name in PROPERTIES if "analyzer" in PROPERTIES[name]] == addresses


@pytest.mark.parametrize("replicas", [0, 2])
def test_the_settings(replicas: int) -> None:
    template = index_template(shards=3, replicas=replicas)
    index = template["settings"]["index"]

    assert (index["number_of_shards"], index["number_of_replicas"]) == (3, replicas)
    assert index["refresh_interval"] == "5s"
    # Fields that are not declared are kept, but never make the mapping grow.
    assert template["mappings"]["dynamic"] is False


def test_what_the_mapping_names_is_defined() -> None:
    template = index_template(replicas=1)
    analysis = template["settings"]["analysis"]

    assert set(analysis["analyzer"]) == {"mailingest_address"}
    assert set(analysis["normalizer"]) == {"mailingest_lowercase", "mailingest_domain"}
    assert set(analysis["char_filter"]) == {"mailingest_after_at"}
    assert json.loads(json.dumps(template)) == template


def test_own_fields_come_besides_and_dots_make_objects() -> None:
    own = [
        Field("mine", "float", "", ""),
        Field("a.b.c", "ip", "", ""),
        Field("a.d", "text", "", ""),
    ]
    properties = index_template(replicas=1, own=own)["mappings"]["properties"]
    inner = properties.pop("a")["properties"]

    assert properties == {**PROPERTIES, "mine": {"type": "float"}}
    assert inner == {
        "b": {"properties": {"c": {"type": "ip"}}},
        "d": PROPERTIES["postfix_status_message"],
    }
