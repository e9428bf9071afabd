"""What a trace and the overview ask Elasticsearch or OpenSearch.

Indices that another version or Logstash made are asked in their own way, and their documents are
completed as they are read.  A line can be found when the server has refreshed its index, 5 seconds
after it was stored at the latest (``refresh_interval`` of the index template).  Times are compared
to the millisecond.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any, Final, cast

from elasticsearch import AsyncElasticsearch

from mailingest.postfix.index_keys import is_of_session, is_unmatched, queue_ids_of
from mailingest.postfix.names import MESSAGE_ID
from mailingest.stores.counts import Counts, TimeBuckets
from mailingest.stores.criteria import Criteria, may_be_about, meets_term, terms_of
from mailingest.stores.days import day_of
from mailingest.stores.elastic import counts as counting
from mailingest.stores.elastic import layouts, other_queries
from mailingest.stores.elastic.connection import ElasticConnection
from mailingest.stores.elastic.errors import explained
from mailingest.stores.elastic.layouts import Layouts
from mailingest.stores.elastic.lifecycle import index_patterns
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
from mailingest.stores.protocol import Found, Span

Reread = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Completes a document that does not have all that this version stores."""
Check = Callable[[StoredEvent], bool]

# Some MB an answer.
_PAGE: Final = 2000
_PRIVILEGES: Final = "monitor on the cluster, and read on the indices"
# The terms that lines are searched for by keyword, whose frequency can be counted.
_IN_KEYWORDS: Final = ("message_id", "recipient", "sender", "sasl_user")
# Of two terms that more lines meet, either is as good.
_MOST_COUNTED: Final = 1_000_000
# A new day of Logstash's is known as such after this time.
_LAYOUT_SECONDS: Final = 10.0
# In one index a day and shard, the sequence number grows as lines are stored.  It stays the same
# on each copy of a shard, so paging is stable.
_NEWEST: Final = (
    {"@timestamp": {"order": "desc", "unmapped_type": "date"}},
    {"_seq_no": "desc"},
    {"_index": "desc"},
)


