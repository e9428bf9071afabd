"""What is asked of a store: criteria.

Texts are compared case-insensitively.  A whole address asks for that address;
``@example.net`` for the domain and nothing else; ``bob@`` for the local part; anything else for a
part of the text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from mailingest.postfix.names import (
    CLIENT_HOSTNAME,
    CLIENT_IP,
    MESSAGE,
    MESSAGE_ID,
    ORIGINAL_CLIENT_HOSTNAME,
    ORIGINAL_CLIENT_IP,
    ORIGINAL_RECIPIENT,
    OUTCOME,
    RECIPIENT,
    RELAY,
    SASL_USERNAME,
    SENDER,
)
from mailingest.stores.events import StoredEvent, time_of

Comparison = Literal["equals", "starts", "ends", "contains"]

FIELDS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "message_id": (MESSAGE_ID,),
    "recipient": (RECIPIENT, ORIGINAL_RECIPIENT),
    "sender": (SENDER,),
    "sasl_user": (SASL_USERNAME,),
    "text": ("message",),
    "client": (
        CLIENT_HOSTNAME,
        CLIENT_IP,
        ORIGINAL_CLIENT_HOSTNAME,
        ORIGINAL_CLIENT_IP,
    ),
    "relay": (RELAY,),
    "host": ("host",),
}
"""The fields that each term of `Criteria` is about; the terms that few lines meet come first."""


@dataclass(frozen=True, slots=True)
class Term:
    """A text to find, in lower case, and where it has to stand."""

    text: str
    comparison: Comparison

    def matches(self, value: object) -> bool:
        """Whether a value (None is no value) meets the term."""
        if value is None:
            return False
        folded = str(value).lower()
        match self.comparison:
            case "equals":
                return folded == self.text
            case "starts":
                return folded.startswith(self.text)
            case "ends":
                return folded.endswith(self.text)
            case "contains":
                return self.text in folded


def address_term(text: str) -> Term:
    """The term that a user means by an address or a part of it; ``<>`` is the empty sender."""
    folded = text.strip().lower()
    if folded in ("<>", ""):
        return Term("", "equals")
    folded = folded.removeprefix("<").removesuffix(">")
    local, at, domain = folded.rpartition("@")
    if not at:
        return Term(folded, "contains")
    if not local:
        return Term(folded, "ends")
    return Term(folded, "equals" if domain else "starts")


def text_term(text: str) -> Term:
    """A term that stands anywhere."""
    return Term(text.strip().lower(), "contains")


def id_term(text: str) -> Term:
    """A term for a whole identifier, given with or without angle brackets."""
    return Term(text.strip().removeprefix("<").removesuffix(">").lower(), "equals")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What tells the lines that may decide what becomes of a mail from all others.

    Such a line has one of the ``outcomes``, one of the ``fields`` or one of the ``messages`` (as
    `postfix_message`), or it is not older than ``since``.  Of a field in ``endings``, only values
    count that end so.
    """

    outcomes: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    messages: frozenset[str] = frozenset()
    since: datetime | None = None
    endings: frozenset[tuple[str, str]] = frozenset()

    def is_in(self, event: StoredEvent) -> bool:
        """Whether a line about a mail may decide."""
        return (
            event.get(OUTCOME) in self.outcomes
            or any(name in event and self._counts(name, event[name]) for name in self.fields)
            or event.get(MESSAGE) in self.messages
            or (self.since is not None and time_of(event) >= self.since)
        )

    def endings_of(self, name: str) -> tuple[str, ...]:
        """How a value of one of the fields has to end; none if any value counts."""
        return tuple(sorted(ending for field, ending in self.endings if field == name))

    def _counts(self, name: str, value: object) -> bool:
        endings = self.endings_of(name)
        return not endings or str(value).endswith(endings)


@dataclass(frozen=True, slots=True)
class Criteria:
    """All of these have to hold; None holds always.

    ``since`` is included, ``until`` is not; both are aware.  They are about the mail's lines: a
    mail of which any line lies in the span is found, with all its lines.  ``verdicts`` are for who
    knows the whole mail; ``evidence`` says the same of its lines: each answer has a line with it.
    """

    sender: Term | None = None
    recipient: Term | None = None
    queue_id: str | None = None
    message_id: Term | None = None
    client: Term | None = None
    sasl_user: Term | None = None
    relay: Term | None = None
    text: Term | None = None
    host: Term | None = None
    verdicts: frozenset[str] = frozenset()
    evidence: Evidence | None = None
    since: datetime | None = None
    until: datetime | None = None


def terms_of(criteria: Criteria) -> dict[str, Term]:
    """The terms that are asked for, by name, in the order of `FIELDS_OF`."""
    terms = {name: getattr(criteria, name) for name in FIELDS_OF}
    return {name: term for name, term in terms.items() if term is not None}


def asks_for_all(criteria: Criteria) -> bool:
    """Whether every line about a mail within the time is found."""
    return criteria.queue_id is None and criteria.evidence is None and not terms_of(criteria)


def meets_term(event: StoredEvent, name: str, term: Term) -> bool:
    """Whether a field of an event meets the term."""
    return any(term.matches(event.get(field)) for field in FIELDS_OF[name])


def may_be_about(event: StoredEvent, criteria: Criteria) -> bool:
    """Whether a line of which only the text is known may be about what is asked for.

    It is if its text has any of the texts that are asked for, or if none is.
    """
    terms = terms_of(criteria)
    host = terms.pop("host", None)
    if host is not None and event.get("host") and not host.matches(event["host"]):
        return False
    texts = [term.text for term in terms.values()]
    if criteria.queue_id is not None:
        texts.append(criteria.queue_id.lower())
    message = str(event.get("message", "")).lower()
    return not texts or any(text in message for text in texts)
