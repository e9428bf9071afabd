"""A day that is over -> the same documents in fuller blocks, and no room between them.

What came in small batches, or from an earlier version, is packed again, some thousand documents in
a transaction: whoever writes to the file waits for a moment, whoever reads it has what it was at
the beginning of the question, and if the process dies the next run goes on from there.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from mailingest.documents import Document
from mailingest.stores.sqlite import earlier
from mailingest.stores.sqlite.blocks import Blocks
from mailingest.stores.sqlite.compression import Codec, train
from mailingest.stores.sqlite.files import open_for_reading, open_for_writing, with_companions
from mailingest.stores.sqlite.hours import forget_hours, keep_hours
from mailingest.stores.sqlite.inserting import Inserter, delete_blocks
from mailingest.stores.sqlite.packing import MOST_IN_COMPACT_BLOCK, Packed
from mailingest.stores.sqlite.schema import has_blocks, has_earlier_documents

_BLOCKS: Final = 64
_ROWS: Final = 2000
# What is read more often than written may take longer to write.
_LEVEL: Final = 9
_SAMPLE_BLOCKS: Final = 150
# Pages of 8 KiB that are given back in one transaction.
_PAGES: Final = 1000
_INCREMENTAL: Final = 2
# The day is over.
_ALL_HOURS: Final = 1 << 62
# Less is not worth the time.
_WORTH_WHILE: Final = 100

Step = Callable[[], None]
"""Called between two transactions; it may raise."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """A file, its size in bytes before and after, and how many documents were left out."""

    path: Path
    before: int
    after: int
    left_out: int


def is_worth_while(path: Path) -> bool:
    """Whether a file would get smaller by much; raises what sqlite3 raises."""
    connection = open_for_reading(path)
    if connection is None:
        return False
    with closing(connection):
        if not has_blocks(connection) or has_earlier_documents(connection):
            return True
        return _loose(connection) >= _WORTH_WHILE


def compact(path: Path, step: Step, without: str | None = None) -> Compacted:
    """Pack a file again.

    Documents with the text ``without``, in any case of ASCII, are left out, and what else the file
    has of them; all others are packed again then.

    Raises UsageError, StoreUnavailable and what sqlite3 raises; what was done until then is well.
    """
    before = _size(path)
    connection = open_for_writing(path).connection
    with closing(connection):
        if without is not None:
            # What is deleted is overwritten.
            connection.execute("PRAGMA secure_delete = ON").fetchall()
        packing = _Packing(connection, path.stem, step, (without or "").lower())
        if without is not None:
            packing.loosen()
            forget_hours(connection)
        packing.learn()
        packing.pack_rows()
        packing.pack_blocks()
        packing.tidy()
        keep_hours(connection, _ALL_HOURS, step)
        _give_back(connection, step)
    return Compacted(path, before, _size(path), packing.left_out)


class _Packing:
    """One run over a file."""

    def __init__(
        self, connection: sqlite3.Connection, index: str, step: Step, without: str
    ) -> None:
        self.left_out = 0
        self._connection = connection
        self._index = index
        self._step = step
        self._without = without
        self._codec = Codec(connection, _LEVEL)
        self._is_learned = False
        self._inserter = Inserter(
            connection, self._codec, MOST_IN_COMPACT_BLOCK, is_compact=True, is_counted=True
        )

    def loosen(self) -> None:
        """Have all blocks packed again."""
        with _transaction(self._connection):
            self._connection.execute("UPDATE blocks SET is_compact = 0 WHERE is_compact")

    def learn(self) -> None:
        """Make a dictionary of the whole day, if nothing is compact yet."""
        query = "SELECT 1 FROM blocks WHERE is_compact LIMIT 1"
        with _transaction(self._connection):
            if self._connection.execute(query).fetchone() is not None:
                return
            samples = [line for line in self._samples() if self._is_kept(line)]
            made = train(samples, self._codec.next_number)
            if made is not None:
                self._codec.use(made)
                self._is_learned = True

    def pack_rows(self) -> None:
        """Take what an earlier version stored."""
        if not has_earlier_documents(self._connection):
            return
        while True:
            with _transaction(self._connection):
                rows = earlier.take(self._connection, _ROWS)
                if not rows:
                    self._connection.execute("DROP TABLE documents")
                    self._inserter.forget_earlier()
                    return
                self._insert(rows)
            self._step()

    def pack_blocks(self) -> None:
        """Take the blocks that are loose, in the order of their time, but those that come now."""
        [newest] = self._connection.execute("SELECT max(number) FROM blocks").fetchone()
        query = (
            "SELECT number FROM blocks INDEXED BY loose"
            " WHERE NOT is_compact AND number <= ? ORDER BY first, number LIMIT ?"
        )
        while True:
            with _transaction(self._connection):
                found = self._connection.execute(query, [newest, _BLOCKS]).fetchall()
                numbers = [number for (number,) in found]
                if not numbers:
                    return
                reading = Blocks(self._connection)
                documents = [one for number in numbers for one in reading.documents(number)]
                delete_blocks(self._connection, numbers, documents)
                self._insert(sorted(documents, key=lambda one: (one.second, one.position)))
            self._step()

    def tidy(self) -> None:
        """Remove what no block needs any more, and what is to be forgotten."""
        with _transaction(self._connection):
            if self._is_learned and not _loose(self._connection):
                self._codec.keep_newest()
            if self._without:
                query = "DELETE FROM addresses WHERE instr(lower(text), ?)"
                self._connection.execute(query, [self._without])

    def _insert(self, packed: Sequence[Packed]) -> None:
        kept = [one for one in packed if self._is_kept(one.line)]
        self.left_out += len(packed) - len(kept)
        self._inserter.insert(
            [
                Document(self._index, one.document_id, one.line, one.second, orjson.loads(one.line))
                for one in kept
            ]
        )

    def _is_kept(self, line: bytes) -> bool:
        return not self._without or self._without.encode() not in line.lower()

    def _samples(self) -> Iterator[bytes]:
        """Documents from all over the day."""
        if has_earlier_documents(self._connection):
            yield from earlier.samples(self._connection)
        [last] = self._connection.execute("SELECT max(number) FROM blocks").fetchone()
        reading = Blocks(self._connection)
        every = (last or 0) // _SAMPLE_BLOCKS + 1
        for number in range(1, (last or 0) + 1, every):
            yield from (one.line for one in reading.documents(number))


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _loose(connection: sqlite3.Connection) -> int:
    query = "SELECT count(*) FROM blocks INDEXED BY loose WHERE NOT is_compact"
    count: int = connection.execute(query).fetchone()[0]
    return count


def _give_back(connection: sqlite3.Connection, step: Step) -> None:
    """Give pages that are free back to the file system."""
    [mode] = connection.execute("PRAGMA auto_vacuum").fetchone()
    if mode != _INCREMENTAL:
        # A file of an earlier version is written anew, once.
        connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
        connection.execute("VACUUM")
    while connection.execute("PRAGMA freelist_count").fetchone()[0]:
        connection.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
        step()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _size(path: Path) -> int:
    return sum(one.stat().st_size for one in with_companions(path) if one.exists())
