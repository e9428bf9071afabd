"""The journal: what was appended is read again, wherever a crash has cut it, and nothing else."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from mailingest.spool.journal import Journal, Position, Record, find_segments, read_segment

MEGABYTE = 1024 * 1024

PEERS = st.sampled_from(["192.0.2.1", "2001:db8::1", ""])
FRAMES = st.lists(st.binary(max_size=40), min_size=1, max_size=5)
RECORDS = st.builds(Record, st.floats(0, 1e10), PEERS, st.integers(0, 2**63 - 1), FRAMES)


@contextmanager
def opened(
    directory: Path, position: Position | None = None, *, segment: int = 200, most: int = MEGABYTE
) -> Iterator[Journal]:
    journal = Journal(directory, max_octets=most, segment_octets=segment)
    journal.open(position)
    try:
        yield journal
    finally:
        journal.close()


def records_in(journal: Journal, position: Position | None = None) -> list[Record]:
    return [entry.record for entry in journal.read(position or Position(journal.begin))]


def record(text: bytes = b"line", frames: int = 1) -> Record:
    return Record(1.0, "192.0.2.1", 7, [text] * frames)


def size_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.glob("*.frames"))


@given(st.lists(st.lists(RECORDS, min_size=1, max_size=4), max_size=8))
def test_what_was_appended_is_read_again_by_this_process_and_the_next(
    appends: list[list[Record]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        whole = [one for some in appends for one in some]
        with opened(directory) as journal:
            ends = [end for some in appends for end in journal.append(some) or []]
            assert records_in(journal) == whole
        with opened(directory) as again:
            assert records_in(again) == whole
            assert again.end == (ends[-1] if ends else Position())
            for number, end in enumerate(ends):
                assert records_in(again, end) == whole[number + 1 :]


@settings(max_examples=300)
@given(st.lists(RECORDS, min_size=1, max_size=8), st.data())
def test_a_crash_at_any_octet_leaves_every_whole_record_before_it_and_nothing_else(
    records: list[Record], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with opened(directory) as journal:
            ends = [end.octets for one in records for end in journal.append([one]) or []]
        cut = data.draw(st.integers(0, ends[-1]))
        rubbish = data.draw(st.sampled_from([b"", bytes(50), b"\xff" * 50]))
        for segment in find_segments(directory):
            if segment.begin >= cut and segment.begin:
                segment.path.unlink()
            elif segment.end > cut:
                before = segment.path.read_bytes()
                after = before[: cut - segment.begin] + rubbish
                segment.path.write_bytes(after)
                # The rubbish may begin with what was cut off.
                same = takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False))
                cut = segment.begin + len(list(same))
        whole = [one for one, end in zip(records, ends, strict=True) if end <= cut]
        with opened(directory) as again:
            assert records_in(again) == whole
            # And it goes on from there.
            assert again.append([records[0]])
            assert records_in(again) == [*whole, records[0]]
        with opened(directory) as third:
            assert records_in(third) == [*whole, records[0]]


@given(st.lists(RECORDS, min_size=1, max_size=8), st.data())
def test_an_octet_that_changed_is_never_taken_for_what_was_written(
    records: list[Record], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with opened(directory) as journal:
            ends = [end.octets for one in records for end in journal.append([one]) or []]
        segments = find_segments(directory)
        segment = data.draw(st.sampled_from(segments))
        octets = bytearray(segment.path.read_bytes())
        place = data.draw(st.integers(0, len(octets) - 1))
        octets[place] ^= data.draw(st.integers(1, 255))
        segment.path.write_bytes(octets)
        damaged = segment.begin + place
        with opened(directory) as again, capture_logs() as logs:
            read = records_in(again)
        # The rest of its file is skipped, and told; what is in later files is found.
        before = sum(end <= damaged for end in ends)
        after = sum(end <= segment.end for end in ends)
        assert read == records[:before] + records[after:]
        assert segment is segments[-1] or [log["log_level"] for log in logs] == ["error"]


def test_a_killed_process_leaves_what_it_was_told_is_appended(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from mailingest.spool.journal import Journal, Record\n"
        f"journal = Journal(Path({str(tmp_path)!r}), max_octets=1 << 30, segment_octets=5000)\n"
        "journal.open(None)\n"
        "for number in range(10**9):\n"
        "    frames = [b'%d' % number] * (number % 7 + 1)\n"
        "    assert journal.append([Record(1.0, '192.0.2.1', number, frames)])\n"
        "    print(number, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(2000)][-1]
        process.send_signal(signal.SIGKILL)
        told = max([told, *(int(row) for row in process.stdout if row.endswith(b"\n"))])
    with opened(tmp_path) as journal:
        streams = [one.stream for one in records_in(journal)]
    assert streams == list(range(len(streams)))
    assert told < len(streams) <= told + 2


# Room


def test_only_whole_files_before_a_place_are_removed(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        ends = [
            end for number in range(9) for end in journal.append([record(b"%d" % number)]) or []
        ]
        assert len(find_segments(tmp_path)) > 2
        journal.forget(ends[5])
        assert journal.begin <= ends[5].octets
        assert journal.octets == size_of(tmp_path)
        assert records_in(journal, ends[5]) == [record(b"%d" % number) for number in (6, 7, 8)]
        journal.forget(ends[8])
        assert len(find_segments(tmp_path)) == 1


def test_a_journal_that_is_full_takes_nothing_until_room_is_made(tmp_path: Path) -> None:
    line = record(b"x" * 60_000)
    with opened(tmp_path, most=MEGABYTE, segment=MEGABYTE) as journal:
        taken = []
        while ends := journal.append([line]):
            taken += ends
        assert journal.full == "spool.max_bytes is reached"
        assert size_of(tmp_path) == journal.octets <= MEGABYTE
        journal.probe()
        assert journal.full is not None
        journal.forget(taken[-1])
        journal.probe()
        assert journal.full is None
        assert journal.append([line])
        assert records_in(journal, taken[-1]) == [line]
    with opened(tmp_path, taken[-1]) as again:
        assert records_in(again, taken[-1]) == [line]


@contextmanager
def no_file_larger_than(octets: int) -> Iterator[None]:
    """The kernel refuses to let files grow further (EFBIG), as it does if a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_half_way_leaves_nothing_and_goes_well_later(tmp_path: Path) -> None:
    with opened(tmp_path, segment=MEGABYTE // 8) as journal:
        assert journal.append([record(b"first")])
        before = size_of(tmp_path)
        # Two of the three records fit.
        with no_file_larger_than(before + 250):
            assert journal.append([record(b"y" * 60)] * 3) is None
            assert journal.full == "File too large"
            assert size_of(tmp_path) == before
            journal.probe()
            assert journal.full is not None
        journal.probe()
        assert journal.full is None
        assert size_of(tmp_path) == before
        assert journal.append([record(b"second")])
        assert records_in(journal) == [record(b"first"), record(b"second")]
    with opened(tmp_path) as again:
        assert records_in(again) == [record(b"first"), record(b"second")]


def test_what_could_not_be_cut_off_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ftruncate(descriptor: int, length: int) -> None:
        raise OSError(5, "Input/output error")

    with opened(tmp_path, segment=MEGABYTE // 8) as journal:
        assert journal.append([record(b"first")])
        with no_file_larger_than(size_of(tmp_path) + 250), monkeypatch.context() as patched:
            patched.setattr(os, "ftruncate", ftruncate)
            assert journal.append([record(b"y" * 60)] * 3) is None
        journal.probe()
        assert journal.append([record(b"second")])
        assert records_in(journal) == [record(b"first"), record(b"second")]
    with opened(tmp_path) as again:
        assert records_in(again) == [record(b"first"), record(b"second")]


def test_room_is_left_for_a_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs(tmp_path)
    blocks = [real.f_blocks // 20 - 1]

    def statvfs(_: object) -> os.statvfs_result:
        fields = list(real[:10])
        fields[4] = blocks[0]  # f_bavail
        return os.statvfs_result(fields)

    monkeypatch.setattr(os, "statvfs", statvfs)
    monkeypatch.setattr("mailingest.spool.journal._MOST_LEFT_FREE", real.f_blocks * real.f_frsize)
    with opened(tmp_path) as journal:
        assert journal.append([record()]) is None
        assert journal.full == "the disk is full but for what a snapshot needs"
        blocks[0] += 2
        journal.probe()
        assert journal.full is None
        assert journal.append([record()])


# Where to read on


def test_places_and_numbers_go_on_when_all_is_stored_and_removed(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        [end] = journal.append([record(frames=3)]) or []
    for segment in find_segments(tmp_path):
        segment.path.unlink()
    with opened(tmp_path, end) as again:
        assert again.end == end
        [next_end] = again.append([record(frames=2)]) or []
        assert next_end.frames == 5
        assert next_end.octets > end.octets
        assert records_in(again, end) == [record(frames=2)]


def test_a_snapshot_newer_than_the_journal_is_believed(tmp_path: Path) -> None:
    # As after a power failure that took what the kernel had not written.
    with opened(tmp_path) as journal:
        journal.append([record()])
    later = Position(10_000, 99)
    journal = Journal(tmp_path, max_octets=MEGABYTE)
    assert journal.open(later) == later
    assert journal.append([record(b"next")])
    assert records_in(journal, later) == [record(b"next")]
    assert journal.end.frames == 100
    journal.close()


def test_a_journal_without_its_beginning_is_read_from_what_is_there(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        for number in range(9):
            journal.append([record(b"%d" % number)])
    first, second, *_ = find_segments(tmp_path)
    first.path.unlink()
    journal = Journal(tmp_path, max_octets=MEGABYTE)
    with capture_logs() as logs:
        position = journal.open(Position(0, 0))
    assert position.octets == second.begin
    assert position.frames == next(read_segment(second, second.begin)).begin.frames
    assert [log["log_level"] for log in logs] == ["error"]
