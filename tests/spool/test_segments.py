"""The files of a journal: which versions are read, and how what is intact is found."""

import os
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import pytest
from structlog.testing import capture_logs

from mailingest.errors import UsageError
from mailingest.spool.journal import Journal
from mailingest.spool.records import FrameBatch, encode
from mailingest.spool.segments import Segment, find_segments, read_records
from mailingest.spool.version1 import Version1Decoder
from tests.spool.damaging import file_header
from tests.support.version1_writer import encode_version_1, write_version_1

MEGABYTE = 1024 * 1024


def batch(text: bytes, frames: int = 1) -> FrameBatch:
    return FrameBatch(1.0, "192.0.2.1", 7, [text] * frames)


def write(directory: Path, *batches: FrameBatch) -> Segment:
    journal = Journal(directory, max_bytes=16 * MEGABYTE)
    journal.open(None)
    assert journal.append(batches)
    journal.close()
    [segment] = find_segments(directory)
    return segment


def batches_in(segment: Segment) -> list[FrameBatch]:
    return [record.batch for record in read_records(segment, segment.begin)]


def test_a_file_says_what_it_is(tmp_path: Path) -> None:
    segment = write(tmp_path, batch(b"x"))
    content = segment.path.read_bytes()
    assert content.startswith(file_header(b"mailjrnl", 2))
    assert segment.path.name == f"{0:020d}-{content[16:24].hex()}.journal"


def test_no_two_files_have_one_marker(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=MEGABYTE, segment_bytes=100)
    journal.open(None)
    for _ in range(20):
        journal.append([batch(b"x" * 100)])
    journal.close()
    assert len({segment.marker for segment in find_segments(tmp_path)}) == 20


def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    segment = write(tmp_path, batch(b"x"))
    content = file_header(b"mailjrnl", 3) + b"whatever it may hold"
    segment.path.write_bytes(content)
    journal = Journal(tmp_path, max_bytes=MEGABYTE)
    with pytest.raises(
        UsageError,
        match=rf"^{segment.path}: a newer mailingest wrote this \(format 3, known are 1 to 2\): ",
    ):
        journal.open(None)
    assert segment.path.read_bytes() == content


@pytest.mark.parametrize("place", range(16))
def test_a_version_that_is_damaged_is_not_believed(tmp_path: Path, place: int) -> None:
    segment = write(tmp_path, batch(b"x"), batch(b"y"))
    content = bytearray(segment.path.read_bytes())
    content[place] ^= 1
    segment.path.write_bytes(content)
    [found] = find_segments(tmp_path)
    assert batches_in(found) == [batch(b"x"), batch(b"y")]


def test_files_of_both_versions_are_one_journal(tmp_path: Path) -> None:
    old = [batch(b"old %d" % number) for number in range(9)]
    [*_, end] = write_version_1(tmp_path, old, 200)
    journal = Journal(tmp_path, max_bytes=MEGABYTE)
    start = journal.open(None)
    new = [batch(b"new %d" % number, frames=2) for number in range(9)]
    assert journal.append(new)
    assert [record.batch for record in journal.read(start)] == [*old, *new]
    assert [record.batch for record in journal.read(end)] == new
    assert journal.end.frames == 9 + 18
    assert (journal.damage.frames, journal.damage.bytes) == (0, 0)
    segments = find_segments(tmp_path)
    assert all(before.end == after.begin for before, after in pairwise(segments))
    assert [bool(segment.marker) for segment in segments] == [False] * 3 + [True]
    journal.forget(journal.end)
    assert [segment.path.suffix for segment in find_segments(tmp_path)] == [".journal"]
    journal.close()


def test_a_record_within_a_line_is_not_taken_for_one_of_the_journal(tmp_path: Path) -> None:
    # Somebody sends as a line what stands in the spool, or what would stand there.
    first = write(tmp_path, batch(b"first"))
    copy = first.path.read_bytes()
    forged = encode(batch(b"forged"), 2, b"forgery!")
    [segment] = find_segments(tmp_path)
    with segment.path.open("ab") as file:
        file.write(encode(batch(copy + forged), 1, segment.marker))
        end = file.tell()
        file.write(encode(batch(b"third"), 2, segment.marker))
    content = bytearray(segment.path.read_bytes())
    content[len(copy)] ^= 1  # so that its record is looked through for others
    segment.path.write_bytes(content)
    journal = Journal(tmp_path, max_bytes=MEGABYTE)
    start = journal.open(None)
    records = list(journal.read(start))
    assert [record.batch for record in records] == [batch(b"first"), batch(b"third")]
    assert records[1].begin.bytes == end
    assert journal.damage.frames == 1
    journal.close()


def sealed(marker: bytes, body: bytes, *, number: int, count: int, more: int, peer: int) -> bytes:
    """A record of format 2 with right checksums, whatever it says."""
    content = struct.pack("<IIQdQIHB", crc32(body), len(body), number, 1.0, 0, count, more, peer)
    return marker + struct.pack("<I", crc32(content)) + content + body


def sealed_version_1(body: bytes, *, number: int, count: int, peer: int) -> bytes:
    content = struct.pack("<IQdQIB", len(body), number, 1.0, 0, count, peer)
    return struct.pack("<I", crc32(body, crc32(content))) + content + body


