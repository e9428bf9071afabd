"""Declared fields -> index template for Elasticsearch and OpenSearch.

Sources: index templates (`PUT _index_template`), mapping types `keyword`, `text`, `ip`, `long`,
`float`, `date`, `binary`, `ignore_above`, `normalizer`, `doc_values`, the `standard` and the
`pattern` analyzer of the Elasticsearch reference; OpenSearch takes the same.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Any, Final

from mailingest.postfix.fields import FIELDS, Field, FieldType
from mailingest.postfix.names import MESSAGE_ID
from mailingest.stores.criteria import FIELDS_OF

LONGEST_KEYWORD: Final = 8191
"""Characters; Lucene refuses terms over 32,766 bytes, and a character may take four."""
LONGEST_DYNAMIC_KEYWORD: Final = 256
"""Characters: what Logstash's and Elasticsearch's default mapping has for `.keyword`."""
MARK: Final = f"{MESSAGE_ID}.lower"
"""A field that every index of this layout has, and no index of another one."""

_KEYWORD: Final = {"type": "keyword", "ignore_above": LONGEST_KEYWORD}
_LOWER_KEYWORD: Final = {**_KEYWORD, "normalizer": "mailingest_lowercase"}
# Dashboards made for Logstash ask for `postfix_status.keyword`, so every keyword has it.
_PLAIN: Final = {**_KEYWORD, "fields": {"keyword": _KEYWORD}}
# What a trace asks for in any case.  Nothing sorts or counts by it: the terms are enough.
_FOLDED: Final = {
    **_KEYWORD,
    "fields": {"keyword": _KEYWORD, "lower": {**_LOWER_KEYWORD, "doc_values": False}},
}
# The field itself is analysed as Logstash's mapping does (the standard analyzer), for scripts with
# `match_phrase` to find what they found: that address, and no longer one that ends with it.  It is
# case-insensitive whole by `.keyword`, by `.domain`, and by its `.parts`: there, a match_phrase of
# `example.com` finds `john.smith@mail.example.com`.
_ADDRESS: Final = {
    "type": "text",
    "norms": False,
    "fields": {
        "keyword": _LOWER_KEYWORD,
        "domain": {**_KEYWORD, "normalizer": "mailingest_domain"},
        "parts": {"type": "text", "analyzer": "mailingest_address", "norms": False},
    },
}
_SHORT_KEYWORD: Final = {"type": "keyword", "ignore_above": LONGEST_DYNAMIC_KEYWORD}
_TEXT: Final = {"type": "text", "norms": False, "fields": {"keyword": _SHORT_KEYWORD}}
_LINE: Final = {"type": "text", "norms": False}
_MAPPINGS: Final[dict[FieldType, dict[str, Any]]] = {
    "keyword": _PLAIN,
    "address": _ADDRESS,
    "text": _TEXT,
    # Their `.keyword` is for dashboards made for Logstash, which has them as texts; that of an
    # address of the network is what a part of it is looked for in.
    "integer": {"type": "long", "fields": {"keyword": _SHORT_KEYWORD}},
    "float": {"type": "float", "fields": {"keyword": _SHORT_KEYWORD}},
    "ip": {"type": "ip", "fields": {"keyword": {**_LOWER_KEYWORD, **_SHORT_KEYWORD}}},
    "date": {"type": "date"},
    "binary": {"type": "binary"},
}
_ASKED_FOR: Final = frozenset(chain.from_iterable(FIELDS_OF.values()))


def index_template(*, replicas: int, shards: int = 1, own: Iterable[Field] = ()) -> dict[str, Any]:
    """Settings and mappings of the daily indices, with ``replicas`` copies of each of the shards.

    ``own`` are fields that users have declared besides.
    """
    return {
        "settings": {
            "index": {
                "number_of_shards": shards,
                "number_of_replicas": replicas,
                "refresh_interval": "5s",
                "codec": "best_compression",
            },
            "analysis": {
                "analyzer": {
                    "mailingest_address": {
                        "type": "pattern",
                        "pattern": "[^\\p{L}\\p{N}]+",
                        "lowercase": True,
                    }
                },
                "char_filter": {
                    # A quoted local part may have an @ of its own.
                    "mailingest_after_at": {
                        "type": "pattern_replace",
                        "pattern": "^.*@",
                        "replacement": "",
                    }
                },
                "normalizer": {
                    "mailingest_lowercase": {"type": "custom", "filter": ["lowercase"]},
                    "mailingest_domain": {
                        "type": "custom",
                        "char_filter": ["mailingest_after_at"],
                        "filter": ["lowercase"],
                    },
                },
            },
        },
        "mappings": {
            # Only declared fields are indexed; anything else stays in the document.
            "dynamic": False,
            "properties": _properties([*FIELDS, *own]),
        },
    }


def _properties(fields: Iterable[Field]) -> dict[str, Any]:
    """The mappings by name; of ``client.ip``, the server makes an object with an ``ip``."""
    properties: dict[str, Any] = {}
    for field in fields:
        *path, name = field.name.split(".")
        inner = properties
        for part in path:
            inner = inner.setdefault(part, {"properties": {}})["properties"]
        inner[name] = _mapping(field)
    return properties


def _mapping(field: Field) -> dict[str, Any]:
    if field.name == "message":
        # Nearly every line is another one: `message.keyword` would be a third of the whole index,
        # and nobody counts lines by their text.
        return _LINE
    is_folded = field.type == "keyword" and field.name in _ASKED_FOR
    return _FOLDED if is_folded else _MAPPINGS[field.type]
