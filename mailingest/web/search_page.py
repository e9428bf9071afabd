"""The search: a form, and the mails that it finds."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, get_args
from urllib.parse import urlencode

from aiohttp import web

from mailingest.stores.criteria import Criteria
from mailingest.trace.engine import TraceResult
from mailingest.trace.story import Verdict
from mailingest.web.answers import Answers
from mailingest.web.masking import is_about_parts
from mailingest.web.pages import UNANSWERED, Pages, explain, json_error, json_response, texts_of
from mailingest.web.questions import form_values, read_question
from mailingest.web.texts import Texts

# A help desk reads some; more than a page is a question to narrow.
_MOST_RESULTS: Final = 50
# The fields that are folded away while they are empty.
_MORE: Final = ("queue_id", "message_id", "client", "sasl_user", "relay", "text", "status")


class SearchPage:
    """The page and its JSON."""

    def __init__(self, answers: Answers, pages: Pages) -> None:
        self._answers = answers
        self._pages = pages

    async def html(self, request: web.Request) -> web.Response:
        """The form, with results if something was asked."""
        form = form_values(request.query)
        page: dict[str, Any] = {
            "form": form,
            "is_more_open": any(form[name] for name in _MORE),
            "verdicts": get_args(Verdict),
            "types": self._answers.types,
            "rows": None,
            "error": "",
            "remark": "",
            "warnings": [],
            "has_more": False,
            "json_link": "search.json?" + urlencode({k: v for k, v in form.items() if v}),
        }
        status = 200
        if any(form.values()):
            texts = texts_of(request)
            try:
                values, status = await self._results(request, form, texts)
                page |= values
            except UNANSWERED as error:
                page["error"], status = explain(error, texts)
        return self._pages.page("search.html", request, page, status)

    async def json(self, request: web.Request) -> web.Response:
        """The results for scripts; without criteria, the newest mails of all."""
        try:
            form = form_values(request.query)
            result = await self._answer(request, form)
        except UNANSWERED as error:
            return json_error(error)
        values = self._answers.json(result, form["type"])
        return json_response(values, self._answers.status(result))

    async def _results(
        self, request: web.Request, form: Mapping[str, str], texts: Texts
    ) -> tuple[dict[str, Any], int]:
        """What the template fills in, and the status."""
        criteria = self._criteria(form)
        result = await self._answer(request, form)
        view = self._answers.view(texts)
        remarks = view.remarks(result, criteria)
        if self._answers.is_masked and is_about_parts(criteria):
            remarks.append(texts("masked"))
        shown = {
            "rows": [view.row(story) for story in reversed(result.stories)],
            "warnings": view.warnings(result),
            "has_more": result.has_enough,
            "remark": " ".join(remarks),
        }
        return shown, self._answers.status(result)

    async def _answer(self, request: web.Request, form: Mapping[str, str]) -> TraceResult:
        return await self._answers.stories(
            request, self._criteria(form), limit=_MOST_RESULTS, only=form["type"]
        )

    def _criteria(self, form: Mapping[str, str]) -> Criteria:
        return read_question(form, now=datetime.now(UTC), zone=self._answers.zone)
