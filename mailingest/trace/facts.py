"""What is known of mails: queues (a mail under one queue ID), attempts, and refusals.  Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from mailingest.postfix.lifecycle import REORDERED_SECONDS
from mailingest.postfix.names import (
    ACTION,
    CLIENT_HOSTNAME,
    CLIENT_IP,
    DELAY,
    DELAYS,
    DSN,
    FILTER_ACTION,
    FILTER_ID,
    FORWARDED_QUEUE_ID,
    MILTER_MESSAGE,
    ORIGINAL_RECIPIENT,
    OUTCOME,
    PROXY_MESSAGE,
    QUEUE_ID,
    RECIPIENT,
    RELAY,
    RELAY_IP,
    RELAY_PORT,
    REMOTE_QUEUE_ID,
    RESPONSES,
    SENDER,
    STATUS,
    TLS,
)
from mailingest.postfix.outcome import Outcome
from mailingest.postfix.refusals import reply_of
from mailingest.stores.events import StoredEvent, time_of
from mailingest.trace.lines import (
    Client,
    Login,
    Session,
    host_of,
    instance_of,
    is_hold,
    is_intent,
    login_of,
    service_of,
    session_of,
)
from mailingest.trace.shares import Address, QueueLines


class Key(NamedTuple):
    """Where a queue ID is unique, at a time."""

    host: str
    instance: str
    queue_id: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery line: one try for one recipient."""

    event: StoredEvent

    @property
    def time(self) -> datetime:
        return time_of(self.event)

    @property
    def service(self) -> str:
        return service_of(self.event)

    @property
    def recipient(self) -> str:
        return str(self.event[RECIPIENT])

    @property
    def original_recipient(self) -> str | None:
        return self.event.get(ORIGINAL_RECIPIENT)

    @property
    def address(self) -> Address:
        """What tells a recipient of a mail from the others."""
        return self.recipient.lower(), (self.original_recipient or "").lower()

    @property
    def status(self) -> str:
        """Postfix's own word."""
        return str(self.event[STATUS])

    @property
    def outcome(self) -> Outcome | None:
        """What it counts as; None for an address that was only probed."""
        return self.event.get(OUTCOME)

    @property
    def reply(self) -> str:
        """The text in brackets, whichever agent wrote it."""
        return next((str(self.event[name]) for name in RESPONSES if name in self.event), "")

    @property
    def dsn(self) -> str | None:
        return self.event.get(DSN)

    @property
    def relay(self) -> str | None:
        return self.event.get(RELAY)

    @property
    def relay_ip(self) -> str | None:
        return self.event.get(RELAY_IP)

    @property
    def relay_port(self) -> int | None:
        return self.event.get(RELAY_PORT)

    @property
    def remote_queue_id(self) -> str | None:
        """The name that the next hop gave the mail."""
        return self.event.get(REMOTE_QUEUE_ID)

    @property
    def forwarded_queue_id(self) -> str | None:
        """The queue ID that local(8) forwarded the mail under."""
        return self.event.get(FORWARDED_QUEUE_ID)

    @property
    def tls(self) -> list[str]:
        """Level, trust, version and cipher of the connection, as far as they are logged."""
        return [self.event[name] for name in TLS if self.event.get(name)]

    @property
    def delay(self) -> float | None:
        """Seconds since the mail came in."""
        return self.event.get(DELAY)

    @property
    def delays(self) -> dict[str, float | None]:
        """Seconds of each part of the delay, by its name in `DELAYS`."""
        return {part: self.event.get(name) for part, name in DELAYS.items()}


