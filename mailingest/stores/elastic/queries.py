"""Criteria -> queries in the language of Elasticsearch and OpenSearch.

They are for indices of this version's template, whose mappings have put into lower case what is
asked for in any case; `mailingest.stores.elastic.other_queries` asks all others.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, Final, TypeVar

from mailingest.postfix import index_keys
from mailingest.postfix.index_keys import LINKS
from mailingest.postfix.names import (
    CLIENT_HOSTNAME,
    CLIENT_IP,
    LOST_CONNECTION,
    MESSAGE,
    MESSAGE_ID,
    NOQUEUE,
    ORIGINAL_CLIENT_HOSTNAME,
    ORIGINAL_CLIENT_IP,
    OUTCOME,
    QUEUE_ID,
)
from mailingest.stores.criteria import FIELDS_OF, Evidence, Term
from mailingest.stores.elastic.schema import LONGEST_KEYWORD

T = TypeVar("T")

Query = dict[str, Any]

ABOUT_A_MAIL: Final[Query] = {
    "bool": {
        "should": [{"exists": {"field": field}} for field in index_keys.ABOUT_A_MAIL],
        "minimum_should_match": 1,
    }
}
# Lines that `mailingest.postfix.index_keys.is_unmatched` may hold for; there are few such tags.
UNMATCHED_LINES: Final[Sequence[Query]] = (
    {"wildcard": {"tags.keyword": {"value": "_*_nomatch"}}},
    {"bool": {"must_not": [{"wildcard": {"tags.keyword": {"value": "_*_success"}}}]}},
)

# Values in one request: below the 1,024 clauses and the 10 MB or more that servers take.
_VALUES: Final = 300
# Servers refuse longer ones as too complex (OpenSearch 2.19 those over 300 characters); a part
# finds all that the whole does.
_LONGEST_PATTERN: Final = 200
# More words narrow a search down little, and each one costs a walk through all words there are.
_MOST_WORDS: Final = 3
_ADDRESSES: Final = ("recipient", "sender")
_HOSTNAMES: Final = (CLIENT_HOSTNAME, ORIGINAL_CLIENT_HOSTNAME)
_IPS: Final = (CLIENT_IP, ORIGINAL_CLIENT_IP)
_PROCESS: Final = ("host", "program", "pid")
_SPECIAL: Final = re.compile(r"([\\*?])")
_WORD: Final = re.compile(r"[0-9a-z]+")


def term_query(name: str, term: Term) -> Query:
    """Lines that may meet a term; ``name`` is that of `mailingest.stores.criteria.FIELDS_OF`.

    Those of texts are checked by the caller: a search for them finds more than is meant.
    """
    if name in _ADDRESSES:
        return any_of([_address(field, term) for field in FIELDS_OF[name]])
    if name == "text":
        return words(term.text)
    if name != "client":
        query = any_of([compared(f"{field}.lower", term) for field in FIELDS_OF[name]])
        # A login is also named where one failed, and there may be many.
        return {"bool": {"filter": [query, ABOUT_A_MAIL]}} if name == "sasl_user" else query
    names = [compared(f"{field}.lower", term) for field in _HOSTNAMES]
    parts = [compared(f"{field}.keyword", term) for field in _IPS]
    return any_of([*names, *parts, *addresses(term)])


def evidence_query(evidence: Evidence) -> Query:
    """Lines that may decide."""
    clauses: list[Query] = []
    for field in sorted(evidence.fields):
        endings = evidence.endings_of(field)
        clauses += [{"wildcard": {_keyword(field): {"value": f"*{end}"}}} for end in endings]
        if not endings:
            clauses.append({"exists": {"field": field}})
    if evidence.outcomes:
        clauses.append(among([OUTCOME], sorted(evidence.outcomes)))
    if evidence.messages:
        clauses.append(among([_keyword(MESSAGE)], sorted(evidence.messages)))
    if evidence.since is not None:
        clauses += within(evidence.since, None)
    return any_of(clauses)


def of_queue_ids(queue_ids: Collection[str]) -> Query:
    """Lines about queue IDs, and lines that name them."""
    return among(map(_keyword, (QUEUE_ID, *LINKS)), map(encodable, queue_ids))


def of_message_ids(message_ids: Collection[str]) -> Query:
    """Lines with these Message-IDs."""
    return among([f"{MESSAGE_ID}.lower"], [encodable(one).lower() for one in message_ids])


def of_processes(sessions: Collection[tuple[str, str, str]]) -> Query:
    """Lines of processes, each given as host, program and process id."""
    return any_of([_all_of(map(_is_one, _PROCESS, session)) for session in sessions])


def about_sessions() -> Query:
    """Lines that `mailingest.postfix.index_keys.is_of_session` may hold for."""
    return any_of(
        [
            {"exists": {"field": LOST_CONNECTION}},
            {"match_phrase": {"message": "connect from"}},
            {"match_phrase": {"message": "disconnect from"}},
            among([_keyword(QUEUE_ID)], [NOQUEUE]),
        ]
    )


def within(since: datetime | None, until: datetime | None) -> list[Query]:
    """The time span as a query, none if it has no bounds; ``since`` is included."""
    bounds = {
        name: f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
        for name, time in (("gte", since), ("lt", until))
        if time is not None
    }
    return [{"range": {"@timestamp": bounds}}] if bounds else []


def in_parts(values: Collection[T]) -> Iterator[list[T]]:
    """The values in lists that are short enough for one request."""
    every = list(values)
    for start in range(0, len(every), _VALUES):
        yield every[start : start + _VALUES]


def compared(field: str, term: Term, *, ignore_case: bool = False) -> Query:
    """Lines whose keyword meets a term; with ``ignore_case``, whatever the case it is stored in.

    That compares each keyword of the index (28 seconds for a few hundred terms and a million
    lines), so a mapping should have put it into lower case.
    """
    text = encodable(term.text)
    if len(text) > LONGEST_KEYWORD:
        return {"match_none": {}}
    start, end = text[:_LONGEST_PATTERN], text[-_LONGEST_PATTERN:]
    match term.comparison:
        case "equals":
            if not ignore_case or not text:
                return {"term": {field: text}}
            if len(text) > _LONGEST_PATTERN:
                return _pattern(field, f"{_escaped(start)}*", ignore_case=True)
            return {"term": {field: {"value": text, "case_insensitive": True}}}
        case "starts":
            return _pattern(field, f"{_escaped(start)}*", ignore_case=ignore_case)
        case "ends":
            return _pattern(field, f"*{_escaped(end)}", ignore_case=ignore_case)
        case "contains":
            return _pattern(field, f"*{_escaped(start)}*", ignore_case=ignore_case)


def addresses(term: Term) -> list[Query]:
    """Lines with the address of the network that a term is, if it is one, however it is written."""
    with suppress(ValueError):
        address = str(ip_address(encodable(term.text)))
        return [{"term": {field: address}} for field in _IPS]
    return []


def words(text: str) -> Query:
    """All events whose message has the words of the text, whole or as a part of longer ones.

    How the server cuts a message into words depends on what stands beside them, as in
    `mx.example.net`, so whole words cannot be asked for.
    """
    longest = sorted(set(_WORD.findall(text)), key=len, reverse=True)[:_MOST_WORDS]
    if not longest:
        return {"match_all": {}}
    # The analyzer has put them into lower case.
    patterns = [_pattern("message", f"*{word[:_LONGEST_PATTERN]}*") for word in longest]
    return {"bool": {"filter": patterns}}


def among(fields: Iterable[str], values: Iterable[str]) -> Query:
    """Lines that have one of the values in one of the fields."""
    wanted = [value for value in values if len(value) <= LONGEST_KEYWORD]
    return any_of([{"terms": {field: wanted}} for field in fields])


def any_of(queries: Sequence[Query]) -> Query:
    """Documents that meet one of the queries."""
    return {"bool": {"should": list(queries), "minimum_should_match": 1}}


def encodable(text: str) -> str:
    """Text that a request takes: what the command line could not decode is not in any line."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _address(field: str, term: Term) -> Query:
    """For a field of the type `address`, whose sub-fields are in lower case."""
    text = encodable(term.text)
    if term.comparison == "ends" and text.startswith("@") and text.count("@") == 1:
        return {"term": {f"{field}.domain": text[1:]}}
    return compared(f"{field}.keyword", term)


def _keyword(field: str) -> str:
    return f"{field}.keyword"


def _is_one(field: str, value: str) -> Query:
    return among([_keyword(field)], [encodable(value)])


def _all_of(queries: Iterable[Query]) -> Query:
    return {"bool": {"filter": list(queries)}}


def _pattern(field: str, pattern: str, *, ignore_case: bool = False) -> Query:
    option = {"case_insensitive": True} if ignore_case else {}
    return {"wildcard": {field: {"value": pattern, **option}}}


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
