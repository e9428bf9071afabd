"""What a trace and the overview ask the embedded store."""

import sqlite3
from collections.abc import Callable, Collection
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from mailingest.errors import StoreUnavailable
from mailingest.postfix.index_keys import UNMATCHED
from mailingest.postfix.names import MESSAGE_ID, QUEUE_ID
from mailingest.stores.counts import Counts, TimeBuckets
from mailingest.stores.criteria import FIELDS_OF, Criteria, may_be_about, terms_of
from mailingest.stores.events import is_of_sessions
from mailingest.stores.gaps import summed
from mailingest.stores.protocol import Found, Progress, Span, no_progress
from mailingest.stores.sqlite.counts import add_day, keep_most
from mailingest.stores.sqlite.lookups import Rows, by_term, by_values, collect, fetch, look_up
from mailingest.stores.sqlite.scanning import EVERY, Filter, of_evidence, of_term, scan
from mailingest.stores.sqlite.visiting import Bounds, Days
from mailingest.stores.threads import in_thread

T = TypeVar("T")

# These have columns of their own; anything else is looked for in the text of the documents.
_IN_COLUMNS: Final = ("message_id", "recipient", "sender", "sasl_user")


class SqliteReader:
    """Asks the files that SqliteWriter writes, those of these types, also while it is writing them.

    Nothing is written, and no right to write is needed.  A file that cannot be read is logged and
    is a gap, and the others are asked.  Whole addresses, their beginnings, Message-IDs and queue
    IDs are found by an index; domains and other parts of addresses by reading an index through;
    anything else by reading the documents of the time span.
    """

    def __init__(self, directory: Path, *types: str, progress: Progress = no_progress) -> None:
        self._directory = directory
        self._types = types
        self._progress = progress

    async def span(self) -> Span | None:
        """The time that there are events for; None if there are none."""
        return await self._in_thread(_span)

    async def find(self, criteria: Criteria, limit: int) -> Found:
        """Events that may belong to an answer."""
        return await self._in_thread(
            partial(_find, criteria=criteria, limit=limit, progress=self._progress)
        )

    async def of_mails(
        self,
        queue_ids: Collection[str],
        message_ids: Collection[str],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """All events of queue IDs and Message-IDs."""
        lookups = [
            by_values(QUEUE_ID, queue_ids),
            by_values("linked", queue_ids),
            by_values(MESSAGE_ID, [one.casefold() for one in message_ids]),
        ]
        bounds = Bounds(since, until)
        return await self._in_thread(partial(look_up, lookups=lookups, bounds=bounds, limit=limit))

    async def of_sessions(
        self,
        sessions: Collection[tuple[str, str, str]],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """The lines about SMTP sessions."""
        wanted = set(sessions)
        lookups = [by_values("linked", {pid for _, _, pid in sessions})]
        bounds = Bounds(since, until)
        found = await self._in_thread(partial(look_up, lookups=lookups, bounds=bounds, limit=limit))
        events = [event for event in found.events if is_of_sessions(event, wanted)]
        return Found(events, found.is_cut, found.gaps)

    async def unmatched(self, criteria: Criteria, limit: int) -> Found:
        """Lines that no pattern matched, and that may be about what is asked for."""
        lookups = [by_values("linked", [UNMATCHED])]
        bounds = Bounds(criteria.since, criteria.until)
        found = await self._in_thread(partial(look_up, lookups=lookups, bounds=bounds, limit=limit))
        events = [event for event in found.events if may_be_about(event, criteria)]
        return Found(events, found.is_cut, found.gaps)

    async def counts(self, buckets: TimeBuckets) -> Counts:
        """How much happened when, and why."""
        return await self._in_thread(partial(_counts, buckets=buckets))

    async def close(self) -> None:
        """Nothing stays open between two questions."""

    async def _in_thread(self, work: Callable[[Days], T]) -> T:
        days = Days(self._directory, self._types)
        return await in_thread(partial(work, days), days.interrupt)


def _span(days: Days) -> Span | None:
    ends: list[datetime] = []

    def ask(path: Path, connection: sqlite3.Connection) -> bool:
        for which in ("min", "max"):
            query = (
                f"""SELECT {which}(json_extract(body, '$."@timestamp"')) FROM documents"""  # noqa: S608
                f" WHERE time = (SELECT {which}(time) FROM documents)"
            )
            [stamp] = connection.execute(query).fetchone()
            if stamp is not None:
                ends.append(datetime.fromisoformat(stamp))
        return not ends

    newest = days.within(Bounds())
    days.visit(newest, ask)
    last = max(ends, default=None)
    if last is None:
        if days.gaps:
            raise StoreUnavailable("; ".join(gap.text for gap in summed(days.gaps)))
        return None
    ends.clear()
    days.visit(newest[::-1], ask)
    return Span(min(ends, default=last), last)


def _counts(days: Days, buckets: TimeBuckets) -> Counts:
    counts = Counts(buckets)
    read: list[Path] = []

    def ask(path: Path, connection: sqlite3.Connection) -> bool:
        add_day(counts, connection)
        read.append(path)
        return True

    days.visit(days.within(Bounds(buckets.since, buckets.until)), ask)
    if days.gaps and not read:
        raise StoreUnavailable("; ".join(gap.text for gap in summed(days.gaps)))
    counts.gaps = days.gaps
    keep_most(counts)
    return counts


def _find(days: Days, criteria: Criteria, limit: int, progress: Progress) -> Found:
    """Events of the term that the fewest lines meet, so that few are left out."""
    bounds = Bounds(criteria.since, criteria.until)
    terms = terms_of(criteria)
    by_index: list[Rows] = []
    by_whole_index: list[Rows] = []
    if criteria.queue_id is not None:
        queue_id = [criteria.queue_id]
        by_index.append(Rows([by_values(QUEUE_ID, queue_id), by_values("linked", queue_id)]))
    for name in _IN_COLUMNS:
        if (term := terms.get(name)) is not None:
            rows = Rows([by_term(column, term) for column in FIELDS_OF[name]])
            is_quick = term.comparison in ("equals", "starts")
            (by_index if is_quick else by_whole_index).append(rows)
    if not by_index and not by_whole_index:
        return scan(days, _filter_of(criteria), bounds, limit, progress)
    candidates: list[Rows] = []
    for stage in (by_index, by_whole_index):
        collect(days, stage, bounds, limit + 1)
        candidates += stage
        if any(rows.count <= limit for rows in candidates):
            break
    return fetch(days, min(candidates, key=lambda rows: rows.count), limit)


def _filter_of(criteria: Criteria) -> Filter:
    """What is looked for in the documents where no index helps."""
    for name, term in terms_of(criteria).items():
        return of_term(name, term)
    return of_evidence(criteria.evidence) if criteria.evidence is not None else EVERY
