"""Event -> enriched event: what is known of a queue ID is written into its delivery events.

The rules:

* The key is host, Postfix instance and queue ID.  NOQUEUE is no queue ID.
* smtpd tells the client, pickup the user id, cleanup the Message-ID, qmgr sender, size and number
  of recipients.  A delivery event gets all of it; its own values win.
* Short queue IDs are used again.  A line that only a new mail can have (smtpd's `client=`,
  pickup's `uid=`; cleanup's `message-id=` or qmgr's `queue active` after the end) starts afresh.
* The end is `removed`, a reject by cleanup, or postsuper.  The entry lingers for a while, since
  UDP may bring a delivery line after it.
* UDP may also bring a delivery line before its qmgr line.  It then waits for a moment.
* Memory is bounded: the entry that was not touched for the longest time goes first, counted.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from mailingest.core.events import Event

CORRELATION_NOMATCH: Final = "_correlation_nomatch"

# Postfix gives up on a mail after 5 days (maximal_queue_lifetime), and may take another attempt.
LIFETIME: Final = 6 * 86_400.0
# rsyslog and the network reorder by milliseconds; a second and a bit covers a slow line.
WAIT: Final = 2.0
LINGER: Final = 60.0
# About 700 bytes each: half a gigabyte at the very most.
CAPACITY: Final = 750_000
# Two seconds of 10,000 deliveries each.
MOST_WAITING: Final = 20_000

# What each daemon's lines tell; the order is the order of Entry.facts.
_FACTS: Final = (
    "postfix_from",
    "postfix_size",
    "postfix_nrcpt",
    "postfix_message-id",
    "postfix_client_hostname",
    "postfix_client_ip",
    "postfix_sasl_username",
    "postfix_uid",
)
_SENDER, _SIZE, _NRCPT, _MESSAGE_ID, _CLIENT_HOSTNAME, _CLIENT_IP, _SASL, _UID = range(len(_FACTS))
_QMGR_FACTS = (_SENDER, _SIZE, _NRCPT)
_CLIENT_FACTS = (_CLIENT_HOSTNAME, _CLIENT_IP, _SASL)
# cleanup's word that no mail comes of the queue ID, which is then free again.
_CLEANUP_ENDS = frozenset({"reject", "discard"})

_SNAPSHOT_HEAD = b'{"mailingest_queue_map":1}'


@dataclass(slots=True)
class Entry:
    """What is known of a queue ID; times are seconds since 1970."""

    touched: float
    facts: list[Any]
    ended: float | None = None


@dataclass(slots=True)
class Counters:
    """What happened to entries and delivery events since the start."""

    entries_evicted: int = 0
    entries_expired: int = 0
    deliveries_enriched: int = 0
    deliveries_unmatched: int = 0


class QueueMap:
    """The queue IDs of all hosts.

    ``wait`` is how long, in seconds, a delivery event may be held back for its qmgr line; with 0
    every event comes out at once and in order.  ``capacity`` bounds the entries, ``lifetime`` is
    how many seconds an entry lives without being touched.
    """

    def __init__(
        self, *, wait: float = WAIT, capacity: int = CAPACITY, lifetime: float = LIFETIME
    ) -> None:
        self.counters = Counters()
        self._wait = wait
        self._capacity = capacity
        self._lifetime = lifetime
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._ended: deque[tuple[float, str]] = deque()
        self._waiting: dict[str, list[Event]] = {}
        self._waiting_since: deque[tuple[float, str, Event]] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def waiting(self) -> int:
        """How many delivery events are held back."""
        return sum(map(len, self._waiting.values()))

    def feed(self, event: Event, now: float) -> Sequence[Event]:
        """Take an event, and give those that are ready; ``now`` is in seconds since 1970."""
        if event.queue_id is None:
            return (event,)
        key = f"{event.hostname} {event.instance} {event.queue_id}"
        fields = event.fields
        if "postfix_to" in fields and "postfix_status" in fields:
            return self._deliver(key, event, now)
        service = event.service
        if service == "qmgr":
            return self._qmgr(key, event, now)
        if service == "cleanup":
            self._cleanup(key, fields, now)
        elif service == "pickup":
            if "postfix_uid" in fields:
                self._born(key, now).facts[_UID] = fields["postfix_uid"]
        elif service == "postsuper":
            if fields.get("postfix_postsuper_action") == "removed":
                self._end(key, now)
        elif "postfix_client_hostname" in fields and "postfix_action" not in fields:
            self._client(key, fields, now)
        return (event,)

    def tick(self, now: float) -> list[Event]:
        """Let time pass: give the events that waited long enough, forget what is over."""
        ready: list[Event] = []
        while self._waiting_since and self._waiting_since[0][0] <= now - self._wait:
            _, key, event = self._waiting_since.popleft()
            if self._stop_waiting(key, event):
                ready.append(self._enrich(key, event))
        while self._ended and self._ended[0][0] <= now - LINGER:
            ended, key = self._ended.popleft()
            entry = self._entries.get(key)
            if entry is not None and entry.ended == ended:
                del self._entries[key]
        oldest = next(iter(self._entries.values()), None)
        while oldest is not None and oldest.touched <= now - self._lifetime:
            self._entries.popitem(last=False)
            self.counters.entries_expired += 1
            oldest = next(iter(self._entries.values()), None)
        return ready

    def flush(self) -> list[Event]:
        """Give all events that wait."""
        ready = [
            self._enrich(key, event)
            for _, key, event in self._waiting_since
            if self._stop_waiting(key, event)
        ]
        self._waiting_since.clear()
        return ready

    def snapshot(self) -> Iterator[bytes]:
        """The entries as lines of bytes, for `restore`; a last line tells that it is whole."""
        yield _SNAPSHOT_HEAD
        count = 0
        for key, entry in list(self._entries.items()):
            yield orjson.dumps([key, entry.touched, entry.ended, *entry.facts])
            count += 1
        yield orjson.dumps(count)

    def restore(self, lines: Iterable[bytes]) -> None:
        """Take the entries of a snapshot; raises ValueError, and takes none, if it is damaged."""
        entries: OrderedDict[str, Entry] = OrderedDict()
        head, *body = lines
        if head != _SNAPSHOT_HEAD or not body:
            raise ValueError("not a snapshot of this version")
        *rows, count = map(orjson.loads, body)
        if count != len(rows):
            raise ValueError("not whole")
        for row in rows:
            key, touched, ended, *facts = row
            if not isinstance(key, str) or len(facts) != len(_FACTS):
                raise ValueError("a row of another version")
            entries[key] = Entry(float(touched), facts, ended)
        self._entries = entries
        self._ended = deque(
            sorted((entry.ended, key) for key, entry in entries.items() if entry.ended is not None)
        )

    def _deliver(self, key: str, event: Event, now: float) -> Sequence[Event]:
        entry = self._entries.get(key)
        if entry is not None and entry.facts[_SENDER] is not None:
            _write(entry, event.fields)
            self.counters.deliveries_enriched += 1
            return (event,)
        if self._wait and len(self._waiting_since) < MOST_WAITING:
            self._waiting.setdefault(key, []).append(event)
            self._waiting_since.append((now, key, event))
            return ()
        return (self._enrich(key, event),)

    def _enrich(self, key: str, event: Event) -> Event:
        entry = self._entries.get(key)
        if entry is not None:
            _write(entry, event.fields)
        if entry is not None and entry.facts[_SENDER] is not None:
            self.counters.deliveries_enriched += 1
        else:
            event.fields["tags"].append(CORRELATION_NOMATCH)
            self.counters.deliveries_unmatched += 1
        return event

    def _stop_waiting(self, key: str, event: Event) -> bool:
        """False if the event went out already."""
        events = self._waiting.get(key, [])
        for index, waiting in enumerate(events):
            if waiting is event:
                del events[index]
                if not events:
                    del self._waiting[key]
                return True
        return False

    def _qmgr(self, key: str, event: Event, now: float) -> Sequence[Event]:
        fields = event.fields
        if "postfix_size" in fields:
            entry = self._touch(key, now)
            # A line that comes just after the end was overtaken by it.
            is_over = entry.ended is not None and entry.ended < now - self._wait
            if is_over or entry.facts[_SENDER] not in (None, fields["postfix_from"]):
                entry = self._renew(key, now)
            _learn(entry, _QMGR_FACTS, fields)
            if key in self._waiting:
                return (event, *(self._enrich(key, one) for one in self._waiting.pop(key)))
        elif fields.get("postfix_message") == "removed":
            self._end(key, now)
        return (event,)

    def _cleanup(self, key: str, fields: dict[str, Any], now: float) -> None:
        message_id = fields.get("postfix_message-id")
        if message_id is not None:
            entry = self._touch(key, now)
            # Several header lines are logged before qmgr's line, none after it.
            is_other = entry.facts[_SENDER] is not None and entry.facts[_MESSAGE_ID] not in (
                None,
                message_id,
            )
            if entry.ended is not None or is_other:
                entry = self._renew(key, now)
            if entry.facts[_MESSAGE_ID] is None:
                entry.facts[_MESSAGE_ID] = message_id
        elif (
            fields.get("postfix_action") in _CLEANUP_ENDS
            or fields.get("postfix_milter_result") in _CLEANUP_ENDS
            or fields.get("postfix_message", "").startswith(("removed (", "canceled", "discarded"))
        ):
            self._end(key, now)

    def _client(self, key: str, fields: dict[str, Any], now: float) -> None:
        _learn(self._born(key, now), _CLIENT_FACTS, fields)

    def _born(self, key: str, now: float) -> Entry:
        """The entry of a new mail; what UDP brought of the same mail before is kept."""
        entry = self._touch(key, now)
        facts = entry.facts
        is_other_mail = (
            entry.ended is not None
            or facts[_SENDER] is not None
            or facts[_CLIENT_HOSTNAME] is not None
            or facts[_UID] is not None
        )
        return self._renew(key, now) if is_other_mail else entry

    def _touch(self, key: str, now: float) -> Entry:
        entry = self._entries.get(key)
        if entry is None:
            return self._renew(key, now)
        entry.touched = now
        self._entries.move_to_end(key)
        return entry

    def _renew(self, key: str, now: float) -> Entry:
        entry = self._entries[key] = Entry(now, [None] * len(_FACTS))
        self._entries.move_to_end(key)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
            self.counters.entries_evicted += 1
        return entry

    def _end(self, key: str, now: float) -> None:
        entry = self._entries.get(key)
        if entry is not None and entry.ended is None:
            entry.ended = now
            self._ended.append((now, key))


def _learn(entry: Entry, places: Iterable[int], fields: dict[str, Any]) -> None:
    for place in places:
        value = fields.get(_FACTS[place])
        if value is not None:
            entry.facts[place] = value


def _write(entry: Entry, fields: dict[str, Any]) -> None:
    for name, value in zip(_FACTS, entry.facts, strict=True):
        if value is not None and name not in fields:
            fields[name] = value
