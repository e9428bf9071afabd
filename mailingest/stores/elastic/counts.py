"""One search on Elasticsearch or OpenSearch -> counts of outcomes, bucket by bucket.

What each line counts as was decided when it was stored (`outcome`).  Documents of earlier versions
do not say it, and an index that an earlier version made does not index it before the next day: the
counts then are partial, and say so.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from mailingest.postfix.names import OUTCOME, PROGRAM_KIND, QUEUE_ID, REASON, SIZE
from mailingest.postfix.outcome import OUTCOMES
from mailingest.stores.counts import MOST_REASONS, Counts, TimeBuckets

Query = dict[str, Any]

_SENT: Final[Query] = {"term": {OUTCOME: "sent"}}
# Every line about a queue ID says of which kind its program is, but for those of earlier versions.
_WITHOUT_OUTCOME: Final[Query] = {
    "bool": {
        "filter": [{"exists": {"field": QUEUE_ID}}],
        "must_not": [{"exists": {"field": PROGRAM_KIND}}],
    }
}


def request(buckets: TimeBuckets) -> dict[str, Any]:
    """The body of the search."""
    within = {"gte": buckets.start * 1000, "lt": buckets.end * 1000, "format": "epoch_millis"}
    return {
        "size": 0,
        "query": {"range": {"@timestamp": within}},
        "aggs": {
            "outcomes": {
                "terms": {"field": OUTCOME, "size": len(OUTCOMES)},
                "aggs": {
                    "times": {
                        "date_histogram": {
                            "field": "@timestamp",
                            "fixed_interval": f"{buckets.seconds}s",
                            "offset": f"{buckets.start % buckets.seconds}s",
                            "min_doc_count": 1,
                        }
                    },
                    "reasons": {"terms": {"field": REASON, "size": MOST_REASONS}},
                },
            },
            "sent": {"filter": _SENT, "aggs": {"bytes": {"sum": {"field": SIZE}}}},
            "without": {"filter": _WITHOUT_OUTCOME},
        },
    }


def read(buckets: TimeBuckets, answer: Mapping[str, Any]) -> Counts:
    """The counts that an answer has; without any index there are none."""
    counts = Counts(buckets)
    found = answer.get("aggregations")
    if not found:
        return counts
    by_outcome = {bucket["key"]: bucket for bucket in found["outcomes"]["buckets"]}
    for outcome in OUTCOMES:
        lines = by_outcome.get(outcome)
        if lines is None:
            continue
        for one in lines["times"]["buckets"]:
            counts.volume[outcome][buckets.bucket_of(one["key"] // 1000)] += one["doc_count"]
        counts.reasons[outcome] = Counter(
            {one["key"]: one["doc_count"] for one in lines["reasons"]["buckets"]}
        )
    counts.sent_bytes = round(found["sent"]["bytes"]["value"])
    counts.is_partial = found["without"]["doc_count"] > 0
    return counts
