"""Enriched event -> Document: index name, document id and JSON body."""

from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from typing import Any, Final

import orjson

from mailingest.core.events import Event

# Identical lines of one second lie less than a second apart, which is fewer lines than this.
_RECENT: Final = 65_536
# After a restart, the seconds that the last lines are of may go on.
_SNAPSHOT_LINES: Final = 20_000
# So many of them are one line of a snapshot: a millisecond of work.
_SNAPSHOT_ROWS: Final = 500
_SECONDS_OCTETS: Final = 4
# With four octets of time: 15 octets, which are 20 characters of base64 without padding.
_HASH_OCTETS: Final = 11


@dataclass(slots=True)
class Document:
    """One event, ready to be stored.

    ``index`` is the daily index, ``PREFIX-YYYY.MM.dd`` of the event's own time in UTC.
    ``id`` is 20 characters of URL-safe base64 and the same for the same line, however often
    it is read.  ``body`` is the JSON object to store.  ``seconds`` is the event's time in
    whole seconds since 1970; ``fields`` are the values that ``body`` was made from.
    """

    index: str
    id: str
    body: bytes
    seconds: int
    fields: Mapping[str, Any]


class DocumentMaker:
    """Makes documents.

    The id is a hash of host, time in whole seconds, program, process id, text and an occurrence
    number, which tells identical lines of one second apart.  So a line has the same id however it
    came here and whatever the precision of its time stamp.  The time comes first in the id, for
    ids that are near in time to lie near each other in the index of a store.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._day = ""
        self._index = ""
        # Occurrences by id, in two generations: the older one goes when the younger one is full.
        self._recent: dict[bytes, int] = {}
        self._older: dict[bytes, int] = {}

    def make(self, event: Event) -> Document:
        """Make a document of an event."""
        fields = event.fields
        day = fields["@timestamp"][:10]
        if day != self._day:
            self._day = day
            self._index = f"{self._prefix}-{day.replace('-', '.')}"
        return Document(
            self._index,
            self._id(event),
            orjson.dumps(fields, default=_base64),
            event.seconds,
            fields,
        )

    def snapshot(self) -> Iterator[bytes]:
        """The occurrences of the last lines as lines of bytes, for `restore`."""
        counts = [*self._older.items(), *self._recent.items()][-_SNAPSHOT_LINES:]
        for start in range(0, len(counts), _SNAPSHOT_ROWS):
            yield orjson.dumps(
                [
                    (b64encode(identity).decode("ascii"), count)
                    for identity, count in counts[start : start + _SNAPSHOT_ROWS]
                ]
            )

    def restore(self, lines: Iterable[bytes]) -> None:
        """Take the occurrences of a snapshot."""
        for identity, count in chain.from_iterable(map(orjson.loads, lines)):
            self._older[b64decode(identity)] = count

    def _id(self, event: Event) -> str:
        fields = event.fields
        time = (event.seconds & 0xFFFFFFFF).to_bytes(_SECONDS_OCTETS)
        line = time + (
            f"{event.hostname}\n{fields['program']}\n{fields.get('pid', '')}\n{fields['message']}"
        ).encode("utf-8", "surrogatepass")
        identity = time + blake2b(line, digest_size=_HASH_OCTETS).digest()
        occurrence = self._recent.get(identity)
        if occurrence is None:
            occurrence = self._older.get(identity, 0)
        self._recent[identity] = occurrence + 1
        if len(self._recent) >= _RECENT:
            self._older, self._recent = self._recent, {}
        if occurrence:
            line += b"\n%d" % occurrence
            identity = time + blake2b(line, digest_size=_HASH_OCTETS).digest()
        return urlsafe_b64encode(identity).decode("ascii")


def _base64(value: object) -> str:
    """Raw bytes are base64 in JSON, as Elasticsearch's `binary` type wants them."""
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    raise TypeError
