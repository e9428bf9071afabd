"""Log files -> events: what is read, searched and parsed for a `LogFilesReader`, in a thread.

A block of some hundred lines is searched for the texts that are asked for.  Only lines that have
one are parsed, with the same parts that a replay has, so that an event has the id and the fields
that a store would have of it.  There are two exceptions: nothing is correlated (a trace has all
lines of a mail anyway), and a line whose time cannot be read has the time of the file.
"""

import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from mailingest.documents import DocumentMaker
from mailingest.errors import StoreUnavailable
from mailingest.inputs.files import STANDARD_INPUT, DamagedFile, LogFile, Text
from mailingest.postfix.interpretation import interpret
from mailingest.postfix.parser import EventParser
from mailingest.postfix.tls_sessions import TlsSessions
from mailingest.stores.events import StoredEvent, newest_first, time_of
from mailingest.stores.logfiles.prefilter import Line
from mailingest.stores.logfiles.tls_lines import Agents
from mailingest.stores.protocol import Found, Progress, Span, no_progress
from mailingest.stores.threads import Interrupted
from mailingest.syslog.framing import MAX_FRAME_OCTETS, FrameCounters, split_text
from mailingest.syslog.header import HEADER_NOMATCH, TIME_NOMATCH, RecordDecoder
from mailingest.syslog.timestamps import Moment

_log = structlog.get_logger(__name__)

_UNTIMED: Final = frozenset({HEADER_NOMATCH, TIME_NOMATCH})
_COPY_OCTETS: Final = 1024 * 1024
# A sender's clock may be ahead of that of the host that writes the file.
_CLOCK_SECONDS: Final = 86_400.0
# The end of a file: enough for some lines of the greatest length.
_END_OCTETS: Final = 256 * 1024
# A position is the number of the file, and the octet below it.
_FILE_BITS: Final = 44


@dataclass(frozen=True, slots=True)
class LineReading:
    """How lines are read; the same as in a replay.

    ``new_decoder`` makes the header reader of one file, ``parser`` gives the one of all.
    ``charset`` is that of the lines, ``prefix`` that of the indices, which ids do not depend on.
    """

    new_decoder: Callable[[], RecordDecoder]
    parser: Callable[[], EventParser]
    charset: str
    prefix: str


@dataclass(frozen=True, slots=True)
class _Hit:
    """A line that may be meant.

    ``clock`` is the first line of its block: read before, it tells which of two hours it is that
    DST makes equal (unless the change is within the block).  ``tls`` is the line about the
    connection of a delivery.
    """

    position: int
    clock: bytes
    line: bytes
    tls: bytes | None


@dataclass(frozen=True, slots=True)
class _Ends:
    """When the first line of a file was written, and its last one if no other file is newer."""

    first: Moment
    last: Moment


@dataclass(slots=True)
class Search:
    """Lines to look for, and those that were found, by file.

    ``lines`` finds them in a block (as it is, and in lower case), ``may_be`` looks at one more
    closely, and ``is_wanted`` decides when it is parsed.
    """

    lines: Callable[[bytes, bytes], Sequence[Line]]
    may_be: Callable[[bytes], bool]
    is_wanted: Callable[[StoredEvent], bool]
    since: datetime | None
    hits: dict[int, deque[_Hit]] = field(default_factory=dict)
    is_cut: bool = False

    @property
    def count(self) -> int:
        return sum(map(len, self.hits.values()))


