"""A log file as it is written and rotated -> its lines, each once, as `tail -F` would have them.

The rules:

* The file is looked at, not notified of: what a look finds is all that counts, so that a restart is
  no other case than a late look, and file systems without notifications are none either.
* When the path leads to another file, what was its file is read on (its writer may not know yet),
  then those that came and went since the last look, then the new one.
* A file whose bytes before the mark are not those that were read has been truncated, or was
  written anew; the rest is in the copy that `copytruncate` made, if there is one.
* A line is handed out when its trailer is there, or when its file is given up.
"""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from mailingest.inputs.compressed import DAMAGE, ByteStream
from mailingest.inputs.permissions import hint
from mailingest.inputs.protocol import BEGUN
from mailingest.inputs.rotated import (
    Mark,
    OpenFile,
    Proof,
    RotatedSet,
    is_proved,
    opened,
    skipped,
)
from mailingest.logs.logger import log
from mailingest.syslog.framing import (
    MAX_FRAME_OCTETS,
    FrameCounters,
    first_trailer,
    last_trailer,
    split_text,
    split_unterminated,
)

# One more than a line may have: it shows that it is too long.
_BLOCK_BYTES: Final = MAX_FRAME_OCTETS + 1
# A writer that was told of the rotation goes on with the new file at once; rsyslog and others that
# were not do so when they are restarted.
_LINGER_SECONDS: Final = 60.0
# linux/time.h; Python has no name for it.
_CLOCK_REALTIME_COARSE: Final = 5
_MOST_REMEMBERED: Final = 20
_FILES: Final = "files"
_SEEN: Final = "seen"


class Lines(NamedTuple):
    """Frames, and the place behind them; there may be none, and the place is another one."""

    frames: list[bytes]
    place: dict[str, Any]


@dataclass(slots=True)
class FollowingCounters:
    """What followers met; several may count into the same one.

    ``truncations`` are files that were cut while they were followed; ``rests_lost`` are those that
    had not been read to their end, as far as is known, and are nowhere now.
    """

    frames: FrameCounters = field(default_factory=FrameCounters)
    rotations: int = 0
    truncations: int = 0
    rests_lost: int = 0


class _Truncated(Exception):
    """What stands before the mark is not what was read."""


class _Text:
    """What is still to be read of one file: `read` gives its whole lines, piece by piece."""

    def __init__(self, file: OpenFile, counters: FrameCounters) -> None:
        self.file = file
        self._counters = counters
        self._offset = 0
        self._proof = Proof()
        self._within_line = False
        self._seen: tuple[int, int] | None = None
        self._compressed = file.text()
        self._rest = b""
        self.changed_at = time.monotonic()

    @property
    def is_compressed(self) -> bool:
        """Nobody writes to it any more."""
        return self._compressed is not None

    @property
    def offset(self) -> int:
        return self._offset

    def mark(self) -> Mark:
        """Where the next line begins."""
        head, tail = self._proof.digests()
        return Mark(*self.file.identity, self._offset, head, tail, self._within_line)

    def go_to(self, mark: Mark) -> None:
        """Read on from a mark that was proved to be in it; raises OSError, and one of DAMAGE."""
        if self._compressed is None:
            self._proof = self.file.proof(mark.offset)
        else:
            self._proof = skipped(self._compressed, mark.offset)
        self._offset, self._within_line = mark.offset, mark.within_line

    def go_to_end(self) -> None:
        """Pass over what there is, but for a line that is not whole yet; raises OSError."""
        size = self.file.status().st_size
        begin = max(0, size - MAX_FRAME_OCTETS)
        end = begin + last_trailer(self.file.at(begin, size - begin)) + 1
        self._offset, self._proof = end, self.file.proof(end)

    def begin_again(self) -> None:
        """It was truncated: what is in it now is new."""
        self._offset, self._proof, self._within_line, self._seen = 0, Proof(), False, None

    def has_changed(self) -> bool:
        """Whether it was written to since it was read to its end; raises OSError."""
        return self._seen is None or self._seen != _state(self.file.status())

    def read(self) -> list[bytes] | None:
        """The next whole lines, perhaps none of a piece; None if there is nothing more now.

        Raises _Truncated, OSError, and for a compressed file one of DAMAGE.
        """
        if self._compressed is not None:
            return self._read_compressed(self._compressed)
        status = self.file.status()
        if self._seen == _state(status):
            return None
        data = self.file.at(self._offset, _BLOCK_BYTES)
        # After the read: what was read is what was written behind the mark.
        if not self._is_as_it_was():
            raise _Truncated
        frames, size = self._cut(data)
        if not size:
            if len(data) + self._offset >= status.st_size:
                self._seen = _state(status)
            return None
        self.changed_at = time.monotonic()
        self._pass(data[:size])
        if not frames and not data.strip(b"\0"):
            self._skip_hole()
        return frames

    def rest(self) -> list[bytes]:
        """The last line, which has no trailer and gets none any more; raises OSError."""
        rest = self._rest
        if self._compressed is None:
            rest = self.file.at(self._offset, _BLOCK_BYTES)
        if self._within_line:
            return []
        self._pass(rest)
        return split_unterminated(rest, self._counters)

    def _read_compressed(self, text: ByteStream) -> list[bytes] | None:
        data = text.read1(_BLOCK_BYTES - len(self._rest))
        if not data:
            return None
        data = self._rest + data
        frames, size = self._cut(data)
        self._pass(data[:size])
        self._rest = data[size:]
        return frames

    def _cut(self, data: bytes) -> tuple[list[bytes], int]:
        """The whole lines at the beginning, and the bytes that they are."""
        begin = 0
        if self._within_line:
            begin = first_trailer(data, 0) + 1
            if not begin:
                return [], len(data)
            self._within_line = False
        end = last_trailer(data, begin) + 1
        if end > begin:
            return split_text(data[begin:end], self._counters), end
        if begin or len(data) <= MAX_FRAME_OCTETS:
            return [], begin
        self._within_line = True
        self._counters.received += 1
        self._counters.oversized += 1
        return [data[:MAX_FRAME_OCTETS].removesuffix(b"\r")], len(data)

    def _pass(self, data: bytes) -> None:
        self._offset += len(data)
        self._proof.add(data)

    def _is_as_it_was(self) -> bool:
        head, tail = self._proof.head, self._proof.tail
        return self.file.at(0, len(head)) == head and (
            self.file.at(self._offset - len(tail), len(tail)) == tail
        )

    def _skip_hole(self) -> None:
        """A writer that does not append leaves one, as large as the file was that was truncated."""
        try:
            data = os.lseek(self.file.source.fileno(), self._offset, os.SEEK_DATA)
        except OSError:
            return  # there is no data behind it, or the file system does not say
        tail = self.file.at(data - 256, 256) if data - self._offset >= 256 else None
        if tail is not None:
            self._offset = data
            self._proof.add(tail)


