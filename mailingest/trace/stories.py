"""Facts -> stories: one answer for each mail and recipient, chained over queue IDs.  Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mailingest.stores.events import time_of
from mailingest.trace.facts import Attempt, Facts, Queue
from mailingest.trace.filters import FilterIds
from mailingest.trace.graph import QueueGraph
from mailingest.trace.notes import Note
from mailingest.trace.shares import Address
from mailingest.trace.sharing import Recipient, share_out
from mailingest.trace.story import Story, with_
from mailingest.trace.verdicts import DECIDING, Verdicts, base_of, final_of


def build_stories(facts: Facts, *, until: datetime | None = None) -> list[Story]:
    """All stories of the facts, in the order of the mails' arrival.

    ``until`` is how far the logs reach; None stands for the latest fact.
    """
    return _Builder(facts, until).build()


@dataclass(slots=True)
class _Builder:
    facts: Facts
    until: datetime | None
    _graph: QueueGraph = field(init=False)
    _filters: FilterIds = field(init=False)
    _verdicts: Verdicts = field(init=False)

    def build(self) -> list[Story]:
        self._graph = QueueGraph(self.facts)
        self._filters = FilterIds(self.facts)
        self._filters.attach(self.facts)
        if self.until is None:
            times = [time_of(event) for queue in self.facts.queues for event in queue.events]
            self.until = max(times, default=None)
        refusing = {id(refusal.event) for refusal in self.facts.refusals}
        self._verdicts = Verdicts(self._graph, self._filters, refusing, self.until)
        roots = [queue for queue in self.facts.queues if not self._graph.is_linked(queue)]
        stories = [story for queue in roots for story in self._of_queue(queue, (queue,))]
        stories += map(self._verdicts.of_refusal, self.facts.refusals)
        stories += self._of_filters()
        stories += self._of_untold(stories)
        return sorted(stories, key=lambda story: (str(story.received_at), str(story.decided_at)))

    def _of_filters(self) -> Iterator[Story]:
        """Recipients that a filter before the queue threw the mail away for."""
        for refusal in self._filters.thrown_away_before_the_queue(self.facts):
            evidence = refusal.event
            yield Story("discarded", (), refusal.recipient, refusal=refusal, evidence=evidence)

    def _of_untold(self, stories: Iterable[Story]) -> Iterator[Story]:
        """What nothing has led to yet: no queue ID may be missing in all of the answers."""
        told = {id(queue) for story in stories for queue in story.queues}
        for queue in self.facts.queues:
            if id(queue) not in told:
                yield Story(
                    "unknown",
                    self._graph.path_to(queue),
                    None,
                    evidence=queue.events[-1],
                    note=Note("untold"),
                )

    def _of_queue(self, queue: Queue, path: tuple[Queue, ...]) -> list[Story]:
        groups = list(_by_recipient(queue.attempts))
        onward, joined = self._onward(queue, groups, path)
        stories: list[Story] = []
        known = 0
        for number, attempts in enumerate(groups):
            known += _times_named(attempts)
            stories += onward.get(number) or self._verdicts.of_recipient(queue, attempts, path)
        stories += joined
        if not stories:
            return self._verdicts.of_filtered(queue, path) or list(
                self._verdicts.without_attempt(queue, path)
            )
        if known and queue.ended and queue.nrcpt and known < queue.nrcpt:
            missing = queue.nrcpt - known
            if not _is_taken_out(queue):
                note = Note("taken_away", {"count": missing})
                stories.append(Story("unknown", path, None, note=note))
        return stories

    def _onward(
        self, queue: Queue, groups: Sequence[list[Attempt]], path: tuple[Queue, ...]
    ) -> tuple[dict[int, list[Story]], list[Story]]:
        """The stories of the next queue IDs: for each recipient here by number, and of new ones."""
        told: dict[int, list[Story]] = {}
        joined: list[Story] = []
        missing: dict[int, Story] = {}
        for child, numbers in self._children(queue, groups):
            finals = [_final_to(groups[number], child, self._graph) for number in numbers]
            stories = self._of_queue(child, (*path, child))
            shares, new = _shared(child, finals, stories)
            joined += new
            for number, own in zip(numbers, shares, strict=True):
                told.setdefault(number, []).extend(own)
            for number in (number for number in numbers if not told[number]):
                note = Note("not_there", {"queue_id": child.key.queue_id})
                missing[number] = with_(base_of(groups[number], (*path, child)), note=note)
        return {number: own or [missing[number]] for number, own in told.items()}, joined

    def _children(
        self, queue: Queue, groups: Sequence[list[Attempt]]
    ) -> list[tuple[Queue, list[int]]]:
        """The next queue IDs, each with the numbers of the recipients that it was reached for."""
        children: dict[int, tuple[Queue, list[int]]] = {}
        whole = self._graph.goes_on_as(queue)
        if whole is not None:
            children[id(whole)] = (whole, [])
        for number, attempts in enumerate(groups):
            reached = [self._graph.child(attempt) for attempt in attempts]
            if whole is not None and _is_left(queue, final_of(attempts)):
                reached.append(whole)
            for child in reached:
                if child is not None:
                    numbers = children.setdefault(id(child), (child, []))[1]
                    if numbers[-1:] != [number]:
                        numbers.append(number)
        return list(children.values())


def _by_recipient(attempts: Iterable[Attempt]) -> Iterable[list[Attempt]]:
    groups: dict[Address, list[Attempt]] = {}
    for attempt in attempts:
        groups.setdefault(attempt.address, []).append(attempt)
    return groups.values()


def _is_taken_out(queue: Queue) -> bool:
    """Whether an operator took the mail out of the queue."""
    return queue.deleted is not None or queue.requeued is not None


def _times_named(attempts: Sequence[Attempt]) -> int:
    """How many of the mail's recipients are this one: cleanup(8) may add it again as BCC."""
    return max(1, sum(attempt.status in DECIDING for attempt in attempts))


