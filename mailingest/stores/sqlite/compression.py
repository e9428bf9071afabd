"""Blocks <-> zstd frames, with the dictionaries that a day's file has in it.

A new file has the dictionary that mailingest comes with; when there are some thousand documents,
one is made of them, for all that come after.  A frame names its dictionary by number.
"""

import sqlite3
from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from typing import Final

import zstandard

START: Final = 1
"""The number of the dictionary that mailingest comes with."""

_SIZE: Final = 65_536
_SHARE: Final = 10
# Lengths of what the dictionary is made of, for texts of some hundred bytes with long repeats;
# named, since zstd tries many otherwise, for seconds.
_SEGMENT, _SUBSTRING = 256, 8
_LEVEL: Final = 3
_FEWEST: Final = 1000
# The largest block has 256 KiB, or one document: a line of 64 KiB, some six times in JSON.
_MOST_BYTES: Final = 67_108_864


class DamagedContent(sqlite3.DatabaseError):
    """What stands in a file that SQLite could read is not what was written."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def add_start(connection: sqlite3.Connection) -> None:
    """Give a new file the dictionary that mailingest comes with."""
    _add(connection, START, _shipped())


def train(samples: Sequence[bytes], number: int) -> bytes | None:
    """A dictionary for documents like these; None if they are too few or too much alike."""
    if len(samples) < _FEWEST:
        return None
    # In a small file, a large one would take more than it saves.
    size = min(_SIZE, sum(map(len, samples)) // _SHARE)
    try:
        made = zstandard.train_dictionary(
            size, list(samples), k=_SEGMENT, d=_SUBSTRING, dict_id=number
        )
    except zstandard.ZstdError:
        return None
    return made.as_bytes()


class Codec:
    """Compresses and decompresses with the dictionaries of one file.

    Raises DamagedContent where that is not possible.
    """

    def __init__(self, connection: sqlite3.Connection, level: int = _LEVEL) -> None:
        self._connection = connection
        self._level = level
        self._decompressors: dict[int, zstandard.ZstdDecompressor] = {}
        self._compressor: zstandard.ZstdCompressor | None = None
        self._newest: int | None = None

    @property
    def newest(self) -> int:
        """The number of the dictionary that is used for what is new; others may have made it."""
        [number] = self._connection.execute("SELECT max(number) FROM dictionaries").fetchone()
        if number is None:
            raise DamagedContent("the dictionary is missing")
        if number != self._newest:
            self._newest, self._compressor = number, None
        return int(number)

    @property
    def next_number(self) -> int:
        """The number of the next dictionary."""
        return self.newest + 1

    def use(self, dictionary: bytes) -> None:
        """Keep the next dictionary in the file, and use it from now on."""
        _add(self._connection, self.next_number, dictionary)

    def keep_newest(self) -> None:
        """Remove all dictionaries but the newest: no block may need them."""
        self._connection.execute("DELETE FROM dictionaries WHERE number < ?", [self.newest])

    def compress(self, texts: Sequence[bytes]) -> list[bytes]:
        """Frames with the size of the text and a checksum."""
        newest = self.newest
        if self._compressor is None:
            dictionary = self._read(newest)
            dictionary.precompute_compress(level=self._level)
            self._compressor = zstandard.ZstdCompressor(
                level=self._level, dict_data=dictionary, write_checksum=True
            )
        return [self._compressor.compress(text) for text in texts]

    def decompress(self, frame: bytes) -> bytes:
        """The text of a frame."""
        try:
            header = zstandard.get_frame_parameters(frame)
            if header.content_size > _MOST_BYTES:  # a size that is not known is a large number
                raise DamagedContent(f"a block claims to be of {header.content_size} bytes")
            decompressor = self._decompressors.get(header.dict_id)
            if decompressor is None:
                decompressor = zstandard.ZstdDecompressor(dict_data=self._read(header.dict_id))
                self._decompressors[header.dict_id] = decompressor
            return decompressor.decompress(frame)
        except zstandard.ZstdError as error:
            raise DamagedContent(f"a block is damaged: {error}") from error

    def _read(self, number: int) -> zstandard.ZstdCompressionDict:
        row = self._connection.execute(
            "SELECT dictionary, digest FROM dictionaries WHERE number = ?", [number]
        ).fetchone()
        if row is None:
            raise DamagedContent(f"dictionary {number} is missing")
        if _digest(row[0]) != row[1]:
            raise DamagedContent(f"dictionary {number} is damaged")
        return zstandard.ZstdCompressionDict(row[0])


def _add(connection: sqlite3.Connection, number: int, dictionary: bytes) -> None:
    connection.execute(
        "INSERT INTO dictionaries VALUES (?, ?, ?)", [number, _digest(dictionary), dictionary]
    )


def _digest(dictionary: bytes) -> bytes:
    return blake2b(dictionary, digest_size=16).digest()


@cache
def _shipped() -> bytes:
    return files("mailingest.stores.sqlite").joinpath("start.zdict").read_bytes()