class FollowedFile:
    """The log at a path, through all its rotations; for one thread.

    ``place`` is that of an earlier run, or None; then it is read from its end, or with
    ``from_beginning`` from its first line.  A file that comes later is read from its first line in
    any case.  What is wrong with it is logged, once, and tried again with each look.
    """

    def __init__(
        self,
        path: Path,
        place: Mapping[str, Any] | None,
        *,
        from_beginning: bool,
        counters: FollowingCounters,
    ) -> None:
        self.path = path
        self._counters = counters
        self._place = place
        self._from_beginning = from_beginning
        self._begun = time.time_ns()
        self._texts: list[_Text] = []
        self._is_resumed = False
        # What was read to its end is not guessed to be newer.
        self._read_up: list[Mark] = []
        self._behind: Mark | None = None
        self._looked_behind: tuple[int, int] | None = None
        self._seen_at = _clock()
        self._told = ""

    @property
    def is_there(self) -> bool:
        """Whether there is a file that can be read."""
        return bool(self._texts) and not self._told

    def read(self) -> Lines | None:
        """The next lines, at most 64 KiB of them; None if there are none now."""
        began = _clock()
        try:
            if not self._is_resumed:
                return self._resume()
            # What is open is read first: which files are newer is told by what was read.
            for text in list(self._texts):
                if text is self._texts[-1] and self._look_behind_empty(text):
                    return Lines([], self.place())
                if (frames := self._read(text)) is not None:
                    return Lines(frames, self.place())
            if self._look():
                return Lines([], self.place())
            self._seen_at = began
            return None
        except OSError as error:
            self._tell(error)
            return None

    def place(self) -> dict[str, Any]:
        """How far everything was read that was handed out."""
        marks = [text.mark().to_json() for text in self._texts]
        return {BEGUN: self._begun, _SEEN: self._seen_at, _FILES: marks}

    def close(self) -> None:
        """Close the files."""
        for text in self._texts:
            text.file.close()
        self._texts = []

    # Which files there are

    def _resume(self) -> Lines | None:
        """Find what earlier runs read; it is done once, and again only if that fails."""
        self.close()
        if self._place is None:
            self._begin()
        else:
            self._begun, self._seen_at = self._place[BEGUN], self._place[_SEEN]
            marks = [Mark.from_json(one) for one in self._place[_FILES]]
            for mark in marks:
                self._find(mark, marks)
            self._add_newer(marks[-1] if marks else None)
        self._is_resumed = True
        return Lines([], self.place())

    def _begin(self) -> None:
        file = self._open_current()
        if file is None:
            return
        text = _Text(file, self._counters.frames)
        if not self._from_beginning:
            text.go_to_end()
        self._texts.append(text)

    def _find(self, mark: Mark, marks: Sequence[Mark]) -> None:
        file = RotatedSet(self.path).find(mark, marks)
        if file is None:
            self._lost(mark.offset)
            return
        text = _Text(file, self._counters.frames)
        text.go_to(mark)
        self._texts.append(text)

    def _look(self) -> bool:
        """See whether the path leads to another file; True if there are more to read."""
        if self._behind is not None:
            mark, self._behind = self._behind, None
            if self._add_newer(mark):
                return True
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return False
        last = self._texts[-1] if self._texts else None
        if last is not None and last.file.identity == (status.st_dev, status.st_ino):
            return False
        has_newer = self._add_newer(None if last is None else last.mark())
        self._counters.rotations += has_newer and last is not None
        return has_newer

    def _look_behind_empty(self, last: _Text) -> bool:
        """Whether there are more files, as what was empty was written, copied and truncated."""
        if last.offset or last.is_compressed or not last.has_changed():
            return False
        now = _state(last.file.status())
        if now == self._looked_behind:
            return False
        self._looked_behind = now
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return False
        is_current = last.file.identity == (status.st_dev, status.st_ino)
        return is_current and self._add_newer(None)

    def _add_newer(self, mark: Mark | None) -> bool:
        """Add the files behind the one with a mark, and the one at the path, if it is another."""
        with ExitStack() as stack:
            current = self._open_current()
            if current is not None:
                stack.enter_context(closing(current))
            known = [*self._read_up, *(text.mark() for text in self._texts)]
            newer, is_guess = RotatedSet(self.path).newer_than(mark, self._seen_at, known)
            stack.pop_all()
        if newer and is_guess:
            self._begun = time.time_ns()  # lines may come again
        self._texts += [_Text(file, self._counters.frames) for file in newer]
        if current is None:
            return bool(newer)
        if any(text.file.identity == current.identity for text in self._texts):
            current.close()
            # It is the last one, whatever it was called before.
            self._texts.sort(key=lambda text: text.file.identity == current.identity)
            return bool(newer)
        text = _Text(current, self._counters.frames)
        if mark is not None and mark.offset and is_proved(current, mark):
            # A copy was put in its place, which goes on.
            text.go_to(mark)
            if self._texts:
                self._forget(self._texts[-1])
        self._texts.append(text)
        return True

    def _open_current(self) -> OpenFile | None:
        try:
            file = opened(self.path)
        except FileNotFoundError:
            return None
        if self._told:
            self._told = ""
            log.info("a followed file can be read again", path=str(self.path))
        return file

    # What is in them

    def _read(self, text: _Text) -> list[bytes] | None:
        try:
            frames = text.read()
            if frames is None and self._is_done(text):
                frames = text.rest()
                self._forget(text)
            return frames
        except _Truncated:
            self._truncated(text)
            return []
        except DAMAGE as error:
            if not text.is_compressed:
                self._tell(error if isinstance(error, OSError) else OSError(0, str(error)))
                return None
            log.error(
                "the rest of a rotated file cannot be read",
                path=str(text.file.path),
                offset=text.offset,
                reason=str(error),
            )
            self._counters.rests_lost += 1
            self._forget(text)
            return []

    def _is_done(self, text: _Text) -> bool:
        """Whether nothing more is to be expected of a file that was read to its end."""
        if text is self._texts[-1]:
            return text.is_compressed
        last = self._texts[-1]
        is_quiet = time.monotonic() - text.changed_at >= _LINGER_SECONDS
        return text.is_compressed or (is_quiet and last.offset > 0)

    def _forget(self, text: _Text) -> None:
        self._read_up = [*self._read_up[-_MOST_REMEMBERED:], text.mark()]
        self._texts.remove(text)
        text.file.close()

    def _truncated(self, text: _Text) -> None:
        mark = text.mark()
        text.begin_again()
        self._counters.truncations += 1
        rotated = RotatedSet(self.path)
        copy = rotated.find(mark)
        if copy is None:
            if not rotated.has_beginning_of(mark):
                self._counters.rests_lost += 1
                log.warning(
                    "a followed file was truncated, and there is no copy of it: what was written "
                    "to it since the last look is lost",
                    path=str(text.file.path),
                    offset=mark.offset,
                )
            return
        rest = _Text(copy, self._counters.frames)
        rest.go_to(mark)
        self._texts.insert(self._texts.index(text), rest)
        # Which files came after the copy is told by what is read of this one.
        self._behind = mark

    # What is told

    def _lost(self, offset: int) -> None:
        # Of files that are found by a guess, lines may come again.
        self._begun = time.time_ns()
        if offset:
            self._counters.rests_lost += 1
            log.warning(
                "the file that was followed is not there any more, nor a rotated one with its "
                "lines: if it had more, replay them from where they are now",
                path=str(self.path),
                offset=offset,
            )

    def _tell(self, error: OSError) -> None:
        reason = hint(self.path, error)
        if reason != self._told:
            self._told = reason
            log.error("a followed file cannot be read", path=str(self.path), reason=reason)


def _state(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _clock() -> float:
    """The time of now as the kernel stamps files with it."""
    return time.clock_gettime(_CLOCK_REALTIME_COARSE)
