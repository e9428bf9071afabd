"""The lines of SMTP sessions, what they say of a session, and what is told by them.  Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from mailingest.postfix.lifecycle import REORDERED_SECONDS
from mailingest.postfix.names import (
    CLIENT_HOSTNAME,
    CLIENT_IP,
    COMMANDS,
    LOST_CONNECTION,
    RECIPIENT,
    SENDER,
)
from mailingest.stores.events import StoredEvent
from mailingest.trace.facts import Queue, Refusal

_BEGIN: Final = "connect from "
_END: Final = "disconnect from "
_REORDERED: Final = timedelta(seconds=REORDERED_SECONDS)

Kind = Literal["begin", "end", "lost", "accepted", "intent", "refused", "announced"]
"""What a line says of its session.

``accepted`` gives a mail its queue ID; ``intent`` says, before that, that the mail is to be held or
discarded, ``refused`` that a recipient is not taken, and ``announced`` anything else about one.
"""


def kind_of_edge(event: StoredEvent) -> Kind | None:
    """What a line about a client and no mail says of its session."""
    if LOST_CONNECTION in event:
        return "lost"
    message = str(event.get("message", ""))
    if message.startswith(_BEGIN):
        return "begin"
    return "end" if message.startswith(_END) else None


class SessionLine(NamedTuple):
    """A line of a session; ``queue`` is the mail that is accepted, ``refusal`` what is not."""

    kind: Kind
    event: StoredEvent
    time: datetime
    queue: Queue | None = None
    refusal: Refusal | None = None

    @property
    def client(self) -> str | None:
        return self.event.get(CLIENT_IP)

    @property
    def intent(self) -> Refusal | None:
        return self.refusal if self.kind == "intent" else None


def intend(queues: Sequence[Queue], intents: Sequence[Refusal]) -> None:
    """Tell intentions by the mails that they were about; the last mail gets what is left."""
    for number, intent in enumerate(intents):
        queues[min(number, len(queues) - 1)].intend(intent.event, is_for_it=not intent.is_overruled)
        intent.is_told = True


def never_came(intents: Sequence[Refusal], end: StoredEvent) -> None:
    """What was announced is of a mail that was not taken, as ``end`` proves."""
    for intent in intents:
        intent.broken_off = end
        intent.is_told |= intent.is_overruled


def break_off(queues: Sequence[Queue], ends: Sequence[StoredEvent]) -> None:
    """Mails were not completed, as ``ends`` prove."""
    for queue in queues:
        for end in ends:
            queue.broken_off = end
            queue.events.append(end)


def was_waiting(queue: Queue) -> bool:
    """Whether a mail was not given to the queue manager at once."""
    became_active = min(queue.activations, default=queue.created_at)
    return bool(queue.releases) or became_active - queue.created_at > _REORDERED


def is_same_client(one: StoredEvent, other: StoredEvent) -> bool:
    """Whether two lines name one client."""
    return all(one.get(name) == other.get(name) for name in (CLIENT_HOSTNAME, CLIENT_IP))


def is_same_recipient(one: StoredEvent, other: StoredEvent) -> bool:
    """Whether two lines are about one recipient of a sender and client."""
    return all(one.get(name) == other.get(name) for name in (SENDER, RECIPIENT, CLIENT_IP))


def counts_commands(event: StoredEvent) -> bool:
    """Whether the end of a session says how many mails there were (Postfix 3.0 and later)."""
    return f"{COMMANDS}count" in event


def completed_mails(event: StoredEvent) -> int:
    """How many mails of a session were taken: a mail may come in several BDAT commands."""
    return min(
        accepted_commands(event, "mail"),
        accepted_commands(event, "data") + accepted_commands(event, "bdat"),
    )


def refused_recipients(event: StoredEvent) -> int:
    """How many recipients a session named and did not get."""
    return int(event.get(f"{COMMANDS}rcpt", 0)) - accepted_commands(event, "rcpt")


def accepted_commands(event: StoredEvent, command: str) -> int:
    """How often a command was accepted in a session; only those with failures tell it apart."""
    every = event.get(f"{COMMANDS}{command}", 0)
    return int(event.get(f"{COMMANDS}{command}_accepted", every))
