"""Queue IDs -> the ones that the same mail goes on under: behind a filter, alias, forward, host.

Pure.  The links make a forest: each queue ID has one before it at most, and never one that comes
after it, so that each mail is reached from the queue ID that it came in under, once.  What names
both queue IDs is proof (the next server's reply, ``forwarded as``, XFORWARD, ``orig_id``, a line of
a filter) and goes before what is concluded from the Message-ID.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from mailingest.trace.facts import Attempt, Facts, Queue
from mailingest.trace.links import Guesses, Proofs

# Postfix gives a mail up after 50 hops (hopcount_limit); each may have a filter on its way.
_DEEPEST: Final = 100
# What was thrown away or given back by a filter is not under another queue ID.
_GOES_ON: Final = frozenset({"sent", "passed_on"})


class QueueGraph:
    """Finds the next queue ID of a mail among all that are known."""

    def __init__(self, facts: Facts) -> None:
        self._parents: dict[int, Queue] = {}
        self._next: dict[int, Queue] = {}
        self._as_whole: dict[int, Queue] = {}
        self._circles: set[int] = set()
        # As they came in, so that a link leads forward if both ways are possible.
        in_order = sorted(facts.queues, key=lambda one: (one.created_at, one.size or 0))
        self._link_all(in_order, Proofs(facts))
        self._link_all(in_order, Guesses(facts, self._is_taken))

    def is_linked(self, queue: Queue) -> bool:
        """Whether a queue ID comes after another one."""
        return id(queue) in self._parents

    def path_to(self, queue: Queue) -> tuple[Queue, ...]:
        """The queue IDs from the one that the mail came in under to this one."""
        return (*reversed(list(self._before(queue))), queue)

    def child(self, attempt: Attempt) -> Queue | None:
        """The queue ID that the mail of a delivery goes on under, if it is in the logs."""
        return self._next.get(id(attempt))

    def goes_on_as(self, queue: Queue) -> Queue | None:
        """The queue ID that a mail was given as a whole: requeued by postsuper(1), or a filter."""
        return self._as_whole.get(id(queue))

    def is_circle(self, attempt: Attempt) -> bool:
        """Whether a delivery led back to a queue ID that the mail had before."""
        return id(attempt) in self._circles

    def _link_all(self, queues: Iterable[Queue], evidence: Proofs | Guesses) -> None:
        for queue in queues:
            for attempt in queue.attempts:
                is_known = id(attempt) in self._next or id(attempt) in self._circles
                if is_known or attempt.outcome not in _GOES_ON:
                    continue
                for child in evidence.of_delivery(queue, attempt):
                    if self._link(queue, child):
                        self._next[id(attempt)] = child
                        break
                    if self._is_before(child, queue):
                        self._circles.add(id(attempt))
            if id(queue) in self._as_whole:
                continue
            for child in evidence.of_whole(queue):
                if self._link(queue, child):
                    self._as_whole[id(queue)] = child
                    break

    def _link(self, parent: Queue, child: Queue) -> bool:
        """Make a link, unless it would join another mail, or close a circle."""
        known = self._parents.get(id(child))
        if known is not None:
            return known is parent
        before = list(self._before(parent))
        if child is parent or child in before or len(before) >= _DEEPEST:
            return False
        self._parents[id(child)] = parent
        return True

    def _is_taken(self, queue: Queue, parent: Queue) -> bool:
        return self._parents.get(id(queue), parent) is not parent

    def _is_before(self, child: Queue, queue: Queue) -> bool:
        return child is queue or any(one is child for one in self._before(queue))

    def _before(self, queue: Queue) -> Iterator[Queue]:
        parent = self._parents.get(id(queue))
        while parent is not None:
            yield parent
            parent = self._parents.get(id(parent))
