"""Events of any order -> the life of each queue ID, and refusals that never got one.

Pure.  An event is the document as stored.  A queue ID is used again by Postfix, so that one key
(host, instance, queue ID) may stand for several mails, one after the other.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from mailingest.postfix.parser import NEIGHBOURS
from mailingest.stores.events import StoredEvent, time_of

# Lines of one moment may be stored in any order, and clocks of daemons on one host agree.
REORDERED_SECONDS = 2.0


class Key(NamedTuple):
    """Where a queue ID is unique, at a time."""

    host: str
    instance: str
    queue_id: str


@dataclass(slots=True)
class Attempt:
    """One delivery line: one try for one recipient."""

    time: datetime
    service: str
    recipient: str
    original_recipient: str | None
    status: str
    reply: str
    event: StoredEvent


@dataclass(slots=True)
class Queue:
    """The life of one mail under one queue ID; what no line told is None."""

    key: Key
    born: datetime
    events: list[StoredEvent] = field(default_factory=list)
    client: str | None = None
    client_ip: str | None = None
    session: tuple[str, str, str] | None = None
    is_submitted_here: bool = False
    message_id: str | None = None
    sender: str | None = None
    size: int | None = None
    nrcpt: int | None = None
    filtered_from: str | None = None
    requeued_from: str | None = None
    is_active: bool = False
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


@dataclass(slots=True)
class Refusal:
    """A mail or recipient that smtpd or postscreen did not take."""

    time: datetime
    host: str
    instance: str
    queue_id: str | None
    session: tuple[str, str, str]
    action: str
    event: StoredEvent

    @property
    def is_in_advance(self) -> bool:
        """Whether it decides about a mail that is taken, and gets its queue ID, after this line."""
        return self.action in ("hold", "discard")


@dataclass(slots=True)
class Facts:
    """All that was learned, in the order of time."""

    queues: list[Queue] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


def instance_of(event: StoredEvent) -> tuple[str, str]:
    """Postfix instance and daemon of an event, from its syslog tag."""
    instance, _, path = str(event.get("program", "")).partition("/")
    return instance, path.rpartition("/")[2]


def session_of(event: StoredEvent) -> tuple[str, str, str]:
    """Host, program and process id of an event: one SMTP session at a time."""
    return event["host"], event.get("program", ""), event.get("pid", "")


def reply_of(event: StoredEvent) -> str:
    """The text in brackets of a delivery line, whichever agent wrote it."""
    for name in ("smtp", "local", "pipe", "error"):
        text = event.get(f"postfix_{name}_response")
        if text is not None:
            return str(text)
    return ""


def gather(events: Iterable[StoredEvent]) -> Facts:
    """Sort events into lives of queue IDs and refusals."""
    collector = _Collector()
    # Stable: events of one moment stay in the order in which they were given.
    for event in sorted(events, key=lambda event: str(event["@timestamp"])):
        collector.add(event)
    return collector.facts


class _Collector:
    def __init__(self) -> None:
        self.facts = Facts()
        self._latest: dict[Key, Queue] = {}
        self._by_host: dict[tuple[str, str], Queue] = {}
        self._by_instance: dict[tuple[str, str], Queue] = {}
        # smtpd logs HOLD and DISCARD of an access map before the queue ID is known.
        self._pending: dict[tuple[str, str, str], Refusal] = {}
        # The mail that a session is about; its end is told without a queue ID.
        self._open: dict[tuple[str, str, str], Queue] = {}

    def add(self, event: StoredEvent) -> None:
        if event.get("program") in NEIGHBOURS:
            self._attach(event)
            return
        instance, service = instance_of(event)
        queue_id = event.get("postfix_queueid")
        session = session_of(event)
        is_smtp = "postfix_smtp_stage" in event and "postfix_action" in event
        if queue_id is None:
            if service == "smtpd":
                self._session(event, session)
            return
        if is_smtp and event["postfix_action"] in _REFUSING:
            self._refuse(event, instance, None if queue_id == "NOQUEUE" else queue_id, session)
        if queue_id == "NOQUEUE":
            return
        key = Key(event["host"], instance, queue_id)
        queue = self._queue(key, event, service)
        queue.events.append(event)
        _learn(queue, event, service)
        if is_accept(event):
            queue.session = session
            self._open[session] = queue
            refusal = self._pending.pop(session, None)
            if refusal is not None and refusal.action == "hold":
                queue.held = refusal.event
            elif refusal is not None:
                queue.discarded = refusal.event
            if refusal is not None:
                queue.events.insert(0, refusal.event)
                self.facts.refusals.remove(refusal)

    def _attach(self, event: StoredEvent) -> None:
        """A line of a filter or mail store belongs to a mail, and decides nothing about it."""
        queue = self._by_host.get((event["host"], event.get("postfix_queueid", "")))
        if queue is not None:
            queue.events.append(event)

    def _session(self, event: StoredEvent, session: tuple[str, str, str]) -> None:
        """A line without queue ID: a session that ends takes an unfinished mail along."""
        is_end = "postfix_smtpd_lostconn_data" in event or str(event["message"]).startswith(
            ("disconnect from ", "connect from ")
        )
        if not is_end:
            return
        self._pending.pop(session, None)
        queue = self._open.pop(session, None)
        if (
            queue is not None
            and not queue.is_active
            and queue.broken_off is None
            and _may_break_off(event)
        ):
            queue.broken_off = event
            queue.events.append(event)

    def _refuse(
        self, event: StoredEvent, instance: str, queue_id: str | None, session: tuple[str, str, str]
    ) -> None:
        refusal = Refusal(
            time_of(event),
            event["host"],
            instance,
            queue_id,
            session,
            event["postfix_action"],
            event,
        )
        pending = self._pending.get(session)
        if pending is not None and pending.event["message"] == event["message"]:
            return  # the line came twice
        self.facts.refusals.append(refusal)
        if refusal.is_in_advance:
            self._pending[session] = refusal

    def _queue(self, key: Key, event: StoredEvent, service: str) -> Queue:
        queue = self._latest.get(key)
        time = time_of(event)
        if queue is None and (renamed := self._waiting(key, event)) is not None:
            queue = self._latest[key] = renamed
        if queue is None or (_is_birth(event, service) and _is_another(queue, event, time)):
            queue = self._latest[key] = Queue(key, time)
            self._by_host[key.host, key.queue_id] = queue
            self._by_instance[key.instance, key.queue_id] = queue
            self.facts.queues.append(queue)
        return queue

    def _waiting(self, key: Key, event: StoredEvent) -> Queue | None:
        """The mail that is tried again after its host was given another name."""
        queue = self._by_instance.get((key.instance, key.queue_id))
        if queue is None or not queue.is_active or queue.ended is not None:
            return None
        same = (queue.sender, queue.size) == (event.get("postfix_from"), event.get("postfix_size"))
        return queue if same and "postfix_status" not in event else None


# What smtpd and postscreen do instead of taking a recipient or mail.
_REFUSING = frozenset({"reject", "milter-reject", "discard", "milter-discard", "hold", "abort"})


def is_accept(event: StoredEvent) -> bool:
    """Whether a line gives a queue ID to a mail that a client sends."""
    _, service = instance_of(event)
    return (
        "postfix_client_hostname" in event
        and "postfix_smtp_stage" not in event
        and "postfix_status" not in event
        and event.get("postfix_queueid") != "NOQUEUE"
        and service not in ("cleanup", "qmgr")
    )


def _may_break_off(event: StoredEvent) -> bool:
    """Whether a session may have left a mail behind that was not complete."""
    if "postfix_cmd_mail" not in event:
        return event.get("postfix_smtp_stage") != "END-OF-MESSAGE"
    return _accepted(event, "data") + _accepted(event, "bdat") < _accepted(event, "mail")


def _accepted(event: StoredEvent, command: str) -> int:
    """How often a command was accepted in a session; only those with failures tell it apart."""
    every = event.get(f"postfix_cmd_{command}", 0)
    return int(event.get(f"postfix_cmd_{command}_accepted", every))


def _is_birth(event: StoredEvent, service: str) -> bool:
    # Delivery events carry the facts of a birth, but are none.
    return "postfix_status" not in event and (
        is_accept(event)
        or "postfix_uid" in event
        or (service == "cleanup" and "postfix_message-id" in event and "postfix_to" not in event)
    )


def _is_another(queue: Queue, event: StoredEvent, time: datetime) -> bool:
    """Whether a mail's first line cannot be of the mail that is known."""
    age = (time - queue.born).total_seconds()
    if queue.ended is not None and (time - queue.ended).total_seconds() >= 0:
        return "postfix_message-id" not in event or queue.message_id != event["postfix_message-id"]
    if age < REORDERED_SECONDS:
        return False
    if "postfix_uid" in event or "postfix_client_hostname" in event:
        return True
    return queue.is_active and queue.message_id != event.get("postfix_message-id")


