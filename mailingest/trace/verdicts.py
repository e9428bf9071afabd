"""What a mail's own lines decide: the verdict for each recipient under one queue ID.

Pure.  The wording is honest: `handed_over` means that the named relay said 2xx to this mail, and
nothing more; `delivered` means that a mail store here took it; where a line is missing, the
verdict is `unknown`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailingest.postfix.lifecycle import REORDERED_SECONDS
from mailingest.postfix.names import RECIPIENT
from mailingest.stores.events import StoredEvent, time_of
from mailingest.trace.facts import Attempt, Queue, Refusal
from mailingest.trace.filters import FilterIds
from mailingest.trace.graph import QueueGraph
from mailingest.trace.lines import is_hold, is_temporary
from mailingest.trace.notes import Note
from mailingest.trace.story import Story, with_

# Postfix tries a mail again at the latest after maximal_backoff_time (4000 s): a mail that was
# active and of which nothing was heard for longer has lost its lines.
SILENCE = timedelta(seconds=8000)
# smtp(8) tries five addresses at most (smtp_mx_address_limit), each for 30 seconds
# (smtp_connect_timeout); if for longer no line tells how a try ended, that line may be missing.
ATTEMPT = timedelta(seconds=150)
_REORDERED = timedelta(seconds=REORDERED_SECONDS)
_LOCAL_AGENTS = frozenset({"local", "virtual", "pipe", "lmtp"})
_BEING_TRIED = Note("being_tried")
_NO_END = Note("no_end")
_ONLY_AN_OPERATOR = Note("only_an_operator")
_NOT_TOLD_ANEW = Note("not_told_anew")
# Statuses after which a recipient is not tried again.
DECIDING = ("sent", "bounced")


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Decides on recipients and mails whose end is not under another queue ID.

    ``refusing`` are the ids of the lines of refusals, which are stories of their own; ``until`` is
    how far the logs reach.
    """

    graph: QueueGraph
    filters: FilterIds
    refusing: set[int]
    until: datetime | None

    def of_recipient(
        self, queue: Queue, attempts: list[Attempt], path: tuple[Queue, ...]
    ) -> Iterator[Story]:
        final = final_of(attempts)
        base = base_of(attempts, path)
        match final.outcome:
            case "sent" | "passed_on":
                yield self._sent(final, base)
            case "discarded":
                yield with_(base, verdict="discarded")
            case "bounced":
                # By Postfix, or by a filter that took it before.
                yield _bounced(base, queue)
            case None:
                yield with_(base, verdict="probe")
            case _:
                yield self._not_sent(queue, base)

    def of_filtered(self, queue: Queue, path: tuple[Queue, ...]) -> list[Story]:
        """A mail that waited for a filter in the hold queue, and went no further."""
        thrown_away = self.filters.thrown_away_as_a_whole(queue)
        if thrown_away is None or queue.held is None:
            return []
        recipient = queue.held.get(RECIPIENT) or queue.announced_recipient
        return [Story("discarded", path, recipient, evidence=thrown_away)]

    def without_attempt(self, queue: Queue, path: tuple[Queue, ...]) -> Iterator[Story]:
        """A mail that no delivery was tried for; its recipients may not be known.

        What is to be held or discarded is so only if it was taken in the end.
        """
        base = Story("unknown", path, None, evidence=queue.events[-1] if queue.events else None)
        if queue.deleted is not None:
            yield from _intended(queue, with_(base, verdict="deleted", evidence=queue.deleted))
        elif queue.refused is not None:
            yield _rejected(base, queue.refused)
        elif queue.refused_by_smtpd is not None:
            return
        elif queue.failure is not None and not queue.is_active:
            yield _rejected(base, queue.failure)
        elif queue.requeued is not None:
            yield with_(base, note=_NOT_TOLD_ANEW)
        elif queue.expired is not None:
            child = _notification(queue, "non-delivery")
            yield with_(base, verdict="expired", notification=child, evidence=queue.expired)
        elif queue.broken_off is not None:
            yield with_(base, verdict="not_accepted", evidence=queue.broken_off)
        elif queue.is_doubtful:
            yield with_(base, note=Note("out_of_order"))
        elif queue.corrupt is not None:
            yield with_(base, verdict="held", evidence=queue.corrupt, note=_ONLY_AN_OPERATOR)
        elif (discarded := _discarded(queue)) is not None:
            yield from _intended(queue, with_(base, verdict="discarded", evidence=discarded))
        elif queue.held is not None:
            yield from _intended(queue, _held(base, queue.held))
        elif not queue.is_active and self._is_refused(queue):
            return
        elif queue.ended is not None:
            yield with_(base, note=Note("no_recipient"))
        elif self._is_lost(queue, base):
            yield with_(base, note=_NO_END)
        elif queue.is_active:
            yield with_(base, verdict="pending", note=_BEING_TRIED)
        else:
            yield with_(base, note=Note("undecided"))

    def of_refusal(self, refusal: Refusal) -> Story:
        """What smtpd or postscreen did not take."""
        base = Story(
            "rejected",
            (refusal.queue,) if refusal.queue is not None else (),
            refusal.recipient,
            refusal=refusal,
            evidence=refusal.event,
        )
        if refusal.is_in_advance:
            return _not_taken(base, refusal)
        if refusal.action == "abort":
            return with_(base, verdict="not_accepted")
        return with_(base, temporary=is_temporary(refusal.event))

    def _sent(self, final: Attempt, base: Story) -> Story:
        if self.graph.is_circle(final):
            return with_(base, note=Note("circle"))
        if final.forwarded_queue_id is not None:
            return with_(base, note=Note("forwarded"))
        thrown_away = self.filters.thrown_away(final)
        if thrown_away is not None:
            return with_(base, verdict="discarded", evidence=thrown_away)
        if final.outcome == "passed_on":
            return with_(base, note=Note("passed_on"))
        return with_(base, verdict="delivered" if final.service in _LOCAL_AGENTS else "handed_over")

    def _not_sent(self, queue: Queue, base: Story) -> Story:
        if queue.corrupt is not None:
            return with_(base, verdict="held", evidence=queue.corrupt, note=_ONLY_AN_OPERATOR)
        if queue.expired is not None:
            child = _notification(queue, "non-delivery")
            return with_(base, verdict="expired", notification=child, evidence=queue.expired)
        if queue.deleted is not None:
            return with_(base, verdict="deleted", evidence=queue.deleted)
        if queue.requeued is not None:
            return with_(base, note=_NOT_TOLD_ANEW)
        if queue.held is not None:
            return _held(base, queue.held)
        if queue.ended is not None:
            return with_(base, note=Note("no_recipient_end"))
        if _is_passed_over(queue, base):
            return with_(base, note=Note("passed_over"))
        if self._is_lost(queue, base):
            return with_(base, note=_NO_END)
        note = _BEING_TRIED if _is_being_tried(queue, base) else None
        if queue.attempts and self._is_silent(queue):
            note = Note("silent", {"since": queue.last_line()})
        return with_(base, verdict="pending", note=note)

    def _is_refused(self, queue: Queue) -> bool:
        """Whether smtpd refused something of this queue ID: that is a story of its own."""
        return any(id(event) in self.refusing for event in queue.events)

    def _is_lost(self, queue: Queue, story: Story) -> bool:
        """Whether a try began so long ago that the line about its end must be missing."""
        if self.until is None or not _is_being_tried(queue, story):
            return False
        return self.until - max(queue.activations) > ATTEMPT

    def _is_silent(self, queue: Queue) -> bool:
        return self.until is not None and self.until - queue.last_line() > SILENCE


