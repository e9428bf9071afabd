"""What a trace and the overview ask VictoriaLogs.

A line can be found a second or two after it was stored.  An answer is whole, or it is none: what
the server breaks off raises StoreUnavailable.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Final, TypeVar

from mailingest.postfix.index_keys import is_of_session, is_unmatched, queue_ids_of
from mailingest.postfix.names import MESSAGE_ID
from mailingest.stores.breakdown import Breakdown
from mailingest.stores.counts import Counts, TimeBuckets
from mailingest.stores.criteria import Criteria, may_be_about, meets_term, terms_of
from mailingest.stores.events import StoredEvent, newest_first
from mailingest.stores.gaps import Gap
from mailingest.stores.protocol import Found, Span
from mailingest.stores.victorialogs import breakdown as naming
from mailingest.stores.victorialogs import counts as counting
from mailingest.stores.victorialogs import queries
from mailingest.stores.victorialogs.connection import Connection
from mailingest.stores.victorialogs.copies import Copies
from mailingest.stores.victorialogs.events import newest
from mailingest.stores.victorialogs.logsql import encodable, in_parts, within
from mailingest.stores.victorialogs.rows import usual_time

T = TypeVar("T")

_MOST_WARNINGS: Final = 5000
_MORE_WARNINGS: Final = Gap(
    "too_many_lines", f"only the newest {_MOST_WARNINGS} warnings are told: ask for less time"
)
# The terms that lines are searched for by whole values, which is quick.
_IN_FIELDS: Final = ("message_id", "recipient", "sender", "sasl_user")
_SESSIONS: Final = 30
_OVERHEAD: Final = 2000  # bytes of a query beside its ids
# Longer ones do not fit into a query, and are none of a mail.
_LONGEST_ID: Final = 1000
# Longer texts are no part of any line that was stored.
_LONGEST_TEXT: Final = 65_536


class VictoriaLogsReader:
    """Asks for the events of some types that a `VictoriaLogsWriter` has written."""

    def __init__(self, connection: Connection, types: Sequence[str]) -> None:
        self._connection = connection
        self._types = queries.of_types(types)
        self._copies = Copies(connection, self._types)

    async def span(self) -> Span | None:
        """The time that there are events for; None if there are none."""
        [row] = await self._connection.table(
            f"{self._types} | stats count() n, min(_time) first, max(_time) last"
        )
        if row["n"] == "0":
            return None
        first, last = (datetime.fromisoformat(usual_time(row[end])) for end in ("first", "last"))
        return Span(first, last)

    async def find(self, criteria: Criteria, limit: int) -> Found:
        """Events of the term that the fewest lines meet."""
        terms = terms_of(criteria)
        asked = [criteria.queue_id or "", *(term.text for term in terms.values())]
        if max(map(len, asked)) > _LONGEST_TEXT:
            return Found([], is_cut=False)
        evidence = criteria.evidence
        checks: list[tuple[str, Callable[[StoredEvent], bool]]] = [
            (
                queries.term_filter(name, terms[name]),
                partial(meets_term, name=name, term=terms[name]),
            )
            for name in _IN_FIELDS
            if name in terms
        ]
        if criteria.queue_id is not None:
            ids = {criteria.queue_id}
            if len(criteria.queue_id) > _LONGEST_ID:
                return Found([], is_cut=False)
            checks.append((_of_queue_ids(ids), partial(_names_one, ids=ids)))
        if evidence is not None:
            about = [queries.evidence_filter(evidence), queries.ABOUT_A_MAIL]
            checks.append((" ".join(about), evidence.is_in))
        in_time = within(criteria.since, criteria.until)
        if checks:
            # Which addresses are rare can only be counted.
            rarest = checks[0]
            if len(checks) > 1:
                counts = [await self._count([query, *in_time]) for query, _ in checks]
                rarest = checks[counts.index(min(counts))]
            query, check = rarest
            return await self._search([query, *in_time], limit, check)
        for name, term in terms.items():
            filters = [queries.term_filter(name, term), queries.ABOUT_A_MAIL, *in_time]
            return await self._search(filters, limit, partial(meets_term, name=name, term=term))
        return await self._search([queries.ABOUT_A_MAIL, *in_time], limit)

    async def of_mails(
        self,
        queue_ids: Collection[str],
        message_ids: Collection[str],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """All events of queue IDs and Message-IDs."""
        room = (await self._connection.limits()).query_bytes - _OVERHEAD
        parts = in_parts(_short(queue_ids), room // queries.QUEUE_ID_FIELDS)
        filters = [_of_queue_ids(part) for part in parts]
        folded = [one.lower() for one in _short(message_ids)]
        filters += [queries.of_message_ids(part) for part in in_parts(folded, room // 2)]
        names, wanted = set(queue_ids), {one.lower() for one in message_ids}

        def is_wanted(event: StoredEvent) -> bool:
            return _names_one(event, names) or str(event.get(MESSAGE_ID, "")).lower() in wanted

        return await self._search_each(filters, within(since, until), limit, is_wanted)

    async def of_sessions(
        self,
        sessions: Collection[tuple[str, str, str]],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """The lines about SMTP sessions."""
        filters = [queries.of_processes(part) for part in _in_lists(sessions, _SESSIONS)]
        also = [queries.ABOUT_SESSIONS, *within(since, until)]
        return await self._search_each(filters, also, limit, is_of_session)

    async def unmatched(self, criteria: Criteria, limit: int) -> Found:
        """Lines that no pattern matched, and that may be about what is asked for."""
        in_time = within(criteria.since, criteria.until)
        found = await self._search([queries.UNMATCHED_LINES, *in_time], limit, is_unmatched)
        events = [event for event in found.events if may_be_about(event, criteria)]
        return Found(events, found.is_cut, found.gaps)

    async def counts(self, buckets: TimeBuckets) -> Counts:
        """How much happened when, and why: each event once."""
        counts = await counting.read(self._connection, self._types, buckets)
        copies = await self._copies.within(buckets)
        for copy in copies.events:
            counting.subtract(counts, copy)
        counts.gaps = copies.gaps
        return counts

    async def breakdown(self, buckets: TimeBuckets) -> Breakdown:
        """The same by name."""
        found = await naming.read(self._connection, self._types, buckets)
        copies = await self._copies.within(buckets)
        for copy in copies.events:
            naming.subtract(found, copy)
        lines = await self._search(
            [naming.WARNINGS, *within(buckets.since, buckets.until)], _MOST_WARNINGS
        )
        for line in lines.events:
            found.add(line)
        found.gaps = [*copies.gaps, *([_MORE_WARNINGS] if lines.is_cut else [])]
        return found

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def _search(
        self,
        filters: Sequence[str],
        limit: int,
        is_wanted: Callable[[StoredEvent], bool] | None = None,
    ) -> Found:
        return await newest(self._connection, [self._types, *filters], limit, is_wanted)

    async def _search_each(
        self,
        filters: Iterable[str],
        also: Sequence[str],
        limit: int,
        is_wanted: Callable[[StoredEvent], bool],
    ) -> Found:
        """The newest events of several filters, which may find the same ones."""
        events: dict[str, StoredEvent] = {}
        is_cut = False
        for one in filters:
            found = await self._search([one, *also], limit, is_wanted)
            events |= {event["_id"]: event for event in found.events}
            is_cut |= found.is_cut
        ordered = newest_first(events.values())
        return Found(ordered[:limit], is_cut or len(ordered) > limit)

    async def _count(self, filters: Sequence[str]) -> int:
        query = " ".join([self._types, *filters])
        [row] = await self._connection.table(f"{query} | stats count() n")
        return int(row["n"])


def _short(ids: Iterable[str]) -> Iterator[str]:
    return (encodable(one) for one in ids if len(one) <= _LONGEST_ID)


def _of_queue_ids(queue_ids: Collection[str]) -> str:
    return queries.of_queue_ids([encodable(one) for one in queue_ids])


def _names_one(event: StoredEvent, ids: Collection[str]) -> bool:
    """Whether a line is about one of these queue IDs, or names it."""
    return not set(ids).isdisjoint(queue_ids_of(event))


def _in_lists(values: Collection[T], size: int) -> Iterator[list[T]]:
    every = list(values)
    for start in range(0, len(every), size):
        yield every[start : start + size]
