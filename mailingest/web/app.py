"""The trace page over HTTP: read-only, works without scripts, JSON beside each page."""

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from importlib.resources import files
from typing import Any, get_args
from urllib.parse import urlencode

import jinja2
import orjson
import structlog
from aiohttp import web
from markupsafe import Markup

from mailingest.errors import MailingestError, StoreUnavailable, UsageError
from mailingest.stores.counts import Counts
from mailingest.stores.criteria import Criteria
from mailingest.stores.protocol import CountingReader, Span
from mailingest.trace.answer import story_to_json
from mailingest.trace.engine import TraceResult, trace
from mailingest.trace.stories import Story, Verdict
from mailingest.web.masking import is_about_parts, is_shown, mask, masked_answer
from mailingest.web.overview import SPANS, Asked, Overview, read_asked
from mailingest.web.questions import LONGEST_VALUE, WrongQuestion, read_question
from mailingest.web.security import HEADERS, RateLimit, Users
from mailingest.web.texts import Texts, preferred
from mailingest.web.views import FIELDS, View, permalink

_log = structlog.get_logger(__name__)

# A help desk reads some; more than a page is a question to narrow.
_MOST_RESULTS = 50
_MORE = ("queue_id", "message_id", "client", "relay", "text", "status")
_AROUND = timedelta(seconds=1)
# A mail to many recipients, and all refusals of two seconds.
_MOST_OF_A_MAIL = 1000
# Wrong passwords of one address: more than anyone mistypes.  Each costs 50 ms of processor time.
_LOGINS_A_MINUTE = 20
# The refusals that have words of their own.
_TOLD = frozenset({401, 404, 405, 429, 500, 503})
# Whether it is over soon or an operator has to heal it, a reader cannot do anything about it.
_UNAVAILABLE = (StoreUnavailable, UsageError)

