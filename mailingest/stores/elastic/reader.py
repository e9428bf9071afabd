"""What a trace and the overview ask Elasticsearch or OpenSearch.

A line can be found when the server has refreshed its index, 5 seconds after it was stored at the
latest (``refresh_interval`` of the index template).  Times are compared to the millisecond.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any, Final, cast

from mailingest.postfix.index_keys import is_of_session, is_unmatched
from mailingest.stores.counts import Counts, TimeBuckets
from mailingest.stores.criteria import Criteria, may_be_about, meets_term, terms_of
from mailingest.stores.elastic.connection import ElasticConnection
from mailingest.stores.elastic.counts import read, request
from mailingest.stores.elastic.errors import explained
from mailingest.stores.elastic.lifecycle import index_patterns
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
from mailingest.stores.protocol import Found, Span

# Some MB an answer.
_PAGE: Final = 2000
_PRIVILEGES: Final = "monitor on the cluster, and read on the indices"
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

    The connection is opened by the first question.  Shards that do not answer are noted.
    """

    def __init__(self, connection: ElasticConnection, *types: str) -> None:
        self._connection = connection
        self._index = ",".join(chain.from_iterable(map(index_patterns, types)))
        self._is_open = False

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
                ends.append(datetime.fromisoformat(hit["_source"]["@timestamp"]))
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
        in_time = within(criteria.since, criteria.until)
        if queries:
            # Which addresses are rare can only be counted.
            rarest = queries[0]
            if len(queries) > 1:
                counts = [await self._count([query, *in_time], limit) for query in queries]
                rarest = queries[counts.index(min(counts))]
            return await self._search([rarest, *in_time], limit)
        for name, term in terms.items():
            query = [term_query(name, term), ABOUT_A_MAIL, *in_time]
            return await self._search(query, limit, partial(meets_term, name=name, term=term))
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
        queries = [
            *map(of_queue_ids, in_parts(queue_ids)),
            *map(of_message_ids, in_parts(message_ids)),
        ]
        return await self._search_each(queries, within(since, until), limit)

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
        answer = await self._ask(**request(buckets))
        counts = read(buckets, answer)
        counts.notes = [note] if (note := _note(answer)) else []
        return counts

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
                event = {**hit["_source"], "_id": hit["_id"], "_position": hit["sort"][1]}
                if is_wanted is None or is_wanted(event):
                    events.append(event)
            if len(hits) < size:
                break
            after = hits[-1]["sort"]
        return Found(newest_first(events[:limit]), len(events) > limit, notes)

    async def _count(self, query: Sequence[Query], limit: int) -> int:
        """How many events meet the query; of more than ``limit`` only that."""
        answer = await self._ask(
            query={"bool": {"filter": list(query)}}, size=0, track_total_hits=limit + 1
        )
        count: int = answer["hits"]["total"]["value"]
        return count

    async def _ask(self, *, track_total_hits: bool | int = False, **body: Any) -> Mapping[str, Any]:
        with explained(_PRIVILEGES):
            if not self._is_open:
                await self._connection.open()
                self._is_open = True
            answer = await self._connection.client.search(
                index=self._index,
                ignore_unavailable=True,
                allow_no_indices=True,
                track_total_hits=track_total_hits,
                **body,
            )
        return cast(Mapping[str, Any], answer.body)


def _note(answer: Mapping[str, Any]) -> str:
    """What did not answer; "" if everything did."""
    shards = answer["_shards"]
    if not shards["failed"]:
        return ""
    reasons = [failure.get("reason", {}).get("reason") for failure in shards.get("failures", [])]
    return f"{shards['failed']} of {shards['total']} shards did not answer: {reasons[:1]}"
