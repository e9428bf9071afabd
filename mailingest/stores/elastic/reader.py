"""What a trace and the overview ask Elasticsearch or OpenSearch.

Indices that another version or Logstash made are asked in their own way, and their documents are
completed as they are read.  A line can be found when the server has refreshed its index, 5 seconds
after it was stored at the latest (``refresh_interval`` of the index template).  Times are compared
to the millisecond.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from mailingest.errors import StoreUnavailable
from mailingest.postfix.index_keys import is_of_session, is_unmatched, queue_ids_of
from mailingest.postfix.names import MESSAGE_ID
from mailingest.stores.breakdown import Breakdown
from mailingest.stores.counts import NOT_COUNTED, Counts, TimeBuckets
from mailingest.stores.criteria import Criteria, may_be_about, meets_term, terms_of
from mailingest.stores.elastic import breakdown as naming
from mailingest.stores.elastic import counts as counting
from mailingest.stores.elastic import other_queries
from mailingest.stores.elastic.connection import ElasticConnection
from mailingest.stores.elastic.indices import DailyIndices, Times
from mailingest.stores.elastic.layouts import Layouts
from mailingest.stores.elastic.partial import window_of
from mailingest.stores.elastic.queries import (
    ABOUT_A_MAIL,
    UNMATCHED_LINES,
    Query,
    about_sessions,
    evidence_query,
    in_parts,
    of_message_ids,
    of_processes,
    of_queue_ids,
    term_query,
    within,
)
from mailingest.stores.elastic.schema import LONGEST_KEYWORD
from mailingest.stores.events import StoredEvent, newest_first, time_of
from mailingest.stores.gaps import Gap, merged, summed
from mailingest.stores.protocol import Found, Span

Reread = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Completes a document that does not have all that this version stores."""
Check = Callable[[StoredEvent], bool]

