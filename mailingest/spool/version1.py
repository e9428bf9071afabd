"""Records of format 1, which mailingest wrote until 2026: they are read, and written no more.

A file of that format has no header, and its name ends with ``.frames``.  A record is
(little-endian): the CRC-32 of all that follows, how long its body is, the number of its first
frame, the time of arrival, the stream, how many frames it has and how long the peer's address is;
then the body: address, lengths of the frames, frames.

It has no marker.  Behind damage each place is tried where the numbers could be those of a record.
"""

import re
import struct
from typing import Final
from zlib import crc32

from mailingest.spool.records import (
    MAX_BODY_BYTES,
    NUMBERS_END,
    DamagedRecord,
    FrameBatch,
    cut_frames,
    peer_text,
)

_CRC: Final = struct.Struct("<I")
_HEADER: Final = struct.Struct("<IQdQIB")
_PREFIX_BYTES: Final = _CRC.size + _HEADER.size
_LENGTH_BYTES: Final = 4

# A length up to MAX_BODY_BYTES, a number below 2**48, one frame or more (below 2**24), a peer: what
# is not so is no record.  In a mail log, in zeros and in random bytes that is nearly every place.
_MAYBE_RECORD: Final = re.compile(
    rb"(?s)(?=.{4}..[\x00-\x10]\x00.{6}\x00\x00.{16}(?!\x00{3})...\x00.)"
)


class Version1Decoder:
    """Reads records of format 1."""

    def decode(self, data: bytes, at: int) -> tuple[int, int, FrameBatch] | None:
        begin = at + _PREFIX_BYTES
        if begin > len(data):
            return None
        (checksum,) = _CRC.unpack_from(data, at)
        header = data[at + _CRC.size : begin]
        length, number, received_at, stream, count, peer = _HEADER.unpack(header)
        lengths_end = peer + _LENGTH_BYTES * count
        if not lengths_end <= length <= MAX_BODY_BYTES:
            raise DamagedRecord
        if begin + lengths_end > len(data):
            return None
        # Without a checksum of the header, this is the cheap proof that a length is one.
        lengths = struct.unpack_from(f"<{count}I", data, begin + peer)
        if lengths_end + sum(lengths) != length:
            raise DamagedRecord
        end = begin + length
        if end > len(data):
            return None
        body = data[begin:end]
        if crc32(body, crc32(header)) != checksum or number >= NUMBERS_END:
            raise DamagedRecord
        frames = cut_frames(body, peer, count)
        return end, number, FrameBatch(received_at, peer_text(body[:peer]), stream, frames)

    def find(self, data: bytes, at: int) -> int:
        found = _MAYBE_RECORD.search(data, at)
        return found.start() if found else max(at, len(data) - _PREFIX_BYTES + 1)
