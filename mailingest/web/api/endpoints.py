"""The paths of the API: a query in, an answer or a problem out."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from mailingest.errors import QuestionError
from mailingest.report.report import Report
from mailingest.report.values import values as report_values
from mailingest.stores.breakdown import DIMENSIONS
from mailingest.trace.cursor import read_cursor
from mailingest.trace.paging import Paging
from mailingest.trace.questions import Question, read_criteria
from mailingest.web.answers import Answers
from mailingest.web.api.document import Operation, openapi
from mailingest.web.api.models import (
    MailAnswer,
    MailQuery,
    OverviewAnswer,
    PeriodQuery,
    ReportAnswer,
    SearchAnswer,
    SearchQuery,
    Values,
)
from mailingest.web.gaps import wholeness_for_reader
from mailingest.web.links import Links
from mailingest.web.mail_json import Part
from mailingest.web.mail_page import answer_of, target_of
from mailingest.web.overview import Overview
from mailingest.web.overview_names import Shown
from mailingest.web.pages import UNANSWERED, explain, json_response
from mailingest.web.period import Period, read_period
from mailingest.web.problems import problem
from mailingest.web.texts import Texts

Q = TypeVar("Q", bound=BaseModel)

SEARCH: Final = Operation(
    "/api/v1/search", "search", "The newest mails that meet all criteria", SearchQuery, SearchAnswer
)
MAIL: Final = Operation(
    "/api/v1/mail", "mail", "One mail", MailQuery, MailAnswer, "There is certainly no such mail."
)
OVERVIEW: Final = Operation(
    "/api/v1/overview", "overview", "How much happened when, and why", PeriodQuery, OverviewAnswer
)
REPORT: Final = Operation(
    "/api/v1/report", "report", "The daily report of any time", PeriodQuery, ReportAnswer
)
OPERATIONS: Final = (SEARCH, MAIL, OVERVIEW, REPORT)

_ENGLISH: Final = Texts("en")
_DOCUMENT: Final = openapi(OPERATIONS)
# Names of people, of which masking would leave too little to tell them apart.
_OF_PEOPLE: Final = ("sender", "recipient", "sasl_user")


async def document(_: web.Request) -> web.Response:
    """The OpenAPI document, which says nothing of any mail."""
    return json_response(_DOCUMENT)


class Api:
    """The handlers of the paths."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def routes(self) -> list[web.RouteDef]:
        """All paths with their handlers."""
        handlers = {
            SEARCH.path: self._search,
            MAIL.path: self._mail,
            OVERVIEW.path: self._overview,
            REPORT.path: self._report,
        }
        paths = [web.get(path, _answering(handler)) for path, handler in handlers.items()]
        return [web.get("/api/openapi.json", document), *paths]

    async def _search(self, request: web.Request) -> web.Response:
        query = _read(SearchQuery, request)
        given = query.model_dump(exclude={"type", "limit", "cursor", "status", "lang"})
        question = Question(
            **{name: value or None for name, value in given.items()}, status=[query.status]
        )
        criteria = read_criteria(question, now=datetime.now(UTC), zone=self._answers.zone)
        cursor = read_cursor(query.cursor) if query.cursor else None
        page = await self._answers.page(
            request, criteria, Paging(query.limit, cursor=cursor), only=query.type
        )
        values = await self._answers.json(page.result, query.type, query.lang)
        values["next"] = page.after.text() if page.after is not None else None
        values["previous"] = page.before.text() if page.before is not None else None
        values["total"] = page.total
        return _answer(values, self._answers.status(page.result))

    async def _mail(self, request: web.Request) -> web.Response:
        query = _read(MailQuery, request)
        given = query.model_dump(include={"at", "host", "queue_id", "line"}, exclude_none=True)
        try:
            target = target_of(given)
        except web.HTTPBadRequest:
            raise QuestionError(
                "a mail is asked for by host, queue_id and at, or by line and at, as they are in "
                "an answer",
                "error_400",
            ) from None
        result = await answer_of(self._answers, request, target)
        status = self._answers.status(result, 404)
        if status == 404:
            return problem(404, "there is no such mail")
        part = Part(query.recipient, query.status or "", int(query.cursor or 0), query.limit)
        return _answer(await self._answers.mails_json(result, part, query.lang), status)

    async def _overview(self, request: web.Request) -> web.Response:
        period = self._period(request)
        answers = self._answers
        activity = await answers.activity(request, period.buckets, only=period.type)
        overview = Overview(
            activity.counts,
            activity.breakdown,
            _ENGLISH,
            answers.zone,
            answers.mask,
            answers.shown_names(activity.breakdown),
            Links(_ENGLISH.language),
            period.type,
        )
        values = {"types": answers.asked(period.type), **overview.json(activity.span)}
        return _answer(values, overview.status)

    async def _report(self, request: web.Request) -> web.Response:
        period = self._period(request)
        activity = await self._answers.activity(request, period.buckets, only=period.type)
        report = Report(activity.counts, activity.breakdown, self._answers.zone, "")
        values = report_values(report) | wholeness_for_reader(report.why, _ENGLISH)
        if self._answers.is_masked:
            _mask(values, self._answers.mask, self._answers.shown_names(activity.breakdown))
        status = 503 if report.is_empty and report.why else 200
        return _answer(values, status)

    def _period(self, request: web.Request) -> Period:
        query = _read(PeriodQuery, request)
        return read_period(query.model_dump(), now=datetime.now(UTC), zone=self._answers.zone)


Handler = Callable[[web.Request], Awaitable[web.Response]]


def _answering(handler: Handler) -> Handler:
    """A handler whose errors are problems."""

    async def answer(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except QuestionError as error:
            return problem(400, str(error))
        except UNANSWERED as error:
            text, status = explain(error, _ENGLISH)
            return problem(status, text)

    return answer


def _read(model: type[Q], request: web.Request) -> Q:
    """The query; raises QuestionError, which names the parameter that is wrong."""
    twice = [name for name in request.query if len(request.query.getall(name)) > 1]
    if twice:
        raise QuestionError(f"{twice[0]}: is there twice", "error_400")
    try:
        return model.model_validate(dict(request.query))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = ".".join(map(str, first["loc"]))
        text = "there is no such parameter" if first["type"] == "extra_forbidden" else first["msg"]
        raise QuestionError(f"{name}: {text}", "error_400") from None


def _answer(values: Values, status: int) -> web.Response:
    """An answer; one with nothing in it that is not whole is a problem, which says why."""
    if status == 200:
        return json_response(values)
    detail = " ".join(gap["text"] for gap in values["why"])
    return problem(status, detail, _why(values))


def _mask(values: Values, mask: Callable[[str], str], shown: Shown) -> None:
    """Leave nobody's name in a report."""
    values["names"] |= {name: [] for name in _OF_PEOPLE}
    for dimension in DIMENSIONS:
        for named in values["names"][dimension]:
            named["name"] = shown(dimension, named["name"])
    for warned in values["warnings"]:
        warned["warning"] = warned["warning"] and mask(warned["warning"])
    for found in values["reasons"].values():
        for one in found:
            one["reason"] = mask(one["reason"])


def _why(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"whole": values["whole"], "why": values["why"]}
