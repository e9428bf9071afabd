"""Lines on their way from an edge to the workers that parse them: what a record of Kafka says.

An edge reads of a line what its id and its place need, and no more.  The id is made there, where
all lines of a sender come by in their order: whoever stores the line, however often it comes,
stores one document.  A record is a JSON object::

    id            the document's, see `mailingest.documents.DocumentMaker`
    line          the line as it came
    encoding      `iso-8859-1` where its bytes are not UTF-8; each is a character then
    received_at   seconds since 1970
    @timestamp    the line's own time, in UTC
    host          who wrote the line, as its header says
    peer          the address that it came from, if it came over a network
    type, charset of the input (`mailingest.syslog.sources.Source`)
    key           what is never spread over several partitions
"""

import re
from typing import Any, Final, Literal

import orjson

from mailingest.documents import Document, DocumentMaker
from mailingest.postfix.event import Event
from mailingest.syslog.header import missing_part
from mailingest.syslog.records import Record
from mailingest.syslog.sources import DEFAULT_TYPE

Key = Literal["host", "queue_id"]
"""What keeps together which lines: those of a host, or those of a queue ID."""

ENCODING: Final = "iso-8859-1"
"""Of lines that are not UTF-8: it has a character for each byte."""

# Wider than what Postfix makes, with the level of a message before it.
_QUEUE_ID = re.compile(r"(?:[a-z]{4,7}: )?([0-9A-F]{6,64}|[0-9A-Za-z]{12,64}): ", re.ASCII)
# Not all of a tag: whoever is asked for a line of 64 KiB need not copy it into the key.
_LONGEST_KEY: Final = 256


class LineParser:
    """Makes events of records that say no more than their header."""

    def parse(self, record: Record, event_type: str = DEFAULT_TYPE) -> Event:
        """The event of a record; what has no header or no program is told by its tag."""
        tags = list(record.problems)
        fields: dict[str, Any] = {
            "@timestamp": record.moment.text,
            "program": record.program,
            "message": record.msg,
            "tags": tags,
        }
        if record.procid:
            fields["pid"] = record.procid
        nomatch = "" if record.program else missing_part(tags)
        return Event(
            record.moment.seconds,
            record.hostname,
            "",
            "",
            None,
            nomatch,
            fields,
            "",
            event_type,
        )


class LineMaker(DocumentMaker):
    """Makes documents that hold lines, under the ids that the documents of their events have."""

    def __init__(self, default_type: str, key: Key) -> None:
        super().__init__(default_type)
        self._key = key

    def anew(self) -> "LineMaker":
        return LineMaker(self._default_type, self._key)

    def identify(
        self,
        event: Event,
        stream: int = 0,
        peer: str = "",
        frame: bytes = b"",
        received_at: float = 0.0,
    ) -> str:
        """See `DocumentMaker.identify`; the event keeps the frame from here on."""
        fields = event.fields
        fields["frame"], fields["received_at"] = frame, received_at
        fields["charset"] = self.source.charset
        return super().identify(event, stream, peer, frame)

    def make(self, event: Event) -> Document:
        """The document of an event that has its id."""
        fields = event.fields
        line: dict[str, Any] = {"id": event.id}
        try:
            line["line"] = fields["frame"].decode("utf-8")
        except UnicodeDecodeError:
            line["line"], line["encoding"] = fields["frame"].decode(ENCODING), ENCODING
        line["received_at"] = fields["received_at"]
        line["@timestamp"] = fields["@timestamp"]
        line["host"] = event.hostname
        if "syslog_peer" in fields:
            line["peer"] = fields["syslog_peer"]
        line["type"], line["charset"] = event.type, fields["charset"]
        line["key"] = self._key_of(event)[:_LONGEST_KEY]
        return Document(event.type, event.id, orjson.dumps(line), event.seconds, line)

    def _key_of(self, event: Event) -> str:
        if self._key == "host":
            return event.hostname
        message, program = event.fields["message"], event.fields["program"]
        found = _QUEUE_ID.match(message)
        if found is not None:
            return f"{event.hostname} {found[1]}"
        return f"{event.hostname} {program} {event.fields.get('pid', '')}"
