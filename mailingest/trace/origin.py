"""Whose mail a story is about: the sender, the client and the login; and its subject.

Pure.  The queue ID that the mail came in under tells best.  What it lacks, since a line is missing
or another system took the mail first, is known of a later one, of a filter's line or of a refusal.
The client of a later queue ID is a host of the mail's own way, and so none that gave it in.
"""

import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from itertools import chain
from typing import Final

from mailingest.postfix.names import (
    CLIENT_HOSTNAME,
    CLIENT_IP,
    MESSAGE,
    PROGRAM_KIND,
    SENDER,
)
from mailingest.stores.events import StoredEvent
from mailingest.trace.lines import Client, Login
from mailingest.trace.story import Story

# What cleanup(8) writes of a header that header_checks(5) have a rule for; the client is the last.
_SUBJECT: Final = re.compile(r"header subject:(?P<text>.*?)(?: from \S+)?", re.IGNORECASE)


def sender_of(story: Story) -> str | None:
    """The envelope sender, as the queue manager has it; "" is that of a notification."""
    senders = [queue.sender for queue in story.queues]
    if story.refusal is not None:
        senders.append(story.refusal.sender)
    of_filters = (event.get(SENDER) for event in _filter_lines(story))
    return next((sender for sender in chain(senders, of_filters) if sender is not None), None)


def client_of(story: Story) -> Client | None:
    """The client that gave the mail in, before any filter; None for one that was submitted here."""
    first = story.first
    if first is not None:
        if first.original_client is not None:
            return first.original_client
        if first.client_hostname is not None or first.client_ip is not None:
            return Client(first.client_hostname, first.client_ip)
        if first.is_submitted_here:
            return None
    refusal = story.refusal
    if refusal is not None and (refusal.client_hostname or refusal.client_ip):
        return Client(refusal.client_hostname, refusal.client_ip)
    for queue in story.queues:
        if queue.original_client is not None:
            return queue.original_client
    for event in _filter_lines(story):
        if CLIENT_HOSTNAME in event or CLIENT_IP in event:
            return Client(event.get(CLIENT_HOSTNAME), event.get(CLIENT_IP))
    return None


def login_of(story: Story) -> Login | None:
    """How the client that gave the mail in logged in, if it did."""
    logins = [queue.login for queue in story.queues]
    if story.refusal is not None:
        logins.append(story.refusal.login)
    return next((login for login in logins if login is not None), None)


def subject_of(story: Story) -> str | None:
    """The subject, if header_checks(5) log it; of encoded words (RFC 2047), what they stand for."""
    for value in values_in(story, MESSAGE):
        found = _SUBJECT.fullmatch(str(value))
        if found is not None:
            text = found["text"].strip()
            try:
                return str(make_header(decode_header(text)))
            except (HeaderParseError, LookupError, ValueError):
                return text
    return None


def values_in(story: Story, *names: str) -> Iterator[object]:
    """All values of fields in the lines of a story.

    Of a sender, they are all of its forms: as submitted, with SRS, as a list's owner.
    """
    for name in names:
        for queue in story.queues:
            yield from queue.values_of(name)
        if story.refusal is not None:
            yield story.refusal.event.get(name)


def _filter_lines(story: Story) -> Iterator[StoredEvent]:
    """What filters say of a mail."""
    for queue in story.queues:
        yield from (event for event in queue.events if event.get(PROGRAM_KIND) == "filter")
