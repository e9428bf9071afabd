"""The search: a form, and the mails that it finds, page by page."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, get_args

from aiohttp import web

from mailingest.stores.criteria import Criteria
from mailingest.trace.paging import Page, Paging
from mailingest.trace.story import Verdict
from mailingest.web.access import Refused
from mailingest.web.answers import Answers
from mailingest.web.masking import is_about_parts
from mailingest.web.pages import (
    UNANSWERED,
    Pages,
    explain,
    json_error,
    json_language,
    json_response,
    links_of,
    texts_of,
)
from mailingest.web.question_words import in_words
from mailingest.web.questions import (
    DEFAULT_SPAN,
    QUICK_SPANS,
    asks_for_something,
    form_values,
    read_paging,
    read_question,
    reader_zone,
    zone_name,
    zone_of,
)
from mailingest.web.search_list import SearchList
from mailingest.web.texts import Texts

# A help desk reads some, and goes on to the next ones.
_PAGE: Final = 50
# The fields that are folded away while they are empty.
_MORE: Final = ("queue_id", "message_id", "client", "sasl_user", "relay", "host", "text", "status")
_TIMES: Final = ("since", "since_at", "until", "until_at")


class SearchPage:
    """The page and its JSON."""

    def __init__(self, answers: Answers, pages: Pages) -> None:
        self._answers = answers
        self._pages = pages

    async def html(self, request: web.Request) -> web.StreamResponse:
        """The form, with results if something was asked."""
        form = form_values(request.query)
        is_asked, texts = asks_for_something(form), texts_of(request)
        zone, cursor = zone_of(request.query, self._answers.zone), request.query.get("page", "")
        page: dict[str, Any] = {
            "form": form if is_asked else {**form, "span": DEFAULT_SPAN},
            "question": in_words(form, texts, zone) if is_asked else [],
            "is_question_wrong": False,
            "is_more_open": any(form[name] for name in _MORE),
            "is_time_open": any(form[name] for name in _TIMES),
            "verdicts": get_args(Verdict),
            "asked_verdicts": form["status"].split(","),
            "quick_spans": list(QUICK_SPANS),
            "types": self._answers.types,
            "zone": zone_name(zone, datetime.now(UTC)),
            "keeps_recent": not self._answers.is_masked,
            "is_searching": False,
            "rows": None,
            "error": "",
            "remark": "",
            "warnings": [],
            "json_link": links_of(request).to("search.json", {**form, "page": cursor}),
        }
        if not is_asked:
            return self._pages.page("search.html", request, page)
        results = self._results(request, form, texts)
        return await self._pages.gradual("search.html", request, page, results)

    async def json(self, request: web.Request) -> web.Response:
        """The results for scripts; without criteria, the newest mails of all."""
        try:
            form = form_values(request.query)
            page = await self._answer(request, form)
        except UNANSWERED as error:
            return json_error(error)
        cursors = {"before": page.before, "after": page.after}
        values = await self._answers.json(page.result, form["type"], json_language(request))
        values |= {name: one.text() if one is not None else None for name, one in cursors.items()}
        return json_response(values, self._answers.status(page.result))

    async def _results(
        self, request: web.Request, form: Mapping[str, str], texts: Texts
    ) -> tuple[dict[str, Any], int]:
        """What the template fills in, and the status."""
        try:
            return await self._found(request, form, texts)
        except UNANSWERED as error:
            text, status = explain(error, texts)
            return {"error": text, "is_question_wrong": status == 400}, status
        except Refused as error:
            return {"error": texts(error.text)}, error.status

    async def _found(
        self, request: web.Request, form: Mapping[str, str], texts: Texts
    ) -> tuple[dict[str, Any], int]:
        paging, criteria = self._paging(request, form), self._criteria(form)
        page = await self._answer(request, form)
        if paging.cursor is not None:
            criteria = replace(criteria, since=paging.cursor.since, until=paging.cursor.until)
        zone, cursor = zone_of(request.query, self._answers.zone), request.query.get("page", "")
        links = self._answers.with_question(links_of(request), {**form, "page": cursor})
        view = self._answers.view(texts, zone, links)
        remarks = view.remarks(page.result, criteria)
        if self._answers.is_masked and is_about_parts(criteria):
            remarks.append(texts("masked"))
        found = SearchList(texts, view, form, cursor)
        shown = {
            **found.values(page, criteria),
            "zone": zone_name(zone, datetime.now(UTC)),
            "warnings": view.warnings(page.result),
            "remark": " ".join(remarks),
        }
        return shown, self._answers.status(page.result)

    async def _answer(self, request: web.Request, form: Mapping[str, str]) -> Page:
        paging = self._paging(request, form)
        return await self._answers.page(request, self._criteria(form), paging, only=form["type"])

    def _paging(self, request: web.Request, form: Mapping[str, str]) -> Paging:
        return read_paging(form, request.query.get("page", ""), limit=_PAGE)

    def _criteria(self, form: Mapping[str, str]) -> Criteria:
        zone = reader_zone(form["tz"], self._answers.zone)
        return read_question(form, now=datetime.now(UTC), zone=zone)
