"""Which one of identical lines a line is, where its sender repeats what was not acknowledged.

Over RELP or Lumberjack a sender whose connection broke sends again, over a new one, the lines that
it has no acknowledgement for: some of them came before, some did not, and lines before them that
are identical do not come again.  So a count within the connection would say nothing.

Nearly always the frames say which is which: a line that is sent again has the same bytes, and
another line that is identical in host, second, program, process id and text has another
microsecond, or another place in its file.  So with either of them, the same bytes are the same
line, also if they come twice over one connection: rsyslog may send again what its librelp sends
again, too.  Without, they are counted within their connection.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final
from zlib import crc32

import orjson

from mailingest.syslog.beats_events import place_of

# Lines that a sender has no acknowledgement for are some hundred (RELP) or thousand (Lumberjack).
# Some 250 bytes each, in two generations.
_RECENT: Final = 32_768
# Of one line; a sender that has more of them is not asked which is which.
_MOST_OF_A_LINE: Final = 10_000
_SNAPSHOT_LINES: Final = 20_000
_SNAPSHOT_ROWS: Final = 500

# RFC 3339 with microseconds, at the beginning: rsyslog's template for forwarding and its files.
_PRECISE = re.compile(rb"(?:<\d{1,3}>)?(?:1 )?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[Z+-]", re.ASCII)

# A line that was seen once: the sender, its bytes' checksum, the connection.
_Once = tuple[str, int, int]


def line_of(frame: bytes) -> tuple[bytes, bool]:
    """What of a frame is the line's own, and whether no other line has the same."""
    if (placed := place_of(frame)) is not None:
        return placed, True
    return frame, _PRECISE.match(frame) is not None


class _Line:
    """A line that was seen more than once, from one sender.

    ``places`` has the numbers of its occurrences by their bytes, and ``counts`` how often those
    came over each connection; ``known`` is about how many numbers these are.
    """

    __slots__ = ("counts", "known", "peer", "places", "total")

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.total = 0
        self.known = 0
        self.places: dict[int, list[int]] = {}
        self.counts: dict[tuple[int, int], int] = {}

    def take(self, mark: int, stream: int, *, is_unique: bool) -> int:
        """The number of the occurrence that came with these bytes over that connection.

        There is only one if they are ``unique``.
        """
        if is_unique and mark in self.places:
            return self.places[mark][0]
        if self.known >= _MOST_OF_A_LINE:
            self.places, self.counts, self.known = {}, {}, 0
        nth = self.counts.get((stream, mark), 0)
        self.counts[stream, mark] = nth + 1
        places = self.places.setdefault(mark, [])
        if nth < len(places):
            self.known += not nth  # a connection more
            return places[nth]
        self.known += 1
        self.total += 1
        places.append(self.total - 1)
        return places[nth]

    def values(self) -> list[Any]:
        """All that is known, for a snapshot."""
        places = [(mark, [*numbers]) for mark, numbers in self.places.items()]
        counts = [(*of, count) for of, count in self.counts.items()]
        return [self.peer, self.total, places, counts]


class Repeats:
    """Knows the last lines of senders that are answered."""

    def __init__(self) -> None:
        self._recent: dict[bytes, _Once | _Line] = {}
        self._older: dict[bytes, _Once | _Line] = {}

    def occurrence(self, line: bytes, peer: str, stream: int, frame: bytes) -> int:
        """The number, from 0 on, among the lines that have this identity.

        ``peer`` is the sender, ``stream`` its connection.  What came over another way, from another
        peer, is counted by itself.
        """
        own, is_unique = line_of(frame)
        mark = crc32(own)
        seen = self._recent.get(line) or self._older.get(line)
        if seen is None:
            self._keep(line, (peer, mark, stream))
            return 0
        if isinstance(seen, tuple):
            once, seen = seen, _Line(seen[0])
            seen.take(once[1], once[2], is_unique=is_unique)
        if seen.peer != peer:
            self._keep(line, (peer, mark, stream))
            return 0
        self._keep(line, seen)
        return seen.take(mark, stream, is_unique=is_unique)

    def __len__(self) -> int:
        return len(self._recent) + len(self._older)

    def snapshot(self) -> Iterator[bytes]:
        """What is known of the last lines, as lines of bytes, for `restore`; of the call."""
        latest_first = chain(reversed(self._recent.items()), reversed(self._older.items()))
        latest = [
            # What was seen once is never changed, and the others are few.
            (key, seen if isinstance(seen, tuple) else seen.values())
            for key, seen in islice(latest_first, _SNAPSHOT_LINES)
        ][::-1]
        return self._rows(latest)

    def restore(self, lines: Iterable[bytes]) -> None:
        """Take what a snapshot has."""
        for identity, peer, *rest in chain.from_iterable(map(orjson.loads, lines)):
            key = b64decode(identity)
            if len(rest) == 2:
                self._older[key] = (peer, *rest)
                continue
            line = _Line(peer)
            line.total, places, counts = rest
            line.places = dict(places)
            line.counts = {(stream, mark): count for stream, mark, count in counts}
            line.known = len(counts) + sum(map(len, line.places.values()))
            self._older[key] = line

    @staticmethod
    def _rows(latest: Sequence[tuple[bytes, Sequence[Any]]]) -> Iterator[bytes]:
        for start in range(0, len(latest), _SNAPSHOT_ROWS):
            yield orjson.dumps(
                [
                    (b64encode(key).decode("ascii"), *values)
                    for key, values in latest[start : start + _SNAPSHOT_ROWS]
                ]
            )

    def _keep(self, line: bytes, seen: _Once | _Line) -> None:
        self._recent[line] = seen
        if len(self._recent) >= _RECENT:
            self._older, self._recent = self._recent, {}
