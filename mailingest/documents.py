"""Enriched event -> Document: index name, document id and JSON body."""

from base64 import b64decode, b64encode
from binascii import b2a_base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain, islice
from typing import Any, Final

import orjson

from mailingest.postfix.event import Event
from mailingest.syslog.repeats import Repeats
from mailingest.syslog.sources import Source

ACKNOWLEDGED: Final = 1 << 63
"""Added to the number of a stream whose sender is told what was accepted."""

# Identical lines of one second lie less than a second apart, which is fewer lines than this.
_RECENT: Final = 65_536
# After a restart, the seconds that the last lines are of may go on.
_SNAPSHOT_LINES: Final = 20_000
# Identities in one line of a snapshot: a millisecond of work.
_SNAPSHOT_ROWS: Final = 500
_SECONDS_BYTES: Final = 4
# An occurrence is kept in one integer: the number below, the stream above.
_COUNT_BITS: Final = 32
_COUNT_MASK: Final = (1 << _COUNT_BITS) - 1
# What base64.urlsafe_b64encode() does, in a third of its time.
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_WITH_NEWLINE: Final = orjson.OPT_APPEND_NEWLINE
# With four bytes of time: 15 bytes, which are 20 characters of base64 without padding.
_HASH_BYTES: Final = 11


@dataclass(slots=True)
class Document:
    """One event, ready to be stored.

    ``index`` is the daily index, ``TYPE-YYYY.MM.dd`` of the event's own time in UTC.
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

    Occurrences are counted within a stream (a TCP connection).  A sender whose connection broke
    sends again, over a new one, what may have been lost: that line has the id that it had before.
    In streams whose sender is told what was accepted (`ACKNOWLEDGED`), only some lines come again,
    and `mailingest.syslog.repeats` says which.
    And they are counted within a type, for a line that comes in for two types is in either index
    what a replay for that type alone makes of it; ``default_type`` is that of most lines.
    """

    def __init__(self, default_type: str) -> None:
        self._default_type = default_type
        self._type = ""
        self._day = ""
        self._index = ""
        # Occurrences by id, in two generations: the older one goes when the younger one is full.
        self._recent: dict[bytes, int] = {}
        self._older: dict[bytes, int] = {}
        self.repeats = Repeats()
        self.source = Source(default_type)
        """Where the lines that come now are from."""
        self._stream = 0
        # The first occurrence in that stream; most lines are one, and share this object.
        self._first = 1

    def anew(self) -> "DocumentMaker":
        """One for the same type, which has seen no line."""
        return DocumentMaker(self._default_type)

    def make(self, event: Event) -> Document:
        """Make a document of an event, which has its id already or gets the next one."""
        fields = event.fields
        day = fields["@timestamp"][:10]
        if day != self._day or event.type != self._type:
            self._day, self._type = day, event.type
            self._index = f"{event.type}-{day.replace('-', '.')}"
        return Document(
            self._index,
            event.id or self.identify(event),
            body_of(fields),
            event.seconds,
            fields,
        )

    def snapshot(self) -> Iterator[bytes]:
        """The occurrences of the last lines as lines of bytes, for `restore`.

        They are those of the call; lines may be counted while the rows are taken.
        """
        latest_first = chain(reversed(self._recent.items()), reversed(self._older.items()))
        return self._rows([*islice(latest_first, _SNAPSHOT_LINES)][::-1])

    def restore(self, lines: Iterable[bytes]) -> None:
        """Take the occurrences of a snapshot."""
        for identity, stream, count in chain.from_iterable(map(orjson.loads, lines)):
            self._older[b64decode(identity)] = (stream << _COUNT_BITS) + count

    @staticmethod
    def _rows(latest: list[tuple[bytes, int]]) -> Iterator[bytes]:
        for start in range(0, len(latest), _SNAPSHOT_ROWS):
            yield orjson.dumps(
                [
                    (b64encode(identity).decode("ascii"), seen >> _COUNT_BITS, seen & _COUNT_MASK)
                    for identity, seen in latest[start : start + _SNAPSHOT_ROWS]
                ]
            )

    def identify(
        self,
        event: Event,
        stream: int = 0,
        peer: str = "",
        frame: bytes = b"",
        received_at: float = 0.0,
    ) -> str:
        """The id of an event; asked for once, and in the order in which lines came.

        ``frame`` is what ``peer`` has sent over the ``stream``; here it does not matter when it was
        received, in seconds since 1970.

        So the ids are the same again when the same lines come again from a snapshot on.
        """
        fields = event.fields
        time = (event.seconds & 0xFFFFFFFF).to_bytes(_SECONDS_BYTES)
        line = time + (
            f"{event.hostname}\n{fields['program']}\n{fields.get('pid', '')}\n{fields['message']}"
        ).encode("utf-8", "surrogatepass")
        identity = key = time + blake2b(line, digest_size=_HASH_BYTES).digest()
        if event.type != self._default_type:
            key += event.type.encode()
        if stream >= ACKNOWLEDGED:
            occurrence = self.repeats.occurrence(key, peer, stream, frame)
        else:
            occurrence = self._occurrence(key, stream)
        if occurrence:
            line += b"\n%d" % occurrence
            identity = time + blake2b(line, digest_size=_HASH_BYTES).digest()
        return b2a_base64(identity, newline=False).translate(_URL_SAFE).decode("ascii")

    def _occurrence(self, key: bytes, stream: int) -> int:
        """The number of an identity within its stream."""
        if stream != self._stream:
            self._stream, self._first = stream, (stream << _COUNT_BITS) + 1
        seen = self._recent.get(key)
        if seen is None:
            seen = self._older.get(key, 0)
        occurrence = seen & _COUNT_MASK if seen >> _COUNT_BITS == stream else 0
        self._recent[key] = self._first + occurrence if occurrence else self._first
        if len(self._recent) >= _RECENT:
            self._older, self._recent = self._recent, {}
        return occurrence


def body_of(fields: Mapping[str, Any]) -> bytes:
    """The JSON object of an event's fields."""
    # A slice is a copy: what orjson returns keeps 4 or 8 KiB of memory, however short it is.
    return orjson.dumps(fields, _base64, _WITH_NEWLINE)[:-1]


def _base64(value: object) -> str:
    """Raw bytes are base64 in JSON, as Elasticsearch's `binary` type wants them."""
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    raise TypeError
