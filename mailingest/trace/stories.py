"""Facts -> stories: one answer for each mail and recipient, chained over queue IDs.

Pure.  The wording is honest: `handed_over` means that the named relay said 2xx to this mail, and
nothing more; `delivered` means that a mail store here took it; where a line is missing, the
verdict is `unknown`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from mailingest.trace.facts import Attempt, Event, Facts, Key, Queue, Refusal, time_of

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

# A child's first line comes before the line of its parent that names it; clocks of two hosts may
# differ by this much as well.
CLOCKS_DIFFER = timedelta(seconds=120)
# Postfix tries a mail again at the latest after maximal_backoff_time (4000 s): a mail that was
# active and of which nothing was heard for longer has lost its lines.
SILENCE = timedelta(seconds=8000)
# smtp(8) breaks lines at 998 octets (smtp_line_length_limit) and cleanup(8) cuts what it logs, so
# that the rest of a long Message-ID is not the same at each hop.
_SAFE_MESSAGE_ID = 900
# Loops in a broken log must end.
_DEEPEST = 16

_THIS_HOST = frozenset({"127.0.0.1", "::1"})
_LOCAL_AGENTS = frozenset({"local", "virtual", "pipe", "lmtp"})
_THROWN_AWAY = frozenset({"discarded", "blocked", "quarantined"})


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
    evidence: Event | None = None
    note: str = ""

    @property
    def first(self) -> Queue | None:
        """The queue ID under which the mail came in."""
        return self.queues[0] if self.queues else None

    @property
    def received_at(self) -> datetime | None:
        """When the mail came in."""
        if self.queues:
            return self.queues[0].born
        return self.refusal.time if self.refusal else None

    @property
    def decided_at(self) -> datetime | None:
        """When the line was written that proves the verdict."""
        return time_of(self.evidence) if self.evidence is not None else None

    @property
    def proof(self) -> list[Event]:
        """All lines of the story, in the order of time."""
        events = [event for queue in self.queues for event in queue.events]
        if self.refusal is not None and self.refusal.event not in events:
            events.append(self.refusal.event)
        return sorted(events, key=lambda event: str(event["@timestamp"]))


def tell(facts: Facts, *, until: datetime | None = None) -> list[Story]:
    """All stories of the facts, in the order of the mails' arrival.

    ``until`` is how far the logs reach; None stands for the latest fact.
    """
    return _Teller(facts, until).tell()


@dataclass(slots=True)
class _Teller:
    facts: Facts
    until: datetime | None
    _by_id: dict[str, list[Queue]] = field(default_factory=lambda: defaultdict(list))
    _by_message: dict[str, list[Queue]] = field(default_factory=lambda: defaultdict(list))
    _by_filter: dict[tuple[str, str], list[Queue]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def tell(self) -> list[Story]:
        for queue in self.facts.queues:
            self._by_id[queue.key.queue_id].append(queue)
            if queue.message_id:
                self._by_message[queue.message_id].append(queue)
            if queue.filtered_from:
                self._by_filter[queue.key.host, queue.filtered_from].append(queue)
        if self.until is None:
            times = [time_of(event) for queue in self.facts.queues for event in queue.events]
            self.until = max(times, default=None)
        children = {id(child) for queue in self.facts.queues for child in self._children(queue)}
        roots = [queue for queue in self.facts.queues if id(queue) not in children]
        stories = [story for queue in roots for story in self._of_queue(queue, (queue,))]
        stories += self._of_refusals()
        return sorted(stories, key=lambda story: (str(story.received_at), str(story.decided_at)))

    def _of_queue(self, queue: Queue, path: tuple[Queue, ...]) -> Iterator[Story]:
        told = 0
        for attempts in _by_recipient(queue.attempts):
            told += 1
            yield from self._of_recipient(queue, attempts, path)
        if not told:
            yield from self._without_attempt(queue, path)
        elif queue.ended and queue.nrcpt and told < queue.nrcpt and not queue.deleted:
            missing = queue.nrcpt - told
            yield Story("unknown", path, None, note=f"no line tells of {missing} more recipients")

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
        if final.status == "sent":
            yield from self._sent(queue, final, base, path)
        elif final.status == "bounced":
            yield _with(base, verdict="bounced", notification=_notification(queue, "non-delivery"))
        elif final.status in ("deliverable", "undeliverable") or "not-cached" in final.status:
            yield _with(base, verdict="probe")
        else:
            yield from self._not_sent(queue, base, path)

    def _sent(
        self, queue: Queue, final: Attempt, base: Story, path: tuple[Queue, ...]
    ) -> Iterator[Story]:
        if final.service == "discard" or _disposition(final) in _THROWN_AWAY:
            yield _with(base, verdict="discarded")
            return
        if _disposition(final) == "bounced":
            # A filter took it, and bounced it itself.
            yield _with(base, verdict="bounced", notification=_notification(queue, "non-delivery"))
            return
        child = self._child(queue, final)
        if child is not None and child not in path and len(path) < _DEEPEST:
            yield from self._continued(final, base, child, path)
        elif child is not None:
            yield _with(base, note="the mail goes round in a circle")
        elif "postfix_forwarded_queueid" in final.event:
            yield _with(base, note="forwarded, but no line tells of the new queue ID")
        elif final.service in _LOCAL_AGENTS and not _is_a_hop(final):
            yield _with(base, verdict="delivered")
        elif _is_a_hop(final):
            yield _with(base, note="passed on within this system, and no line tells how it went on")
        else:
            yield _with(base, verdict="handed_over")

    def _continued(
        self, final: Attempt, base: Story, child: Queue, path: tuple[Queue, ...]
    ) -> Iterator[Story]:
        stories = list(self._of_queue(child, (*path, child)))
        if "postfix_forwarded_queueid" not in final.event:
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
        else:
            yield _with(base, verdict="pending")

    def _requeued(self, queue: Queue, base: Story, path: tuple[Queue, ...]) -> Iterator[Story]:
        child = self._requeued_as(queue)
        if child is None or child in path or len(path) >= _DEEPEST:
            yield _with(base, note="requeued, and no line tells the new queue ID")
            return
        stories = list(self._of_queue(child, (*path, child)))
        yield from (_of_recipient(stories, base.recipient) if base.recipient else []) or stories

    def _without_attempt(self, queue: Queue, path: tuple[Queue, ...]) -> Iterator[Story]:
        """A mail that no delivery was tried for; its recipients may not be known."""
        decided: tuple[tuple[Event | None, Verdict], ...] = (
            (queue.discarded, "discarded"),
            (queue.refused, "rejected"),
            (queue.deleted, "deleted"),
            (queue.held, "held"),
        )
        for event, verdict in decided:
            if event is not None:
                temporary = _is_temporary(event) if verdict == "rejected" else None
                yield Story(
                    verdict, path, event.get("postfix_to"), temporary=temporary, evidence=event
                )
                return
        base = Story("unknown", path, None, evidence=queue.events[-1] if queue.events else None)
        if queue.requeued is not None:
            yield from self._requeued(queue, base, path)
        elif queue.expired is not None:
            child = _notification(queue, "non-delivery")
            yield _with(base, verdict="expired", notification=child, evidence=queue.expired)
        elif queue.broken_off is not None:
            yield _with(base, verdict="not_accepted", evidence=queue.broken_off)
        elif self._has_refusal(queue):
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
                near = [q for q in self._by_id[key.queue_id] if q.key == key]
                queues = tuple(near[-1:])
            verdict: Verdict = "rejected"
            if "discard" in refusal.action:
                verdict = "discarded"
            elif refusal.action == "hold":
                verdict = "held"
            elif refusal.action == "abort":
                verdict = "not_accepted"
            yield Story(
                verdict,
                queues,
                refusal.event.get("postfix_to"),
                temporary=_is_temporary(refusal.event) if verdict == "rejected" else None,
                refusal=refusal,
                evidence=refusal.event,
            )

    def _has_refusal(self, queue: Queue) -> bool:
        """Whether smtpd refused a recipient of this queue ID, which then never came to be."""
        return any(refusal.event in queue.events for refusal in self.facts.refusals)

    def _is_silent(self, queue: Queue) -> bool:
        last = max((time_of(event) for event in queue.events), default=queue.born)
        return self.until is not None and self.until - last > SILENCE

    def _children(self, queue: Queue) -> Iterator[Queue]:
        for attempt in queue.attempts:
            if attempt.status == "sent":
                child = self._child(queue, attempt)
                if child is not None:
                    yield child
        if queue.requeued is not None:
            child = self._requeued_as(queue)
            if child is not None:
                yield child

    def _child(self, queue: Queue, attempt: Attempt) -> Queue | None:
        """The queue ID that a delivered mail goes on under, if it is in the logs."""
        forwarded = attempt.event.get("postfix_forwarded_queueid")
        if forwarded is not None:
            key = queue.key._replace(queue_id=forwarded)
            same = (one for one in self._by_id.get(forwarded, ()) if one.key == key)
            return _latest_before(same, queue, attempt)
        remote = attempt.event.get("postfix_remote_queueid")
        if remote is not None:
            found = (one for one in self._by_id.get(remote, ()) if _can_be_same(one, queue))
            child = _latest_before(found, queue, attempt)
            if child is not None:
                return child
        # A filter that tells no queue ID passes on what XFORWARD told it.
        filtered = list(self._by_filter.get((queue.key.host, queue.key.queue_id), ()))
        if filtered and (attempt.service == "pipe" or _is_a_hop(attempt)):
            own = [one for one in filtered if _has_recipient(one, attempt.recipient)]
            return _latest_before(own or filtered, queue, attempt)
        if attempt.service == "pipe" and queue.message_id:
            # A filter behind pipe(8) gives the mail back by sendmail(1).
            back = (
                one
                for one in self._by_message[queue.message_id]
                if one is not queue
                and one.is_submitted_here
                and one.key.host == queue.key.host
                and one.born >= queue.born
            )
            return _latest_before(back, queue, attempt)
        return None

    def _requeued_as(self, queue: Queue) -> Queue | None:
        candidates = [
            one
            for one in self.facts.queues
            if one is not queue
            and one.key.host == queue.key.host
            and one.key.instance == queue.key.instance
            and one.born >= queue.born
            and (
                one.requeued_from == queue.key.queue_id
                or (one.is_submitted_here and one.message_id == queue.message_id is not None)
            )
        ]
        return min(candidates, key=lambda one: one.born, default=None)


def _is_a_hop(attempt: Attempt) -> bool:
    """Whether the relay is this system, so that a 2xx reply says nothing about the end."""
    if attempt.service == "lmtp" and "postfix_remote_queueid" not in attempt.event:
        return False  # a mail store: it has no queue
    event = attempt.event
    return event.get("postfix_relay_ip") in _THIS_HOST or (
        event.get("postfix_relay_ip") is None and "postfix_remote_queueid" in event
    )


def _by_recipient(attempts: Iterable[Attempt]) -> Iterable[list[Attempt]]:
    groups: dict[tuple[str, str], list[Attempt]] = {}
    for attempt in attempts:
        original = attempt.original_recipient or ""
        groups.setdefault((attempt.recipient.lower(), original.lower()), []).append(attempt)
    return groups.values()


def _final(attempts: list[Attempt]) -> Attempt:
    """The try that decided; the last one if none did."""
    for status in ("sent", "bounced"):
        for attempt in attempts:
            if attempt.status == status:
                return attempt
    return attempts[-1]


def _latest_before(candidates: Iterable[Queue], queue: Queue, attempt: Attempt) -> Queue | None:
    """Of the mails that had a queue ID, the one that was born when it was named."""
    fit = [
        one
        for one in candidates
        if queue.born - CLOCKS_DIFFER <= one.born <= attempt.time + CLOCKS_DIFFER
        and one is not queue
    ]
    return max(fit, key=lambda one: one.born, default=None)


def _can_be_same(child: Queue, queue: Queue) -> bool:
    """A foreign server's queue ID may look like one of ours."""
    if child.key == queue.key:
        return False
    if not child.message_id or not queue.message_id:
        return True
    return child.message_id[:_SAFE_MESSAGE_ID] == queue.message_id[:_SAFE_MESSAGE_ID]


