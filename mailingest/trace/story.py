"""What became of one mail for one recipient.  Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from mailingest.stores.events import StoredEvent, time_of
from mailingest.trace.facts import Attempt, Queue, Refusal
from mailingest.trace.notes import Note

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


@dataclass(frozen=True, slots=True)
class Story:
    """What became of one mail for one recipient.

    ``queues`` are those that the mail passed, ``passed`` the deliveries that led on from one to the
    next, and ``attempt`` is the one that decided.  ``refused_before`` are refusals for the time
    being of the same mail, in earlier sessions.  ``not_shown`` is how many others the mail
    has that whoever asks is not to see (`mailingest.trace.visibility`).
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
    note: Note | None = None
    not_shown: int = 0

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
        """The lines that are common to the mail and those of this recipient, in order of time."""
        way = [*self.passed, *([self.attempt] if self.attempt is not None else [])]
        addresses = (self.recipient, self.original_recipient, *(one.recipient for one in way))
        names = [address.lower() for address in addresses if address]
        events = [event for queue in self.queues for event in queue.lines_of(way, names)]
        if self.evidence is not None:
            events.append(self.evidence)
        if self.refusal is not None:
            events.append(self.refusal.event)
        return in_order(_each_once(events))


def identity_of(story: Story) -> int:
    """The same number for the same answer to another question, as long as nothing new decides."""
    keys = tuple(queue.key for queue in story.queues)
    evidence = story.evidence["_id"] if story.evidence is not None else None
    return hash((keys, story.recipient, story.original_recipient, evidence))


def by_mail(stories: Iterable[Story]) -> list[list[Story]]:
    """The stories of each mail, in the order of the first of each."""
    mails: dict[int, list[Story]] = {}
    for story in stories:
        mails.setdefault(id(story.first or story), []).append(story)
    return list(mails.values())


def lines_of(stories: Iterable[Story]) -> list[StoredEvent]:
    """All lines of the mail of these stories, each once, in the order of time."""
    told = list(stories)
    queues = {id(queue): queue for story in told for queue in story.queues}
    events = [event for queue in queues.values() for event in queue.events]
    events += [story.refusal.event for story in told if story.refusal is not None]
    return in_order(_each_once(events))


def _each_once(events: Iterable[StoredEvent]) -> Iterable[StoredEvent]:
    """The end of a session may be of several queue IDs."""
    found: dict[str, StoredEvent] = {}
    for event in events:
        found.setdefault(event["_id"], event)
    return found.values()


def in_order(events: Iterable[StoredEvent]) -> list[StoredEvent]:
    """Events in the order of time."""
    return sorted(events, key=lambda event: str(event["@timestamp"]))


def with_(story: Story, **changes: Any) -> Story:
    """The same story but for some fields."""
    return replace(story, **changes)
