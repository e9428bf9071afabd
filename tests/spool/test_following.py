"""A journal that another process writes: each frame is read once, whatever is trimmed meanwhile."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.spool.following import BEGINNING, FollowedJournal, JournalEnd
from mailingest.spool.journal import Journal
from mailingest.spool.records import FrameBatch, Position

SEGMENT_BYTES = 300
MEGABYTE = 1024 * 1024


class Followed:
    """A journal, and one who follows it; what it forgets is the journal's to forget."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.journal = Journal(directory, max_bytes=MEGABYTE, segment_bytes=SEGMENT_BYTES)
        self.journal.open(None)
        self.written = 0
        self.found: list[int] = []
        self.snapshot: Position | None = None
        self.reader = self.begin()

    def begin(self) -> FollowedJournal:
        reader = FollowedJournal(self.directory, self._forget)
        begin = Position(self.journal.begin, self.journal.settled)
        reader.open(self.snapshot, begin, self.end())
        return reader

    def restart(self) -> None:
        """The reader dies, and begins with its last snapshot: the frames since come again."""
        self.reader = self.begin()
        del self.found[self.reader.position.frames :]

    def end(self) -> JournalEnd:
        journal = self.journal
        return JournalEnd(*journal.end, journal.last_begin, journal.segment_bytes, journal.full)

    def append(self, frames: int) -> None:
        lines = [b"%d" % number for number in range(self.written, self.written + frames)]
        assert self.journal.append([FrameBatch(1.0, "192.0.2.1", 7, lines)]) is not None
        self.written += frames

    def tell(self) -> None:
        self.reader.advance(self.end())

    def take(self, most: int) -> None:
        for _ in range(most):
            batch = self.reader.take()
            if batch is None:
                break
            self.found += map(int, batch.frames)

    def trim(self) -> None:
        self.snapshot = self.reader.position
        self.reader.forget(self.reader.position)

    def _forget(self, position: Position) -> None:
        self.journal.forget(position)


STEPS = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 20)),
    st.tuples(st.just("take"), st.integers(1, 6)),
    st.sampled_from([("tell",), ("tell",), ("trim",), ("restart",)]),
)


@given(st.lists(STEPS, max_size=60))
def test_each_frame_is_read_once_and_in_order(steps: list[tuple[object, ...]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        followed = Followed(Path(directory))
        for name, *arguments in steps:
            getattr(followed, str(name))(*arguments)
        followed.tell()
        followed.take(1000)
        assert followed.found == list(range(followed.written))
        assert followed.reader.position == followed.journal.end
        assert not followed.reader.take_missing()


def test_nothing_is_written(tmp_path: Path) -> None:
    followed = Followed(tmp_path)
    followed.append(10)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    followed.tell()
    followed.take(10)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_what_was_refused_behind_the_end_of_a_file_is_not_read(tmp_path: Path) -> None:
    """Bytes that could not be cut off: the journal goes on in another file, at that place."""
    followed = Followed(tmp_path)
    followed.append(3)
    followed.tell()
    [file] = tmp_path.glob("*.journal")
    content = file.read_bytes()
    with file.open("ab") as appended:
        appended.write(content[16:])  # as records that look well
    followed.journal._close_segment()
    followed.append(3)
    followed.tell()
    followed.take(100)
    assert followed.found == [0, 1, 2, 3, 4, 5]


def test_what_is_damaged_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    followed = Followed(tmp_path)
    for _ in range(3):
        followed.append(2)
    [file] = tmp_path.glob("*.journal")
    place = file.read_bytes().index(b"\x02\x00\x00\x00", 120)
    with file.open("r+b") as damaged:
        os.pwrite(damaged.fileno(), b"\xff\xff", place)
    followed.tell()
    followed.take(100)
    assert followed.found == [0, 1, 4, 5]
    [missing] = followed.reader.take_missing()
    assert (missing.begin, missing.end) == (2, 4)
    assert missing.gaps[0][1] == file.name
    assert followed.reader.take_missing() == []


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    followed = Followed(tmp_path)
    for _ in range(12):
        followed.append(4)
    first, *_ = sorted(tmp_path.glob("*.journal"))
    first.unlink()
    followed.tell()
    followed.take(100)
    [missing] = followed.reader.take_missing()
    assert missing.begin == 0
    assert followed.found == list(range(missing.end, followed.written))
    assert [name for _, name in missing.gaps] == [None]


@pytest.mark.parametrize("position", [None, BEGINNING])
def test_without_a_snapshot_it_begins_at_what_is_kept(
    tmp_path: Path, position: Position | None
) -> None:
    followed = Followed(tmp_path)
    for _ in range(12):
        followed.append(4)
    followed.tell()
    followed.take(6)
    followed.trim()
    followed.snapshot = position
    followed.restart()
    followed.found.clear()
    followed.take(100)
    assert followed.found[-1] == followed.written - 1
    assert followed.found == list(range(followed.found[0], followed.written))


def test_it_goes_on_where_a_power_failure_has_taken_what_it_had_read(tmp_path: Path) -> None:
    """The journal gives the numbers that it had read to nobody else."""
    followed = Followed(tmp_path)
    followed.append(4)
    followed.tell()
    followed.take(10)
    followed.snapshot = followed.reader.position
    followed.journal.close()
    for file in (*tmp_path.glob("*.journal"), tmp_path / "control"):
        file.unlink()
    followed.journal = Journal(tmp_path, max_bytes=MEGABYTE, segment_bytes=SEGMENT_BYTES)
    followed.journal.open(BEGINNING, followed.snapshot)
    followed.restart()
    followed.written = followed.journal.end.frames
    followed.append(2)
    followed.tell()
    followed.take(10)
    assert followed.found == [0, 1, 2, 3, 4, 5]
