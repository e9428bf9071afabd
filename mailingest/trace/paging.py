"""A list of stories, page by page, in both directions, without reading what was skipped.

The list is in the order of the **first line found** of each mail: the oldest line that meets what
lines are found by (the ``lead`` of a question) within the time that is asked for.  That is within
moments of when the mail came in, or of the first attempt for a recipient, and, other than the last
line, it stays the same while a mail is tried again and again.

A page reads the lines of one stretch of time after the other, from its cursor on, and has the
stories whose first line found lies there: each story belongs to one stretch, so that pages neither
repeat nor lose stories while lines come in (but for lines that come later than newer ones, by more
than the distance to a page's end).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from mailingest.errors import QuestionError, StoreUnavailable
from mailingest.postfix.index_keys import is_about_a_mail
from mailingest.stores.criteria import Criteria, Term, meets_term, terms_of
from mailingest.stores.events import StoredEvent, time_of
from mailingest.stores.gaps import Gap, is_ended, merged
from mailingest.stores.protocol import Found, Reader, Span
from mailingest.trace.answer import iso
from mailingest.trace.collected import Apart, Collected, here
from mailingest.trace.criteria import meets
from mailingest.trace.cursor import Cursor, Place
from mailingest.trace.domain_search import find_own, own_questions
from mailingest.trace.engine import (
    EVENTS_OF_A_STORY,
    LINES_WITH_A_TERM,
    MOST_EVENTS,
    REACH,
    TOO_MANY_LINES,
    Backlog,
    TraceResult,
    lost,
    of_nothing,
    stories_of,
    without_stories,
)
from mailingest.trace.evidence import with_evidence
from mailingest.trace.facts import Queue
from mailingest.trace.history import with_history
from mailingest.trace.shares import Address
from mailingest.trace.story import Story
from mailingest.trace.visibility import Visibility

# What lines are found by, if it is none of the terms.
_ONE_MAIL: Final = "one_mail"
_EVIDENCE: Final = "evidence"
_ALL: Final = "all"
_OWN: Final = "own"
# Every store looks these up; the others are read for.
_LOOKED_UP: Final = ("recipient", "sender", "sasl_user")
# So many of the newest lines tell which of several leads fewer lines meet.
_PROBED: Final = 200
# Days are files or indices; the further back, the less is changed by one more.
_FIRST: Final = timedelta(days=1)
# A reader gives the newest lines first: forward, only a stretch that is read whole is of use.
_FIRST_FORWARD: Final = timedelta(minutes=10)
_GROWTH: Final = 2
_MANY: Final = 4
_MOMENT: Final = timedelta(milliseconds=1)
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page: ``limit`` stories from a cursor on; None is the list's beginning."""

    limit: int
    oldest_first: bool = False
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Stories in the order of the list, and the way to those before and after them.

    ``before`` and ``after`` are None where the list ends.  ``skipped`` stories come before these,
    and ``total`` is how many there are, if that is known.  ``result`` has the same stories, oldest
    first, and what could not be read.  If the search was broken off, there may be fewer stories
    than asked for, none even: lines ``searched`` newer (or older) than this time have been
    looked at, and ``after`` goes on there; None if all of the time was searched.
    """

    stories: Sequence[Story]
    result: TraceResult
    before: Cursor | None = None
    after: Cursor | None = None
    skipped: int = 0
    total: int | None = None
    searched: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Lead:
    """What lines are found by; ``asked`` is all that a store is asked for.

    For a user of some domains, it is asked for these by each of the ``own`` terms.
    """

    name: str
    asked: Criteria
    own: Sequence[Mapping[str, Term]] = ()

    def is_met_by(self, event: StoredEvent) -> bool:
        """Whether the store finds a line by it, at its time."""
        if not is_about_a_mail(event):
            return False
        if self.asked.evidence is not None:
            return self.asked.evidence.is_in(event)
        if self.own:
            return any(_meets_any(event, terms) for terms in self.own)
        terms = terms_of(self.asked)
        return not terms or _meets_any(event, terms)

    @property
    def lines_of_a_story(self) -> int:
        """About how many lines of a mail it finds."""
        return EVENTS_OF_A_STORY if self.name == _ALL else LINES_WITH_A_TERM


async def trace_page(
    source: Reader,
    criteria: Criteria,
    paging: Paging,
    *,
    is_shown: Callable[[Story], bool] | None = None,
    visibility: Visibility | None = None,
    backlog: Backlog | None = None,
    most_events: int = MOST_EVENTS,
    apart: Apart = here,
) -> Page:
    """One page of the stories that meet the criteria; parameters are those of `trace`.

    The criteria have to be those of the page that the cursor is from, but for the time, which the
    cursor has.  Raises QuestionError for a cursor of another question, and StoreUnavailable if the
    source cannot be asked now.
    """
    span = await source.span()
    if span is None:
        return Page([], await of_nothing(source, criteria, backlog))
    cursor = paging.cursor
    as_of = span.last
    if cursor is not None:
        criteria = replace(criteria, since=cursor.since, until=cursor.until)
        as_of = cursor.as_of
    leads = _leads(criteria, as_of) if visibility is None else _own_leads(criteria, visibility)
    if cursor is None:
        lead = await _best(source, leads)
    elif cursor.lead in leads:
        lead = leads[cursor.lead]
    else:
        raise QuestionError("the cursor is one of another question", "invalid_cursor")
    search = _Search(source, criteria, span, lead, is_shown, visibility, most_events, apart)
    newer = cursor.newer if cursor is not None else paging.oldest_first
    place = cursor.place if cursor is not None else None
    await search.run(place, paging.limit, newer=newer)
    return await _page(search, paging, newer, as_of, backlog)


async def _page(
    search: "_Search", paging: Paging, newer: bool, as_of: datetime, backlog: Backlog | None
) -> Page:
    """The page of what was found, in the direction in which was searched."""
    limit, cursor = paging.limit, paging.cursor
    found = search.in_order(newer=newer)
    shown = found[:limit]
    follows = newer == paging.oldest_first
    count = cursor.skipped if cursor is not None else 0
    is_over = search.is_over and len(found) <= limit
    skipped = count if follows else (0 if is_over else max(0, count - len(shown)))
    make = partial(
        Cursor,
        lead=search.lead.name,
        as_of=as_of,
        since=search.criteria.since,
        until=search.criteria.until,
    )
    on = back = None
    if not is_over:
        # What was searched for nothing need not be searched again.
        place = shown[-1][0] if len(found) > limit else search.frontier
        on = make(place, newer, skipped=count + len(shown) if follows else skipped)
    if cursor is not None:
        back_place = shown[0][0] if shown else cursor.place
        back = make(back_place, not newer, skipped=skipped if follows else count)
    total = count + len(found) if follows and search.is_over and not search.gaps else None
    stories = [story for _, story in shown]
    if not follows:
        stories.reverse()
    result = TraceResult(
        stories[::-1] if not paging.oldest_first else stories,
        search.span,
        is_cut=not is_over,
        gaps=search.gaps,
        limit=limit,
    )
    if not stories:
        result = await without_stories(
            search.source, search.criteria, result, backlog, search.visibility
        )
    return Page(
        stories,
        result,
        before=back if follows else on,
        after=on if follows else back,
        skipped=skipped,
        total=total,
        searched=None if search.is_over or len(found) > limit else search.frontier.time,
    )


def _leads(criteria: Criteria, as_of: datetime) -> dict[str, _Lead]:
    """All that the lines of the question may be found by, by name."""
    time = Criteria(since=criteria.since, until=criteria.until)
    if criteria.queue_id is not None or criteria.message_id is not None:
        asked = replace(time, queue_id=criteria.queue_id, message_id=criteria.message_id)
        return {_ONE_MAIL: _Lead(_ONE_MAIL, asked)}
    terms = terms_of(criteria)
    proved = with_evidence(replace(time, verdicts=criteria.verdicts), as_of, REACH)
    named = [name for name in _LOOKED_UP if name in terms]
    found: dict[str, _Lead] = {}
    for name in named or (() if proved.evidence is not None else list(terms)[:1]):
        others = {other: None for other in terms if other != name}
        found[name] = _Lead(name, replace(criteria, **others, verdicts=frozenset()))
    if proved.evidence is not None:
        found[_EVIDENCE] = _Lead(_EVIDENCE, replace(proved, verdicts=frozenset()))
    return found or {_ALL: _Lead(_ALL, time)}


def _own_leads(criteria: Criteria, visibility: Visibility) -> dict[str, _Lead]:
    """The same for a user of some domains: whatever is asked for, lines of these are found."""
    lead = _leads(criteria, _NEVER).get(_ONE_MAIL)
    if lead is not None:
        return {_ONE_MAIL: lead}
    questions = own_questions(criteria, visibility.domains)
    own = [terms_of(question) for question in questions]
    return {_OWN: _Lead(_OWN, replace(criteria, verdicts=frozenset()), own)}


def _meets_any(event: StoredEvent, terms: Mapping[str, Term]) -> bool:
    return any(meets_term(event, name, term) for name, term in terms.items())


async def _best(source: Reader, leads: dict[str, _Lead]) -> _Lead:
    """The lead that the fewest lines meet, as far as the newest ones tell."""
    best = next(iter(leads.values()))
    if len(leads) == 1:
        return best
    least: tuple[bool, timedelta, int] | None = None
    for lead in leads.values():
        found = await source.find(lead.asked, _PROBED)
        times = [time_of(event) for event in (found.events[:1] + found.events[-1:])]
        reach = times[0] - times[-1] if times else timedelta(0)
        rank = (found.is_cut, -reach if found.is_cut else timedelta(0), len(found.events))
        if least is None or rank < least:
            best, least = lead, rank
    return best


@dataclass(slots=True)
class _Search:
    """Stories from a place on, until there are more than asked for or the time is over.

    ``frontier`` is how far it came, and ``is_over`` whether that is all of the time.
    """

    source: Reader
    criteria: Criteria
    span: Span
    lead: _Lead
    is_shown: Callable[[Story], bool] | None
    visibility: Visibility | None
    most_events: int
    apart: Apart
    gaps: list[Gap] = field(default_factory=list)
    is_over: bool = False
    frontier: Place = field(init=False)
    _found: list[tuple[Place, Story]] = field(default_factory=list)

    @property
    def is_ended(self) -> bool:
        """Whether it was broken off."""
        return is_ended(self.gaps)

    def in_order(self, *, newer: bool) -> list[tuple[Place, Story]]:
        """What was found, in the direction of the search."""
        return sorted(self._found, key=lambda one: one[0], reverse=not newer)

    async def run(self, place: Place | None, limit: int, *, newer: bool) -> None:
        """Find more than ``limit`` stories after or before a place, None is the list's end."""
        if self.lead.name == _ONE_MAIL:
            await self._whole(place, newer=newer)
        elif newer:
            await self._forward(place, limit)
        else:
            await self._backward(place, limit)

    async def _whole(self, place: Place | None, *, newer: bool) -> None:
        """One mail, and what is linked to it, is read at once."""
        self.frontier = place or Place(self.span.last)
        found = await self._find(None, None, self.most_events)
        if found is not None:
            await self._take(found, _Stretch(None, None, place, newer=newer))
            self.is_over = not self.is_ended

    async def _backward(self, place: Place | None, limit: int) -> None:
        first, last = self._bounds()
        end = None if place is None else _after(place.time)
        self.frontier = place or Place(last)
        length, most = _FIRST, self._most(limit)
        while True:
            upper = last if end is None else end
            begin = upper - length if upper - first > length else None
            found = await self._find(begin, end, most)
            if found is None:
                return
            if found.is_cut:
                begin = self._complete_from(found)
                if begin is None and most < self.most_events and not self.is_ended:
                    most = min(self.most_events, most * _MANY)
                    continue
                if begin is None:
                    if self.is_ended or not found.events:
                        return
                    # Of this moment there are too many lines.
                    begin = _cell(time_of(found.events[-1]))
                    self._miss_lines()
            await self._take(found, _Stretch(begin, end, place, newer=False))
            if begin is None:
                self.is_over = True
                return
            end, self.frontier = begin, Place(begin)
            if len(self._found) > limit or self.is_ended:
                return
            length, most = length * _GROWTH, min(self.most_events, most * _GROWTH)

    async def _forward(self, place: Place | None, limit: int) -> None:
        first, last = self._bounds()
        begin = first if place is None else _cell(place.time)
        self.frontier = place or Place(first)
        length, most = _FIRST_FORWARD, min(self.most_events, _MANY * self._most(limit))
        while True:
            end = begin + length if last - begin > length else None
            found = await self._find(begin, end, most)
            if found is None or (found.is_cut and self.is_ended):
                return
            if found.is_cut:
                if length > _MOMENT:
                    length = max(_MOMENT, min(length, last - begin) / _MANY)
                    continue
                if most < self.most_events:
                    most = self.most_events
                    continue
                self._miss_lines()
            await self._take(found, _Stretch(begin, end, place, newer=True))
            if end is None:
                self.is_over = True
                return
            begin, self.frontier = end, Place(end)
            if len(self._found) > limit or self.is_ended:
                return
            length *= _GROWTH

    def _bounds(self) -> tuple[datetime, datetime]:
        """The time of the first line that there may be, and one after the last."""
        asked = self.lead.asked
        first = max(self.span.first, asked.since or self.span.first)
        last = _after(self.span.last)
        return first, min(last, asked.until or last)

    def _most(self, limit: int) -> int:
        return min(self.most_events, self.lead.lines_of_a_story * (limit + 1))

    async def _find(
        self, since: datetime | None, until: datetime | None, most: int
    ) -> Found | None:
        """Lines of a part of the time; None if the source went away after something was found."""
        asked = self.lead.asked
        part = replace(asked, since=since or asked.since, until=until or asked.until)
        try:
            found = (
                await self.source.find(part, most)
                if self.visibility is None
                else await find_own(self.source, part, most, self.visibility.domains)
            )
        except StoreUnavailable as error:
            if not self._found:
                raise
            self.gaps = merged(self.gaps, [lost(error)])
            return None
        self.gaps = merged(self.gaps, found.gaps)
        return found

    def _complete_from(self, found: Found) -> datetime | None:
        """From when on all lines were found; None if they are not even of the newest moment."""
        if not found.events:
            return None
        begin = _after(time_of(found.events[-1]))
        return begin if time_of(found.events[0]) >= begin else None

    def _miss_lines(self) -> None:
        self.gaps = merged(self.gaps, [TOO_MANY_LINES])

    async def _take(self, found: Found, stretch: "_Stretch") -> None:
        """Keep the stories that lie in a stretch of time; lines before it are left out."""
        begin, end = stretch.begin, stretch.end
        lines = [one for one in found.events if begin is None or time_of(one) >= begin]
        events = Collected(self.most_events, self.apart)
        asked = self.lead.asked
        if self.lead.name == _ALL:
            events.whole = replace(asked, since=begin or asked.since, until=end or asked.until)
        taken = Found(lines, is_cut=False)
        every = await stories_of(self.source, taken, self.span, self.criteria, events)
        self.gaps = merged(self.gaps, events.gaps)
        if events.is_cut and not self.is_ended:
            self._miss_lines()
        self._found += await self.apart(partial(self._met, every, stretch))

    def _met(self, stories: list[Story], stretch: "_Stretch") -> list[tuple[Place, Story]]:
        told = with_history(stories)
        # What is asked for has to be met by what may be seen.
        seeable = told if self.visibility is None else self.visibility.of(told)
        met = [
            story
            for story in seeable
            if meets(self.criteria, story) and (self.is_shown is None or self.is_shown(story))
        ]
        places = Places(self.lead)
        return [(place, story) for place, story in places.of(met) if place in stretch]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of the time, None is no bound, and only what lies beyond a place there."""

    begin: datetime | None
    end: datetime | None
    place: Place | None
    newer: bool

    def __contains__(self, place: Place) -> bool:
        if self.begin is not None and place.time < self.begin:
            return False
        if self.end is not None and place.time >= self.end:
            return False
        return self.place is None or (place > self.place if self.newer else place < self.place)


class Places:
    """The places of stories in a list; those of one mail follow each other."""

    def __init__(self, lead: _Lead) -> None:
        self._lead = lead
        self._first: dict[int, datetime | None] = {}
        self._tried: dict[int, dict[Address, int]] = {}

    def of(self, stories: Sequence[Story]) -> Iterator[tuple[Place, Story]]:
        """Each story with its place."""
        alike: Counter[Place] = Counter()
        for story in stories:
            place = Place(self._time(story), (*_name(story), *self._number(story)))
            yield Place(place.time, (*place.rest, alike[place])), story
            alike[place] += 1

    def _time(self, story: Story) -> datetime:
        """When the first line was written by which the story is found."""
        came = story.received_at or story.decided_at or _NEVER
        if self._lead.name == _ONE_MAIL:
            return came
        times = [self._first_of(queue) for queue in story.queues]
        single = [story.evidence, story.refusal.event if story.refusal is not None else None]
        times += [self._first_line([event]) for event in single if event is not None]
        return min((time for time in times if time is not None), default=came)

    def _first_of(self, queue: Queue) -> datetime | None:
        # A mail may have thousands of recipients, and as many stories.
        if id(queue) not in self._first:
            self._first[id(queue)] = self._first_line(queue.events)
        return self._first[id(queue)]

    def _first_line(self, events: Iterable[StoredEvent]) -> datetime | None:
        since, until = self._lead.asked.since, self._lead.asked.until
        times = map(time_of, filter(self._lead.is_met_by, events))
        within = (
            time
            for time in times
            if (since is None or time >= since) and (until is None or time < until)
        )
        return min(within, default=None)

    def _number(self, story: Story) -> Iterator[int]:
        """Which recipient it is under each queue ID, in the order of first attempts.

        The order of names would be no less right; but a recipient that is tried for the first time
        would displace others, and the names themselves must not be in links.
        """
        way = [*story.passed, *([story.attempt] if story.attempt is not None else [])]
        for queue in story.queues:
            tried = self._tried.get(id(queue))
            if tried is None:
                tried = self._tried[id(queue)] = {}
                for number, attempt in enumerate(queue.attempts):
                    tried.setdefault(attempt.address, number)
            numbers = (tried.get(attempt.address) for attempt in way)
            yield next((number for number in numbers if number is not None), -1)


def _name(story: Story) -> tuple[str, str, str]:
    """When the mail came in, where, and under what name; of a refusal, that of its line."""
    came = iso(story.received_at) or ""
    if story.first is not None:
        return came, story.first.key.host, story.first.key.queue_id
    refusal = story.refusal
    return (came, refusal.host, refusal.event["_id"]) if refusal is not None else (came, "", "")


def _cell(time: datetime) -> datetime:
    """The moment of a time: some stores are only as exact."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def _after(time: datetime) -> datetime:
    """The next moment."""
    return _cell(time) + _MOMENT
