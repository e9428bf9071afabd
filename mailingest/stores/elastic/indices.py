"""The daily indices, searched as far as they can be read."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import chain
from time import monotonic
from typing import Any, Final, cast

from elasticsearch import ApiError

from mailingest.stores.days import day_of, touches
from mailingest.stores.elastic.connection import ElasticConnection
from mailingest.stores.elastic.errors import explained
from mailingest.stores.elastic.layouts import Layouts, layouts_of, path
from mailingest.stores.elastic.lifecycle import index_patterns
from mailingest.stores.elastic.partial import (
    CLOSED,
    NO_ANSWER,
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


Unreadable = Mapping[str, str]
"""Indices that cannot be read, each with the reason."""


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
        self._patterns = list(chain.from_iterable(map(index_patterns, types)))
        self._clock = clock
        self._is_open = False
        self._unreadable: Unreadable = {}
        self._layouts = Layouts()
        self._layouts_until = 0.0

    def look_anew(self) -> None:
        """Begin another question: an index may have been opened since the last one."""
        self._unreadable = {}

    def may_have(self, index: str, times: Times) -> bool:
        """Whether an index may have something of these times."""
        days = [day for name in self._types if (day := day_of(index, name)) is not None]
        return not days or touches(days[0], *times)

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
        only: Collection[str] = (),
        track_total_hits: bool | int = False,
        **body: Any,
    ) -> tuple[Answer, list[Gap]]:
        """The answer to a search, and what it lacks of the days of these times.

        ``only`` are the indices to search, none for all of the types.
        Raises StoreUnavailable if the server cannot be asked, and UsageError if only the operator
        can fix that.
        """

        def is_asked(index: str) -> bool:
            return self.may_have(index, times)

        with explained(_PRIVILEGES):
            await self._open()
            body["track_total_hits"] = track_total_hits
            answer, left_out = await self._answer(only, body)
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
        self, only: Collection[str], body: Mapping[str, Any]
    ) -> tuple[Answer, Unreadable]:
        """The answer of all indices that can be read, and the others."""

        async def ask(without: Unreadable) -> Answer:
            named = [name for name in only if name not in without]
            if only and not named:
                return NO_ANSWER
            answer = await self._connection.client.search(
                index=",".join(named) or _but(self._patterns, without),
                # A closed index is an error then, and not left out in silence.
                ignore_unavailable=False,
                expand_wildcards="open" if CLOSED in without.values() else "open,closed",
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

    async def _field_caps(self, without: Unreadable) -> Answer:
        """What `layouts_of` reads; indices that are closed are left out in any case."""
        answer = await self._connection.client.perform_request(
            "GET", path(_but(self._patterns, without)), headers={"accept": "application/json"}
        )
        return cast(Answer, answer.body)

    async def _readable(
        self, ask: Callable[[Unreadable], Awaitable[Answer]]
    ) -> tuple[Answer, Unreadable]:
        """An answer without the indices that cannot be read, and these."""
        known = self._unreadable
        while True:
            try:
                return await ask(known), known
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


def _but(patterns: Sequence[str], without: Unreadable) -> str:
    """What a request names to leave those out; closed ones are left out by another option."""
    blocked = [f"-{name}" for name, reason in without.items() if reason != CLOSED]
    return ",".join([*patterns, *blocked])
