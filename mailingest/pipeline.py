"""Frames in, documents out: all stages of the core in one object, for every way of running it."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain
from types import MappingProxyType
from typing import Any, Final, Protocol

import orjson

from mailingest.documents import Document, DocumentMaker, body_of
from mailingest.postfix.enrichment import QueueMap, mails_of_workers
from mailingest.postfix.event import Event
from mailingest.postfix.interpretation import WITH_REASON, interpret
from mailingest.postfix.outcome import Outcome
from mailingest.postfix.parser import by_program
from mailingest.postfix.reason_classes import NO_CLASS, reason_class
from mailingest.postfix.spreading import Share
from mailingest.postfix.tls_sessions import TLS_AGENTS, TlsSessions
from mailingest.syslog.arrival import TIME_IMPLAUSIBLE, BelievedTimes
from mailingest.syslog.header import HEADER_NOMATCH, TIME_NOMATCH, RecordDecoder
from mailingest.syslog.peers import Peers
from mailingest.syslog.records import Record
from mailingest.syslog.senders import NEAR_SECONDS, Senders
from mailingest.syslog.sources import Source
from mailingest.syslog.timestamps import YEAR_TOLERANCE, FileSpan, moment_of
from mailingest.watching.notices import Notice
from mailingest.watching.watch import Watch

FRAME_UNREAD: Final = "_frame_unread"
"""Tags a frame that could not be worked on to its end; it is in the dead letters."""

# What a record has whose line has no valid time.
_UNTIMED: Final = frozenset({HEADER_NOMATCH, TIME_NOMATCH})
# Delivery lines that are held are looked at each time that so many seconds of lines have passed.
_TICK_SECONDS: Final = 1.0
# What a peer may have that nothing is set for.
_MOST_HOSTS: Final = 5000
# The names of programs are in the tags, and come from the lines.
_MOST_TAGS_COUNTED: Final = 100
_OTHER_TAGS: Final = "other"

# Marks an event as wanted whose document nobody stores.
_WITHOUT_ID: Final = "-"

# Stands behind each part of a snapshot; rows are JSON or begin with a digit.
_SNAPSHOT_END_OF_PART: Final = b"--"
_CHECKSUM_BYTES: Final = 16


@dataclass(slots=True)
class PipelineCounters:
    """What came in and what became of it.

    Each frame is empty, or becomes one document, or is not wanted in the store:
    ``frames == empty + documents + left_out + waiting``.
    ``filed_by_arrival`` counts those whose own time cannot be believed, and ``late`` those that
    came more than a quarter of an hour after their own time.
    ``unmatched`` counts those whose header or text matched nothing, by the tag that says so;
    where there are too many different ones, the rest is under ``other``.
    ``outcomes`` counts by outcome and class of the reason (`reason_class`).
    """

    frames: int = 0
    frames_empty: int = 0
    documents: int = 0
    documents_left_out: int = 0
    filed_by_arrival: int = 0
    late: int = 0
    unmatched: dict[str, int] = field(default_factory=dict)
    outcomes: dict[tuple[str, ...], int] = field(default_factory=dict)

    def count_unmatched(self, tag: str) -> None:
        """Count a frame under its tag."""
        if tag not in self.unmatched and len(self.unmatched) >= _MOST_TAGS_COUNTED:
            tag = _OTHER_TAGS
        self.unmatched[tag] = self.unmatched.get(tag, 0) + 1

    def count_outcome(self, outcome: Outcome, fields: Mapping[str, Any]) -> None:
        """Count what a line says became of something."""
        key = (outcome, reason_class(fields) if outcome in WITH_REASON else NO_CLASS)
        self.outcomes[key] = self.outcomes.get(key, 0) + 1


class Parser(Protocol):
    """Makes events of records: all that a line says, or what is needed to pass it on."""

    def parse(self, record: Record, event_type: str, /) -> Event: ...


class Cell(Protocol):
    """Where a number is noted at place 0."""

    def __setitem__(self, place: int, number: int, /) -> None: ...


@dataclass(slots=True)
class FrameBlock:
    """Frames of one peer that came together.

    ``reference``, ``peer`` and ``stream`` are those of `Pipeline.feed`.  While a frame is worked
    on, its number is in the ``cell``, and 0 when all are done; ``first`` is that of the first one.
    ``failed`` are the places of the frames that a stage could not come to an end with, and why: no
    document is made of them.
    """

    payloads: Sequence[bytes]
    reference: float
    peer: str = ""
    stream: int = 0
    cell: Cell = field(default_factory=lambda: [0])
    first: int = 1
    failed: list[tuple[int, Exception]] = field(default_factory=list)

    def check(self) -> None:
        """Raise what the first frame that failed did not come to its end for."""
        for _, error in self.failed:
            raise error


@dataclass(slots=True)
class _Progress:
    """How far the frames of a block are on their way.

    ``records`` are those of the frames that are worked on, at ``places``, and ``times`` is the time
    of each; ``unbelieved`` are the places of those that are filed under their arrival, and
    ``overheard`` those of lines of other workers.  ``events`` are those of the records, None for
    those that failed.  ``ticks`` are the places before which time passes, and how late it is then.
    """

    records: list[Record] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    unbelieved: set[int] = field(default_factory=set)
    overheard: set[int] = field(default_factory=set)
    events: list[Event | None] = field(default_factory=list)
    ticks: list[tuple[int, float]] = field(default_factory=list)


class Pipeline:
    """Turns frames into documents.

    Live, time is what the caller says; in a replay it is the time of the latest line, so that
    both give the same documents.  Only live a line has an arrival to be judged by: one whose time
    is not among the ``believed`` ones, or those of its type in ``believed_of``, is filed under its
    arrival, and keeps its own time, and the id that is made of it, all the same.

    Frames are from ``source`` until `use` names another one; None is in the decoder's charset.

    An event that is not ``wanted`` is parsed and correlated like any other, and counted, but no
    document is made of it; None wants all.

    With a ``share`` it is fed with all lines and works on those that it takes; the pipelines of all
    shares together make the documents that one without would make.  What is known of hosts and
    peers, all of them know.
    """

    def __init__(
        self,
        decoder: RecordDecoder,
        parser: Parser,
        queue_map: QueueMap,
        maker: DocumentMaker,
        *,
        live: bool,
        wanted: Callable[[Event], bool] | None = None,
        believed: BelievedTimes = BelievedTimes(),  # noqa: B008  it is frozen
        believed_of: Mapping[str, BelievedTimes] = MappingProxyType({}),
        peers: Peers | None = None,
        source: Source | None = None,
        share: Share | None = None,
    ) -> None:
        self.counters = PipelineCounters()
        self.queue_map = queue_map
        self.senders = Senders()
        self.watch = Watch()
        """What is noticed about the hosts, only live; it is not in a snapshot, and kept apart."""
        self.peers = peers or Peers(_MOST_HOSTS)
        self._decoder = decoder
        self._parser = parser
        self._tls_sessions = TlsSessions()
        self._maker = maker
        self._live = live
        self._share = share
        # What belongs to no share counts once.
        self._is_first = share is None or share.number == 0
        self._wanted = wanted
        self._believed_else = believed
        self._believed_of = believed_of
        self._now = 0.0
        self._ticked = 0.0
        self._watched = 0.0
        self.use(source or Source(charset=decoder.charset))

    def read_like(self, other: "Pipeline") -> None:
        """Read the frames that follow as another one does, and know what this one knows.

        The bounds of what is known stay as they are.
        """
        self._decoder, self._parser = other._decoder, other._parser
        self._wanted = other._wanted
        self._believed_else, self._believed_of = other._believed_else, other._believed_of
        # The maker is this one's: it counts the lines that are the same, by the type that they had.
        self.use(Source(self._type, self._decoder.charset))

    def use(self, source: Source) -> None:
        """The frames that follow are from that source."""
        self._type, self._decoder.charset = self._maker.source = source
        self._believed = self._believed_of.get(self._type, self._believed_else)

    def feed(
        self, payload: bytes, reference: float, peer: str = "", stream: int = 0
    ) -> list[Document]:
        """Take a frame, give the documents that are ready, in order.

        ``reference`` is now when live, the file's modification time in a replay, in
        seconds since 1970.  ``stream`` names the connection that the frame came over (0: none).
        """
        self._watch_time(reference)
        before = self._now
        record = self._read(payload, reference, peer)
        if record is None:
            return []
        is_believed = not self._live or self._judge_time(record, reference)
        share = self._share
        if share is not None and not self._takes(share, record, before):
            if self._hears_of(share, record, peer):
                self._overhear(self._parser.parse(record, self._type), peer)
            return self._documents(self._advance())
        event = self._parser.parse(record, self._type)
        self._describe(event, reference, peer)
        if self._wanted is None or self._wanted(event):
            event.id = self._maker.identify(event, stream, peer, payload, reference)
        if not is_believed:
            self._file_by_arrival(event, reference)
        self._interpret(event)
        # Time first: what waited long enough is let go before this line tells more, as it is live.
        return self._documents([*self._advance(), *self._correlate(event)])

    def feed_all(self, block: FrameBlock) -> list[Document]:
        """Take the frames of a block, give the documents that are ready, in order.

        They are those that `feed` gives for one frame after the other.  Each stage takes all frames
        before the next one begins, which takes a fifth less time than all stages in turns, since a
        processor keeps what it does again at once.
        """
        if len(block.payloads) == 1:
            return self._feed_lone(block)
        ready, places = self._ready(block, with_ids=True)
        make, cell, first = self._maker.make, block.cell, block.first
        documents: list[Document] = []
        for place, event in zip(places, ready, strict=True):
            cell[0] = first + place
            try:
                documents.append(make(event))
            except Exception as error:
                block.failed.append((place, error))
        cell[0] = 0
        self.counters.documents += len(documents)
        return documents

    def _feed_lone(self, block: FrameBlock) -> list[Document]:
        """The documents of a block of one frame, for which stages would only cost."""
        block.cell[0] = block.first
        try:
            return self.feed(block.payloads[0], block.reference, block.peer, block.stream)
        except Exception as error:
            block.failed.append((0, error))
            return []
        finally:
            block.cell[0] = 0

    def bodies(self, payloads: Sequence[bytes], reference: float) -> list[bytes]:
        """Take frames that no store is to have, give the JSON bodies of their documents, in order.

        They are of a replay, and ``reference`` is as for `feed`.  No ids are made, which takes a
        tenth of the time.
        """
        block = FrameBlock(payloads, reference)
        ready, _ = self._ready(block, with_ids=False)
        block.check()
        self.counters.documents += len(ready)
        return [body_of(event.fields) for event in ready]

    def _ready(self, block: FrameBlock, *, with_ids: bool) -> tuple[list[Event], list[int]]:
        """The wanted events that are ready after a block, and the places of the frames after which
        they are.
        """
        self._watch_time(block.reference)
        progress = _Progress()
        self._read_all(block, progress)
        now = self._now
        self._parse_all(block, progress)
        self._interpret_all(block, progress, with_ids=with_ids)
        ready = self._correlate_all(block, progress)
        self._now = now
        return ready

    def _read_all(self, block: FrameBlock, progress: _Progress) -> None:
        """The first stage: frames -> records."""
        cell, first, reference, peer = block.cell, block.first, block.reference, block.peer
        share = self._share
        for place, payload in enumerate(block.payloads):
            cell[0], before = first + place, self._now
            try:
                record = self._read(payload, reference, peer)
                if record is None:
                    continue
                if self._live and not self._judge_time(record, reference):
                    progress.unbelieved.add(place)
            except Exception as error:
                # Live, another worker may have come to an end with it, and then it is not this
                # one's: but nobody knows that here, and to lose it is worse than to keep it twice.
                if self._is_first or self._live:
                    block.failed.append((place, error))
                else:
                    self.counters.frames -= 1
                continue
            if self._is_tick_due():
                progress.ticks.append((place, self._now))
            if share is not None and not self._takes(share, record, before):
                if not self._hears_of(share, record, peer):
                    continue
                progress.overheard.add(place)
            progress.records.append(record)
            progress.places.append(place)
            progress.times.append(self._now)

    def _parse_all(self, block: FrameBlock, progress: _Progress) -> None:
        """The second stage: records -> events."""
        cell, first, places, records = block.cell, block.first, progress.places, progress.records
        parse, event_type = self._parser.parse, self._type
        events: list[Event | None] = [None] * len(records)
        for at in by_program(records):
            cell[0] = first + places[at]
            try:
                events[at] = parse(records[at], event_type)
            except Exception as error:
                if places[at] not in progress.overheard:
                    block.failed.append((places[at], error))
        progress.events = events
        records.clear()

    def _interpret_all(self, block: FrameBlock, progress: _Progress, *, with_ids: bool) -> None:
        """The third stage: what an event says that stands for itself."""
        cell, first, places, events = block.cell, block.first, progress.places, progress.events
        for at, event in enumerate(events):
            if event is None:
                continue
            place = places[at]
            cell[0] = first + place
            self._now = progress.times[at]
            if place in progress.overheard:
                self._overhear(event, block.peer)
                events[at] = None
                continue
            try:
                self._describe(event, block.reference, block.peer)
                if self._wanted is None or self._wanted(event):
                    event.id = (
                        self._maker.identify(
                            event,
                            block.stream,
                            block.peer,
                            block.payloads[place],
                            block.reference,
                        )
                        if with_ids
                        else _WITHOUT_ID
                    )
                if place in progress.unbelieved:
                    self._file_by_arrival(event, block.reference)
                self._interpret(event)
            except Exception as error:
                block.failed.append((place, error))
                events[at] = None

    def _correlate_all(
        self, block: FrameBlock, progress: _Progress
    ) -> tuple[list[Event], list[int]]:
        """The last stage: what is known of their queue IDs; see `_ready`."""
        cell, first = block.cell, block.first
        ready: list[Event] = []
        places: list[int] = []
        ticks = deque(progress.ticks)
        for event, place, self._now in zip(
            progress.events, progress.places, progress.times, strict=True
        ):
            if ticks and ticks[0][0] <= place:
                self._let_pass(ticks, place + 1, ready, places)
            if event is None:
                continue
            cell[0] = first + place
            try:
                self._collect(self._correlate(event), place, ready, places)
            except Exception as error:
                block.failed.append((place, error))
        cell[0] = 0
        self._let_pass(ticks, len(block.payloads), ready, places)
        return ready, places

    def _let_pass(
        self, ticks: deque[tuple[int, float]], end: int, ready: list[Event], places: list[int]
    ) -> None:
        """Let the time of the lines before a place pass; take what waited long enough."""
        while ticks and ticks[0][0] < end:
            place, now = ticks.popleft()
            self._collect(self.queue_map.tick(now), place, ready, places)

    def _collect(
        self, events: Iterable[Event], place: int, ready: list[Event], places: list[int]
    ) -> None:
        """Take the wanted ones of events that are ready after a frame."""
        for one in events:
            if one.id:
                ready.append(one)
                places.append(place)
            else:
                self.counters.documents_left_out += 1

    def _watch_time(self, reference: float) -> None:
        """Let time pass, live, for what is noticed about the hosts."""
        if self._live and reference - self._watched >= 1.0:
            self._watched = reference
            self.watch.advance(reference)

    def _read(self, payload: bytes, reference: float, peer: str) -> Record | None:
        """The record of a frame, None if it is empty; its time is now."""
        self.counters.frames += 1
        if not payload or payload.isspace():
            if self._is_first:
                self.counters.frames_empty += 1
            else:
                self.counters.frames -= 1
            return None
        record = self._decoder.decode(payload, reference=reference, peer=peer)
        if self._live:
            self._now = reference
        elif not record.problems or _UNTIMED.isdisjoint(record.problems):
            # No line is newer than its file; a wrong clock must not make all else look old.
            if self._now < record.moment.seconds <= reference + YEAR_TOLERANCE:
                self._now = float(record.moment.seconds)
        elif self._now:
            # The line before is nearer in time than the file.
            record.moment = moment_of(self._now)
        return record

    def _takes(self, share: Share, record: Record, before: float) -> bool:
        """Whether a line is of this pipeline's share; another's does not count."""
        is_taken = share.takes(record, self._now, before)
        if not is_taken:
            self.counters.frames -= 1
        return is_taken

    def _hears_of(self, share: Share, record: Record, peer: str) -> bool:
        """Whether a line of another pipeline's share says something for lines of this one."""
        is_news_of_peer = bool(peer) and (peer, record.hostname) not in self.peers.usual
        return is_news_of_peer or share.hears_of(record)

    def _overhear(self, event: Event, peer: str) -> None:
        """Learn from a line of another pipeline's share what it says for lines of this one."""
        self._tls_sessions.feed(event)
        if peer and (peer, event.hostname) not in self.peers.usual:
            self._judge_peer(event, peer)

    def _judge_peer(self, event: Event, peer: str) -> str:
        return self.peers.judge(
            peer, event.hostname, self._now, has_queue_id=event.queue_id is not None
        )

    def _interpret(self, event: Event) -> None:
        """Write into an event how its connection was encrypted, and its outcome; count that."""
        if event.service in TLS_AGENTS:
            self._tls_sessions.feed(event)
        outcome = interpret(event)
        if outcome is not None:
            self.counters.count_outcome(outcome, event.fields)
            if self._live:
                self.watch.outcome(event, outcome)

    def _correlate(self, event: Event) -> Sequence[Event]:
        """Write into an event what is known of its queue ID; the events that are ready."""
        ready: Sequence[Event] = (event,)
        if event.queue_id is not None:
            ready = self.queue_map.feed(event, self._now)
            if self.queue_map.submitted:
                self._watch_submitted(event)
        return ready

    def _describe(self, event: Event, reference: float, peer: str) -> None:
        """Write into an event who sent it; count what did not match."""
        if peer:
            self._write_peer(event, peer)
        if event.nomatch:
            self._count_unmatched(event, reference)

    def _write_peer(self, event: Event, peer: str) -> None:
        """Write into an event who sent it, and what is odd about that."""
        fields = event.fields
        fields["syslog_peer"] = peer
        if (peer, event.hostname) not in self.peers.usual and (
            tag := self._judge_peer(event, peer)
        ):
            fields["tags"].append(tag)

    def _count_unmatched(self, event: Event, reference: float) -> None:
        self.counters.count_unmatched(event.nomatch)
        if self._live:
            self.watch.line_unmatched(event, reference)

    def _judge_time(self, record: Record, reference: float) -> bool:
        """Note when a line came, live; whether its own time is to be believed."""
        hosts = self.watch.hosts
        if record.hostname in hosts.last_line:
            hosts.last_line[record.hostname] = reference
        else:
            hosts.add(record.hostname, reference)
        seconds = record.moment.seconds
        is_near = -NEAR_SECONDS <= seconds - reference <= NEAR_SECONDS
        if (is_near and "/" in record.program) or not _UNTIMED.isdisjoint(record.problems):
            return True
        if seconds < reference - NEAR_SECONDS:
            self.counters.late += 1
        self.senders.feed(record, reference)
        return self._believed.include(seconds, reference)

    def _advance(self) -> Sequence[Event]:
        """Let the time of the lines pass; the events that waited long enough."""
        return self.queue_map.tick(self._now) if self._is_tick_due() else ()

    def _is_tick_due(self) -> bool:
        """Whether so much time has passed that what is held is looked at."""
        if self._now - self._ticked < _TICK_SECONDS:
            return False
        self._ticked = self._now
        return True

    def unread(self, payload: bytes, received_at: float, peer: str, stream: int) -> Document:
        """The document of a frame that nobody can read: its bytes, and when and whence they came.

        The frame is one that `feed` did not come to an end with, or that it was not given.
        """
        moment = moment_of(received_at)
        fields: dict[str, Any] = {
            "@timestamp": moment.text,
            "type": self._type,
            "host": peer,
            "program": "",
            "message": payload.decode("iso-8859-1"),
            "tags": [FRAME_UNREAD],
            "raw": payload,
        }
        if peer:
            fields["syslog_peer"] = peer
        event = Event(moment.seconds, peer, "", "", None, "", fields, type=self._type)
        event.id = self._maker.identify(event, stream, peer, payload, received_at)
        document = self._maker.make(event)
        self.counters.documents += 1
        return document

    def begin_file(self) -> FileSpan:
        """Another file begins, in a replay; what its stamps without a year will say."""
        return self._decoder.begin_file()

    def tick(self, now: float) -> list[Document]:
        """Let time pass while no frame comes; ``now`` is in seconds since 1970."""
        if self._live:
            self.senders.forget(now)
            self.watch.look(now, self._clocks_off())
        return self._documents(self.queue_map.tick(now))

    def flush(self) -> list[Document]:
        """Give all documents that wait for a line about their queue ID."""
        return self._documents(self.queue_map.flush())

    def snapshot(self) -> Iterator[bytes]:
        """All that is known of earlier lines, as lines of bytes, for `restore`.

        It is the state at the time of the call, but for the events that wait.  Each line takes
        milliseconds at most, and frames may be fed in between.
        """
        return _with_checksum(
            chain(
                [orjson.dumps(self._now)],
                self.queue_map.snapshot(),
                [_SNAPSHOT_END_OF_PART],
                self._tls_sessions.snapshot(),
                [_SNAPSHOT_END_OF_PART],
                self._maker.snapshot(),
                [_SNAPSHOT_END_OF_PART],
                self.peers.snapshot(),
                *self._later_parts(),
            )
        )

    def _later_parts(self) -> list[Iterable[bytes]]:
        """Of the repeats, which only a site that acknowledges has, and of the share.

        An older version does not read them.
        """
        repeats, share = self._maker.repeats, self._share
        parts: list[Iterable[bytes]] = []
        if repeats or share is not None:
            parts += [[_SNAPSHOT_END_OF_PART], repeats.snapshot()]
        if share is not None:
            parts += [[_SNAPSHOT_END_OF_PART], share.snapshot()]
        return parts

    def restore(self, lines: Iterable[bytes]) -> None:
        """Take all of a snapshot; of one that is damaged or of another version take nothing, and
        raise ValueError.
        """
        *rows, checksum = lines
        *_, expected = _with_checksum(rows)
        if checksum != expected:
            raise ValueError("not whole, or not as it was written")
        # Those of earlier versions have three or four parts.
        mails, sessions, lines_seen, *later = _parts(rows[1:])
        of_peers, of_repeats, of_share = (*later, [], [], [])[:3]
        # A part that refuses a row has taken those before it: so it is new ones that take them.
        queue_map, maker = self.queue_map.anew(), self._maker.anew()
        tls_sessions, peers = TlsSessions(), Peers(self.peers.most_hosts)
        try:
            now = float(orjson.loads(rows[0]))
            queue_map.restore(mails)
            tls_sessions.restore(sessions)
            maker.restore(lines_seen)
            peers.restore(of_peers)
            maker.repeats.restore(of_repeats)
            if self._share is not None:
                self._share.restore(of_share)
        except TypeError as error:
            raise ValueError(f"a snapshot of another version: {error}") from None
        self.queue_map, self._tls_sessions, self._maker = queue_map, tls_sessions, maker
        self.peers = peers
        self._now = now

    def _watch_submitted(self, event: Event) -> None:
        submitted = self.queue_map.submitted
        if self._live:
            for user, recipients in submitted:
                self.watch.submitted(user, recipients, event.seconds)
        submitted.clear()

    def _clocks_off(self) -> Iterator[Notice]:
        for host, clock in self.senders.off.items():
            hours = round(abs(clock.offset) / 3600, 2)
            side = "ahead of" if clock.offset > 0 else "behind"
            yield Notice(
                "clock_off", host, clock.since, f"lines are dated {hours:g} h {side} their arrival"
            )

    def _file_by_arrival(self, event: Event, received_at: float) -> None:
        """Give an event the time of its arrival, and keep its own beside it."""
        self.counters.filed_by_arrival += 1
        arrival, fields = moment_of(received_at), event.fields
        fields["syslog_timestamp"] = fields["@timestamp"]
        event.seconds, fields["@timestamp"] = arrival
        fields["tags"].append(TIME_IMPLAUSIBLE)

    def _documents(self, events: Iterable[Event]) -> list[Document]:
        make = self._maker.make
        documents = []
        left_out = 0
        for event in events:
            if event.id:
                documents.append(make(event))
            else:
                left_out += 1
        self.counters.documents += len(documents)
        self.counters.documents_left_out += left_out
        return documents


