"""Events of any order -> facts: the mails under each queue ID, and refusals that never got one.

Pure.  An event is the document as stored.  When another mail begins under the same queue ID is the
rule of `mailingest.postfix.lifecycle`, the same as when lines are enriched.
"""

from collections.abc import Iterable

from mailingest.postfix.lifecycle import BEGINNINGS, ENDS, Step, begins_another, step_of
from mailingest.postfix.names import (
    ACTION,
    CLIENT_HOSTNAME,
    CLIENT_IP,
    COMMANDS,
    FILTER_ID,
    LOST_CONNECTION,
    MESSAGE_ID,
    NOQUEUE,
    NOTIFICATION,
    NOTIFICATION_KIND,
    ORIGINAL_QUEUE_ID,
    PROGRAM_KIND,
    QUEUE_ID,
    RECIPIENT,
    RECIPIENTS,
    REMOTE_QUEUE_ID,
    REQUEUED_FROM,
    SENDER,
    SIZE,
    SMTP_STAGE,
    UID,
)
from mailingest.stores.events import StoredEvent, time_of
from mailingest.trace.facts import (
    Attempt,
    Facts,
    FilterLine,
    Key,
    Queue,
    Refusal,
    Session,
    host_of,
    instance_of,
    login_of,
    original_client_of,
    service_of,
    session_of,
)

# What smtpd and postscreen do instead of taking a recipient or mail.
_REFUSING = frozenset({"reject", "milter-reject", "discard", "milter-discard", "hold", "abort"})
_SESSION_EDGES = ("disconnect from ", "connect from ")


def gather(events: Iterable[StoredEvent]) -> Facts:
    """Sort events into mails and refusals."""
    gathering = _Gathering()
    # Stable: events of one moment stay in the order in which they were given.
    for event in sorted(events, key=lambda event: str(event["@timestamp"])):
        gathering.add(event)
    return gathering.facts


def is_accept(event: StoredEvent) -> bool:
    """Whether a line gives a queue ID to a mail that a client sends."""
    return QUEUE_ID in event and step_of(service_of(event), event) == "accepted"


class _Gathering:
    def __init__(self) -> None:
        self.facts = Facts()
        self._latest: dict[Key, Queue] = {}
        self._by_host: dict[tuple[str, str], Queue] = {}
        self._by_instance: dict[tuple[str, str], Queue] = {}
        # smtpd logs HOLD and DISCARD of an access map before the queue ID is known.
        self._in_advance: dict[Session, Refusal] = {}
        # It logs there, too, to which filter or address a map sends the mail.
        self._announced: dict[Session, StoredEvent] = {}
        # The mail that a session is about; its end is logged without a queue ID.
        self._open: dict[Session, Queue] = {}

    def add(self, event: StoredEvent) -> None:
        if event.get(PROGRAM_KIND) != "postfix":
            self._attach(event)
            return
        queue_id = event.get(QUEUE_ID)
        if queue_id is None:
            if service_of(event) == "smtpd":
                self._end_session(event)
                if REMOTE_QUEUE_ID in event:
                    self.facts.proxied.append(event)
            return
        if SMTP_STAGE in event and event.get(ACTION) in _REFUSING:
            self._refuse(event, None if queue_id == NOQUEUE else queue_id)
        if SMTP_STAGE in event and queue_id == NOQUEUE:
            self._announce(event)
        if queue_id != NOQUEUE:
            self._learn(event, queue_id)

    def _attach(self, event: StoredEvent) -> None:
        """A line of a filter or mail store belongs to a mail, and decides nothing about it."""
        if REMOTE_QUEUE_ID in event or FILTER_ID in event:
            self.facts.filter_lines.append(FilterLine(event))
        name = event.get(QUEUE_ID) or event.get(REMOTE_QUEUE_ID, "")
        queue = self._by_host.get((host_of(event), name))
        if queue is not None:
            queue.events.append(event)

    def _end_session(self, event: StoredEvent) -> None:
        """A line without queue ID: a session that ends takes an unfinished mail along."""
        is_end = LOST_CONNECTION in event or str(event.get("message", "")).startswith(
            _SESSION_EDGES
        )
        if not is_end:
            return
        session = session_of(event)
        self._in_advance.pop(session, None)
        self._announced.pop(session, None)
        queue = self._open.pop(session, None)
        if (
            queue is not None
            and not queue.is_active
            and queue.broken_off is None
            and _may_break_off(event)
        ):
            queue.broken_off = event
            queue.events.append(event)

    def _announce(self, event: StoredEvent) -> None:
        """A line about a recipient to come; if it is refused after all, there is no mail to it."""
        session = session_of(event)
        if event.get(ACTION) in _REFUSING:
            self._announced.pop(session, None)
        else:
            self._announced[session] = event

    def _refuse(self, event: StoredEvent, queue_id: str | None) -> None:
        refusal = Refusal(queue_id, event)
        earlier = self._in_advance.get(refusal.session)
        if earlier is not None and earlier.event.get("message") == event.get("message"):
            return  # the line came twice
        self.facts.refusals.append(refusal)
        if refusal.is_in_advance:
            self._in_advance[refusal.session] = refusal

    def _learn(self, event: StoredEvent, queue_id: str) -> None:
        step = step_of(service_of(event), event)
        queue = self._queue(Key(host_of(event), instance_of(event), queue_id), event, step)
        queue.events.append(event)
        if step is not None:
            _take_step(queue, step, event)
        elif NOTIFICATION in event:
            queue.notifications.append((str(event.get(NOTIFICATION_KIND, "")), event[NOTIFICATION]))
        elif LOST_CONNECTION in event:
            queue.broken_off = event
        elif service_of(event) == "cleanup":
            _fill(queue, event)
        if step == "accepted":
            session = session_of(event)
            queue.session = session
            self._open[session] = queue
            self._apply_in_advance(queue, session)
            announced = self._announced.pop(session, None)
            # If lines are missing, what is announced may be of an earlier session.
            if announced is not None and _is_of_client(announced, queue):
                _take_envelope(queue, announced)

    def _apply_in_advance(self, queue: Queue, session: Session) -> None:
        refusal = self._in_advance.pop(session, None)
        if refusal is None:
            return
        if refusal.action == "hold":
            queue.held = refusal.event
        else:
            queue.discarded = refusal.event
        queue.events.insert(0, refusal.event)
        _take_envelope(queue, refusal.event)
        self.facts.refusals.remove(refusal)

    def _queue(self, key: Key, event: StoredEvent, step: Step | None) -> Queue:
        queue = self._latest.get(key)
        time = time_of(event)
        if queue is None and (renamed := self._of_renamed_host(key, event, step)) is not None:
            queue = self._latest[key] = renamed
        if queue is None or (step in BEGINNINGS and _is_another(queue, step, event)):
            queue = self._latest[key] = Queue(key, time, time)
            self._by_host[key.host, key.queue_id] = queue
            self._by_instance[key.instance, key.queue_id] = queue
            self.facts.queues.append(queue)
        if queue.ended is None and (step in BEGINNINGS or step in ENDS):
            queue.touched = time
        return queue

    def _of_renamed_host(self, key: Key, event: StoredEvent, step: Step | None) -> Queue | None:
        """The mail that is tried again after its host was given another name."""
        queue = self._by_instance.get((key.instance, key.queue_id))
        if queue is None or not queue.is_active or queue.ended is not None:
            return None
        is_same = (queue.sender, queue.size) == (event.get(SENDER), event.get(SIZE))
        return queue if is_same and step == "activated" else None


