"""What is asked: criteria, and whether a story meets them.

Texts are compared case-blind.  A whole address asks for that address; ``@example.net`` for the
domain and nothing else; ``bob@`` for the local part; anything else for a part of the text.
"""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal

from mailingest.trace.facts import Event
from mailingest.trace.stories import Story

Comparison = Literal["equals", "starts", "ends", "contains"]


@dataclass(frozen=True, slots=True)
class Term:
    """A text to find, in lower case, and where it has to stand."""

    text: str
    comparison: Comparison

    def matches(self, value: object) -> bool:
        """Whether a value (None is no value) meets the term."""
        if value is None:
            return False
        folded = str(value).lower()
        match self.comparison:
            case "equals":
                return folded == self.text
            case "starts":
                return folded.startswith(self.text)
            case "ends":
                return folded.endswith(self.text)
            case "contains":
                return self.text in folded


def address_term(text: str) -> Term:
    """The term that a user means by an address or a part of it; ``<>`` is the empty sender."""
    folded = text.strip().lower()
    if folded in ("<>", ""):
        return Term("", "equals")
    folded = folded.removeprefix("<").removesuffix(">")
    local, at, domain = folded.rpartition("@")
    if not at:
        return Term(folded, "contains")
    if not local:
        return Term(folded, "ends")
    return Term(folded, "equals" if domain else "starts")


def text_term(text: str) -> Term:
    """A term that stands anywhere."""
    return Term(text.strip().lower(), "contains")


def id_term(text: str) -> Term:
    """A term for a whole identifier, given with or without angle brackets."""
    return Term(text.strip().removeprefix("<").removesuffix(">").lower(), "equals")


@dataclass(frozen=True, slots=True)
class Criteria:
    """All of these have to hold; None holds always.

    ``since`` is included, ``until`` is not; both are aware.  They are about the mail's lines: a
    mail of which any line lies in the span is found, with all its lines.
    """

    sender: Term | None = None
    recipient: Term | None = None
    queue_id: str | None = None
    message_id: Term | None = None
    client: Term | None = None
    relay: Term | None = None
    text: Term | None = None
    host: Term | None = None
    verdicts: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None

    def meets(self, story: Story) -> bool:
        """Whether a story is an answer."""
        if self.verdicts and story.verdict not in self.verdicts:
            return False
        if self.queue_id is not None and self.queue_id not in _queue_ids(story):
            return False
        if self.text is not None and not any(
            self.text.matches(event.get("message")) for event in story.proof
        ):
            return False
        return self._is_in_time(story) and all(
            term is None or any(map(term.matches, values))
            for term, values in (
                (self.sender, _senders(story)),
                (self.recipient, (story.recipient, story.original_recipient)),
                (self.message_id, [queue.message_id for queue in story.queues]),
                (self.client, _clients(story)),
                (self.relay, _relays(story)),
                (self.host, _hosts(story)),
            )
        )

    def _is_in_time(self, story: Story) -> bool:
        received, decided = story.received_at, story.decided_at
        last = decided or received
        if self.since is not None and (last is None or last < self.since):
            return False
        return self.until is None or (received is not None and received < self.until)


def _senders(story: Story) -> list[object]:
    senders: list[object] = [queue.sender for queue in story.queues]
    if story.refusal is not None:
        senders.append(story.refusal.event.get("postfix_from"))
    return senders


def _queue_ids(story: Story) -> set[object]:
    ids: set[object] = {queue.key.queue_id for queue in story.queues}
    ids |= {event.get("postfix_remote_queueid") for event in _deliveries(story)}
    return ids | {story.notification}


def _clients(story: Story) -> list[object]:
    clients: list[object] = []
    for queue in story.queues:
        clients += [queue.client, queue.client_ip]
    if story.refusal is not None:
        event = story.refusal.event
        clients += [event.get("postfix_client_hostname"), event.get("postfix_client_ip")]
    return clients


def _relays(story: Story) -> list[object]:
    return [event.get("postfix_relay") for event in _deliveries(story)]


def _hosts(story: Story) -> list[object]:
    hosts: list[object] = [queue.key.host for queue in story.queues]
    return [*hosts, story.refusal.host] if story.refusal is not None else hosts


def _deliveries(story: Story) -> list[Event]:
    """The delivery lines of this recipient: the last one, and those that led to its queue ID."""
    lines = [story.attempt.event] if story.attempt is not None else []
    for queue, child in pairwise(story.queues):
        lines += [
            one.event
            for one in queue.attempts
            if child.key.queue_id
            in (one.event.get("postfix_remote_queueid"), one.event.get("postfix_forwarded_queueid"))
        ]
    return lines