ONE_FRAME = struct.pack("<I", 4) + b"line"
NONSENSE = [
    pytest.param(ONE_FRAME, {"count": 2}, id="more frames than there are lengths"),
    pytest.param(ONE_FRAME, {"count": 0xFFFFFFFF}, id="more frames than memory has room for"),
    pytest.param(ONE_FRAME, {"count": 0}, id="no frame"),
    pytest.param(b"", {"count": 0}, id="nothing"),
    pytest.param(ONE_FRAME, {"peer": 200}, id="a peer longer than all"),
    pytest.param(ONE_FRAME + b"more", {}, id="more than the frames"),
    pytest.param(ONE_FRAME[:-1], {}, id="less than the frames"),
    pytest.param(b"\xff\xfe" + ONE_FRAME, {"peer": 2}, id="a peer that is no text"),
    pytest.param(ONE_FRAME, {"number": (1 << 64) - 1}, id="a number that nothing comes after"),
]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("body", "wrong"), NONSENSE)
def test_a_record_with_right_checksums_that_makes_no_sense_is_damaged(
    tmp_path: Path, body: bytes, wrong: dict[str, int], version: int
) -> None:
    said = {"number": 1, "count": 1, "peer": 0, **wrong}
    written = [batch(b"first"), batch(b"third")]
    if version == 1:
        write_version_1(tmp_path, written[:1], MEGABYTE)
        [segment] = find_segments(tmp_path)
        added = sealed_version_1(body, **said) + encode_version_1(written[1], 2)
    else:
        segment = write(tmp_path, written[0])
        added = sealed(segment.marker, body, more=0, **said)
        added += encode(written[1], 2, segment.marker)
    with segment.path.open("ab") as file:
        file.write(added)
    journal = Journal(tmp_path, max_bytes=MEGABYTE)
    start = journal.open(None)
    assert [record.batch for record in journal.read(start)] == written
    assert journal.damage.frames == 1
    journal.close()


@pytest.mark.parametrize("knows_end", [True, False])
@pytest.mark.parametrize("version", [1, 2])
def test_older_records_behind_the_end_do_not_turn_the_numbers_back(
    tmp_path: Path, version: int, knows_end: bool
) -> None:
    # As a block that the file system took from elsewhere in the file, or from a file of format 1.
    written = [batch(b"%d" % number) for number in range(3)]
    if version == 1:
        write_version_1(tmp_path, written, MEGABYTE)
        journal = Journal(tmp_path, max_bytes=MEGABYTE)
        journal.open(None)
        journal.close()
        [segment] = find_segments(tmp_path)
    else:
        segment = write(tmp_path, *written)
    first, second, third = read_records(segment, 0)
    content = bytearray(segment.path.read_bytes())
    older = content[first.begin.bytes : second.end.bytes]
    content[third.begin.bytes + 5] ^= 1
    if not knows_end:
        content[third.begin.bytes + 5] ^= 1
        (tmp_path / "control").unlink()
    segment.path.write_bytes(content + older)
    left = written if not knows_end else written[:2]
    journal = Journal(tmp_path, max_bytes=MEGABYTE)
    start = journal.open(None)
    assert journal.end.frames == 3
    assert [record.batch for record in journal.read(start)] == left
    assert journal.damage.frames == 3 - len(left)
    assert journal.append([batch(b"new")])
    assert [record.batch for record in journal.read(start)] == [*left, batch(b"new")]
    journal.close()


def test_the_old_files_are_searched_for_the_next_record_after_damage(tmp_path: Path) -> None:
    # As after a power failure: zeros, and what stood there before; more than is read at once.
    old = [batch(b"line %d" % number, frames=400) for number in range(400)]
    write_version_1(tmp_path, old, 16 * MEGABYTE)
    [segment] = find_segments(tmp_path)
    records = list(read_records(segment, 0))
    content = bytearray(segment.path.read_bytes())
    first, last = records[10], records[300]
    content[first.begin.bytes + 5 : last.begin.bytes] = bytes(
        last.begin.bytes - first.begin.bytes - 5
    )
    content[last.begin.bytes - 1000 : last.begin.bytes] = os.urandom(1000)
    segment.path.write_bytes(content)
    assert batches_in(segment) == [*old[:10], *old[300:]]


def test_a_place_that_cannot_be_a_record_is_passed_over_at_once() -> None:
    record = encode_version_1(batch(b"x"), 1)
    decoder = Version1Decoder()
    for nothing in (bytes(5000), b"\xff" * 5000, b"Nov 24 15:41:22 mx1 postfix/qmgr[7]: " * 200):
        assert len(nothing) - 40 < decoder.find(nothing + record, 0) <= len(nothing)
        # Where a record may begin that is not all there yet.
        assert decoder.find(nothing, 0) == len(nothing) - 36


def test_a_page_that_the_disk_cannot_read_costs_no_more_than_what_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = [batch(b"%d" % number) for number in range(1000)]
    segment = write(tmp_path, *written)
    records = list(read_records(segment, 0))
    bad = range(8192, 12_288)
    pread: Callable[[int, int, int], bytes] = os.pread

    def reading(descriptor: int, size: int, offset: int) -> bytes:
        if offset < bad.stop and offset + size > bad.start:
            raise OSError(5, "Input/output error")
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", reading)
    whole = [one for one in records if one.end.bytes <= bad.start or one.begin.bytes >= bad.stop]
    with capture_logs() as logs:
        assert list(read_records(segment, 0)) == whole
    assert len(whole) > 900
    assert [(log["log_level"], log["offset"]) for log in logs] == [("warning", bad.start)]


def test_a_file_that_vanished_is_empty(tmp_path: Path) -> None:
    segment = write(tmp_path, batch(b"x"))
    segment.path.unlink()
    with capture_logs() as logs:
        assert batches_in(segment) == []
    assert [log["log_level"] for log in logs] == ["warning"]
