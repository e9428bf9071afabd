"""The index template: every declared field, with the type that it has."""

import itertools
import json
from typing import Any

import pytest

from mailingest.postfix.fields import FIELDS, Field
from mailingest.stores.criteria import FIELDS_OF
from mailingest.stores.elastic.schema import index_template

KEYWORD = {"type": "keyword", "ignore_above": 8191}
LOWER = {**KEYWORD, "normalizer": "mailingest_lowercase"}
SHORT = {"type": "keyword", "ignore_above": 256}
PROPERTIES: dict[str, Any] = index_template(replicas=1)["mappings"]["properties"]


def test_all_declared_fields_are_mapped_and_no_others() -> None:
    assert list(PROPERTIES) == [field.name for field in FIELDS]


@pytest.mark.parametrize(
    ("name", "mapping"),
    [
        pytest.param("@timestamp", {"type": "date"}, id="the time is a date"),
        pytest.param(
            "postfix_size",
            {"type": "long", "fields": {"keyword": SHORT}},
            id="a number, also as Logstash's mapping has it",
        ),
        pytest.param(
            "postfix_delay", {"type": "float", "fields": {"keyword": SHORT}}, id="a fraction"
        ),
        pytest.param(
            "postfix_client_ip",
            {
                "type": "ip",
                "fields": {"keyword": {**SHORT, "normalizer": "mailingest_lowercase"}},
            },
            id="an address of the network, and a part of it",
        ),
        pytest.param("raw", {"type": "binary"}, id="bytes"),
        pytest.param(
            "postfix_status",
            {**KEYWORD, "fields": {"keyword": KEYWORD}},
            id="a keyword, also under the name that Logstash's mapping has",
        ),
        pytest.param(
            "postfix_message-id",
            {**KEYWORD, "fields": {"keyword": KEYWORD, "lower": {**LOWER, "doc_values": False}}},
            id="a keyword that is asked for in any case",
        ),
        pytest.param("message", {"type": "text", "norms": False}, id="a line, by its words only"),
        pytest.param(
            "postfix_smtp_response",
            {"type": "text", "norms": False, "fields": {"keyword": SHORT}},
            id="a text, whole if it is short",
        ),
        pytest.param(
            "postfix_to",
            {
                "type": "text",
                "norms": False,
                "fields": {
                    "keyword": LOWER,
                    "domain": {**KEYWORD, "normalizer": "mailingest_domain"},
                    "parts": {"type": "text", "analyzer": "mailingest_address", "norms": False},
                },
            },
            id="a mail address as Logstash's mapping has it, whole, by its domain and its parts",
        ),
    ],
)
def test_a_type(name: str, mapping: dict[str, Any]) -> None:
    assert PROPERTIES[name] == mapping


def test_all_addresses_are_case_blind() -> None:
    addresses = [field.name for field in FIELDS if field.type == "address"]

    assert {"postfix_from", "postfix_to", "postfix_orig_to"} <= set(addresses)
    assert [name for name in PROPERTIES if "parts" in PROPERTIES[name].get("fields", {})] == (
        addresses
    )


def test_what_is_asked_for_in_any_case_is_in_lower_case() -> None:
    """So that no question compares each keyword of an index."""
    for field in itertools.chain.from_iterable(FIELDS_OF.values()):
        mapping = PROPERTIES[field]
        below = mapping.get("fields", {}).values()
        normalizers = {one.get("normalizer") for one in below}
        assert "mailingest_lowercase" in normalizers or mapping["type"] == "text", field


def test_whatever_logstash_has_a_keyword_of_has_one_here() -> None:
    """Dashboards ask for it, whatever the type; the text of a line, nobody counts by."""
    texts = {field.name for field in FIELDS if field.type not in ("date", "binary")}

    assert {name for name in PROPERTIES if "keyword" in PROPERTIES[name].get("fields", {})} == (
        texts - {"message"}
    )


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

    assert properties == {**PROPERTIES, "mine": PROPERTIES["postfix_delay"]}
    assert inner == {
        "b": {"properties": {"c": PROPERTIES["postfix_client_ip"]}},
        "d": PROPERTIES["postfix_status_message"],
    }
