"""Files that are followed: every line once, whatever rotation does and whenever one dies."""

import gzip
import os
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mailingest.inputs.following import FollowedFile, FollowingCounters
from mailingest.inputs.protocol import BEGUN
from mailingest.syslog.framing import MAX_FRAME_OCTETS

EVERYTHING = 10_000


class Reader:
    """A daemon with its spool: what it has taken, and the place that was taken with it."""

    def __init__(self, path: Path, *, from_beginning: bool = True) -> None:
        self.path = path
        self.frames: list[bytes] = []
        # As the daemon tells identical lines apart: by their number in a stream.
        self.ids: set[tuple[bytes, int]] = set()
        self.counters = FollowingCounters()
        self.place: dict[str, Any] | None = None
        self._from_beginning = from_beginning
        self._numbers: dict[bytes, tuple[int, int]] = {}
        self._start()

    def _start(self) -> None:
        self.followed = FollowedFile(
            self.path, self.place, from_beginning=self._from_beginning, counters=self.counters
        )

    def look(self, pieces: int = EVERYTHING) -> list[bytes]:
        """Take what there is, in a number of pieces at most; returns the lines."""
        new: list[bytes] = []
        while pieces and (lines := self.followed.read()) is not None:
            pieces -= 1
            self.place = lines.place
            new += lines.frames
            for frame in lines.frames:
                stream, number = self._numbers.get(frame, (0, 0))
                number = number + 1 if stream == lines.place[BEGUN] else 1
                self._numbers[frame] = (lines.place[BEGUN], number)
                self.ids.add((frame, number))
        self.frames += new
        return new

    def die(self, *, loses_a_piece: bool = False) -> None:
        """End without a word, perhaps with a piece that was read and not taken, and start again."""
        if loses_a_piece:
            self.followed.read()
        self.followed.close()
        self._start()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "mail.log"


def append(path: Path, *lines: str, end: str = "\n") -> None:
    with path.open("a") as file:
        file.write("".join(line + "\n" for line in lines[:-1]) + lines[-1] + end)


def rotate(path: Path, *, compress: bool = False) -> None:
    """As logrotate does it: numbers go up, the file gets 1, and a new one is made."""
    for number in range(98, 0, -1):
        for ending in ("", ".gz"):
            old = path.with_name(f"{path.name}.{number}{ending}")
            if old.exists():
                old.rename(path.with_name(f"{path.name}.{number + 1}{ending}"))
    first = path.with_name(path.name + ".1")
    path.rename(first)
    path.touch()
    if compress:
        pack(first)


def copy_and_truncate(path: Path) -> None:
    for number in range(98, 0, -1):
        for ending in ("", ".gz"):
            old = path.with_name(f"{path.name}.{number}{ending}")
            if old.exists():
                old.rename(path.with_name(f"{path.name}.{number + 1}{ending}"))
    shutil.copyfile(path, path.with_name(path.name + ".1"))
    os.truncate(path, 0)
    # The kernel's clock for files has steps of some milliseconds, in which a test can do much.
    now = time.time_ns()
    os.utime(path, ns=(now, now))


def pack(path: Path) -> None:
    """As gzip does it: the time of the file stays."""
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    times = path.stat()
    os.utime(packed, ns=(times.st_atime_ns, times.st_mtime_ns))
    path.unlink()


def shown(ids: set[tuple[bytes, int]]) -> list[tuple[bytes, int]]:
    return sorted((line[:60], number) for line, number in ids)


class Rotation(RuleBasedStateMachine):
    """A writer, a rotation and a reader that know nothing of each other, in any order."""

    @initialize(base=st.sampled_from([Path("/dev/shm"), Path("/tmp")]))
    def begin(self, base: Path) -> None:
        import tempfile

        self.directory = Path(tempfile.mkdtemp(prefix="following-", dir=base))
        self.path = self.directory / "mail.log"
        self.path.touch()
        self.writer = self.path.open("ab", buffering=0)
        self.written: list[bytes] = []
        self.number = 0
        self.is_truncated = False
        self.half = b""
        self.reader = Reader(self.path)
        self.reader.look()

    @rule(count=st.integers(1, 30), same=st.booleans())
    def write(self, count: int, same: bool) -> None:
        for _ in range(count):
            # A file with the very bytes of the one before, times included, is taken for it.
            self.number += not same or self.is_truncated
            self.is_truncated = False
            line = b"Nov 30 10:00:00 mx postfix/smtpd[1]: NOQUEUE: reject: %d" % self.number
            self.writer.write(line[len(self.half) :] if self.half else line)
            self._ended(line if not self.half else self.half + line[len(self.half) :])

    def _ended(self, line: bytes) -> None:
        self.writer.write(b"\n")
        self.half = b""
        self.written.append(line)

    @rule(length=st.sampled_from([MAX_FRAME_OCTETS - 2, MAX_FRAME_OCTETS, 70_000, 200_000]))
    def write_a_long_line(self, length: int) -> None:
        if self.half:
            self._ended(self.half)
        self.number += 1
        line = b"%d " % self.number + b"x" * length
        self.writer.write(line + b"\n")
        self.written.append(line[:MAX_FRAME_OCTETS])

    @precondition(lambda self: not self.half)
    @rule()
    def write_half_a_line(self) -> None:
        self.number += 1
        self.half = b"Nov 30 10:00:00 mx %d" % self.number
        self.writer.write(self.half)

    @rule()
    def write_zeros(self) -> None:
        """As a crash leaves them behind what was written last; files of zeros alone are alike."""
        if not self.half:
            self.write(1, same=False)
            self.writer.write(bytes(5000))

    @rule(compress=st.booleans())
    def rotate(self, compress: bool) -> None:
        if compress and self.half:
            return
        rotate(self.path, compress=compress)
        if compress:
            self.reopen()

    @rule()
    def reopen(self) -> None:
        if self.half:
            self._ended(self.half)
        self.writer.close()
        self.writer = self.path.open("ab", buffering=0)

    @rule()
    def truncate_behind_a_copy(self) -> None:
        self.reopen()
        copy_and_truncate(self.path)
        self.is_truncated = True

    @rule()
    def compress_what_was_rotated(self) -> None:
        self.reopen()
        for path in self.directory.glob("mail.log.*[0-9]"):
            pack(path)

    @rule(pieces=st.integers(1, 3))
    def look(self, pieces: int) -> None:
        self.reader.look(pieces)

    @rule()
    def look_long(self) -> None:
        self.reader.look()

    @rule(loses_a_piece=st.booleans())
    def die(self, loses_a_piece: bool) -> None:
        self.reader.die(loses_a_piece=loses_a_piece)

    @invariant()
    def nothing_is_made_up(self) -> None:
        seen = {frame for frame, _ in getattr(self, "reader", self).ids}
        assert shown({(line, 1) for line in seen - set(self.written)}) == []

    ids: frozenset[tuple[bytes, int]] = frozenset()
    written: list[bytes] = []  # noqa: RUF012

    def teardown(self) -> None:
        self.reopen()
        self.reader.look()
        self.reader.followed.close()
        self.writer.close()
        shutil.rmtree(self.directory)
        expected = {
            (line, number + 1)
            for line, count in Counter(self.written).items()
            for number in range(count)
        }
        assert shown(self.reader.ids - expected) == [], "there twice"
        assert shown(expected - self.reader.ids) == [], "lost"


TestRotation = Rotation.TestCase
TestRotation.settings = settings(
    max_examples=20, stateful_step_count=25, derandomize=True, deadline=None
)
