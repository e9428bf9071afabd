"""One search on Elasticsearch or OpenSearch -> who sent what to whom, and how long it took.

Only indices of this version's template are asked: others have no fields to count names by.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from mailingest.postfix.names import (
    ACTION,
    DELAY,
    FORWARDED_QUEUE_ID,
    MESSAGE_LEVEL,
    MILTER_RESULT,
    OUTCOME,
    RECEIVED_SIZE,
    RELAY_HOSTNAME,
    SIZE,
    TLS_VERSION,
)
from mailingest.stores.breakdown import (
    COLUMN_OF,
    DELAY_BOUNDS,
    DIMENSIONS,
    DOMAINS,
    FIELDS_OF_NAMES,
    LEVELS,
    LONGEST_NAME,
    TIMED,
    Breakdown,
    Dimension,
    Figures,
)
from mailingest.stores.counts import TimeBuckets
from mailingest.stores.elastic.queries import Query, among
from mailingest.stores.events import StoredEvent

_MOST_NAMES: Final = 50
_MOST_PROTOCOLS: Final = 20
_HOLDS: Final = ("hold", "milter-hold")

_SENT: Final[Query] = {"term": {OUTCOME: "sent"}}
_NAMED: Final[Query] = {"terms": {OUTCOME: sorted(COLUMN_OF)}}
WARNINGS: Final[Query] = {
    "bool": {
        "filter": [among([MESSAGE_LEVEL], sorted(LEVELS))],
        "must_not": [{"exists": {"field": OUTCOME}}, {"exists": {"field": RECEIVED_SIZE}}],
    }
}
"""Lines that warn, and count as nothing else."""


def request(buckets: TimeBuckets) -> dict[str, Any]:
    """The body of the search."""
    bounds = {"gte": buckets.start * 1000, "lt": buckets.end * 1000, "format": "epoch_millis"}
    return {
        "size": 0,
        "query": {"range": {"@timestamp": bounds}},
        "aggs": {
            "named": {
                "filter": _NAMED,
                "aggs": {dimension: _names(dimension) for dimension in DIMENSIONS},
            },
            "received": {"stats": {"field": RECEIVED_SIZE}},
            "forwarded": {"filter": _forwarded()},
            "held": {"filter": _other(among([ACTION, MILTER_RESULT], _HOLDS))},
            "reject_warnings": {"filter": _other({"term": {ACTION: "reject_warning"}})},
            "tls": {
                "filter": {"bool": {"filter": [_SENT, {"exists": {"field": RELAY_HOSTNAME}}]}},
                "aggs": {
                    "protocols": {
                        "terms": {"field": TLS_VERSION, "size": _MOST_PROTOCOLS, "missing": ""}
                    }
                },
            },
        },
    }


def read(answer: Mapping[str, Any]) -> Breakdown:
    """What an answer has; without any index it is nothing."""
    found = Breakdown()
    aggregations = answer.get("aggregations")
    if not aggregations:
        return found
    for dimension in DIMENSIONS:
        names = aggregations["named"][dimension]
        found.names[dimension] = dict(_figures(names["buckets"]))
        if short_by := names.get("doc_count_error_upper_bound", 0):
            found.short_by[dimension] = short_by
    received = aggregations["received"]
    found.received, found.received_bytes = received["count"], round(received["sum"] or 0)
    for name in ("forwarded", "held", "reject_warnings"):
        setattr(found, name, aggregations[name]["doc_count"])
    for protocol in aggregations["tls"]["protocols"]["buckets"]:
        found.tls[protocol["key"]] = protocol["doc_count"]
    return found


def add_warnings(found: Breakdown, lines: Iterable[StoredEvent]) -> None:
    """Add lines that were read."""
    for line in lines:
        found.add(line)


def _names(dimension: Dimension) -> dict[str, Any]:
    field = f"{FIELDS_OF_NAMES[dimension]}.{'domain' if dimension in DOMAINS else 'keyword'}"
    sent: dict[str, Any] = {"bytes": {"sum": {"field": SIZE}}}
    if dimension in TIMED:
        sent["delays"] = {"range": {"field": DELAY, "ranges": _ranges()}}
    return {
        "terms": {"field": field, "size": _MOST_NAMES, "show_term_doc_count_error": True},
        "aggs": {
            "outcomes": {"terms": {"field": OUTCOME, "size": len(COLUMN_OF)}},
            "sent": {"filter": _SENT, "aggs": sent},
        },
    }


def _ranges() -> list[dict[str, float]]:
    middle = [{"from": low, "to": high} for low, high in pairwise(DELAY_BOUNDS)]
    return [{"to": DELAY_BOUNDS[0]}, *middle, {"from": DELAY_BOUNDS[-1]}]


def _forwarded() -> Query:
    goes_on = [{"term": {OUTCOME: "passed_on"}}, {"exists": {"field": FORWARDED_QUEUE_ID}}]
    return {"bool": {"filter": goes_on}}


def _other(query: Query) -> Query:
    """What counts as nothing else."""
    other = [{"exists": {"field": name}} for name in (OUTCOME, RECEIVED_SIZE, MESSAGE_LEVEL)]
    return {"bool": {"filter": [query], "must_not": other}}


def _figures(buckets: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Figures]]:
    for bucket in buckets:
        if len(bucket["key"]) > LONGEST_NAME:
            continue
        figures = Figures(bytes=round(bucket["sent"]["bytes"]["value"]))
        for outcome in bucket["outcomes"]["buckets"]:
            figures.add(COLUMN_OF[outcome["key"]], outcome["doc_count"])
        for place, delay in enumerate(bucket["sent"].get("delays", {}).get("buckets", ())):
            if delay["doc_count"]:
                figures.add_delay(place, delay["doc_count"])
        yield bucket["key"], figures
