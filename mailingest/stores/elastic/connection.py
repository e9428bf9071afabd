"""The connection to Elasticsearch 7.10 to 9 or to OpenSearch: who logs in, where, and how."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from elasticsearch import AsyncElasticsearch

from mailingest.errors import StoreUnavailable, UsageError
from mailingest.stores.elastic.compatibility import BridgeNode, QuietNode, Server, recognise
from mailingest.stores.elastic.errors import explained
from mailingest.stores.elastic.tls import Tls

REQUEST_SECONDS: Final = 60.0
"""A bulk request may wait for a full queue or a long garbage collection, but not for ever."""

DEAD_NODE_SECONDS: Final = 300.0
"""The longest rest of a host that fails, while others do the work.

One that hangs costs a whole ``timeout`` each time it is tried.
"""


@dataclass(frozen=True, slots=True)
class Login:
    """One way to log in, or none.

    ``api_key`` is the encoded form or ``id:key``; ``bearer_token`` is a token of the server's or
    a JWT.
    """

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    bearer_token: str | None = field(default=None, repr=False)

    def options(self) -> dict[str, Any]:
        """What the client calls it."""
        if self.user is not None:
            return {"basic_auth": (self.user, self.password or "")}
        if self.api_key is not None:
            key_id, colon, key = self.api_key.partition(":")
            return {"api_key": (key_id, key) if colon else self.api_key}
        if self.bearer_token is not None:
            return {"bearer_auth": self.bearer_token}
        return {}


class ElasticConnection:
    """The official client, made to fit the server that answers.

    ``hosts`` are URLs with scheme, host and port.  Requests go to them in turn, but for those
    that have failed lately.  ``login`` is asked at each ``open``, so that a password or token may
    be renewed meanwhile.  ``timeout`` is in seconds, for one request.  Proxies that the
    environment names are not used.

    Raises UsageError if a secret, a certificate or a host cannot be used.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        *,
        login: Callable[[], Login] = Login,
        tls: Tls | None = None,
        compress: bool = False,
        timeout: float = REQUEST_SECONDS,
    ) -> None:
        self.server: Server | None = None
        self._hosts = list(hosts)
        self._login = login
        self._compress = compress
        self._timeout = timeout
        self._client: AsyncElasticsearch | None = None
        self._tls = tls or Tls()
        self._context = self._tls.context() if self._tls_hosts else None
        login()

    @property
    def client(self) -> AsyncElasticsearch:
        """The open client; raises StoreUnavailable before ``open``."""
        if self._client is None:
            raise StoreUnavailable("the connection to the store is not open yet")
        return self._client

    async def open(self) -> None:
        """Connect and recognise the server; repeated, take renewed secrets and certificates.

        Raises UsageError or StoreUnavailable, and what the client raises.
        """
        if self._client is None:
            self._client = await self._connect()
            return
        if self._context is not None:
            self._tls.load(self._context)
        self._client = self._client.options(**self._login().options())

    async def close(self) -> None:
        """Close the connection; it may be opened again."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    @asynccontextmanager
    async def opened(self, needed: str) -> AsyncIterator[AsyncElasticsearch]:
        """The client for one task, which takes the privileges ``needed``; closed afterwards.

        What the client raises within is explained.
        """
        try:
            with explained(needed):
                await self.open()
                yield self.client
        finally:
            await self.close()

    @property
    def _tls_hosts(self) -> list[str]:
        return [host for host in self._hosts if host.startswith("https:")]

    async def _connect(self) -> AsyncElasticsearch:
        if self._context is not None:
            self._tls.load(self._context)
            if self._tls.fingerprint is not None:
                await self._tls.pin(self._context, self._tls_hosts)
        client = self._new_client(BridgeNode)
        try:
            answer = await client.info()
            self.server = recognise(answer.body)
        except BaseException:
            await client.close()
            raise
        if not self.server.native:
            return client
        await client.close()
        return self._new_client(QuietNode)

    def _new_client(self, node_class: type[QuietNode]) -> AsyncElasticsearch:
        tls: dict[str, Any] = {"ssl_context": self._context} if self._context else {}
        try:
            return AsyncElasticsearch(
                self._hosts,
                node_class=node_class,
                http_compress=self._compress,
                request_timeout=self._timeout,
                # One try at each host; waiting and trying again is the batcher's part.
                max_retries=len(self._hosts) - 1,
                max_dead_node_backoff=DEAD_NODE_SECONDS,
                **self._login().options(),
                **tls,
            )
        except ValueError as error:
            raise UsageError(f"cannot connect to Elasticsearch or OpenSearch: {error}") from error
