"""Which of several workers a line belongs to, so that each makes of its lines what one would make.

Pure.  There are two ways: that of a replay, whose workers all read the same lines from the first
to the last, and that of the service, whose workers may lose what they know.

In a replay, all lines of a mail are one worker's, and so are those of the session that it came by:
what follows from their order (`mailingest.trace.sessions`) is the same in the store then.  Lines
that are alike go to one worker, for they are counted (`mailingest.documents`).

* A session is told by host, tag, process id and client.  A new one goes to the worker that has had
  the fewest lines, for some sessions have many.
* A queue ID that a client's mail gets goes where the session goes, any other new one to the worker
  with the fewest lines.  Later lines with it go where the first one went.
* What is of no session and no queue ID, and what programs beside Postfix write, stands for itself.
* smtp(8) and lmtp(8) set up a TLS session by a line without a queue ID, for mails of all workers:
  those lines all workers have to hear of.

All of that is told by the lines before, so who is given the same lines spreads them the same way.

In the service a line alone tells whose it is (`worker_of_line`).  There a snapshot may be lost, a
line be given up that ended a process, a disk damage what one worker has read and another has not:
were it told by the lines before, a worker could take a line for another's, and nobody would work
on it.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import Final, Protocol
from zlib import crc32

import orjson

from mailingest.postfix.programs import postfix_program
from mailingest.syslog.records import Record

# Wider than what Postfix makes: a site's own patterns may take more for a queue ID.
_QUEUE_ID = re.compile(r"(?:[a-z]{4,7}: )?([0-9A-F]{6,64}|[0-9A-Za-z]{12,64}):", re.ASCII)
_CLIENT = re.compile(r"\[(?:[0-9A-Fa-f.:]{2,45}|unknown)\]", re.ASCII)
_ACCEPTED: Final = " client="
_REMOVED: Final = " removed"
_TLS_SESSION: Final = "TLS connection "
# A mail lingers after its end for so many seconds; see `mailingest.postfix.enrichment`.
_LINGER: Final = 60.0
# Those that a line was about in the last minutes.
_MOST_SESSIONS: Final = 50_000
_MOST_ENDED: Final = 50_000
# How much each worker has to do counts less and less the longer ago it was.
_LINES_THAT_COUNT: Final = 100_000
# Made-up tags must not fill the memory, nor made-up mails.
_MOST_TAGS: Final = 4096
_ROWS: Final = 500


# The worker of something, and when a line was about that last: only looked at after a mail's end.
_Place = tuple[int, float]


class _Places:
    """Where the latest ``most`` keys have their worker, and up to as many more.

    They are in two generations: the older one goes when the younger one is full.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._young: dict[str, _Place] = {}
        self._old: dict[str, _Place] = {}

    def get(self, key: str) -> _Place | None:
        place = self._young.get(key)
        if place is None and (place := self._old.get(key)) is not None:
            self.set(key, place)
        return place

    def set(self, key: str, place: _Place) -> None:
        if len(self._young) >= self._most:
            self._old, self._young = self._young, {}
        self._young[key] = place

    def pop(self, key: str) -> None:
        self._young.pop(key, None)
        self._old.pop(key, None)

    def items(self) -> list[tuple[str, _Place]]:
        """All of them, the latest at the end."""
        return list({**self._old, **self._young}.items())


@lru_cache(maxsize=_MOST_TAGS)
def _instance_of(tag: str) -> str | None:
    """The Postfix instance of a tag; None for what is not Postfix."""
    found = postfix_program(tag)
    return None if found is None else found.instance


def _tells_all(record: Record) -> bool:
    """Whether a line says something for mails of all workers."""
    return (
        _TLS_SESSION in record.text
        and _instance_of(record.program) is not None
        and _QUEUE_ID.match(record.text) is None
    )


def worker_of_line(record: Record, workers: int) -> int:
    """The worker of a line in the service: by queue ID, by session, or by its text."""
    text = record.text
    instance = _instance_of(record.program)
    if found := _QUEUE_ID.match(text):
        text = found[1] if instance is None else f"{record.hostname} {instance} {found[1]}"
    elif instance is not None and (client := _CLIENT.search(text)):
        text = f"{record.hostname} {record.program} {record.procid} {client[0]}"
    return _by_text(text, workers)


def worker_of_mail(key: str, workers: int) -> int:
    """The worker of a mail in the service, whose key is host, Postfix instance and queue ID."""
    return _by_text(key, workers)


def _by_text(text: str, workers: int) -> int:
    return crc32(text.encode("utf-8", "surrogatepass")) % workers


