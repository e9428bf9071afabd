"""What lines count as that do not say it: the rule of `mailingest.postfix.outcome`, as queries.

Logstash and earlier versions store no ``outcome``.  What only a reply tells (that the mail goes on
under another queue ID, or was thrown away) is known here by the words of the usual filters.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from mailingest.postfix.event import POSTFIX_SUCCESS
from mailingest.postfix.lifecycle import OF_A_SESSION
from mailingest.postfix.names import (
    ACTION,
    CLIENT_HOSTNAME,
    CLIENT_IP,
    MILTER_RESULT,
    NOQUEUE,
    ORIGINAL_CLIENT_HOSTNAME,
    ORIGINAL_QUEUE_ID,
    PROGRAM_KIND,
    PROXY_RESULT,
    QUEUE_ID,
    RELAY,
    RELAY_IP,
    REQUEUED_FROM,
    SASL_USERNAME,
    STATUS,
    UID,
)
from mailingest.postfix.outcome import Outcome
from mailingest.postfix.reasons import DEFERRING, REJECTS
from mailingest.stores.elastic.queries import Query, among, any_of

_THIS_HOST: Final = ("127.0.0.1", "::1")


def _is(field: str, *values: str) -> Query:
    return among([f"{field}.keyword"], values)


def _ends(field: str, end: str) -> Query:
    return {"wildcard": {f"{field}.keyword": {"value": f"*{end}"}}}


def _has(field: str) -> Query:
    return {"exists": {"field": field}}


def _phrase(text: str) -> Query:
    return {"match_phrase": {"message": text}}


def _all(queries: Iterable[Query], but: Iterable[Query] = ()) -> Query:
    return {"bool": {"filter": list(queries), "must_not": list(but)}}


def _is_here(field: str) -> Query:
    # An address of an earlier version, and one of Logstash's.
    return among([field, f"{field}.keyword"], _THIS_HOST)


WITHOUT_OUTCOME: Final = _all(
    [
        {"prefix": {"program.keyword": "postfix"}},
        any_of([_has(QUEUE_ID), _has(PROXY_RESULT)]),
    ],
    # Every line of Postfix says of which kind its program is.
    [_has(PROGRAM_KIND)],
)
"""Lines about mails that do not say what they count as."""

_SENT: Final = _is(STATUS, "sent")
_QUEUED: Final = _phrase("queued as")
_HOP: Final = any_of(
    [
        _all([_is_here(RELAY_IP)], [_all([_ends("program", "/lmtp")], [_QUEUED])]),
        _all([_QUEUED], [_has(RELAY_IP)]),
    ]
)
_GOES_ON: Final = any_of([_phrase("forwarded as"), _HOP])
_THROWN_AWAY: Final = any_of(
    [
        _is(RELAY, "none"),
        _phrase("file dev null"),
        among(["message"], ["discarded", "dropped", "blackholed", "quarantined", "blocked"]),
    ]
)
_SENT_BACK: Final = among(["message"], ["bounce"])
_DECIDED: Final = (_has(STATUS), _has(ACTION))
_RESULTS: Final = (MILTER_RESULT, PROXY_RESULT)

OUTCOME_QUERIES: Final[Mapping[Outcome, Query]] = {
    "received": any_of(
        [
            _all([_has(UID)], [*_DECIDED, _has(REQUEUED_FROM)]),
            _all(
                [
                    _has(CLIENT_HOSTNAME),
                    _is("tags", POSTFIX_SUCCESS),
                    any_of(
                        [
                            _all([], [_is_here(CLIENT_IP)]),
                            *map(_has, (SASL_USERNAME, ORIGINAL_CLIENT_HOSTNAME)),
                        ]
                    ),
                ],
                [
                    *_DECIDED,
                    *map(_has, (UID, *_RESULTS, ORIGINAL_QUEUE_ID, *sorted(OF_A_SESSION))),
                    _is(QUEUE_ID, NOQUEUE),
                ],
            ),
        ]
    ),
    "sent": _all([_SENT], [_GOES_ON, _THROWN_AWAY, _SENT_BACK]),
    "passed_on": _all([_SENT, _GOES_ON], [_THROWN_AWAY, _SENT_BACK]),
    "deferred": _is(STATUS, *sorted(DEFERRING)),
    "bounced": any_of([_is(STATUS, "bounced"), _all([_SENT, _SENT_BACK], [_THROWN_AWAY])]),
    "expired": _ends(STATUS, "expired"),
    "discarded": any_of(
        [
            _all([_SENT, _THROWN_AWAY]),
            _all([_is(ACTION, "discard", "milter-discard")], [_has(STATUS)]),
            _all([any_of([_ends(name, "discard") for name in _RESULTS])], _DECIDED),
        ]
    ),
    "rejected": any_of(
        [
            _all([_is(ACTION, *sorted(REJECTS))], [_has(STATUS)]),
            _all([any_of([_ends(name, "reject") for name in _RESULTS])], _DECIDED),
        ]
    ),
}
