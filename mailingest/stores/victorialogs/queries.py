"""Criteria -> filters of LogsQL.

Texts are compared in lower case: with the field, and with what
`mailingest.stores.victorialogs.rows` keeps beside it in lower case.  What a filter finds may be
more than was meant; the caller checks.
"""

from collections.abc import Collection
from typing import Final

from mailingest.postfix import index_keys
from mailingest.postfix.index_keys import LINKS
from mailingest.postfix.names import (
    CLIENT_HOSTNAME,
    LOST_CONNECTION,
    MESSAGE,
    MESSAGE_ID,
    NOQUEUE,
    OUTCOME,
    QUEUE_ID,
)
from mailingest.stores.criteria import FIELDS_OF, Evidence, Term
from mailingest.stores.victorialogs.logsql import (
    all_of,
    among,
    any_of,
    contains,
    contains_in_any_case,
    encodable,
    ends,
    equals,
    exists,
    none_of,
    starts,
    within,
)
from mailingest.stores.victorialogs.rows import ADDRESSES, TEXT, TYPE, domain_of, lower_of

ABOUT_A_MAIL: Final = any_of([exists(field) for field in index_keys.ABOUT_A_MAIL])
UNMATCHED_LINES: Final = all_of(
    [contains("tags", '_nomatch"'), none_of([contains("tags", '_success"')])]
)
"""Lines that `mailingest.postfix.index_keys.is_unmatched` may hold for."""
ABOUT_SESSIONS: Final = all_of(
    [
        exists(CLIENT_HOSTNAME),
        any_of(
            [
                exists(LOST_CONNECTION),
                starts(TEXT, "connect from "),
                starts(TEXT, "disconnect from "),
                equals(QUEUE_ID, NOQUEUE),
            ]
        ),
    ]
)
"""Lines that `mailingest.postfix.index_keys.is_of_session` may hold for."""

# A part finds all that the whole does, and queries have a bound.
_LONGEST: Final = 200
_EMPTY: Final = '""'
_PROCESS: Final = ("host", "program", "pid")


def of_types(types: Collection[str]) -> str:
    """Lines of these types."""
    return among(TYPE, types)


def term_filter(name: str, term: Term) -> str:
    """Lines that may meet a term; ``name`` is that of `mailingest.stores.criteria.FIELDS_OF`."""
    if name == "text":
        return contains_in_any_case(TEXT, encodable(term.text)[:_LONGEST])
    found = any_of([_compared(field, term) for field in FIELDS_OF[name]])
    # A login is also named where one failed, and there may be many.
    return all_of([found, ABOUT_A_MAIL]) if name == "sasl_user" else found


def evidence_filter(evidence: Evidence) -> str:
    """Lines that may decide."""
    filters: list[str] = []
    for field in sorted(evidence.fields):
        endings = evidence.endings_of(field)
        filters += [ends(field, ending) for ending in endings] or [exists(field)]
    if evidence.outcomes:
        filters.append(among(OUTCOME, sorted(evidence.outcomes)))
    if evidence.messages:
        filters.append(among(MESSAGE, sorted(evidence.messages)))
    filters += within(evidence.since, None)
    return any_of(filters)


def of_queue_ids(queue_ids: Collection[str]) -> str:
    """Lines about queue IDs, and lines that name them."""
    return any_of([among(field, queue_ids) for field in (QUEUE_ID, *LINKS)])


QUEUE_ID_FIELDS: Final = 1 + len(LINKS)
"""How often `of_queue_ids` has each of them."""


def of_message_ids(message_ids: Collection[str]) -> str:
    """Lines with these Message-IDs, given in lower case."""
    return any_of([among(field, message_ids) for field in (MESSAGE_ID, lower_of(MESSAGE_ID))])


def of_processes(sessions: Collection[tuple[str, str, str]]) -> str:
    """Lines of processes, each given as host, program and process id."""
    return any_of([all_of(list(map(_is_one, _PROCESS, session))) for session in sessions])


def _compared(field: str, term: Term) -> str:
    text = encodable(term.text)
    if not text:
        # An empty value is kept as JSON, and any value has an empty text in it.
        return equals(field, _EMPTY) if term.comparison == "equals" else exists(field)
    fields = [field, lower_of(field)]
    match term.comparison:
        case "equals" if len(text) <= _LONGEST:
            return any_of([equals(one, text) for one in fields])
        case "equals" | "starts":
            return any_of([starts(one, text[:_LONGEST]) for one in fields])
        case "ends":
            local, at, domain = text.rpartition("@")
            if at and not local and domain and len(domain) <= _LONGEST and field in ADDRESSES:
                return equals(domain_of(field), domain)
            return any_of([ends(one, text[-_LONGEST:]) for one in fields])
        case "contains":
            return any_of([contains(one, text[:_LONGEST]) for one in fields])


def _is_one(field: str, value: str) -> str:
    # Of no field, a document has an empty text.
    return equals(field, encodable(value)[:_LONGEST])
