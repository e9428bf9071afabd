"""What is known of mails: queues (a mail under one queue ID), attempts, and refusals.  Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from mailingest.postfix.names import (
    ACTION,
    CLIENT_HOSTNAME,
    CLIENT_IP,
    DELAY,
    DELAYS,
    DSN,
    ENHANCED_STATUS_CODE,
    FORWARDED_QUEUE_ID,
    INSTANCE,
    MILTER_MESSAGE,
    ORIGINAL_RECIPIENT,
    OUTCOME,
    RECIPIENT,
    RELAY,
    RELAY_IP,
    RELAY_PORT,
    REMOTE_QUEUE_ID,
    RESPONSES,
    SENDER,
    SERVICE,
    SMTP_STAGE,
    STATUS,
    STATUS_CODE,
    TLS,
)
from mailingest.postfix.outcome import Outcome
from mailingest.postfix.refusals import reply_of
from mailingest.stores.events import StoredEvent, time_of

Session = tuple[str, str, str]
"""Host, program and process id: one SMTP session at a time."""


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

    ``touched`` is the time of the last line that began or ended it.
    """

    key: Key
    created_at: datetime
    touched: datetime
    events: list[StoredEvent] = field(default_factory=list)
    client_hostname: str | None = None
    client_ip: str | None = None
    uid: int | None = None
    session: Session | None = None
    message_id: str | None = None
    sender: str | None = None
    active_sender: str | None = None
    size: int | None = None
    nrcpt: int | None = None
    filtered_from: str | None = None
    requeued_from: str | None = None
    activations: list[datetime] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    notifications: list[tuple[str, str]] = field(default_factory=list)
    expired: StoredEvent | None = None
    held: StoredEvent | None = None
    refused: StoredEvent | None = None
    discarded: StoredEvent | None = None
    broken_off: StoredEvent | None = None
    ended: datetime | None = None
    deleted: StoredEvent | None = None
    requeued: StoredEvent | None = None

    @property
    def is_active(self) -> bool:
        """Whether the queue manager has had it."""
        return bool(self.activations)

    @property
    def is_submitted_here(self) -> bool:
        """Whether sendmail(1) on this host gave it in."""
        return self.uid is not None


@dataclass(slots=True)
class Refusal:
    """A mail or recipient that smtpd or postscreen did not take."""

    queue_id: str | None
    event: StoredEvent

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
        return str(self.event[ACTION])

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
        return self.event.get(CLIENT_HOSTNAME)

    @property
    def client_ip(self) -> str | None:
        return self.event.get(CLIENT_IP)

    @property
    def is_in_advance(self) -> bool:
        """Whether it decides about a mail that is taken, and gets its queue ID, after this line."""
        return self.action in ("hold", "discard")


@dataclass(slots=True)
class Facts:
    """All that was learned, in the order of time."""

    queues: list[Queue] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


def host_of(event: StoredEvent) -> str:
    """The host that wrote a line; "" in a document of others that does not say it."""
    return str(event.get("host", ""))


def instance_of(event: StoredEvent) -> str:
    """The Postfix instance of an event; "" if the program is not Postfix."""
    return str(event.get(INSTANCE, ""))


def service_of(event: StoredEvent) -> str:
    """The Postfix daemon of an event; "" if it is not known."""
    return str(event.get(SERVICE, ""))


def session_of(event: StoredEvent) -> Session:
    """The SMTP session that an event may be of."""
    return host_of(event), event.get("program", ""), event.get("pid", "")


def is_whole_mail_refused(event: StoredEvent) -> bool:
    """Whether smtpd refused the mail as a whole, not one of its recipients."""
    return event.get(SMTP_STAGE) in ("DATA", "BDAT", "END-OF-MESSAGE")


def is_temporary(event: StoredEvent) -> bool:
    """Whether a refusal is one for the time being (RFC 5321 4.2.1, RFC 3463)."""
    code = event.get(STATUS_CODE)
    if code is not None:
        return bool(400 <= code < 500)
    enhanced = event.get(ENHANCED_STATUS_CODE)
    if enhanced is None:
        enhanced = str(event.get(MILTER_MESSAGE, "")).rpartition(": ")[2]
    return str(enhanced).startswith("4.")


def refusal_reply(event: Mapping[str, Any]) -> str | None:
    """What the client was told; None if the line does not say it."""
    reply = reply_of(event)
    # Earlier versions did not store the reply of a milter by itself.
    return event.get(MILTER_MESSAGE) if reply is None else reply
