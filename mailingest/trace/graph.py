"""Queue IDs -> the ones that the same mail goes on under: behind a filter, alias, forward, host.

Pure.  The next server's reply names most of them; of the others, what XFORWARD passed on, or the
Message-ID, is known.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import timedelta

from mailingest.trace.facts import Attempt, Facts, Key, Queue

# A child's first line comes before the line of its parent that names it; clocks of two hosts may
# differ by this much as well.
CLOCKS_DIFFER = timedelta(seconds=120)
# smtp(8) breaks lines at 998 bytes (smtp_line_length_limit) and cleanup(8) cuts what it logs, so
# that the rest of a long Message-ID is not the same at each hop.
_SAFE_MESSAGE_ID = 900


class QueueGraph:
    """Finds the next queue ID of a mail among all that are known."""

    def __init__(self, facts: Facts) -> None:
        self._queues = facts.queues
        self._by_id: dict[str, list[Queue]] = defaultdict(list)
        self._by_message: dict[str, list[Queue]] = defaultdict(list)
        self._by_filter: dict[tuple[str, str], list[Queue]] = defaultdict(list)
        for queue in facts.queues:
            self._by_id[queue.key.queue_id].append(queue)
            if queue.message_id:
                self._by_message[queue.message_id].append(queue)
            if queue.filtered_from:
                self._by_filter[queue.key.host, queue.filtered_from].append(queue)

    def generations(self, key: Key) -> list[Queue]:
        """The mails that had a queue ID, one after the other."""
        return [one for one in self._by_id.get(key.queue_id, ()) if one.key == key]

    def children(self, queue: Queue) -> Iterator[Queue]:
        """The queue IDs that a mail goes on under."""
        for attempt in queue.attempts:
            if attempt.status == "sent":
                child = self.child(queue, attempt)
                if child is not None:
                    yield child
        if queue.requeued is not None:
            child = self.requeued_as(queue)
            if child is not None:
                yield child

    def child(self, queue: Queue, attempt: Attempt) -> Queue | None:
        """The queue ID that a delivered mail goes on under, if it is in the logs."""
        forwarded = attempt.forwarded_queue_id
        if forwarded is not None:
            same = self.generations(queue.key._replace(queue_id=forwarded))
            return _latest_before(same, queue, attempt)
        remote = attempt.remote_queue_id
        if remote is not None:
            found = (one for one in self._by_id.get(remote, ()) if _can_be_same(one, queue))
            child = _latest_before(found, queue, attempt)
            if child is not None:
                return child
        # A filter that names no queue ID passes on what it got by XFORWARD.
        filtered = list(self._by_filter.get((queue.key.host, queue.key.queue_id), ()))
        if filtered and (attempt.service == "pipe" or attempt.outcome == "passed_on"):
            own = [one for one in filtered if _has_recipient(one, attempt.recipient)]
            return _latest_before(own or filtered, queue, attempt)
        if attempt.service == "pipe" and queue.message_id:
            # A filter behind pipe(8) gives the mail back by sendmail(1).
            back = (
                one
                for one in self._by_message[queue.message_id]
                if one is not queue
                and one.is_submitted_here
                and one.key.host == queue.key.host
                and one.created_at >= queue.created_at
            )
            return _latest_before(back, queue, attempt)
        return None

    def requeued_as(self, queue: Queue) -> Queue | None:
        """The queue ID that a mail was given by postsuper(1), if it is in the logs."""
        candidates = [
            one
            for one in self._queues
            if one is not queue
            and one.key.host == queue.key.host
            and one.key.instance == queue.key.instance
            and one.created_at >= queue.created_at
            and (
                one.requeued_from == queue.key.queue_id
                or (one.is_submitted_here and one.message_id == queue.message_id is not None)
            )
        ]
        return min(candidates, key=lambda one: one.created_at, default=None)


def _latest_before(candidates: Iterable[Queue], queue: Queue, attempt: Attempt) -> Queue | None:
    """Of the mails that had a queue ID, the one that had begun when it was named."""
    fit = [
        one
        for one in candidates
        if queue.created_at - CLOCKS_DIFFER <= one.created_at <= attempt.time + CLOCKS_DIFFER
        and one is not queue
    ]
    return max(fit, key=lambda one: one.created_at, default=None)


def _can_be_same(child: Queue, queue: Queue) -> bool:
    """A foreign server's queue ID may look like one of this site's."""
    if child.key == queue.key:
        return False
    if not child.message_id or not queue.message_id:
        return True
    return child.message_id[:_SAFE_MESSAGE_ID] == queue.message_id[:_SAFE_MESSAGE_ID]


def _has_recipient(queue: Queue, recipient: str) -> bool:
    return any(attempt.recipient.lower() == recipient.lower() for attempt in queue.attempts)
