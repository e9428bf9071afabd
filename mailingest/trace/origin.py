"""Whose mail a story is about: the sender, the client and the login.

Pure.  The queue ID that the mail came in under tells best.  What it lacks, since a line is missing
or another system took the mail first, is known of a later one, of a filter's line or of a refusal.
The client of a later queue ID is a host of the mail's own way, and so none that gave it in.
"""

from collections.abc import Iterator

from mailingest.postfix.names import (
    CLIENT_HOSTNAME,
    CLIENT_IP,
    PROGRAM_KIND,
    SASL_USERNAME,
    SENDER,
)
from mailingest.stores.events import StoredEvent
from mailingest.trace.facts import Client, Login, original_client_of
from mailingest.trace.stories import Story


def sender_of(story: Story) -> str | None:
    """The envelope sender, as the queue manager has it; "" is that of a notification."""
    senders = [queue.sender for queue in story.queues]
    if story.refusal is not None:
        senders.append(story.refusal.sender)
    senders += [event.get(SENDER) for event in _filter_lines(story)]
    return next((sender for sender in senders if sender is not None), None)


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


def senders_in(story: Story) -> Iterator[object]:
    """The sender in each form that a line has: as submitted, with SRS, as a list's owner."""
    return (event.get(SENDER) for event in _events(story))


def clients_in(story: Story) -> Iterator[object]:
    """Names and addresses of the clients of all queue IDs, and of those before filters."""
    for event in _events(story):
        yield event.get(CLIENT_HOSTNAME)
        yield event.get(CLIENT_IP)
        yield from original_client_of(event) or ()


def logins_in(story: Story) -> Iterator[object]:
    """The names under which clients logged in."""
    return (event.get(SASL_USERNAME) for event in _events(story))


def _events(story: Story) -> Iterator[StoredEvent]:
    for queue in story.queues:
        yield from queue.events
    if story.refusal is not None:
        yield story.refusal.event


def _filter_lines(story: Story) -> list[StoredEvent]:
    return [event for event in _events(story) if event.get(PROGRAM_KIND) == "filter"]
