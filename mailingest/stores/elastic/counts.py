"""One search on Elasticsearch or OpenSearch -> counts of outcomes, bucket by bucket.

What each line counts as was decided when it was stored (`outcome`).  For lines that Logstash or an
earlier version stored, the server decides it by their fields; their reasons are in no field, and
are read from the newest of them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mailingest.postfix.names import OUTCOME, REASON, SIZE
from mailingest.postfix.outcome import OUTCOMES
from mailingest.stores.counts import MOST_REASONS, Counts, TimeBuckets
from mailingest.stores.elastic.outcome_queries import OUTCOME_QUERIES, WITHOUT_OUTCOME
from mailingest.stores.events import StoredEvent

Query = dict[str, Any]

_SENT: Final[Query] = {"term": {OUTCOME: "sent"}}
_WITH_REASON: Final = ("deferred", "bounced", "expired", "rejected")

LINES_WITH_REASON: Final[Query] = {
    "bool": {
        "filter": [WITHOUT_OUTCOME],
        "should": [OUTCOME_QUERIES[outcome] for outcome in _WITH_REASON],
        "minimum_should_match": 1,
    }
}
"""Lines whose reason has to be read from them."""


def request(buckets: TimeBuckets) -> dict[str, Any]:
    """The body of the search."""
    times = {
        "times": {
            "date_histogram": {
                "field": "@timestamp",
                "fixed_interval": f"{buckets.seconds}s",
                "offset": f"{buckets.start % buckets.seconds}s",
                "min_doc_count": 1,
            }
        }
    }
    reasons = {"reasons": {"terms": {"field": REASON, "size": MOST_REASONS}}}
    return {
        "size": 0,
        "query": _within(buckets),
        "aggs": {
            "outcomes": {
                "terms": {"field": OUTCOME, "size": len(OUTCOMES)},
                "aggs": {**times, **reasons},
            },
            "without": {
                "filter": WITHOUT_OUTCOME,
                "aggs": {
                    "outcomes": {"filters": {"filters": dict(OUTCOME_QUERIES)}, "aggs": times}
                },
            },
        },
    }


def size_request(buckets: TimeBuckets) -> dict[str, Any]:
    """The body of the search for the size of what was sent, where sizes are numbers."""
    return {
        "size": 0,
        "query": {"bool": {"filter": [_within(buckets), _SENT]}},
        "aggs": {"bytes": {"sum": {"field": SIZE}}},
    }


def read(buckets: TimeBuckets, answer: Mapping[str, Any]) -> Counts:
    """The counts that an answer has; without any index there are none."""
    counts = Counts(buckets)
    found = answer.get("aggregations")
    if not found:
        return counts
    stored = {bucket["key"]: bucket for bucket in found["outcomes"]["buckets"]}
    judged = found["without"]["outcomes"]["buckets"]
    for outcome in OUTCOMES:
        known = [stored[outcome]] if outcome in stored else []
        for lines in (*known, judged[outcome]):
            for one in lines["times"]["buckets"]:
                counts.volume[outcome][buckets.bucket_of(one["key"] // 1000)] += one["doc_count"]
        for lines in known:
            reasons = lines["reasons"]["buckets"]
            counts.reasons[outcome] = Counter({one["key"]: one["doc_count"] for one in reasons})
    return counts


def read_size(answer: Mapping[str, Any]) -> int:
    """The bytes that an answer to `size_request` has."""
    found = answer.get("aggregations")
    return round(found["bytes"]["value"]) if found else 0


def has_judged(answer: Mapping[str, Any]) -> bool:
    """Whether the server had to decide what lines count as."""
    found = answer.get("aggregations")
    return found is not None and found["without"]["doc_count"] > 0


def add_reasons(counts: Counts, lines: Iterable[StoredEvent]) -> None:
    """Add the reasons of lines that were read again."""
    for line in lines:
        if line.get(OUTCOME) in _WITH_REASON and REASON in line:
            counts.reasons[line[OUTCOME]][line[REASON]] += 1
    counts.keep_most()


def _within(buckets: TimeBuckets) -> Query:
    bounds = {"gte": buckets.start * 1000, "lt": buckets.end * 1000, "format": "epoch_millis"}
    return {"range": {"@timestamp": bounds}}
