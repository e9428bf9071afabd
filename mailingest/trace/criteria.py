"""Whether a story meets the criteria of a question."""

from collections.abc import Iterator

from mailingest.postfix.names import SASL_USERNAME, SENDER
from mailingest.stores.criteria import FIELDS_OF, Criteria
from mailingest.trace.facts import Attempt
from mailingest.trace.origin import values_in
from mailingest.trace.story import Story


def meets(criteria: Criteria, story: Story) -> bool:
    """Whether a story is an answer."""
    if criteria.verdicts and story.verdict not in criteria.verdicts:
        return False
    if criteria.queue_id is not None and criteria.queue_id not in _queue_ids(story):
        return False
    if criteria.text is not None and not any(map(criteria.text.matches, _texts(story))):
        return False
    return _is_in_time(criteria, story) and all(
        term is None or any(map(term.matches, values))
        for term, values in (
            (criteria.sender, values_in(story, SENDER)),
            (criteria.recipient, (story.recipient, story.original_recipient)),
            (criteria.message_id, [queue.message_id for queue in story.queues]),
            (criteria.client, values_in(story, *FIELDS_OF["client"])),
            (criteria.sasl_user, values_in(story, SASL_USERNAME)),
            (criteria.relay, _relays(story)),
            (criteria.host, _hosts(story)),
        )
    )


def _is_in_time(criteria: Criteria, story: Story) -> bool:
    received, decided = story.received_at, story.decided_at
    last = decided or received
    if criteria.since is not None and (last is None or last < criteria.since):
        return False
    return criteria.until is None or (received is not None and received < criteria.until)


def _queue_ids(story: Story) -> set[object]:
    ids: set[object] = {queue.key.queue_id for queue in story.queues}
    ids |= {attempt.remote_queue_id for attempt in _deliveries(story)}
    return ids | {story.notification}


def _texts(story: Story) -> Iterator[object]:
    """The texts of all lines of the mail."""
    for name in FIELDS_OF["text"]:
        yield from values_in(story, name)
        if story.evidence is not None:
            yield story.evidence.get(name)


def _relays(story: Story) -> list[object]:
    return [attempt.relay for attempt in _deliveries(story)]


def _hosts(story: Story) -> list[object]:
    hosts: list[object] = [queue.key.host for queue in story.queues]
    return [*hosts, story.refusal.host] if story.refusal is not None else hosts


def _deliveries(story: Story) -> list[Attempt]:
    """The deliveries of this recipient: the last one, and those that led to its queue ID."""
    deliveries = list(story.passed)
    return [*deliveries, story.attempt] if story.attempt is not None else deliveries
