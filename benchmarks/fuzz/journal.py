"""Damage to the spool: all that it then gives is what was written, and it counts what it does not.

Damage is what disks, crashes and people do: bytes that changed, blocks of zeros, of garbage or of
what stood elsewhere, files that are cut, lengthened or gone.
"""

import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Final
from unittest.mock import patch
from zlib import crc32

from structlog.testing import capture_logs

from benchmarks.fuzz.choices import Choices
from mailingest.spool.frame_mark import FrameMark
from mailingest.spool.journal import Journal
from mailingest.spool.records import FrameBatch, Position
from tests.support.version1_writer import write_version_1

_SEGMENT_BYTES: Final = 250
_MOST_BATCHES: Final = 12
_MOST_DAMAGES: Final = 8
_PEERS: Final = ("192.0.2.1", "2001:db8::1", "")
_CONTROL: Final = "control"
_VERSION_1, _RESTARTS, _FORGES = 1, 2, 4


def check(data: bytes) -> Iterable[str]:
    choices = Choices(data)
    flags = choices.byte()
    with tempfile.TemporaryDirectory() as name, capture_logs():
        directory = Path(name)
        batches, ends = _write(directory, choices, is_version_1=bool(flags & _VERSION_1))
        position = choices.one_of([None, *ends])
        if flags & _RESTARTS:
            _opened(directory, position)
        had_control = (directory / _CONTROL).exists()
        words = [_damage(directory, choices) for _ in range(choices.byte() % _MOST_DAMAGES)]
        if flags & _FORGES:
            _forge(directory, choices)
            _opened(directory, position)
            return ["forged"]
        is_control_intact = had_control and not any(word.startswith(_CONTROL) for word in words)
        words += _check_read(directory, batches, position, is_all_counted=is_control_intact)
    return words


def seeds() -> Iterator[bytes]:
    random = Random(1)
    for number in range(60):
        yield bytes([number % 8]) + random.randbytes(20 + number)


def _write(
    directory: Path, choices: Choices, *, is_version_1: bool
) -> tuple[list[FrameBatch], list[Position]]:
    batches = []
    for number in range(1 + choices.byte() % _MOST_BATCHES):
        sizes = [choices.byte() % 64 for _ in range(1 + choices.byte() % 4)]
        # No two frames of a journal are the same.
        frames = [b"%d.%d " % (number, at) + b"x" * size for at, size in enumerate(sizes)]
        batches.append(FrameBatch(1.0, choices.one_of(_PEERS), choices.byte(), frames))
    if is_version_1:
        return batches, write_version_1(directory, batches, _SEGMENT_BYTES)
    # The same input makes the same files.
    with patch("os.urandom", Random(7).randbytes):
        journal = Journal(directory, max_bytes=1 << 20, segment_bytes=_SEGMENT_BYTES)
        journal.open(None)
        ends = journal.append(batches[:1])
        for batch in batches[1:]:
            ends = (ends or []) + (journal.append([batch]) or [])
        journal.close()
    assert ends is not None
    return batches, ends


def _opened(
    directory: Path, position: Position | None
) -> tuple[list[tuple[Position, FrameBatch]], Journal]:
    """All that a process reads, and its journal, closed."""
    mark = FrameMark(directory)
    mark.open()
    mark.cells[FrameMark.NOW] = 1
    mark.forget(1)
    del mark  # as if the process died
    journal = Journal(directory, max_bytes=1 << 20, segment_bytes=_SEGMENT_BYTES)
    try:
        start = journal.open(position)
        return [(record.begin, record.batch) for record in journal.read(start)], journal
    finally:
        journal.close()


def _check_read(
    directory: Path,
    batches: list[FrameBatch],
    position: Position | None,
    *,
    is_all_counted: bool,
) -> list[str]:
    numbers, total = {}, 0
    for batch in batches:
        numbers[total] = batch
        total += len(batch.frames)
    begin = position.frames if position else 0
    read, journal = _opened(directory, position)
    at = begin
    for place, batch in read:
        assert place.frames >= at, "not in order, or twice"
        assert numbers.get(place.frames) == batch, "nobody wrote that"
        at = place.frames + len(batch.frames)
    found = sum(len(batch.frames) for _, batch in read)
    lost = journal.damage.frames
    if is_all_counted:
        assert (found + lost, journal.damage.bytes) == (total - begin, 0)
    else:
        # Of the last ones, nobody knows how many they were.
        assert found + lost <= total - begin
    again, journal = _opened(directory, position)
    assert again == read
    assert (journal.damage.frames, journal.damage.bytes) == (0, 0), "counted twice"
    return [f"lost {bool(lost)}", f"found {bool(found)}", f"all counted {is_all_counted}"]


def _forge(directory: Path, choices: Choices) -> None:
    """Give a file content whose checksums are right, though no journal would write it."""
    files = sorted(directory.glob("*.journal"))
    if not files:
        return
    path = choices.one_of(files)
    marker = bytes.fromhex(path.stem.partition("-")[2])
    length, count, more, peer = (choices.number() for _ in range(4))
    body = choices.rest()
    header = struct.pack(
        "<IIQdQIHB", crc32(body), min(length, len(body)), 0, 1.0, 0, count, more, peer & 0xFF
    )
    path.write_bytes(path.read_bytes() + marker + struct.pack("<I", crc32(header)) + header + body)


_Change = Callable[[bytearray, int, Choices], None]


def _damage(directory: Path, choices: Choices) -> str:
    paths = sorted(directory.iterdir())
    if not paths:
        return "nothing left"
    path, change = choices.one_of(paths), choices.one_of(_CHANGES)
    content = bytearray(path.read_bytes())
    change(content, choices.number() % (len(content) + 1), choices)
    if change is _remove:
        path.unlink()
    else:
        path.write_bytes(content)
    return f"{path.suffix or path.name} {change.__name__}"


def _change_byte(content: bytearray, at: int, choices: Choices) -> None:
    if at < len(content):
        content[at] ^= choices.byte() or 1


def _cut(content: bytearray, at: int, choices: Choices) -> None:
    del content[at:]


def _zero(content: bytearray, at: int, choices: Choices) -> None:
    end = min(len(content), at + choices.byte())
    content[at:end] = bytes(end - at)


def _fill(content: bytearray, at: int, choices: Choices) -> None:
    end = min(len(content), at + choices.byte())
    content[at:end] = Random(choices.byte()).randbytes(end - at)


def _copy(content: bytearray, at: int, choices: Choices) -> None:
    begin, size = choices.byte() * 2, choices.byte()
    piece = content[begin : begin + size]
    content[at : at + len(piece)] = piece


def _insert(content: bytearray, at: int, choices: Choices) -> None:
    begin = choices.byte() * 2
    content[at:at] = content[begin : begin + choices.byte()]


def _delete(content: bytearray, at: int, choices: Choices) -> None:
    del content[at : at + choices.byte()]


def _append(content: bytearray, at: int, choices: Choices) -> None:
    content += Random(choices.byte()).randbytes(choices.byte())


def _remove(content: bytearray, at: int, choices: Choices) -> None:
    """The file goes."""


_CHANGES: Final[tuple[_Change, ...]] = (
    *(_change_byte, _cut, _zero, _fill, _copy, _insert, _delete, _append, _remove),
)
