"""Event -> enriched event: what is known of a queue ID is written into its delivery events.

* The key is host, Postfix instance and queue ID.  NOQUEUE is no queue ID.
* smtpd logs the client, pickup the user id, cleanup the Message-ID, qmgr sender, size and number
  of recipients.  A delivery event gets all of it; its own values win.
* When a mail ends and another one begins under the same queue ID is the rule of
  `mailingest.postfix.lifecycle`.  What is known lingers after the end, since UDP may bring a
  delivery line after it.
* UDP may also bring a delivery line before its qmgr line.  It is then held back for a moment.
* Memory is bounded.  Mails that are over go first, then the one that no line was about for the
  longest time.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from sys import intern
from typing import Any, Final

import orjson

from mailingest.postfix.lifecycle import ENDS, REORDERED_SECONDS, Step, begins_another, step_of
from mailingest.postfix.parser import Event

CORRELATION_NOMATCH: Final = "_correlation_nomatch"

# Postfix gives up on a mail after 5 days (maximal_queue_lifetime), and may take another attempt.
LIFETIME: Final = 6 * 86_400.0
# UDP and rsyslog's workers displace lines by milliseconds; a document should not wait for long.
WAIT: Final = 2.0
LINGER: Final = 60.0
# Some 600 bytes each: half a gigabyte at the very most.
CAPACITY: Final = 750_000
# Two seconds of 10,000 deliveries each.
MOST_WAITING: Final = 20_000

# What is learned of a mail: the field of an event, and the slot of a `KnownMail`.
_FACTS: Final = {
    "postfix_from": "sender",
    "postfix_size": "size",
    "postfix_nrcpt": "nrcpt",
    "postfix_message-id": "message_id",
    "postfix_client_hostname": "client_hostname",
    "postfix_client_ip": "client_ip",
    "postfix_sasl_username": "sasl_username",
    "postfix_uid": "uid",
}
_CLIENT_FACTS: Final = (
    "postfix_client_hostname",
    "postfix_client_ip",
    "postfix_sasl_username",
    "postfix_uid",
)
# What is learned at each beginning.
_LEARNED: Final[Mapping[Step, Sequence[str]]] = {
    "accepted": _CLIENT_FACTS,
    "submitted": _CLIENT_FACTS,
    "identified": ("postfix_message-id",),
    "activated": ("postfix_from", "postfix_size", "postfix_nrcpt"),
}
_SHARED = frozenset({"postfix_client_hostname", "postfix_client_ip", "postfix_sasl_username"})
_facts = attrgetter(*_FACTS.values())
# Mails in one line of a snapshot: a few milliseconds of work.
_SNAPSHOT_MAILS: Final = 500


@dataclass(slots=True)
class KnownMail:
    """What is known of a mail, and when a line last began or ended it, in seconds since 1970."""

    touched: float
    sender: str | None = None
    size: int | None = None
    nrcpt: int | None = None
    message_id: str | None = None
    client_hostname: str | None = None
    client_ip: str | None = None
    sasl_username: str | None = None
    uid: int | None = None

    @property
    def active_sender(self) -> str | None:
        """Only qmgr's word is kept as the sender."""
        return self.sender


@dataclass(slots=True)
class EnrichmentCounters:
    """What happened to mails and delivery events since the start."""

    entries_evicted: int = 0
    entries_expired: int = 0
    deliveries_enriched: int = 0
    deliveries_unmatched: int = 0


