"""Access control of the pages: who asks, whether they may, and what their browser must not do."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import web

from mailingest.web.rate_limit import RateLimit
from mailingest.web.users import Users, read_login

_log = structlog.get_logger(__name__)

# Wrong passwords of one address: more than anyone mistypes.
_FAILURES_A_MINUTE: Final = 20
# Passwords that are hashed at the same time.  Each takes a thread, and the store needs some too.
_MOST_HASHED: Final = 2

# Everything comes from this server; the pictures are part of the pages.
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# Headers of aiohttp's errors that the pages in their place have to have.
_ERROR_HEADERS: Final = ("Allow", "Retry-After", "WWW-Authenticate")

USER: Final = web.RequestKey("user", str)
"""The name of who asks; "" if nobody has to log in."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask: users with passwords, or the user that a trusted proxy names in a header."""

    users: Users | None = None
    proxy_header: str | None = None
    proxies: frozenset[str] = frozenset()
    is_masked: bool = False
    questions_a_minute: int = 60


class AccessControl:
    """What every request passes; ``refusal`` makes the response of a status that is an error.

    The ``public`` handlers answer everyone.
    """

    def __init__(
        self,
        access: Access,
        refusal: Callable[[web.Request, int], web.StreamResponse],
        public: Collection[Handler],
    ) -> None:
        self._access = access
        self._refusal = refusal
        self._public = public
        self._questions = RateLimit(access.questions_a_minute)
        self._failures = RateLimit(_FAILURES_A_MINUTE)
        self._hashing = asyncio.Semaphore(_MOST_HASHED)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, with a page also where that is an error."""
        try:
            if request.match_info.handler not in self._public:
                request[USER] = await self._permitted_user(request)
            response = await handler(request)
        except web.HTTPException as error:
            response = self._refusal(request, error.status)
            kept = {name: error.headers[name] for name in _ERROR_HEADERS if name in error.headers}
            response.headers.update(kept)
        except Exception:
            _log.exception("fault of mailingest itself", path=request.path)
            response = self._refusal(request, 500)
        response.headers.update(HEADERS)
        return response

    async def _permitted_user(self, request: web.Request) -> str:
        """Who asks; raises HTTPUnauthorized or HTTPTooManyRequests."""
        peer = request.remote or ""
        user = await self._user(request, peer)
        if not self._questions.allows(user or peer):
            raise _too_many()
        return user

    async def _user(self, request: web.Request, peer: str) -> str:
        access = self._access
        if access.proxy_header is not None:
            name = request.headers.get(access.proxy_header)
            if not name or peer not in access.proxies:
                raise _unauthorized()
            return name
        if access.users is None:
            return ""
        return await self._logged_in(access.users, request, peer)

    async def _logged_in(self, users: Users, request: web.Request, peer: str) -> str:
        """Check a login, whose failures are counted.

        It is counted before the password is hashed, and given back if that is right: logins that
        come at the same time are not more guesses than others.
        """
        if self._failures.is_spent(peer):
            raise _too_many()
        authorization = request.headers.get("Authorization")
        if authorization is None:
            raise _unauthorized()
        login = read_login(authorization)
        if login is not None and users.remembers(login):
            return login.name
        if not self._failures.allows(peer):
            raise _too_many()
        if login is not None:
            async with self._hashing:
                is_right = await asyncio.to_thread(users.verify, login)
            if is_right:
                self._failures.give_back(peer)
                return login.name
        _log.warning("login refused", peer=peer)
        raise _unauthorized()


def _unauthorized() -> web.HTTPUnauthorized:
    challenge = 'Basic realm="mailingest", charset="UTF-8"'
    return web.HTTPUnauthorized(headers={"WWW-Authenticate": challenge})


def _too_many() -> web.HTTPTooManyRequests:
    return web.HTTPTooManyRequests(headers={"Retry-After": "60"})
