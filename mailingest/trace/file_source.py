"""Log files as a source, without any store: each question reads them, and parses what may matter.

A block of some hundred lines is searched for the texts that are asked for.  Only lines that have
one are parsed, with the same parts that a replay has, so that an event has the id and the fields
that a store would have of it.  There are two exceptions: nothing is correlated (a trace has all
lines of a mail anyway), and a line that does not tell its time has the time of the file.
"""

import asyncio
import re
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson
import structlog

from mailingest.config import Settings
from mailingest.core.clock import Moment
from mailingest.core.connections import Connections
from mailingest.core.documents import DocumentMaker
from mailingest.core.events import EventParser
from mailingest.core.frames import FrameCounters, split_text
from mailingest.core.lookups import is_of_session, linked_queue_id
from mailingest.core.records import HEADER_NOMATCH, TIME_NOMATCH
from mailingest.errors import OutputUnavailable
from mailingest.inputs.logfile import STANDARD_INPUT, DamagedFile, LogFile, Text
from mailingest.trace.agents import Agents
from mailingest.trace.criteria import Criteria, Term
from mailingest.trace.facts import Event, time_of
from mailingest.trace.needles import Line, Needles, line_at, needle, words
from mailingest.trace.sources import Found, Span, meets_term, newest_first, terms_of
from mailingest.wiring import build_decoder, build_parser

_log = structlog.get_logger(__name__)

T = TypeVar("T")

# Only a mail's first lines tell its client, and it may stay for 5 days (maximal_queue_lifetime).
_LIFE: Final = timedelta(days=5)
_UNTIMED: Final = frozenset({HEADER_NOMATCH, TIME_NOMATCH})
_COPY_OCTETS: Final = 1024 * 1024
# A sender's clock may be ahead of that of the host that writes the file.
_CLOCK_SECONDS: Final = 86_400.0
# The end of a file: enough for some lines of the greatest length.
_END_OCTETS: Final = 256 * 1024
# A position is the number of the file, and the octet below it.
_FILE_BITS: Final = 44

# A line about a queue ID, or a refusal without one: what stands before it depends on the header.
_OF_A_MAIL: Final = re.compile(
    rb"[:\-\]\[] (?:NOQUEUE|[0-9A-F]{6,}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{12,})[: ]"
)
# What stands before a value in a line, for each term of `Criteria`; "" where it may be anything.
_BEFORE: Final = {
    "message_id": "",
    "recipient": "to=<?",
    "sender": "from=<?",
    "text": "",
    "client": "(?:client=|from ).*",
    "relay": "relay=.*",
    "host": "^.{0,300}",
}


