"""Writes a journal of format 1 as mailingest did, which writes it no more."""

import struct
from pathlib import Path
from zlib import crc32

from mailingest.spool.records import FrameBatch, Position

_HEADER = struct.Struct("<IQdQIB")


def encode_version_1(batch: FrameBatch, number: int) -> bytes:
    """One record; ``number`` is that of its first frame."""
    frames, peer = batch.frames, batch.peer.encode()
    lengths = struct.pack(f"<{len(frames)}I", *map(len, frames))
    body = b"".join((peer, lengths, *frames))
    header = _HEADER.pack(
        len(body), number, batch.received_at, batch.stream, len(frames), len(peer)
    )
    return struct.pack("<I", crc32(body, crc32(header))) + header + body


def write_version_1(
    directory: Path, batches: list[FrameBatch], segment_bytes: int
) -> list[Position]:
    """The files of a journal that begins with these batches; the places behind each."""
    position, ends = Position(), []
    path, size = directory / "0", segment_bytes
    for batch in batches:
        if size >= segment_bytes:
            path, size = directory / f"{position.bytes:020d}.frames", 0
        record = encode_version_1(batch, position.frames)
        with path.open("ab") as file:
            file.write(record)
        size += len(record)
        position = Position(position.bytes + len(record), position.frames + len(batch.frames))
        ends.append(position)
    return ends
