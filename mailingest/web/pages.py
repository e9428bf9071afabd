"""Templates and values -> responses, in the language of whoever asks."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

import jinja2
import orjson
from aiohttp import web

from mailingest.errors import MailingestError, QuestionError, StoreUnavailable, UsageError
from mailingest.logs.logger import log
from mailingest.stores.gaps import Gap, wholeness
from mailingest.web.access import HEADERS
from mailingest.web.languages import preferred_language
from mailingest.web.links import Links
from mailingest.web.problems import API, problem
from mailingest.web.questions import asked_before, chosen_zone
from mailingest.web.texts import LANGUAGES, Texts

# The errors that have texts of their own.
_EXPLAINED: Final = frozenset({401, 404, 405, 429, 500, 503})
# Seconds after which a reader wants to know that something is being done.
_SOON: Final = 1.0
_ANSWER: Final = "<!-- answer -->"

UNANSWERED: Final = (StoreUnavailable, UsageError)
"""What reading a question and asking a store raise; see `explain`."""


def explain(error: MailingestError, texts: Texts) -> tuple[str, int]:
    """What the reader gets to know of an error, and the status of the response.

    Why a store cannot be asked, and what to do about it, is in the log for the operator.
    """
    if isinstance(error, QuestionError):
        return texts(error.reason, **error.values), 400
    log.error("store not available", reason=str(error))
    return texts("error_503"), 503


def templates() -> jinja2.Environment:
    """The templates of the pages, in which every value is escaped."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("mailingest.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


class Pages:
    """Makes pages of templates."""

    def __init__(self) -> None:
        self._templates = templates()

    def page(
        self, name: str, request: web.Request, values: Mapping[str, Any], status: int = 200
    ) -> web.Response:
        """The page of a template."""
        html = self._of_request(name, request, values)
        return web.Response(text=html, content_type="text/html", status=status)

    async def gradual(
        self,
        name: str,
        request: web.Request,
        values: Mapping[str, Any],
        answer: Coroutine[Any, Any, tuple[dict[str, Any], int]],
    ) -> web.StreamResponse:
        """The page of a template, its beginning before the answer if that takes long.

        The answer is what is filled in besides, and a status, which is 200 for one that takes long.
        The template has the comment `_ANSWER` where its beginning ends; ``is_searching`` tells it
        that this was sent before the answer.
        """
        task = asyncio.create_task(answer)
        try:
            async with asyncio.timeout(_SOON if request.method == "GET" else None):
                more, status = await asyncio.shield(task)
        except TimeoutError:
            return await self._in_two_parts(name, request, values, task)
        except asyncio.CancelledError:
            task.cancel()
            raise
        return self.page(name, request, {**values, **more}, status)

    async def _in_two_parts(
        self,
        name: str,
        request: web.Request,
        values: Mapping[str, Any],
        task: asyncio.Task[tuple[dict[str, Any], int]],
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=HEADERS)
        response.content_type, response.charset = "text/html", "utf-8"
        try:
            await response.prepare(request)
            values = {**values, "is_searching": True}
            begin = self._of_request(name, request, values)
            await response.write(begin.partition(_ANSWER)[0].encode())
            try:
                more, _ = await task
            except Exception:
                log.exception("fault of mailingest itself", path=request.path)
                more = {"error": texts_of(request)("error_500")}
            whole = self._of_request(name, request, {**values, **more})
            await response.write(whole.partition(_ANSWER)[2].encode())
            await response.write_eof()
        except ConnectionError:
            log.info("a page was not taken to its end", path=request.path)
        finally:
            task.cancel()
        return response

    def _of_request(self, name: str, request: web.Request, values: Mapping[str, Any]) -> str:
        texts = texts_of(request)
        pairs = [(key, value) for key, value in request.query.items() if key != "lang"]
        query = urlencode([*pairs, ("lang", texts.other)])
        path = request.path.lstrip("/")
        return self._html(
            name,
            texts=texts,
            links=links_of(request),
            root="",
            other_language=f"{path}?{query}",
            **values,
        )

    def fragment(self, name: str, texts: Texts, **values: Any) -> str:
        """A part of a page."""
        return self._templates.get_template(name).render(texts=texts, **values)

    def refusal(self, request: web.Request, status: int, name: str = "") -> web.Response:
        """A page that says why there is none, with a way back; JSON where JSON was asked for.

        ``name`` is the key of the words, "" for those of the status.
        """
        name = name or (f"error_{status}" if status in _EXPLAINED else "error_400")
        if request.path.startswith(API):
            return problem(status, Texts("en")(name))
        if request.path.endswith(".json"):
            return json_response({"error": Texts("en")(name)}, status)
        texts, links = texts_of(request), links_of(request)
        # The path comes from the browser: only its depth is used.
        root = "../" * (request.path.count("/") - 1) or "./"
        return self._rendered(
            "error.html",
            status,
            texts=texts,
            links=links,
            root=root,
            other_language=replace(links, language=texts.other).to(root),
            message=texts(name),
        )

    def _rendered(self, name: str, status: int, **values: Any) -> web.Response:
        html = self._html(name, **values)
        return web.Response(text=html, content_type="text/html", status=status)

    def _html(self, name: str, **values: Any) -> str:
        return self._templates.get_template(name).render(page=name, **values)


def texts_of(request: web.Request) -> Texts:
    """The texts in the language that was chosen on a page, or else that of the browser."""
    chosen = request.query.get("lang")
    accepted = request.headers.get("Accept-Language", "")
    return Texts(chosen or preferred_language(accepted, LANGUAGES))


def json_language(request: web.Request) -> str:
    """The language of what JSON explains: English, unless another one is asked for."""
    return request.query.get("lang", "en")


def links_of(request: web.Request) -> Links:
    """The links of a page for whoever asks for it."""
    language, query = texts_of(request).language, request.query
    return Links(language, chosen_zone(query), asked_before(query))


def json_response(value: object, status: int = 200) -> web.Response:
    """A response of JSON; times are in UTC."""
    return web.Response(
        body=orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z),
        content_type="application/json",
        status=status,
    )


def json_error(error: MailingestError) -> web.Response:
    """An error for scripts."""
    text, status = explain(error, Texts("en"))
    whole = wholeness([Gap("store_unavailable", text)]) if status == 503 else {}
    return json_response({"error": text, **whole}, status)
