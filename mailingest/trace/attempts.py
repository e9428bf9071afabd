"""A story -> each try on its way, and those that said the same together.  Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailingest.postfix.reasons import reason
from mailingest.trace.facts import Attempt, Queue
from mailingest.trace.story import Story


@dataclass(frozen=True, slots=True)
class AttemptGroup:
    """Tries that ended alike, in order of time; their replies differ in numbers and names only."""

    attempts: Sequence[Attempt]

    @property
    def last(self) -> Attempt:
        """The one whose reply stands for all."""
        return self.attempts[-1]


def attempts_of(story: Story) -> list[Attempt]:
    """All tries for the recipient of a story, under each queue ID on its way, in order of time."""
    found = [one for queue in story.queues for one in attempts_in(queue, story)]
    return sorted(found, key=lambda attempt: attempt.time)


def attempts_in(queue: Queue, story: Story) -> list[Attempt]:
    """The tries of a story under one of its queue IDs; a line that came twice is one."""
    way = [*story.passed, *([story.attempt] if story.attempt is not None else [])]
    tries = queue.attempts_like(way)
    return list(
        {(str(one.event["@timestamp"]), one.event["message"]): one for one in tries}.values()
    )


def by_reply(attempts: Iterable[Attempt]) -> list[AttemptGroup]:
    """Tries by what was said, in the order of the first of each."""
    groups: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        groups[attempt.status, reason(attempt.reply)].append(attempt)
    return list(map(AttemptGroup, groups.values()))
