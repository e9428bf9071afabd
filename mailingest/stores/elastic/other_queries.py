"""The same questions to indices that this version's template did not make.

Those of earlier versions have keywords in the case of the log; those that Logstash made (dynamic
mapping) have texts in the standard analyzer.  Both have a keyword below ``.keyword``, which is
compared in any case here, and Logstash's only if it is short.  Documents may lack what is computed
from a line: so lines are also found by words of theirs, which finds more than is meant.  The caller
completes the documents (`mailingest.postfix.rereading`) and leaves what does not fit.
"""

from collections.abc import Collection, Iterable
from typing import Final

from mailingest.postfix.index_keys import LINKS
from mailingest.postfix.names import (
    ACTION,
    CLIENT_HOSTNAME,
    CLIENT_IP,
    MESSAGE_ID,
    MILTER_RESULT,
    ORIGINAL_CLIENT_HOSTNAME,
    ORIGINAL_CLIENT_IP,
    OUTCOME,
    PROXY_RESULT,
    QUEUE_ID,
    STATUS,
)
from mailingest.stores.criteria import FIELDS_OF, Evidence, Term
from mailingest.stores.elastic.queries import (
    ABOUT_A_MAIL,
    Query,
    addresses,
    among,
    any_of,
    compared,
    encodable,
    evidence_query,
    words,
)
from mailingest.stores.elastic.schema import LONGEST_DYNAMIC_KEYWORD

# Where Logstash has the name of the host: as this program does, or as ECS and Beats do.
HOST_FIELDS: Final = ("host", "host.name", "host.hostname")
_ADDRESSES: Final = ("recipient", "sender")
_CLIENT_FIELDS: Final = (
    *(CLIENT_HOSTNAME, ORIGINAL_CLIENT_HOSTNAME),
    *(CLIENT_IP, ORIGINAL_CLIENT_IP),
)
# The longest that a `long` may have, in digits.
_LONGEST_NUMBER: Final = 18


def term_query(name: str, term: Term) -> Query:
    """Lines that may meet a term; ``name`` is that of `mailingest.stores.criteria.FIELDS_OF`."""
    text = encodable(term.text)
    if name == "text":
        return words(text)
    if name == "client":
        # Addresses of the network have no keyword in earlier versions.
        return any_of([*_each(_CLIENT_FIELDS, term), *addresses(term), words(text)])
    queries = _each(HOST_FIELDS if name == "host" else FIELDS_OF[name], term)
    # What takes a line's key=value pairs apart may be missing in their set-up.
    if name == "relay":
        queries.append(words(text))
    elif name in _ADDRESSES and "@" in text:
        queries.append(_phrase("message", text))
    query = any_of(queries)
    return {"bool": {"filter": [query, ABOUT_A_MAIL]}} if name == "sasl_user" else query


def evidence_query_of_any(evidence: Evidence) -> Query:
    """Lines that may decide, also those that do not say what they count as."""
    return any_of(
        [
            evidence_query(evidence),
            {"bool": {"filter": [_MAY_DECIDE], "must_not": [{"exists": {"field": OUTCOME}}]}},
        ]
    )


def of_queue_ids(queue_ids: Collection[str]) -> Query:
    """Lines about queue IDs, and lines that name them in any way."""
    ids = [encodable(one) for one in queue_ids]
    # A word of a message is in lower case, and one with punctuation is no word.
    named = [one.lower() for one in ids if one.isascii() and one.isalnum()]
    keys = [f"{name}.keyword" for name in (QUEUE_ID, *LINKS)]
    return any_of([among(keys, ids), among(["message"], named)])


def of_message_ids(message_ids: Collection[str]) -> Query:
    """Lines with these Message-IDs, as they were logged."""
    ids = [encodable(one) for one in message_ids]
    long = [_phrase(MESSAGE_ID, one) for one in ids if len(one) > LONGEST_DYNAMIC_KEYWORD]
    return any_of([among([f"{MESSAGE_ID}.keyword"], ids), *long])


def of_processes(sessions: Collection[tuple[str, str, str]]) -> Query:
    """Lines of processes, each given as host, program and process id."""
    return any_of([_of_process(*map(encodable, session)) for session in sessions])


def _of_process(host: str, program: str, pid: str) -> Query:
    hosts = among([f"{name}.keyword" for name in HOST_FIELDS], [host])
    pids = [among(["pid.keyword"], [pid])]
    if pid.isascii() and pid.isdigit() and len(pid) <= _LONGEST_NUMBER:
        pids.append({"term": {"pid": pid}})
    return {"bool": {"filter": [hosts, among(["program.keyword"], [program]), any_of(pids)]}}


def _each(fields: Iterable[str], term: Term) -> list[Query]:
    queries: list[Query] = []
    for field in fields:
        queries.append(compared(f"{field}.keyword", term, ignore_case=True))
        if len(term.text) > LONGEST_DYNAMIC_KEYWORD:
            queries.append(_phrase(field, encodable(term.text)))
    return queries


def _phrase(field: str, text: str) -> Query:
    return {"match_phrase": {field: text}}


# Deliveries that failed; those that succeeded in a way that its reply tells of; and refusals.
_MAY_DECIDE: Final = any_of(
    [
        {
            "bool": {
                "filter": [{"exists": {"field": STATUS}}],
                "must_not": [among([f"{STATUS}.keyword"], ["sent"])],
            }
        },
        {
            "bool": {
                "filter": [among([f"{STATUS}.keyword"], ["sent"])],
                "should": [
                    {"prefix": {"message": word}}
                    for word in ("discard", "drop", "blackhole", "quarantine", "block", "bounce")
                ]
                + [{"match_phrase": {"message": "dev/null"}}, among(["message"], ["none"])],
                "minimum_should_match": 1,
            }
        },
        *({"exists": {"field": name}} for name in (ACTION, MILTER_RESULT, PROXY_RESULT)),
    ]
)
