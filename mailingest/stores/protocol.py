"""What each kind of store does, and what goes in and comes out.

A store has a write side, which the service fills, and a read side, which a trace and the overview
ask; around both stands what an operator does with it.  To add a store, implement `Store` in a
folder of its own and choose it in `mailingest.wiring.build_store`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Literal, Protocol

from mailingest.documents import Document
from mailingest.errors import MailingestError
from mailingest.stores.breakdown import Breakdown
from mailingest.stores.counts import Counts, TimeBuckets
from mailingest.stores.criteria import Criteria
from mailingest.stores.events import StoredEvent
from mailingest.stores.gaps import Gap

# The write side


@dataclass(frozen=True, slots=True)
class Rejection:
    """A document that the store does not take, and the store's reason."""

    document: Document
    reason: str


@dataclass(slots=True)
class WriteResult:
    """What became of a batch: ``stored`` counts documents that are in the store now.

    A document that was there already (same index and id) counts as stored and as
    ``duplicates``.  Those ``held`` are refused for what is wrong with their index or file, and are
    taken when an operator has set it right; the reason names place and fix.  Those to ``retry`` are
    for another try whatever their index, and ``why`` is the reason of the first of them.
    ``stored + len(rejected) + len(held) + len(retry)`` is the size of the batch.
    """

    stored: int = 0
    duplicates: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    held: list[Rejection] = field(default_factory=list)
    retry: list[Document] = field(default_factory=list)
    why: MailingestError | None = None


class Writer(Protocol):
    """Takes documents.  Writing a batch twice leaves each document stored once."""

    async def open(self) -> None:
        """Connect or create what is needed; raises UsageError or StoreUnavailable.

        It may be repeated, to make good what an outage has taken away.
        """

    async def write(self, batch: Sequence[Document]) -> WriteResult:
        """Store a batch; raises StoreUnavailable if nothing was decided on any document.

        UsageError says the same, and that the operator has to fix it.
        """

    async def sync(self) -> None:
        """Wait until all that is stored survives a power failure; raises StoreUnavailable."""

    async def reopen(self) -> None:
        """Leave a file that log rotation has renamed; raises what ``open`` raises."""

    async def close(self) -> None:
        """Release files and connections."""


# The read side


@dataclass(frozen=True, slots=True)
class Span:
    """The time from the first to the last event that there is."""

    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """Events, newest first; with ``is_cut``, there may be more than were asked for.

    An event is the document as stored, with its id as ``_id``.  Its ``_position``, an integer,
    orders events of one moment: the line that was written last has the greatest, as far as the
    store knows.  ``gaps`` are what could not be read of all that was asked for.
    """

    events: list[StoredEvent]
    is_cut: bool
    gaps: list[Gap] = field(default_factory=list)


Progress = Callable[[float], None]
"""Called in any thread with the share of a long search that is done; a search may begin anew."""


def no_progress(share: float) -> None:
    """A `Progress` that nobody looks at."""


class Reader(Protocol):
    """Finds events, in a store or in log files.

    ``since`` and ``until`` are aware, None is no bound; ``since`` is included, ``until`` is not.
    ``limit`` bounds the events that are given.  Queue IDs are case-sensitive, everything else is
    case-insensitive.  Raises StoreUnavailable if the store cannot be asked now, and UsageError if
    only the operator can fix that.  A call that is cancelled ends its work soon.
    """

    async def span(self) -> Span | None:
        """The time that there are events for; None if there are none.

        Raises StoreUnavailable if there are none in what can be read, and something cannot.
        """

    async def find(self, criteria: Criteria, limit: int) -> Found:
        """Events that may belong to an answer: any line that meets one of the criteria's terms.

        At least one line of each answer is found if `limit` allows; of which term does not
        matter, since stories are checked against all criteria later.  Without any term, all
        lines about a queue ID and all refusals within the time are candidates.  The events are
        within the time, but log files, where a delivery line does not have the sender, may give
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

    async def unmatched(self, criteria: Criteria, limit: int) -> Found:
        """Lines of the time that no pattern matched, and that may be about what is asked for.

        `mailingest.stores.criteria.may_be_about` says so.  At most ``limit`` lines that no pattern
        matched are looked at, the newest ones.
        """

    async def close(self) -> None:
        """Release files and connections."""


class CountingReader(Reader, Protocol):
    """The reader of a store, which has counts at hand; log files would have to be read for them."""

    async def counts(self, buckets: TimeBuckets) -> Counts:
        """How much happened in each bucket, and why; raises what a `Reader` raises."""

    async def breakdown(self, buckets: TimeBuckets) -> Breakdown:
        """The same for all of the time by name; raises what a `Reader` raises."""


# Both, and what an operator does


@dataclass(frozen=True, slots=True)
class Expired:
    """An index or a file whose day is over, with its size in bytes if that is known.

    It is deleted, unless ``kept_because`` says why not.
    """

    name: str
    size: int | None = None
    kept_because: str = ""


NO_SET_UP: Final = (
    "nothing to set up: only Elasticsearch and OpenSearch need it, see elasticsearch.hosts"
)

Show = Literal["requests", "diff"]
"""What is shown in place of a set-up: the requests, or what they would change."""


class Store(Protocol):
    """One kind of store with its settings.  Making one opens nothing and connects to nothing."""

    @property
    def in_flight(self) -> int:
        """How many batches may be written at once."""

    @property
    def keep_trying(self) -> bool:
        """Whether what only an operator can fix is waited out at the start, like an outage."""

    @property
    def day_units(self) -> str:
        """What holds the documents of a day, in the plural: indices, or files."""

    def writer(self) -> Writer:
        """A new writer, not open yet; raises UsageError if a setting cannot be used."""

    def reader(self, progress: Progress = no_progress) -> CountingReader:
        """A new reader, not open yet; raises UsageError if there can be none.

        ``progress`` hears of what this process reads itself.
        """

    async def check(self, warn: Callable[[str], None]) -> str:
        """Try what a writer needs, and say in a line what is well; raises what ``open`` raises.

        Nothing is changed on a server.  What is wrong, and keeps nothing from being stored, is
        warned of in a line each.
        """

    async def delete_old(
        self,
        days: Mapping[str, int],
        *,
        today: date,
        dry_run: bool,
        report: Callable[[Expired], None],
    ) -> None:
        """Delete the days that began ``days`` days ago or earlier, oldest first.

        ``days`` are given by type, and of others nothing is deleted.  Each is reported when it is
        gone; with ``dry_run`` it is only reported.  Raises UsageError or StoreUnavailable.
        """

    async def keep_house(self) -> None:
        """Do what makes days that are over smaller, if there is any; what was done is logged.

        The service asks for it now and then, and cancels it when it ends.
        """

    async def set_up(
        self,
        days: Mapping[str, int | None],
        show: Show | None,
        report: Callable[[str], None],
        *,
        force: bool = False,
    ) -> None:
        """Put what a server needs to be written to, or show it; a second run changes nothing.

        ``days`` are those that are kept, by type: None keeps all.  The lines to show are reported.
        What others have made there is only replaced with ``force``.  Raises UsageError or
        StoreUnavailable.
        """
