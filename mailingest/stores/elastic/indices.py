"""The daily indices, searched as far as they can be read."""

from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import chain
from typing import Any, Final, cast

from elasticsearch import ApiError

from mailingest.stores.days import day_of, touches
from mailingest.stores.elastic.connection import ElasticConnection
from mailingest.stores.elastic.errors import explained
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

_PRIVILEGES: Final = "monitor on the cluster, and read on the indices"

Times = tuple[datetime | None, datetime | None]
"""Since and until, None for no bound."""


class DailyIndices:
    """Searches the indices of these types; the connection is opened by the first search.

    Which indices cannot be read is found out once and remembered until `look_anew`.
    """

    def __init__(self, connection: ElasticConnection, *types: str) -> None:
        self._connection = connection
        self._types = types
        self._index = ",".join(chain.from_iterable(map(index_patterns, types)))
        self._is_open = False
        self._unreadable: Mapping[str, str] = {}

    def look_anew(self) -> None:
        """Begin another question: an index may have been opened since the last one."""
        self._unreadable = {}

    async def search(
        self, times: Times, *, track_total_hits: bool | int = False, **body: Any
    ) -> tuple[Answer, list[Gap]]:
        """The answer to a search, and what it lacks of the days of these times.

        Raises StoreUnavailable if the server cannot be asked, and UsageError if only the operator
        can fix that.
        """

        def is_asked(index: str) -> bool:
            days = [day for name in self._types if (day := day_of(index, name)) is not None]
            return not days or touches(days[0], *times)

        with explained(_PRIVILEGES):
            if not self._is_open:
                await self._connection.open()
                self._is_open = True
            answer, left_out = await self._answer({**body, "track_total_hits": track_total_hits})
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

    async def _answer(self, body: Mapping[str, Any]) -> tuple[Answer, Mapping[str, str]]:
        """The answer of all indices that can be read, and the others, each with the reason."""
        known = self._unreadable
        while True:
            blocked = [f"-{name}" for name, reason in known.items() if reason != CLOSED]
            try:
                answer = await self._connection.client.search(
                    index=",".join([self._index, *blocked]),
                    # A closed index is an error then, and not left out in silence.
                    ignore_unavailable=False,
                    expand_wildcards="open" if CLOSED in known.values() else "open,closed",
                    allow_no_indices=True,
                    allow_partial_search_results=True,
                    **body,
                )
            except ApiError as error:
                refused = unreadable(error)
                if CLOSED in refused.values():
                    refused |= await self._closed()
                if refused.keys() - known.keys():
                    self._unreadable = known = {**known, **refused}
                    continue
                failed = failed_answer(error)
                if failed is None:
                    raise
                return failed, known
            return cast(Answer, answer.body), known

    async def _closed(self) -> dict[str, str]:
        """All indices that are closed: an error names only one."""
        state = await self._connection.client.cluster.state(
            metric="metadata",
            index=self._index,
            expand_wildcards="closed",
            filter_path="metadata.indices.*.state",
        )
        return dict.fromkeys(state.body.get("metadata", {}).get("indices", {}), CLOSED)

    async def _without_shards(self, is_asked: Callable[[str], bool]) -> list[Gap]:
        """The gaps that shards leave which are nowhere: an answer does not say which they are."""
        health = await self._connection.client.cluster.health(
            index=self._index,
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
