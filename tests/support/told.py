"""The invariant of answers: what a log tells is in exactly one of them, and nothing is in none."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta

from mailingest.postfix.index_keys import is_about_a_mail
from mailingest.postfix.names import NOQUEUE, PROGRAM_KIND, QUEUE_ID
from mailingest.stores.criteria import Criteria
from mailingest.stores.events import StoredEvent, time_of
from mailingest.trace.evidence import with_evidence
from mailingest.trace.facts import Attempt, Facts
from mailingest.trace.gathering import gather
from mailingest.trace.stories import build_stories
from mailingest.trace.story import Story

Line = tuple[int, str, str]
"""A recipient line: a queue (by its identity), recipient and original recipient."""


def faults_of(events: Sequence[StoredEvent]) -> list[str]:
    """What is told nowhere, or more than once, of all that events say."""
    facts = gather(events)
    return faults(facts, build_stories(facts), events)


def faults(facts: Facts, stories: Sequence[Story], events: Sequence[StoredEvent]) -> list[str]:
    """What stories tell nowhere, or more than once, of the facts that were made of events."""
    return [
        *_of_queues(facts, stories),
        *_of_recipients(facts, stories),
        *_of_refusals(facts, stories),
        *_of_lines(stories, events),
        *_of_evidence(stories, events),
        *_of_proofs(stories),
    ]


def _of_evidence(stories: Sequence[Story], events: Sequence[StoredEvent]) -> Iterator[str]:
    """Each answer has a line that a store finds when its verdict is asked for.

    A command about no mail (ETRN) that was refused is not found without a term either.
    """
    if not events:
        return
    last = max(map(time_of, events))
    for story in stories:
        asked = Criteria(verdicts=frozenset({story.verdict}))
        evidence = with_evidence(asked, last, timedelta(0)).evidence
        lines = [event for event in story.proof if is_about_a_mail(event)]
        if lines and evidence is not None and not any(map(evidence.is_in, lines)):
            yield f"no line proves that it is {story.verdict}: {_chain(story)}"


def _of_queues(facts: Facts, stories: Sequence[Story]) -> Iterator[str]:
    """Each queue ID is in an answer, and all answers have the same ones before it."""
    paths: dict[int, set[tuple[int, ...]]] = defaultdict(set)
    for story in stories:
        ids = tuple(map(id, story.queues))
        if len(set(ids)) != len(ids):
            yield f"a circle: {_chain(story)}"
        for number, one in enumerate(ids):
            if story.refusal is None:
                paths[one].add(ids[: number + 1])
            else:
                paths[one] |= set()
    for queue in facts.queues:
        if id(queue) not in paths:
            yield f"{queue.key.queue_id} is told nowhere"
        if len(paths[id(queue)]) > 1:
            yield f"{queue.key.queue_id} is reached on {len(paths[id(queue)])} ways"


def _of_recipients(facts: Facts, stories: Sequence[Story]) -> Iterator[str]:
    """Each recipient line is decided in one answer, or the mail goes on from there.

    Two lines may lead to one of the next queue ID: a recipient that was named twice.
    """
    queue_of = {id(one): queue for queue in facts.queues for one in queue.attempts}

    def line_of(attempt: Attempt) -> Line:
        original = (attempt.original_recipient or "").lower()
        return id(queue_of[id(attempt)]), attempt.recipient.lower(), original

    decided: dict[Line, Counter[tuple[Line, ...]]] = defaultdict(Counter)
    passed: set[Line] = set()
    joined: Counter[Line] = Counter()
    for story in stories:
        way = tuple(map(line_of, story.passed))
        passed |= set(way)
        if story.attempt is not None:
            line = line_of(story.attempt)
            decided[line][way] += 1
            # Nothing leads to it from the queue ID before.
            joined[line] += not way or way[-1][0] != id(story.queues[-2])
    for queue in facts.queues:
        for line in dict.fromkeys(map(line_of, queue.attempts)):
            count = decided[line].total()
            name = f"{queue.key.queue_id} to {line[1]} ({line[2]})"
            if not count and line not in passed:
                yield f"{name} is told nowhere"
            if count and line in passed:
                yield f"{name} is decided, and goes on"
            if any(each > 1 for each in decided[line].values()) or (count > 1 and joined[line]):
                yield f"{name} is told more than once"


def _of_refusals(facts: Facts, stories: Sequence[Story]) -> Iterator[str]:
    told = Counter(id(story.refusal) for story in stories if story.refusal is not None)
    for refusal in facts.refusals:
        if told[id(refusal)] != 1:
            yield f"told {told[id(refusal)]} times: {refusal.event['message']}"


def _of_lines(stories: Sequence[Story], events: Sequence[StoredEvent]) -> Iterator[str]:
    """Each line of Postfix that names a queue ID is a proof of something."""
    proofs = {event["message"] for story in stories for event in story.proof}
    for event in events:
        is_of_mail = (
            event.get(PROGRAM_KIND) == "postfix" and event.get(QUEUE_ID, NOQUEUE) != NOQUEUE
        )
        if is_of_mail and event["message"] not in proofs:
            yield f"in no proof: {event['message']}"


def _of_proofs(stories: Sequence[Story]) -> Iterator[str]:
    """A proof has the line that decides, and no line about what became of another recipient."""
    for story in stories:
        way = [*story.passed, *([story.attempt] if story.attempt is not None else [])]
        addresses = {one.address for one in way}
        names = {name for address in addresses for name in address} | {
            str(name).lower() for name in (story.recipient, story.original_recipient)
        }
        proof = {event["_id"] for event in story.proof}
        if story.evidence is not None and story.evidence["_id"] not in proof:
            yield f"not in its proof: {story.evidence['message']}"
        for one in (attempt for queue in story.queues for attempt in queue.attempts):
            is_own = one.address in addresses or not names.isdisjoint(one.address)
            if one.event["_id"] in proof and not is_own:
                yield f"of another recipient than {story.recipient}: {one.event['message']}"


def _chain(story: Story) -> str:
    return " > ".join(queue.key.queue_id for queue in story.queues)
