"""The store as the pages ask it: questions are logged, and names masked where that is set."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from functools import partial
from secrets import token_bytes
from typing import Any, Final

from aiohttp import web

from mailingest.logs.logger import log
from mailingest.stores.counts import Counts, TimeBuckets
from mailingest.stores.criteria import Criteria
from mailingest.stores.gaps import TIMED_OUT, Gap, merged, summed
from mailingest.stores.protocol import CountingReader, Span
from mailingest.stores.threads import in_thread
from mailingest.trace.answer import story_to_json
from mailingest.trace.domain_search import counts_of
from mailingest.trace.engine import Backlog, TraceResult, trace
from mailingest.trace.explanations import Explanations
from mailingest.trace.mails import mail_to_json
from mailingest.trace.paging import Page, Paging, trace_page
from mailingest.trace.story import Story
from mailingest.web.access import USER, VISIBILITY, Refused
from mailingest.web.gaps import status_of, wholeness_for_reader
from mailingest.web.mail_view import MailView
from mailingest.web.masking import (
    is_about_parts,
    is_shown,
    mail_to_masked_json,
    mask,
    story_to_masked_json,
)
from mailingest.web.questions import LONGEST_VALUE, invalid
from mailingest.web.story_view import StoryView
from mailingest.web.texts import Texts
from mailingest.web.timed_reader import TimedReader
from mailingest.web.turns import Busy, Turns

# A page shows fewer mails; of one to a thousand recipients there are some ten thousand.
_MOST_LINES: Final = 50_000


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

    async def page(
        self, request: web.Request, criteria: Criteria, paging: Paging, *, only: str = ""
    ) -> Page:
        """A page of the stories that meet the criteria and that the reader may see.

        Raises QuestionError for a cursor that is not one of this question.
        """
        _log_question(request)
        shown = partial(is_shown, criteria) if self.is_masked else None
        async with self._asked(request, only) as store:
            page = await trace_page(
                store,
                criteria,
                paging,
                is_shown=shown,
                visibility=request.get(VISIBILITY),
                backlog=self.backlog,
                most_events=_MOST_LINES,
                apart=in_thread,
            )
        _log_gaps(page.result.gaps)
        if self.is_masked and is_about_parts(criteria):
            # Their number would tell which parts of names there are.
            page = replace(page, result=replace(page.result, unmatched=()))
        return page

    async def counts(
        self, request: web.Request, buckets: TimeBuckets, *, only: str = ""
    ) -> tuple[Counts, Span | None]:
        """The counts by time bucket, and the time that there are logs of."""
        visibility = request.get(VISIBILITY)
        _log_question(request)
        async with self._asked(request, only) as store:
            span = await store.span()
            counts = (
                await store.counts(buckets)
                if visibility is None
                else await counts_of(store, buckets, visibility, _MOST_LINES)
            )
            if store.is_late:
                counts.gaps = merged(counts.gaps, [TIMED_OUT])
        _log_gaps(counts.gaps)
        return counts, span

    @asynccontextmanager
    async def _asked(self, request: web.Request, only: str) -> AsyncIterator[TimedReader]:
        """The store, for one question of a user."""
        if only and only not in self.by_type:
            raise invalid("unknown_type", types=", ".join(self.by_type))
        reader = self.by_type[only] if only else self.store
        try:
            async with self.turns.turn(request[USER] or request.remote or ""):
                yield TimedReader(reader, self.seconds)
        except Busy:
            raise Refused(503, "error_busy") from None

    def view(self, texts: Texts) -> StoryView:
        """Stories as a reader may see them."""
        return StoryView(texts, self.zone, self._to_json, self._link_key if self.is_masked else b"")

    def mail_view(self, texts: Texts) -> MailView:
        """A mail as a reader may see it."""
        to_json = mail_to_masked_json if self.is_masked else mail_to_json
        return MailView(self.view(texts), to_json, self.explanations)

    def status(self, result: TraceResult, nothing: int = 200) -> int:
        """The status of a page and of its JSON; ``nothing`` if it is certain that there is none."""
        return status_of(result.why, is_empty=not result.stories, nothing=nothing)

    def json(self, result: TraceResult, only: str = "") -> dict[str, Any]:
        """A result for scripts."""
        return {
            "types": self.asked(only),
            "mails": [self._to_json(story) for story in result.stories],
            **wholeness_for_reader(result.why, Texts("en")),
            "logs_first": result.span.first if result.span else None,
            "logs_last": result.span.last if result.span else None,
        }

    def asked(self, only: str) -> list[str]:
        """The types that a question is about."""
        return [only] if only else list(self.by_type)

    @property
    def mask(self) -> Callable[[str], str]:
        """What becomes of a text that may name somebody."""
        return mask if self.is_masked else str

    @property
    def _to_json(self) -> Callable[[Story], dict[str, Any]]:
        return story_to_masked_json if self.is_masked else story_to_json


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
