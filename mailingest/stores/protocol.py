"""Where events are looked up: what each kind of store does for a trace."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from mailingest.postfix.index_keys import is_of_session
from mailingest.stores.counts import Counts, Grid
from mailingest.stores.criteria import Criteria, Term
from mailingest.stores.events import StoredEvent

FIELDS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "message_id": ("postfix_message-id",),
    "recipient": ("postfix_to", "postfix_orig_to"),
    "sender": ("postfix_from",),
    "text": ("message",),
    "client": ("postfix_client_hostname", "postfix_client_ip"),
    "relay": ("postfix_relay",),
    "host": ("host",),
}
"""The fields that each term of `Criteria` is about; the terms that few lines meet come first."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time from the first to the last event that a source has."""

    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """Events, newest first; ``is_cut`` tells that there may be more than were asked for.

    An event is the document as stored, with its id as ``_id``.  Its ``_position``, an integer,
    tells events of one moment apart: the line that was written last has the greatest, as far as
    the source can tell.  ``notes`` name what could not be read, one line each.
    """

    events: list[StoredEvent]
    is_cut: bool
    notes: list[str] = field(default_factory=list)


Progress = Callable[[float], None]
"""Hears, in any thread, which share of a long search is done; a search may begin anew."""


def unseen(share: float) -> None:
    """A `Progress` that nobody looks at."""


class Source(Protocol):
    """A store, or log files.

    ``since`` and ``until`` are aware, None is no bound; ``since`` is included, ``until`` is not.
    ``limit`` bounds the events that are given.  Queue IDs are matched case-exactly, everything
    else case-blind.  Raises OutputUnavailable if the store cannot be asked now, and UsageError if
    only the operator can heal that.  A call that is cancelled ends its work soon.
    """

    async def span(self) -> Span | None:
        """The time that there are events for; None if there are none."""

    async def find(self, criteria: Criteria, limit: int) -> Found:
        """Events that may belong to an answer: any line that meets one of the criteria's terms.

        At least one line of each answer is found if `limit` allows; of which term does not
        matter, since stories are checked against all criteria later.  Without any term, all
        lines about a queue ID and all refusals within the time are candidates.  The events are
        within the time, but log files, where a delivery line does not tell the sender, may give
        earlier ones of mails that may still have been there.
        """

    async def of_mails(
        self,
        queue_ids: Collection[str],
        message_ids: Collection[str],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """All events of these queue IDs, on whatever host, and of these Message-IDs.

        Events that name one of the queue IDs as the next, the one before or the one of a
        notification belong to it (see `mailingest.postfix.index_keys`).
        """

    async def of_sessions(
        self,
        sessions: Collection[tuple[str, str, str]],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """The lines about SMTP sessions of processes, each given as host, program and process id.

        They are those of `mailingest.postfix.index_keys.is_of_session`.
        """

    async def close(self) -> None:
        """Release files and connections."""


class Store(Source, Protocol):
    """A source that can also be counted, which log files cannot be in a moment."""

    async def counts(self, grid: Grid) -> Counts:
        """How much happened in each step, and why; raises what a `Source` raises."""


def terms_of(criteria: Criteria) -> dict[str, Term]:
    """The terms that are asked for, by name, in the order of `FIELDS_OF`."""
    terms = {name: getattr(criteria, name) for name in FIELDS_OF}
    return {name: term for name, term in terms.items() if term is not None}


def meets_term(event: StoredEvent, name: str, term: Term) -> bool:
    """Whether a field of an event meets the term."""
    return any(term.matches(event.get(field)) for field in FIELDS_OF[name])


def is_of_sessions(event: StoredEvent, sessions: Collection[tuple[str, str, str]]) -> bool:
    """Whether an event is a line about one of these sessions; see `Source.of_sessions`."""
    session = (event["host"], event["program"], event.get("pid", ""))
    return session in sessions and is_of_session(event)


def newest_first(events: Iterable[StoredEvent]) -> list[StoredEvent]:
    """The order that `Found` promises."""
    return sorted(
        events, key=lambda event: (str(event["@timestamp"]), event["_position"]), reverse=True
    )
