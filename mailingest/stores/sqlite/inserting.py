"""Documents -> the tables of one open file, each document once."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

import orjson

from mailingest.documents import Document
from mailingest.stores.sqlite.compression import START, Codec, train
from mailingest.stores.sqlite.earlier import ids_among
from mailingest.stores.sqlite.keys import IN_PARTS, Key, hash_of, keys_of
from mailingest.stores.sqlite.packing import (
    MOST_DOCUMENTS,
    MOST_SECONDS,
    PLACE_BITS,
    Identity,
    Packed,
    identities,
    identity_of,
    in_blocks,
    packed,
    runs,
)
from mailingest.stores.sqlite.schema import has_earlier_documents
from mailingest.stores.sqlite.summary import Summary

# sqlite3 gives up the interpreter lock for each statement and each time may wait 5 ms (the
# switch interval) to get it back from a busy main thread.  executemany pays that for every
# row; one statement for many rows pays it once.
_ROWS_PER_STATEMENT: Final = 500
# A key and the number of a block in one integer.
_BLOCK_BITS: Final = 31
_BLOCK_MASK: Final = (1 << _BLOCK_BITS) - 1
_POSTINGS: Final = (
    f"INSERT OR IGNORE INTO postings SELECT value >> {_BLOCK_BITS},"  # noqa: S608
    f" value & {_BLOCK_MASK} FROM json_each(?)"
)
_DELETE_POSTINGS: Final = (
    f"DELETE FROM postings WHERE (key, block) IN (SELECT value >> {_BLOCK_BITS},"  # noqa: S608
    f" value & {_BLOCK_MASK} FROM json_each(?))"
)
# Addresses that were stored a moment ago are mostly those that come again.
_MOST_KNOWN: Final = 20_000
_LONGEST_KNOWN: Final = 320  # RFC 5321, 4.5.3.1: local part, @ and domain

# The dictionary of a day is made of the newest documents, when there are enough of them; that is
# looked at each time there are so many blocks more.
_SAMPLES: Final = 3000
_SAMPLE_BLOCKS: Final = 1000
_LOOK_EVERY: Final = 100


class Inserter:
    """Inserts into one file.  If a transaction is rolled back, make a new one."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        codec: Codec | None = None,
        most_in_block: int = MOST_DOCUMENTS,
        *,
        is_compact: bool = False,
        is_counted: bool = False,
    ) -> None:
        self._connection = connection
        self._codec = codec or Codec(connection)
        self._most_in_block = most_in_block
        self._is_compact = is_compact
        self._is_counted = is_counted
        self._summary = Summary(connection)
        self._known: set[Key] = set()
        self._has_earlier = has_earlier_documents(connection)
        self._look_again = _LOOK_EVERY

    def forget_earlier(self) -> None:
        """The table of an earlier version is gone."""
        self._has_earlier = False

    def insert(self, documents: Sequence[Document]) -> int:
        """Insert documents in the transaction that is open; how many of them were new."""
        new = self._new(documents)
        if not new:
            return 0
        if not self._is_counted:
            self._summary.add(new)
        new.sort(key=lambda one: one.seconds)  # of one second, in the order in which they came
        [last] = self._connection.execute("SELECT max(number) FROM blocks").fetchone()
        number = last or 0
        blocks: list[object] = []
        postings: list[int] = []
        addresses: dict[Key, None] = {}
        groups = list(in_blocks(new, self._most_in_block))
        packs = [packed(group) for group in groups]
        frames = self._codec.compress([block.text for block in packs])
        for group, block, frame in zip(groups, packs, frames, strict=True):
            number += 1
            blocks += (number, block.first, block.last, block.count, self._is_compact)
            blocks += (block.ids, block.odd, frame)
            keys = {key for document in group for key in keys_of(document.fields)}
            postings += (hash_of(key) << _BLOCK_BITS | number for key in keys)
            addresses.update(dict.fromkeys(key for key in keys if key[0] in IN_PARTS))
        self._insert_rows("INSERT INTO blocks", 8, blocks)
        # In the order of the index, each of its pages is visited once.
        postings.sort()
        self._connection.execute(_POSTINGS, [orjson.dumps(postings).decode()])
        self._insert_addresses(addresses)
        self._learn(number)
        return len(new)

    def _new(self, documents: Sequence[Document]) -> list[Document]:
        """Those that are not stored yet, each once."""
        by_identity: dict[Identity, Document] = {}
        for document in documents:
            by_identity.setdefault(identity_of(document), document)
        for identity in self._stored([second for second, _ in by_identity]):
            by_identity.pop(identity, None)
        new = list(by_identity.values())
        if self._has_earlier:
            known = ids_among(self._connection, [document.id for document in new])
            new = [document for document in new if document.id not in known]
        return new

    def _stored(self, seconds: Sequence[int]) -> Iterable[Identity]:
        """The identities of all stored documents of these seconds, and of others."""
        [last] = self._connection.execute("SELECT max(last) FROM blocks").fetchone()
        if last is None:
            return
        for start, end in runs(seconds):
            if start > last:
                return
            for first, ids in self._connection.execute(
                "SELECT first, ids FROM blocks WHERE last BETWEEN ? AND ? AND first <= ?",
                [start, end + MOST_SECONDS, end],
            ):
                yield from identities(first, ids)

    def _insert_rows(self, statement: str, width: int, values: Sequence[object]) -> None:
        step = width * _ROWS_PER_STATEMENT
        for start in range(0, len(values), step):
            part = values[start : start + step]
            row = f"({', '.join('?' * width)})"
            rows = ", ".join([row] * (len(part) // width))
            # Only constants of this module go into the text.
            self._connection.execute(f"{statement} VALUES {rows}", part)

    def _insert_addresses(self, addresses: Iterable[Key]) -> None:
        new = [key for key in addresses if key not in self._known]
        values = [value for key in new for value in key]
        self._insert_rows("INSERT OR IGNORE INTO addresses", 2, values)
        if len(self._known) + len(new) > _MOST_KNOWN:
            self._known.clear()
        self._known.update(key for key in new if len(key[1]) <= _LONGEST_KNOWN)

    def _learn(self, blocks: int) -> None:
        """Make the dictionary of the day, once there are enough documents to make it of."""
        if self._is_compact or blocks < self._look_again or self._codec.newest != START:
            return
        self._look_again = blocks + _LOOK_EVERY
        samples = list(self._samples(blocks))
        if len(samples) < _SAMPLES:
            return
        if (made := train(samples, self._codec.next_number)) is not None:
            self._codec.use(made)

    def _samples(self, blocks: int) -> Iterable[bytes]:
        count = 0
        for (frame,) in self._connection.execute(
            "SELECT body FROM blocks WHERE number > ? ORDER BY number DESC",
            [blocks - _SAMPLE_BLOCKS],
        ):
            for line in self._codec.decompress(frame).split(b"\n"):
                yield line
                count += 1
            if count >= _SAMPLES:
                return


def delete_blocks(
    connection: sqlite3.Connection, numbers: Sequence[int], documents: Iterable[Packed]
) -> None:
    """Delete blocks, of which these are the documents, with what the index has of them."""
    postings = {
        hash_of(key) << _BLOCK_BITS | one.position >> PLACE_BITS & _BLOCK_MASK
        for one in documents
        for key in keys_of(orjson.loads(one.line))
    }
    connection.execute(_DELETE_POSTINGS, [orjson.dumps(sorted(postings)).decode()])
    delete = "DELETE FROM blocks WHERE number IN (SELECT value FROM json_each(?))"
    connection.execute(delete, [orjson.dumps(list(numbers)).decode()])