class LogFiles:
    """Files in the order of time, which are read once for each question.

    Memory is bounded by the limit of a question.  Of what cannot be read, ``notes`` tell.
    """

    def __init__(
        self, files: Sequence[LogFile], reading: LineReading, progress: Progress = no_progress
    ) -> None:
        self._progress = progress
        self.notes: list[str] = []
        self._files = list(files)
        self._reading = reading
        self._spool: tempfile.TemporaryDirectory[str] | None = None
        self._parser: EventParser | None = None
        self._ends: list[_Ends | None] | None = None

    def close(self) -> None:
        """Remove what was kept of a pipe."""
        if self._spool is not None:
            self._spool.cleanup()

    def span(self, stop: threading.Event) -> Span | None:
        """The time that there are lines for."""
        known = [ends for ends in self._all_ends(stop) if ends is not None]
        if not known:
            return None
        first, last = min(ends.first for ends in known), max(ends.last for ends in known)
        return Span(datetime.fromisoformat(first.text), datetime.fromisoformat(last.text))

    def search(
        self,
        searches: Sequence[Search],
        until: datetime | None,
        limit: int,
        stop: threading.Event,
    ) -> Found:
        """Look for all of them at once, newest file first, and take the one with fewest lines."""
        ends = self._all_ends(stop)
        for number in reversed(range(len(self._files))):
            if not _is_within(self._files[number], ends[number], searches, until):
                continue
            self._search_file(number, searches, until, limit, stop)
            if all(search.count > limit for search in searches):
                oldest = min(self._time_of_first(search, number) for search in searches)
                if all(older.mtime < oldest for older in self._files[:number]):
                    for search in searches:
                        search.is_cut |= number > 0
                    break
        rarest = min(searches, key=lambda search: (search.is_cut, search.count))
        events = newest_first(self._events(rarest, until))
        return Found(events[:limit], rarest.is_cut or len(events) > limit, list(self.notes))

    def _search_file(
        self,
        number: int,
        searches: Sequence[Search],
        until: datetime | None,
        limit: int,
        stop: threading.Event,
    ) -> None:
        file = self._files[number]
        decoder = self._reading.new_decoder()
        agents = Agents()
        for search in searches:
            search.hits[number] = deque(maxlen=limit + 1)
        every = sum(each.size_bytes for each in self._files) or 1
        newer = sum(each.size_bytes for each in self._files[number + 1 :])
        for text in self._texts(file, stop):
            self._progress((newer + text.progress) / every)
            block = _with_line_feeds(text)
            lowered = block.lower()
            agents.begin(block)
            position = (number << _FILE_BITS) + text.offset_after
            position -= 0 if text.is_unterminated else len(block)
            clock = None
            for search in searches:
                hits = search.hits[number]
                for start, end in search.lines(block, lowered):
                    # As split_text() cuts it.
                    line = block[start : min(end, start + MAX_FRAME_OCTETS)].removesuffix(b"\r")
                    if not search.may_be(line):
                        continue
                    if clock is None:
                        clock = block[: block.find(b"\n")]
                        decoder.decode(clock, reference=file.mtime)
                    if search.since is not None or until is not None:
                        moment = decoder.decode(line, reference=file.mtime).moment
                        if not _is_between(moment, search.since, until):
                            continue
                    search.is_cut |= len(hits) > limit
                    hits.append(_Hit(position + start, clock, line, agents.connection(line, start)))

    def _time_of_first(self, search: Search, number: int) -> float:
        """When the first line that was kept of a file was written, in seconds since 1970."""
        hits = search.hits[number]
        if not hits:
            return 0.0
        decoder = self._reading.new_decoder()
        return decoder.decode(hits[0].line, reference=self._files[number].mtime).moment.seconds

    def _events(self, search: Search, until: datetime | None) -> Iterator[StoredEvent]:
        if self._parser is None:
            self._parser = self._reading.parser()
        parser = self._parser
        maker = DocumentMaker(self._reading.prefix)
        tls_sessions = TlsSessions()
        for number in sorted(search.hits):
            reference = self._files[number].mtime
            decoder = self._reading.new_decoder()
            clock = tls = None
            for hit in search.hits[number]:
                if hit.clock is not clock:
                    clock = hit.clock
                    decoder.decode(clock, reference=reference)
                if hit.tls is not None and hit.tls is not tls:
                    tls = hit.tls
                    tls_sessions.feed(parser.parse(decoder.decode(tls, reference=reference)))
                parsed = parser.parse(decoder.decode(hit.line, reference=reference))
                parsed.id = maker.identify(parsed)
                tls_sessions.feed(parsed)
                interpret(parsed)
                # As it comes back from a store.
                event: dict[str, Any] = orjson.loads(maker.make(parsed).body)
                event |= {"_id": parsed.id, "_position": hit.position}
                if search.is_wanted(event) and _is_in_span(event, search.since, until):
                    yield event

    def _all_ends(self, stop: threading.Event) -> list["_Ends | None"]:
        """The times that each file's lines are of; None for a file without any."""
        if self._ends is None:
            self._keep_pipes(stop)
            ends: list[_Ends | None] = []
            latest = 0.0
            for file in reversed(self._files):
                first = self._first_moment(file, stop)
                last = first
                # A file ends no later than it was written: a look at the newest ones is enough.
                if first is not None and file.mtime >= latest:
                    last = self._last_moment(file, stop) or first
                    latest = max(latest, last.seconds)
                ends.append(_Ends(first, last) if first and last else None)
            self._ends = ends[::-1]
        return self._ends

    def _first_moment(self, file: LogFile, stop: threading.Event) -> Moment | None:
        for text in self._texts(file, stop):
            if moments := self._moments(text, file):
                return moments[0]
        return None

    def _last_moment(self, file: LogFile, stop: threading.Event) -> Moment | None:
        # Of a compressed file the start is in the text, so that more than the end is read.
        end = deque(self._texts(file, stop, max(0, file.size_bytes - _END_OCTETS)), maxlen=2)
        return max((one for text in end for one in self._moments(text, file)), default=None)

    def _moments(self, text: Text, file: LogFile) -> list[Moment]:
        decoder = self._reading.new_decoder()
        records = (
            decoder.decode(line, reference=file.mtime)
            for line in split_text(_with_line_feeds(text), FrameCounters())
        )
        return [record.moment for record in records if _UNTIMED.isdisjoint(record.problems)]

    def _texts(self, file: LogFile, stop: threading.Event, start: int = 0) -> Iterator[Text]:
        """What can be read of a file; that there is more is in `notes`."""
        try:
            for text in file.texts(start):
                if stop.is_set():
                    raise Interrupted
                yield text
        except DamagedFile as error:
            if str(error) not in self.notes:
                _log.error("file is damaged; what could be read was", reason=str(error))
                self.notes.append(str(error))

    def _keep_pipes(self, stop: threading.Event) -> None:
        """Read what comes from pipes into files, for as often as they are read."""
        for number, file in enumerate(self._files):
            if file.is_regular and file.path != STANDARD_INPUT:
                continue
            if self._spool is None:
                self._spool = tempfile.TemporaryDirectory(prefix="mailingest-")
            kept = Path(self._spool.name, str(number))
            is_input = file.path == STANDARD_INPUT
            try:
                with (
                    nullcontext(sys.stdin.buffer) if is_input else file.path.open("rb") as pipe,
                    kept.open("xb") as copy,
                ):
                    while octets := pipe.read(_COPY_OCTETS):
                        if stop.is_set():
                            raise Interrupted
                        copy.write(octets)
            except OSError as error:
                raise StoreUnavailable(
                    f"{file.path} cannot be kept in {self._spool.name} for several readings: "
                    f"{error.strerror}"
                ) from error
            self._files[number] = LogFile(kept)


def _with_line_feeds(text: Text) -> bytes:
    """The lines of a text, each with LF at its end."""
    octets = text.octets + b"\n" if text.is_unterminated else text.octets
    return octets.replace(b"\0", b"\n") if b"\0" in octets else octets


def _is_within(
    file: LogFile, ends: "_Ends | None", searches: Sequence[Search], until: datetime | None
) -> bool:
    """Whether a file may have lines of the time span."""
    if ends is None:
        return False
    if until is not None and ends.first.seconds - _CLOCK_SECONDS > until.timestamp():
        return False
    return any(
        search.since is None or file.mtime + _CLOCK_SECONDS > search.since.timestamp()
        for search in searches
    )


def _is_between(moment: Moment, since: datetime | None, until: datetime | None) -> bool:
    """Whether a whole second may be within a time span."""
    return (since is None or moment.seconds >= since.timestamp() // 1) and (
        until is None or moment.seconds <= until.timestamp()
    )


def _is_in_span(event: StoredEvent, since: datetime | None, until: datetime | None) -> bool:
    time = time_of(event)
    return (since is None or time >= since) and (until is None or time < until)