def _final_to(attempts: list[Attempt], child: Queue, graph: QueueGraph) -> Attempt:
    """The try that led to a queue ID; the last one if the mail went on there as a whole."""
    for attempt in attempts:
        if graph.child(attempt) is child:
            return attempt
    return final_of(attempts)


def _is_left(queue: Queue, final: Attempt) -> bool:
    """Whether a recipient was still to be tried when the mail went on as a whole."""
    is_over = queue.expired is not None or queue.deleted is not None
    return not is_over and final.status not in DECIDING and final.outcome is not None


def _shared(
    child: Queue, finals: Sequence[Attempt], stories: Sequence[Story]
) -> tuple[list[list[Story]], list[Story]]:
    """The stories of the next queue ID for each try that led there, and those of new recipients."""
    if not finals:
        return [], list(stories)
    if not child.attempts and all(story.attempt is None for story in stories):
        # They are about all of the mail.
        shares = [[with_(story, recipient=None) for story in stories] for _ in finals]
        return [_continued(*one) for one in zip(finals, shares, strict=True)], []
    if any(final.forwarded_queue_id is not None for final in finals):
        return [_continued(finals[0], stories), *([] for _ in finals[1:])], []
    told = [story for story in stories if story.recipient is not None]
    others = [story for story in stories if story.recipient is None]
    shares_of = share_out(
        [Recipient(final.recipient) for final in finals],
        [Recipient(story.recipient, story.original_recipient) for story in told],
        is_complete=not others and (child.nrcpt or 0) <= len(told),
    )
    own = [
        _continued(final, [told[number] for number in numbers])
        for final, numbers in zip(finals, shares_of.of_each, strict=True)
    ]
    # That some recipients are missing there is told for those here who have no share.
    is_told = any(not numbers for numbers in shares_of.of_each)
    rest = [story for story in others if story.evidence is not None or not is_told]
    return own, [*(told[number] for number in shares_of.joined), *rest]


def _continued(final: Attempt, stories: Sequence[Story]) -> list[Story]:
    """Stories of the next queue ID as those of the recipient that led there."""
    first = final.original_recipient or final.recipient
    continued = []
    for story in stories:
        recipient = story.recipient or final.recipient
        changed = None if recipient.lower() == first.lower() else first
        passed = (final, *story.passed)
        continued.append(
            with_(story, recipient=recipient, original_recipient=changed, passed=passed)
        )
    return continued
