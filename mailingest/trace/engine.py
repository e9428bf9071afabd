"""Criteria and a source -> stories: finds the first lines, and all that is linked to them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from mailingest.trace.criteria import Criteria
from mailingest.trace.facts import Event, gather, time_of
from mailingest.trace.sources import Found, Source, Span
from mailingest.trace.stories import Story, tell

# A deferred mail lives for 5 days (maximal_queue_lifetime), and its bounce as long again.
REACH: Final = timedelta(days=10)
# A mail with thousands of recipients has some ten thousand lines.
MOST_EVENTS: Final = 200_000
# A mail passes a handful of queue IDs; each step finds those that the last one named.
_MOST_STEPS: Final = 12
# A session that was broken off ends soon.
_SESSION: Final = timedelta(minutes=30)

_LINKS: Final = (
    "postfix_queueid",
    "postfix_remote_queueid",
    "postfix_forwarded_queueid",
    "postfix_orig_queueid",
    "postfix_orig_id",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """Stories, oldest first; ``span`` is what the source has; ``is_cut``: there may be more.

    ``notes`` name what could not be read, one line each.
    """

    stories: list[Story]
    span: Span | None
    is_cut: bool
    notes: list[str] = field(default_factory=list)


async def trace(source: Source, criteria: Criteria, *, limit: int = 100) -> Answer:
    """Tell the stories that meet the criteria, the ``limit`` newest ones; 0 is all of them.

    Raises OutputUnavailable if the source cannot be asked now.
    """
    span = await source.span()
    if span is None:
        return Answer([], None, is_cut=False)
    # Several lines make a story; more than enough are looked at to fill the limit.
    most = min(MOST_EVENTS, 200 * limit) if limit else MOST_EVENTS
    events = _Events()
    events.add(await source.find(criteria, most))
    if events.all:
        await _follow(source, events)
    stories = [
        story for story in tell(gather(events.in_order()), until=span.last) if criteria.meets(story)
    ]
    is_cut = events.is_cut or 0 < limit < len(stories)
    return Answer(stories[-limit:], span, is_cut=is_cut, notes=events.notes)


class _Events:
    """Events, each once, and whether some were left out."""

    def __init__(self) -> None:
        self.all: list[Event] = []
        self.is_cut = False
        self.notes: list[str] = []
        self._seen: set[str] = set()

    def add(self, found: Found) -> list[Event]:
        """Take events; those that were not there yet."""
        new = []
        for event in found.events:
            if event["_id"] not in self._seen:
                self._seen.add(event["_id"])
                new.append(event)
        self.all += new
        self.is_cut |= found.is_cut
        self.notes += [note for note in found.notes if note not in self.notes]
        return new

    def in_order(self) -> list[Event]:
        """All events as they were written; those of one moment were found in several steps."""
        return sorted(self.all, key=lambda event: (event["@timestamp"], event["_position"]))


async def _follow(source: Source, events: _Events) -> None:
    """Fetch all that is linked to the events, step by step."""
    new = list(events.all)
    ids: set[str] = set()
    messages: set[str] = set()
    times = [time_of(event) for event in new]
    since, until = min(times) - REACH, max(times) + REACH
    for _ in range(_MOST_STEPS):
        new_ids = _values(new, _LINKS) - ids - {"NOQUEUE"}
        new_messages = _values(new, ("postfix_message-id",)) - messages - {""}
        if not new_ids and not new_messages:
            break
        ids |= new_ids
        messages |= new_messages
        left = MOST_EVENTS - len(events.all)
        if left <= 0:
            events.is_cut = True
            return
        new = events.add(await source.of_mails(new_ids, new_messages, since, until, left))
    await _follow_sessions(source, events)


async def _follow_sessions(source: Source, events: _Events) -> None:
    """Fetch the sessions of mails that never became active: their end tells why."""
    queues = gather(events.in_order()).queues
    unfinished = [
        queue
        for queue in queues
        if queue.session is not None and not queue.is_active and not queue.attempts
    ]
    if not unfinished:
        return
    sessions = {queue.session for queue in unfinished if queue.session is not None}
    since = min(queue.born for queue in unfinished) - timedelta(minutes=1)
    until = max(queue.born for queue in unfinished) + _SESSION
    events.add(await source.of_sessions(sessions, since, until, MOST_EVENTS))


def _values(events: Iterable[Event], names: Iterable[str]) -> set[str]:
    return {event[name] for event in events for name in names if event.get(name)}
