"""The store as the pages ask it: questions are logged, and names masked where that is set."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from functools import partial
from secrets import token_bytes
from typing import Any, Final

from aiohttp import web

from mailingest.errors import StoreUnavailable
from mailingest.logs.logger import log
from mailingest.stores.breakdown import Breakdown
from mailingest.stores.counts import Counts, TimeBuckets
from mailingest.stores.criteria import Criteria
from mailingest.stores.gaps import TIMED_OUT, Gap, is_ended, merged, summed
from mailingest.stores.protocol import CountingReader, Span
from mailingest.stores.threads import in_thread
from mailingest.trace.answer import story_to_json
from mailingest.trace.domain_search import activity_of
from mailingest.trace.engine import Backlog, TraceResult, find_stories, lost, trace
from mailingest.trace.explanations import Explanations
from mailingest.trace.exporting import StoryToJson, explaining
from mailingest.trace.follow import Follower
from mailingest.trace.mails import mail_to_json
from mailingest.trace.paging import Page, Paging, trace_page
from mailingest.web.access import USER, VISIBILITY, Refused
from mailingest.web.gaps import status_of, wholeness_for_reader
from mailingest.web.links import Links
from mailingest.web.mail_json import Part, mails_to_json
from mailingest.web.mail_view import MailView
from mailingest.web.masking import (
    is_about_parts,
    is_shown,
    mail_to_masked_json,
    mask,
    story_to_masked_json,
)
from mailingest.web.overview_names import Shown, as_counted, masked_names
from mailingest.web.questions import LONGEST_VALUE, invalid
from mailingest.web.story_view import StoryView
from mailingest.web.texts import Texts
from mailingest.web.timed_reader import TimedReader
from mailingest.web.turns import Busy, Turns

# A page shows fewer mails; of one to a thousand recipients there are some ten thousand.
_MOST_LINES: Final = 50_000
# Of all mails, so many are held at a time.
_AT_A_TIME: Final = 250
# No name of a user has it.
_FOR_ALL: Final = "\0for all"


@dataclass(frozen=True, slots=True)
class Activity:
    """How much happened when and why, the same by name, and the time that there are logs of."""

    counts: Counts
    breakdown: Breakdown
    span: Span | None


@dataclass(frozen=True, slots=True)
class Answers:
    """Asks a store; raises StoreUnavailable, or UsageError if only the operator can help.

    Whoever is bound to domains gets what `mailingest.trace.visibility` leaves; nothing but this
    asks the store.

    A question of a user waits for the one before, and ends after ``seconds``: what was found until
    then is the answer.  Raises Refused if too many wait.

    ``by_type`` has a reader for each type of events; a method that is given one asks only for its
    events, and raises QuestionError if there is no such type.
    """

    store: CountingReader
    zone: tzinfo
    is_masked: bool
    seconds: float
    turns: Turns
    explanations: Explanations
    backlog: Backlog | None = None
    by_type: Mapping[str, CountingReader] = field(default_factory=dict)
    # Of masked names, what stands for them in links must not be found by guesses.
    _link_key: bytes = field(default_factory=partial(token_bytes, 16), repr=False)

    @property
    def types(self) -> list[str]:
        """The types to choose from, none if there is no choice."""
        return list(self.by_type) if len(self.by_type) > 1 else []

    async def stories(
        self, request: web.Request, criteria: Criteria, *, limit: int, only: str = ""
    ) -> TraceResult:
        """The newest stories that meet the criteria and that the reader may see."""
        _log_question(request)
        visibility = request.get(VISIBILITY)
        shown = partial(is_shown, criteria) if self.is_masked else None
        async with self._asked(request, only) as store:
            result = await trace(
                store,
                criteria,
                limit=limit,
                is_shown=shown,
                visibility=visibility,
                backlog=self.backlog,
                most_events=_MOST_LINES,
                apart=in_thread,
            )
        _log_gaps(result.gaps)
        if self.is_masked and is_about_parts(criteria):
            # Their number would tell which parts of names there are.
            result = replace(result, unmatched=())
        return result

    async def decided(
        self,
        request: web.Request,
        follower: Follower,
        *,
        limit: int,
        only: str = "",
        is_first: bool = True,
    ) -> TraceResult:
        """The stories that were decided since the follower last asked, the ``limit`` newest ones.

        It is a question to note the first time, and goes on with the others.
        """
        if is_first:
            _log_question(request)
        async with self._asked(request, only) as store:

            async def ask(criteria: Criteria) -> TraceResult:
                span = await store.span()
                if span is None:
                    return TraceResult([], None, is_cut=False)
                return await find_stories(
                    store,
                    criteria,
                    span,
                    limit=limit,
                    is_shown=partial(is_shown, criteria) if self.is_masked else None,
                    visibility=request.get(VISIBILITY),
                    most_events=_MOST_LINES,
                    apart=in_thread,
                )

            return await follower.ask(ask)

    async def page(
        self, request: web.Request, criteria: Criteria, paging: Paging, *, only: str = ""
    ) -> Page:
        """A page of the stories that meet the criteria and that the reader may see.

        Raises QuestionError for a cursor that is not one of this question.
        """
        _log_question(request)
        async with self._asked(request, only) as store:
            page = await self._page(request, store, criteria, paging)
        _log_gaps(page.result.gaps)
        return page

    async def every(
        self, request: web.Request, criteria: Criteria, *, only: str = ""
    ) -> AsyncGenerator[TraceResult, None]:
        """All stories that meet the criteria and that the reader may see, some at a time.

        The oldest come first; each result has the gaps so far.  It takes as long as it takes, and
        is in the way of no question but another one for all.
        """
        _log_question(request)
        reader = self._reader(only)
        paging: Paging | None = Paging(_AT_A_TIME, oldest_first=True)
        gaps: list[Gap] = []
        async with self._turn(f"{_user(request)}{_FOR_ALL}"):
            while paging is not None:
                try:
                    page = await self._page(request, reader, criteria, paging)
                except StoreUnavailable as error:
                    if paging.cursor is None:
                        raise
                    page = Page([], TraceResult([], None, is_cut=False, gaps=[lost(error)]))
                gaps = merged(gaps, page.result.gaps)
                yield replace(page.result, is_cut=False, gaps=gaps)
                is_on = page.after is not None and not is_ended(gaps)
                paging = replace(paging, cursor=page.after) if is_on else None
        _log_gaps(gaps)

    async def _page(
        self, request: web.Request, store: CountingReader, criteria: Criteria, paging: Paging
    ) -> Page:
        """A page, of what the reader may see."""
        page = await trace_page(
            store,
            criteria,
            paging,
            is_shown=partial(is_shown, criteria) if self.is_masked else None,
            visibility=request.get(VISIBILITY),
            backlog=self.backlog,
            most_events=_MOST_LINES,
            apart=in_thread,
        )
        if self.is_masked and is_about_parts(criteria):
            # Their number would tell which parts of names there are.
            return replace(page, result=replace(page.result, unmatched=()))
        return page

    async def activity(
        self, request: web.Request, buckets: TimeBuckets, *, only: str = ""
    ) -> Activity:
        """What happened in a time, of what the reader may see."""
        visibility = request.get(VISIBILITY)
        _log_question(request)
        async with self._asked(request, only) as store:
            span = await store.span()
            if visibility is None:
                counts, breakdown = await store.counts(buckets), await store.breakdown(buckets)
            else:
                counts, breakdown = await activity_of(store, buckets, visibility, _MOST_LINES)
            if store.is_late:
                counts.gaps = merged(counts.gaps, [TIMED_OUT])
        _log_gaps(merged(counts.gaps, breakdown.gaps))
        return Activity(counts, breakdown, span)

    @asynccontextmanager
    async def _asked(self, request: web.Request, only: str) -> AsyncIterator[TimedReader]:
        """The store, for one question of a user."""
        reader = self._reader(only)
        async with self._turn(_user(request)):
            yield TimedReader(reader, self.seconds)

    def _reader(self, only: str) -> CountingReader:
        if only and only not in self.by_type:
            raise invalid("unknown_type", types=", ".join(self.by_type))
        return self.by_type[only] if only else self.store

    @asynccontextmanager
    async def _turn(self, user: str) -> AsyncIterator[None]:
        try:
            async with self.turns.turn(user):
                yield
        except Busy:
            raise Refused(503, "error_busy") from None

    def view(self, texts: Texts, zone: tzinfo, links: Links) -> StoryView:
        """Stories as a reader may see them."""
        return StoryView(
            texts,
            zone,
            links,
            self.to_json,
            self._key_of_links,
            shows_subjects=not self.is_masked,
        )

    def with_question(self, links: Links, question: Mapping[str, str]) -> Links:
        """Links that take a question along.

        Where names are masked they do not: only who asks for a name has it in the address.
        """
        return replace(links, question={} if self.is_masked else question)

    def mail_view(self, texts: Texts, zone: tzinfo, links: Links) -> MailView:
        """A mail as a reader may see it."""
        to_json = mail_to_masked_json if self.is_masked else mail_to_json
        return MailView(self.view(texts, zone, links), to_json, self.explanations)

    def status(self, result: TraceResult, nothing: int = 200) -> int:
        """The status of a page and of its JSON; ``nothing`` if it is certain that there is none."""
        return status_of(result.why, is_empty=not result.stories, nothing=nothing)

    async def json(
        self, result: TraceResult, only: str = "", language: str = "en"
    ) -> dict[str, Any]:
        """A result for scripts; explanations are in the language."""
        to_json = self.explaining(language)
        mails = await in_thread(lambda: [to_json(story) for story in result.stories])
        return {"mails": mails, **self._frame(result, only)}

    async def mails_json(
        self, result: TraceResult, part: Part, language: str = "en"
    ) -> dict[str, Any]:
        """The mails of a result for scripts, each once, with a part of its recipients."""
        told = await in_thread(
            partial(
                mails_to_json,
                result.stories,
                part,
                self._key_of_links,
                mail_to_masked_json if self.is_masked else mail_to_json,
                partial(self.explanations.json, language=language),
            )
        )
        return {**told, **self._frame(result)}

    def explaining(self, language: str) -> StoryToJson:
        """Makes the object of a story as `to_json`, with what the reply means."""
        return explaining(self.to_json, self.explanations, language)

    def _frame(self, result: TraceResult, only: str = "") -> dict[str, Any]:
        """What an answer for scripts has beside its mails."""
        return {
            "types": self.asked(only),
            **wholeness_for_reader(result.why, Texts("en")),
            "logs_first": result.span.first if result.span else None,
            "logs_last": result.span.last if result.span else None,
        }

    def asked(self, only: str) -> list[str]:
        """The types that a question is about."""
        return [only] if only else list(self.by_type)

    @property
    def _key_of_links(self) -> bytes:
        return self._link_key if self.is_masked else b""

    @property
    def mask(self) -> Callable[[str], str]:
        """What becomes of a text that may name somebody."""
        return mask if self.is_masked else str

    def shown_names(self, breakdown: Breakdown) -> Shown:
        """What becomes of names that were counted."""
        return masked_names(breakdown) if self.is_masked else as_counted

    @property
    def to_json(self) -> StoryToJson:
        """Makes the object of a story, with what the reader may see."""
        return story_to_masked_json if self.is_masked else story_to_json


def _user(request: web.Request) -> str:
    """Whose turn it is: a user, or an address if nobody has to log in."""
    return request[USER] or request.remote or ""


def _log_gaps(gaps: Sequence[Gap]) -> None:
    """The operator gets to know what the reader is not told: which day, where, and why."""
    if gaps:
        log.warning("an answer is not whole", why=[gap.text for gap in summed(gaps)])


def _log_question(request: web.Request) -> None:
    """Mail logs are personal data: it must be known who asked what."""
    log.info(
        "question",
        user=request[USER] or None,
        peer=request.remote,
        path=request.path,
        query={name: value[:LONGEST_VALUE] for name, value in request.query.items()},
    )