@dataclass(slots=True)
class Queue:
    """One mail under one queue ID; what no line says is None.

    ``touched`` is the time of the last line that began or ended it.  ``sender`` is that of the
    envelope as the queue manager has it (``active_sender``), or else what another line names.
    ``original_client`` is the one before a filter (XFORWARD), and ``announced_recipient`` that of a
    line that smtpd wrote about the mail before it had the queue ID.  ``intents`` are the lines that
    say that the mail is to be held or discarded when it is taken; ``failure`` is a warning that it
    could not be taken; it ``is_doubtful`` if displaced lines leave open whether it was.
    ``late`` are lines that came when it had ended, while it is open whether another mail begins.
    """

    key: Key
    created_at: datetime
    touched: datetime
    events: list[StoredEvent] = field(default_factory=list)
    client_hostname: str | None = None
    client_ip: str | None = None
    original_client: Client | None = None
    login: Login | None = None
    uid: int | None = None
    session: Session | None = None
    message_id: str | None = None
    sender: str | None = None
    active_sender: str | None = None
    announced_recipient: str | None = None
    size: int | None = None
    nrcpt: int | None = None
    filtered_from: str | None = None
    requeued_from: str | None = None
    activations: list[datetime] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    notifications: list[tuple[str, str]] = field(default_factory=list)
    expired: StoredEvent | None = None
    intents: list[StoredEvent] = field(default_factory=list)
    holds: list[StoredEvent] = field(default_factory=list)
    releases: list[StoredEvent] = field(default_factory=list)
    corrupt: StoredEvent | None = None
    notice_failed: StoredEvent | None = None
    refused: StoredEvent | None = None
    refused_by_smtpd: StoredEvent | None = None
    failure: StoredEvent | None = None
    discarded: StoredEvent | None = None
    is_doubtful: bool = False
    broken_off: StoredEvent | None = None
    ended: datetime | None = None
    late: list[StoredEvent] = field(default_factory=list)
    deleted: StoredEvent | None = None
    requeued: StoredEvent | None = None
    _values: dict[str, frozenset[Any]] = field(default_factory=dict, repr=False, compare=False)
    _tries: Counter[Address] = field(default_factory=Counter, repr=False, compare=False)
    _most_tries: int = field(default=0, repr=False, compare=False)
    _last_line: datetime | None = field(default=None, repr=False, compare=False)
    _lines: QueueLines | None = field(default=None, repr=False, compare=False)
    _addresses: dict[int, Address] = field(default_factory=dict, repr=False, compare=False)
    _attempts: dict[Address, list[Attempt]] = field(default_factory=dict, repr=False, compare=False)

    def values_of(self, name: str) -> frozenset[Any]:
        """All values of a field in the lines; asked for again and again when these are known."""
        if name not in self._values:
            self._values[name] = frozenset(e[name] for e in self.events if e.get(name) is not None)
        return self._values[name]

    def tries(self) -> Counter[Address]:
        """How often each recipient was tried; asked for when all attempts are known."""
        if not self._tries:
            # A line may have come twice.
            tries = {(one.address, str(one.event.get("message"))) for one in self.attempts}
            self._tries.update(address for address, _ in tries)
        return self._tries

    def most_tries(self) -> int:
        """How often the recipient was tried that was tried most; asked for as `tries`."""
        if not self._most_tries:
            self._most_tries = max(self.tries().values(), default=0)
        return self._most_tries

    def lines_of(self, attempts: Iterable[Attempt], names: Sequence[str]) -> Iterator[StoredEvent]:
        """The lines that are common to all recipients, and those of the one with attempts or names.

        Attempts may be of other queue IDs.  It is asked for when all lines are known.
        """
        if self._lines is None:
            self._lines = QueueLines(self.events, self._address_by_event())
        return self._lines.of(self._addresses_of(attempts), names)

    def attempts_like(self, attempts: Iterable[Attempt]) -> list[Attempt]:
        """All attempts for the recipients of some, which may also be of other queue IDs.

        It is asked for when all attempts are known.
        """
        if not self._attempts:
            for one in self.attempts:
                self._attempts.setdefault(one.address, []).append(one)
        addresses = dict.fromkeys(self._addresses_of(attempts))
        return [one for address in addresses for one in self._attempts[address]]

    def _addresses_of(self, attempts: Iterable[Attempt]) -> list[Address]:
        """The addresses of those attempts that are of this queue ID."""
        known = self._address_by_event()
        here = (known.get(id(one.event)) for one in attempts)
        return [address for address in here if address is not None]

    def _address_by_event(self) -> dict[int, Address]:
        if not self._addresses:
            self._addresses = {id(one.event): one.address for one in self.attempts}
        return self._addresses

    def last_line(self) -> datetime:
        """The time of the last line; asked for again and again when all lines are known."""
        if self._last_line is None:
            self._last_line = max(map(time_of, self.events), default=self.created_at)
        return self._last_line

    def with_lines(self, events: list[StoredEvent], **changes: Any) -> "Queue":
        """The same mail with other lines, and what else changes with them."""
        return replace(
            self,
            events=events,
            **changes,
            _values={},
            _tries=Counter(),
            _most_tries=0,
            _last_line=None,
            _lines=None,
            _addresses={},
            _attempts={},
        )

    @property
    def is_active(self) -> bool:
        """Whether the queue manager has had it."""
        return bool(self.activations)

    @property
    def is_submitted_here(self) -> bool:
        """Whether sendmail(1) on this host gave it in."""
        return self.uid is not None

    @property
    def is_undecided(self) -> bool:
        """Whether no line tells yet if it was taken; one that it is to be held does not."""
        is_taken = self.is_active or self.attempts or self.discarded or self.deleted
        if is_taken or self.is_not_taken:
            return False
        return self.ended is None or bool(self.intents)

    @property
    def is_not_taken(self) -> bool:
        """Whether a line about this mail says that it was refused, or the client went away."""
        decisive = (self.broken_off, self.refused, self.refused_by_smtpd, self.failure)
        return any(one is not None for one in decisive)

    @property
    def held(self) -> StoredEvent | None:
        """The line that put it on hold, if it still is."""
        intended = [one for one in self.intents if is_hold(one)]
        if self.requeued is not None:
            return None
        # An operator may have released all mail, or the line about it is missing.
        is_lifted = self.is_active and not self.releases
        first = [] if is_lifted else intended[:1]
        every = [*first, *self.holds]
        if len(every) <= len(self.releases):
            return None
        last = every[-1]
        later = time_of(last) + timedelta(seconds=REORDERED_SECONDS)
        return None if any(time > later for time in self.activations) else last

    @property
    def was_put_on_hold_before(self) -> bool:
        """Whether it was released though no line is known that put it on hold: smtpd's names no
        queue ID.
        """
        return len(self.releases) > len(self.holds) + len(self.intents)

    def announce(self, event: StoredEvent) -> None:
        """Take sender and recipient of a line that smtpd wrote before there was a queue ID."""
        if self.sender is None:
            self.sender = event.get(SENDER)
        self.announced_recipient = event.get(RECIPIENT)

    def intend(self, event: StoredEvent, *, is_for_it: bool = True) -> None:
        """Take a line about it without queue ID; its recipient may have been refused later."""
        self.events.insert(0, event)
        if is_for_it:
            self.announce(event)
            self.intents.append(event)
        else:
            self.intents.append({name: event[name] for name in event if name != RECIPIENT})


