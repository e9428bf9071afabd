"""Event -> enriched event: what is known of a queue ID is written into its delivery events.

* qmgr's first line of a mail that was received has its size once more, under a name whose values
  can be added up: a mail that is tried again is active again.
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
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from sys import intern
from typing import Any, Final

import orjson

from mailingest.postfix.event import Event
from mailingest.postfix.known_mails import EnrichmentCounters, KnownMail, KnownMails
from mailingest.postfix.lifecycle import (
    BEGINNINGS,
    ENDS,
    REORDERED_SECONDS,
    Step,
    begins_another,
    step_of,
)
from mailingest.postfix.spreading import worker_of_mail
from mailingest.syslog.peers import HOSTS_EXCEEDED

CORRELATION_NOMATCH: Final = "_correlation_nomatch"

# Postfix gives up on a mail after 5 days (maximal_queue_lifetime), and may take another attempt.
LIFETIME: Final = 6 * 86_400.0
# UDP and rsyslog's workers displace lines by milliseconds; a document should not wait for long.
WAIT: Final = 2.0
LINGER: Final = 60.0
# With usual lengths, some 400 bytes each; more if the names are long.
CAPACITY: Final = 750_000
MOST_BYTES: Final = 512 * 1024 * 1024
# Two seconds of 10,000 deliveries each; a line may have 60 KB.
MOST_WAITING: Final = 20_000
MOST_WAITING_BYTES: Final = 64 * 1024 * 1024
# Longer ones are not kept.  A path has 256 octets (RFC 5321 4.5.3.1.3), and a line of a header 998
# (RFC 5322 2.1.1).
_LONGEST_FACT: Final = 1024
_LONGEST_KEY: Final = 512

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
# Most mails are of this one, and need no text that says so.
_USUAL_INSTANCE: Final = "postfix"
_facts = attrgetter(*_FACTS.values())
_VERSION: Final = ["by host", *_FACTS]
# Mails in one line of a snapshot: a few milliseconds of work.
_SNAPSHOT_MAILS: Final = 500


class QueueMap:
    """The queue IDs of all hosts.

    ``wait`` is how long, in seconds, a delivery event may be held back for its qmgr line; with 0
    every event comes out at once and in order.  At most ``capacity`` mails are remembered, in
    about ``max_bytes``, each for ``lifetime`` seconds after the last line that began it.
    """

    def __init__(
        self,
        *,
        wait: float = WAIT,
        capacity: int = CAPACITY,
        max_bytes: int = MOST_BYTES,
        lifetime: float = LIFETIME,
    ) -> None:
        self.counters = EnrichmentCounters()
        self.waiting = 0
        """How many delivery events are held back."""
        self.mark = 0
        """Where the record begins whose events come now: a number of the caller's that never falls.

        An event that is held back keeps it: see `held_since`.
        """
        self.submitted: list[tuple[str, int]] = []
        """Mails that are in the queue since the last look: user who logged in, and recipients.

        Whoever feeds empties it.
        """
        self._wait = wait
        self._lifetime = lifetime
        self._mails = KnownMails(capacity, max_bytes, self.counters)
        self._waiting_bytes = 0
        # By host and key: the mark of the first event, its time, and all of them.
        self._waiting: OrderedDict[tuple[str, str], tuple[int, float, list[Event]]] = OrderedDict()
        # The second of the last line that began or ended a mail: all of them share it.
        self._second = 0.0

    def __len__(self) -> int:
        return len(self._mails)

    @property
    def size_bytes(self) -> int:
        """About how much memory the mails take."""
        return self._mails.size_bytes

    def anew(self) -> "QueueMap":
        """One with the same bounds, which knows nothing."""
        mails = self._mails
        return QueueMap(
            wait=self._wait,
            capacity=mails.most,
            max_bytes=mails.most_bytes,
            lifetime=self._lifetime,
        )

    def limit(self, *, capacity: int, max_bytes: int, lifetime: float) -> None:
        """Keep to other bounds from now on; what is known stays known."""
        self._lifetime = lifetime
        self._mails.limit(capacity, max_bytes)

    def feed(self, event: Event, now: float) -> Sequence[Event]:
        """Take an event, and give those that are ready; ``now`` is in seconds since 1970."""
        queue_id = event.queue_id
        if queue_id is None:
            return (event,)
        fields = event.fields
        step = step_of(event.service, fields)
        if step is None:
            return (event,)
        host = _share_of(event)
        if len(event.hostname) + len(event.instance) + len(queue_id) > _LONGEST_KEY:
            self.counters.facts_too_long += 1
            return (event,)
        key = _key_of(event, host)
        if step == "delivery":
            return self._deliver(host, key, event, now)
        if not 0.0 <= now - self._second < 1.0:
            self._second = float(int(now))
        now = self._second
        if step in BEGINNINGS:
            self._learn(host, key, step, fields, now)
            if self._waiting and step == "activated" and (host, key) in self._waiting:
                return (event, *self._stop_waiting((host, key)))
        elif step in ENDS:
            self._end(host, key, now)
        return (event,)

    def tick(self, now: float) -> list[Event]:
        """Let time pass: give the events that waited long enough, forget what is over."""
        ready: list[Event] = []
        while self._waiting:
            place, (_, since, _) = next(iter(self._waiting.items()))
            # If the clock was set back, nobody knows how long it has been.
            if now - self._wait < since <= now:
                break
            ready += self._stop_waiting(place)
        self._mails.forget(live=now - self._lifetime, over=now - LINGER)
        return ready

    def flush(self) -> list[Event]:
        """Give all events that wait."""
        return [event for place in list(self._waiting) for event in self._stop_waiting(place)]

    @property
    def held_since(self) -> int | None:
        """The mark of the first event that is held back; None if there is none."""
        return next(iter(self._waiting.values()))[0] if self._waiting else None

    def snapshot(self) -> Iterator[bytes]:
        """The mails at the time of the call as lines of bytes, for `restore`.

        Events may be fed in between.
        """
        return chain([orjson.dumps(_VERSION)], _rows(self._mails.rows()))

    def restore(self, lines: Iterable[bytes]) -> None:
        """Take the mails of a snapshot; raises ValueError if another version made it."""
        version, *rows = map(orjson.loads, lines)
        if version == list(_FACTS):
            rows = [_of_first_version(row) for row in chain.from_iterable(rows)]
        elif version != _VERSION:
            raise ValueError("a snapshot of another version")
        for host, is_over, mails in rows:
            known = ((_short(host, key), KnownMail(*facts)) for key, *facts in mails)
            self._mails.restore(host, known, is_over=is_over)

    def _deliver(self, host: str, key: str, event: Event, now: float) -> Sequence[Event]:
        if not self._wait or self._is_full() or self._knows_sender(host, key):
            self._enrich(host, key, event)
            return (event,)
        place = (host, key)
        if place not in self._waiting:
            self._waiting[place] = (self.mark, now, [])
        self._waiting[place][2].append(event)
        self.waiting += 1
        self._waiting_bytes += _length(event)
        return ()

    def _is_full(self) -> bool:
        return self.waiting >= MOST_WAITING or self._waiting_bytes >= MOST_WAITING_BYTES

    def _stop_waiting(self, place: tuple[str, str]) -> list[Event]:
        _, _, events = self._waiting.pop(place)
        host, key = place
        self.waiting -= len(events)
        for event in events:
            self._waiting_bytes -= _length(event)
            self._enrich(host, key, event)
        return events

    def _knows_sender(self, host: str, key: str) -> bool:
        mail, _ = self._mails.get(host, key)
        return mail is not None and mail.has_sender

    def _enrich(self, host: str, key: str, event: Event) -> None:
        fields = event.fields
        mail, _ = self._mails.get(host, key)
        if mail is not None:
            # Both have a length; the keyword would cost as much as the loop's beginning.
            for name, value in zip(_FACTS, _facts(mail)):  # noqa: B905
                if value is not None and name not in fields:
                    fields[name] = value
            if mail.has_sender:
                self.counters.deliveries_enriched += 1
                return
        fields["tags"].append(CORRELATION_NOMATCH)
        self.counters.deliveries_unmatched += 1

    def _learn(self, host: str, key: str, step: Step, fields: dict[str, Any], now: float) -> None:
        """Learn from a line that begins a mail: the one that is known, or a new one."""
        known, is_over = self._mails.get(host, key)
        if known is None or begins_another(
            step, fields, known, gap=now - known.touched, is_over=is_over
        ):
            mail = KnownMail(now)
            self._take(mail, step, fields)
            self._mails.begin(host, key, mail)
            return
        is_first_time = step == "activated" and known.nrcpt is None
        mail = self._mails.writable(known)
        grown = self._take(mail, step, fields)
        if is_first_time:
            # It is active again for each attempt.
            if mail.is_received and mail.size is not None:
                fields["postfix_received_size"] = mail.size
            if mail.sasl_username and mail.nrcpt:
                self.submitted.append((mail.sasl_username, mail.nrcpt))
        self._mails.update(host, key, mail, grown, now, is_over=is_over)

    def _end(self, host: str, key: str, now: float) -> None:
        mail, is_over = self._mails.get(host, key)
        if mail is None:
            return
        if not is_over:
            mail = self._mails.writable(mail)
            mail.touched = now
            self._mails.end(host, key, mail)
        elif now - mail.touched > REORDERED_SECONDS:
            # No mail ends twice: it is the next one, of which nothing is known yet.
            self._mails.end(host, key, KnownMail(now))

    def _take(self, mail: KnownMail, step: Step, fields: dict[str, Any]) -> int:
        """Take what a line that begins a mail says; by how many bytes the mail grows."""
        if step == "identified":
            if mail.message_id is not None:
                return 0  # the first of several headers counts
            message_id = self._kept(fields.get("postfix_message-id"))
            if message_id is None:
                return 0
            mail.message_id = message_id
            return len(message_id)
        if step == "activated":
            return self._take_envelope(mail, fields)
        if fields.get("outcome") == "received":
            mail.mark_received()
        # Most mail comes from few clients: their names are kept once.
        if (hostname := self._kept(fields.get("postfix_client_hostname"))) is not None:
            mail.client_hostname = intern(hostname)
        if (client_ip := self._kept(fields.get("postfix_client_ip"))) is not None:
            mail.client_ip = intern(client_ip)
        if (username := self._kept(fields.get("postfix_sasl_username"))) is not None:
            mail.sasl_username = intern(username)
        if (uid := fields.get("postfix_uid")) is not None:
            mail.uid = uid
        return 0

    def _take_envelope(self, mail: KnownMail, fields: dict[str, Any]) -> int:
        if (size := fields.get("postfix_size")) is not None:
            mail.size = size
        if (recipients := fields.get("postfix_nrcpt")) is not None:
            mail.nrcpt = recipients
        sender = self._kept(fields.get("postfix_from"))
        if sender is None:
            return 0
        before = mail.size_bytes
        mail.sender = sender
        return mail.size_bytes - before

    def _kept(self, text: str | None) -> str | None:
        """The text, unless it is too long."""
        if text is not None and len(text) > _LONGEST_FACT:
            self.counters.facts_too_long += 1
            return None
        return text


def _share_of(event: Event) -> str:
    """Which part of the memory a line's mail takes; host names that a peer makes up share one."""
    return "" if HOSTS_EXCEEDED in event.fields.get("tags", ()) else event.hostname


