"""The overview: how much of what happened when, and why."""

from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from aiohttp import web

from mailingest.web.answers import Activity, Answers
from mailingest.web.charts import HEIGHT, WIDTH
from mailingest.web.overview import Overview
from mailingest.web.pages import (
    UNANSWERED,
    Pages,
    explain,
    json_error,
    json_response,
    links_of,
    texts_of,
)
from mailingest.web.period import SPANS, Period, read_period
from mailingest.web.questions import zone_name, zone_of
from mailingest.web.texts import Texts

# The fields of the form, and what a link to a span says.
_FORM: Final = ("span", "since", "until", "type")


class OverviewPage:
    """The page and its JSON."""

    def __init__(self, answers: Answers, pages: Pages) -> None:
        self._answers = answers
        self._pages = pages

    async def html(self, request: web.Request) -> web.Response:
        """Figures, charts and reasons of a time."""
        texts = texts_of(request)
        page: dict[str, Any] = {
            "form": {name: request.query.get(name, "") for name in _FORM},
            "spans": list(SPANS),
            "types": self._answers.types,
            "view": None,
            "chart_width": WIDTH,
            "chart_height": HEIGHT,
            "zone": zone_name(self._zone(request), datetime.now(UTC)),
            "error": "",
            "remark": "",
            "warnings": [],
        }
        try:
            values, status = await self._values(request, texts)
            page |= values
        except UNANSWERED as error:
            page["error"], status = explain(error, texts)
        return self._pages.page("overview.html", request, page, status)

    async def json(self, request: web.Request) -> web.Response:
        """The numbers for scripts."""
        try:
            period = self._period(request)
            activity = await self._activity(request, period)
        except UNANSWERED as error:
            return json_error(error)
        overview = self._overview(request, activity, Texts("en"), period.type)
        values = {"types": self._answers.asked(period.type), **overview.json(activity.span)}
        return json_response(values, overview.status)

    async def _values(self, request: web.Request, texts: Texts) -> tuple[dict[str, Any], int]:
        """What the template fills in, and the status."""
        period = self._period(request)
        activity = await self._activity(request, period)
        span = activity.span
        overview = self._overview(request, activity, texts, period.type)
        values = overview.page()
        time = self._answers.view(texts, overview.zone, overview.links).time
        first, last = (time(span.first), time(span.last)) if span else ("", "")
        remark = ""
        if overview.is_empty and not overview.why:
            remark = texts("nothing_counted", first=first, last=last) if span else texts("no_logs")
        shown = {
            "form": period,
            "view": values,
            "first": overview.time(period.buckets.start),
            "last": overview.time(period.buckets.end),
            "logs_first": first,
            "logs_last": last,
            "json_link": overview.links.to("overview.json", period.query),
            "remark": remark,
            "warnings": [gap.text for gap in overview.why],
        }
        return shown, overview.status

    async def _activity(self, request: web.Request, period: Period) -> Activity:
        return await self._answers.activity(request, period.buckets, only=period.type)

    def _period(self, request: web.Request) -> Period:
        return read_period(request.query, now=datetime.now(UTC), zone=self._zone(request))

    def _zone(self, request: web.Request) -> tzinfo:
        return zone_of(request.query, self._answers.zone)

    def _overview(
        self, request: web.Request, activity: Activity, texts: Texts, only: str
    ) -> Overview:
        answers = self._answers
        return Overview(
            activity.counts,
            activity.breakdown,
            texts,
            self._zone(request),
            answers.mask,
            answers.shown_names(activity.breakdown),
            links_of(request),
            only,
        )
