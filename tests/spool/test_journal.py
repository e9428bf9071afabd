"""The journal: what was appended is read again, wherever a crash has cut it, and nothing else."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailingest.spool.control import ControlFile
from mailingest.spool.journal import Journal
from mailingest.spool.records import MAX_BODY_BYTES, FrameBatch, Position, encode
from mailingest.spool.segments import find_segments
from mailingest.syslog.framing import FrameReader

MEGABYTE = 1024 * 1024

PEERS = st.sampled_from(["192.0.2.1", "2001:db8::1", ""])
FRAMES = st.lists(st.binary(max_size=40), min_size=1, max_size=5)
METADATA = st.sampled_from([b"", b"\x01{}", bytes(65_535)])
BATCHES = st.builds(
    FrameBatch, st.floats(0, 1e10), PEERS, st.integers(0, 2**63 - 1), FRAMES, METADATA
)


@contextmanager
def opened(
    directory: Path, position: Position | None = None, *, segment: int = 200, most: int = MEGABYTE
) -> Iterator[Journal]:
    journal = Journal(directory, max_bytes=most, segment_bytes=segment)
    journal.open(position)
    try:
        yield journal
    finally:
        journal.close()


def batches_in(journal: Journal, position: Position | None = None) -> list[FrameBatch]:
    return [record.batch for record in journal.read(position or Position(journal.begin))]


def batch(text: bytes = b"line", frames: int = 1) -> FrameBatch:
    return FrameBatch(1.0, "192.0.2.1", 7, [text] * frames)


def size_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.glob("*.journal"))


@given(st.lists(st.lists(BATCHES, min_size=1, max_size=4), max_size=8))
def test_what_was_appended_is_read_again_by_this_process_and_the_next(
    appends: list[list[FrameBatch]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        whole = [one for some in appends for one in some]
        with opened(directory, most=16 * MEGABYTE) as journal:
            ends = [end for some in appends for end in journal.append(some) or []]
            assert batches_in(journal) == whole
        with opened(directory) as again:
            assert batches_in(again) == whole
            assert again.end == (ends[-1] if ends else Position())
            for number, end in enumerate(ends):
                assert batches_in(again, end) == whole[number + 1 :]
            assert (again.damage.frames, again.damage.bytes) == (0, 0)


@settings(max_examples=200)
@given(st.lists(BATCHES, min_size=2, max_size=6), st.data())
def test_a_write_that_the_death_of_the_process_interrupted_is_cut_off_and_no_loss(
    batches: list[FrameBatch], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with opened(directory, most=16 * MEGABYTE, segment=MEGABYTE) as journal:
            journal.append(batches[:-1])
            before = journal.end
            journal.append(batches[-1:])
            last = journal.end.bytes - before.bytes
        # The last record was not written to its end, nor was its end.
        [segment] = find_segments(directory)
        os.truncate(segment.path, before.bytes + data.draw(st.integers(0, last - 1)))
        control = ControlFile(directory)
        control.open()
        control.write_end(before)
        control.close()
        with opened(directory) as again:
            assert again.end == before
            assert batches_in(again) == batches[:-1]
            assert again.append(batches[-1:])
            assert batches_in(again) == batches
            assert (again.damage.frames, again.damage.bytes) == (0, 0)


def test_a_record_whose_end_was_not_noted_before_the_process_died_is_read(tmp_path: Path) -> None:
    with opened(tmp_path, segment=MEGABYTE) as journal:
        journal.append([batch(b"first")])
        before = journal.end
        journal.append([batch(b"second"), batch(b"third")])
    control = ControlFile(tmp_path)
    control.open()
    control.write_end(before)
    control.close()
    with opened(tmp_path) as again:
        assert batches_in(again) == [batch(b"first"), batch(b"second"), batch(b"third")]


def test_a_killed_process_leaves_all_that_was_appended(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from mailingest.spool.journal import Journal\n"
        "from mailingest.spool.records import FrameBatch\n"
        f"journal = Journal(Path({str(tmp_path)!r}), max_bytes=1 << 30, segment_bytes=5000)\n"
        "journal.open(None)\n"
        "for number in range(10**9):\n"
        "    frames = [b'%d' % number] * (number % 7 + 1)\n"
        "    assert journal.append([FrameBatch(1.0, '192.0.2.1', number, frames)])\n"
        "    print(number, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        appended = [int(process.stdout.readline()) for _ in range(2000)][-1]
        process.send_signal(signal.SIGKILL)
        appended = max([appended, *(int(row) for row in process.stdout if row.endswith(b"\n"))])
    with opened(tmp_path) as journal:
        streams = [one.stream for one in batches_in(journal)]
    assert streams == list(range(len(streams)))
    assert appended < len(streams) <= appended + 2


# Room


def test_only_whole_files_before_a_place_are_removed(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        ends = [end for number in range(9) for end in journal.append([batch(b"%d" % number)]) or []]
        assert len(find_segments(tmp_path)) > 2
        journal.forget(ends[5])
        assert journal.begin <= ends[5].bytes
        assert journal.size == size_of(tmp_path)
        assert batches_in(journal, ends[5]) == [batch(b"%d" % number) for number in (6, 7, 8)]
        journal.forget(ends[8])
        assert len(find_segments(tmp_path)) == 1


def test_a_journal_that_is_full_takes_nothing_until_room_is_made(tmp_path: Path) -> None:
    line = batch(b"x" * 60_000)
    with opened(tmp_path, most=MEGABYTE, segment=MEGABYTE) as journal:
        taken = []
        while ends := journal.append([line]):
            taken += ends
        assert journal.full == "spool.max_bytes is reached"
        assert size_of(tmp_path) == journal.size <= MEGABYTE
        journal.probe()
        assert journal.full is not None
        journal.forget(taken[-1])
        journal.probe()
        assert journal.full is None
        assert journal.append([line])
        assert batches_in(journal, taken[-1]) == [line]
    with opened(tmp_path, taken[-1]) as again:
        assert batches_in(again, taken[-1]) == [line]


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """The kernel refuses to let files grow further (EFBIG), as it does if a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_half_way_leaves_nothing_and_goes_well_later(tmp_path: Path) -> None:
    with opened(tmp_path, segment=MEGABYTE // 8) as journal:
        assert journal.append([batch(b"first")])
        before = size_of(tmp_path)
        # Two of the three records fit.
        with no_file_larger_than(before + 250):
            assert journal.append([batch(b"y" * 60)] * 3) is None
            assert journal.full == "File too large"
            assert size_of(tmp_path) == before
            journal.probe()
            assert journal.full is not None
        journal.probe()
        assert journal.full is None
        assert size_of(tmp_path) == before
        assert journal.append([batch(b"second")])
        assert batches_in(journal) == [batch(b"first"), batch(b"second")]
    with opened(tmp_path) as again:
        assert batches_in(again) == [batch(b"first"), batch(b"second")]


def test_what_could_not_be_cut_off_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ftruncate(descriptor: int, length: int) -> None:
        raise OSError(5, "Input/output error")

    with opened(tmp_path, segment=MEGABYTE // 8) as journal:
        assert journal.append([batch(b"first")])
        with no_file_larger_than(size_of(tmp_path) + 250), monkeypatch.context() as patched:
            patched.setattr(os, "ftruncate", ftruncate)
            assert journal.append([batch(b"y" * 60)] * 3) is None
        journal.probe()
        assert journal.append([batch(b"second")])
        assert batches_in(journal) == [batch(b"first"), batch(b"second")]
    with opened(tmp_path) as again:
        assert batches_in(again) == [batch(b"first"), batch(b"second")]


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
        assert journal.append([batch()]) is None
        assert journal.full == "the disk is full but for what a snapshot needs"
        blocks[0] += 2
        journal.probe()
        assert journal.full is None
        assert journal.append([batch()])


# Where to read on


def test_places_and_numbers_go_on_when_all_is_stored_and_removed(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        [end] = journal.append([batch(frames=3)]) or []
    for segment in find_segments(tmp_path):
        segment.path.unlink()
    with opened(tmp_path, end) as again:
        assert again.end == end
        [next_end] = again.append([batch(frames=2)]) or []
        assert next_end.frames == 5
        assert next_end.bytes > end.bytes
        assert batches_in(again, end) == [batch(frames=2)]


def test_a_snapshot_newer_than_the_journal_is_believed(tmp_path: Path) -> None:
    # As after a power failure that took what the kernel had not written.
    with opened(tmp_path) as journal:
        journal.append([batch()])
    later = Position(10_000, 99)
    journal = Journal(tmp_path, max_bytes=MEGABYTE)
    assert journal.open(later) == later
    assert journal.append([batch(b"next")])
    assert batches_in(journal, later) == [batch(b"next")]
    assert journal.end.frames == 100
    journal.close()


def test_after_damage_before_it_a_position_is_found_by_its_number(tmp_path: Path) -> None:
    with opened(tmp_path, segment=MEGABYTE) as journal:
        ends = [end for number in range(9) for end in journal.append([batch(b"%d" % number)]) or []]
    # Bytes that were consumed long ago are gone, and so all others are elsewhere.
    [segment] = find_segments(tmp_path)
    content = segment.path.read_bytes()
    segment.path.write_bytes(content[: ends[1].bytes - 30] + content[ends[1].bytes :])
    again = Journal(tmp_path, max_bytes=MEGABYTE)
    start = again.open(ends[5])
    assert batches_in(again, start) == [batch(b"%d" % number) for number in (6, 7, 8)]
    assert again.damage.frames == 0
    again.close()


def test_what_follows_a_position_is_all_that_a_start_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path, most=16 * MEGABYTE, segment=2 * MEGABYTE) as journal:
        [*_, before, _] = [
            end for _ in range(100) for end in journal.append([batch(b"x" * 10_000)]) or []
        ]
    pread: Callable[[int, int, int], bytes] = os.pread
    read = []

    def counting(descriptor: int, size: int, offset: int) -> bytes:
        content = pread(descriptor, size, offset)
        read.append(len(content))
        return content

    monkeypatch.setattr(os, "pread", counting)
    with opened(tmp_path, before):
        assert sum(read) < 20_000
    # Nor is more read if the control file does not say where the end is.
    (tmp_path / "control").unlink()
    with opened(tmp_path, before):
        assert sum(read) < 100_000


# What is refused


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        pytest.param(FrameBatch(1.0, "", 0, []), "without frames", id="no frame"),
        pytest.param(FrameBatch(1.0, "", 0, [bytes(MAX_BODY_BYTES)]), "split it", id="too large"),
        pytest.param(FrameBatch(1.0, "", 0, [b""] * 300_000), "split it", id="too many frames"),
        pytest.param(FrameBatch(1.0, "", -1, [b"x"]), "do not fit", id="a negative stream"),
        pytest.param(FrameBatch(1.0, "", 1 << 64, [b"x"]), "do not fit", id="a stream too large"),
        pytest.param(FrameBatch(1.0, "a" * 256, 0, [b"x"]), "do not fit", id="a peer too long"),
        pytest.param(
            FrameBatch(1.0, "", 0, [b"x"], bytes(65_536)), "do not fit", id="too much metadata"
        ),
    ],
)
def test_a_batch_that_could_not_be_read_again_is_refused(
    tmp_path: Path, refused: FrameBatch, why: str
) -> None:
    with opened(tmp_path, most=16 * MEGABYTE) as journal:
        assert journal.append([batch(b"first")])
        with pytest.raises(ValueError, match=why):
            journal.append([batch(b"not alone"), refused])
        assert journal.append([batch(b"second")])
        assert batches_in(journal) == [batch(b"first"), batch(b"second")]


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([bytes(MAX_BODY_BYTES - 4)], id="one frame"),
        pytest.param([b""] * (MAX_BODY_BYTES // 4), id="empty frames"),
    ],
)
def test_a_batch_as_large_as_can_be_is_read_again(tmp_path: Path, frames: list[bytes]) -> None:
    largest = FrameBatch(1.0, "", (1 << 64) - 1, frames)
    with opened(tmp_path, most=16 * MEGABYTE) as journal:
        assert journal.append([largest])
        assert batches_in(journal) == [largest]


@pytest.mark.parametrize(
    "stream", [b"a\n", b"1 <", b"<\n", b"1 <\0"], ids=["lines", "counted", "short", "NUL"]
)
def test_what_a_connection_can_bring_at_once_is_never_refused(stream: bytes) -> None:
    # The stream server reads 64 KiB at once, and up to 64 KiB may be pending from before.
    reader = FrameReader()
    reader.receive_data(b"65536 <" + bytes(65_534))
    frames = reader.receive_data(b"\0" + stream * (65_535 // len(stream)))
    assert len(frames) > 10_000
    encode(FrameBatch(1.0, "2001:db8::1", 7, frames), 0, b"12345678")