def _key_of(event: Event, share: str) -> str:
    """The name of a mail in a part of the memory: the queue ID, and what is not the usual one."""
    instance, queue_id = event.instance, event.queue_id or ""
    if not share:
        return f"{event.hostname} {instance} {queue_id}"
    return queue_id if instance == _USUAL_INSTANCE else f"{instance} {queue_id}"


def _full(share: str, key: str) -> str:
    """A key as a snapshot has it: host, instance and queue ID."""
    if not share:
        return key
    return f"{share} {key}" if " " in key else f"{share} {_USUAL_INSTANCE} {key}"


def _short(share: str, key: str) -> str:
    """The key that `_full` was made of."""
    if not share:
        return key
    key = key.removeprefix(f"{share} ")
    return key.removeprefix(f"{_USUAL_INSTANCE} ")


def _length(event: Event) -> int:
    """About how many bytes an event takes whose line is long."""
    return 2 * len(event.fields.get("message", ""))


def mails_of_workers(lines: Iterable[bytes], workers: int) -> Iterator[tuple[int, bytes]]:
    """The mails of a snapshot for so many workers of the service: the worker, and a line for it.

    Raises ValueError if another version made it.
    """
    version, *rows = map(orjson.loads, lines)
    if version != _VERSION:
        raise ValueError("a snapshot of another version")
    yield from ((one, orjson.dumps(_VERSION)) for one in range(workers))
    for host, is_over, mails in rows:
        own: list[list[list[Any]]] = [[] for _ in range(workers)]
        for mail in mails:
            own[worker_of_mail(mail[0], workers)].append(mail)
        for one, some in enumerate(own):
            if some:
                yield one, orjson.dumps([host, is_over, some])


def _of_first_version(row: list[Any]) -> list[Any]:
    """A row as it is now: its host was only in the key, which begins with it."""
    key, is_over, *known = row
    return [key.partition(" ")[0], is_over, [[key, *known]]]


def _rows(parts: Iterator[tuple[str, bool, list[tuple[str, KnownMail]]]]) -> Iterator[bytes]:
    for host, is_over, mails in parts:
        for start in range(0, len(mails), _SNAPSHOT_MAILS):
            some = mails[start : start + _SNAPSHOT_MAILS]
            rows = [_row(_full(host, key), mail) for key, mail in some]
            yield orjson.dumps([host, is_over, rows])


def _row(key: str, mail: KnownMail) -> list[Any]:
    """Whether it was received is told with its first qmgr line, and needed no more then."""
    row = [key, mail.touched, *_facts(mail)]
    return [*row, True] if mail.is_received and mail.nrcpt is None else row
