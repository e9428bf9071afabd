"""Look-ups and scans of several days' files, whatever version of mailingest wrote them."""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from pathlib import Path

from mailingest.stores.criteria import Evidence
from mailingest.stores.events import StoredEvent, newest_first
from mailingest.stores.protocol import Found, Progress
from mailingest.stores.sqlite import blocks, earlier
from mailingest.stores.sqlite.blocks import Blocks, Place
from mailingest.stores.sqlite.bounds import Bounds
from mailingest.stores.sqlite.files import day_text
from mailingest.stores.sqlite.keys import Lookup, by_evidence
from mailingest.stores.sqlite.schema import has_blocks, has_earlier_documents, has_endings
from mailingest.stores.sqlite.visiting import Days
from mailingest.stores.sqlite.wanted import Wanted

Alternative = Sequence[Lookup] | Evidence
"""What documents may be found by: any of the look-ups, or that they may decide."""


class _Gathered:
    """The newest events of several days, one more than the limit.

    Of a day that has files of several types, each gives as many as it would alone: only when their
    times are known is it known which are the newest.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._events: list[StoredEvent] = []
        self._day = ""
        self._before = 0

    def left(self, path: Path) -> int:
        """How many a file may still give."""
        if (day := day_text(path)) != self._day:
            self._day, self._before = day, len(self._events)
        return self._limit + 1 - self._before

    def add(self, events: Sequence[StoredEvent]) -> bool:
        """Add the events of a file; whether there may be more."""
        self._events += events
        return len(self._events) <= self._limit

    def found(self, days: Days) -> Found:
        """What was found."""
        events = newest_first(self._events)
        return Found(events[: self._limit], len(events) > self._limit, days.gaps)


def look_up(days: Days, lookups: Sequence[Lookup], bounds: Bounds, limit: int) -> Found:
    """The newest events that meet any of the look-ups."""
    gathered = _Gathered(limit)

    def ask(path: Path, connection: sqlite3.Connection) -> bool:
        left = gathered.left(path)
        events: list[StoredEvent] = []
        if has_blocks(connection):
            events += blocks.look_up(Blocks(connection, days.go_on), lookups, bounds, left)
        if has_earlier_documents(connection):
            events += earlier.look_up(connection, lookups, bounds, left)
        return gathered.add(events)

    days.visit(days.within(bounds), ask)
    return gathered.found(days)


def how_many(days: Days, several: Sequence[Alternative], bounds: Bounds, limit: int) -> list[int]:
    """For each of several alternatives, about how many documents meet it.

    There are as many blocks at least, counted up to ``limit``; none means that there are none.
    """
    counts = [0] * len(several)

    def ask(path: Path, connection: sqlite3.Connection) -> bool:
        reading = Blocks(connection, days.go_on) if has_blocks(connection) else None
        has_earlier = has_earlier_documents(connection)
        for number, one in enumerate(several):
            if reading is not None:
                counts[number] += sum(1 for _ in _may_have(reading, one, bounds, connection))
            if not has_earlier:
                continue
            if isinstance(one, Evidence):
                counts[number] += limit  # no index tells
            else:
                found = (earlier.rows(connection, each, bounds, limit) for each in one)
                counts[number] += len(set(chain.from_iterable(found)))
        return any(count < limit for count in counts)

    days.visit(days.within(bounds), ask)
    return counts


def _may_have(
    reading: Blocks, one: Alternative, bounds: Bounds, connection: sqlite3.Connection
) -> Iterator[Place]:
    if isinstance(one, Evidence):
        return _places(reading, one, bounds, has_endings=has_endings(connection))
    return reading.places(bounds, reading.with_keys(one))


def scan(days: Days, wanted: Wanted, bounds: Bounds, limit: int, progress: Progress) -> Found:
    """The newest events about queue IDs within the time that are wanted."""
    gathered = _Gathered(limit)
    paths = days.within(bounds)

    def ask(path: Path, connection: sqlite3.Connection) -> bool:
        left = gathered.left(path)
        done = paths.index(path)

        def report(share: float) -> None:
            progress((done + share) / len(paths))

        events: list[StoredEvent] = []
        if has_blocks(connection):
            events += _scan_blocks(days, connection, wanted, bounds, left, report)
        if has_earlier_documents(connection):
            for share, event in earlier.scan(connection, wanted, bounds, left):
                if event is None:
                    report(share)
                else:
                    events.append(event)
        return gathered.add(events)

    days.visit(paths, ask)
    return gathered.found(days)


def _scan_blocks(
    days: Days,
    connection: sqlite3.Connection,
    wanted: Wanted,
    bounds: Bounds,
    limit: int,
    report: Progress,
) -> list[StoredEvent]:
    ends = blocks.first_and_last(connection)
    if ends is None:
        return []
    first, last = ends

    def progress(place: Place) -> None:
        report((last - place.last) / (last - first + 1))

    reading = Blocks(connection, days.go_on)
    places = (
        reading.places(bounds)
        if wanted.evidence is None
        else _places(reading, wanted.evidence, bounds, has_endings=has_endings(connection))
    )
    return blocks.scan(reading, wanted, places, bounds, limit, progress)


def _places(
    reading: Blocks, evidence: Evidence, bounds: Bounds, *, has_endings: bool
) -> Iterator[Place]:
    """The blocks that may have lines that may decide, newest first."""
    lookup = by_evidence(evidence, has_endings=has_endings)
    if lookup is None:
        return reading.places(bounds)
    numbers: Collection[int] = reading.with_keys([lookup])
    if evidence.since is None:
        return reading.places(bounds, numbers)
    # All that is new may decide.
    start, _ = Bounds(evidence.since).seconds()
    return (
        place for place in reading.places(bounds) if place.last >= start or place.number in numbers
    )
