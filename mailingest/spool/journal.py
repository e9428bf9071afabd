"""Frames -> segments of a journal on disk -> the same frames, also after the process was killed.

A journal is a sequence of records, in files of some megabytes each.  A place in it is the number of
octets before it since the journal began; each file is named by the place of its first record.

A record is (little-endian) the CRC-32 of all that follows, the length of its body, the number of
its first frame since the journal began, the time of arrival, the stream, how many frames it has
and the length of the peer's address; then, as the body, that address, the lengths of the frames,
and the frames.  So a crash in the middle of a write is seen, and everything before it is read.

What is written is in the kernel's hands: it survives the death of the process, not a power failure.
"""

import errno
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import structlog

_log = structlog.get_logger(__name__)

_CRC: Final = struct.Struct("<I")
_HEADER: Final = struct.Struct("<IQdQIB")
_PREFIX_OCTETS: Final = _CRC.size + _HEADER.size

# Whoever appends keeps to it; a length above it is no length.
MAX_RECORD_OCTETS: Final = 1024 * 1024
# Space comes back by whole segments; a snapshot of the queue IDs costs about as much to write.
SEGMENT_OCTETS: Final = 16 * 1024 * 1024
# A journal has at least so many segments' room, for some to be freed while others are read.
_LEAST_SEGMENTS: Final = 8
_BLOCK_OCTETS: Final = 256 * 1024

# The journal leaves a twentieth of the file system free, or this much: without room for a snapshot
# of the queue IDs no segment could ever be removed.
_MOST_LEFT_FREE: Final = 256 * 1024 * 1024
_SHARE_LEFT_FREE: Final = 20
# Free space is looked up each time that so much was written.
_LOOK_EVERY_OCTETS: Final = 1024 * 1024
# Zeros, which are no record, are written and taken back: quotas are seen by that alone.
_PROBE_OCTETS: Final = 256 * 1024

_SUFFIX: Final = ".frames"
_FILE_MODE: Final = 0o640
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


@dataclass(slots=True)
class Record:
    """Frames of one peer that came together.

    ``received_at`` is in seconds since 1970; ``stream`` names the TCP connection, 0 is none.
    """

    received_at: float
    peer: str
    stream: int
    frames: list[bytes]


class Position(NamedTuple):
    """A place between two records: octets and frames since the journal began."""

    octets: int = 0
    frames: int = 0


class Entry(NamedTuple):
    """A record as it was found, from ``begin`` to ``end``."""

    begin: Position
    end: Position
    record: Record


class DamagedRecord(Exception):
    """What is there is not what was written."""


class Segment:
    """One file; ``octets`` is how much of it holds records."""

    def __init__(self, path: Path, octets: int) -> None:
        self.path = path
        self.begin = int(path.stem)
        self.octets = octets

    @property
    def end(self) -> int:
        """The place where the next segment begins."""
        return self.begin + self.octets


def encode(record: Record, number: int) -> bytes:
    """A record as octets; ``number`` is that of its first frame."""
    frames, peer = record.frames, record.peer.encode()
    lengths = struct.pack(f"<{len(frames)}I", *map(len, frames))
    body = b"".join((peer, lengths, *frames))
    header = _HEADER.pack(
        len(body), number, record.received_at, record.stream, len(frames), len(peer)
    )
    return b"".join((_CRC.pack(crc32(body, crc32(header))), header, body))


def decode(octets: bytes, at: int) -> tuple[int, int, Record] | None:
    """The record at a place in ``octets``: where it ends, its first frame's number, and itself.

    None if there is only the beginning of one; raises DamagedRecord.
    """
    begin = at + _PREFIX_OCTETS
    if begin > len(octets):
        return None
    (proof,) = _CRC.unpack_from(octets, at)
    header = octets[at + _CRC.size : begin]
    length, number, received_at, stream, count, peer_length = _HEADER.unpack(header)
    if length > MAX_RECORD_OCTETS:
        raise DamagedRecord
    end = begin + length
    if end > len(octets):
        return None
    body = octets[begin:end]
    if crc32(body, crc32(header)) != proof:
        raise DamagedRecord
    place = peer_length + 4 * count
    frames = []
    for frame_length in struct.unpack_from(f"<{count}I", body, peer_length):
        frames.append(body[place : place + frame_length])
        place += frame_length
    return end, number, Record(received_at, body[:peer_length].decode(), stream, frames)


