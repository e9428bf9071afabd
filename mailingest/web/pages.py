"""Templates and values -> responses, in the language of whoever asks."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlencode

import jinja2
import orjson
from aiohttp import web

from mailingest.errors import MailingestError, QuestionError, StoreUnavailable, UsageError
from mailingest.logs.logger import log
from mailingest.stores.gaps import Gap, wholeness
from mailingest.web.languages import preferred_language
from mailingest.web.texts import LANGUAGES, Texts

# The errors that have texts of their own.
_EXPLAINED: Final = frozenset({401, 404, 405, 429, 500, 503})
_STATIC: Final = files("mailingest.web").joinpath("static")
_STYLE: Final = _STATIC.joinpath("style.css").read_text("utf-8")
_COPY: Final = _STATIC.joinpath("copy.js").read_text("utf-8")

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
        texts = texts_of(request)
        query = {**request.query, "lang": texts.other}
        return self._rendered(
            name,
            status,
            texts=texts,
            root="",
            other_language=f"{request.path.lstrip('/')}?{urlencode(query)}",
            **values,
        )

    def refusal(self, request: web.Request, status: int, name: str = "") -> web.Response:
        """A page that says why there is none, with a way back; JSON where JSON was asked for.

        ``name`` is the key of the words, "" for those of the status.
        """
        name = name or (f"error_{status}" if status in _EXPLAINED else "error_400")
        if request.path.endswith(".json"):
            return json_response({"error": Texts("en")(name)}, status)
        texts = texts_of(request)
        # The path comes from the browser: only its depth is used.
        root = "../" * (request.path.count("/") - 1) or "./"
        return self._rendered(
            "error.html",
            status,
            texts=texts,
            root=root,
            other_language=f"{root}?lang={texts.other}",
            message=texts(name),
        )

    def _rendered(self, name: str, status: int, **values: Any) -> web.Response:
        html = self._templates.get_template(name).render(page=name, **values)
        return web.Response(text=html, content_type="text/html", status=status)


def texts_of(request: web.Request) -> Texts:
    """The texts in the language that was chosen on a page, or else that of the browser."""
    chosen = request.query.get("lang")
    accepted = request.headers.get("Accept-Language", "")
    return Texts(chosen or preferred_language(accepted, LANGUAGES))


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


async def style(_: web.Request) -> web.Response:
    """The style sheet of all pages."""
    return web.Response(text=_STYLE, content_type="text/css")


async def copy_script(_: web.Request) -> web.Response:
    """The script of a mail's page: buttons that copy."""
    return web.Response(text=_COPY, content_type="text/javascript")
