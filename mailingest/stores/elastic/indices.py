"""The daily indices, searched as far as they can be read."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from time import monotonic
from typing import Any, Final, Protocol, cast

from elasticsearch import ApiError

from mailingest.stores.days import day_of_any, touches
from mailingest.stores.elastic.connection import ElasticConnection
from mailingest.stores.elastic.errors import explained
from mailingest.stores.elastic.layouts import Layouts, layouts_of, path
from mailingest.stores.elastic.lifecycle import index_patterns
from mailingest.stores.elastic.partial import (
    CLOSED,
    Answer,
    failed_answer,
    gaps_of,
    missing_shards,
    unreadable,
)
from mailingest.stores.gaps import Gap

# A new day of Logstash's is known as such after this time.
_LAYOUT_SECONDS: Final = 10.0
_PRIVILEGES: Final = "monitor on the cluster, and read on the indices"

Times = tuple[datetime | None, datetime | None]
"""Since and until, None for no bound."""


class Ask(Protocol):
    """Asks the server, without those indices (``-NAME``), and without closed ones if there are."""

    async def __call__(self, blocked: Sequence[str], *, closed: bool) -> Answer: ...


class DailyIndices:
    """Searches the indices of these types; the connection is opened by the first search.

    Which indices cannot be read is found out once and remembered until `look_anew`.
    """

    def __init__(
        self,
        connection: ElasticConnection,
        types: Sequence[str],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._connection = connection
        self._types = types
        self._patterns = tuple(chain.from_iterable(map(index_patterns, types)))
        self._clock = clock
        self._is_open = False
        self._unreadable: Mapping[str, str] = {}
        self._layouts = Layouts()
        self._layouts_until = 0.0

    def look_anew(self) -> None:
        """Begin another question: an index may have been opened since the last one."""
        self._unreadable = {}

    async def layouts(self) -> Layouts:
        """Which indices have which fields; another program may make new ones at any time."""
        if self._clock() >= self._layouts_until:
            with explained(_PRIVILEGES):
                await self._open()
                answer, _ = await self._readable(self._field_caps)
            self._layouts = layouts_of(answer)
            self._layouts_until = self._clock() + _LAYOUT_SECONDS
        return self._layouts

    async def search(
        self,
        times: Times,
        *,
        indices: Sequence[str] = (),
        track_total_hits: bool | int = False,
        **body: Any,
    ) -> tuple[Answer, list[Gap]]:
        """The answer to a search, and what it lacks of the days of these times.

        Without ``indices``, all of the types are searched.
        Raises StoreUnavailable if the server cannot be asked, and UsageError if only the operator
        can fix that.
        """

        def is_asked(index: str) -> bool:
            day = day_of_any(index, self._types)
            return day is None or touches(day, *times)

        with explained(_PRIVILEGES):
            await self._open()
            body["track_total_hits"] = track_total_hits
            answer, left_out = await self._answer(indices or self._patterns, body)
            gaps = [
                Gap("day_unreadable", f"{name} cannot be read: {reason}")
                for name, reason in sorted(left_out.items())
                if is_asked(name)
            ]
            gaps += gaps_of(answer, is_asked)
            if missing_shards(answer) > 0:
                gaps += await self._without_shards(is_asked)
        return answer, gaps

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def _open(self) -> None:
        if not self._is_open:
            await self._connection.open()
            self._is_open = True

    async def _answer(
        self, names: Sequence[str], body: Mapping[str, Any]
    ) -> tuple[Answer, Mapping[str, str]]:
        """The answer of all indices that can be read, and the others, each with the reason."""

        async def ask(blocked: Sequence[str], *, closed: bool) -> Answer:
            answer = await self._connection.client.search(
                index=",".join([*names, *blocked]),
                # A closed index is an error then, and not left out in silence.
                ignore_unavailable=False,
                expand_wildcards="open" if closed else "open,closed",
                allow_no_indices=True,
                allow_partial_search_results=True,
                **body,
            )
            return cast(Answer, answer.body)

        try:
            return await self._readable(ask)
        except ApiError as error:
            failed = failed_answer(error)
            if failed is None:
                raise
            return failed, self._unreadable

    async def _field_caps(self, blocked: Sequence[str], *, closed: bool) -> Answer:
        """What `layouts_of` reads; indices that are closed are left out in any case."""
        answer = await self._connection.client.perform_request(
            "GET",
            path(",".join([*self._patterns, *blocked])),
            headers={"accept": "application/json"},
        )
        return cast(Answer, answer.body)

    async def _readable(self, ask: Ask) -> tuple[Answer, Mapping[str, str]]:
        """An answer without the indices that cannot be read, and these, each with the reason."""
        known = self._unreadable
        while True:
            blocked = [f"-{name}" for name, reason in known.items() if reason != CLOSED]
            try:
                return await ask(blocked, closed=CLOSED in known.values()), known
            except ApiError as error:
                refused = unreadable(error)
                if CLOSED in refused.values():
                    refused |= await self._closed()
                if not refused.keys() - known.keys():
                    raise
                self._unreadable = known = {**known, **refused}

    async def _closed(self) -> dict[str, str]:
        """All indices that are closed: an error names only one."""
        state = await self._connection.client.cluster.state(
            metric="metadata",
            index=",".join(self._patterns),
            expand_wildcards="closed",
            filter_path="metadata.indices.*.state",
        )
        return dict.fromkeys(state.body.get("metadata", {}).get("indices", {}), CLOSED)

    async def _without_shards(self, is_asked: Callable[[str], bool]) -> list[Gap]:
        """The gaps that shards leave which are nowhere: an answer does not say which they are."""
        health = await self._connection.client.cluster.health(
            index=",".join(self._patterns),
            level="indices",
            expand_wildcards="open",
            filter_path="indices.*.status",
        )
        indices = health.body.get("indices", {})
        red = sorted(name for name, one in indices.items() if one["status"] == "red")
        if not red:
            return [Gap("shards_failed", "shards were not there for a moment: ask again")]
        return [
            Gap("shards_failed", f"shards of {name} are not assigned: see GET _cat/shards/{name}")
            for name in red
            if is_asked(name)
        ]
