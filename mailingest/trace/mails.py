"""Stories -> mails: what is common to all recipients once, and what became of it for each.

Pure.  A `Mail` has the stories of the recipients that a reader may see; of the others it has only
the number (``not_shown``), and nothing of them is in its counts, queue IDs, lines or JSON, since
nothing of them is in the stories any more (`mailingest.trace.visibility`).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mailingest.stores.events import StoredEvent
from mailingest.trace.answer import iso, line_of, story_to_json
from mailingest.trace.attempts import AttemptGroup, attempts_of, by_reply
from mailingest.trace.facts import Queue
from mailingest.trace.story import Story, Verdict, by_mail, in_order

# Who asks about a mail asks about what went wrong; what went well comes last.
_ORDER: Final[Sequence[Verdict]] = (
    *("bounced", "expired", "rejected", "not_accepted", "discarded", "deleted"),
    *("held", "pending", "unknown", "probe", "handed_over", "delivered"),
)
_RANK: Final = {verdict: rank for rank, verdict in enumerate(_ORDER)}

HEADER_KEYS: Final = (
    *("sender", "message_id", "host", "instance", "queue_id", "client"),
    *("sasl_username", "sasl_method", "sasl_sender", "received_at", "size"),
)
"""The keys of `story_to_json` that are the same for all recipients of a mail."""

RECIPIENT_KEYS: Final = (
    *("verdict", "temporary", "recipient", "original_recipient", "chain", "decided_at"),
    *("relay", "relay_ip", "relay_port", "tls", "remote_queue_id", "dsn", "reply", "attempts"),
    *("refused_before", "delays", "notification", "note", "evidence"),
)
"""The keys of `story_to_json` that are those of a recipient."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail: ``stories`` are those that are shown, what went wrong first, then by domain.

    ``not_shown`` is how many more recipients it has that the reader may not see.
    """

    stories: Sequence[Story]
    not_shown: int = 0

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many of the recipients that are shown have each verdict, in the order of stories."""
        return dict(Counter(story.verdict for story in self.stories))

    @property
    def queues(self) -> list[Queue]:
        """The queue IDs that recipients who are shown have in common, in order of time.

        Those of one recipient alone, such as of a forwarded copy, are in the story; the only
        recipient of a mail has all of them.
        """
        queues = [queue for story in self.stories for queue in story.queues]
        times = Counter(map(id, queues))
        least = min(2, len(self.stories))
        shared = {id(queue): queue for queue in queues if times[id(queue)] >= least}
        return sorted(shared.values(), key=lambda queue: queue.created_at)

    def common_lines(self) -> list[StoredEvent]:
        """The lines under these queue IDs that are about no single recipient, each once."""
        found = (event for queue in self.queues for event in queue.lines_of((), ()))
        return in_order({event["_id"]: event for event in found}.values())

    def own_lines(self, stories: Sequence[Story]) -> list[list[StoredEvent]]:
        """The other lines of each of these recipients."""
        common = {event["_id"] for event in self.common_lines()}
        return [[one for one in story.proof if one["_id"] not in common] for story in stories]


def mails_of(stories: Iterable[Story]) -> list[Mail]:
    """The mails of stories, in the order of the first of each."""
    return [Mail(sorted(every, key=_order), every[0].not_shown) for every in by_mail(stories)]


def mail_to_json(mail: Mail, shown: Sequence[Story] | None = None) -> dict[str, Any]:
    """The object of a mail, with ``shown`` of its recipients (None: all) in their order.

    ``counts`` (verdict -> number) are of all stories of the mail, ``not_shown`` are more recipients
    than these.  ``queues`` are the queue IDs that recipients have in common and ``lines`` the lines
    about all of them, in order of time.  The keys of `HEADER_KEYS` and `RECIPIENT_KEYS` mean what
    they mean in `story_to_json`; a recipient has besides ``replies``, its tries by what was said,
    and ``lines``, those that are its own.
    """
    first = story_to_json(mail.stories[0])
    shown = mail.stories if shown is None else shown
    own = mail.own_lines(shown)
    return {
        **{key: first[key] for key in HEADER_KEYS},
        "queues": [queue.key._asdict() for queue in mail.queues],
        "types": _types(mail),
        "counts": mail.counts,
        "not_shown": mail.not_shown,
        "lines": [line_of(event) for event in mail.common_lines()],
        "recipients": [_recipient(*one) for one in zip(shown, own, strict=True)],
    }


def _recipient(story: Story, own: Sequence[StoredEvent]) -> dict[str, Any]:
    values = story_to_json(story)
    return {
        **{key: values[key] for key in RECIPIENT_KEYS},
        "replies": [_group_to_json(group) for group in by_reply(attempts_of(story))],
        "lines": [line_of(event) for event in own],
    }


def _group_to_json(group: AttemptGroup) -> dict[str, Any]:
    last = group.last
    return {
        "count": len(group.attempts),
        "status": last.status,
        "dsn": last.dsn,
        "reply": last.reply,
        "relay": last.relay,
        "first_at": iso(group.attempts[0].time),
        "last_at": iso(last.time),
    }


def _types(mail: Mail) -> list[str]:
    """The types of the inputs that the lines came in by, in the order of the mail's way."""
    types = [one for queue in mail.queues for one in sorted(queue.values_of("type"))]
    refusals = [story.refusal for story in mail.stories if story.refusal is not None]
    types += [refusal.event["type"] for refusal in refusals if refusal.event.get("type")]
    return list(dict.fromkeys(types))


def _order(story: Story) -> tuple[int, str, str, str]:
    """By domain, but not by local part: the order of masked names would tell of them."""
    domain = (story.recipient or "").rpartition("@")[2].lower()
    return _RANK[story.verdict], domain, str(story.received_at), str(story.decided_at)