class Spreader:
    """Spreads the lines of all hosts over ``workers``, numbered from 0, in the order they came in.

    It remembers the workers of ``most_mails`` mails that are under way.
    """

    def __init__(self, workers: int, most_mails: int) -> None:
        self._lines = [0] * workers
        self._mails = _Places(most_mails)
        self._ended = _Places(_MOST_ENDED)
        self._sessions = _Places(_MOST_SESSIONS)

    def worker_of(self, record: Record, now: float, before: float | None = None) -> int:
        """The worker that a line belongs to.

        ``now`` is in seconds since 1970, and ``before`` what it was before the line: None if that
        is the same.
        """
        worker = self._worker_of(record, now, now if before is None else before)
        lines = self._lines
        lines[worker] += 1
        if lines[worker] >= _LINES_THAT_COUNT:
            self._lines = [one // 2 for one in lines]
        return worker

    def snapshot(self) -> Iterator[bytes]:
        """All that it knows, as lines of bytes, for `restore`."""
        yield orjson.dumps(self._lines)
        for places in (self._mails, self._ended, self._sessions):
            rows = places.items()
            parts = [rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS)]
            yield orjson.dumps(len(parts))
            yield from map(orjson.dumps, parts)

    def restore(self, lines: Iterable[bytes]) -> None:
        """Take a snapshot; raises ValueError if it is not whole."""
        rows = iter(lines)
        self._lines = orjson.loads(next(rows, b""))
        for places in (self._mails, self._ended, self._sessions):
            parts = [orjson.loads(next(rows, b"")) for _ in range(orjson.loads(next(rows, b"")))]
            for key, (worker, time) in chain.from_iterable(parts):
                places.set(key, (worker, time))

    def _worker_of(self, record: Record, now: float, before: float) -> int:
        text = record.text
        found = _QUEUE_ID.match(text)
        instance = _instance_of(record.program)
        if instance is None:
            return self._of_alike(text if found is None else found[1])
        if found is None:
            return self._of_session(record)
        key = f"{record.hostname} {instance} {found[1]}"
        rest = text[found.end() :]
        place = self._mails.get(key)
        if place is None:
            place = (self._of_new_mail(record, key, rest, before), now)
            self._mails.set(key, place)
        worker, _ = place
        if rest == _REMOVED:
            self._mails.pop(key)
            self._ended.set(key, (worker, now))
        return worker

    def _of_new_mail(self, record: Record, key: str, rest: str, before: float) -> int:
        """The worker of a queue ID under which no mail is under way."""
        ended = self._ended.get(key)
        # Lines may come later than the end of their mail; and what waits for a line about its queue
        # ID is let go only behind the line that lets the time pass.
        if ended is not None and before - ended[1] < _LINGER:
            return ended[0]
        return self._of_session(record) if rest.startswith(_ACCEPTED) else self._least_busy()

    def _of_session(self, record: Record) -> int:
        """The worker of a line of a client's session; of any other line, that of those alike."""
        client = _CLIENT.search(record.text)
        if client is None:
            return self._of_alike(record.text)
        key = f"{record.hostname} {record.program} {record.procid} {client[0]}"
        place = self._sessions.get(key)
        if place is None:
            place = (self._least_busy(), 0.0)
            self._sessions.set(key, place)
        return place[0]

    def _of_alike(self, text: str) -> int:
        return _by_text(text, len(self._lines))

    def _least_busy(self) -> int:
        return self._lines.index(min(self._lines))


class Share(Protocol):
    """The lines of one of several workers, its ``number`` from 0 ``of`` so many."""

    number: int
    of: int

    def takes(self, record: Record, now: float, before: float) -> bool:
        """Whether a line belongs to this worker; to be asked of each line once, in their order.

        ``now`` is in seconds since 1970, and ``before`` what it was before the line.
        """

    def hears_of(self, record: Record) -> bool:
        """Whether a line of another worker says something that lines of this one need."""

    def snapshot(self) -> Iterator[bytes]:
        """What it knows of earlier lines, as lines of bytes, for `restore`."""

    def restore(self, lines: Iterable[bytes]) -> None:
        """Take a snapshot, all of it or nothing; raises ValueError."""


class ReplayShare:
    """See `Share`: that of a worker of a replay."""

    def __init__(self, number: int, of: int, most_mails: int) -> None:
        self.number = number
        self.of = of
        self._most_mails = most_mails
        self.spreader = Spreader(of, most_mails)

    def takes(self, record: Record, now: float, before: float) -> bool:
        return self.spreader.worker_of(record, now, before) == self.number

    def hears_of(self, record: Record) -> bool:
        return _tells_all(record)

    def snapshot(self) -> Iterator[bytes]:
        return self.spreader.snapshot()

    def restore(self, lines: Iterable[bytes]) -> None:
        spreader = Spreader(self.of, self._most_mails)
        spreader.restore(lines)
        self.spreader = spreader


class ServiceShare:
    """See `Share`: that of a worker of the service, which need not know anything for it."""

    def __init__(self, number: int, of: int) -> None:
        self.number = number
        self.of = of

    def takes(self, record: Record, _now: float, _before: float) -> bool:
        return worker_of_line(record, self.of) == self.number

    def hears_of(self, record: Record) -> bool:
        return _tells_all(record)

    def snapshot(self) -> Iterator[bytes]:
        return iter(())

    def restore(self, lines: Iterable[bytes]) -> None:
        pass
