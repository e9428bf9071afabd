"""The page of one mail, which a permalink leads to."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from aiohttp import web

from mailingest.stores.criteria import Criteria
from mailingest.trace.engine import TraceResult
from mailingest.trace.mails import mails_of
from mailingest.trace.story import Story
from mailingest.web.answers import Answers
from mailingest.web.mail_json import Part
from mailingest.web.mail_view import Selection
from mailingest.web.pages import (
    UNANSWERED,
    Pages,
    explain,
    json_language,
    json_response,
    links_of,
    texts_of,
)
from mailingest.web.questions import LONGEST_VALUE, zone_of
from mailingest.web.timeline import HEIGHT

_AROUND: Final = timedelta(seconds=1)
# All of a mail's; of two seconds, the one refusal that is asked for is among so many.
_ALL: Final = 0
_MOST_REFUSALS: Final = 1000


@dataclass(frozen=True, slots=True)
class Target:
    """What a permalink means: a queue ID on a host, or a line that refused something."""

    criteria: Criteria
    at: datetime
    host: str | None
    queue_id: str | None
    line: str | None

    def is_met_by(self, story: Story) -> bool:
        if self.line is not None:
            return story.refusal is not None and story.refusal.event["_id"] == self.line
        # Queue IDs are reused: only the host and the time make them unique.
        return any(
            (queue.key.host, queue.key.queue_id) == (self.host, self.queue_id)
            and abs(queue.created_at - self.at) <= _AROUND
            for queue in story.queues
        )


class MailPage:
    """The page and its JSON."""

    def __init__(self, answers: Answers, pages: Pages) -> None:
        self._answers = answers
        self._pages = pages

    async def html(self, request: web.Request) -> web.Response:
        """All about a mail: what its recipients have in common, and what became of it for each."""
        result = await self._answer(request)
        zone, links = zone_of(request.query, self._answers.zone), links_of(request)
        mail_view = self._answers.mail_view(texts_of(request), zone, links)
        view = mail_view.view
        until = result.span.last if result.span else None
        selection = Selection.of(request.query)
        mails = mails_of(result.stories)
        page = {
            "mails": [mail_view.page(mail, selection, until) for mail in mails],
            "types": self._answers.types,
            "timeline_height": HEIGHT,
            "queue_id": request.query.get("queue_id", "")[:LONGEST_VALUE],
            "warnings": view.warnings(result),
            "remark": " ".join(view.remarks(result, Criteria())),
            "json_link": links.to("mail.json", dict(request.query)),
        }
        return self._pages.page("mail.html", request, page, self._answers.status(result, 404))

    async def json(self, request: web.Request) -> web.Response:
        """The same for scripts, with the recipients that the page shows; ``next`` is a page."""
        result = await self._answer(request)
        selection = Selection.of(request.query)
        part, language = Part.shown(selection), json_language(request)
        values = await self._answers.mails_json(result, part, language)
        if values["next"] is not None:
            values["next"] = str(max(1, selection.page) + 1)
        return json_response(values, self._answers.status(result, 404))

    async def _answer(self, request: web.Request) -> TraceResult:
        """The stories of the mail; raises HTTPBadRequest, HTTPServiceUnavailable."""
        target = target_of(request.query)
        try:
            return await answer_of(self._answers, request, target)
        except UNANSWERED as error:
            explain(error, texts_of(request))
            raise web.HTTPServiceUnavailable from None


async def answer_of(answers: Answers, request: web.Request, target: Target) -> TraceResult:
    """The stories of a mail."""
    limit = _ALL if target.line is None else _MOST_REFUSALS
    result = await answers.stories(request, target.criteria, limit=limit)
    return replace(result, stories=list(filter(target.is_met_by, result.stories)))


def target_of(query: Mapping[str, str]) -> Target:
    """What `permalink` wrote; raises HTTPBadRequest."""
    try:
        at = datetime.fromisoformat(query["at"])
        host, queue_id, line = query.get("host"), query.get("queue_id"), query.get("line")
        criteria = (
            Criteria(queue_id=queue_id)
            if line is None
            else Criteria(since=at - _AROUND, until=at + _AROUND)
        )
    except (KeyError, ValueError, OverflowError):
        raise web.HTTPBadRequest from None
    is_incomplete = line is None and (host is None or queue_id is None)
    if (
        is_incomplete
        or at.tzinfo is None
        or any(len(one) > LONGEST_VALUE for name, one in query.items() if name != "back")
    ):
        raise web.HTTPBadRequest
    return Target(criteria, at, host, queue_id, line)
