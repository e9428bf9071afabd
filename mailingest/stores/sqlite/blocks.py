"""The blocks of one open file -> the documents in them, newest first."""

import heapq
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from mailingest.stores.events import StoredEvent, newest_first
from mailingest.stores.sqlite.bounds import Bounds
from mailingest.stores.sqlite.compression import Codec, DamagedContent
from mailingest.stores.sqlite.keys import (
    Lookup,
    hash_of,
    is_about_some_mail,
    meeting,
    substring_of_key,
)
from mailingest.stores.sqlite.packing import MOST_SECONDS, PLACE_BITS, Block, Packed
from mailingest.stores.sqlite.prefilter import ANYTHING, Sought, Substring, lines_with
from mailingest.stores.sqlite.wanted import Wanted

# Of so many blocks each is looked up by its number; if there are more, all of the time are read.
_FEW: Final = 1000
# Positions of documents of an earlier version, which came before, are smaller.
_AFTER_EARLIER: Final = 1 << 48

# Characters; longer texts are mostly of one line only.
_SHORT: Final = 64

_OF_ADDRESSES: Final = {
    "starts": "text >= ?2 AND text < ?2 || char(1114111)",  # the greatest character
    "ends": "substr(text, -length(?2)) = ?2",
    "contains": "instr(text, ?2)",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A block, by its number, and its first and last second."""

    number: int
    first: int
    last: int


def _go_on() -> None:
    """What nobody interrupts."""


class Blocks:
    """Reads the blocks of a file; ``go_on`` is called now and then, and may raise."""

    def __init__(self, connection: sqlite3.Connection, go_on: Callable[[], None] = _go_on) -> None:
        self._connection = connection
        self._go_on = go_on
        self._codec = Codec(connection)

    def with_keys(self, lookups: Iterable[Lookup]) -> dict[int, set[Substring]]:
        """The numbers of the blocks that may have documents which meet any of the look-ups.

        With each, what a document of the block has to have one of, to meet any of them.
        """
        by_hash: dict[int, set[Substring]] = {}
        for lookup in lookups:
            for text in self._texts(lookup):
                key = lookup.kind, text
                by_hash.setdefault(hash_of(key), set()).add(substring_of_key(key))
        query = "SELECT block, key FROM postings WHERE key IN (SELECT value FROM json_each(?))"
        listed = orjson.dumps(list(by_hash)).decode()
        found: dict[int, set[Substring]] = {}
        for number, key_hash in self._connection.execute(query, [listed]):
            found.setdefault(number, set()).update(by_hash[key_hash])
        return found

    def places(self, bounds: Bounds, numbers: Collection[int] | None = None) -> Iterator[Place]:
        """The blocks of a time span, or of these numbers, the one that ends last comes first."""
        start, end = bounds.seconds()
        where, values = "INDEXED BY by_last WHERE last <= ? AND", [end + MOST_SECONDS, start, end]
        listed = ""
        if numbers is not None and len(numbers) <= _FEW:
            where = "WHERE number IN (SELECT value FROM json_each(?)) AND"
            listed = orjson.dumps(list(numbers)).decode()
        # Only what stands above goes into the text.
        query = (
            f"SELECT number, first, last FROM blocks {where} last >= ? AND first <= ?"  # noqa: S608
            " ORDER BY last DESC, number DESC"
        )
        found = self._connection.execute(query, [listed, start, end] if listed else values)
        for number, first, last in found:
            if numbers is None or number in numbers:
                yield Place(number, first, last)

    def touching(self, second: int) -> list[Place]:
        """The blocks that may have documents of a second."""
        query = (
            "SELECT number, first, last FROM blocks INDEXED BY by_last"
            " WHERE last BETWEEN ? AND ? AND first <= ?"
        )
        found = self._connection.execute(query, [second, second + MOST_SECONDS, second])
        return [Place(*row) for row in found]

    def block(self, number: int) -> Block | None:
        """A block; None if it is gone."""
        self._go_on()
        row = self._connection.execute(
            "SELECT first, last, ids, odd, body FROM blocks WHERE number = ?", [number]
        ).fetchone()
        if row is None:
            return None
        first, last, ids, odd, frame = row
        block = Block(first, last, ids, odd, self._codec.decompress(frame))
        lines = block.text.count(b"\n") + 1
        if lines != block.count:
            raise DamagedContent(f"block {number} has {lines} of {block.count} documents")
        return block

    def documents(self, number: int) -> Iterator[Packed]:
        """Those of a block."""
        block = self.block(number)
        if block is not None:
            for place, line in enumerate(block.text.split(b"\n")):
                yield _packed(number, block, place, line)

    def _texts(self, lookup: Lookup) -> Iterable[str]:
        """The texts of keys that meet a look-up, as far as there are any."""
        if lookup.comparison == "equals":
            return lookup.texts
        [wanted] = lookup.texts
        query = f"SELECT text FROM addresses WHERE kind = ?1 AND {_OF_ADDRESSES[lookup.comparison]}"  # noqa: S608
        return [text for (text,) in self._connection.execute(query, [lookup.kind, wanted])]


def look_up(
    blocks: Blocks, lookups: Sequence[Lookup], bounds: Bounds, limit: int
) -> list[StoredEvent]:
    """The newest documents that meet any of the look-ups."""
    fits = meeting(lookups)
    substrings = blocks.with_keys(lookups)
    newest = Newest(limit, bounds)
    for place in blocks.places(bounds, substrings):
        if newest.is_settled(place):
            break
        newest.add(blocks, place, Sought(substrings[place.number]), fits)
    return newest.events()


def scan(
    blocks: Blocks,
    wanted: Wanted,
    places: Iterable[Place],
    bounds: Bounds,
    limit: int,
    progress: Callable[[Place], None],
) -> list[StoredEvent]:
    """The newest documents about mails that are wanted, in blocks that come newest first."""
    since, _ = Bounds(wanted.evidence.since if wanted.evidence is not None else None).seconds()
    has_since = wanted.evidence is not None and wanted.evidence.since is not None

    def fits(event: StoredEvent) -> bool:
        return is_about_some_mail(event) and wanted.fits(event)

    newest = Newest(limit, bounds)
    for place in places:
        if newest.is_settled(place):
            break
        progress(place)
        is_new = has_since and place.last >= since
        newest.add(blocks, place, ANYTHING if is_new else wanted.sought, fits)
    return newest.events()


def at(blocks: Blocks, second: int) -> Iterator[StoredEvent]:
    """The documents of a second."""
    for place in blocks.touching(second):
        block = blocks.block(place.number)
        if block is None:
            continue
        for number, line in enumerate(block.text.split(b"\n")):
            if block.second(number) == second:
                yield _packed(place.number, block, number, line).event(orjson.loads(line))


class Newest:
    """The newest documents of blocks, of which one that comes later has none that is newer."""

    def __init__(self, limit: int, bounds: Bounds) -> None:
        self._limit = limit
        self._bounds = bounds
        self._start, self._end = bounds.seconds()
        self._events: list[StoredEvent] = []
        self._seconds: list[int] = []  # of the newest, the oldest first
        self._texts: dict[str, str] = {}

    def is_settled(self, place: Place) -> bool:
        """Whether a block, and all that come later, are too old to change anything."""
        return len(self._seconds) >= self._limit and place.last < self._seconds[0]

    def add(
        self, blocks: Blocks, place: Place, sought: Sought, fits: Callable[[StoredEvent], bool]
    ) -> None:
        """Add the documents of a block that may have what is sought, and fit."""
        block = blocks.block(place.number)
        if block is None:
            return
        is_within = self._start < block.first and block.last < self._end
        for number, line in lines_with(block.text, sought):
            if not is_within and not self._start <= block.second(number) <= self._end:
                continue
            fields = orjson.loads(line)
            if fits(fields) and (is_within or self._is_included(block.second(number), fields)):
                self._add(_packed(place.number, block, number, line), fields)
        if len(self._events) > 2 * self._limit:
            self._events = self.events()
            self._texts.clear()

    def _is_included(self, second: int, fields: StoredEvent) -> bool:
        return second not in (self._start, self._end) or self._bounds.include(fields)

    def _add(self, one: Packed, fields: dict[str, Any]) -> None:
        self._share_texts(fields)
        self._events.append(one.event(fields))
        if len(self._seconds) < self._limit:
            heapq.heappush(self._seconds, one.second)
        else:
            heapq.heappushpop(self._seconds, one.second)

    def _share_texts(self, fields: dict[str, Any]) -> None:
        """Keep short texts once: the lines of a mail are much alike, and there may be thousands."""
        for name, value in fields.items():
            if type(value) is str and len(value) <= _SHORT:
                fields[name] = self._texts.setdefault(value, value)

    def events(self) -> list[StoredEvent]:
        """Those that were found, newest first, no more than the limit."""
        return newest_first(self._events)[: self._limit]


def _packed(number: int, block: Block, place: int, line: bytes) -> Packed:
    position = _AFTER_EARLIER + (number << PLACE_BITS) + place
    return Packed(block.second(place), position, (block, place), line)


def first_and_last(connection: sqlite3.Connection) -> tuple[int, int] | None:
    """The first and last second that there are documents of; None if there are none."""
    [earliest_end, last] = (
        connection.execute(f"SELECT {which}(last) FROM blocks").fetchone()[0]  # noqa: S608
        for which in ("min", "max")
    )
    if last is None:
        return None
    # The first document is in a block that ends no later than this.
    query = "SELECT min(first) FROM blocks INDEXED BY by_last WHERE last <= ?"
    [first] = connection.execute(query, [earliest_end + MOST_SECONDS]).fetchone()
    return first, last
