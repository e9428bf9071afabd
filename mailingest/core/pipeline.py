"""Frames in, documents out: all stages of the core in one object, for every way of running it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from mailingest.core.clock import moment_of
from mailingest.core.correlation import QueueMap
from mailingest.core.documents import Document, DocumentMaker
from mailingest.core.events import Event, EventParser
from mailingest.core.records import HEADER_NOMATCH, RecordDecoder

_SNAPSHOT_END_OF_QUEUE_MAP: Final = b"--"


@dataclass(slots=True)
class Counters:
    """What came in and what became of it.

    Each frame is empty or becomes one document: ``frames == empty + documents + waiting``.
    ``unmatched`` counts those whose header or text matched nothing, by the tag that says so.
    """

    frames: int = 0
    frames_empty: int = 0
    documents: int = 0
    unmatched: dict[str, int] = field(default_factory=dict)


class Pipeline:
    """Turns frames into documents.

    Live, time is what the caller says; in a replay it is the time of the latest line, so that
    both give the same documents.
    """

    def __init__(
        self,
        decoder: RecordDecoder,
        parser: EventParser,
        queue_map: QueueMap,
        maker: DocumentMaker,
        *,
        live: bool,
    ) -> None:
        self.counters = Counters()
        self.queue_map = queue_map
        self._decoder = decoder
        self._parser = parser
        self._maker = maker
        self._live = live
        self._now = 0.0
        self._ticked = 0.0

    def feed(self, payload: bytes, reference: float, peer: str = "") -> list[Document]:
        """Take a frame, give the documents that are ready, in order.

        ``reference`` is the present when live, the file's modification time in a replay, in
        seconds since 1970.
        """
        counters = self.counters
        counters.frames += 1
        if not payload or payload.isspace():
            counters.frames_empty += 1
            return []
        record = self._decoder.decode(payload, reference=reference, peer=peer)
        if self._live:
            self._now = reference
        elif HEADER_NOMATCH not in record.problems:
            self._now = max(self._now, float(record.moment.seconds))
        elif self._now:
            # The line before tells the time better than the file does.
            record.moment = moment_of(self._now)
        event = self._parser.parse(record)
        if event.nomatch:
            unmatched = counters.unmatched
            unmatched[event.nomatch] = unmatched.get(event.nomatch, 0) + 1
        ready = self.queue_map.feed(event, self._now)
        if self._now - self._ticked >= 1.0:
            self._ticked = self._now
            ready = [*ready, *self.queue_map.tick(self._now)]
        return self._documents(ready)

    def tick(self, now: float) -> list[Document]:
        """Let time pass while no frame comes; ``now`` is in seconds since 1970."""
        self._ticked = now
        return self._documents(self.queue_map.tick(now))

    def flush(self) -> list[Document]:
        """Give all documents that wait for a line about their queue ID."""
        return self._documents(self.queue_map.flush())

    def snapshot(self) -> Iterator[bytes]:
        """All that is known of earlier lines, as lines of bytes, for `restore`."""
        yield from self.queue_map.snapshot()
        yield _SNAPSHOT_END_OF_QUEUE_MAP
        yield from self._maker.snapshot()

    def restore(self, lines: Iterable[bytes]) -> None:
        """Take a snapshot; raises ValueError, and takes nothing, if it is damaged."""
        rows = list(lines)
        end = rows.index(_SNAPSHOT_END_OF_QUEUE_MAP)
        self.queue_map.restore(rows[:end])
        self._maker.restore(rows[end + 1 :])

    def _documents(self, events: Iterable[Event]) -> list[Document]:
        documents = [self._maker.make(event) for event in events]
        self.counters.documents += len(documents)
        return documents
