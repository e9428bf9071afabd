"""What is decided now: a page that goes on by itself, by server-sent events (HTML, section 9.2)."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from aiohttp import web

from mailingest.logs.logger import log
from mailingest.trace.answer import iso
from mailingest.trace.engine import TraceResult
from mailingest.trace.follow import OVERLAP, Follower
from mailingest.web.access import HEADERS, Refused
from mailingest.web.answers import Answers
from mailingest.web.pages import UNANSWERED, Pages, explain, links_of, texts_of
from mailingest.web.question_words import in_words
from mailingest.web.questions import form_values, read_question, reader_zone, zone_name
from mailingest.web.story_view import StoryView

# What was decided lately is there when the page is opened, and again each time it is loaded anew.
_LATELY: Final = timedelta(minutes=10)
_MOST_ROWS: Final = 50
# A browser that lost its connection asks from where it was; nobody needs more than this of it.
_MOST_MISSED: Final = timedelta(minutes=30)
# Each is a question every few seconds.
_MOST_READERS: Final = 16
_TIMES: Final = ("span", "since", "since_at", "until", "until_at", "order")


class LivePage:
    """The page and its events."""

    def __init__(self, answers: Answers, pages: Pages) -> None:
        self._answers = answers
        self._pages = pages
        self._stopping = asyncio.Event()
        self._readers = 0

    async def stop(self, _: web.Application) -> None:
        """End all streams of events: the server does."""
        self._stopping.set()

    async def html(self, request: web.Request) -> web.Response:
        """What was decided in the last minutes, and what a browser needs to go on."""
        form, texts, now = _form_of(request), texts_of(request), datetime.now(UTC)
        links, at = links_of(request), iso(now) or ""
        page: dict[str, Any] = {
            "rows": [],
            "types": self._answers.types,
            "question": [],
            "search_link": links.to("./", form),
            "events_link": links.to("live/events", {**form, "at": at}),
            "most_rows": _MOST_ROWS,
            "error": "",
            "warnings": [],
        }
        status = 200
        try:
            zone = reader_zone(form["tz"], self._answers.zone)
            criteria = replace(read_question(form, now=now, zone=zone), since=now - _LATELY)
            view = self._view(request, form, zone)
            page["question"] = in_words(form, texts, zone, has_time=False)
            result = await self._decided(request, Follower(criteria), form)
            page |= {
                "rows": _rows(result, view),
                "warnings": view.warnings(result) if result.stories else [],
                "zone": zone_name(zone, now),
            }
        except UNANSWERED as error:
            page["error"], status = explain(error, texts)
            page["zone"] = zone_name(self._answers.zone, now)
        return self._pages.page("live.html", request, page, status)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Rows of the page's table, as they are decided; each event has the time it reaches to."""
        form, texts = _form_of(request), texts_of(request)
        if self._readers >= _MOST_READERS:
            raise Refused(503, "error_busy")
        try:
            zone = reader_zone(form["tz"], self._answers.zone)
            criteria = read_question(form, now=datetime.now(UTC), zone=zone)
            view = self._view(request, form, zone)
            follower = Follower(replace(criteria, since=_begin(request)))
            first = await self._decided(request, follower, form)
        except UNANSWERED as error:
            _, status = explain(error, texts)
            raise Refused(status, f"error_{status}") from None
        response = web.StreamResponse(headers=HEADERS)
        response.content_type, response.charset = "text/event-stream", "utf-8"
        # nginx would keep events until there are many.
        response.headers["X-Accel-Buffering"] = "no"
        self._readers += 1
        try:
            await response.prepare(request)
            await response.write(self._event(first, view))
            async with aclosing(self._followed(request, follower, form)) as results:
                async for result in results:
                    await response.write(self._event(result, view))
            await response.write_eof()
        except ConnectionError:
            log.debug("nobody looks at the live page any more", peer=request.remote)
        finally:
            self._readers -= 1
        return response

    async def _followed(
        self, request: web.Request, follower: Follower, form: Mapping[str, str]
    ) -> AsyncGenerator[TraceResult, None]:
        """What is decided, from moment to moment, until the server ends."""
        while not await self._is_stopped_within(follower.pause):
            try:
                yield await self._decided(request, follower, form, is_first=False)
            except UNANSWERED as error:
                log.warning("the live page waits for the store", reason=str(error))
            except Refused:
                log.debug("the live page waits for its turn", peer=request.remote)

    async def _is_stopped_within(self, seconds: float) -> bool:
        try:
            return await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return False

    async def _decided(
        self,
        request: web.Request,
        follower: Follower,
        form: Mapping[str, str],
        *,
        is_first: bool = True,
    ) -> TraceResult:
        return await self._answers.decided(
            request, follower, limit=_MOST_ROWS, only=form["type"], is_first=is_first
        )

    def _view(self, request: web.Request, form: Mapping[str, str], zone: tzinfo) -> StoryView:
        links = self._answers.with_question(links_of(request), form)
        return self._answers.view(texts_of(request), zone, links)

    def _event(self, result: TraceResult, view: StoryView) -> bytes:
        """The rows as an event, or a comment that keeps the connection."""
        if not result.stories:
            return b":\n\n"
        rows, types = _rows(result, view), self._answers.types
        html = self._pages.fragment("live_rows.html", view.texts, rows=rows, types=types)
        last = iso(max(filter(None, (story.decided_at for story in result.stories))))
        lines = "".join(f"data: {line}\n" for line in html.splitlines() if line)
        return f"id: {last}\n{lines}\n".encode()


def _rows(result: TraceResult, view: StoryView) -> list[dict[str, Any]]:
    """What was decided last comes first."""
    newest = sorted(result.stories, key=lambda one: iso(one.decided_at) or "", reverse=True)
    return [
        {**view.row(story), "came": view.time(story.decided_at, zone="")}
        for story in newest[:_MOST_ROWS]
    ]


def _form_of(request: web.Request) -> dict[str, str]:
    """The question, at whatever time."""
    return {**form_values(request.query), **dict.fromkeys(_TIMES, "")}


def _begin(request: web.Request) -> datetime:
    """From when on the browser may have nothing: what it had last, or when its page was made."""
    now = datetime.now(UTC)
    text = request.headers.get("Last-Event-ID") or request.query.get("at", "")
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return now
    # What came late is told again, and the page shows it once.
    return now if at.tzinfo is None else min(max(at - OVERLAP, now - _MOST_MISSED), now)