def final_of(attempts: list[Attempt]) -> Attempt:
    """The try that decided; the last one if none did."""
    for status in DECIDING:
        for attempt in attempts:
            if attempt.status == status:
                return attempt
    return attempts[-1]


def base_of(attempts: list[Attempt], path: tuple[Queue, ...]) -> Story:
    """A recipient of whom no more is known than what was tried."""
    final = final_of(attempts)
    return Story(
        "unknown",
        path,
        final.recipient,
        final.original_recipient,
        attempt=final,
        attempts=attempts.index(final) + 1,
        evidence=final.event,
    )


def _held(story: Story, event: StoredEvent) -> Story:
    """A mail on hold, as far as the lines tell: the one about its release may be missing."""
    note = Note("on_hold", {"since": time_of(event)})
    return with_(story, verdict="held", evidence=event, note=note)


def _rejected(story: Story, event: StoredEvent) -> Story:
    """A mail that was refused at its end."""
    recipient = event.get(RECIPIENT) or _announced(story)
    return with_(
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
        yield with_(story, recipient=event[RECIPIENT], evidence=evidence)
    if not recipients:
        yield with_(story, recipient=_announced(story))


def _not_taken(story: Story, refusal: Refusal) -> Story:
    """What was to be held or discarded, and has no queue ID."""
    if refusal.broken_off is not None:
        return with_(story, verdict="not_accepted", evidence=refusal.broken_off)
    note = Note("to_be_held" if is_hold(refusal.event) else "to_be_discarded")
    return with_(story, verdict="unknown", note=note)


def _is_being_tried(queue: Queue, story: Story) -> bool:
    """Whether the queue manager took it up, and no line tells how that ended."""
    if not queue.activations:
        return False
    return story.attempt is None or max(queue.activations) > story.attempt.time + _REORDERED


def _is_passed_over(queue: Queue, story: Story) -> bool:
    """Whether the mail was tried again, and that again, without this recipient."""
    last = story.attempt.time if story.attempt is not None else queue.created_at
    if sum(time > last + _REORDERED for time in queue.activations) > 1:
        return True
    if story.attempt is None:
        return False
    # Each round tries all who wait.  One less may be one that goes on, or was stopped by a reload.
    return queue.tries()[story.attempt.address] + 1 < queue.most_tries()


def _notification(queue: Queue, reason: str) -> str | None:
    return next((child for why, child in queue.notifications if why == reason), None)


def _bounced(story: Story, queue: Queue) -> Story:
    notification = _notification(queue, "non-delivery")
    note = None
    if queue.notice_failed is not None and notification is None and queue.ended is None:
        note = Note("sender_untold")
        return with_(story, verdict="pending", note=note, evidence=queue.notice_failed)
    if queue.sender == "" and notification is None:
        note = Note("nobody_told")
    return with_(story, verdict="bounced", notification=notification, note=note)
