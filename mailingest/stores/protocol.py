"""What each kind of store does: the read side, which a trace asks, and the write side."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from mailingest.documents import Document
from mailingest.stores.counts import Counts, TimeBuckets
from mailingest.stores.criteria import Criteria
from mailingest.stores.events import StoredEvent


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


def no_progress(share: float) -> None:
    """A `Progress` that nobody looks at."""


class Reader(Protocol):
    """A store, or log files.

    ``since`` and ``until`` are aware, None is no bound; ``since`` is included, ``until`` is not.
    ``limit`` bounds the events that are given.  Queue IDs are matched case-exactly, everything
    else case-blind.  Raises StoreUnavailable if the store cannot be asked now, and UsageError if
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


class CountingReader(Reader, Protocol):
    """A source that can also be counted, which log files cannot be in a moment."""

    async def counts(self, buckets: TimeBuckets) -> Counts:
        """How much happened in each bucket, and why; raises what a `Reader` raises."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A document that the store will never take as it is, and the store's reason."""

    document: Document
    reason: str


@dataclass(slots=True)
class WriteResult:
    """What became of a batch: ``stored`` counts documents that are in the store now.

    A document that was there already (same index and id) counts as stored and as
    ``duplicates``.  ``stored + len(rejected) + len(retry)`` is the size of the batch.
    """

    stored: int = 0
    duplicates: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    retry: list[Document] = field(default_factory=list)


class Writer(Protocol):
    """Takes documents.  Writing a batch twice leaves each document stored once."""

    async def open(self) -> None:
        """Connect or create what is needed; raises UsageError or StoreUnavailable."""

    async def write(self, batch: Sequence[Document]) -> WriteResult:
        """Store a batch; raises StoreUnavailable if nothing was decided on any document.

        UsageError says the same, and that the operator has to heal it.
        """

    async def reopen(self) -> None:
        """Let go of files that log rotation has renamed; raises what `open` raises."""

    async def close(self) -> None:
        """Release files and connections."""