class ElasticReader:
    """Asks the indices that an ElasticWriter writes.

    The connection is opened by the first question.  Shards that do not answer are noted.
    """

    def __init__(
        self,
        connection: ElasticConnection,
        prefix: str,
        reread: Reread,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._connection = connection
        self._prefix = prefix
        self._index = ",".join(index_patterns(prefix))
        self._reread = reread
        self._clock = clock
        self._is_open = False
        self._layouts = Layouts()
        self._layouts_until = 0.0

    async def span(self) -> Span | None:
        """The time that there are events for; None if there are none."""
        ends: list[datetime] = []
        for order in ("asc", "desc"):
            answer = await self._ask(
                query={"exists": {"field": "@timestamp"}},
                sort=[{"@timestamp": {"order": order, "unmapped_type": "date"}}],
                source=["@timestamp"],
                size=1,
            )
            for hit in answer["hits"]["hits"]:
                ends.append(time_of(self._reread(hit["_source"])))
        return Span(ends[0], ends[-1]) if ends else None

    async def find(self, criteria: Criteria, limit: int) -> Found:
        """Events of the term that the fewest lines meet."""
        terms = terms_of(criteria)
        asked = [criteria.queue_id or "", *(term.text for term in terms.values())]
        # Longer texts are in no index, and a server refuses longer queries in its own way.
        if max(map(len, asked)) > LONGEST_KEYWORD:
            return Found([], is_cut=False)
        layout = await self._layouts_now()

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
        in_time = within(criteria.since, criteria.until)
        if checks:
            # Which addresses are rare can only be counted.
            rarest = checks[0]
            if len(checks) > 1:
                counts = [await self._count([query, *in_time]) for query, _ in checks]
                rarest = checks[counts.index(min(counts))]
            query, check = rarest
            return await self._search([query, *in_time], limit, check if layout.others else None)
        for name, term in terms.items():
            every = [of_term(name), ABOUT_A_MAIL, *in_time]
            return await self._search(every, limit, partial(meets_term, name=name, term=term))
        return await self._search([ABOUT_A_MAIL, *in_time], limit)

    async def of_mails(
        self,
        queue_ids: Collection[str],
        message_ids: Collection[str],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """All events of queue IDs and Message-IDs."""
        layout = await self._layouts_now()
        queries = [_of_queue_ids(layout, ids) for ids in in_parts(queue_ids)]
        queries += [
            layout.choose(of_message_ids(ids), other_queries.of_message_ids(ids))
            for ids in in_parts(message_ids)
        ]
        names, folded = set(queue_ids), {one.lower() for one in message_ids}

        def is_wanted(event: StoredEvent) -> bool:
            return _names_one(event, names) or str(event.get(MESSAGE_ID, "")).lower() in folded

        check = is_wanted if layout.others else None
        return await self._search_each(queries, within(since, until), limit, check)

    async def of_sessions(
        self,
        sessions: Collection[tuple[str, str, str]],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """The lines about SMTP sessions."""
        layout = await self._layouts_now()
        queries = [
            layout.choose(of_processes(part), other_queries.of_processes(part))
            for part in in_parts(sessions)
        ]
        also = [about_sessions(), *within(since, until)]
        return await self._search_each(queries, also, limit, is_of_session)

    async def unmatched(self, criteria: Criteria, limit: int) -> Found:
        """Lines that no pattern matched, and that may be about what is asked for."""
        query = [*UNMATCHED_LINES, *within(criteria.since, criteria.until)]
        found = await self._search(query, limit)
        events = [
            event for event in found.events if is_unmatched(event) and may_be_about(event, criteria)
        ]
        return Found(events, found.is_cut, found.notes)

    async def counts(self, buckets: TimeBuckets) -> Counts:
        """How much happened when, and why."""
        answer = await self._ask(**counting.request(buckets))
        counts = counting.read(buckets, answer)
        counts.notes = [note] if (note := _note(answer)) else []
        for indices in in_parts(await self._with_sizes(buckets)):
            sizes = await self._ask(indices=",".join(indices), **counting.size_request(buckets))
            counts.sent_bytes += counting.read_size(sizes)
        if counting.has_judged(answer):
            in_time = within(buckets.since, buckets.until)
            lines = await self._search([counting.LINES_WITH_REASON, *in_time], _PAGE)
            counting.add_reasons(counts, lines.events)
            counts.is_partial = lines.is_cut
        return counts

    async def _with_sizes(self, buckets: TimeBuckets) -> list[str]:
        """The indices of the time that have the sizes of mails as numbers."""
        layout = await self._layouts_now()
        first, last = buckets.since.date(), buckets.until.date()

        def is_of_time(index: str) -> bool:
            day = day_of(index, self._prefix)
            return day is None or first <= day <= last

        return sorted(filter(is_of_time, layout.with_sizes))

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def _search_each(
        self,
        queries: Iterable[Query],
        also: Sequence[Query],
        limit: int,
        is_wanted: Callable[[StoredEvent], bool] | None = None,
    ) -> Found:
        """The newest events of several queries, which may find the same ones."""
        events: dict[str, StoredEvent] = {}
        notes: list[str] = []
        is_cut = False
        for query in queries:
            found = await self._search([query, *also], limit, is_wanted)
            events |= {event["_id"]: event for event in found.events}
            is_cut |= found.is_cut
            notes += [note for note in found.notes if note not in notes]
        newest = newest_first(events.values())
        return Found(newest[:limit], is_cut or len(newest) > limit, notes)

    async def _search(
        self,
        query: Sequence[Query],
        limit: int,
        is_wanted: Callable[[StoredEvent], bool] | None = None,
    ) -> Found:
        """The newest events, and whether there are more than ``limit``."""
        events: list[StoredEvent] = []
        notes: list[str] = []
        after: list[Any] | None = None
        while len(events) <= limit:
            size = _PAGE if is_wanted else min(_PAGE, limit + 1 - len(events))
            answer = await self._ask(
                query={"bool": {"filter": list(query)}},
                sort=list(_NEWEST),
                size=size,
                search_after=after,
            )
            note = _note(answer)
            if note and note not in notes:
                notes.append(note)
            hits = answer["hits"]["hits"]
            for hit in hits:
                fields = self._reread(hit["_source"])
                event = {**fields, "_id": hit["_id"], "_position": hit["sort"][1]}
                if "@timestamp" in event and (is_wanted is None or is_wanted(event)):
                    events.append(event)
            if len(hits) < size:
                break
            after = hits[-1]["sort"]
        return Found(newest_first(events[:limit]), len(events) > limit, notes)

    async def _count(self, query: Sequence[Query]) -> int:
        """How many events meet the query; of very many only that."""
        answer = await self._ask(
            query={"bool": {"filter": list(query)}}, size=0, track_total_hits=_MOST_COUNTED
        )
        count: int = answer["hits"]["total"]["value"]
        return count

    async def _layouts_now(self) -> Layouts:
        """Which indices have which fields; another program may make new ones at any time."""
        if self._clock() >= self._layouts_until:
            with explained(_PRIVILEGES):
                client = await self._client()
                answer = await client.perform_request(
                    "GET", layouts.path(self._index), headers={"accept": "application/json"}
                )
            self._layouts = layouts.layouts_of(answer.body)
            self._layouts_until = self._clock() + _LAYOUT_SECONDS
        return self._layouts

    async def _ask(
        self, *, indices: str = "", track_total_hits: bool | int = False, **body: Any
    ) -> Mapping[str, Any]:
        with explained(_PRIVILEGES):
            client = await self._client()
            answer = await client.search(
                index=indices or self._index,
                ignore_unavailable=True,
                allow_no_indices=True,
                track_total_hits=track_total_hits,
                **body,
            )
        return cast(Mapping[str, Any], answer.body)

    async def _client(self) -> AsyncElasticsearch:
        if not self._is_open:
            await self._connection.open()
            self._is_open = True
        return self._connection.client


def _of_queue_ids(layout: Layouts, queue_ids: Collection[str]) -> Query:
    return layout.choose(of_queue_ids(queue_ids), other_queries.of_queue_ids(queue_ids))


def _names_one(event: StoredEvent, ids: Collection[str]) -> bool:
    """Whether a line is about one of these queue IDs, or names it."""
    return not set(ids).isdisjoint(queue_ids_of(event))


def _note(answer: Mapping[str, Any]) -> str:
    """What did not answer; "" if everything did."""
    shards = answer["_shards"]
    if not shards["failed"]:
        return ""
    reasons = [failure.get("reason", {}).get("reason") for failure in shards.get("failures", [])]
    return f"{shards['failed']} of {shards['total']} shards did not answer: {reasons[:1]}"
