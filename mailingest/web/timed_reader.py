"""A store that is asked for a limited time, and gives what was found until then."""

import asyncio
from collections.abc import Awaitable, Collection, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from mailingest.stores.breakdown import Breakdown
from mailingest.stores.counts import Counts, TimeBuckets
from mailingest.stores.criteria import Criteria, terms_of
from mailingest.stores.gaps import TIMED_OUT, merged
from mailingest.stores.protocol import CountingReader, Found, Span

T = TypeVar("T")

_NOTHING = Found([], is_cut=True, gaps=[TIMED_OUT])
# The newest day is looked at first, and then twice as much each time.
_FIRST = timedelta(days=1)
_GROWTH = 2


class TimedReader:
    """A `CountingReader` for one question, whose time begins when it is made.

    What is not found in time is left out, which is a gap.  Finding the first lines has half of the
    time: all lines of their mails have to be fetched then.
    ``is_late`` is whether anything was not found in time, also the span.
    """

    def __init__(self, reader: CountingReader, seconds: float) -> None:
        self._reader = reader
        begin = asyncio.get_running_loop().time()
        self._find_until = begin + seconds / 2
        self._until = begin + seconds
        self._span: Span | None = None
        self.is_late = False

    async def span(self) -> Span | None:
        """The time that there are events for; None also if that is not known in time."""
        self._span = await self._in_time(self._reader.span(), None, self._find_until)
        return self._span

    async def find(self, criteria: Criteria, limit: int) -> Found:
        """Events that may belong to an answer, of the newest time that there is time for.

        Of several terms, a store chooses one, for all of the time that it is asked about.  So only
        with one term can it be asked piece by piece.
        """
        if self._span is None or len(terms_of(criteria)) + (criteria.queue_id is not None) > 1:
            return await self._found(self._reader.find(criteria, limit), self._find_until)
        found = Found([], is_cut=False)
        for since, until in _pieces(self._span, criteria):
            piece = replace(criteria, since=since, until=until)
            left = limit - len(found.events)
            more = await self._found(self._reader.find(piece, left), self._find_until)
            found = Found(
                [*found.events, *more.events],
                more.is_cut,
                merged(found.gaps, more.gaps),
            )
            if found.is_cut:
                break
        return found

    async def of_mails(
        self,
        queue_ids: Collection[str],
        message_ids: Collection[str],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """All events of queue IDs and Message-IDs."""
        return await self._found(
            self._reader.of_mails(queue_ids, message_ids, since, until, limit), self._until
        )

    async def of_sessions(
        self,
        sessions: Collection[tuple[str, str, str]],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """The lines about SMTP sessions."""
        return await self._found(
            self._reader.of_sessions(sessions, since, until, limit), self._until
        )

    async def unmatched(self, criteria: Criteria, limit: int) -> Found:
        """Lines that no pattern matched, and that may be about what is asked for."""
        return await self._found(self._reader.unmatched(criteria, limit), self._until)

    async def counts(self, buckets: TimeBuckets) -> Counts:
        """How much happened when, and why; nothing if that takes too long."""
        late = Counts(buckets, gaps=[TIMED_OUT])
        return await self._in_time(self._reader.counts(buckets), late, self._find_until)

    async def breakdown(self, buckets: TimeBuckets) -> Breakdown:
        """The same by name; nothing if that takes too long."""
        late = Breakdown(gaps=[TIMED_OUT])
        return await self._in_time(self._reader.breakdown(buckets), late, self._until)

    async def close(self) -> None:
        """Nothing: other questions ask the same store."""

    async def _found(self, work: Awaitable[Found], deadline: float) -> Found:
        return await self._in_time(work, _NOTHING, deadline)

    async def _in_time(self, work: Awaitable[T], late: T, deadline: float) -> T:
        try:
            async with asyncio.timeout_at(deadline) as timeout:
                return await work
        except TimeoutError:
            if not timeout.expired():
                raise
            self.is_late = True
            return late


def _pieces(span: Span, criteria: Criteria) -> Iterator[tuple[datetime | None, datetime | None]]:
    """The time that is asked about, in pieces, the newest first; together they are all of it."""
    first = max(span.first, criteria.since) if criteria.since is not None else span.first
    until = criteria.until
    end = min(span.last, until) if until is not None else span.last
    length = _FIRST
    while end - first > length:
        end -= length
        yield end, until
        until = end
        length *= _GROWTH
    yield criteria.since, until
