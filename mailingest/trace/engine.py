"""Criteria and a source -> stories: finds the first lines, and all that is linked to them."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Final

from mailingest.errors import StoreUnavailable
from mailingest.postfix.lifecycle import REORDERED_SECONDS
from mailingest.postfix.names import (
    FILTER_ID,
    FORWARDED_QUEUE_ID,
    MESSAGE_ID,
    NOQUEUE,
    ORIGINAL_QUEUE_ID,
    OUTCOME,
    QUEUE_ID,
    REMOTE_QUEUE_ID,
    REQUEUED_FROM,
)
from mailingest.stores.criteria import Criteria, Term, asks_for_all, text_term
from mailingest.stores.events import StoredEvent, time_of
from mailingest.stores.gaps import Gap, is_ended, merged
from mailingest.stores.protocol import Found, Reader, Span
from mailingest.trace.answer import line_of
from mailingest.trace.collected import Apart, Collected, here
from mailingest.trace.criteria import meets
from mailingest.trace.domain_search import find_own, unmatched_of
from mailingest.trace.evidence import with_evidence
from mailingest.trace.gathering import is_accept
from mailingest.trace.history import REACH as AGAIN
from mailingest.trace.history import triples_of, with_history
from mailingest.trace.lines import session_of
from mailingest.trace.sessions import INTENDED_BEFORE
from mailingest.trace.story import Story
from mailingest.trace.visibility import Visibility

# A deferred mail lives for 5 days (maximal_queue_lifetime), and its bounce as long again.
REACH: Final = timedelta(days=10)
# A mail with thousands of recipients has some ten thousand lines.
MOST_EVENTS: Final = 200_000
# Most mails have fewer lines, and of them one to three that name a recipient, or a verdict; of what
# is found, some belong to the same mail or meet only one of several criteria.  If stories are
# missing then, more are looked at, until there are enough.
EVENTS_OF_A_STORY: Final = 16
LINES_WITH_A_TERM: Final = 4
# By so much more is looked at the next time, if few of the stories were found, or nearly all.
_MOST_GROWTH: Final = 8.0
_LEAST_GROWTH: Final = 1.5
# Where there were so many stories, there may be a few less.
_MARGIN: Final = 1.25
# A mail passes a handful of queue IDs; each step finds those that the last one named.
_MOST_STEPS: Final = 12
# So soon after a mail got its queue ID, or was to be held, its session has ended.
_ENDED_AFTER: Final = timedelta(minutes=30)
# Each is a question of its own.
_MOST_IN_ADVANCE: Final = 50
_LINES_OF_A_CLIENT: Final = 1000
_REORDERED: Final = timedelta(seconds=REORDERED_SECONDS)

# Recipients whose mail may have been refused before; of log files, each is a search.
_MOST_TRIPLES: Final = 4

_LINKS: Final = (
    QUEUE_ID,
    REMOTE_QUEUE_ID,
    FORWARDED_QUEUE_ID,
    ORIGINAL_QUEUE_ID,
    REQUEUED_FROM,
)
# Some filters count mails from 1 on after each start: that names none.
_SHORTEST: Final = 8


Backlog = Callable[[], Awaitable[Sequence[str]]]
"""Notes on lines that were accepted and are not in the source yet."""


TOO_MANY_LINES: Final = Gap(
    "too_many_lines", "there are too many lines to look at all of them: ask for less time"
)
# Of the lines that no pattern matched, so many are looked at before "no such mail" is said.
_MOST_UNMATCHED: Final = 10_000


@dataclass(frozen=True, slots=True)
class TraceResult:
    """Stories, oldest first; ``span`` is what the source has; ``is_cut``: there may be more.

    ``gaps`` are what could not be read: mails may be missing, and lines of those that are told.
    ``unmatched`` are lines that no pattern matched and that may be about what was asked for,
    newest first; they are only looked for if there is no story.  ``is_full``: there are too many
    lines.  ``limit`` is how many stories were asked for, 0 is all.
    """

    stories: list[Story]
    span: Span | None
    is_cut: bool
    gaps: list[Gap] = field(default_factory=list)
    unmatched: Sequence[StoredEvent] = ()
    is_full: bool = False
    limit: int = 0

    @property
    def why(self) -> list[Gap]:
        """Why the answer is not whole; nothing if it is.

        Only a whole answer without stories means that there was no such mail.
        """
        why = list(self.gaps)
        if self.unmatched:
            why.append(_not_understood(self.unmatched, is_cut=self.is_cut))
        if self.has_enough:
            why.append(Gap("limit", f"there are more mails than the newest {self.limit}"))
        elif self.is_cut and not is_ended(why):
            why.append(TOO_MANY_LINES)
        return why

    @property
    def is_whole(self) -> bool:
        """Whether all that could hold the answer was read and understood, and all is told."""
        return not self.why

    @property
    def has_enough(self) -> bool:
        """Whether there are more stories than the limit, which are left out."""
        return self.is_cut and 0 < self.limit <= len(self.stories)


async def trace(
    source: Reader,
    criteria: Criteria,
    *,
    limit: int = 100,
    is_shown: Callable[[Story], bool] | None = None,
    visibility: Visibility | None = None,
    backlog: Backlog | None = None,
    most_events: int = MOST_EVENTS,
    is_all_or_none: bool = False,
    apart: Apart = here,
) -> TraceResult:
    """The stories that meet the criteria, the ``limit`` newest ones; 0 is all of them.

    ``visibility`` is what of the mails whoever asks may see, and ``is_shown`` says whether they may
    get to see that a story meets the criteria; None shows all.  ``backlog``
    is asked if there is no story.  Not many more than ``most_events`` lines are looked at; if there
    are more, and ``is_all_or_none``, there are no stories.  For all stories there is
    `mailingest.trace.windows`.

    Raises StoreUnavailable if the source cannot be asked now.
    """
    span = await source.span()
    if span is None:
        return await of_nothing(source, criteria, backlog)
    result = await find_stories(
        source,
        criteria,
        span,
        limit=limit,
        is_shown=is_shown,
        visibility=visibility,
        most_events=most_events,
        is_all_or_none=is_all_or_none,
        apart=apart,
    )
    if result.stories or (is_all_or_none and result.is_full):
        return result
    return await without_stories(source, criteria, result, backlog, visibility)


async def of_nothing(source: Reader, criteria: Criteria, backlog: Backlog | None) -> TraceResult:
    """The result for a source that has no events; of files there may be lines that say nothing."""
    found = await source.find(criteria, 1)
    waiting = await _not_stored(backlog)
    return TraceResult([], None, is_cut=False, gaps=merged(found.gaps, waiting))


async def without_stories(
    source: Reader,
    criteria: Criteria,
    result: TraceResult,
    backlog: Backlog | None,
    visibility: Visibility | None = None,
) -> TraceResult:
    """The result if there is no story: with what leaves open whether there is no such mail."""
    try:
        doubtful = (
            await source.unmatched(criteria, _MOST_UNMATCHED)
            if visibility is None
            else await unmatched_of(source, criteria, _MOST_UNMATCHED, visibility.domains)
        )
    except StoreUnavailable as error:
        doubtful = Found([], is_cut=False, gaps=[lost(error)])
    waiting = await _not_stored(backlog)
    return replace(
        result,
        is_cut=result.is_cut or doubtful.is_cut,
        gaps=merged(result.gaps, doubtful.gaps, waiting),
        unmatched=doubtful.events,
    )


async def find_stories(
    source: Reader,
    criteria: Criteria,
    span: Span,
    *,
    limit: int,
    part: Criteria | None = None,
    told: Collection[str] = (),
    is_shown: Callable[[Story], bool] | None = None,
    visibility: Visibility | None = None,
    most_events: int = MOST_EVENTS,
    is_all_or_none: bool = False,
    apart: Apart = here,
) -> TraceResult:
    """What `trace` gives if there are stories; ``span`` is that of the source.

    ``part`` is the same question for less time: only stories that have a line then are found, and
    also those that do not meet the criteria, without a history.  ``told`` are the ids of lines that
    need not lead to a story.
    """

    def seen(stories: list[Story]) -> list[Story]:
        if part is not None:
            return stories
        told = with_history(stories)
        # What is asked for has to be met by what may be seen.
        seeable = told if visibility is None else visibility.of(told)
        met = (story for story in seeable if meets(criteria, story))
        return [story for story in met if is_shown is None or is_shown(story)]

    question = part or criteria
    # What a later span of time proves is found there.
    reach = REACH if question.until == criteria.until else timedelta(0)
    asked = with_evidence(question, span.last, reach)
    most = min(most_events, _events_of_a_story(asked) * limit) if limit else most_events
    before: tuple[list[Story], Collected] | None = None
    while True:
        try:
            found = (
                await source.find(asked, most)
                if visibility is None
                else await find_own(source, asked, most, visibility.domains)
            )
        except StoreUnavailable as error:
            if before is None:
                raise
            found = Found([], is_cut=True, gaps=[lost(error)])
        if is_all_or_none and found.is_cut:
            return TraceResult([], span, is_cut=True, gaps=found.gaps, is_full=True)
        new = [event for event in found.events if event["_id"] not in told]
        # What is linked to few lines is one large mail: less time would not make it less.
        is_small = part is not None and 2 * len(new) <= most_events
        room = MOST_EVENTS if is_small else most_events
        events = Collected(room, apart, is_all_or_none=is_all_or_none)
        is_whole = not found.is_cut and len(new) == len(found.events)
        if visibility is None and is_whole and asks_for_all(asked):
            events.whole = question
        found = replace(found, events=new)
        every = await stories_of(source, found, span, criteria, events)
        stories = await apart(partial(seen, every))
        if before is not None and is_ended(events.gaps):
            # All that belongs to these has been found.
            gaps = events.gaps
            stories, events = before
            events.gaps, events.is_cut = merged(events.gaps, gaps), True
            break
        settled = _settled(stories, found)
        if not found.is_cut or most == most_events or settled >= limit:
            break
        before = stories, events
        most = min(most_events, int(_growth(settled, limit) * most))
    return TraceResult(
        stories[-limit:],
        span,
        is_cut=events.is_cut or 0 < limit < len(stories),
        gaps=events.gaps,
        is_full=found.is_cut or events.is_full,
        limit=limit,
    )


def _events_of_a_story(criteria: Criteria) -> int:
    return EVENTS_OF_A_STORY if asks_for_all(criteria) else LINES_WITH_A_TERM


async def stories_of(
    source: Reader, found: Found, span: Span, criteria: Criteria, events: Collected
) -> list[Story]:
    """The stories that the events found lead to, oldest first; the events are added."""
    await events.add(found)
    if events.all:
        with _as_far_as_possible(events):
            await _follow(source, events)
    if events.is_in_vain:
        return []
    stories = await events.stories(span.last)
    with _as_far_as_possible(events):
        if await _follow_refusals(source, events, criteria, stories):
            stories = await events.stories(span.last)
    return stories


@contextmanager
def _as_far_as_possible(events: Collected) -> Iterator[None]:
    """A source that goes away meanwhile leaves a gap: what was found before is told."""
    try:
        yield
    except StoreUnavailable as error:
        events.gaps = merged(events.gaps, [lost(error)])


async def _not_stored(backlog: Backlog | None) -> list[Gap]:
    notes = await backlog() if backlog is not None else ()
    return [Gap("not_stored_yet", note) for note in notes]


def lost(error: StoreUnavailable) -> Gap:
    """The gap that a source leaves which cannot be asked any more."""
    return Gap("store_unavailable", f"the store stopped answering: {error}")


def _not_understood(lines: Sequence[StoredEvent], *, is_cut: bool) -> Gap:
    more = "or more " if is_cut else ""
    return Gap(
        "not_understood",
        f"{len(lines)} {more}line(s) that no pattern matches may be about it, such as: "
        f"{line_of(lines[0])}",
    )


def _settled(stories: Sequence[Story], found: Found) -> int:
    """How many stories are newer than any event that was not found, and so are the newest."""
    if not found.events:
        return 0
    oldest = time_of(found.events[-1])
    times = [story.received_at for story in stories]
    return sum(time is not None and time > oldest for time in times)


def _growth(settled: int, limit: int) -> float:
    """How many times as much has to be looked at for the limit to be reached.

    What is found is what costs, so it is not much more than that.
    """
    needed = _MARGIN * limit / settled if settled else _MOST_GROWTH
    return min(_MOST_GROWTH, max(_LEAST_GROWTH, needed))


async def _follow(source: Reader, events: Collected) -> None:
    """Fetch all that belongs to the same mails as the events."""
    await _follow_links(source, events, list(events.all))
    if events.is_in_vain:
        return
    await _follow_sessions(source, events)
    accepted = await _accepted_after_all(source, events)
    if accepted:
        await _follow_links(source, events, accepted)


async def _follow_links(source: Reader, events: Collected, new: list[StoredEvent]) -> None:
    """Fetch all that is linked to new events, step by step."""
    ids: set[str] = set()
    messages: set[str] = set()
    times = [time_of(event) for event in new]
    since, until = min(times) - REACH, max(times) + REACH
    for _ in range(_MOST_STEPS):
        new_ids = _values(new, _LINKS) - ids - {NOQUEUE}
        new_ids |= {one for one in _values(new, (FILTER_ID,)) if len(one) >= _SHORTEST} - ids
        new_messages = _values(new, (MESSAGE_ID,)) - messages - {""}
        if not new_ids and not new_messages:
            break
        ids |= new_ids
        messages |= new_messages
        left = events.most - len(events.all)
        if left <= 0:
            events.is_cut = events.is_full = True
            return
        linked = await source.of_mails(new_ids, new_messages, since, until, left)
        events.is_full |= linked.is_cut
        new = await events.add(linked)


async def _follow_sessions(source: Reader, events: Collected) -> None:
    """Fetch the sessions of what has no end of its own: theirs says why, or who the client was."""
    facts = await events.facts()
    unfinished = [
        (queue.session, queue.created_at)
        for queue in facts.queues
        if queue.session is not None
        and (queue.was_put_on_hold_before or not (queue.is_active or queue.attempts))
    ]
    unfinished += [
        (refusal.session, refusal.time)
        for refusal in facts.refusals
        if refusal.is_in_advance or refusal.client_ip is None
    ]
    if not unfinished:
        return
    since = min(time for _, time in unfinished) - INTENDED_BEFORE - _REORDERED
    until = max(time for _, time in unfinished) + _ENDED_AFTER
    sessions = {session for session, _ in unfinished}
    await events.add(await source.of_sessions(sessions, since, until, events.most))


async def _accepted_after_all(source: Reader, events: Collected) -> list[StoredEvent]:
    """The lines that give a queue ID to mails that are to be held or discarded.

    smtpd logs what an access map decides about such a mail before it has one.
    """
    in_advance = [
        one
        for one in (await events.facts()).refusals
        if one.is_in_advance
        and not events.has_all(one.time - _REORDERED, one.time + INTENDED_BEFORE)
    ]
    accepted: list[StoredEvent] = []
    for refusal in in_advance[-_MOST_IN_ADVANCE:]:
        criteria = Criteria(
            client=text_term(str(refusal.client_ip or "")),
            since=refusal.time - _REORDERED,
            until=refusal.time + INTENDED_BEFORE,
        )
        found = await source.find(criteria, _LINES_OF_A_CLIENT)
        same = [
            event
            for event in found.events
            if session_of(event) == refusal.session and is_accept(event)
        ]
        later = [one for one in same if one["_position"] > refusal.event["_position"]]
        # The newest comes first.  One that was displaced comes before.
        nearest = [*same[len(later) :][:1], *later[-1:]]
        accepted += await events.add(Found(nearest, found.is_cut and not later, found.gaps))
    return accepted


async def _follow_refusals(
    source: Reader, events: Collected, criteria: Criteria, stories: Sequence[Story]
) -> bool:
    """Fetch refusals of the same mails in earlier sessions, if what was asked does not find them.

    They name the sender, the recipient and the client, but no queue ID and no Message-ID.  Whether
    there were any is returned.
    """
    if criteria.queue_id is None and criteria.message_id is None:
        return False
    asked = (story for story in stories if meets(criteria, story))
    triples = {triple: story for story in asked for triple in triples_of(story)}
    is_new = False
    for (sender, recipient, _), story in list(triples.items())[-_MOST_TRIPLES:]:
        if story.received_at is None:
            continue
        question = Criteria(
            sender=Term(sender, "equals"),
            recipient=Term(recipient, "equals"),
            since=story.received_at - AGAIN,
            until=story.received_at,
        )
        found = await source.find(question, _LINES_OF_A_CLIENT)
        refused = [event for event in found.events if event.get(OUTCOME) == "rejected"]
        is_new |= bool(await events.add(replace(found, events=refused, is_cut=False)))
    return is_new


def _values(events: Iterable[StoredEvent], names: Iterable[str]) -> set[str]:
    return {event[name] for event in events for name in names if event.get(name)}
