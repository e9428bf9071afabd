"""Stories -> those that a user of some domains may see, without what is about others.  Pure.

A mail that was sent with a login of the domains is theirs: they know whom they wrote to.  The
sender of the envelope alone proves nothing, since anybody can write it.  Of any other mail only the
stories of their own recipients are told; of the others only how many there are.

What is left has no line, field or time of others.  So whatever is made of it, a page, JSON or the
answer whether it meets a question, cannot tell of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mailingest.postfix.lifecycle import REORDERED_SECONDS
from mailingest.postfix.mail_domains import MailDomains
from mailingest.postfix.names import (
    MESSAGE_ID,
    NOTIFICATION,
    ORIGINAL_RECIPIENT,
    OUTCOME,
    PROGRAM_KIND,
    RECIPIENT,
    SASL_SENDER,
    SASL_USERNAME,
    SENDER,
    SERVICE,
    SIZE,
    STATUS,
)
from mailingest.stores.events import StoredEvent, time_of
from mailingest.trace.facts import Attempt, Queue, Refusal
from mailingest.trace.lines import Login, login_of, service_of
from mailingest.trace.origin import sender_of, values_in
from mailingest.trace.redaction import Redaction, without_content
from mailingest.trace.story import Story, by_mail

# Daemons whose lines, where they name no recipient, are about the mail as a whole.
_OF_THE_MAIL = frozenset(
    {"smtpd", "postscreen", "pickup", "cleanup", "qmgr", "oqmgr", "postsuper", "trivial-rewrite"}
)
# What counts of a line, but for whom it is about.
_COUNTED = ("@timestamp", "host", "program", OUTCOME, SIZE, SENDER, SERVICE)
_OPEN = frozenset({"pending", "held", "unknown"})
_REORDERED = timedelta(seconds=REORDERED_SECONDS)


@dataclass(frozen=True, slots=True)
class Visibility:
    """What a user of the ``domains`` may see."""

    domains: MailDomains

    def of(self, stories: Sequence[Story]) -> list[Story]:
        """The stories that may be seen, in their order, each without what is about others."""
        shown = {id(story): one for mail in by_mail(stories) for story, one in self._of_mail(mail)}
        return [shown[id(story)] for story in stories if id(story) in shown]

    def line(self, event: StoredEvent) -> StoredEvent | None:
        """A line that is counted as one of the domains by what it says itself; None if it is not.

        It has no names that may not be seen.
        """
        covers = self.domains.covers
        recipient, written = event.get(RECIPIENT), event.get(ORIGINAL_RECIPIENT)
        is_to_them = covers(recipient) or covers(written)
        if not is_to_them and not self._is_sender(login_of(event), event.get(SENDER)):
            return None
        if written and not is_to_them:
            # Where an alias of others leads to, and how it is reached there.
            return {name: event[name] for name in _COUNTED if name in event}
        shown = {str(one).lower() for one in (recipient, written, event.get(SENDER)) if one}
        return Redaction(self.domains, shown).line(event)

    def _of_mail(self, mail: Sequence[Story]) -> Iterable[tuple[Story, Story]]:
        first = mail[0]
        if self._is_sent(first):
            pairs = [(story, self._as_sent(story)) for story in mail]
            hidden, is_alone = 0, all(story is one for story, one in pairs)
        else:
            pairs = [(story, story) for story in mail if self._is_to_them(story)]
            known = first.first.nrcpt if first.first is not None else 1
            hidden = max(known or 0, len(mail)) - len(pairs)
            is_alone = known is not None and not hidden
        if not pairs:
            return ()
        view = _MailView([one for _, one in pairs], self.domains, is_alone=is_alone)
        return [(story, replace(view.story(one), not_shown=hidden)) for story, one in pairs]

    def _is_to_them(self, story: Story) -> bool:
        return any(map(self.domains.covers, _way_of(story)))

    def _is_sent(self, story: Story) -> bool:
        if story.first is not None:
            return self._is_sender(story.first.login, sender_of(story))
        login = story.refusal.login if story.refusal is not None else None
        return self._is_sender(login, sender_of(story))

    def _is_sender(self, login: Login | None, sender: str | None) -> bool:
        """Whether a login is of the domains; one without a domain counts as the sender's."""
        if login is None or not login.username:
            return False
        if "@" in login.username:
            return self.domains.covers(login.username)
        return self.domains.covers(sender)

    def _as_sent(self, story: Story) -> Story:
        """A story as the sender knows it: not where an alias of others leads to."""
        written, reached = story.original_recipient, story.recipient
        if written is None or self.domains.covers(written) or self.domains.covers(reached):
            return story
        evidence = without_content(story.evidence) if story.evidence is not None else None
        return replace(
            story,
            recipient=written,
            original_recipient=None,
            attempt=None,
            passed=(),
            evidence=evidence,
        )