def _has_recipient(queue: Queue, recipient: str) -> bool:
    return any(attempt.recipient.lower() == recipient.lower() for attempt in queue.attempts)


def _of_recipient(stories: list[Story], recipient: str) -> list[Story]:
    """The stories that a mail to this recipient became.

    The same address may be there for itself and by way of an alias: the one that the mail came
    in for counts.
    """
    wanted = recipient.lower()
    origins = [(story.original_recipient or story.recipient or "").lower() for story in stories]
    exact = [story for story, origin in zip(stories, origins, strict=True) if origin == wanted]
    return exact or [story for story in stories if (story.recipient or "").lower() == wanted]


def _disposition(attempt: Attempt) -> str:
    return str(attempt.event.get("postfix_disposition", ""))


def _notification(queue: Queue, reason: str) -> str | None:
    return next((child for why, child in queue.notifications if why == reason), None)


def _is_temporary(event: Event) -> bool:
    code = event.get("postfix_status_code")
    if code is not None:
        return bool(400 <= code < 500)
    enhanced = event.get("postfix_status_code_enhanced")
    if enhanced is None:
        enhanced = str(event.get("postfix_milter_message", "")).rpartition(": ")[2]
    return str(enhanced).startswith("4.")


def _with(story: Story, **changes: Any) -> Story:
    return replace(story, **changes)