@dataclass(frozen=True, slots=True)
class FilterLine:
    """What a filter says of a mail that it took, under the mail's queue ID or an ID of its own."""

    event: StoredEvent

    @property
    def time(self) -> datetime:
        return time_of(self.event)

    @property
    def host(self) -> str:
        return host_of(self.event)

    @property
    def queue_id(self) -> str | None:
        """The queue ID of the mail that it took."""
        return self.event.get(QUEUE_ID)

    @property
    def filter_id(self) -> str | None:
        """Its own ID for the mail, which its reply to Postfix names."""
        return self.event.get(FILTER_ID)

    @property
    def given_back_as(self) -> str | None:
        """The queue ID under which it gave the mail back."""
        return self.event.get(REMOTE_QUEUE_ID)

    @property
    def recipient(self) -> str | None:
        """For whom; None stands for all."""
        return self.event.get(RECIPIENT)

    @property
    def action(self) -> str:
        """What it did with the mail, in a word; "" if it does not say."""
        return str(self.event.get(FILTER_ACTION, ""))


@dataclass(slots=True)
class Refusal:
    """A mail or recipient that smtpd or postscreen did not take, or one to be held or discarded.

    The latter may not come after all, by the line ``broken_off``, or its recipient be refused later
    (``is_overruled``); it ``is_told`` if the answer of a mail or another refusal does so.
    """

    queue: Queue | None
    event: StoredEvent
    broken_off: StoredEvent | None = None
    session_begin: StoredEvent | None = None
    is_overruled: bool = False
    is_told: bool = False

    @property
    def time(self) -> datetime:
        return time_of(self.event)

    @property
    def host(self) -> str:
        return host_of(self.event)

    @property
    def instance(self) -> str:
        return instance_of(self.event)

    @property
    def session(self) -> Session:
        return session_of(self.event)

    @property
    def action(self) -> str:
        """smtpd's word for what it does; "" if only a warning tells that something is refused."""
        return str(self.event.get(ACTION, ""))

    @property
    def outcome(self) -> Outcome | None:
        """``rejected``, ``discarded``, or None for what is still open (hold) or broken off."""
        return self.event.get(OUTCOME)

    @property
    def recipient(self) -> str | None:
        return self.event.get(RECIPIENT)

    @property
    def sender(self) -> str | None:
        return self.event.get(SENDER)

    @property
    def client_hostname(self) -> str | None:
        return self._client.get(CLIENT_HOSTNAME)

    @property
    def client_ip(self) -> str | None:
        return self._client.get(CLIENT_IP)

    @property
    def _client(self) -> StoredEvent:
        """The line that names the client."""
        is_named = CLIENT_IP in self.event or CLIENT_HOSTNAME in self.event
        return self.event if is_named else self.session_begin or {}

    @property
    def login(self) -> Login | None:
        return login_of(self.event)

    @property
    def is_in_advance(self) -> bool:
        """Whether it decides about a mail that is taken, and gets its queue ID, after this line."""
        return self.queue is None and is_intent(self.event)


@dataclass(slots=True)
class Facts:
    """All that was learned, in the order of time.

    ``proxied`` are the lines of smtpd about what a filter before the queue replied.
    """

    queues: list[Queue] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    filter_lines: list[FilterLine] = field(default_factory=list)
    proxied: list[StoredEvent] = field(default_factory=list)


def refusal_reply(event: Mapping[str, Any]) -> str | None:
    """What the client was told; None if the line does not say it."""
    if PROXY_MESSAGE in event:
        return str(event[PROXY_MESSAGE])
    reply = reply_of(event)
    # Earlier versions did not store the reply of a milter by itself.
    return event.get(MILTER_MESSAGE) if reply is None else reply
