"""Lines that were found in log files -> events, as a store would have them.

They are parsed with the same parts that a replay has, so that an event has the id and the fields
that a store would have of it.  There are two exceptions: nothing is correlated (a trace has all
lines of a mail anyway), and a line whose time cannot be read has the time of the file.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from mailingest.documents import DocumentMaker
from mailingest.postfix.interpretation import interpret
from mailingest.postfix.parser import EventParser
from mailingest.postfix.tls_sessions import TlsSessions
from mailingest.stores.events import StoredEvent
from mailingest.syslog.header import RecordDecoder
from mailingest.syslog.sources import Source


@dataclass(frozen=True, slots=True)
class LineReading:
    """How lines are read; the same as in a replay.

    ``new_decoder`` makes the header reader of one file, ``parser`` gives the one of all.
    ``source`` has the charset of the lines, and the type of their events, which ids do not depend
    on.
    """

    new_decoder: Callable[[], RecordDecoder]
    parser: Callable[[], EventParser]
    source: Source


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that may be meant.

    ``clock`` is the first line of its block: read before, it decides which of two hours it is that
    DST makes equal (unless the change is within the block).  ``tls`` is the line about the TLS
    session of a delivery.
    """

    position: int
    clock: bytes
    line: bytes
    tls: bytes | None


class HitParser:
    """Parses the hits of one search, file after file, oldest first."""

    def __init__(self, reading: LineReading, parser: EventParser) -> None:
        self._reading = reading
        self._parser = parser
        self._maker = DocumentMaker(reading.source.type)
        self._tls_sessions = TlsSessions()

    def events(self, hits: Iterable[Hit], reference: float) -> Iterator[StoredEvent]:
        """The events of a file's hits; ``reference`` is when the file was written last."""
        decoder = self._reading.new_decoder()
        parse = self._parser.parse
        clock = tls = None
        for hit in hits:
            if hit.clock is not clock:
                clock = hit.clock
                decoder.decode(clock, reference=reference)
            if hit.tls is not None and hit.tls is not tls:
                tls = hit.tls
                self._tls_sessions.feed(parse(decoder.decode(tls, reference=reference)))
            record = decoder.decode(hit.line, reference=reference)
            parsed = parse(record, self._reading.source.type)
            parsed.id = self._maker.identify(parsed)
            self._tls_sessions.feed(parsed)
            interpret(parsed)
            # As it comes back from a store.
            event: dict[str, Any] = orjson.loads(self._maker.make(parsed).body)
            yield event | {"_id": parsed.id, "_position": hit.position}
