"""Elasticsearch or OpenSearch as a source: the same questions in its query language.

A line can be found when the server has refreshed its index, 5 seconds after it was stored at the
latest (``refresh_interval`` of the index template).  Times are compared to the millisecond.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address
from typing import Any, Final, TypeVar, cast

from elasticsearch import ApiError, TransportError

from mailingest.postfix.index_keys import LINKS, is_of_session
from mailingest.stores.counts import Counts, TimeBuckets
from mailingest.stores.criteria import FIELDS_OF, Criteria, Term, meets_term, terms_of
from mailingest.stores.elastic.counts import read, request
from mailingest.stores.elastic.lifecycle import index_patterns
from mailingest.stores.elastic.schema import LONGEST_KEYWORD
from mailingest.stores.elastic.writer import ElasticWriter, explain
from mailingest.stores.events import StoredEvent, newest_first
from mailingest.stores.protocol import Found, Span

T = TypeVar("T")

Query = dict[str, Any]

# Some MB an answer.
_PAGE: Final = 2000
# Values in one request: below the 1,024 clauses and the 10 MB or more that servers take.
_VALUES: Final = 300
# Servers refuse longer ones as too complex (OpenSearch 2.19 those over 300 characters); a part
# finds all that the whole does.
_LONGEST_PATTERN: Final = 200
# More words narrow a search down little, and each one costs a walk through all words there are.
_MOST_WORDS: Final = 3
_PRIVILEGES: Final = "monitor on the cluster, and read on the indices"
_ADDRESSES: Final = ("recipient", "sender")
_IN_FEW: Final = ("message_id", *_ADDRESSES)
# In one index a day and shard, the sequence number grows as lines are stored.  It stays the same
# on each copy of a shard, so paging is stable.
_NEWEST: Final = (
    {"@timestamp": {"order": "desc", "unmapped_type": "date"}},
    {"_seq_no": "desc"},
    {"_index": "desc"},
)
_PROCESS: Final = ("host", "program", "pid")
_SPECIAL: Final = re.compile(r"([\\*?])")
_WORD: Final = re.compile(r"[0-9a-z]+")
_OF_A_MAIL: Final[Query] = {"exists": {"field": "postfix_queueid"}}


class ElasticReader:
    """Asks the indices that an ElasticWriter writes.

    ``output`` is the connection (an output without template changes nothing on the server); it is
    opened by the first question.  Shards that do not answer are noted.
    """

    def __init__(self, output: ElasticWriter, prefix: str) -> None:
        self._output = output
        self._index = ",".join(index_patterns(prefix))
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
        # None is indexed, and a server refuses longer queries in its own way.
        if max(map(len, asked)) > LONGEST_KEYWORD:
            return Found([], is_cut=False)
        exact = {name: term for name, term in terms.items() if name in _IN_FEW}
        queries = [_term_query(name, term) for name, term in exact.items()]
        if criteria.queue_id is not None:
            queries.append(_among(("postfix_queueid", *LINKS), [_sound(criteria.queue_id)]))
        within = _within(criteria.since, criteria.until)
        if queries:
            # Which addresses are rare can only be counted.
            rarest = queries[0]
            if len(queries) > 1:
                counts = [await self._count([query, *within], limit) for query in queries]
                rarest = queries[counts.index(min(counts))]
            return await self._search([rarest, *within], limit)
        for name, term in terms.items():
            query = [_term_query(name, term), _OF_A_MAIL, *within]
            return await self._search(query, limit, partial(meets_term, name=name, term=term))
        return await self._search([_OF_A_MAIL, *within], limit)

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
            *(_among(("postfix_queueid", *LINKS), part) for part in _parts(queue_ids)),
            *(
                _any_of([_term("postfix_message-id", message_id) for message_id in part])
                for part in _parts(message_ids)
            ),
        ]
        return await self._search_each(queries, _within(since, until), limit)

    async def of_sessions(
        self,
        sessions: Collection[tuple[str, str, str]],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """The lines about SMTP sessions."""
        processes = [
            _any_of(
                [
                    {
                        "bool": {
                            "filter": [
                                _among([name], [one])
                                for name, one in zip(_PROCESS, session, strict=True)
                            ]
                        }
                    }
                    for session in part
                ]
            )
            for part in _parts(sessions)
        ]
        about = _any_of(
            [
                {"exists": {"field": "postfix_smtpd_lostconn_data"}},
                {"match_phrase": {"message": "connect from"}},
                {"match_phrase": {"message": "disconnect from"}},
                _among(["postfix_queueid"], ["NOQUEUE"]),
            ]
        )
        within = [about, *_within(since, until)]
        return await self._search_each(processes, within, limit, is_of_session)

    async def counts(self, buckets: TimeBuckets) -> Counts:
        """How much happened when, and why."""
        answer = await self._ask(**request(buckets))
        counts = read(buckets, answer)
        counts.notes = [note] if (note := _note(answer)) else []
        return counts

    async def close(self) -> None:
        """Close the connection."""
        await self._output.close()

    async def _search_each(
        self,
        queries: Iterable[Query],
        within: Sequence[Query],
        limit: int,
        is_wanted: Callable[[StoredEvent], bool] | None = None,
    ) -> Found:
        """The newest events of several queries, which may find the same ones."""
        events: dict[str, StoredEvent] = {}
        notes: list[str] = []
        is_cut = False
        for query in queries:
            found = await self._search([query, *within], limit, is_wanted)
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
        try:
            if not self._is_open:
                await self._output.open()
                self._is_open = True
            answer = await self._output.client.search(
                index=self._index,
                ignore_unavailable=True,
                allow_no_indices=True,
                track_total_hits=track_total_hits,
                **body,
            )
        except (ApiError, TransportError) as error:
            raise explain(error, _PRIVILEGES) from error
        return cast(Mapping[str, Any], answer.body)


def _note(answer: Mapping[str, Any]) -> str:
    """What did not answer; "" if everything did."""
    shards = answer["_shards"]
    if not shards["failed"]:
        return ""
    reasons = [failure.get("reason", {}).get("reason") for failure in shards.get("failures", [])]
    return f"{shards['failed']} of {shards['total']} shards did not answer: {reasons[:1]}"


def _term_query(name: str, term: Term) -> Query:
    if name in _ADDRESSES:
        return _any_of([_address(field, term) for field in FIELDS_OF[name]])
    text = _sound(term.text)
    if name == "text":
        return _words(text)
    if name != "client":
        return _any_of([_keyword(field, term) for field in FIELDS_OF[name]])
    hostname, ip = FIELDS_OF[name]
    # A part of an address can only be found as text.
    parts = [_keyword(hostname, term), _words(text)]
    with suppress(ValueError):
        parts.append({"term": {ip: str(ip_address(text))}})
    return _any_of(parts)


def _address(field: str, term: Term) -> Query:
    """For a field of the type `address`, whose sub-fields are in lower case."""
    text = _sound(term.text)
    if term.comparison == "equals" and len(text) <= LONGEST_KEYWORD:
        return {"term": {f"{field}.keyword": text}}
    if term.comparison == "ends" and text.startswith("@") and text.count("@") == 1:
        return {"term": {f"{field}.domain": text[1:]}}
    return _keyword(f"{field}.keyword", term)


def _keyword(field: str, term: Term) -> Query:
    text = _sound(term.text)
    if len(text) > LONGEST_KEYWORD:
        return {"match_none": {}}
    start, end = text[:_LONGEST_PATTERN], text[-_LONGEST_PATTERN:]
    match term.comparison:
        case "equals":
            return _term(field, text)
        case "starts":
            return _pattern(field, f"{_escaped(start)}*")
        case "ends":
            return _pattern(field, f"*{_escaped(end)}")
        case "contains":
            return _pattern(field, f"*{_escaped(start)}*")


def _words(text: str) -> Query:
    """All events whose message has the words of the text, whole or as a part of longer ones.

    How the server cuts a message into words depends on what stands beside them, as in
    `mx.example.net`, so whole words cannot be asked for.
    """
    words = sorted(set(_WORD.findall(text)), key=len, reverse=True)[:_MOST_WORDS]
    if not words:
        return {"match_all": {}}
    patterns = [_pattern("message", f"*{word[:_LONGEST_PATTERN]}*") for word in words]
    return {"bool": {"filter": patterns}}


def _pattern(field: str, pattern: str) -> Query:
    return {"wildcard": {field: {"value": pattern, "case_insensitive": True}}}


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _term(field: str, text: str) -> Query:
    text = _sound(text)
    if len(text) > _LONGEST_PATTERN:
        return _pattern(field, f"{_escaped(text[:_LONGEST_PATTERN])}*")
    return {"term": {field: {"value": text, "case_insensitive": True}}}


def _among(fields: Iterable[str], values: Iterable[str]) -> Query:
    wanted = [value for value in values if len(value) <= LONGEST_KEYWORD]
    return _any_of([{"terms": {field: wanted}} for field in fields])


def _any_of(queries: Sequence[Query]) -> Query:
    return {"bool": {"should": list(queries), "minimum_should_match": 1}}


def _within(since: datetime | None, until: datetime | None) -> list[Query]:
    bounds = {
        name: f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
        for name, time in (("gte", since), ("lt", until))
        if time is not None
    }
    return [{"range": {"@timestamp": bounds}}] if bounds else []


def _parts(values: Collection[T]) -> Iterator[list[T]]:
    """The values in lists that are short enough for one request."""
    every = list(values)
    for start in range(0, len(every), _VALUES):
        yield every[start : start + _VALUES]


def _sound(text: str) -> str:
    """Text that a request takes: what the command line could not decode is not in any line."""
    return text.encode("utf-8", "replace").decode("utf-8")