def find_segments(directory: Path) -> list[Segment]:
    """The segments in a directory, in order."""
    paths = sorted(path for path in directory.glob(f"*{_SUFFIX}") if path.stem.isdecimal())
    segments = [Segment(path, path.stat().st_size) for path in paths]
    for segment, following in pairwise(segments):
        # What is behind it was refused, and could not be cut off.
        segment.octets = min(segment.octets, following.begin - segment.begin)
    return segments


def read_segment(segment: Segment, begin: int) -> Iterator[Entry]:
    """The records of a segment from a place on, up to the first that is torn or damaged."""
    with segment.path.open("rb", buffering=0) as file:
        file.seek(begin - segment.begin)
        place, octets, at = begin, b"", 0
        while True:
            try:
                found = decode(octets, at)
            except DamagedRecord:
                return
            if found is None:
                more = file.read(_BLOCK_OCTETS)
                if not more:
                    return
                octets, at = octets[at:] + more, 0
                continue
            end, number, record = found
            after = place + end - at
            yield Entry(
                Position(place, number), Position(after, number + len(record.frames)), record
            )
            place, at = after, end


class Journal:
    """The one that is written; the directory must be this process's own.

    It holds at most ``max_octets``.  ``begin`` and ``end`` are the places of the first record and
    behind the last one.  ``full`` says why there is no room for more, or is None.
    """

    def __init__(
        self, directory: Path, *, max_octets: int, segment_octets: int = SEGMENT_OCTETS
    ) -> None:
        self.max_octets = max_octets
        self.full: str | None = None
        self.end = Position()
        self._directory = directory
        self.segment_octets = min(segment_octets, max_octets // _LEAST_SEGMENTS)
        self._segments: list[Segment] = []
        self._descriptor = -1
        self._since_look = _LOOK_EVERY_OCTETS

    @property
    def begin(self) -> int:
        """The place of the first octet that is still there."""
        return self._segments[0].begin if self._segments else self.end.octets

    @property
    def octets(self) -> int:
        """How much is on disk."""
        return self.end.octets - self.begin

    def open(self, position: Position | None) -> Position:
        """Find what an earlier process left, and return where to read on: ``position`` or later.

        ``position`` is one that `append` or `read` gave, None for the beginning.  A record that
        was being written when the process died is cut off.  Raises OSError.
        """
        self._segments = find_segments(self._directory)
        self.end = self._find_end()
        if position is None:
            return Position(self.begin, self._first_frame())
        if position.octets > self.end.octets:
            # A power failure took the end of the journal, but not the snapshot that is newer.
            self._remove(len(self._segments))
        if position.octets >= self.end.octets:
            self.end = position
        if position.octets < self.begin:
            _log.error("the spool lacks its beginning", octets=self.begin - position.octets)
            return Position(self.begin, self._first_frame())
        return position

    def append(self, records: Sequence[Record]) -> list[Position] | None:
        """Write records, all or none; the places behind them, or None: ``full`` tells why."""
        number, place = self.end.frames, self.end.octets
        parts: list[bytes] = []
        ends: list[Position] = []
        for record in records:
            octets = encode(record, number)
            parts.append(octets)
            number += len(record.frames)
            place += len(octets)
            ends.append(Position(place, number))
        data = b"".join(parts)
        try:
            self._write(data)
        except OSError as error:
            self._refuse(error)
            return None
        self.end = ends[-1]
        return ends

    def probe(self) -> None:
        """Find out whether there is room again."""
        try:
            self._write(bytes(_PROBE_OCTETS))
        except OSError as error:
            self._refuse(error)
        else:
            self.full = None
            segment = self._segments[-1]
            segment.octets -= _PROBE_OCTETS
            self._cut(segment)

    def read(self, position: Position) -> Iterator[Entry]:
        """The records from a place on up to the present end; damaged ones are skipped."""
        place = position.octets
        for segment in [one for one in self._segments if one.end > place]:
            for entry in read_segment(segment, max(place, segment.begin)):
                place = entry.end.octets
                yield entry
                if place >= segment.end:
                    break
            if place < segment.end:
                _log.error(
                    "the spool is damaged; the rest of a file is skipped",
                    path=str(segment.path),
                    octets=segment.end - place,
                )
                place = segment.end

    def forget(self, position: Position) -> None:
        """Remove the segments that end before a place; raises OSError."""
        count = 0
        while count < len(self._segments) - 1 and self._segments[count].end <= position.octets:
            count += 1
        self._remove(count)

    def close(self) -> None:
        """Close the file; what is in it stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _refuse(self, error: OSError) -> None:
        self.full = error.strerror or str(error)
        self._since_look = _LOOK_EVERY_OCTETS

    def _write(self, data: bytes) -> None:
        if self.octets + len(data) > self.max_octets:
            raise OSError(errno.EDQUOT, "spool.max_bytes is reached")
        self._since_look += len(data)
        if self._since_look >= _LOOK_EVERY_OCTETS:
            self._look_for_space()
        segment = self._segment()
        rest, place = memoryview(data), segment.octets
        try:
            while rest:
                written = os.pwrite(self._descriptor, rest, place)
                rest, place = rest[written:], place + written
        except OSError:
            # Nothing of it may be read later: whoever sent it has been told that it was refused.
            self._cut(segment)
            raise
        segment.octets = place

    def _look_for_space(self) -> None:
        system = os.statvfs(self._directory)
        size, free = system.f_blocks * system.f_frsize, system.f_bavail * system.f_frsize
        if free < min(_MOST_LEFT_FREE, size // _SHARE_LEFT_FREE):
            raise OSError(errno.ENOSPC, "the disk is full but for what a snapshot needs")
        self._since_look = 0

    def _segment(self) -> Segment:
        """The last segment, or a new one."""
        if self._descriptor >= 0 and self._segments[-1].octets < self.segment_octets:
            return self._segments[-1]
        self.close()
        begin = self.end.octets
        if not self._segments or self._segments[-1].octets:
            self._segments.append(Segment(self._directory / f"{begin:020d}{_SUFFIX}", 0))
        path = self._segments[-1].path
        try:
            self._descriptor = os.open(path, _FLAGS, _FILE_MODE)
        except OSError:
            self._segments.pop()
            raise
        return self._segments[-1]

    def _cut(self, segment: Segment) -> None:
        try:
            os.ftruncate(self._descriptor, segment.octets)
        except OSError as error:
            _log.error("the spool cannot be cut back", path=str(segment.path), reason=str(error))
            # The reader stops at the known end of this segment, and goes on in the next one.
            self.close()

    def _find_end(self) -> Position:
        """The end of the last whole record; what follows it is cut off."""
        for segment in reversed(self._segments):
            end = Position(segment.begin)
            for entry in read_segment(segment, segment.begin):
                end = entry.end
            is_last = segment is self._segments[-1]
            if is_last and end.octets < segment.end:
                _log.warning(
                    "a record of the spool that was being written is cut off",
                    path=str(segment.path),
                    octets=segment.end - end.octets,
                )
                segment.octets = end.octets - segment.begin
                os.truncate(segment.path, segment.octets)
            if end.frames:
                return Position(self._segments[-1].end, end.frames)
        return Position(self._segments[-1].end if self._segments else 0)

    def _first_frame(self) -> int:
        for entry in self.read(Position(self.begin)):
            return entry.begin.frames
        return self.end.frames

    def _remove(self, count: int) -> None:
        for segment in self._segments[:count]:
            segment.path.unlink(missing_ok=True)
        del self._segments[:count]
        if not self._segments:
            self.close()