@dataclass(frozen=True, slots=True)
class _Hit:
    """A line that may be meant.

    ``clock`` is the first line of its block: read before, it tells which of two equal hours it
    is.  ``tls`` is the line about the connection of a delivery.
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
class _Search:
    """Lines to look for, and those that were found, by file.

    ``lines`` finds them in a block (as it is, and in lower case), ``may_be`` looks at one more
    closely, and ``is_wanted`` decides when it is parsed.
    """

    lines: Callable[[bytes, bytes], Sequence[Line]]
    may_be: Callable[[bytes], bool]
    is_wanted: Callable[[Event], bool]
    since: datetime | None
    hits: dict[int, deque[_Hit]] = field(default_factory=dict)
    is_cut: bool = False

    @property
    def count(self) -> int:
        return sum(map(len, self.hits.values()))


class FileSource:
    """Asks log files, plain or compressed, oldest first.

    What comes from a pipe is kept in a temporary file until `close`, since it is read several
    times.  Memory is bounded by the limit of each question.
    """

    def __init__(self, files: Sequence[LogFile], settings: Settings) -> None:
        self._files = list(files)
        self._settings = settings
        self._spool: tempfile.TemporaryDirectory[str] | None = None
        self._parser: EventParser | None = None
        self._ends: list[_Ends | None] | None = None
        self._notes: list[str] = []

    async def span(self) -> Span | None:
        """The time that there are lines for; None if there are none."""
        known = [ends for ends in await self._in_thread(self._all_ends) if ends is not None]
        if not known:
            return None
        first, last = min(ends.first for ends in known), max(ends.last for ends in known)
        return Span(datetime.fromisoformat(first.text), datetime.fromisoformat(last.text))

    async def find(self, criteria: Criteria, limit: int) -> Found:
        """Events of the term that the fewest lines seem to meet."""
        searches = list(self._searches(criteria))
        return await self._in_thread(
            lambda stop: self._search(searches, criteria.until, limit, stop)
        )

    async def of_mails(
        self,
        queue_ids: Collection[str],
        message_ids: Collection[str],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """All events of queue IDs and Message-IDs."""
        ids = set(queue_ids)
        messages = {one.lower() for one in message_ids}
        needles = Needles(
            [
                # Postfix's own are in one piece; another one is in no line but the known one.
                *(one.lower().encode() for one in ids if one.isascii() and one.isalnum()),
                *map(needle, messages),
            ]
        )

        def is_wanted(event: Event) -> bool:
            return (
                event.get("postfix_queueid") in ids
                or linked_queue_id(event) in ids
                or str(event.get("postfix_message-id")).lower() in messages
            )

        def may_be(line: bytes) -> bool:
            return bool(messages) or not ids.isdisjoint(words(line))

        search = _Search(lambda _, lowered: needles.lines(lowered), may_be, is_wanted, since)
        return await self._in_thread(lambda stop: self._search([search], until, limit, stop))

    async def of_sessions(
        self,
        sessions: Collection[tuple[str, str, str]],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """The lines about SMTP sessions."""
        wanted = set(sessions)
        # RFC 3164 and RFC 5424.
        forms = ("{}[{}]: ", "{} {} ")
        needles = Needles(
            needle(form.format(program, pid)) for _, program, pid in wanted for form in forms
        )

        def is_wanted(event: Event) -> bool:
            session = (event["host"], event["program"], event.get("pid", ""))
            return session in wanted and is_of_session(event)

        search = _Search(
            lambda _, lowered: needles.lines(lowered),
            lambda line: b"NOQUEUE" in line or _OF_A_MAIL.search(line) is None,
            is_wanted,
            since,
        )
        return await self._in_thread(lambda stop: self._search([search], until, limit, stop))

    async def close(self) -> None:
        """Remove what was kept of a pipe."""
        if self._spool is not None:
            self._spool.cleanup()

    async def _in_thread(self, work: Callable[[threading.Event], T]) -> T:
        stop = threading.Event()
        future = asyncio.get_running_loop().run_in_executor(None, work, stop)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            stop.set()
            await asyncio.wait([future])
            future.exception()  # asyncio need not report what nobody waits for any more
            raise

    def _searches(self, criteria: Criteria) -> Iterator[_Search]:
        since = criteria.since - _LIFE if criteria.since is not None else None
        if criteria.queue_id is not None:
            yield self._search_of_queue_id(criteria.queue_id, since)
        for name, term in terms_of(criteria).items():
            yield self._search_of_term(name, term, since)
        if criteria.queue_id is None and not terms_of(criteria):
            yield _Search(
                lambda block, _: [line_at(block, one.end()) for one in _OF_A_MAIL.finditer(block)],
                _any,
                lambda event: "postfix_queueid" in event,
                criteria.since,
            )

    def _search_of_queue_id(self, queue_id: str, since: datetime | None) -> _Search:
        needles = Needles([needle(queue_id)])
        whole = re.compile(rf"(?<!\w){re.escape(queue_id)}(?!\w)")
        return _Search(
            lambda _, lowered: needles.lines(lowered),
            lambda line: whole.search(self._decoded(line)) is not None,
            lambda event: queue_id in (event.get("postfix_queueid"), linked_queue_id(event)),
            since,
        )

    def _search_of_term(self, name: str, term: Term, since: datetime | None) -> _Search:
        needles = Needles([needle(term.text)])
        before = _BEFORE[name]
        if before and term.comparison in ("ends", "contains"):
            before += ".*"
        shape = re.compile(before + re.escape(term.text), re.DOTALL)
        is_of_a_mail = _any if name in ("message_id", "recipient", "sender") else _OF_A_MAIL.search

        def may_be(line: bytes) -> bool:
            return bool(
                is_of_a_mail(line) and shape.search(self._decoded(line).lower()) is not None
            )

        return _Search(
            lambda _, lowered: needles.lines(lowered),
            may_be,
            lambda event: "postfix_queueid" in event and meets_term(event, name, term),
            since,
        )

    def _decoded(self, line: bytes) -> str:
        charset = self._settings.syslog.charset
        try:
            return line.decode("utf-8" if charset == "auto" else charset)
        except UnicodeDecodeError:
            return line.decode("iso-8859-1")

    # What follows runs in a thread.

    def _search(
        self,
        searches: Sequence[_Search],
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
        return Found(events[:limit], rarest.is_cut or len(events) > limit, list(self._notes))

    def _search_file(
        self,
        number: int,
        searches: Sequence[_Search],
        until: datetime | None,
        limit: int,
        stop: threading.Event,
    ) -> None:
        file = self._files[number]
        decoder = build_decoder(self._settings, live=False)
        agents = Agents()
        for search in searches:
            search.hits[number] = deque(maxlen=limit + 1)
        for text in self._texts(file, stop):
            block = _with_line_feeds(text)
            lowered = block.lower()
            agents.begin(block)
            position = (number << _FILE_BITS) + text.offset_after
            position -= 0 if text.is_unterminated else len(block)
            clock = None
            for search in searches:
                hits = search.hits[number]
                for start, end in search.lines(block, lowered):
                    frames = split_text(block[start : end + 1], FrameCounters())
                    if not frames or not search.may_be(frames[0]):
                        continue
                    [line] = frames
                    if clock is None:
                        clock = block[: block.find(b"\n")]
                        decoder.decode(clock, reference=file.mtime)
                    if search.since is not None or until is not None:
                        moment = decoder.decode(line, reference=file.mtime).moment
                        if not _is_between(moment, search.since, until):
                            continue
                    search.is_cut |= len(hits) > limit
                    hits.append(_Hit(position + start, clock, line, agents.connection(line, start)))

    def _time_of_first(self, search: _Search, number: int) -> float:
        """When the first line that was kept of a file was written, in seconds since 1970."""
        hits = search.hits[number]
        if not hits:
            return 0.0
        decoder = build_decoder(self._settings, live=False)
        return decoder.decode(hits[0].line, reference=self._files[number].mtime).moment.seconds

    def _events(self, search: _Search, until: datetime | None) -> Iterator[Event]:
        if self._parser is None:
            self._parser = build_parser(self._settings)
        parser = self._parser
        maker = DocumentMaker(self._settings.index.prefix)
        connections = Connections()
        for number in sorted(search.hits):
            reference = self._files[number].mtime
            decoder = build_decoder(self._settings, live=False)
            clock = tls = None
            for hit in search.hits[number]:
                if hit.clock is not clock:
                    clock = hit.clock
                    decoder.decode(clock, reference=reference)
                if hit.tls is not None and hit.tls is not tls:
                    tls = hit.tls
                    connections.feed(parser.parse(decoder.decode(tls, reference=reference)))
                parsed = parser.parse(decoder.decode(hit.line, reference=reference))
                parsed.id = maker.identify(parsed)
                connections.feed(parsed)
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
        decoder = build_decoder(self._settings, live=False)
        records = (
            decoder.decode(line, reference=file.mtime)
            for line in split_text(_with_line_feeds(text), FrameCounters())
        )
        return [record.moment for record in records if _UNTIMED.isdisjoint(record.problems)]

    def _texts(self, file: LogFile, stop: threading.Event, start: int = 0) -> Iterator[Text]:
        """What can be read of a file; that there is more is in `_notes`."""
        try:
            for text in file.texts(start):
                if stop.is_set():
                    raise _Interrupted
                yield text
        except DamagedFile as error:
            if str(error) not in self._notes:
                _log.error("file is damaged; what could be read was", reason=str(error))
                self._notes.append(str(error))

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
                            raise _Interrupted
                        copy.write(octets)
            except OSError as error:
                raise OutputUnavailable(
                    f"{file.path} cannot be kept in {self._spool.name} for several readings: "
                    f"{error.strerror}"
                ) from error
            self._files[number] = LogFile(kept)


class _Interrupted(Exception):
    """The question was withdrawn."""


def _any(line: bytes) -> bool:
    return True


def _with_line_feeds(text: Text) -> bytes:
    """The lines of a text, each with LF at its end."""
    octets = text.octets + b"\n" if text.is_unterminated else text.octets
    return octets.replace(b"\0", b"\n") if b"\0" in octets else octets


def _is_within(
    file: LogFile, ends: "_Ends | None", searches: Sequence[_Search], until: datetime | None
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


def _is_in_span(event: Event, since: datetime | None, until: datetime | None) -> bool:
    time = time_of(event)
    return (since is None or time >= since) and (until is None or time < until)