class QueueMap:
    """The queue IDs of all hosts.

    ``wait`` is how long, in seconds, a delivery event may be held back for its qmgr line; with 0
    every event comes out at once and in order.  At most ``capacity`` mails are remembered, each for
    ``lifetime`` seconds after the last line that began it.
    """

    def __init__(
        self, *, wait: float = WAIT, capacity: int = CAPACITY, lifetime: float = LIFETIME
    ) -> None:
        self.counters = EnrichmentCounters()
        self.waiting = 0
        """How many delivery events are held back."""
        self.mark = 0
        """Where the record begins whose events come now: a number of the caller's that never falls.

        An event that is held back keeps it: see `held_since`.
        """
        self._wait = wait
        self._capacity = capacity
        self._lifetime = lifetime
        # Both have the mail that was touched first at their beginning.
        self._entries: OrderedDict[str, KnownMail] = OrderedDict()
        self._over: OrderedDict[str, KnownMail] = OrderedDict()
        # By key: the mark of the first event, its time, and all of them.
        self._waiting: OrderedDict[str, tuple[int, float, list[Event]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries) + len(self._over)

    def feed(self, event: Event, now: float) -> Sequence[Event]:
        """Take an event, and give those that are ready; ``now`` is in seconds since 1970."""
        if event.queue_id is None:
            return (event,)
        fields = event.fields
        step = step_of(event.service, fields)
        if step is None:
            return (event,)
        key = f"{event.hostname} {event.instance} {event.queue_id}"
        if step == "delivery":
            return self._deliver(key, event, now)
        if step in ENDS:
            self._end(key, now)
        elif step in _LEARNED:
            self._learn(key, step, fields, now)
            if step == "activated" and key in self._waiting:
                return (event, *self._stop_waiting(key))
        return (event,)

    def tick(self, now: float) -> list[Event]:
        """Let time pass: give the events that waited long enough, forget what is over."""
        ready: list[Event] = []
        while self._waiting:
            key, (_, since, _) = next(iter(self._waiting.items()))
            # If the clock was set back, nobody knows how long it has been.
            if now - self._wait < since <= now:
                break
            ready += self._stop_waiting(key)
        _forget(self._over, now - LINGER)
        self.counters.entries_expired += _forget(self._entries, now - self._lifetime)
        return ready

    def flush(self) -> list[Event]:
        """Give all events that wait."""
        return [event for key in list(self._waiting) for event in self._stop_waiting(key)]

    @property
    def held_since(self) -> int | None:
        """The mark of the first event that is held back; None if there is none."""
        return next(iter(self._waiting.values()))[0] if self._waiting else None

    def snapshot(self) -> Iterator[bytes]:
        """The mails at the time of the call as lines of bytes, for `restore`.

        Events may be fed in between.
        """
        return chain(
            [orjson.dumps(list(_FACTS))],
            _rows(list(self._entries), list(self._entries.values()), is_over=False),
            _rows(list(self._over), list(self._over.values()), is_over=True),
        )

    def restore(self, lines: Iterable[bytes]) -> None:
        """Take the mails of a snapshot; raises ValueError if another version made it."""
        names, *parts = map(orjson.loads, lines)
        if names != list(_FACTS):
            raise ValueError("a snapshot of another version")
        for key, is_over, touched, *facts in chain.from_iterable(parts):
            (self._over if is_over else self._entries)[key] = KnownMail(touched, *facts)
        self._evict()

    def _deliver(self, key: str, event: Event, now: float) -> Sequence[Event]:
        if not self._wait or self.waiting >= MOST_WAITING or self._knows_sender(key):
            self._enrich(key, event)
            return (event,)
        if key not in self._waiting:
            self._waiting[key] = (self.mark, now, [])
        self._waiting[key][2].append(event)
        self.waiting += 1
        return ()

    def _stop_waiting(self, key: str) -> list[Event]:
        _, _, events = self._waiting.pop(key)
        self.waiting -= len(events)
        for event in events:
            self._enrich(key, event)
        return events

    def _knows_sender(self, key: str) -> bool:
        mail = self._entries.get(key) or self._over.get(key)
        return mail is not None and mail.sender is not None

    def _enrich(self, key: str, event: Event) -> None:
        fields = event.fields
        mail = self._entries.get(key) or self._over.get(key)
        if mail is not None:
            for name, value in zip(_FACTS, _facts(mail), strict=True):
                if value is not None and name not in fields:
                    fields[name] = value
        if mail is not None and mail.sender is not None:
            self.counters.deliveries_enriched += 1
        else:
            fields["tags"].append(CORRELATION_NOMATCH)
            self.counters.deliveries_unmatched += 1

    def _learn(self, key: str, step: Step, fields: dict[str, Any], now: float) -> None:
        """Learn from a line that begins a mail: the one that is known, or a new one."""
        known = self._entries.get(key)
        over = self._over.get(key) if known is None else None
        mail = known or over
        if mail is None or begins_another(
            step, fields, mail, gap=now - mail.touched, is_over=over is not None
        ):
            mail = self._begin(key, now)
        elif known is not None:
            mail = self._entries[key] = _copy(mail, now)
            self._entries.move_to_end(key)
        else:
            # Its end does not move, though a line came after it.
            mail = self._over[key] = _copy(mail, mail.touched)
        _take(mail, _LEARNED[step], fields)

    def _begin(self, key: str, now: float) -> KnownMail:
        self._over.pop(key, None)
        mail = self._entries[key] = KnownMail(now)
        self._entries.move_to_end(key)
        self._evict()
        return mail

    def _end(self, key: str, now: float) -> None:
        mail = self._entries.pop(key, None)
        if mail is not None:
            self._over[key] = _copy(mail, now)
        elif key in self._over and now - self._over[key].touched > REORDERED_SECONDS:
            # No mail ends twice: it is the next one, of which nothing is known yet.
            del self._over[key]
            self._over[key] = KnownMail(now)

    def _evict(self) -> None:
        while len(self) > self._capacity:
            if self._over:
                self._over.popitem(last=False)
            else:
                self._entries.popitem(last=False)
                self.counters.entries_evicted += 1


def _copy(mail: KnownMail, touched: float) -> KnownMail:
    """An mail to write into: a snapshot that is being taken keeps the old one as it was."""
    return KnownMail(touched, *_facts(mail))


def _rows(keys: list[str], entries: list[KnownMail], *, is_over: bool) -> Iterator[bytes]:
    for start in range(0, len(keys), _SNAPSHOT_MAILS):
        part = slice(start, start + _SNAPSHOT_MAILS)
        yield orjson.dumps(
            [
                [key, is_over, mail.touched, *_facts(mail)]
                for key, mail in zip(keys[part], entries[part], strict=True)
            ]
        )


def _forget(entries: OrderedDict[str, KnownMail], until: float) -> int:
    """Drop the mails that were touched last then or before; how many there were."""
    count = 0
    while entries and next(iter(entries.values())).touched <= until:
        entries.popitem(last=False)
        count += 1
    return count


def _take(mail: KnownMail, names: Iterable[str], fields: dict[str, Any]) -> None:
    for name in names:
        value = fields.get(name)
        if value is None:
            continue
        slot = _FACTS[name]
        if slot == "message_id" and mail.message_id is not None:
            continue  # the first of several headers counts
        # Most mail comes from few clients: their names are kept once.
        setattr(mail, slot, intern(value) if name in _SHARED else value)
