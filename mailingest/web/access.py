"""Access control of the pages: who asks, whether they may, and what their browser must not do."""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from mailingest.config.host_names import address_name
from mailingest.httpd.hosts import asked_name, served_names
from mailingest.logs.logger import log
from mailingest.trace.visibility import Visibility
from mailingest.web.bindings import Bindings
from mailingest.web.logins import Logins, mark_device, network_of, too_many, unauthorized
from mailingest.web.rate_limit import RateLimit
from mailingest.web.tokens import Token, Tokens, is_bearer, read_bearer
from mailingest.web.users import Users

# From one address: more than any script that somebody forgot.
_WRONG_TOKENS_A_MINUTE: Final = 20
# Everything comes from this server, in files of its own; the pictures are part of the pages.
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    # Not which version of what library is to be attacked.
    "Server": "mailingest",
}
# Headers of aiohttp's errors that the pages in their place have to have.
_ERROR_HEADERS: Final = ("Allow", "Retry-After", "WWW-Authenticate")

# Proxies join repeated headers with commas.  Longer than any login; and nothing that is not text.
_ONE_NAME: Final = re.compile(
    r"[^\s,\x00-\x1f\x7f-\x9f\ud800-\udfff](?:[^,\x00-\x1f\x7f-\x9f\ud800-\udfff]{0,254}[^\s,\x00-\x1f\x7f-\x9f\ud800-\udfff])?"
)

USER: Final = web.RequestKey("user", str)
"""The name of who asks; "" if nobody has to log in."""

VISIBILITY: Final = web.RequestKey("visibility", Visibility)
"""What of the mails who asks may see; not there if that is everything."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask: users with passwords, or the user that a trusted proxy names in a header.

    Where there are no passwords, only requests for one of the ``names`` are answered.
    """

    users: Users | None = None
    proxy_header: str | None = None
    proxies: frozenset[str] = frozenset()
    names: frozenset[str] = served_names("127.0.0.1")
    tokens: Tokens | None = None
    bindings: Bindings = field(default_factory=Bindings)
    is_masked: bool = False
    questions_a_minute: int = 60
    question_seconds: float = 20.0


class Refused(Exception):
    """A request that is answered with an error; ``text`` is the key of its words in `Texts`."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text


class AccessControl:
    """What every request passes; ``refusal`` makes the response of a status that is an error.

    The ``public`` handlers answer everyone.
    """

    def __init__(
        self,
        access: Access,
        refusal: Callable[[web.Request, int, str], web.StreamResponse],
        public: Collection[Handler],
    ) -> None:
        self._access = access
        self._refusal = refusal
        self._public = public
        self._questions = RateLimit(access.questions_a_minute)
        self._wrong_tokens = RateLimit(_WRONG_TOKENS_A_MINUTE)
        self._logins = Logins(access.users) if access.users is not None else None

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, with a page also where that is an error."""
        try:
            name = _name_of(request)
            if request.match_info.handler not in self._public:
                self._check_name(request, name)
                _check_origin(request)
                await self._admit(request)
            response = await handler(request)
        except Refused as error:
            response = self._refusal(request, error.status, error.text)
        except web.HTTPException as error:
            response = self._refusal(request, error.status, "")
            kept = {name: error.headers[name] for name in _ERROR_HEADERS if name in error.headers}
            response.headers.update(kept)
        except Exception:
            log.exception("fault of mailingest itself", path=request.path)
            response = self._refusal(request, 500, "")
        response.headers.update(HEADERS)
        mark_device(request, response)
        return response

    def _check_name(self, request: web.Request, name: str) -> None:
        """Raise Refused if a request is not for this server, as far as that can be told.

        A login in a password file needs none of this: the browser does not send it to a page that
        goes by another name.
        """
        if self._logins is None and name not in self._access.names and name != _local(request):
            log.warning(
                "a name that is not in web.server_names was asked for",
                name=name,
                peer=request.remote,
            )
            raise Refused(421, "error_421")

    async def _admit(self, request: web.Request) -> None:
        """Write down who asks, and what they may see.

        Raises Refused, HTTPUnauthorized or HTTPTooManyRequests.
        """
        peer = request.remote or ""
        token = self._token(request, peer)
        if token is not None:
            # No user has a colon in the name.
            user = f"token:{token.name}"
            visibility = Visibility(token.domains) if token.domains is not None else None
        else:
            user = await self._user(request, peer)
            visibility = self._access.bindings.of(user)
        request[USER] = user
        if visibility is not None:
            request[VISIBILITY] = visibility
        if not self._questions.allows(user or peer):
            raise too_many()

    def _token(self, request: web.Request, peer: str) -> Token | None:
        """The token of a script, None if there is no header of one; a wrong one is refused.

        Wrong ones are counted by address, and cannot keep out a right one.
        """
        given = request.headers.getall("Authorization", [])
        if self._access.tokens is None or not any(map(is_bearer, given)):
            return None
        secret = read_bearer(given[0]) if len(given) == 1 else None
        token = self._access.tokens.of(secret) if secret is not None else None
        if token is None:
            if not self._wrong_tokens.allows(network_of(peer)):
                raise too_many()
            log.warning("token refused", peer=peer)
            raise unauthorized('Bearer realm="mailingest", error="invalid_token"')
        return token

    async def _user(self, request: web.Request, peer: str) -> str:
        if self._access.proxy_header is not None:
            if peer not in self._access.proxies:
                raise unauthorized()
            return _named_user(request, self._access.proxy_header)
        if self._logins is None:
            return ""
        return await self._logins.user(request, peer)


def _name_of(request: web.Request) -> str:
    """The name that a request is for; raises Refused if it has none or several."""
    # A request line mostly has a path; else the URL is what it has (RFC 9112, 3.2.2 to 3.2.4).
    target = None if request.raw_path.startswith("/") else request.url.raw_authority
    name = asked_name(request.headers.getall("Host", []), target)
    if name is None:
        raise Refused(400, "error_host")
    return name


def _named_user(request: web.Request, header: str) -> str:
    """The user that a proxy names; raises Refused if more than one name can be read from it.

    What a browser sent beside it, in whatever spelling, may have been let through.
    """
    plain = header.lower().replace("_", "-")
    given = [
        (name, value)
        for name, value in request.headers.items()
        if name.lower().replace("_", "-") == plain
    ]
    if not any(value.strip() for _, value in given):
        raise unauthorized()
    [(name, value), *others] = given
    if others or name.lower() != header.lower() or _ONE_NAME.fullmatch(value) is None:
        log.warning("a proxy does not name one user", header=header, peer=request.remote)
        raise Refused(403, "error_user")
    return value


def _check_origin(request: web.Request) -> None:
    """Raise Refused for what a page of somebody else asks for unseen.

    It cannot read the answer, but its questions would be in the way of others.  A link to a page
    may be anywhere (W3C Fetch Metadata; browsers leave it out without TLS, but not on localhost).
    """
    headers = request.headers
    is_own = headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")
    if not is_own and headers.get("Sec-Fetch-Dest") != "document":
        raise Refused(403, "error_origin")


def _local(request: web.Request) -> str | None:
    """The address of this machine that the connection was made to."""
    transport = request.transport
    address = transport.get_extra_info("sockname") if transport is not None else None
    return address_name(address[0]) if isinstance(address, tuple) else None