def reshared(snapshots: Sequence[Sequence[bytes]], workers: int) -> list[list[bytes]]:
    """The snapshots of all workers of the service at one place -> those of so many workers.

    Mails are divided.  What is known of TLS sessions, peers and hosts all of them know; which lines
    came before, too, for nobody can tell there whose they are.  Raises ValueError for what is no
    snapshot.
    """
    found: list[list[list[bytes]]] = []
    for lines in snapshots:
        *rows, checksum = lines
        if [*_with_checksum(rows)][-1] != checksum:
            raise ValueError("not whole, or not as it was written")
        found.append([rows[:1], *_parts(rows[1:])])
    now = max(float(orjson.loads(parts[0][0])) for parts in found)
    mails: list[list[bytes]] = [[] for _ in range(workers)]
    for parts in found:
        for one, row in mails_of_workers(parts[1], workers):
            if row not in mails[one][:1]:  # its version
                mails[one].append(row)
    sessions, peers = found[0][2], found[0][4] if len(found[0]) > 4 else []
    seen = [row for parts in found for row in parts[3]]
    repeats = [row for parts in found if len(parts) > 5 for row in parts[5]]
    later = [*_ended(sessions), *_ended(seen), *_ended(peers), *_ended(repeats)]
    return [[*_with_checksum([orjson.dumps(now), *_ended(own), *later])] for own in mails]


def _ended(rows: Sequence[bytes]) -> list[bytes]:
    return [*rows, _SNAPSHOT_END_OF_PART]


def _parts(rows: Sequence[bytes]) -> list[list[bytes]]:
    """The parts of a snapshot, without what stands behind each."""
    parts: list[list[bytes]] = [[]]
    for row in rows:
        if row == _SNAPSHOT_END_OF_PART:
            parts.append([])
        else:
            parts[-1].append(row)
    return parts


def _with_checksum(rows: Iterable[bytes]) -> Iterator[bytes]:
    """The rows, and a last one that proves that they are whole."""
    digest = blake2b(digest_size=_CHECKSUM_BYTES)
    for row in rows:
        digest.update(row + b"\n")
        yield row
    yield digest.hexdigest().encode("ascii")
