"""Events of any order -> facts: the mails under each queue ID, and refusals that never got one.

Pure.  An event is the document as stored.  When another mail begins under the same queue ID is the
rule of `mailingest.postfix.lifecycle`, the same as when lines are enriched.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from mailingest.postfix.lifecycle import (
    BEGINNINGS,
    ENDS,
    REORDERED_SECONDS,
    Step,
    begins_another,
    step_of,
)
from mailingest.postfix.names import (
    ACTION,
    CLIENT_HOSTNAME,
    CLIENT_IP,
    FILTER_ID,
    LOST_CONNECTION,
    MESSAGE_ID,
    NOQUEUE,
    NOTIFICATION,
    NOTIFICATION_KIND,
    ORIGINAL_QUEUE_ID,
    PROGRAM_KIND,
    PROXY_RESULT,
    QUEUE_ID,
    RECIPIENTS,
    REFUSAL,
    REMOTE_QUEUE_ID,
    REQUEUED_FROM,
    SENDER,
    SIZE,
    SMTP_STAGE,
    UID,
)
from mailingest.postfix.refusals import refusal_of
from mailingest.stores.events import StoredEvent, time_of
from mailingest.trace.facts import Attempt, Facts, FilterLine, Key, Queue, Refusal
from mailingest.trace.lines import (
    host_of,
    instance_of,
    is_intent,
    is_whole_mail_refused,
    login_of,
    original_client_of,
    service_of,
    session_of,
)
from mailingest.trace.session_lines import kind_of_edge
from mailingest.trace.sessions import Sessions

# What smtpd and postscreen do instead of taking a recipient or mail.
_REFUSING = frozenset({"reject", "milter-reject", "abort"})
_REORDERED = timedelta(seconds=REORDERED_SECONDS)
# Commands of SMTP that are about a mail, as `postfix.refusals` names them.
_OF_A_MAIL = frozenset({"MAIL", "RCPT", "DATA", "BDAT", "END-OF-MESSAGE"})


def gather(events: Iterable[StoredEvent]) -> Facts:
    """Sort events into mails and refusals."""
    gathering = _Gathering()
    # Stable: events of one moment stay in the order in which they were given.
    for event in sorted(events, key=lambda event: str(event["@timestamp"])):
        gathering.add(event)
    return gathering.finish()


def is_accept(event: StoredEvent) -> bool:
    """Whether a line gives a queue ID to a mail that a client sends."""
    return QUEUE_ID in event and step_of(service_of(event), event) == "accepted"


class _Gathering:
    def __init__(self) -> None:
        self._facts = Facts()
        self._sessions = Sessions()
        self._latest: dict[Key, Queue] = {}
        self._by_host: dict[tuple[str, str], list[Queue]] = defaultdict(list)
        self._by_instance: dict[tuple[str, str], Queue] = {}
        self._of_others: list[StoredEvent] = []

    def add(self, event: StoredEvent) -> None:
        if event.get(PROGRAM_KIND) != "postfix":
            self._of_others.append(event)
            return
        queue_id = event.get(QUEUE_ID)
        if queue_id is not None and queue_id != NOQUEUE:
            self._learn(event, queue_id)
            return
        if (edge := kind_of_edge(event)) is not None:
            self._sessions.add(edge, event)
        elif REMOTE_QUEUE_ID in event and service_of(event) == "smtpd":
            self._facts.proxied.append(event)
        if _is_refusal(event):
            self._refuse(event, None)
        elif queue_id == NOQUEUE and SMTP_STAGE in event:
            self._announce(event)

    def finish(self) -> Facts:
        """All that was learned, when all events were given."""
        facts = self._facts
        for queue in facts.queues:
            self._take_late(queue, queue)
        self._sessions.settle(facts.queues)
        facts.refusals = [refusal for refusal in facts.refusals if not refusal.is_told]
        for queue in facts.queues:
            # Delivery events carry what was correlated when they were stored; it counts where
            # the lines themselves are older than the store.
            for attempt in queue.attempts:
                _fill(queue, attempt.event)
        for event in self._of_others:
            self._attach(event)
        return facts

    def _attach(self, event: StoredEvent) -> None:
        """A line of a filter or mail store belongs to a mail, and decides nothing about it."""
        if REMOTE_QUEUE_ID in event or FILTER_ID in event:
            self._facts.filter_lines.append(FilterLine(event))
        name = event.get(QUEUE_ID) or event.get(REMOTE_QUEUE_ID, "")
        latest = time_of(event) + _REORDERED
        begun = (one for one in self._by_host[host_of(event), name] if one.created_at <= latest)
        queue = max(begun, key=lambda one: one.created_at, default=None)
        if queue is not None:
            queue.events.append(event)

    def _refuse(self, event: StoredEvent, queue: Queue | None) -> None:
        refusal = Refusal(queue, event)
        if queue is not None and is_whole_mail_refused(event):
            queue.refused_by_smtpd = event
        self._facts.refusals.append(refusal)
        self._sessions.add("refused", event, refusal=refusal)

    def _announce(self, event: StoredEvent) -> None:
        """A line about a recipient of a mail that has no queue ID yet."""
        if not is_intent(event):
            self._sessions.add("announced", event)
            return
        refusal = Refusal(None, event)
        self._facts.refusals.append(refusal)
        self._sessions.add("intent", event, refusal=refusal)

    def _learn(self, event: StoredEvent, queue_id: str) -> None:
        step = step_of(service_of(event), event)
        queue = self._queue(Key(host_of(event), instance_of(event), queue_id), event, step)
        if _is_late(queue, event):
            queue.late.append(event)
        else:
            self._take(queue, step, event)

    def _take(self, queue: Queue, step: Step | None, event: StoredEvent) -> None:
        earliest = _earliest_after(queue, step)
        if earliest is not None:
            self._sessions.is_displaced(event, time_of(event) - earliest)
        queue.events.append(event)
        if step is not None:
            _take_step(queue, step, event)
        elif NOTIFICATION in event:
            queue.notifications.append((str(event.get(NOTIFICATION_KIND, "")), event[NOTIFICATION]))
        elif LOST_CONNECTION in event:
            queue.broken_off = event
        elif REFUSAL in event:
            queue.failure = queue.failure or event
        elif SMTP_STAGE in event and is_intent(event):
            queue.intents.append(event)
        elif service_of(event) == "cleanup":
            _fill(queue, event)
        if step == "accepted":
            queue.session = session_of(event)
            self._sessions.add("accepted", event, queue=queue)
        if _is_refusal(event):
            self._refuse(event, queue)

    def _take_late(self, before: Queue, queue: Queue) -> None:
        """Lines that came long after the end of a mail are of the next one, if there is one."""
        since = queue.created_at - _REORDERED
        for event in before.late:
            time = time_of(event)
            owner = queue if time > since else before
            owner.created_at = min(owner.created_at, time)
            self._take(owner, step_of(service_of(event), event), event)
        before.late = []

    def _queue(self, key: Key, event: StoredEvent, step: Step | None) -> Queue:
        queue = self._latest.get(key)
        time = time_of(event)
        if queue is None and (renamed := self._of_renamed_host(key, event, step)) is not None:
            queue = self._latest[key] = renamed
        if queue is None or (step is not None and _is_another(queue, step, event)):
            before, queue = queue, Queue(key, time, time)
            self._latest[key] = queue
            if before is not None:
                self._take_late(before, queue)
            self._by_host[key.host, key.queue_id].append(queue)
            self._by_instance[key.instance, key.queue_id] = queue
            self._facts.queues.append(queue)
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


def _is_late(queue: Queue, event: StoredEvent) -> bool:
    """Whether the mail was gone when a line was written; an operator deletes what is under way."""
    if queue.ended is None or queue.deleted is not None:
        return False
    return time_of(event) > queue.ended + _REORDERED


def _is_another(queue: Queue, step: Step, event: StoredEvent) -> bool:
    if step in ENDS:
        return _is_late(queue, event)
    if step not in BEGINNINGS:
        return False
    gap = (time_of(event) - queue.touched).total_seconds()
    return begins_another(step, event, queue, gap=gap, is_over=queue.ended is not None)


def _is_refusal(event: StoredEvent) -> bool:
    """Whether a client was told that a mail or a recipient is not taken."""
    if PROXY_RESULT in event:
        return bool(event[PROXY_RESULT] == "reject")
    if SMTP_STAGE in event and event.get(ACTION) in _REFUSING:
        return True
    refusal = refusal_of(event)
    # At the end of a mail, it is about the mail; and so it is told.
    return refusal is not None and refusal.stage in _OF_A_MAIL and _has_no_queue(event)


def _has_no_queue(event: StoredEvent) -> bool:
    return bool(event.get(QUEUE_ID, NOQUEUE) == NOQUEUE)


def _earliest_after(queue: Queue, step: Step | None) -> datetime | None:
    """Of the lines that are there already, the first that must have been written later."""
    later = [queue.ended] if queue.ended is not None else []
    if step in BEGINNINGS and step != "activated":
        later += [*queue.activations[:1], *(attempt.time for attempt in queue.attempts[:1])]
    elif step != "activated" and step != "delivery":
        return None
    return min(later, default=None)


def _take_step(queue: Queue, step: Step, event: StoredEvent) -> None:
    """Write down what a line says of its mail."""
    match step:
        case "delivery":
            queue.attempts.append(Attempt(event))
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
            _fill(queue, event)
        case "released":
            queue.releases.append(event)
        case "held":
            (queue.intents if is_intent(event) else queue.holds).append(event)
        case "corrupt":
            queue.corrupt = event
        case "untold":
            queue.notice_failed = event
        case "expired":
            queue.expired = event
            _fill(queue, event)
        case _:
            _take_end(queue, step, event)
    if service_of(event) == "cleanup":
        _fill(queue, event)


def _take_end(queue: Queue, step: Step, event: StoredEvent) -> None:
    if step in ENDS:
        queue.ended = queue.ended or time_of(event)
    match step:
        case "canceled":
            queue.broken_off = event
        case "rejected":
            queue.refused = event
        case "discarded":
            if is_intent(event):
                queue.intents.append(event)
            else:
                queue.discarded = event
        case "deleted":
            queue.deleted = event
        case "requeued":
            queue.requeued = event


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
