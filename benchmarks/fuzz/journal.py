"""Damage to the spool: all that it then gives is what was written, and it counts what it does not.

Damage is what disks, crashes and people do: bytes that changed, blocks of zeros, of garbage or of
what stood elsewhere, files that are cut, lengthened or gone.
"""

import struct
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
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
from mailingest.spool.segments import HEADER_BYTES
from tests.support.version1_writer import write_version_1

_SEGMENT_BYTES: Final = 250
_MOST_BATCHES: Final = 12
_MOST_DAMAGES: Final = 8
_PEERS: Final = ("192.0.2.1", "2001:db8::1", "")
_CONTROL: Final = "control"
_PLACE_DIGITS: Final = 20
# Damage after which a record may stand where it was not written.
_MOVING: Final = ("_copy", "_insert", "_delete")
_VERSION_1, _RESTARTS, _FORGES = 1, 2, 4


def check(data: bytes) -> Iterable[str]:
    choices = Choices(data)
    flags = choices.byte()
    with tempfile.TemporaryDirectory() as name, capture_logs():
        directory = Path(name)
        batches, ends = _write(directory, choices, is_version_1=bool(flags & _VERSION_1))
        position = choices.one_of([None, *ends])
        if flags & _RESTARTS:
            _read(directory, position)
        had_control = (directory / _CONTROL).exists()
        records = list(_records(directory, batches, ends))
        before = _contents(records)
        words = [_damage(directory, choices) for _ in range(choices.byte() % _MOST_DAMAGES)]
        if flags & _FORGES:
            _forge(directory, choices)
            _read(directory, position)
            return ["forged"]
        intact = {number for number, one in _contents(records).items() if one == before[number]}
        if any(word.endswith(_MOVING) for word in words):
            intact = set()  # a copy of a record may come before those that lie between
        is_all_counted = had_control and not any(word.startswith(_CONTROL) for word in words)
        written = dict(zip(before, batches, strict=True))
        lost = _check_reading(directory, written, position, intact, is_all_counted=is_all_counted)
    return [*words, f"lost {min(lost, 3)} of {len(before)}", f"control {is_all_counted}"]


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


def _read(
    directory: Path, position: Position | None
) -> tuple[list[tuple[int, FrameBatch]], int, int]:
    """What a process reads that then dies, by number; and how many frames and bytes it missed."""
    mark = FrameMark(directory)
    mark.open()
    mark.cell[0] = 1
    mark.forget(1)
    journal = Journal(directory, max_bytes=1 << 20, segment_bytes=_SEGMENT_BYTES)
    try:
        start = journal.open(position)
        read = [(record.begin.frames, record.batch) for record in journal.read(start)]
        return read, journal.damage.frames, journal.damage.bytes
    finally:
        journal.close()


def _check_reading(
    directory: Path,
    written: Mapping[int, FrameBatch],
    position: Position | None,
    intact: Collection[int],
    *,
    is_all_counted: bool,
) -> int:
    """Hold what is read to what was written; how many frames are lost."""
    read, lost, unknown = _read(directory, position)
    assert all(written.get(number) == batch for number, batch in read), "nobody wrote that"
    numbers = [number for number, _ in read]
    assert numbers == sorted({*numbers}), "not in order, or twice"
    begin = position.frames if position else 0
    assert {number for number in intact if number >= begin} <= {*numbers}, "it was intact"
    missing = sum(
        len(batch.frames)
        for number, batch in written.items()
        if number >= begin and number not in numbers
    )
    # Without the control file, nobody knows how many the last ones were.
    assert (lost, unknown) == (missing, 0) if is_all_counted else lost <= missing, "miscounted"
    assert _read(directory, position) == (read, 0, 0), "counted twice"
    return lost


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


def _records(
    directory: Path, batches: list[FrameBatch], ends: list[Position]
) -> Iterator[tuple[int, Path, slice]]:
    """Each record's first number, its file, and where it is in there."""
    files = sorted([*directory.glob("*.frames"), *directory.glob("*.journal")])
    begin = 0
    for batch, end in zip(batches, ends, strict=True):
        path = [one for one in files if int(one.name[:_PLACE_DIGITS]) < end.bytes][-1]
        origin = int(path.name[:_PLACE_DIGITS])
        first = HEADER_BYTES if path.suffix == ".journal" else 0
        at = slice(max(begin - origin, first), end.bytes - origin)
        yield end.frames - len(batch.frames), path, at
        begin = end.bytes


def _contents(records: list[tuple[int, Path, slice]]) -> dict[int, bytes]:
    """What is where each record was written, by its number."""
    return {number: path.read_bytes()[at] if path.exists() else b"" for number, path, at in records}


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


def _set(content: bytearray, at: int, choices: Choices) -> None:
    end = min(len(content), at + choices.byte())
    content[at:end] = choices.one_of((b"\0", b"\xff", b" ")) * (end - at)


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
    *(_change_byte, _cut, _set, _fill, _copy, _insert, _delete, _append, _remove),
)