_USER = web.RequestKey("user", str)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask: users with passwords, or the user that a trusted proxy names in a header."""

    users: Users | None = None
    proxy_header: str | None = None
    proxies: frozenset[str] = frozenset()
    is_masked: bool = False
    questions_a_minute: int = 60


class TracePage:
    """The pages over one source."""

    def __init__(self, source: CountingReader, access: Access, zone: tzinfo) -> None:
        self._source = source
        self._access = access
        self._zone = zone
        self._limit = RateLimit(access.questions_a_minute)
        self._failures = RateLimit(_LOGINS_A_MINUTE)
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("mailingest.web"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(middlewares=[self._guard], client_max_size=16 * 1024)
        app.router.add_get("/", self._search)
        app.router.add_get("/search.json", self._search_json)
        app.router.add_get("/mail", self._mail)
        app.router.add_get("/mail.json", self._mail_json)
        app.router.add_get("/overview", self._overview)
        app.router.add_get("/overview.json", self._overview_json)
        app.router.add_get("/static/style.css", _style)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Who asks, whether they may, and what the browser must not do."""
        peer = request.remote or ""
        if request.match_info.handler is _style:
            # It tells nothing, and the page that asks for a login needs it.
            response = await handler(request)
        elif self._failures.is_spent(peer):
            response = self._refusal(request, 429)
            response.headers["Retry-After"] = "60"
        elif (user := self._user(request)) is None:
            if "Authorization" in request.headers:
                self._failures.allows(peer)
                _log.warning("login refused", peer=peer)
            response = self._refusal(request, 401)
            response.headers["WWW-Authenticate"] = 'Basic realm="mailingest", charset="UTF-8"'
        elif not self._limit.allows(user or peer):
            response = self._refusal(request, 429)
            response.headers["Retry-After"] = "60"
        else:
            request[_USER] = user
            try:
                response = await handler(request)
            except web.HTTPException as error:
                response = self._refusal(request, error.status)
                if "Allow" in error.headers:
                    response.headers["Allow"] = error.headers["Allow"]
            except Exception:
                _log.exception("fault of mailingest itself", path=request.path)
                response = self._refusal(request, 500)
        response.headers.update(HEADERS)
        return response

    def _user(self, request: web.Request) -> str | None:
        """The name of who asks, "" if nobody has to log in, None if they may not ask."""
        access = self._access
        if access.proxy_header is not None:
            name = request.headers.get(access.proxy_header)
            return name if request.remote in access.proxies and name else None
        if access.users is None:
            return ""
        return access.users.check(request.headers.get("Authorization", ""))

    async def _search(self, request: web.Request) -> web.Response:
        texts = self._texts(request)
        asked = _asked(request.query)
        page: dict[str, Any] = {
            "asked": asked,
            "more_asked": any(asked[name] for name in _MORE),
            "verdicts": get_args(Verdict),
            "rows": None,
            "error": "",
            "remark": "",
            "is_cut": False,
            "json_link": "search.json?" + urlencode({k: v for k, v in asked.items() if v}),
        }
        status = 200
        if any(asked.values()):
            try:
                criteria = self._criteria(asked)
                answer = await self._ask(request, criteria)
            except WrongQuestion as error:
                page["error"], status = error.told(texts), 400
            except _UNAVAILABLE as error:
                page["error"], status = _unavailable(error, texts), 503
            else:
                view = self._view(texts)
                page["rows"] = [view.row(story) for story in reversed(answer.stories)]
                page["is_cut"] = answer.is_cut
                page["remark"] = "" if answer.stories else _nothing(answer, criteria, texts, view)
                if self._access.is_masked and is_about_parts(criteria):
                    page["remark"] = f"{page['remark']} {texts('masked')}".strip()
        return self._page("search.html", request, texts, page, status)

    async def _search_json(self, request: web.Request) -> web.Response:
        try:
            criteria = self._criteria(_asked(request.query))
            answer = await self._ask(request, criteria)
        except WrongQuestion as error:
            return _json({"error": str(error)}, 400)
        except _UNAVAILABLE as error:
            return _json({"error": _unavailable(error, Texts("en"))}, 503)
        return self._json(answer)

    async def _mail(self, request: web.Request) -> web.Response:
        texts = self._texts(request)
        answer = await self._ask_mail(request)
        view = self._view(texts)
        rows = [(view.row(story), Markup(view.picture(story))) for story in answer.stories]  # noqa: S704 - SVG of our own, its texts are escaped
        first = answer.stories[0] if answer.stories else None
        page = {
            "rows": rows,
            "queue_id": request.query.get("queue_id", "")[:LONGEST_VALUE],
            "remark": "" if rows else _nothing(answer, Criteria(), texts, view),
            "link": permalink(first) if first else ".",
            "json_link": "mail.json?" + urlencode(dict(request.query)),
        }
        return self._page("mail.html", request, texts, page, 200 if rows else 404)

    async def _mail_json(self, request: web.Request) -> web.Response:
        answer = await self._ask_mail(request)
        return self._json(answer, 200 if answer.stories else 404)

    async def _ask_mail(self, request: web.Request) -> TraceResult:
        """The stories that a permalink means: see `permalink`."""
        query = request.query
        try:
            at = datetime.fromisoformat(query["at"])
            host, queue_id, line = query.get("host"), query.get("queue_id"), query.get("line")
            if line is None and (host is None or queue_id is None):
                raise web.HTTPBadRequest
            if at.tzinfo is None or any(len(value) > LONGEST_VALUE for value in query.values()):
                raise web.HTTPBadRequest
            criteria = (
                Criteria(queue_id=queue_id)
                if line is None
                else Criteria(since=at - _AROUND, until=at + _AROUND)
            )
        except (KeyError, ValueError, OverflowError):
            raise web.HTTPBadRequest from None
        try:
            answer = await self._ask(request, criteria, limit=_MOST_OF_A_MAIL)
        except _UNAVAILABLE as error:
            _unavailable(error, self._texts(request))
            raise web.HTTPServiceUnavailable from None

        def is_meant(story: Story) -> bool:
            if line is not None:
                return story.refusal is not None and story.refusal.event["_id"] == line
            # Queue IDs are used again: the host and the time tell which mail is meant.
            return any(
                (queue.key.host, queue.key.queue_id) == (host, queue_id)
                and abs(queue.created_at - at) <= _AROUND
                for queue in story.queues
            )

        return TraceResult(list(filter(is_meant, answer.stories)), answer.span, answer.is_cut)

    async def _overview(self, request: web.Request) -> web.Response:
        texts = self._texts(request)
        page: dict[str, Any] = {
            "asked": {name: request.query.get(name, "") for name in ("span", "since", "until")},
            "spans": list(SPANS),
            "view": None,
            "error": "",
            "remark": "",
        }
        status = 200
        try:
            asked = self._read_overview(request)
            counts, span = await self._count(request, asked)
        except WrongQuestion as error:
            page["error"], status = error.told(texts), 400
        except _UNAVAILABLE as error:
            page["error"], status = _unavailable(error, texts), 503
        else:
            overview = self._overview_of(counts, texts)
            view = self._view(texts)
            logs = {
                "first": view.time(span.first) if span else "",
                "last": view.time(span.last) if span else "",
            }
            page |= {
                "asked": asked,
                "view": overview.page(),
                "first": overview.time(counts.buckets.start),
                "last": overview.time(counts.buckets.end),
                "logs_first": logs["first"],
                "logs_last": logs["last"],
                "json_link": "overview.json?" + urlencode(asked.query),
            }
            if page["view"]["is_empty"]:
                page["remark"] = texts("nothing_counted", **logs) if span else texts("no_logs")
        return self._page("overview.html", request, texts, page, status)

    async def _overview_json(self, request: web.Request) -> web.Response:
        try:
            counts, span = await self._count(request, self._read_overview(request))
        except WrongQuestion as error:
            return _json({"error": str(error)}, 400)
        except _UNAVAILABLE as error:
            return _json({"error": _unavailable(error, Texts("en"))}, 503)
        return _json(self._overview_of(counts, Texts("en")).json(span), 200)

    def _read_overview(self, request: web.Request) -> Asked:
        return read_asked(request.query, now=datetime.now(UTC), zone=self._zone)

    async def _count(self, request: web.Request, asked: Asked) -> tuple[Counts, Span | None]:
        _note_question(request)
        return await self._source.counts(asked.buckets), await self._source.span()

    def _overview_of(self, counts: Counts, texts: Texts) -> Overview:
        return Overview(counts, texts, self._zone, mask if self._access.is_masked else str)

    async def _ask(
        self, request: web.Request, criteria: Criteria, limit: int = _MOST_RESULTS
    ) -> TraceResult:
        _note_question(request)
        shown = partial(is_shown, criteria) if self._access.is_masked else None
        return await trace(self._source, criteria, limit=limit, is_shown=shown)

    def _criteria(self, asked: Mapping[str, str]) -> Criteria:
        return read_question(asked, now=datetime.now(UTC), zone=self._zone)

    def _json(self, answer: TraceResult, status: int = 200) -> web.Response:
        view = self._view(Texts("en"))
        return _json(
            {
                "mails": [view.answer(story) for story in answer.stories],
                "is_cut": answer.is_cut,
                "logs_first": answer.span.first if answer.span else None,
                "logs_last": answer.span.last if answer.span else None,
            },
            status,
        )

    def _view(self, texts: Texts) -> View:
        return View(texts, self._zone, masked_answer if self._access.is_masked else story_to_json)

    def _texts(self, request: web.Request) -> Texts:
        wanted = request.query.get("lang")
        return Texts(wanted or preferred(request.headers.get("Accept-Language", "")))

    def _page(
        self,
        name: str,
        request: web.Request,
        texts: Texts,
        values: Mapping[str, Any],
        status: int,
    ) -> web.Response:
        query = {**request.query, "lang": texts.other}
        html = self._templates.get_template(name).render(
            texts=texts,
            page=name,
            root="",
            other_language=f"{request.path.lstrip('/')}?{urlencode(query)}",
            **values,
        )
        return web.Response(text=html, content_type="text/html", status=status)

    def _refusal(self, request: web.Request, status: int) -> web.Response:
        """A page that tells why there is none, with a way back; JSON where JSON was asked for."""
        name = f"error_{status}" if status in _TOLD else "error_400"
        if request.path.endswith(".json"):
            return _json({"error": Texts("en")(name)}, status)
        texts = self._texts(request)
        # The path comes from the browser: only its depth is used.
        root = "../" * (request.path.count("/") - 1) or "./"
        html = self._templates.get_template("error.html").render(
            texts=texts,
            page="error.html",
            root=root,
            other_language=f"{root}?lang={texts.other}",
            message=texts(name),
        )
        return web.Response(text=html, content_type="text/html", status=status)


