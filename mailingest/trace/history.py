"""Refusals for the time being -> the mail that came again later, for the same recipient.  Pure.

A client that is told to come again (greylisting) sends the same mail in a new session, and nothing
names both.  They are taken for one where sender, recipient and the client's address agree.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from mailingest.postfix.names import (
    ORIGINAL_RECIPIENT,
    RECIPIENT,
    SASL_SENDER,
    SASL_USERNAME,
    SENDER,
)
from mailingest.trace.facts import Refusal
from mailingest.trace.lines import is_temporary
from mailingest.trace.origin import client_of, sender_of
from mailingest.trace.story import Story

# As long as clients try (RFC 5321 4.5.4.1).
REACH: Final = timedelta(days=5)

MOST_REFUSALS: Final = 20_000
"""So many refusals are kept for mails that come in later, the newest; some 2 KB each."""

# What is shown of a line, and who is in it.
_NEEDED: Final = (
    *("_id", "@timestamp", "type", "host", "program", "pid", "message"),
    *(SENDER, RECIPIENT, ORIGINAL_RECIPIENT, SASL_USERNAME, SASL_SENDER),
)

Triple = tuple[str, str, str]
"""Sender, recipient and the client's address, in lower case."""


def with_history(stories: Sequence[Story]) -> list[Story]:
    """The stories, with the refusals of each that its client was told to come again by.

    A refusal belongs to the first mail that was taken after it.
    """
    return History().of(stories)


class History:
    """Refusals that no mail has come after yet, of one span of time after the other."""

    def __init__(self, most: int = MOST_REFUSALS) -> None:
        self._most = most
        self._refused: dict[Triple, list[Refusal]] = defaultdict(list)

    def of(self, stories: Sequence[Story]) -> list[Story]:
        """The stories of the next span, with their refusals; each story is given once."""
        for refusal in (story.refusal for story in stories):
            if (
                refusal is not None
                and refusal.outcome == "rejected"
                and is_temporary(refusal.event)
                and (triple := _triple(refusal.sender, refusal.recipient, refusal.client_ip))
            ):
                self._refused[triple].append(refusal)
        if not self._refused:
            return list(stories)
        return [_with_refusals(story, self._refused) for story in stories]

    def keep(self, since: datetime) -> None:
        """Keep what may be of a mail that comes in later: the newest ones, and what they need."""
        left = sorted(
            (
                (refusal.time, triple, refusal)
                for triple, refusals in self._refused.items()
                for refusal in refusals
                if refusal.time >= since - REACH
            ),
            key=lambda one: one[0],
        )
        self._refused.clear()
        for _, triple, refusal in left[-self._most :]:
            self._refused[triple].append(_only_needed(refusal))


def triples_of(story: Story) -> list[Triple]:
    """What a refusal of the mail of a story would name."""
    if story.refusal is not None or story.received_at is None:
        return []
    client = client_of(story)
    ip = client.ip if client is not None else None
    triples = (
        _triple(sender_of(story), recipient, ip)
        for recipient in (story.original_recipient, story.recipient)
    )
    return [triple for triple in triples if triple is not None]


def _with_refusals(story: Story, refused: dict[Triple, list[Refusal]]) -> Story:
    """A story with those that are left of the refusals before it; stories come in order."""
    found: list[Refusal] = []
    for triple in triples_of(story):
        if triple in refused and story.received_at is not None:
            before, refused[triple] = _split(refused[triple], story.received_at)
            found += before
    found.sort(key=lambda refusal: refusal.time)
    return replace(story, refused_before=tuple(found)) if found else story


def _split(
    refusals: Iterable[Refusal], received_at: datetime
) -> tuple[list[Refusal], list[Refusal]]:
    before: list[Refusal] = []
    rest: list[Refusal] = []
    for refusal in refusals:
        is_before = received_at - REACH <= refusal.time <= received_at
        (before if is_before else rest).append(refusal)
    return before, rest


def _only_needed(refusal: Refusal) -> Refusal:
    event = refusal.event
    if refusal.queue is None and len(event) <= len(_NEEDED):
        return refusal
    return Refusal(None, {name: event[name] for name in _NEEDED if name in event})


def _triple(sender: str | None, recipient: str | None, ip: str | None) -> Triple | None:
    if sender is None or not recipient or not ip:
        return None
    return sender.lower(), recipient.lower(), ip.lower()
