"""What a trace and the overview ask the embedded store."""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from mailingest.errors import StoreUnavailable
from mailingest.postfix.index_keys import UNMATCHED
from mailingest.postfix.names import MESSAGE_ID, QUEUE_ID
from mailingest.stores.breakdown import Breakdown
from mailingest.stores.counts import Counts, TimeBuckets
from mailingest.stores.criteria import FIELDS_OF, Criteria, Evidence, may_be_about, terms_of
from mailingest.stores.events import StoredEvent, is_of_sessions, time_of
from mailingest.stores.gaps import summed
from mailingest.stores.protocol import Found, Progress, Span, no_progress
from mailingest.stores.sqlite import blocks, earlier
from mailingest.stores.sqlite.blocks import Blocks
from mailingest.stores.sqlite.bounds import Bounds
from mailingest.stores.sqlite.counts import add_day
from mailingest.stores.sqlite.hours import add_hours
from mailingest.stores.sqlite.keys import LINKED, by_term, by_values
from mailingest.stores.sqlite.schema import has_blocks, has_earlier_documents
from mailingest.stores.sqlite.searching import Alternative, how_many, look_up, scan
from mailingest.stores.sqlite.visiting import Days
from mailingest.stores.sqlite.wanted import EVERY, of_evidence, of_term
from mailingest.stores.threads import in_thread

T = TypeVar("T")

# These are in the index; anything else is looked for in the text of the documents.
_IN_INDEX: Final = ("message_id", "recipient", "sender", "sasl_user")


class SqliteReader:
    """Asks the files that SqliteWriter writes, those of these types, also while it is writing them.

    Nothing is written, and no right to write is needed.  A file that cannot be read is logged and
    is a gap, and the others are asked.  Whole addresses, their beginnings, Message-IDs and queue
    IDs are found by an index; domains and other parts of addresses by reading the addresses of each
    day through; anything else by reading the documents of the time span.
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
            by_values(LINKED, queue_ids),
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
        lookups = [by_values(LINKED, {pid for _, _, pid in sessions})]
        bounds = Bounds(since, until)
        found = await self._in_thread(partial(look_up, lookups=lookups, bounds=bounds, limit=limit))
        events = [event for event in found.events if is_of_sessions(event, wanted)]
        return Found(events, found.is_cut, found.gaps)

    async def unmatched(self, criteria: Criteria, limit: int) -> Found:
        """Lines that no pattern matched, and that may be about what is asked for."""
        lookups = [by_values(LINKED, [UNMATCHED])]
        bounds = Bounds(criteria.since, criteria.until)
        found = await self._in_thread(partial(look_up, lookups=lookups, bounds=bounds, limit=limit))
        events = [event for event in found.events if may_be_about(event, criteria)]
        return Found(events, found.is_cut, found.gaps)

    async def counts(self, buckets: TimeBuckets) -> Counts:
        """How much happened when, and why."""
        return await self._in_thread(partial(_counts, buckets=buckets))

    async def breakdown(self, buckets: TimeBuckets) -> Breakdown:
        """The same by name; hours of which nothing is kept are read."""
        return await self._in_thread(partial(_breakdown, buckets=buckets, progress=self._progress))

    async def close(self) -> None:
        """Nothing stays open between two questions."""

    async def _in_thread(self, work: Callable[[Days], T]) -> T:
        days = Days(self._directory, self._types)
        return await in_thread(partial(work, days), days.interrupt)


def _span(days: Days) -> Span | None:
    times: list[datetime] = []

    def ask(path: Path, connection: sqlite3.Connection) -> bool:
        times.extend(map(time_of, _at_the_ends(days, connection)))
        return not times

    newest = days.within(Bounds())
    days.visit(newest, ask)
    last = max(times, default=None)
    if last is None:
        if days.gaps:
            raise StoreUnavailable("; ".join(gap.text for gap in summed(days.gaps)))
        return None
    times.clear()
    days.visit(newest[::-1], ask)
    return Span(min(times, default=last), last)


def _at_the_ends(days: Days, connection: sqlite3.Connection) -> Iterator[StoredEvent]:
    """The events of the first and of the last second of a file."""
    if has_blocks(connection) and (ends := blocks.first_and_last(connection)) is not None:
        reading = Blocks(connection, days.go_on)
        for end in ends:
            yield from blocks.at(reading, end)
    if has_earlier_documents(connection):
        for end in earlier.first_and_last(connection):
            yield from earlier.at(connection, end)


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
    counts.keep_most()
    return counts


def _breakdown(days: Days, buckets: TimeBuckets, progress: Progress) -> Breakdown:
    found = Breakdown()
    paths = days.within(Bounds(buckets.since, buckets.until))

    def ask(path: Path, connection: sqlite3.Connection) -> bool:
        add_hours(found, connection, buckets.start, buckets.end, days.go_on)
        progress((paths.index(path) + 1) / len(paths))
        return True

    days.visit(paths, ask)
    found.gaps = days.gaps
    return found


def _find(days: Days, criteria: Criteria, limit: int, progress: Progress) -> Found:
    """Events of the term that the fewest lines meet, so that few are left out."""
    bounds = Bounds(criteria.since, criteria.until)
    quick: list[Alternative] = []
    slow: list[Alternative] = []
    if criteria.queue_id is not None:
        queue_id = [criteria.queue_id]
        quick.append([by_values(QUEUE_ID, queue_id), by_values(LINKED, queue_id)])
    for name, term in terms_of(criteria).items():
        if name not in _IN_INDEX or (name == "message_id" and term.comparison != "equals"):
            continue
        lookups = [by_term(column, term) for column in FIELDS_OF[name]]
        (quick if term.comparison in ("equals", "starts") else slow).append(lookups)
    if not quick and not slow:
        return _read_through(days, criteria, limit, progress)
    if criteria.evidence is not None:
        quick.append(criteria.evidence)
    rarest = _rarest(days, quick, slow, bounds, limit)
    if isinstance(rarest, Evidence):
        return scan(days, of_evidence(rarest), bounds, limit, progress)
    return look_up(days, rarest, bounds, limit)


def _read_through(days: Days, criteria: Criteria, limit: int, progress: Progress) -> Found:
    """Events by what no index has, or by evidence, if fewer of the newest lines are that."""
    bounds = Bounds(criteria.since, criteria.until)
    terms = [of_term(name, term) for name, term in terms_of(criteria).items()]
    wanted = terms[0] if terms else EVERY
    if criteria.evidence is not None:
        found = scan(days, of_evidence(criteria.evidence), bounds, limit, progress)
        if not (terms and found.is_cut):
            return found
        newest = Bounds(time_of(found.events[-1]), criteria.until)
        if scan(days, wanted, newest, limit, progress).is_cut:
            return found
    return scan(days, wanted, bounds, limit, progress)


def _rarest(
    days: Days,
    quick: Sequence[Alternative],
    slow: Sequence[Alternative],
    bounds: Bounds,
    limit: int,
) -> Alternative:
    """The alternative that the fewest documents meet; slow ones are not tried in vain."""
    if len(quick) + len(slow) == 1:
        return [*quick, *slow][0]
    counted: list[tuple[int, Alternative]] = []
    for several in (quick, slow):
        counts = how_many(days, several, bounds, limit + 1) if several else []
        counted += zip(counts, several, strict=True)
        if any(count <= limit for count, _ in counted):
            break
    return min(counted, key=lambda one: one[0])[1]