def _is_another(queue: Queue, step: Step, event: StoredEvent) -> bool:
    gap = (time_of(event) - queue.touched).total_seconds()
    return begins_another(step, event, queue, gap=gap, is_over=queue.ended is not None)


def _may_break_off(event: StoredEvent) -> bool:
    """Whether a session may have left a mail behind that was not complete."""
    if f"{COMMANDS}mail" not in event:
        return event.get(SMTP_STAGE) != "END-OF-MESSAGE"
    return _accepted(event, "data") + _accepted(event, "bdat") < _accepted(event, "mail")


def _accepted(event: StoredEvent, command: str) -> int:
    """How often a command was accepted in a session; only those with failures tell it apart."""
    every = event.get(f"{COMMANDS}{command}", 0)
    return int(event.get(f"{COMMANDS}{command}_accepted", every))


def _take_step(queue: Queue, step: Step, event: StoredEvent) -> None:
    """Write down what a line says of its mail."""
    match step:
        case "delivery":
            queue.attempts.append(Attempt(event))
            # Delivery events carry what was correlated when they were stored; the lines
            # themselves may be older than the store.
            _fill(queue, event)
        case "accepted":
            _fill(queue, event)
            queue.filtered_from = event.get(ORIGINAL_QUEUE_ID)
        case "submitted":
            queue.uid = event[UID]
            if queue.sender is None:
                queue.sender = event.get(SENDER)
            queue.requeued_from = event.get(REQUEUED_FROM)
        case "activated":
            queue.activations.append(time_of(event))
            queue.active_sender = event.get(SENDER)
            if queue.active_sender is not None:
                queue.sender = queue.active_sender
            queue.held = None
            _fill(queue, event)
        case "released":
            queue.held = None
        case "held":
            queue.held = event
        case "expired":
            queue.expired = event
            _fill(queue, event)
        case _:
            _take_end(queue, step, event)
    if service_of(event) == "cleanup":
        _fill(queue, event)


def _take_end(queue: Queue, step: Step, event: StoredEvent) -> None:
    if step in ENDS:
        queue.ended = time_of(event)
    match step:
        case "canceled":
            queue.broken_off = event
        case "rejected":
            queue.refused = event
        case "discarded":
            queue.discarded = event
        case "deleted":
            queue.deleted = event
        case "requeued":
            queue.requeued = event
            queue.held = None


def _take_envelope(queue: Queue, event: StoredEvent) -> None:
    """Sender and recipient of a line that smtpd wrote about a mail before it had a queue ID."""
    if queue.sender is None:
        queue.sender = event.get(SENDER)
    queue.announced_recipient = event.get(RECIPIENT)


def _is_of_client(event: StoredEvent, queue: Queue) -> bool:
    client = (event.get(CLIENT_HOSTNAME), event.get(CLIENT_IP))
    return client == (queue.client_hostname, queue.client_ip)


def _fill(queue: Queue, event: StoredEvent) -> None:
    if queue.client_hostname is None and CLIENT_HOSTNAME in event:
        queue.client_hostname = event[CLIENT_HOSTNAME]
        queue.client_ip = event.get(CLIENT_IP)
    if queue.original_client is None:
        queue.original_client = original_client_of(event)
    if queue.login is None:
        queue.login = login_of(event)
    if queue.message_id is None:
        queue.message_id = event.get(MESSAGE_ID)
    if queue.sender is None:
        queue.sender = event.get(SENDER)
    if queue.size is None:
        queue.size = event.get(SIZE)
    if RECIPIENTS in event:
        queue.nrcpt = max(queue.nrcpt or 0, event[RECIPIENTS])
