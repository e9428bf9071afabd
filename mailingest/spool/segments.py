"""Segments: the files of a journal, of this format and of the one before.

A file is named by the place of its first byte in the journal and by the marker of its records,
``PLACE-MARKER.journal``; so both are known whatever is damaged in it.  It begins with a magic
number, the version of the format and the CRC-32 of both (little-endian, 8, 4 and 4 bytes), which
will be the same in all later versions.
"""

import os
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Final
from zlib import crc32

from mailingest.errors import UsageError
from mailingest.logs.logger import log
from mailingest.spool.records import (
    MARKER_BYTES,
    DamagedRecord,
    Decoder,
    JournalRecord,
    Position,
    RecordDecoder,
)
from mailingest.spool.version1 import Version1Decoder

VERSION: Final = 2
HEADER_BYTES: Final = 16
_MAGIC_AND_VERSION: Final = struct.Struct("<8sI")
_CRC: Final = struct.Struct("<I")
_SEGMENT_MAGIC: Final = b"mailjrnl"

_NAME: Final = re.compile(rf"(\d{{20}})-([0-9a-f]{{{2 * MARKER_BYTES}}})\.journal")
_VERSION_1_NAME: Final = re.compile(r"(\d{20})\.frames")
_BLOCK_BYTES: Final = 256 * 1024
_PAGE_BYTES: Final = 4096


class Segment:
    """One file; ``size`` is how many bytes of it belong to the journal, from ``begin`` on.

    ``first`` is the place of its first record, ``marker`` is empty in a file of format 1.
    """

    def __init__(self, path: Path, begin: int, marker: bytes, size: int) -> None:
        self.path = path
        self.begin = begin
        self.marker = marker
        self.size = size
        self.first = begin + HEADER_BYTES if marker else begin
        self.decoder: Decoder = RecordDecoder(marker) if marker else Version1Decoder()

    @property
    def end(self) -> int:
        """The place behind it."""
        return self.begin + self.size


def file_header(magic: bytes) -> bytes:
    """The first bytes of a file of the journal."""
    content = _MAGIC_AND_VERSION.pack(magic, VERSION)
    return content + _CRC.pack(crc32(content))


def check_version(header: bytes, magic: bytes, path: Path) -> None:
    """Raise UsageError if a file's first bytes say that a newer mailingest wrote it."""
    if len(header) < HEADER_BYTES:
        return
    found, version = _MAGIC_AND_VERSION.unpack_from(header)
    (checksum,) = _CRC.unpack_from(header, _MAGIC_AND_VERSION.size)
    is_whole = found == magic and checksum == crc32(header[: _MAGIC_AND_VERSION.size])
    if is_whole and version > VERSION:
        raise UsageError(
            f"{path}: a newer mailingest wrote this (format {version}, known are 1 to {VERSION}): "
            f"start that version again, or set another state.directory"
        )


def new_segment(directory: Path, begin: int) -> Segment:
    """A segment that has no file yet."""
    marker = os.urandom(MARKER_BYTES)
    return Segment(directory / f"{begin:020d}-{marker.hex()}.journal", begin, marker, 0)


def segment_header() -> bytes:
    """The first bytes of a segment."""
    return file_header(_SEGMENT_MAGIC)


def find_segments(directory: Path) -> list[Segment]:
    """The segments in a directory, in order; raises OSError, and UsageError for a newer format."""
    segments = [found for path in directory.glob("*") if (found := _segment(path)) is not None]
    # Of two with one place, the first has been cut down to nothing.
    segments.sort(key=lambda one: (one.begin, one.size))
    for segment, following in pairwise(segments):
        # What is behind it was refused, and could not be cut off.
        segment.size = min(segment.size, following.begin - segment.begin)
    return segments


def _segment(path: Path) -> Segment | None:
    name = _NAME.fullmatch(path.name)
    version_1_name = _VERSION_1_NAME.fullmatch(path.name)
    try:
        if name:
            with path.open("rb") as file:
                check_version(file.read(HEADER_BYTES), _SEGMENT_MAGIC, path)
            return Segment(path, int(name[1]), bytes.fromhex(name[2]), path.stat().st_size)
        if version_1_name:
            return Segment(path, int(version_1_name[1]), b"", path.stat().st_size)
    except FileNotFoundError:
        pass  # another process looks on while the daemon removes it
    return None


def read_records(segment: Segment, begin: int) -> Iterator[JournalRecord]:
    """The records of a segment from a place on that are as they were written; others are skipped.

    If the place is not the beginning of a record, it is as if what is there were damaged.
    """
    decoder = segment.decoder
    origin, data, at = max(begin, segment.first), b"", 0
    try:
        file = segment.path.open("rb", buffering=0)
    except OSError as error:
        log.warning(
            "a file of the spool cannot be opened", path=str(segment.path), reason=error.strerror
        )
        return
    with file:
        while True:
            try:
                found = decoder.decode(data, at)
            except DamagedRecord:
                at = decoder.find(data, at + 1)
                continue
            if found is not None:
                end, number, batch = found
                yield JournalRecord(
                    Position(origin + at, number),
                    Position(origin + end, number + len(batch.frames)),
                    batch,
                )
                at = end
            elif more := _read(file.fileno(), origin + len(data), segment):
                origin, data, at = origin + at, data[at:] + more, 0
            elif at < len(data):
                # Behind the beginning of a record that has no end there may be whole ones.
                at = decoder.find(data, at + 1)
            else:
                return


def _read(descriptor: int, place: int, segment: Segment) -> bytes:
    """The next bytes of a segment, none at its end; zeros for what the disk cannot read."""
    offset, size = place - segment.begin, min(_BLOCK_BYTES, segment.end - place)
    if size <= 0:
        return b""
    with suppress(OSError):
        return os.pread(descriptor, size, offset)
    # Linux reads by the page: those beside the bad one are good.
    size = min(size, _PAGE_BYTES - offset % _PAGE_BYTES)
    try:
        return os.pread(descriptor, size, offset)
    except OSError as error:
        log.warning(
            "a page of the spool cannot be read from the disk",
            path=str(segment.path),
            offset=offset,
            reason=error.strerror,
        )
        return bytes(size)
