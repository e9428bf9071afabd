"""Requests to a VictoriaLogs server: who logs in, where, and what its answers mean.

Facts of the server are from its source, v1.52: `app/vlselect/main.go`, `app/vlinsert/jsonline`.
"""

import asyncio
import gzip
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from aiohttp import (
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    TCPConnector,
)

from mailingest.errors import MailingestError, StoreUnavailable, UsageError
from mailingest.stores.victorialogs.server import Limits, limits_of

REQUEST_SECONDS: Final = 60.0
LONGEST_LINE: Final = 16 * 1024 * 1024
"""Bytes of a line of an answer: a row has 2 MiB at most there, and JSON escapes some of it."""

_REASON_LENGTH: Final = 300
_COMPRESSION: Final = 1  # level 6 takes four times as long, for a tenth less


@dataclass(frozen=True, slots=True)
class Login:
    """A user and password, or a bearer token, or nothing."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    def headers(self) -> dict[str, str]:
        """The header that says so."""
        if self.user is not None:
            pair = f"{self.user}:{self.password or ''}".encode()
            return {"Authorization": f"Basic {b64encode(pair).decode()}"}
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}


class Refusal(UsageError):
    """The server refuses a request for what is in it."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Connection:
    """Requests to one server.

    ``url`` may have a path, of a proxy.  ``login`` is asked at each ``open``, so that a secret may
    be renewed meanwhile.  ``tenant`` are the account and the project.  ``timeout`` is in seconds,
    for a request, or between two pieces of an answer.  Proxies that the environment names are not
    used.

    Raises UsageError if a secret or a certificate cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        login: Callable[[], Login] = Login,
        ca_certs: Path | None = None,
        verify: bool = True,
        tenant: tuple[int, int] = (0, 0),
        timeout: float = REQUEST_SECONDS,
    ) -> None:
        self.url = url.rstrip("/")
        self._login = login
        self._tenant = {"AccountID": str(tenant[0]), "ProjectID": str(tenant[1])}
        self._timeout = timeout
        self._headers = {**self._tenant, **login().headers()}
        self._ca_certs, self._verify = ca_certs, verify
        self._context = self._new_context() if self.url.startswith("https:") else None
        self._session: ClientSession | None = None
        self._limits: Limits | None = None

    async def open(self) -> None:
        """Take renewed secrets and certificates, and ask anew what the server takes."""
        self._limits = None
        self._headers = {**self._tenant, **self._login().headers()}
        if self._context is not None and self._ca_certs is not None:
            self._trust(self._context, self._ca_certs)

    async def close(self) -> None:
        """Close the connection; it may be opened again."""
        session, self._session = self._session, None
        self._limits = None
        if session is not None:
            await session.close()

    async def post(self, path: str, body: bytes, parameters: Mapping[str, str]) -> None:
        """Send lines, compressed; raises StoreUnavailable, UsageError, and of these `Refusal`."""
        async with self._asked(
            path, data=body, params=parameters, headers={"Content-Encoding": "gzip"}
        ):
            pass

    async def text(self, path: str, **form: str) -> str:
        """The answer to a request as a text; raises what ``post`` raises."""
        async with self._asked(path, data=form) as answer:
            return await answer.text()

    async def rows(self, query: str) -> AsyncIterator[dict[str, str]]:
        """The lines of the answer to a query, as they come; raises what ``post`` raises.

        An answer that is cut off, or that ends with an error of the server, raises
        StoreUnavailable: what came before is not all of it.
        """
        async with self._asked("/select/logsql/query", data={"query": query}) as answer:
            async for line in _lines(answer):
                try:
                    row = orjson.loads(line)
                except ValueError:
                    said = _short(line.decode("utf-8", "replace"))
                    raise StoreUnavailable(f"{self.url} broke its answer off: {said}") from None
                yield row

    async def table(self, query: str) -> list[dict[str, str]]:
        """All lines of an answer that has few."""
        return [row async for row in self.rows(query)]

    async def limits(self) -> Limits:
        """What the server takes and keeps, as far as it says so; asked for once."""
        if self._limits is None:
            try:
                said = await self.text("/flags")
            except UsageError:
                said = ""  # a proxy need not let everybody see them
            self._limits = limits_of(said)
        return self._limits

    @asynccontextmanager
    async def _asked(self, path: str, **options: Any) -> AsyncIterator[ClientResponse]:
        headers = {**self._headers, **options.pop("headers", {})}
        try:
            async with self._open_session().post(
                self.url + path, headers=headers, allow_redirects=False, **options
            ) as answer:
                if answer.status >= 300:
                    text = b""
                    with suppress(ClientError, TimeoutError):
                        text = await answer.content.read(10 * _REASON_LENGTH)
                    raise self._error(answer.status, text.decode("utf-8", "replace"))
                yield answer
        except TimeoutError as error:
            raise StoreUnavailable(f"{self.url} did not answer in time") from error
        except (ClientError, OSError, ValueError) as error:
            raise self._unreachable(error) from error

    def _open_session(self) -> ClientSession:
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(ssl=self._context if self._context is not None else True),
                timeout=ClientTimeout(
                    total=None, sock_connect=self._timeout, sock_read=self._timeout
                ),
                trust_env=False,
                auto_decompress=True,
                read_bufsize=2**20,
            )
        return self._session

    def _error(self, status: int, text: str) -> MailingestError:
        said = f"{status} {_short(text)}".strip()
        if status == 401:
            return UsageError(
                f"{self.url} refuses the login: check username and password_file, or "
                "bearer_token_file"
            )
        if status == 403:
            return UsageError(f"{self.url} denies access ({said})")
        if status == 429 or status >= 500:
            return StoreUnavailable(f"{self.url} is not ready: {said}")
        if 300 <= status < 400 or status == 404:
            return UsageError(f"{self.url} is not a VictoriaLogs server: check url ({said})")
        return Refusal(f"{self.url} refuses the request: {said}", status)

    def _unreachable(self, error: Exception) -> MailingestError:
        detail = _short(str(error)) or type(error).__name__
        for said, fix in _TLS_FIXES:
            if said in detail:
                return UsageError(f"{fix} ({detail})")
        return StoreUnavailable(
            f"{self.url} cannot be reached: check that it runs, and url ({detail})"
        )

    def _new_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self._ca_certs is None:
            context.load_default_certs()
        else:
            self._trust(context, self._ca_certs)
        return context

    def _trust(self, context: ssl.SSLContext, path: Path) -> None:
        try:
            context.load_verify_locations(cafile=path)
        except OSError as error:
            reason = "no certificate in PEM form"
            if not isinstance(error, ssl.SSLError):
                reason = str(error.strerror)
            raise UsageError(f"victorialogs.ca_certs: cannot use {path}: {reason}") from None


_TLS_FIXES: Final = (
    ("certificate has expired", "the server's certificate has expired: renew it there"),
    (
        "mismatch, certificate is not valid for",
        "the server's certificate is for another name: write the one that it has in url",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "the server's certificate is not trusted: set ca_certs to the PEM file of the authority "
        "that signed it",
    ),
    ("WRONG_VERSION_NUMBER", "the server does not speak TLS: write http:// in url"),
    ("RECORD_LAYER_FAILURE", "the server does not speak TLS: write http:// in url"),
)
"""What OpenSSL says, and what to do about it; the first that fits."""


def compressed(lines: bytes) -> bytes:
    """The body of a request."""
    return gzip.compress(lines, _COMPRESSION, mtime=0)


def address_of(url: str) -> str:
    """Host and port, for people.

    >>> address_of("https://logs.example.net:9428/vl")
    'logs.example.net:9428'
    """
    return urlsplit(url).netloc


async def _lines(answer: ClientResponse) -> AsyncIterator[bytes]:
    """The lines of a body; one that was cut off is no line, and raises ClientError."""
    rest = b""
    async for piece in answer.content.iter_any():
        *whole, rest = (rest + piece if rest else piece).split(b"\n")
        for line in whole:
            if line:
                yield line
        if len(rest) > LONGEST_LINE:
            raise StoreUnavailable("a line of the answer is longer than any that was stored")
        await asyncio.sleep(0)
    if rest:
        yield rest


def _short(text: str) -> str:
    return " ".join(text.split())[:_REASON_LENGTH]
