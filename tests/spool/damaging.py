"""A journal as it was written, the damage done to its files, and what is intact of it then."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from mailingest.spool.journal import Journal
from mailingest.spool.records import FrameBatch, Position
from tests.support.version1_writer import write_version_1

SEGMENT_BYTES = 250
HEADER_BYTES = 16

Damage = Callable[["Written"], None]


@dataclass(slots=True)
class Record:
    """One record, and where it is: in which file, from which byte of it up to another."""

    batch: FrameBatch
    begin: Position
    end: Position
    file: Path
    at: slice


@dataclass(slots=True)
class Written:
    """All records in order; ``originals`` are the files as they were written."""

    directory: Path
    records: list[Record] = field(default_factory=list)
    originals: dict[Path, bytes] = field(default_factory=dict)

    @property
    def files(self) -> list[Path]:
        return sorted(self.originals)

    def intact(self) -> list[Record]:
        """The records whose bytes are all there and as they were written."""
        found = []
        for record in self.records:
            original = self.originals[record.file][record.at]
            now = record.file.read_bytes()[record.at] if record.file.exists() else None
            if now == original:
                found.append(record)
        return found

    def unread_bytes(self, position: Position | None) -> int:
        """The bytes that are behind the last intact record and behind a position, if there is one.

        Files that are missing among them count, headers of files do not.
        """
        present = [path for path in self.files if path.exists()]
        if not present:
            return 0
        begin = position.bytes if position else begin_of(present[0])
        end = max([begin, *(one.end.bytes for one in self.intact())])
        behind = begin_of(present[-1]) + present[-1].stat().st_size - end
        headers = [
            min(HEADER_BYTES, path.stat().st_size)
            for path in present
            if path.suffix == ".journal" and begin_of(path) >= end
        ]
        return max(0, behind - sum(headers))


def file_header(magic: bytes, version: int) -> bytes:
    """The first bytes of a file of the spool, of any version."""
    content = struct.pack("<8sI", magic, version)
    return content + struct.pack("<I", crc32(content))


def begin_of(file: Path) -> int:
    """The place of a file's first byte in the journal: it is named by it."""
    return int(file.name[:20])


def write(directory: Path, batches: list[FrameBatch], version: int) -> Written:
    """A journal of some small files."""
    written = Written(directory)
    if version == 1:
        ends = write_version_1(directory, batches, SEGMENT_BYTES)
    else:
        journal = Journal(directory, max_bytes=1 << 20, segment_bytes=SEGMENT_BYTES)
        journal.open(None)
        ends = [end for batch in batches for end in journal.append([batch]) or []]
        journal.close()
    files = sorted([*directory.glob("*.frames"), *directory.glob("*.journal")])
    written.originals = {path: path.read_bytes() for path in files}
    begin = Position()
    for batch, end in zip(batches, ends, strict=True):
        file = [path for path in files if begin_of(path) < end.bytes][-1]
        first = begin_of(file) + (HEADER_BYTES if version == 2 else 0)
        begin = Position(max(begin.bytes, first), begin.frames)
        at = slice(begin.bytes - begin_of(file), end.bytes - begin_of(file))
        written.records.append(Record(batch, begin, end, file, at))
        begin = end
    return written


def change_byte(file: int, at: float, difference: int) -> Damage:
    """One byte of a file is another one; ``at`` is a part of its length."""

    def damage(written: Written) -> None:
        path = written.files[file % len(written.files)]
        _change(path, at, difference)

    return damage


def cut(file: int, at: float) -> Damage:
    """A file ends somewhere before its end."""

    def damage(written: Written) -> None:
        path = written.files[file % len(written.files)]
        if path.exists():
            path.write_bytes(path.read_bytes()[: int(at * path.stat().st_size)])

    return damage


def remove(file: int) -> Damage:
    """A file is missing."""

    def damage(written: Written) -> None:
        written.files[file % len(written.files)].unlink(missing_ok=True)

    return damage


def change_control(at: float, difference: int) -> Damage:
    """One byte of the control file is another one, if there is that file."""

    def damage(written: Written) -> None:
        _change(written.directory / "control", at, difference)

    return damage


def remove_control(written: Written) -> None:
    """The control file is missing."""
    (written.directory / "control").unlink(missing_ok=True)


def _change(path: Path, at: float, difference: int) -> None:
    if not path.exists() or not path.stat().st_size:
        return
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= difference
    path.write_bytes(content)
