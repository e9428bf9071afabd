"""Declared fields -> index template for Elasticsearch and OpenSearch.

Sources: index templates (`PUT _index_template`), mapping types `keyword`, `text`, `ip`, `long`,
`float`, `date`, `binary`, `ignore_above`, `normalizer` and the `pattern` analyzer of the
Elasticsearch reference; OpenSearch takes the same.
"""

from collections.abc import Iterable
from typing import Any, Final

from mailingest.postfix.fields import FIELDS, Field, FieldType

LONGEST_KEYWORD: Final = 8191
"""Characters; Lucene refuses terms over 32,766 bytes, and a character may take four."""
# What Logstash's and Elasticsearch's default mapping has for `.keyword`.
_LONGEST_TEXT_KEYWORD: Final = 256

_KEYWORD: Final = {"type": "keyword", "ignore_above": LONGEST_KEYWORD}
# An address is case-insensitive: whole by `.keyword`, by `.domain`, and by its parts, so that a
# match_phrase of `example.com` finds `john.smith@mail.example.com`.
_ADDRESS: Final = {
    "type": "text",
    "analyzer": "mailingest_address",
    "norms": False,
    "fields": {
        "keyword": {
            "type": "keyword",
            "normalizer": "mailingest_lowercase",
            "ignore_above": LONGEST_KEYWORD,
        },
        "domain": {
            "type": "keyword",
            "normalizer": "mailingest_domain",
            "ignore_above": LONGEST_KEYWORD,
        },
    },
}
_TEXT: Final = {
    "type": "text",
    "norms": False,
    "fields": {"keyword": {"type": "keyword", "ignore_above": _LONGEST_TEXT_KEYWORD}},
}
_LINE: Final = {"type": "text", "norms": False}
_MAPPINGS: Final[dict[FieldType, dict[str, Any]]] = {
    # Dashboards made for Logstash ask for `postfix_status.keyword`, so every keyword has it.
    "keyword": {**_KEYWORD, "fields": {"keyword": _KEYWORD}},
    "address": _ADDRESS,
    "text": _TEXT,
    "integer": {"type": "long"},
    "float": {"type": "float"},
    "ip": {"type": "ip"},
    "date": {"type": "date"},
    "binary": {"type": "binary"},
}


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
    # Nearly every line is another one: `message.keyword` would be a third of the whole index, and
    # nobody counts lines by their text.
    return _LINE if field.name == "message" else _MAPPINGS[field.type]
