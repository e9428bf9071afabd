"""The bytes of a file as they were before compression, whatever compressed them.

The format is known by the first bytes, never by the name: rotated logs are renamed, and the
standard input has no name.  Files that consist of several compressed streams are read through.
"""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import zstandard

# What decompressors raise on a file that is damaged or ends too early; OSError also stands for
# a disk that cannot be read.
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)

_MAGIC_BYTES = 8
_GZIP = b"\x1f\x8b"

# Compressed bytes for one step.  It bounds the memory that a step can take: 4 bytes of zstd may
# stand for a block of 128 KiB, 40 of bzip2 for 900 KB, so it is 16 MiB at the very worst.  And
# it bounds the text that is lost before a damaged place, some 5 KiB of a log.
_STEP = 512


class ByteStream(Protocol):
    """Bytes, one after another."""

    def read1(self, size: int, /) -> bytes:
        """Some bytes, about `size` at most; none at the end.  Raises one of DAMAGE."""


class RawFile(io.RawIOBase):
    """The bytes of a file or pipe as they are, which is `source`.

    ``position`` counts those that were read.  `magic` and `beginning` look at the first ones
    without taking them away, as no pipe can.
    """

    def __init__(self, source: io.BufferedReader) -> None:
        self.position = 0
        self._source = source
        self._looked_at = b""

    def magic(self) -> bytes:
        """The first bytes of the file; to be asked before anything is read."""
        self._looked_at = self._source.read(_MAGIC_BYTES)
        return self._looked_at

    def beginning(self) -> bytes:
        """The first bytes, after `magic` was asked: those, and more if a line is worth a look.

        What comes through a pipe is not waited for, unless it looks like one of several lines.
        """
        first = self._looked_at
        if first.startswith((b"__", b"\xef\xbb\xbf")) or (first[:1].isalpha() and b" 2" in first):
            return first + self._source.peek()
        return first

    def skip_to(self, position: int) -> None:
        """Read on from `position`, in a file that can be sought."""
        self._looked_at = b""
        self._source.seek(position)
        self.position = position

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        # Not more than there is: the lines that come through a pipe do not wait for others.
        data = self._looked_at[: len(buffer)] or self._source.read1(len(buffer))
        self._looked_at = self._looked_at[len(buffer) :]
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)


def decompressed(raw: RawFile) -> ByteStream | None:
    """The uncompressed bytes of `raw`, or None if `raw` is not compressed."""
    magic = raw.magic()
    if magic.startswith(_GZIP):
        return gzip.GzipFile(fileobj=io.BufferedReader(raw), mode="rb")
    if magic.startswith(b"BZh"):
        return _Streams(raw, bz2.BZ2Decompressor)
    if magic.startswith(b"\xfd7zXZ\0"):
        return _Streams(raw, partial(lzma.LZMADecompressor, lzma.FORMAT_XZ))
    # RFC 8878: a Zstandard frame, or a skippable frame as parallel compressors write it.
    if magic.startswith(b"\x28\xb5\x2f\xfd") or (
        magic[1:4] == b"\x2a\x4d\x18" and magic[0] & 0xF0 == 0x50
    ):
        return _Streams(raw, zstandard.ZstdDecompressor().decompressobj)
    return None


def written_at(magic: bytes) -> int | None:
    """When the file that gzip compressed was written last, in seconds since 1970.

    RFC 1952 section 2.3.1: MTIME, 0 if it is not known; None then, and for any other file.
    """
    if not magic.startswith(_GZIP):
        return None
    return int.from_bytes(magic[4:8], "little") or None


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Streams:
    """Successive compressed streams of one kind.

    Unlike the readers of the bz2, lzma and zstandard modules this one does not take a second
    stream that is damaged for the end of the file, nor (zstandard) an early end for a good one.
    """

    def __init__(self, raw: RawFile, begin: Callable[[], _Decompressor]) -> None:
        self._raw = raw
        self._begin = begin
        self._stream: _Decompressor | None = None
        self._uncompressed = io.BytesIO()

    def read1(self, size: int, /) -> bytes:
        while not (found := self._uncompressed.read(size)):
            data = b""
            if self._stream and self._stream.eof:
                data = self._stream.unused_data
                self._stream = None
            data = data or self._raw.read(_STEP) or b""
            if not data:
                if self._stream:
                    raise EOFError("the file ends too early")
                break
            if not self._stream:
                # xz allows zeros between streams, and tapes leave some at the end.
                if not (data := data.lstrip(b"\0")):
                    continue
                self._stream = self._begin()
            self._uncompressed = io.BytesIO(self._stream.decompress(data))
        return found
