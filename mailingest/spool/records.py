"""Frames that came together <-> one record of the journal, as bytes (format 2).

A record is (little-endian)::

    bytes  content
     8     marker: random, the same in all records of a file, and in its name
     4     CRC-32 of the rest of the header
     4     CRC-32 of the body
     4     how long the body is
     8     number of the first frame, counted since the journal began
     8     time of arrival, seconds since 1970 (a double)
     8     stream: the TCP connection, 0 for none
     4     how many frames there are
     2     how long the metadata are
     1     how long the peer's address is
           body: address, metadata, lengths of the frames (4 bytes each), frames

The marker is where a reader goes on behind damage, as it does with the sync marker of an Avro
file: it looks for the next one.  Blocks of a fixed size, as in the logs of LevelDB, would do as
well, but the rest of a damaged block is lost there, and each record that crosses a border is cut
in two.  A sender cannot forge a marker, for it does not know it.  The header has a checksum of its
own, so a damaged length is not believed, and each byte is looked at a few times at most.

The numbers of the frames say exactly how many are missing between two records.
"""

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol
from zlib import crc32

MARKER_BYTES: Final = 8
# What callers may put into one record; more is refused, since a larger length is not believed.
MAX_BODY_BYTES: Final = 1024 * 1024
# No journal comes to that many frames.
NUMBERS_END: Final = 1 << 48

_CRC: Final = struct.Struct("<I")
_HEADER: Final = struct.Struct("<IIQdQIHB")
_HEADER_BEGIN: Final = MARKER_BYTES + _CRC.size
_PREFIX_BYTES: Final = _HEADER_BEGIN + _HEADER.size
_LENGTH: Final = struct.Struct("<I")


@dataclass(slots=True)
class FrameBatch:
    """Frames of one peer that came together; at least one.

    ``received_at`` is in seconds since 1970; ``stream`` names the TCP connection, 0 is none.
    ``metadata`` (64 KiB at most) are what the input wants back with the frames: its first byte is
    the version of the rest, which the journal does not look into.
    """

    received_at: float
    peer: str
    stream: int
    frames: list[bytes]
    metadata: bytes = b""


class Position(NamedTuple):
    """A place between two records: bytes and frames since the journal began."""

    bytes: int = 0
    frames: int = 0


class JournalRecord(NamedTuple):
    """A batch as it was found in the journal, from ``begin`` to ``end``."""

    begin: Position
    end: Position
    batch: FrameBatch


class DamagedRecord(Exception):
    """What is there is not what was written."""


class Decoder(Protocol):
    """Reads the records of one file."""

    def decode(self, data: bytes, at: int) -> tuple[int, int, FrameBatch] | None:
        """The record at a place in ``data``: where it ends, its first frame's number, the batch.

        None if there is only the beginning of one; raises DamagedRecord.
        """

    def find(self, data: bytes, at: int) -> int:
        """The next place, from ``at`` on, where a record may begin: it need not be all there."""


def encode(batch: FrameBatch, number: int, marker: bytes) -> bytes:
    """A batch as a record; ``number`` is that of its first frame.

    Raises ValueError for a batch that could not be read again.
    """
    frames, peer, metadata = batch.frames, batch.peer.encode(), batch.metadata
    count = len(frames)
    if not count:
        raise ValueError("a batch without frames")
    if count == 1:  # a lone datagram
        lengths = _LENGTH.pack(len(frames[0]))
    else:
        lengths = struct.pack(f"<{count}I", *map(len, frames))
    body = b"".join((peer, metadata, lengths, *frames))
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(f"a batch of {len(body)} bytes: split it, {MAX_BODY_BYTES} are the most")
    try:
        header = _HEADER.pack(
            crc32(body),
            len(body),
            number,
            batch.received_at,
            batch.stream,
            count,
            len(metadata),
            len(peer),
        )
    except struct.error as error:
        raise ValueError(f"a batch whose stream, metadata or peer do not fit: {error}") from None
    return b"".join((marker, _CRC.pack(crc32(header)), header, body))


class RecordDecoder:
    """Reads records with a marker."""

    def __init__(self, marker: bytes) -> None:
        self._marker = marker

    def decode(self, data: bytes, at: int) -> tuple[int, int, FrameBatch] | None:
        begin = at + _PREFIX_BYTES
        if begin > len(data):
            return None
        header = data[at + _HEADER_BEGIN : begin]
        (checksum,) = _CRC.unpack_from(data, at + MARKER_BYTES)
        if crc32(header) != checksum or not data.startswith(self._marker, at):
            raise DamagedRecord
        checksum, length, number, received_at, stream, count, more, peer = _HEADER.unpack(header)
        end = begin + length
        if end > len(data):
            return None
        body = data[begin:end]
        if crc32(body) != checksum or number >= NUMBERS_END:
            raise DamagedRecord
        lengths_at = peer + more
        frames = cut_frames(body, lengths_at, count)
        text, metadata = peer_text(body[:peer]), body[peer:lengths_at]
        return end, number, FrameBatch(received_at, text, stream, frames, metadata)

    def find(self, data: bytes, at: int) -> int:
        place = data.find(self._marker, at)
        return place if place >= 0 else max(at, len(data) - MARKER_BYTES + 1)


def cut_frames(body: bytes, at: int, count: int) -> list[bytes]:
    """The frames of a body: at a place their lengths, behind them the frames themselves.

    Raises DamagedRecord if that is not so: memory may be damaged before a checksum is made of it.
    """
    place = at + _LENGTH.size * count
    if not count or place > len(body):
        raise DamagedRecord
    frames = []
    for length in struct.unpack_from(f"<{count}I", body, at):
        frames.append(body[place : place + length])
        place += length
    if place != len(body):
        raise DamagedRecord
    return frames


def peer_text(peer: bytes) -> str:
    """The address in a body; raises DamagedRecord."""
    try:
        return peer.decode()
    except UnicodeDecodeError:
        raise DamagedRecord from None
