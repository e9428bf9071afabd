"""All stories that meet a question, one span of time after the other.

A whole day has millions of lines.  Each span is asked for by itself, with all that belongs to the
mails in it, and is as long as its lines fit into memory.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from mailingest.errors import StoreUnavailable
from mailingest.stores.criteria import Criteria
from mailingest.stores.events import time_of
from mailingest.stores.gaps import Gap, merged
from mailingest.stores.protocol import Reader, Span
from mailingest.trace.criteria import meets
from mailingest.trace.engine import (
    MOST_EVENTS,
    Backlog,
    TraceResult,
    find_stories,
    lost,
    of_nothing,
    without_stories,
)
from mailingest.trace.history import History
from mailingest.trace.story import Story, by_mail, identity_of

EVENTS: Final = 6_000
"""So many lines are held at a time, but of a second that has more: some 4 KB each."""

LARGE: Final = 500
"""A mail with so many lines is built once, and not again by each span that has some of them."""

_FIRST: Final = timedelta(hours=1)
_LEAST: Final = timedelta(seconds=1)
_LONGEST: Final = timedelta(days=3660)
# A span that had too many lines is not tried again soon: traffic changes slowly.
_LESS: Final = 0.7
_MORE: Final = 1.1
# A mail that is to be held or discarded gets its queue ID soon after the line that says so.
_MARGIN: Final = timedelta(seconds=1)
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_EVER: Final = datetime.max.replace(tzinfo=UTC)


async def trace_all(
    source: Reader, criteria: Criteria, *, backlog: Backlog | None = None, events: int = EVENTS
) -> AsyncIterator[TraceResult]:
    """Results whose stories are all that meet the criteria, by the time of their first line found.

    There is one result at least.  Each has the gaps so far; what leaves open whether there is no
    such mail is in the last one, if there was no story.

    Raises StoreUnavailable if the source cannot be asked now; after the first story, that is a gap.
    """
    span = await source.span()
    if span is None:
        yield await of_nothing(source, criteria, backlog)
        return
    told = _Told()
    history = History()
    gaps: list[Gap] = []
    has_stories = is_cut = False
    start = first = max(criteria.since or span.first, span.first)
    length, longest = _FIRST, _LONGEST
    while True:
        since = start - _MARGIN if start > first else criteria.since
        window, end = _window(replace(criteria, since=since), span, start + length)
        is_divisible = length > _LEAST
        try:
            result = await find_stories(
                source,
                criteria,
                span,
                limit=0,
                part=window,
                told=told.lines,
                most_events=events if is_divisible else MOST_EVENTS,
                is_all_or_none=is_divisible,
            )
        except StoreUnavailable as error:
            if not has_stories:
                raise
            yield TraceResult([], span, is_cut, merged(gaps, [lost(error)]))
            return
        if result.is_full and is_divisible:
            longest = length * _LESS
            length = max(_LEAST, length / 4)
            continue
        is_cut |= result.is_full
        gaps = merged(gaps, result.gaps)
        found = told.new(result.stories, start if start > first else _NEVER, end)
        if not result.is_cut and not result.gaps:
            told.forget_lines(start)
            told.keep_lines(result.stories, end)
        stories = [story for story in history.of(found) if meets(criteria, story)]
        history.keep(start)
        has_stories |= bool(stories)
        if end == _EVER:
            break
        yield replace(result, stories=stories, is_cut=is_cut, gaps=gaps)
        # What was told makes room for what comes next.
        del result, found, stories
        start, length = end, max(_LEAST, min(length * 2, longest))
        longest = min(_LONGEST, longest * _MORE)
    last = replace(result, stories=stories, is_cut=is_cut, gaps=gaps)
    yield last if has_stories else await without_stories(source, criteria, last, backlog)


def _window(criteria: Criteria, span: Span, end: datetime) -> tuple[Criteria, datetime]:
    """The question up to an end, and that end; the last one is not shorter than was asked."""
    if end > min(span.last, criteria.until or span.last):
        return criteria, _EVER
    return replace(criteria, until=end + _MARGIN), end


class _Told:
    """Stories that a later span finds again: those with a line after the end of theirs."""

    def __init__(self) -> None:
        self._until: dict[int, datetime] = {}
        self._large: list[tuple[datetime, set[str]]] = []
        self.lines: frozenset[str] = frozenset()
        """The ids of lines that lead to nothing but large mails that were told whole."""

    def new(self, stories: list[Story], start: datetime, end: datetime) -> list[Story]:
        """Those with a line in the span that no earlier span had."""
        self._until = {one: last for one, last in self._until.items() if last >= start}
        found: list[Story] = []
        last_of: dict[int, datetime] = {}
        for story in stories:
            identity = identity_of(story)
            last = _last_line(story, last_of)
            is_then = last >= start and (story.received_at or last) < end
            if not is_then or identity in self._until:
                continue
            found.append(story)
            if last >= end:
                self._until[identity] = last
        return found

    def keep_lines(self, stories: list[Story], end: datetime) -> None:
        """Take the lines of large mails, none of which a later span has to tell."""
        later = {id(queue) for one in stories if not _is_before(one, end) for queue in one.queues}
        refusals = [one.refusal for one in stories if not _is_before(one, end)]
        refused = {one.event["_id"] for one in refusals if one is not None}
        for mail in by_mail(stories):
            every = {id(queue): queue for story in mail for queue in story.queues}
            queues = [queue for key, queue in every.items() if key not in later]
            if sum(len(queue.events) for queue in queues) < LARGE:
                continue
            events = [event for queue in queues for event in queue.events]
            lines = {event["_id"] for event in events} - refused
            self._large.append((max(map(time_of, events)), lines))
            self.lines |= lines

    def forget_lines(self, start: datetime) -> None:
        """Forget those of mails that had their last line before a span."""
        left = [one for one in self._large if one[0] >= start - _MARGIN]
        if len(left) < len(self._large):
            self._large = left
            self.lines = frozenset().union(*(lines for _, lines in left))


def _is_before(story: Story, end: datetime) -> bool:
    return story.received_at is not None and story.received_at < end


def _last_line(story: Story, known: dict[int, datetime]) -> datetime:
    """When the last line was written; a queue may have thousands of recipients."""
    for queue in story.queues:
        if id(queue) not in known:
            known[id(queue)] = max(map(time_of, queue.events))
    times = [known[id(queue)] for queue in story.queues]
    return max(times) if story.refusal is None else max([*times, story.refusal.time])
