"""Searches through log files: which blocks are read, and which of their lines are kept.

A block of some hundred lines is searched for the texts that are asked for.  Only lines that have
one are parsed.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from mailingest.inputs.files import LogFile
from mailingest.postfix.parser import EventParser
from mailingest.stores.events import StoredEvent, newest_first, time_of
from mailingest.stores.logfiles.canonical import CanonicalLines
from mailingest.stores.logfiles.files import Ends, LogFiles, with_line_feeds
from mailingest.stores.logfiles.parsing import Hit, HitParser, LineReading
from mailingest.stores.logfiles.prefilter import Line
from mailingest.stores.logfiles.tls_lines import TlsLines
from mailingest.stores.protocol import Found, Progress
from mailingest.syslog.framing import MAX_FRAME_OCTETS
from mailingest.syslog.timestamps import Moment

# A sender's clock may be ahead of that of the host that writes the file.
_CLOCK_SECONDS: Final = 86_400.0
# A position is the number of the file, and the byte below it.
_FILE_BITS: Final = 44


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
    hits: dict[int, deque[Hit]] = field(default_factory=dict)
    is_cut: bool = False

    @property
    def count(self) -> int:
        return sum(map(len, self.hits.values()))


class Scan:
    """Reads the files once for each question; memory is bounded by the limit of the question."""

    def __init__(self, files: LogFiles, reading: LineReading, progress: Progress) -> None:
        self._files = files
        self._reading = reading
        self._progress = progress
        self._parser: EventParser | None = None

    def search(
        self,
        searches: Sequence[Search],
        until: datetime | None,
        limit: int,
        stop: threading.Event,
    ) -> Found:
        """Look for all of them at once, newest file first, and take the one with fewest lines."""
        files = self._files
        ends = files.ends(stop)
        for number in reversed(range(len(files))):
            if not _is_within(files[number], ends[number], searches, until):
                continue
            self._search_file(number, searches, until, limit, stop)
            if all(search.count > limit for search in searches):
                oldest = min(self._time_of_first(search, number) for search in searches)
                if all(files[older].mtime < oldest for older in range(number)):
                    for search in searches:
                        search.is_cut |= number > 0
                    break
        rarest = min(searches, key=lambda search: (search.is_cut, search.count))
        events = newest_first(self._events(rarest, until))
        return Found(events[:limit], rarest.is_cut or len(events) > limit, list(files.gaps))

    def _search_file(
        self,
        number: int,
        searches: Sequence[Search],
        until: datetime | None,
        limit: int,
        stop: threading.Event,
    ) -> None:
        files = self._files
        file = files[number]
        dating = self._reading.new_decoder()
        span = dating.begin_file()
        decoder = self._reading.new_decoder()
        canonical = CanonicalLines(
            self._reading.new_decoder(), self._reading.source.charset, file.mtime
        )
        tls_lines = TlsLines()
        for search in searches:
            search.hits[number] = deque(maxlen=limit + 1)
        sizes = [self._files[other].size_bytes for other in range(len(self._files))]
        newer, every = sum(sizes[number + 1 :]), sum(sizes) or 1
        for text in self._files.texts(file, stop):
            self._progress((newer + text.progress) / every)
            raw = with_line_feeds(text)
            block = raw if number in files.usual else canonical.block(raw)
            dating.decode(block[: block.find(b"\n")], reference=file.mtime)
            lowered = block.lower()
            tls_lines.begin(block)
            position = (number << _FILE_BITS) + text.offset_after
            position -= 0 if text.is_unterminated else len(raw)
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
                    # Where the line would begin if all of the block became longer alike.
                    place = position + start * len(raw) // len(block)
                    hits.append(Hit(place, clock, line, tls_lines.before(line, start)))
        files.note_unread(number, canonical)
        files.tell_doubt(number, span)

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
        hit_parser = HitParser(self._reading, self._parser)
        for number in sorted(search.hits):
            for event in hit_parser.events(search.hits[number], self._files[number].mtime):
                if search.is_wanted(event) and _is_in_span(event, search.since, until):
                    yield event


def _is_within(
    file: LogFile, ends: Ends | None, searches: Sequence[Search], until: datetime | None
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
