"""What a trace and the overview ask Elasticsearch or OpenSearch.

A line can be found when the server has refreshed its index, 5 seconds after it was stored at the
latest (``refresh_interval`` of the index template).  Times are compared to the millisecond.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from mailingest.errors import StoreUnavailable
from mailingest.postfix.index_keys import is_of_session, is_unmatched
from mailingest.stores.counts import Counts, TimeBuckets
from mailingest.stores.criteria import Criteria, may_be_about, meets_term, terms_of
from mailingest.stores.elastic.connection import ElasticConnection
from mailingest.stores.elastic.counts import read, request
from mailingest.stores.elastic.indices import DailyIndices, Times
from mailingest.stores.elastic.partial import window_of
from mailingest.stores.elastic.queries import (
    ABOUT_A_MAIL,
    UNMATCHED_LINES,
    Query,
    about_sessions,
    in_parts,
    of_message_ids,
    of_processes,
    of_queue_ids,
    term_query,
    within,
)
from mailingest.stores.elastic.schema import LONGEST_KEYWORD
from mailingest.stores.events import StoredEvent, newest_first
from mailingest.stores.gaps import Gap, merged, summed
from mailingest.stores.protocol import Found, Span

_EVER: Final[Times] = (None, None)
# Some MB an answer.
_PAGE: Final = 2000
# The terms that lines are searched for by keyword, whose frequency can be counted.
_IN_KEYWORDS: Final = ("message_id", "recipient", "sender", "sasl_user")
# In one index a day and shard, the sequence number grows as lines are stored.  It stays the same
# on each copy of a shard, so paging is stable.
_NEWEST: Final = (
    {"@timestamp": {"order": "desc", "unmapped_type": "date"}},
    {"_seq_no": "desc"},
    {"_index": "desc"},
)


class ElasticReader:
    """Asks the indices that an ElasticWriter writes, those of these types.

    The connection is opened by the first question.  What does not answer is a gap: indices that
    are closed or blocked, shards that fail or are nowhere, and what the server ends early.
    """

    def __init__(self, connection: ElasticConnection, *types: str) -> None:
        self._indices = DailyIndices(connection, *types)
        self._page = _PAGE

    async def span(self) -> Span | None:
        """The time that there are events for; None if there are none."""
        self._indices.look_anew()
        ends: list[datetime] = []
        gaps: list[Gap] = []
        for order in ("asc", "desc"):
            answer, missing = await self._indices.search(
                _EVER,
                query={"exists": {"field": "@timestamp"}},
                sort=[{"@timestamp": {"order": order, "unmapped_type": "date"}}],
                source=["@timestamp"],
                size=1,
            )
            for hit in answer["hits"]["hits"]:
                ends.append(datetime.fromisoformat(hit["_source"]["@timestamp"]))
            gaps = merged(gaps, missing)
        if gaps and not ends:
            raise _nothing_read(gaps)
        return Span(ends[0], ends[-1]) if ends else None

    async def find(self, criteria: Criteria, limit: int) -> Found:
        """Events of the term that the fewest lines meet."""
        terms = terms_of(criteria)
        asked = [criteria.queue_id or "", *(term.text for term in terms.values())]
        # Longer texts are in no index, and a server refuses longer queries in its own way.
        if max(map(len, asked)) > LONGEST_KEYWORD:
            return Found([], is_cut=False)
        queries = [term_query(name, terms[name]) for name in _IN_KEYWORDS if name in terms]
        if criteria.queue_id is not None:
            queries.append(of_queue_ids([criteria.queue_id]))
        times = (criteria.since, criteria.until)
        in_time = within(*times)
        if queries:
            # Which addresses are rare can only be counted.
            rarest = queries[0]
            if len(queries) > 1:
                counts = [await self._count([query, *in_time], times, limit) for query in queries]
                rarest = queries[counts.index(min(counts))]
            return await self._search([rarest, *in_time], times, limit)
        for name, term in terms.items():
            query = [term_query(name, term), ABOUT_A_MAIL, *in_time]
            is_wanted = partial(meets_term, name=name, term=term)
            return await self._search(query, times, limit, is_wanted)
        return await self._search([ABOUT_A_MAIL, *in_time], times, limit)

    async def of_mails(
        self,
        queue_ids: Collection[str],
        message_ids: Collection[str],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """All events of queue IDs and Message-IDs."""
        queries = [
            *map(of_queue_ids, in_parts(queue_ids)),
            *map(of_message_ids, in_parts(message_ids)),
        ]
        return await self._search_each(queries, within(since, until), (since, until), limit)

    async def of_sessions(
        self,
        sessions: Collection[tuple[str, str, str]],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """The lines about SMTP sessions."""
        queries = map(of_processes, in_parts(sessions))
        also = [about_sessions(), *within(since, until)]
        return await self._search_each(queries, also, (since, until), limit, is_of_session)

    async def unmatched(self, criteria: Criteria, limit: int) -> Found:
        """Lines that no pattern matched, and that may be about what is asked for."""
        times = (criteria.since, criteria.until)
        found = await self._search([*UNMATCHED_LINES, *within(*times)], times, limit)
        events = [
            event for event in found.events if is_unmatched(event) and may_be_about(event, criteria)
        ]
        return Found(events, found.is_cut, found.gaps)

    async def counts(self, buckets: TimeBuckets) -> Counts:
        """How much happened when, and why."""
        self._indices.look_anew()
        answer, gaps = await self._indices.search(
            (buckets.since, buckets.until), **request(buckets)
        )
        if gaps and "aggregations" not in answer:
            raise _nothing_read(gaps)
        counts = read(buckets, answer)
        counts.gaps = gaps
        return counts

    async def close(self) -> None:
        """Close the connection."""
        await self._indices.close()

    async def _search_each(
        self,
        queries: Iterable[Query],
        also: Sequence[Query],
        times: Times,
        limit: int,
        is_wanted: Callable[[StoredEvent], bool] | None = None,
    ) -> Found:
        """The newest events of several queries, which may find the same ones."""
        events: dict[str, StoredEvent] = {}
        gaps: list[Gap] = []
        is_cut = False
        for query in queries:
            found = await self._search([query, *also], times, limit, is_wanted)
            events |= {event["_id"]: event for event in found.events}
            is_cut |= found.is_cut
            gaps = merged(gaps, found.gaps)
        newest = newest_first(events.values())
        return Found(newest[:limit], is_cut or len(newest) > limit, gaps)

    async def _search(
        self,
        query: Sequence[Query],
        times: Times,
        limit: int,
        is_wanted: Callable[[StoredEvent], bool] | None = None,
    ) -> Found:
        """The newest events, and whether there are more than ``limit``."""
        events: list[StoredEvent] = []
        gaps: list[Gap] = []
        after: list[Any] | None = None
        while len(events) <= limit:
            size = self._page if is_wanted else min(self._page, limit + 1 - len(events))
            answer, missing = await self._indices.search(
                times,
                query={"bool": {"filter": list(query)}},
                sort=list(_NEWEST),
                size=size,
                search_after=after,
            )
            if (window := window_of(answer)) is not None and 0 < window < size:
                self._page = window  # more, shorter pages have all of it
                continue
            gaps = merged(gaps, missing)
            hits = answer["hits"]["hits"]
            for hit in hits:
                event = {**hit["_source"], "_id": hit["_id"], "_position": hit["sort"][1]}
                if is_wanted is None or is_wanted(event):
                    events.append(event)
            if len(hits) < size:
                break
            after = hits[-1]["sort"]
        return Found(newest_first(events[:limit]), len(events) > limit, gaps)

    async def _count(self, query: Sequence[Query], times: Times, limit: int) -> int:
        """How many events meet the query; of more than ``limit`` only that.

        What is not counted may be many.
        """
        answer, gaps = await self._indices.search(
            times, query={"bool": {"filter": list(query)}}, size=0, track_total_hits=limit + 1
        )
        count: int = answer["hits"]["total"]["value"]
        return count if not gaps else limit + 1


def _nothing_read(gaps: Sequence[Gap]) -> StoreUnavailable:
    return StoreUnavailable("; ".join(gap.text for gap in summed(gaps)))