def _learn(queue: Queue, event: StoredEvent, service: str) -> None:
    if "postfix_to" in event and "postfix_status" in event:
        queue.attempts.append(_attempt(event, service))
        # Delivery events carry what was correlated when they were stored; the lines themselves
        # may be older than the store.
        _fill(queue, event)
        return
    if is_accept(event):
        _fill(queue, event)
        queue.filtered_from = event.get("postfix_orig_queueid")
    elif "postfix_uid" in event:
        queue.is_submitted_here = True
        queue.sender = event.get("postfix_from")
        queue.requeued_from = event.get("postfix_orig_id")
    elif service == "cleanup":
        _learn_cleanup(queue, event)
    elif service == "qmgr":
        _learn_qmgr(queue, event)
    elif "postfix_bounce_queueid" in event:
        reason = str(event.get("postfix_bounce_reason", ""))
        queue.notifications.append((reason, event["postfix_bounce_queueid"]))
    elif "postfix_postsuper_action" in event:
        _learn_postsuper(queue, event)
    elif "postfix_smtpd_lostconn_data" in event:
        queue.broken_off = event


def _fill(queue: Queue, event: StoredEvent) -> None:
    if queue.client is None and "postfix_client_hostname" in event:
        queue.client = event["postfix_client_hostname"]
        queue.client_ip = event.get("postfix_client_ip")
    if queue.message_id is None:
        queue.message_id = event.get("postfix_message-id")
    if queue.sender is None:
        queue.sender = event.get("postfix_from")
    if queue.size is None:
        queue.size = event.get("postfix_size")
    if "postfix_nrcpt" in event:
        queue.nrcpt = max(queue.nrcpt or 0, event["postfix_nrcpt"])


