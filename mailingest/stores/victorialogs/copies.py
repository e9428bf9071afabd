"""Events that are stored more than once: what a count has too much.

A writer looks up what it may have sent before, so there are few: of a request that a server which
stood still has taken after it was looked up, or of two replays of one log at the same time.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from mailingest.stores.counts import TimeBuckets
from mailingest.stores.events import StoredEvent
from mailingest.stores.gaps import Gap
from mailingest.stores.victorialogs import logsql
from mailingest.stores.victorialogs.connection import Connection
from mailingest.stores.victorialogs.rows import ID, TYPE, decode, usual_time

MOST_COPIES: Final = 20_000
"""Events that are stored several times, of an hour, that are told apart."""
_TOO_MANY: Final = Gap(
    "too_many_lines",
    f"more than {MOST_COPIES} events of an hour are stored several times, and are counted so",
)
_MOST_HOURS: Final = 20_000  # two years; what is remembered of an hour is small
_ASKED_BYTES: Final = 12_000


@dataclass(slots=True)
class Surplus:
    """All but the first copy of each event."""

    events: list[StoredEvent] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


class Copies:
    """Finds them, and remembers of each hour how many lines it had when it had none."""

    def __init__(self, connection: Connection, types: str) -> None:
        self._connection = connection
        self._types = types
        self._without: dict[str, int] = {}

    async def within(self, buckets: TimeBuckets) -> Surplus:
        """The copies that are too many of a time."""
        surplus = Surplus()
        span = " ".join([self._types, *logsql.within(buckets.since, buckets.until)])
        hours = await self._by_hour(span, "count()")
        doubtful = {hour: n for hour, n in hours.items() if self._without.get(hour) != n}
        if not doubtful:
            return surplus
        if len(doubtful) < len(hours):
            first, last = min(doubtful), max(doubtful)
            span += f" _time:[{first},{last}] "
        different = await self._by_hour(span, f"count_uniq_hash({TYPE}, {ID})")
        for hour, lines in doubtful.items():
            if different.get(hour, 0) < lines:
                await self._add(surplus, span, hour)
            elif len(self._without) < _MOST_HOURS:
                self._without[hour] = lines
        return surplus

    async def _by_hour(self, span: str, function: str) -> dict[str, int]:
        rows = await self._connection.table(f"{span} | stats by (_time:1h) {function} n")
        return {row["_time"]: int(row["n"]) for row in rows}

    async def _add(self, surplus: Surplus, span: str, hour: str) -> None:
        within_hour = f"{span} _time:{datetime.fromisoformat(usual_time(hour)):%Y-%m-%dT%H}Z"
        rows = await self._connection.table(
            f"{within_hour} | stats by ({TYPE}, {ID}) count() n | filter n:>1 "
            f"| limit {MOST_COPIES + 1}"
        )
        if len(rows) > MOST_COPIES:
            surplus.gaps.append(_TOO_MANY)
        ids = {row[ID] for row in rows[:MOST_COPIES]}
        copies: dict[tuple[str, str], list[StoredEvent]] = defaultdict(list)
        for part in logsql.in_parts(sorted(ids), _ASKED_BYTES):
            query = f"{within_hour} {logsql.among(ID, part)} | delete _stream, _stream_id"
            for row in await self._connection.table(query):
                copies[row[TYPE], row[ID]].append(decode(row))
        for several in copies.values():
            surplus.events += sorted(several, key=lambda one: one["_position"])[1:]
