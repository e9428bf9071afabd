"""Facts -> stories: one answer for each mail and recipient, chained over queue IDs.

Pure.  The wording is honest: `handed_over` means that the named relay said 2xx to this mail, and
nothing more; `delivered` means that a mail store here took it; where a line is missing, the
verdict is `unknown`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from mailingest.postfix.lifecycle import REORDERED_SECONDS
from mailingest.postfix.names import RECIPIENT
from mailingest.stores.events import StoredEvent, time_of
from mailingest.trace.facts import (
    Attempt,
    Facts,
    Queue,
    Refusal,
    is_hold,
    is_temporary,
)
from mailingest.trace.filters import FilterIds
from mailingest.trace.graph import QueueGraph
from mailingest.trace.sharing import Recipient, share_out

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
# smtp(8) tries five addresses at most (smtp_mx_address_limit), each for 30 seconds
# (smtp_connect_timeout); if for longer no line tells how a try ended, that line may be missing.
ATTEMPT = timedelta(seconds=150)
_REORDERED = timedelta(seconds=REORDERED_SECONDS)
_LOCAL_AGENTS = frozenset({"local", "virtual", "pipe", "lmtp"})
_BEING_TRIED = "no line tells yet how the try ended that has begun"
_NO_END = "it was tried, and no line tells how that ended: it may still be in the queue or not"
_ONLY_AN_OPERATOR = "its queue file is damaged and kept aside (corrupt): only an operator can help"
_NOT_TOLD_ANEW = "requeued, and no line tells the new queue ID"
# Statuses after which a recipient is not tried again.
_DECIDING = ("sent", "bounced")


@dataclass(frozen=True, slots=True)
class Story:
    """What became of one mail for one recipient.

    ``queues`` are those that the mail passed, ``passed`` the deliveries that led on from one to the
    next, and ``attempt`` is the one that decided.  ``refused_before`` are refusals for the time
    being of the same mail, in earlier sessions.
    """

    verdict: Verdict
    queues: Sequence[Queue]
    recipient: str | None
    original_recipient: str | None = None
    temporary: bool | None = None
    attempt: Attempt | None = None
    attempts: int = 0
    passed: Sequence[Attempt] = ()
    refused_before: Sequence[Refusal] = ()
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
    _filters: FilterIds = field(init=False)
    _refusing: set[int] = field(init=False)

    def build(self) -> list[Story]:
        self._graph = QueueGraph(self.facts)
        self._filters = FilterIds(self.facts)
        self._filters.attach(self.facts)
        self._refusing = {id(refusal.event) for refusal in self.facts.refusals}
        if self.until is None:
            times = [time_of(event) for queue in self.facts.queues for event in queue.events]
            self.until = max(times, default=None)
        roots = [queue for queue in self.facts.queues if not self._graph.is_linked(queue)]
        stories = [story for queue in roots for story in self._of_queue(queue, (queue,))]
        stories += self._of_refusals()
        stories += self._of_filters()
        stories += self._of_untold(stories)
        return sorted(stories, key=lambda story: (str(story.received_at), str(story.decided_at)))

    def _of_filters(self) -> Iterator[Story]:
        """Recipients that a filter before the queue threw the mail away for."""
        for refusal in self._filters.thrown_away_before_the_queue(self.facts):
            evidence = refusal.event
            yield Story("discarded", (), refusal.recipient, refusal=refusal, evidence=evidence)

    def _of_untold(self, stories: Iterable[Story]) -> Iterator[Story]:
        """What nothing has led to yet: no queue ID may be missing in all of the answers."""
        told = {id(queue) for story in stories for queue in story.queues}
        for queue in self.facts.queues:
            if id(queue) not in told:
                note = "no line tells what became of it"
                yield Story(
                    "unknown",
                    self._graph.path_to(queue),
                    None,
                    evidence=queue.events[-1],
                    note=note,
                )

    def _of_queue(self, queue: Queue, path: tuple[Queue, ...]) -> list[Story]:
        groups = list(_by_recipient(queue.attempts))
        onward, joined = self._onward(queue, groups, path)
        stories: list[Story] = []
        known = 0
        for number, attempts in enumerate(groups):
            known += _times_named(attempts)
            stories += onward.get(number) or self._of_recipient(queue, attempts, path)
        stories += joined
        if not stories:
            return self._of_filtered(queue, path) or list(self._without_attempt(queue, path))
        if known and queue.ended and queue.nrcpt and known < queue.nrcpt:
            missing = queue.nrcpt - known
            if not _is_taken_out(queue):
                note = (
                    f"no line tells of {missing} more recipients; a milter may have taken them away"
                )
                stories.append(Story("unknown", path, None, note=note))
        return stories

    def _of_filtered(self, queue: Queue, path: tuple[Queue, ...]) -> list[Story]:
        """A mail that waited for a filter in the hold queue, and went no further."""
        thrown_away = self._filters.thrown_away_as_a_whole(queue)
        if thrown_away is None or queue.held is None:
            return []
        recipient = queue.held.get(RECIPIENT) or queue.announced_recipient
        return [Story("discarded", path, recipient, evidence=thrown_away)]

    def _onward(
        self, queue: Queue, groups: Sequence[list[Attempt]], path: tuple[Queue, ...]
    ) -> tuple[dict[int, list[Story]], list[Story]]:
        """The stories of the next queue IDs: for each recipient here by number, and of new ones."""
        told: dict[int, list[Story]] = {}
        joined: list[Story] = []
        missing: dict[int, Story] = {}
        for child, numbers in self._children(queue, groups):
            finals = [_final_to(groups[number], child, self._graph) for number in numbers]
            stories = self._of_queue(child, (*path, child))
            shares, new = _shared(child, finals, stories)
            joined += new
            for number, own in zip(numbers, shares, strict=True):
                told.setdefault(number, []).extend(own)
            for number in (number for number in numbers if not told[number]):
                note = f"no line of {child.key.queue_id} tells of this recipient"
                missing[number] = _with(_base(groups[number], (*path, child)), note=note)
        return {number: own or [missing[number]] for number, own in told.items()}, joined

    def _children(
        self, queue: Queue, groups: Sequence[list[Attempt]]
    ) -> list[tuple[Queue, list[int]]]:
        """The next queue IDs, each with the numbers of the recipients that it was reached for."""
        children: dict[int, tuple[Queue, list[int]]] = {}
        whole = self._graph.goes_on_as(queue)
        if whole is not None:
            children[id(whole)] = (whole, [])
        for number, attempts in enumerate(groups):
            reached = [self._graph.child(attempt) for attempt in attempts]
            if whole is not None and _is_left(queue, _final(attempts)):
                reached.append(whole)
            for child in reached:
                if child is not None:
                    numbers = children.setdefault(id(child), (child, []))[1]
                    if numbers[-1:] != [number]:
                        numbers.append(number)
        return list(children.values())

    def _of_recipient(
        self, queue: Queue, attempts: list[Attempt], path: tuple[Queue, ...]
    ) -> Iterator[Story]:
        final = _final(attempts)
        base = _base(attempts, path)
        match final.outcome:
            case "sent" | "passed_on":
                yield self._sent(final, base)
            case "discarded":
                yield _with(base, verdict="discarded")
            case "bounced":
                # By Postfix, or by a filter that took it before.
                yield _bounced(base, queue)
            case None:
                yield _with(base, verdict="probe")
            case _:
                yield self._not_sent(queue, base)

    def _sent(self, final: Attempt, base: Story) -> Story:
        if self._graph.is_circle(final):
            return _with(base, note="the mail goes round in a circle")
        if final.forwarded_queue_id is not None:
            return _with(base, note="forwarded, but no line tells of the new queue ID")
        thrown_away = self._filters.thrown_away(final)
        if thrown_away is not None:
            return _with(base, verdict="discarded", evidence=thrown_away)
        if final.outcome == "passed_on":
            note = "passed on within this system, and no line tells how it went on"
            return _with(base, note=note)
        return _with(base, verdict="delivered" if final.service in _LOCAL_AGENTS else "handed_over")

    def _not_sent(self, queue: Queue, base: Story) -> Story:
        if queue.corrupt is not None:
            return _with(base, verdict="held", evidence=queue.corrupt, note=_ONLY_AN_OPERATOR)
        if queue.expired is not None:
            child = _notification(queue, "non-delivery")
            return _with(base, verdict="expired", notification=child, evidence=queue.expired)
        if queue.deleted is not None:
            return _with(base, verdict="deleted", evidence=queue.deleted)
        if queue.requeued is not None:
            return _with(base, note=_NOT_TOLD_ANEW)
        if queue.held is not None:
            return _with(base, verdict="held", evidence=queue.held)
        if queue.ended is not None:
            note = "removed, but no line tells how it ended for this recipient"
            return _with(base, note=note)
        if _is_passed_over(queue, base):
            note = "others were tried again, and no line tells of this recipient"
            return _with(base, note=note)
        if self._is_lost(queue, base):
            return _with(base, note=_NO_END)
        note = _BEING_TRIED if _is_being_tried(queue, base) else ""
        if queue.attempts and self._is_silent(queue):
            note = (
                "it should be tried again, but no line tells of it any more: an operator may "
                "have deleted all mail (postsuper -d ALL)"
            )
        return _with(base, verdict="pending", note=note)

    def _without_attempt(self, queue: Queue, path: tuple[Queue, ...]) -> Iterator[Story]:
        """A mail that no delivery was tried for; its recipients may not be known.

        What is to be held or discarded is so only if it was taken in the end.
        """
        base = Story("unknown", path, None, evidence=queue.events[-1] if queue.events else None)
        if queue.deleted is not None:
            yield from _intended(queue, _with(base, verdict="deleted", evidence=queue.deleted))
        elif queue.refused is not None:
            yield _rejected(base, queue.refused)
        elif queue.refused_by_smtpd is not None:
            return
        elif queue.failure is not None and not queue.is_active:
            yield _rejected(base, queue.failure)
        elif queue.requeued is not None:
            yield _with(base, note=_NOT_TOLD_ANEW)
        elif queue.expired is not None:
            child = _notification(queue, "non-delivery")
            yield _with(base, verdict="expired", notification=child, evidence=queue.expired)
        elif queue.broken_off is not None:
            yield _with(base, verdict="not_accepted", evidence=queue.broken_off)
        elif queue.is_doubtful:
            yield _with(base, note="its lines are out of order: whether it was taken is not told")
        elif queue.corrupt is not None:
            yield _with(base, verdict="held", evidence=queue.corrupt, note=_ONLY_AN_OPERATOR)
        elif (discarded := _discarded(queue)) is not None:
            yield from _intended(queue, _with(base, verdict="discarded", evidence=discarded))
        elif queue.held is not None:
            yield from _intended(queue, _with(base, verdict="held", evidence=queue.held))
        elif self._is_refused(queue):
            return
        elif queue.ended is not None:
            yield _with(base, note="removed, but no line tells of any recipient")
        elif self._is_lost(queue, base):
            yield _with(base, note=_NO_END)
        elif queue.is_active:
            yield _with(base, verdict="pending", note=_BEING_TRIED)
        else:
            yield _with(base, note="the lines end before anything was decided")

    def _of_refusals(self) -> Iterator[Story]:
        for refusal in self.facts.refusals:
            base = Story(
                "rejected",
                (refusal.queue,) if refusal.queue is not None else (),
                refusal.recipient,
                refusal=refusal,
                evidence=refusal.event,
            )
            if refusal.is_in_advance:
                yield _not_taken(base, refusal)
            elif refusal.action == "abort":
                yield _with(base, verdict="not_accepted")
            else:
                yield _with(base, temporary=is_temporary(refusal.event))

    def _is_refused(self, queue: Queue) -> bool:
        """Whether smtpd refused something of this queue ID: that is a story of its own."""
        return any(id(event) in self._refusing for event in queue.events)

    def _is_lost(self, queue: Queue, story: Story) -> bool:
        """Whether a try began so long ago that the line about its end must be missing."""
        if self.until is None or not _is_being_tried(queue, story):
            return False
        return self.until - max(queue.activations) > ATTEMPT

    def _is_silent(self, queue: Queue) -> bool:
        last = max((time_of(event) for event in queue.events), default=queue.created_at)
        return self.until is not None and self.until - last > SILENCE


def _by_recipient(attempts: Iterable[Attempt]) -> Iterable[list[Attempt]]:
    groups: dict[tuple[str, str], list[Attempt]] = {}
    for attempt in attempts:
        original = attempt.original_recipient or ""
        groups.setdefault((attempt.recipient.lower(), original.lower()), []).append(attempt)
    return groups.values()


def _rejected(story: Story, event: StoredEvent) -> Story:
    """A mail that was refused at its end."""
    recipient = event.get(RECIPIENT) or _announced(story)
    return _with(
        story,
        verdict="rejected",
        recipient=recipient,
        temporary=is_temporary(event),
        evidence=event,
    )


def _announced(story: Story) -> str | None:
    return story.queues[-1].announced_recipient


def _discarded(queue: Queue) -> StoredEvent | None:
    """The line that says that a mail is discarded."""
    intended = (one for one in queue.intents if not is_hold(one))
    return queue.discarded or next(intended, None)


def _intended(queue: Queue, story: Story) -> Iterator[Story]:
    """What was to become of a mail became of it, for each recipient that a line names."""
    recipients = {str(one[RECIPIENT]).lower(): one for one in queue.intents if RECIPIENT in one}
    for event in recipients.values():
        is_proof = story.evidence is not None and RECIPIENT in story.evidence
        evidence = event if is_proof else story.evidence
        yield _with(story, recipient=event[RECIPIENT], evidence=evidence)
    if not recipients:
        yield _with(story, recipient=_announced(story))


def _not_taken(story: Story, refusal: Refusal) -> Story:
    """What was to be held or discarded, and has no queue ID."""
    if refusal.broken_off is not None:
        return _with(story, verdict="not_accepted", evidence=refusal.broken_off)
    what = "held" if is_hold(refusal.event) else "discarded"
    note = f"it was to be {what}, and no line tells whether it was taken"
    return _with(story, verdict="unknown", note=note)


def _is_taken_out(queue: Queue) -> bool:
    """Whether an operator took the mail out of the queue."""
    return queue.deleted is not None or queue.requeued is not None


def _is_being_tried(queue: Queue, story: Story) -> bool:
    """Whether the queue manager took it up, and no line tells how that ended."""
    if not queue.activations:
        return False
    return story.attempt is None or max(queue.activations) > story.attempt.time + _REORDERED


def _is_passed_over(queue: Queue, story: Story) -> bool:
    """Whether the mail was tried again, and that again, without this recipient."""
    last = story.attempt.time if story.attempt is not None else queue.created_at
    return sum(time > last + _REORDERED for time in queue.activations) > 1


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


def _base(attempts: list[Attempt], path: tuple[Queue, ...]) -> Story:
    """A recipient of whom no more is known than what was tried."""
    final = _final(attempts)
    return Story(
        "unknown",
        path,
        final.recipient,
        final.original_recipient,
        attempt=final,
        attempts=attempts.index(final) + 1,
        evidence=final.event,
    )


def _final_to(attempts: list[Attempt], child: Queue, graph: QueueGraph) -> Attempt:
    """The try that led to a queue ID; the last one if the mail went on there as a whole."""
    for attempt in attempts:
        if graph.child(attempt) is child:
            return attempt
    return _final(attempts)


def _is_left(queue: Queue, final: Attempt) -> bool:
    """Whether a recipient was still to be tried when the mail went on as a whole."""
    is_over = queue.expired is not None or queue.deleted is not None
    return not is_over and final.status not in _DECIDING and final.outcome is not None


def _shared(
    child: Queue, finals: Sequence[Attempt], stories: Sequence[Story]
) -> tuple[list[list[Story]], list[Story]]:
    """The stories of the next queue ID for each try that led there, and those of new recipients."""
    if not finals:
        return [], list(stories)
    if not child.attempts and all(story.attempt is None for story in stories):
        # They are about all of the mail.
        shares = [[_with(story, recipient=None) for story in stories] for _ in finals]
        return [_continued(*one) for one in zip(finals, shares, strict=True)], []
    if any(final.forwarded_queue_id is not None for final in finals):
        return [_continued(finals[0], stories), *([] for _ in finals[1:])], []
    told = [story for story in stories if story.recipient is not None]
    others = [story for story in stories if story.recipient is None]
    shares_of = share_out(
        [Recipient(final.recipient) for final in finals],
        [Recipient(story.recipient, story.original_recipient) for story in told],
        is_complete=not others and (child.nrcpt or 0) <= len(told),
    )
    own = [
        _continued(final, [told[number] for number in numbers])
        for final, numbers in zip(finals, shares_of.of_each, strict=True)
    ]
    # That some recipients are missing there is told for those here who have no share.
    is_told = any(not numbers for numbers in shares_of.of_each)
    rest = [story for story in others if story.evidence is not None or not is_told]
    return own, [*(told[number] for number in shares_of.joined), *rest]


def _continued(final: Attempt, stories: Sequence[Story]) -> list[Story]:
    """Stories of the next queue ID as those of the recipient that led there."""
    first = final.original_recipient or final.recipient
    continued = []
    for story in stories:
        recipient = story.recipient or final.recipient
        changed = None if recipient.lower() == first.lower() else first
        passed = (final, *story.passed)
        continued.append(
            _with(story, recipient=recipient, original_recipient=changed, passed=passed)
        )
    return continued


def _notification(queue: Queue, reason: str) -> str | None:
    return next((child for why, child in queue.notifications if why == reason), None)


def _bounced(story: Story, queue: Queue) -> Story:
    notification = _notification(queue, "non-delivery")
    note = ""
    if queue.notice_failed is not None and notification is None and queue.ended is None:
        note = "it cannot be delivered; the sender could not be told yet, and the mail stays queued"
        return _with(story, verdict="pending", note=note, evidence=queue.notice_failed)
    if queue.sender == "" and notification is None:
        note = "it cannot be delivered, and nobody is told: it is a notification itself"
    return _with(story, verdict="bounced", notification=notification, note=note)


def _with(story: Story, **changes: Any) -> Story:
    return replace(story, **changes)
