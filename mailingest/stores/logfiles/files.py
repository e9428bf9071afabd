"""Files in the order of time, each of which can be read as often as there are questions."""

import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from mailingest.errors import StoreUnavailable
from mailingest.inputs.files import STANDARD_INPUT, DamagedFile, LogFile, Text
from mailingest.inputs.years import tell_doubt
from mailingest.logs.logger import log
from mailingest.stores.gaps import Gap
from mailingest.stores.logfiles.canonical import CanonicalLines
from mailingest.stores.logfiles.parsing import LineReading
from mailingest.stores.protocol import Span
from mailingest.stores.threads import Interrupted
from mailingest.syslog.framing import FrameCounters, split_text
from mailingest.syslog.header import HEADER_NOMATCH, TIME_NOMATCH
from mailingest.syslog.timestamps import FileSpan, Moment

_UNTIMED: Final = frozenset({HEADER_NOMATCH, TIME_NOMATCH})
_COPY_BYTES: Final = 1024 * 1024
# The end of a file: enough for some lines of the greatest length.
_END_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Ends:
    """When the first line of a file was written, and its last one if no other file is newer."""

    first: Moment
    last: Moment


class LogFiles:
    """What was named on the command line, oldest first.

    What comes from a pipe is kept in a temporary file until `close`.  What cannot be read is
    logged once, and becomes one of ``gaps``.  Work ends with Interrupted when ``stop`` is set.
    """

    def __init__(self, files: Sequence[LogFile], reading: LineReading) -> None:
        self.gaps: list[Gap] = []
        self._files = list(files)
        # A pipe is read from a copy, and has its name all the same.
        self._names = [file.path for file in files]
        # Files whose headers need no second look.
        self.usual: set[int] = set()
        self._dated: set[int] = set()
        self._reading = reading
        self._kept: tempfile.TemporaryDirectory[str] | None = None
        self._ends: list[Ends | None] | None = None

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, number: int) -> LogFile:
        return self._files[number]

    def close(self) -> None:
        """Remove what was kept of a pipe."""
        if self._kept is not None:
            self._kept.cleanup()

    def span(self, stop: threading.Event) -> Span | None:
        """The time that there are lines for."""
        known = [ends for ends in self.ends(stop) if ends is not None]
        if not known:
            return None
        first, last = min(ends.first for ends in known), max(ends.last for ends in known)
        return Span(datetime.fromisoformat(first.text), datetime.fromisoformat(last.text))

    def ends(self, stop: threading.Event) -> Sequence[Ends | None]:
        """The times that each file's lines are of; None for a file without any."""
        if self._ends is None:
            self._keep_pipes(stop)
            ends: list[Ends | None] = []
            latest = 0.0
            for number, file in reversed(list(enumerate(self._files))):
                first = self._first_moment(number, stop)
                last = first
                # A file ends no later than it was written: a look at the newest ones is enough.
                if first is not None and file.mtime >= latest:
                    last = self._last_moment(file, stop) or first
                    latest = max(latest, last.seconds)
                ends.append(Ends(first, last) if first and last else None)
            self._ends = ends[::-1]
        return self._ends

    def texts(self, file: LogFile, stop: threading.Event, start: int = 0) -> Iterator[Text]:
        """What can be read of a file; that there is more is in `gaps`."""
        try:
            for text in file.texts(start):
                if stop.is_set():
                    raise Interrupted
                yield text
        except DamagedFile as error:
            gap = Gap("file_unreadable", str(error))
            if gap not in self.gaps:
                log.error("file is damaged; what could be read was", reason=str(error))
                self.gaps.append(gap)

    def note_unread(self, number: int, read: CanonicalLines) -> None:
        """Note how many lines of a file could not be read, once all of it was."""
        if read.is_usual:
            self.usual.add(number)
        if read.unread:
            path = self._names[number]
            gap = Gap(
                "lines_unreadable",
                f"{path}: {read.unread} of {read.lines} lines could not be read: they have no "
                "syslog header that is known, or one without a program",
            )
            if gap not in self.gaps:
                self.gaps.append(gap)

    def tell_doubt(self, number: int, span: FileSpan) -> None:
        """Log why the years of a file that was read may be wrong, once."""
        if number not in self._dated:
            self._dated.add(number)
            tell_doubt(self._files[number], span, self._names[number])

    def _first_moment(self, number: int, stop: threading.Event) -> Moment | None:
        file = self._files[number]
        for text in self.texts(file, stop):
            if moments := self._moments(text, file):
                return moments[0]
        # No search will look at it.
        read = CanonicalLines(self._reading.new_decoder(), self._reading.source.charset, file.mtime)
        for text in self.texts(file, stop):
            read.block(with_line_feeds(text))
        self.note_unread(number, read)
        return None

    def _last_moment(self, file: LogFile, stop: threading.Event) -> Moment | None:
        # Of a compressed file the start is in the text, so that more than the end is read; one of
        # UTF-16 or of the journal has less text than bytes.
        start = max(0, file.size_bytes - _END_BYTES)
        end = deque(self.texts(file, stop, start), maxlen=2)
        if not end and start:
            end = deque(self.texts(file, stop), maxlen=2)
        moments = (one for text in end for one in self._moments(text, file))
        return max(moments, default=None)

    def _moments(self, text: Text, file: LogFile) -> list[Moment]:
        decoder = self._reading.new_decoder()
        records = (
            decoder.decode(line, reference=file.mtime)
            for line in split_text(with_line_feeds(text), FrameCounters())
        )
        return [record.moment for record in records if _UNTIMED.isdisjoint(record.problems)]

    def _keep_pipes(self, stop: threading.Event) -> None:
        """Read what comes from pipes into files, for as often as they are read."""
        for number, file in enumerate(self._files):
            if file.is_regular and file.path != STANDARD_INPUT:
                continue
            if self._kept is None:
                self._kept = tempfile.TemporaryDirectory(prefix="mailingest-")
            kept = Path(self._kept.name, str(number))
            is_input = file.path == STANDARD_INPUT
            try:
                with (
                    nullcontext(sys.stdin.buffer) if is_input else file.path.open("rb") as pipe,
                    kept.open("xb") as copy,
                ):
                    while part := pipe.read(_COPY_BYTES):
                        if stop.is_set():
                            raise Interrupted
                        copy.write(part)
            except OSError as error:
                raise StoreUnavailable(
                    f"{file.path} cannot be kept in {self._kept.name} for several readings: "
                    f"{error.strerror}"
                ) from error
            copied = LogFile(kept)
            # A pipe has no time of its own.
            copied.mtime, copied.is_year_set = file.mtime, True
            self._files[number] = copied


def with_line_feeds(text: Text) -> bytes:
    """The lines of a text, each with LF at its end."""
    block = text.data + b"\n" if text.is_unterminated else text.data
    return block.replace(b"\0", b"\n") if b"\0" in block else block
