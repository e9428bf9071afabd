"""What leads from one queue ID of a mail to the next: proofs, and guesses where there are none.

Pure.  Proofs are lines that name both: the next server's reply (``queued as``), ``forwarded as`` of
local(8), ``orig_queue_id=`` (XFORWARD) and ``orig_id=`` (postsuper -r) at the next queue ID, and
lines of a filter that name the queue ID of the mail that it took, or its own ID, and that under
which it gave the mail back.  A guess is made where a mail comes back from a filter on this host
that names nothing: by the Message-ID, for the same recipient, and never if the same transport
delivers it again, since that is a mail store or a list.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Final

from mailingest.postfix.lifecycle import REORDERED_SECONDS
from mailingest.trace.facts import Attempt, Facts, FilterLine, Key, Queue

# A child's first line comes before the line of its parent that names it; clocks of two hosts may
# differ by this much as well.
CLOCKS_DIFFER: Final = timedelta(seconds=120)
# smtp(8) breaks lines at 998 bytes (smtp_line_length_limit) and cleanup(8) cuts what it logs, so
# that the rest of a long Message-ID is not the same at each hop.
_SAFE_MESSAGE_ID: Final = 900
# The time stamps of a host have whole seconds, and its lines may be displaced by as much.
_WITHIN: Final = timedelta(seconds=REORDERED_SECONDS)
# pickup(8) looks at the maildrop at the latest after its wakeup time in master.cf.
_PICKED_UP: Final = timedelta(seconds=60)
_THIS_HOST: Final = frozenset({"127.0.0.1", "::1"})
# Transports behind pipe(8) that store a mail or give it to a list, as Postfix's own master.cf and
# the documentation of these programs call them, or begin to.  What they send is a mail of its own.
_NO_FILTERS: Final = (
    *("dovecot", "cyrus", "old-cyrus", "maildrop", "procmail", "deliver", "vmail"),
    *("mailman", "sympa", "majordomo", "mlmmj", "ezmlm", "uucp", "ifmail"),
)

# What a filter says of another mail that it sends.
_COPIES: Final = frozenset({"bcc", "notify"})


class Recipients:
    """The recipients of mails, with the relays that these were given to, or should have been."""

    def __init__(self) -> None:
        self._relays: dict[int, dict[str, set[str | None]]] = {}

    def relays(self, queue: Queue, recipient: str) -> set[str | None]:
        """The relays for a recipient, also by way of an alias; none if it is not one."""
        if id(queue) not in self._relays:
            relays: dict[str, set[str | None]] = defaultdict(set)
            for attempt in queue.attempts:
                for address in (attempt.recipient, attempt.original_recipient):
                    if address:
                        relays[address.lower()].add(attempt.relay)
            self._relays[id(queue)] = relays
        return self._relays[id(queue)].get(recipient.lower(), set())


class Proofs:
    """The next queue IDs that a line proves."""

    def __init__(self, facts: Facts) -> None:
        self._by_id: dict[str, list[Queue]] = defaultdict(list)
        self._behind: dict[tuple[str, str], list[Queue]] = defaultdict(list)
        self._requeued: dict[Key, list[Queue]] = defaultdict(list)
        # By the ID of the filter or the queue ID, and the recipient; "" stands for all.
        self._filters: dict[tuple[str, str], list[FilterLine]] = defaultdict(list)
        self._about: dict[str, list[FilterLine]] = defaultdict(list)
        self._recipients = Recipients()
        for queue in facts.queues:
            self._by_id[queue.key.queue_id].append(queue)
            if queue.filtered_from:
                self._behind[queue.key.host, queue.filtered_from].append(queue)
            if queue.requeued_from:
                self._requeued[queue.key._replace(queue_id=queue.requeued_from)].append(queue)
        for line in facts.filter_lines:
            if line.given_back_as and line.action not in _COPIES:
                for name in {line.queue_id, line.filter_id} - {None}:
                    self._filters[str(name), (line.recipient or "").lower()].append(line)
                    self._about[str(name)].append(line)

    def generations(self, key: Key) -> list[Queue]:
        """The mails that had a queue ID, one after the other."""
        return [one for one in self._by_id.get(key.queue_id, ()) if one.key == key]

    def of_delivery(self, queue: Queue, attempt: Attempt) -> Iterator[Queue]:
        """The queue IDs that a delivered mail may go on under, the surest first."""
        forwarded, remote = attempt.forwarded_queue_id, attempt.remote_queue_id
        if forwarded is not None:
            same = self.generations(queue.key._replace(queue_id=forwarded))
            yield from _latest_before(same, queue, attempt)
            return
        if remote is not None:
            yield from _latest_before(self._named(remote, queue), queue, attempt)
        for line in self._lines_about(queue, attempt):
            back = self._given_back(line, queue)
            yield from _latest_before(back, queue, attempt)
        behind = self._behind.get((queue.key.host, queue.key.queue_id), [])
        if behind:
            own = [one for one in behind if self._recipients.relays(one, attempt.recipient)]
            is_hop = attempt.service == "pipe" or attempt.outcome == "passed_on"
            yield from _latest_before(own or (behind if is_hop else []), queue, attempt)

    def of_whole(self, queue: Queue) -> Iterator[Queue]:
        """The queue IDs that all of a mail may go on under."""
        if queue.requeued is not None:
            for one in sorted(self._requeued.get(queue.key, ()), key=lambda one: one.created_at):
                if one.created_at >= queue.created_at:
                    yield one
        if not queue.attempts:
            for line in self._about.get(queue.key.queue_id, ()):
                if line.host == queue.key.host and line.time >= queue.created_at - _WITHIN:
                    named = self._given_back(line, queue)
                    near = [one for one in named if abs(one.created_at - line.time) < CLOCKS_DIFFER]
                    yield from sorted(near, key=lambda one: abs(one.created_at - line.time))[:1]

    def _named(self, queue_id: str, queue: Queue) -> list[Queue]:
        return [one for one in self._by_id.get(queue_id, ()) if _can_be_same(one, queue)]

    def _given_back(self, line: FilterLine, queue: Queue) -> list[Queue]:
        """The mails that a filter names, which may have given it another Message-ID."""
        named = self._by_id.get(str(line.given_back_as), ())
        return [one for one in named if one.key != queue.key]

    def _lines_about(self, queue: Queue, attempt: Attempt) -> list[FilterLine]:
        """What filters say of this delivery; lines for this recipient go before those for all."""
        found = []
        for recipient in (attempt.recipient.lower(), ""):
            found += self._filters.get((attempt.remote_queue_id or "", recipient), [])
            found += [
                line
                for line in self._filters.get((queue.key.queue_id, recipient), ())
                if line.host == queue.key.host
                and queue.created_at - _WITHIN <= line.time <= attempt.time + CLOCKS_DIFFER
            ]
        return found


class Guesses:
    """The next queue IDs that the Message-ID makes likely.

    ``is_taken`` says whether a queue ID comes after another one than the second already.
    """

    def __init__(self, facts: Facts, is_taken: Callable[[Queue, Queue], bool]) -> None:
        self._is_taken = is_taken
        self._recipients = Recipients()
        self._by_message: dict[tuple[str, str], list[Queue]] = defaultdict(list)
        for queue in sorted(facts.queues, key=lambda one: (one.created_at, one.size or 0)):
            if queue.message_id:
                self._by_message[queue.key.host, queue.message_id].append(queue)

    def of_delivery(self, queue: Queue, attempt: Attempt) -> Iterator[Queue]:
        """The mails that a filter on this host may have given back, the first one first."""
        if not _may_be_filter(attempt):
            return
        begun = attempt.time - timedelta(seconds=attempt.delays.get("transmission") or 0) - _WITHIN
        back = [
            one
            for one in self._others(queue)
            if (one.is_submitted_here or one.client_ip in _THIS_HOST)
            and begun <= one.created_at <= attempt.time + _PICKED_UP
            and _is_later(one, queue)
        ]
        yield from (one for one in back if self._goes_on(one, attempt))
        # For whom it is will be known when it is tried; for one, there is no other.
        yield from (one for one in back if not one.attempts and one.nrcpt == 1)

    def of_whole(self, queue: Queue) -> Iterator[Queue]:
        """The mails that postsuper(1) may have made of one: old versions log no ``orig_id``."""
        if queue.requeued is None or queue.ended is None:
            return
        for one in self._others(queue):
            is_then = one.created_at >= queue.ended - _WITHIN
            if is_then and one.is_submitted_here and one.key.instance == queue.key.instance:
                yield one

    def _goes_on(self, one: Queue, attempt: Attempt) -> bool:
        """Whether a mail is for the recipient of a delivery, and goes another way than that one."""
        relays = self._recipients.relays(one, attempt.recipient)
        return bool(relays) and attempt.relay not in relays

    def _others(self, queue: Queue) -> list[Queue]:
        same = self._by_message.get((queue.key.host, queue.message_id or ""), [])
        return [
            one
            for one in same
            if one is not queue and one.requeued_from is None and not self._is_taken(one, queue)
        ]


def _may_be_filter(attempt: Attempt) -> bool:
    if attempt.forwarded_queue_id is not None:
        return False
    if attempt.service == "pipe":
        return not (attempt.relay or "").lower().startswith(_NO_FILTERS)
    return attempt.outcome == "passed_on"


def _is_later(one: Queue, queue: Queue) -> bool:
    """Whether a mail came in after another; in one second, what has passed a filter is longer."""
    if one.created_at != queue.created_at or not one.size or not queue.size:
        return one.created_at >= queue.created_at
    return one.size >= queue.size


def _latest_before(candidates: Iterable[Queue], queue: Queue, attempt: Attempt) -> list[Queue]:
    """Of the mails that had a queue ID, the one that had begun when it was named; or none."""
    fit = [
        one
        for one in candidates
        if queue.created_at - CLOCKS_DIFFER <= one.created_at <= attempt.time + CLOCKS_DIFFER
        and one is not queue
    ]
    # A queue ID that comes again soon is another mail: on one host no clock differs.
    begun = [one for one in fit if one.created_at <= attempt.time + _WITHIN]
    others = [one for one in fit if one.key.host != queue.key.host]
    return sorted(begun or others, key=lambda one: one.created_at)[-1:]


def _can_be_same(child: Queue, queue: Queue) -> bool:
    """A foreign server's queue ID may look like one of this site's."""
    if child.key == queue.key:
        return False
    if not child.message_id or not queue.message_id:
        return True
    return child.message_id[:_SAFE_MESSAGE_ID] == queue.message_id[:_SAFE_MESSAGE_ID]