class _MailView:
    """The lines of one mail that belong to the stories which may be seen.

    If it ``is_alone``, there is nobody else in the mail.
    """

    def __init__(self, stories: Sequence[Story], domains: MailDomains, *, is_alone: bool) -> None:
        self._is_alone = is_alone
        self._recipients = {
            name.lower() for story in stories for name in _way_of(story) if name is not None
        }
        senders = {str(one).lower() for story in stories for one in values_in(story, SENDER)}
        senders |= {(sender_of(story) or "").lower() for story in stories}
        messages = {str(one).lower() for story in stories for one in values_in(story, MESSAGE_ID)}
        self._redaction = Redaction(domains, self._recipients | senders | messages)
        self._notifications = {story.notification for story in stories} - {None}
        self._until = None if is_alone else _end_of(stories)
        self._queues: dict[int, Queue] = {}

    def story(self, story: Story) -> Story:
        """A story with only these lines."""
        return replace(
            story,
            queues=tuple(map(self._queue, story.queues)),
            attempt=self._attempt(story.attempt) if story.attempt is not None else None,
            passed=tuple(map(self._attempt, story.passed)),
            refused_before=tuple(
                self._refusal(one, None)
                for one in story.refused_before
                if self._is_about_them(one.event)
            ),
            refusal=self._refusal(story.refusal, story.first) if story.refusal else None,
            evidence=self._redacted(story.evidence),
        )

    def _queue(self, queue: Queue) -> Queue:
        if id(queue) not in self._queues:
            self._queues[id(queue)] = self._made(queue)
        return self._queues[id(queue)]

    def _made(self, queue: Queue) -> Queue:
        until, announced = self._until, queue.announced_recipient
        is_told = until is None or queue.ended is None or queue.ended <= until
        return queue.with_lines(
            self._lines(queue.events),
            login=self._login(queue.login),
            announced_recipient=announced if self._redaction.shows(announced) else None,
            activations=[one for one in queue.activations if until is None or one <= until],
            attempts=[self._attempt(one) for one in queue.attempts if self._is_shown(one.event)],
            notifications=[one for one in queue.notifications if one[1] in self._notifications],
            intents=self._lines(queue.intents),
            holds=self._lines(queue.holds),
            releases=self._lines(queue.releases),
            late=[],
            ended=queue.ended if is_told else None,
            **{name: self._line(getattr(queue, name)) for name in _DECIDING},
        )

    def _lines(self, events: Iterable[StoredEvent]) -> list[StoredEvent]:
        lines = (self._line(event) for event in events)
        return [line for line in lines if line is not None]

    def _line(self, event: StoredEvent | None) -> StoredEvent | None:
        """A line as it may be seen; None if it is not to be seen."""
        if event is None or not self._is_shown(event):
            return None
        return self._redaction.line(event)

    def _redacted(self, event: StoredEvent | None) -> StoredEvent | None:
        return self._redaction.line(event) if event is not None else None

    def _is_shown(self, event: StoredEvent) -> bool:
        if not self._is_about_them(event):
            return False
        if self._is_alone or (RECIPIENT in event and STATUS in event):
            return True
        if event.get(NOTIFICATION) is not None:
            return event[NOTIFICATION] in self._notifications
        is_clean = self._redaction.shows_line(self._without_login(event))
        if RECIPIENT in event:
            return is_clean
        # Of what happened after, others were the reason.
        is_before = self._until is None or time_of(event) <= self._until
        is_of_the_mail = event.get(PROGRAM_KIND) == "postfix" and service_of(event) in _OF_THE_MAIL
        return (
            is_before and is_of_the_mail and self._redaction.shows_line(self._without_login(event))
        )

    def _is_about_them(self, event: StoredEvent) -> bool:
        """Whether a line names no recipient but theirs."""
        names = (event.get(RECIPIENT), event.get(ORIGINAL_RECIPIENT))
        return all(map(self._redaction.shows, names))

    @staticmethod
    def _without_login(event: StoredEvent) -> StoredEvent:
        """A line but for its login, which is taken out of it wherever it is shown."""
        login = (event.get(SASL_USERNAME), event.get(SASL_SENDER))
        message = str(event.get("message", ""))
        for name in filter(None, login):
            message = message.replace(str(name), "")
        kept = {key: event[key] for key in event if key not in (SASL_USERNAME, SASL_SENDER)}
        return {**kept, "message": message}

    def _attempt(self, attempt: Attempt) -> Attempt:
        return Attempt(self._redaction.line(attempt.event))

    def _login(self, login: Login | None) -> Login | None:
        if login is None or not self._redaction.shows(login.username):
            return None
        sender = login.sender if self._redaction.shows(login.sender) else None
        return login._replace(sender=sender)

    def _refusal(self, refusal: Refusal, queue: Queue | None) -> Refusal:
        return replace(
            refusal,
            queue=self._queue(queue) if queue is not None and refusal.queue is not None else None,
            event=self._redaction.line(refusal.event),
            broken_off=self._redacted(refusal.broken_off),
            session_begin=self._redacted(refusal.session_begin),
        )


_DECIDING = (
    "expired",
    "corrupt",
    "notice_failed",
    "refused",
    "refused_by_smtpd",
    "failure",
    "discarded",
    "broken_off",
    "deleted",
    "requeued",
)
"""The fields of `Queue` that are lines."""


def _way_of(story: Story) -> Iterable[str | None]:
    """All addresses that a recipient had on the way."""
    yield from (story.recipient, story.original_recipient)
    for attempt in (*story.passed, *([story.attempt] if story.attempt is not None else [])):
        yield from (attempt.recipient, attempt.original_recipient)


def _end_of(stories: Sequence[Story]) -> datetime | None:
    """When the last of the stories was decided; None if one is open."""
    times = [None if one.verdict in _OPEN else one.decided_at for one in stories]
    known = [time for time in times if time is not None]
    return max(known) + _REORDERED if len(known) == len(times) and known else None