def _note_question(request: web.Request) -> None:
    """Mail logs are personal data: it must be known who asked what."""
    _log.info(
        "question",
        user=request[_USER] or None,
        peer=request.remote,
        path=request.path,
        query={name: value[:LONGEST_VALUE] for name, value in request.query.items()},
    )


def _unavailable(error: MailingestError, texts: Texts) -> str:
    """What readers are told; why it is so is for the operator."""
    _log.error("store not available", reason=str(error))
    return texts("error_503")


def _asked(query: Mapping[str, str]) -> dict[str, str]:
    return {name: query.get(name, "").strip() for name in FIELDS}


def _nothing(answer: TraceResult, criteria: Criteria, texts: Texts, view: View) -> str:
    """Why there is no answer."""
    span = answer.span
    if span is None:
        return texts("no_logs")
    first, last = view.time(span.first), view.time(span.last)
    is_before = criteria.until is not None and criteria.until <= span.first
    is_after = criteria.since is not None and criteria.since > span.last
    return texts("no_logs_then" if is_before or is_after else "nothing", first=first, last=last)


def _json(value: object, status: int) -> web.Response:
    return web.Response(
        body=orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z),
        content_type="application/json",
        status=status,
    )


async def _style(_: web.Request) -> web.Response:
    css = files("mailingest.web").joinpath("static", "style.css").read_text("utf-8")
    return web.Response(text=css, content_type="text/css")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address to listen on."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
