"""Declared fields -> index template for Elasticsearch and OpenSearch.

Sources: index templates (`PUT _index_template`), mapping types `keyword`, `text`, `ip`, `long`,
`float`, `date`, `binary`, `ignore_above`, `normalizer` and the `pattern` analyzer of the
Elasticsearch reference; OpenSearch takes the same.
"""

from typing import Any, Final

from mailingest.core.fields import FIELDS, FieldType

# Lucene refuses terms over 32,766 bytes; a character may take four.
_LONGEST_KEYWORD: Final = 8191
# What Logstash's and Elasticsearch's default mapping has for `.keyword`.
_LONGEST_TEXT_KEYWORD: Final = 256

_KEYWORD: Final = {"type": "keyword", "ignore_above": _LONGEST_KEYWORD}
# An address is case-blind: whole by `.keyword`, by `.domain`, and by its parts, so that a
# match_phrase of `example.com` finds `john.smith@mail.example.com`.
_ADDRESS: Final = {
    "type": "text",
    "analyzer": "mailingest_address",
    "norms": False,
    "fields": {
        "keyword": {
            "type": "keyword",
            "normalizer": "mailingest_lowercase",
            "ignore_above": _LONGEST_KEYWORD,
        },
        "domain": {
            "type": "keyword",
            "normalizer": "mailingest_domain",
            "ignore_above": _LONGEST_KEYWORD,
        },
    },
}
_TEXT: Final = {
    "type": "text",
    "norms": False,
    "fields": {"keyword": {"type": "keyword", "ignore_above": _LONGEST_TEXT_KEYWORD}},
}
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


def index_template(*, replicas: int) -> dict[str, Any]:
    """Settings and mappings of the daily indices, with ``replicas`` copies of each."""
    return {
        "settings": {
            "index": {
                "number_of_shards": 1,
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
            "properties": {field.name: _MAPPINGS[field.type] for field in FIELDS},
        },
    }
