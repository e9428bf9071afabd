"""One search on Elasticsearch or OpenSearch -> counts; the rules of `mailingest.postfix.outcome`.

Nothing but fields of the documents is asked, so that what was stored before there was an overview
is counted as well; it only has no reasons.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mailingest.postfix.outcome import (
    DISCARDS,
    KNOWN_CLIENT,
    NOT_OF_AN_ARRIVAL,
    THIS_HOST,
    THROWN_AWAY,
    Outcome,
)
from mailingest.postfix.parser import POSTFIX_SUCCESS
from mailingest.postfix.reasons import REJECTS
from mailingest.stores.counts import MOST_REASONS, Counts, TimeBuckets

Query = dict[str, Any]


def _has(*names: str) -> list[Query]:
    return [{"exists": {"field": name}} for name in names]


def _is(name: str, values: Iterable[str]) -> Query:
    return {"terms": {name: sorted(values)}}


def _ends(name: str, end: str) -> Query:
    # There are few different programs and results, so that this is no walk through many.
    return {"wildcard": {name: {"value": f"*{end}"}}}


def _all(*queries: Query, without: Iterable[Query] = ()) -> Query:
    return {"bool": {"filter": list(queries), "must_not": list(without)}}


def _any(*queries: Query) -> Query:
    return {"bool": {"should": list(queries), "minimum_should_match": 1}}


_SENT: Final = _is("postfix_status", ["sent"])
_GONE: Final = _is("postfix_disposition", THROWN_AWAY)
_LOCAL_RELAY: Final = _is("postfix_relay_ip", THIS_HOST)
_REMOTE_ID: Final = _has("postfix_remote_queueid")
_GOES_ON: Final = _any(
    *_has("postfix_forwarded_queueid"),
    _all(*_REMOTE_ID, without=_has("postfix_relay_ip")),
    _all(_LOCAL_RELAY, *_REMOTE_ID),
    _all(_LOCAL_RELAY, without=[_any(_is("program", ["lmtp"]), _ends("program", "/lmtp"))]),
)
_ACTION: Final = _has("postfix_action")
_ARRIVAL: Final = _any(*_has("postfix_queueid", "postfix_proxy_result"))
_CLIENT_BEGINS: Final = _all(
    *_has("postfix_client_hostname", "postfix_queueid"),
    _is("tags", [POSTFIX_SUCCESS]),
    _any(_all(without=[_is("postfix_client_ip", THIS_HOST)]), *_has(*KNOWN_CLIENT)),
    without=[
        *_has("postfix_uid", *sorted(NOT_OF_AN_ARRIVAL)),
        _is("postfix_queueid", ["NOQUEUE"]),
    ],
)


def _result(end: str) -> Query:
    """What cleanup says of a milter, and smtpd of a before-queue filter."""
    return _all(
        _any(_ends("postfix_milter_result", end), _ends("postfix_proxy_result", end)),
        without=_ACTION,
    )


_NO_DELIVERY: Final = _has("postfix_status")
_WHAT: Final[Mapping[Outcome, Query]] = {
    "received": _all(
        _any(
            _all(*_has("postfix_uid", "postfix_queueid"), without=_has("postfix_orig_id")),
            _CLIENT_BEGINS,
        ),
        without=[*_NO_DELIVERY, *_ACTION],
    ),
    "sent": _all(_SENT, without=[*_has("postfix_disposition"), _GOES_ON]),
    "passed_on": _all(_SENT, _GOES_ON, without=_has("postfix_disposition")),
    "deferred": _is("postfix_status", ["deferred"]),
    "bounced": _any(
        _is("postfix_status", ["bounced"]),
        _all(_SENT, *_has("postfix_disposition"), without=[_GONE]),
    ),
    "expired": _ends("postfix_status", "expired"),
    "discarded": _any(
        _all(_SENT, _GONE),
        _all(_ARRIVAL, _any(_is("postfix_action", DISCARDS), _result("discard")),
             without=_NO_DELIVERY),
    ),
    "rejected": _all(
        _ARRIVAL, _any(_is("postfix_action", REJECTS), _result("reject")), without=_NO_DELIVERY
    ),
}  # fmt: skip
# These have a reason, if not an earlier version stored them.
_REASONED: Final = _any(
    _is("postfix_status", ["deferred", "bounced"]), _is("postfix_action", REJECTS)
)


def request(buckets: TimeBuckets) -> dict[str, Any]:
    """The body of the search."""
    return {
        "size": 0,
        "query": {
            "range": {
                "@timestamp": {
                    "gte": buckets.start * 1000,
                    "lt": buckets.end * 1000,
                    "format": "epoch_millis",
                }
            }
        },
        "aggs": {
            "outcomes": {
                "filters": {"filters": dict(_WHAT)},
                "aggs": {
                    "times": {
                        "date_histogram": {
                            "field": "@timestamp",
                            "fixed_interval": f"{buckets.seconds}s",
                            "offset": f"{buckets.start % buckets.seconds}s",
                            "min_doc_count": 1,
                        }
                    },
                    "reasons": {"terms": {"field": "postfix_reason", "size": MOST_REASONS}},
                },
            },
            "sent": {
                "filter": _WHAT["sent"],
                "aggs": {"bytes": {"sum": {"field": "postfix_size"}}},
            },
            "without": {"filter": _all(_REASONED, without=_has("postfix_reason"))},
        },
    }


def read(buckets: TimeBuckets, answer: Mapping[str, Any]) -> Counts:
    """The counts that an answer has; without any index there are none."""
    counts = Counts(buckets)
    found = answer.get("aggregations")
    if not found:
        return counts
    for outcome in _WHAT:
        lines = found["outcomes"]["buckets"][outcome]
        for one in lines["times"]["buckets"]:
            counts.volume[outcome][buckets.bucket_of(one["key"] // 1000)] += one["doc_count"]
        counts.reasons[outcome] = Counter(
            {one["key"]: one["doc_count"] for one in lines["reasons"]["buckets"]}
        )
    counts.sent_bytes = round(found["sent"]["bytes"]["value"])
    counts.is_partial = found["without"]["doc_count"] > 0
    return counts
