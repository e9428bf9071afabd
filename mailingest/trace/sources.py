"""Where events are looked up: what each kind of store does for a trace."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mailingest.trace.criteria import Criteria
from mailingest.trace.facts import Event


@dataclass(frozen=True, slots=True)
class Span:
    """The time from the first to the last event that a source has."""

    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """Events, newest first; ``is_cut`` tells that there are more than were asked for.

    An event is the document as stored, with its id as ``_id``.  Of one moment, the line that was
    written last comes first, as far as the source can tell.
    """

    events: list[Event]
    is_cut: bool


class Source(Protocol):
    """A store, or log files.

    ``since`` and ``until`` are aware, None is no bound; ``since`` is included, ``until`` is not.
    ``limit`` bounds the events that are given.  Queue IDs are matched case-exactly, everything
    else case-blind.  Raises OutputUnavailable if the store cannot be asked now.
    """

    async def span(self) -> Span | None:
        """The time that there are events for; None if there are none."""

    async def find(self, criteria: Criteria, limit: int) -> Found:
        """Events that may belong to an answer: any line that meets one of the criteria's terms.

        At least one line of each answer is found if `limit` allows; of which term does not
        matter, since stories are checked against all criteria later.  Without any term, all
        lines about a queue ID and all refusals within the time are candidates.
        """

    async def of_queue_ids(
        self, ids: Collection[str], since: datetime | None, until: datetime | None, limit: int
    ) -> Found:
        """All events of these queue IDs, on whatever host."""

    async def of_messages(
        self, ids: Collection[str], since: datetime | None, until: datetime | None, limit: int
    ) -> Found:
        """All events with these Message-IDs."""

    async def of_sessions(
        self,
        sessions: Collection[tuple[str, str, str]],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """All events of these processes, each given as host, program and process id."""

    async def close(self) -> None:
        """Release files and connections."""