def _learn_cleanup(queue: Queue, event: StoredEvent) -> None:
    result = str(event.get("postfix_milter_result", "")).rpartition("-")[2]
    action = event.get("postfix_action") or result
    if action == "reject":
        queue.refused = event
    elif action == "discard":
        queue.discarded = event
    elif action == "hold":
        queue.held = event
    elif str(event.get("postfix_message", "")).startswith("removed"):
        queue.ended = time_of(event)
        if "canceled" in event["postfix_message"]:
            queue.broken_off = event
        else:
            queue.discarded = event
    _fill(queue, event)


def _learn_qmgr(queue: Queue, event: StoredEvent) -> None:
    if "postfix_size" in event:
        queue.is_active = True
        queue.activations.append(time_of(event))
        queue.held = None
        _fill(queue, event)
    elif event.get("postfix_message") == "removed":
        queue.ended = time_of(event)
    elif str(event.get("postfix_status", "")).endswith("expired"):
        queue.expired = event
        _fill(queue, event)


def _learn_postsuper(queue: Queue, event: StoredEvent) -> None:
    action = event["postfix_postsuper_action"]
    if action == "removed":
        queue.deleted = event
        queue.ended = time_of(event)
    elif action == "requeued":
        queue.requeued = event
        queue.held = None
    elif action == "placed on hold":
        queue.held = event
    elif action == "released from hold":
        queue.held = None


def _attempt(event: StoredEvent, service: str) -> Attempt:
    return Attempt(
        time_of(event),
        service,
        event["postfix_to"],
        event.get("postfix_orig_to"),
        event["postfix_status"],
        reply_of(event),
        event,
    )
