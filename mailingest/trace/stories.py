"""Facts -> stories: one answer for each mail and recipient, chained over queue IDs.

Pure.  The wording is honest: `handed_over` means that the named relay said 2xx to this mail, and
nothing more; `delivered` means that a mail store here took it; where a line is missing, the
verdict is `unknown`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from mailingest.postfix.names import RECIPIENT
from mailingest.stores.events import StoredEvent, time_of
from mailingest.trace.facts import (
    Attempt,
    Facts,
    Key,
    Queue,
    Refusal,
    is_temporary,
    is_whole_mail_refused,
)
from mailingest.trace.graph import QueueGraph

Verdict = Literal[
    "delivered",
    "handed_over",
    "pending",
    "bounced",
    "expired",
    "rejected",
    "discarded",
    "held",
    "deleted",
    "not_accepted",
    "probe",
    "unknown",
]

# Postfix tries a mail again at the latest after maximal_backoff_time (4000 s): a mail that was
# active and of which nothing was heard for longer has lost its lines.
SILENCE = timedelta(seconds=8000)
# Loops in a broken log must end.
_DEEPEST = 16

_LOCAL_AGENTS = frozenset({"local", "virtual", "pipe", "lmtp"})
# Statuses after which a recipient is not tried again.
_DECIDING = ("sent", "bounced")


@dataclass(frozen=True, slots=True)
class Story:
    """What became of one mail for one recipient."""

    verdict: Verdict
    queues: Sequence[Queue]
    recipient: str | None
    original_recipient: str | None = None
    temporary: bool | None = None
    attempt: Attempt | None = None
    attempts: int = 0
    notification: str | None = None
    refusal: Refusal | None = None
    evidence: StoredEvent | None = None
    note: str = ""

    @property
    def first(self) -> Queue | None:
        """The queue ID under which the mail came in."""
        return self.queues[0] if self.queues else None

    @property
    def received_at(self) -> datetime | None:
        """When the mail came in."""
        if self.queues:
            return self.queues[0].created_at
        return self.refusal.time if self.refusal else None

    @property
    def decided_at(self) -> datetime | None:
        """When the line was written that proves the verdict."""
        return time_of(self.evidence) if self.evidence is not None else None

    @property
    def proof(self) -> list[StoredEvent]:
        """All lines of the story, in the order of time."""
        events = [event for queue in self.queues for event in queue.events]
        if self.refusal is not None and self.refusal.event not in events:
            events.append(self.refusal.event)
        return sorted(events, key=lambda event: str(event["@timestamp"]))


def build_stories(facts: Facts, *, until: datetime | None = None) -> list[Story]:
    """All stories of the facts, in the order of the mails' arrival.

    ``until`` is how far the logs reach; None stands for the latest fact.
    """
    return _Builder(facts, until).build()


@dataclass(slots=True)
class _Builder:
    facts: Facts
    until: datetime | None
    _graph: QueueGraph = field(init=False)
    _refusing: set[int] = field(init=False)

    def build(self) -> list[Story]:
        self._graph = QueueGraph(self.facts)
        self._refusing = {id(refusal.event) for refusal in self.facts.refusals}
        if self.until is None:
            times = [time_of(event) for queue in self.facts.queues for event in queue.events]
            self.until = max(times, default=None)
        children = {
            id(child) for queue in self.facts.queues for child in self._graph.children(queue)
        }
        roots = [queue for queue in self.facts.queues if id(queue) not in children]
        stories = [story for queue in roots for story in self._of_queue(queue, (queue,))]
        stories += self._of_refusals()
        return sorted(stories, key=lambda story: (str(story.received_at), str(story.decided_at)))

    def _of_queue(self, queue: Queue, path: tuple[Queue, ...]) -> Iterator[Story]:
        known = 0
        for attempts in _by_recipient(queue.attempts):
            known += _times_named(attempts)
            yield from self._of_recipient(queue, attempts, path)
        if not known:
            yield from self._without_attempt(queue, path)
        elif queue.ended and queue.nrcpt and known < queue.nrcpt and not _is_taken_out(queue):
            missing = queue.nrcpt - known
            note = f"no line tells of {missing} more recipients; a milter may have taken them away"
            yield Story("unknown", path, None, note=note)

    def _of_recipient(
        self, queue: Queue, attempts: list[Attempt], path: tuple[Queue, ...]
    ) -> Iterator[Story]:
        final = _final(attempts)
        base = Story(
            "unknown",
            path,
            final.recipient,
            final.original_recipient,
            attempt=final,
            attempts=attempts.index(final) + 1,
            evidence=final.event,
        )
        match final.outcome:
            case "sent" | "passed_on":
                yield from self._sent(final, base, path)
            case "discarded":
                yield _with(base, verdict="discarded")
            case "bounced":
                # By Postfix, or by a filter that took it before.
                yield _bounced(base, queue)
            case None:
                yield _with(base, verdict="probe")
            case _:
                yield from self._not_sent(queue, base, path)

    def _sent(self, final: Attempt, base: Story, path: tuple[Queue, ...]) -> Iterator[Story]:
        child = self._graph.child(path[-1], final)
        if child is not None and child not in path and len(path) < _DEEPEST:
            yield from self._continued(final, base, child, path)
        elif child is not None:
            yield _with(base, note="the mail goes round in a circle")
        elif final.forwarded_queue_id is not None:
            yield _with(base, note="forwarded, but no line tells of the new queue ID")
        elif final.outcome == "passed_on":
            yield _with(base, note="passed on within this system, and no line tells how it went on")
        elif final.service in _LOCAL_AGENTS:
            yield _with(base, verdict="delivered")
        else:
            yield _with(base, verdict="handed_over")

    def _continued(
        self, final: Attempt, base: Story, child: Queue, path: tuple[Queue, ...]
    ) -> Iterator[Story]:
        stories = list(self._of_queue(child, (*path, child)))
        if final.forwarded_queue_id is None:
            own = _of_recipient(stories, final.recipient)
            # A filter may have changed the address; with one recipient there is no doubt.
            stories = own or [story for story in stories if len(stories) == 1]
            if not stories:
                note = f"no line of {child.key.queue_id} tells of this recipient"
                stories = [_with(base, queues=(*path, child), note=note)]
        first = final.original_recipient or final.recipient
        for story in stories:
            recipient = story.recipient or final.recipient
            changed = None if recipient.lower() == first.lower() else first
            yield _with(story, recipient=recipient, original_recipient=changed)

    def _not_sent(self, queue: Queue, base: Story, path: tuple[Queue, ...]) -> Iterator[Story]:
        if queue.expired is not None:
            child = _notification(queue, "non-delivery")
            yield _with(base, verdict="expired", notification=child, evidence=queue.expired)
        elif queue.deleted is not None:
            yield _with(base, verdict="deleted", evidence=queue.deleted)
        elif queue.requeued is not None:
            yield from self._requeued(queue, base, path)
        elif queue.held is not None:
            yield _with(base, verdict="held", evidence=queue.held)
        elif queue.ended is not None:
            yield _with(base, note="removed, but no line tells how it ended for this recipient")
        elif _is_passed_over(queue, base):
            yield _with(base, note="others were tried again, and no line tells of this recipient")
        else:
            note = ""
            if queue.attempts and self._is_silent(queue):
                note = (
                    "it should be tried again, but no line tells of it any more: an operator may "
                    "have deleted all mail (postsuper -d ALL)"
                )
            yield _with(base, verdict="pending", note=note)

    def _requeued(self, queue: Queue, base: Story, path: tuple[Queue, ...]) -> Iterator[Story]:
        child = self._graph.requeued_as(queue)
        if child is None or child in path or len(path) >= _DEEPEST:
            yield _with(base, note="requeued, and no line tells the new queue ID")
            return
        stories = list(self._of_queue(child, (*path, child)))
        yield from (_of_recipient(stories, base.recipient) if base.recipient else []) or stories

    def _without_attempt(self, queue: Queue, path: tuple[Queue, ...]) -> Iterator[Story]:
        """A mail that no delivery was tried for; its recipients may not be known."""
        decided: tuple[tuple[StoredEvent | None, Verdict], ...] = (
            (queue.discarded, "discarded"),
            (queue.refused, "rejected"),
            (queue.deleted, "deleted"),
            (queue.held, "held"),
        )
        for event, verdict in decided:
            if event is not None:
                temporary = is_temporary(event) if verdict == "rejected" else None
                yield Story(
                    verdict, path, event.get(RECIPIENT), temporary=temporary, evidence=event
                )
                return
        base = Story("unknown", path, None, evidence=queue.events[-1] if queue.events else None)
        if queue.requeued is not None:
            yield from self._requeued(queue, base, path)
        elif queue.expired is not None:
            child = _notification(queue, "non-delivery")
            yield _with(base, verdict="expired", notification=child, evidence=queue.expired)
        elif self._is_refused(queue, is_whole_mail_refused):
            return
        elif queue.broken_off is not None:
            yield _with(base, verdict="not_accepted", evidence=queue.broken_off)
        elif self._is_refused(queue):
            return
        elif queue.ended is not None:
            yield _with(base, note="removed, but no line tells of any recipient")
        elif queue.is_active and not self._is_silent(queue):
            yield _with(base, verdict="pending")
        else:
            yield _with(base, note="the lines end before anything was decided")

    def _of_refusals(self) -> Iterator[Story]:
        for refusal in self.facts.refusals:
            queues: tuple[Queue, ...] = ()
            if refusal.queue_id is not None:
                key = Key(refusal.host, refusal.instance, refusal.queue_id)
                queues = tuple(self._graph.generations(key)[-1:])
            verdict = _verdict_of(refusal)
            yield Story(
                verdict,
                queues,
                refusal.recipient,
                temporary=is_temporary(refusal.event) if verdict == "rejected" else None,
                refusal=refusal,
                evidence=refusal.event,
            )

    def _is_refused(
        self, queue: Queue, counts: Callable[[StoredEvent], bool] = lambda _: True
    ) -> bool:
        """Whether smtpd refused something of this queue ID that counts.

        A refusal is a story of its own.
        """
        return any(id(event) in self._refusing and counts(event) for event in queue.events)

    def _is_silent(self, queue: Queue) -> bool:
        last = max((time_of(event) for event in queue.events), default=queue.created_at)
        return self.until is not None and self.until - last > SILENCE


def _by_recipient(attempts: Iterable[Attempt]) -> Iterable[list[Attempt]]:
    groups: dict[tuple[str, str], list[Attempt]] = {}
    for attempt in attempts:
        original = attempt.original_recipient or ""
        groups.setdefault((attempt.recipient.lower(), original.lower()), []).append(attempt)
    return groups.values()


def _verdict_of(refusal: Refusal) -> Verdict:
    if refusal.outcome == "rejected" or refusal.outcome == "discarded":
        return refusal.outcome
    return "held" if refusal.action == "hold" else "not_accepted"


def _is_taken_out(queue: Queue) -> bool:
    """Whether an operator took the mail out of the queue."""
    return queue.deleted is not None or queue.requeued is not None


def _is_passed_over(queue: Queue, story: Story) -> bool:
    """Whether the mail was tried again, and that again, without this recipient."""
    last = story.attempt.time if story.attempt is not None else queue.created_at
    return sum(time > last for time in queue.activations) > 1


def _times_named(attempts: Sequence[Attempt]) -> int:
    """How many of the mail's recipients are this one: cleanup(8) may add it again as BCC."""
    return max(1, sum(attempt.status in _DECIDING for attempt in attempts))


def _final(attempts: list[Attempt]) -> Attempt:
    """The try that decided; the last one if none did."""
    for status in _DECIDING:
        for attempt in attempts:
            if attempt.status == status:
                return attempt
    return attempts[-1]


def _of_recipient(stories: list[Story], recipient: str) -> list[Story]:
    """The stories that a mail to this recipient became.

    The same address may be there for itself and by way of an alias: the one that the mail came
    in for counts.
    """
    wanted = recipient.lower()
    origins = [(story.original_recipient or story.recipient or "").lower() for story in stories]
    exact = [story for story, origin in zip(stories, origins, strict=True) if origin == wanted]
    return exact or [story for story in stories if (story.recipient or "").lower() == wanted]


def _notification(queue: Queue, reason: str) -> str | None:
    return next((child for why, child in queue.notifications if why == reason), None)


def _bounced(story: Story, queue: Queue) -> Story:
    notification = _notification(queue, "non-delivery")
    note = ""
    if queue.sender == "" and notification is None:
        note = "it cannot be delivered, and nobody is told: it is a notification itself"
    return _with(story, verdict="bounced", notification=notification, note=note)


def _with(story: Story, **changes: Any) -> Story:
    return replace(story, **changes)