_EVER: Final[Times] = (None, None)
# Some MB an answer.
_PAGE: Final = 2000
_MOST_WARNINGS: Final = 5000
_MORE_WARNINGS: Final = Gap(
    "too_many_lines", f"only the newest {_MOST_WARNINGS} warnings are told: ask for less time"
)
# The terms that lines are searched for by keyword, whose frequency can be counted.
_IN_KEYWORDS: Final = ("message_id", "recipient", "sender", "sasl_user")
# Of two terms that more lines meet, either is as good.
_MOST_COUNTED: Final = 1_000_000
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

    def __init__(self, connection: ElasticConnection, types: Sequence[str], reread: Reread) -> None:
        self._indices = DailyIndices(connection, types)
        self._reread = reread
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
                ends.append(time_of(self._reread(hit["_source"])))
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
        layout = await self._indices.layouts()

        def of_term(name: str) -> Query:
            term = terms[name]
            return layout.choose(term_query(name, term), other_queries.term_query(name, term))

        evidence = criteria.evidence
        checks: list[tuple[Query, Check]] = [
            (of_term(name), partial(meets_term, name=name, term=terms[name]))
            for name in _IN_KEYWORDS
            if name in terms
        ]
        if criteria.queue_id is not None:
            ids = {criteria.queue_id}
            checks.append((_of_queue_ids(layout, ids), partial(_names_one, ids=ids)))
        if evidence is not None:
            query = layout.choose(
                evidence_query(evidence), other_queries.evidence_query_of_any(evidence)
            )
            checks.append(({"bool": {"filter": [query, ABOUT_A_MAIL]}}, evidence.is_in))
        times = (criteria.since, criteria.until)
        in_time = within(*times)
        if checks:
            # Which addresses are rare can only be counted.
            rarest = checks[0]
            if len(checks) > 1:
                counts = [await self._count([query, *in_time], times) for query, _ in checks]
                rarest = checks[counts.index(min(counts))]
            query, check = rarest
            sure = check if layout.others else None
            return await self._search([query, *in_time], times, limit, sure)
        for name, term in terms.items():
            every = [of_term(name), ABOUT_A_MAIL, *in_time]
            is_wanted = partial(meets_term, name=name, term=term)
            return await self._search(every, times, limit, is_wanted)
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
        layout = await self._indices.layouts()
        queries = [_of_queue_ids(layout, ids) for ids in in_parts(queue_ids)]
        queries += [
            layout.choose(of_message_ids(ids), other_queries.of_message_ids(ids))
            for ids in in_parts(message_ids)
        ]
        names, folded = set(queue_ids), {one.lower() for one in message_ids}

        def is_wanted(event: StoredEvent) -> bool:
            return _names_one(event, names) or str(event.get(MESSAGE_ID, "")).lower() in folded

        check = is_wanted if layout.others else None
        times = (since, until)
        return await self._search_each(queries, within(*times), times, limit, check)

    async def of_sessions(
        self,
        sessions: Collection[tuple[str, str, str]],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """The lines about SMTP sessions."""
        layout = await self._indices.layouts()
        queries = [
            layout.choose(of_processes(part), other_queries.of_processes(part))
            for part in in_parts(sessions)
        ]
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
        times = (buckets.since, buckets.until)
        answer, gaps = await self._indices.search(times, **counting.request(buckets))
        if gaps and "aggregations" not in answer:
            raise _nothing_read(gaps)
        counts = counting.read(buckets, answer)
        for indices in in_parts(await self._with_sizes(buckets)):
            sizes, missing = await self._indices.search(
                times, only=indices, **counting.size_request(buckets)
            )
            counts.sent_bytes += counting.read_size(sizes)
            gaps = merged(gaps, missing)
        if counting.has_judged(answer):
            query = [counting.LINES_WITH_REASON, *within(*times)]
            lines = await self._search(query, times, _PAGE)
            counting.add_reasons(counts, lines.events)
            counts.is_partial = lines.is_cut
            gaps = merged(gaps, lines.gaps)
        counts.gaps = gaps
        return counts

    async def breakdown(self, buckets: TimeBuckets) -> Breakdown:
        """The same by name, of the indices that can be counted by it."""
        self._indices.look_anew()
        times = (buckets.since, buckets.until)
        layout = await self._indices.layouts()
        found, gaps = Breakdown(), list[Gap]()
        asked = sorted(name for name in layout.current if self._indices.may_have(name, times))
        for indices in in_parts(asked):
            answer, missing = await self._indices.search(
                times, only=indices, **naming.request(buckets)
            )
            found.merge(naming.read(answer))
            gaps = merged(gaps, missing)
        if any(self._indices.may_have(name, times) for name in layout.others):
            gaps = merged(gaps, [NOT_COUNTED])
        lines = await self._search([naming.WARNINGS, *within(*times)], times, _MOST_WARNINGS)
        naming.add_warnings(found, lines.events)
        if lines.is_cut:
            gaps = merged(gaps, [_MORE_WARNINGS])
        found.gaps = merged(gaps, lines.gaps)
        return found

    async def _with_sizes(self, buckets: TimeBuckets) -> list[str]:
        """The indices of the time that have the sizes of mails as numbers."""
        layout = await self._indices.layouts()
        times = (buckets.since, buckets.until)
        return sorted(name for name in layout.with_sizes if self._indices.may_have(name, times))

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
                fields = self._reread(hit["_source"])
                event = {**fields, "_id": hit["_id"], "_position": hit["sort"][1]}
                if "@timestamp" in event and (is_wanted is None or is_wanted(event)):
                    events.append(event)
            if len(hits) < size:
                break
            after = hits[-1]["sort"]
        return Found(newest_first(events[:limit]), len(events) > limit, gaps)

    async def _count(self, query: Sequence[Query], times: Times) -> int:
        """How many events meet the query; of very many only that.

        What is not counted may be many.
        """
        answer, gaps = await self._indices.search(
            times, query={"bool": {"filter": list(query)}}, size=0, track_total_hits=_MOST_COUNTED
        )
        count: int = answer["hits"]["total"]["value"]
        return _MOST_COUNTED if gaps else count


def _of_queue_ids(layout: Layouts, queue_ids: Collection[str]) -> Query:
    return layout.choose(of_queue_ids(queue_ids), other_queries.of_queue_ids(queue_ids))


def _names_one(event: StoredEvent, ids: Collection[str]) -> bool:
    """Whether a line is about one of these queue IDs, or names it."""
    return not set(ids).isdisjoint(queue_ids_of(event))


def _nothing_read(gaps: Sequence[Gap]) -> StoreUnavailable:
    return StoreUnavailable("; ".join(gap.text for gap in summed(gaps)))
