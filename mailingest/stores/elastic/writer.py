"""Output into Elasticsearch or OpenSearch: index template at the start, then bulk requests."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, cast

from elastic_transport import AiohttpHttpNode, ConnectionTimeout, SerializationError
from elasticsearch import ApiError, AsyncElasticsearch, TransportError

from mailingest.documents import Document
from mailingest.errors import MailingestError, StoreUnavailable, UsageError
from mailingest.stores.elastic.bulk import REASON_LENGTH, cut, encode, reason, sort_response
from mailingest.stores.elastic.compatibility import BridgeNode, Server, recognise
from mailingest.stores.elastic.lifecycle import with_lifecycle
from mailingest.stores.elastic.tls import Tls, tls_hint
from mailingest.stores.protocol import Rejection, WriteResult

REQUEST_SECONDS = 60.0
"""A bulk request may wait for a full queue or a long garbage collection, but not for ever."""

TEMPLATE_PRIORITY = 200
"""Above the 100 that Elastic's own templates have, plus the length of the index pattern.

A server refuses two templates of one priority whose patterns overlap, as ``mail-*`` and
``mail-test-*`` do; so the longer one goes first.
"""

DEAD_NODE_SECONDS = 300.0
"""The longest rest of a host that fails, while others do the work.

One that hangs costs a whole ``timeout`` each time it is tried.
"""

BULK_ANSWER = ("errors", "items.*.status", "items.*.error")
"""The parts of a bulk answer that are read: a tenth of the whole."""


@dataclass(frozen=True, slots=True)
class IndexTemplate:
    """A composable index template: ``body`` has ``settings``, ``mappings`` and ``aliases``."""

    name: str
    patterns: Sequence[str]
    body: Mapping[str, Any]

    @property
    def priority(self) -> int:
        return TEMPLATE_PRIORITY + len(self.patterns[0])

    def request(self, lifecycle: Mapping[str, Any]) -> dict[str, Any]:
        """The body of ``PUT _index_template``; ``lifecycle`` is for ``index.lifecycle``."""
        return {
            "index_patterns": list(self.patterns),
            "priority": self.priority,
            "template": with_lifecycle(self.body, lifecycle),
        }


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


PRIVILEGES = (
    "monitor and manage_index_templates on the cluster, create_doc and create_index on the indices "
    "(OpenSearch: cluster_monitor, cluster_manage_index_templates and indices:data/write/bulk, "
    "write and create_index)"
)
"""What writing takes; tests log in with no more than that."""


class ElasticWriter:
    """Writes documents to Elasticsearch 7.10 to 9 or to OpenSearch.

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
        template: IndexTemplate | None = None,
    ) -> None:
        self.server: Server | None = None
        self._hosts = list(hosts)
        self._login = login
        self._compress = compress
        self._timeout = timeout
        self._template = template
        self._client: AsyncElasticsearch | None = None
        self._tls = tls or Tls()
        self._context = self._tls.context() if self._tls_hosts else None
        login()

    async def open(self) -> None:
        """Recognise the server and put the index template there; may be repeated.

        Putting the template that it has already changes nothing on the server, and the
        lifecycle policy that its template names is left to ``mailingest setup``.  Repeated
        after an outage, this makes good one that is gone, and takes renewed secrets and
        certificates.  Raises UsageError for what only the operator can heal, here or on the
        server, else StoreUnavailable.
        """
        try:
            if self._client is None:
                self._client = await self._connect()
            else:
                if self._context is not None:
                    self._tls.load(self._context)
                self._client = self._client.options(**self._login().options())
            if self._template is not None:
                await put_template(self._client, self._template)
        except (ApiError, TransportError) as error:
            raise explain(error) from error

    async def write(self, batch: Sequence[Document]) -> WriteResult:
        """Store a batch; raises StoreUnavailable if the store takes no document of it now.

        It is UsageError if only the operator can heal that.
        A request that the server will not take as a whole is halved, as often as it takes to
        find the one document at fault.
        """
        client = self.client
        result = WriteResult()
        waiting: list[tuple[Document, MailingestError]] = []
        parts = deque(cut(batch))
        while parts:
            part = parts.popleft()
            try:
                answer = await self._bulk(client, part)
                outcome = sort_response(part, answer)
            except MailingestError as error:
                waiting += [(document, error) for document in chain(part, *parts)]
                break
            except ApiError as error:
                if len(part) == 1:
                    result.rejected.append(Rejection(part[0], refusal_reason(error)))
                else:
                    middle = len(part) // 2
                    parts.extendleft((part[middle:], part[:middle]))
                continue
            result.stored += outcome.created + outcome.duplicates
            result.duplicates += outcome.duplicates
            result.rejected += [Rejection(document, why) for document, why in outcome.rejected]
            waiting += [
                (document, StoreUnavailable(f"the store takes no document: {why}"))
                for document, why in outcome.retry
            ]
        if waiting and len(waiting) == len(batch):
            raise waiting[0][1]
        result.retry = [document for document, _ in waiting]
        return result

    async def reopen(self) -> None:
        """There are no files here."""

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    @property
    def client(self) -> AsyncElasticsearch:
        """The open client, for what is not writing; raises StoreUnavailable before ``open``."""
        if self._client is None:
            raise StoreUnavailable("the connection to the store is not open yet")
        return self._client

    @property
    def _tls_hosts(self) -> list[str]:
        return [host for host in self._hosts if host.startswith("https:")]

    def _new_client(self, node_class: type[AiohttpHttpNode]) -> AsyncElasticsearch:
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
        return self._new_client(AiohttpHttpNode)

    async def _bulk(
        self, client: AsyncElasticsearch, part: Sequence[Document]
    ) -> Mapping[str, Any]:
        """The answer to one request; raises ApiError for a request that may do in halves."""
        # The client passes bytes on as they are; its signature knows only mappings.
        operations = cast(Any, encode(part))
        try:
            answer = await client.bulk(operations=operations, filter_path=BULK_ANSWER)
        except ApiError as error:
            if error.status_code == 413 or (error.status_code == 400 and api_error(error)):
                raise
            raise explain(error) from error
        except TransportError as error:
            raise explain(error) from error
        return cast(Mapping[str, Any], answer.body)


async def present_template(client: AsyncElasticsearch, name: str) -> dict[str, Any]:
    """The index template of this name that the server has; empty if there is none."""
    answer = await client.options(ignore_status=404).indices.get_index_template(name=name)
    for found in answer.body.get("index_templates", []):
        return cast(dict[str, Any], found["index_template"])
    return {}


def lifecycle_of(template: Mapping[str, Any]) -> dict[str, Any]:
    """What an index template of a server has below ``index.lifecycle``."""
    index = template.get("template", {}).get("settings", {}).get("index", {})
    return dict(index.get("lifecycle", {}))


async def put_template(client: AsyncElasticsearch, template: IndexTemplate) -> None:
    """Put an index template, and keep the policy that the server's names."""
    lifecycle = lifecycle_of(await present_template(client, template.name))
    await client.indices.put_index_template(name=template.name, **template.request(lifecycle))


def api_error(error: ApiError) -> object:
    """The error object of the server, or None if something else answered in its place."""
    return error.body.get("error") if isinstance(error.body, Mapping) else None


def refusal_reason(error: ApiError) -> str:
    """What the server, or a proxy before it, says of a request that it refuses."""
    if error.status_code == 413:
        return "413 larger than the server takes (http.max_content_length, or a proxy's limit)"
    return reason(error.status_code, api_error(error) or error.message)


def explain(error: ApiError | TransportError, needed: str = PRIVILEGES) -> MailingestError:
    """The error to raise for one of the client's: one line that names the cure.

    UsageError where only the operator can heal it, StoreUnavailable where time may.  ``needed``
    are the privileges for what was tried.
    """
    if isinstance(error, ApiError):
        status = error.status_code
        node = error.meta.node
        where = f"{node.scheme}://{node.host}:{node.port}"
        if status == 401:
            return UsageError(
                f"{where} refuses the login: check username and password_file, api_key_file or "
                "bearer_token_file, and that the server knows them"
            )
        if status == 403:
            return UsageError(
                f"{where} denies access: give the user's role {needed} ({refusal_reason(error)})"
            )
        if status == 429 or status >= 500:
            return StoreUnavailable(f"{where} is not ready: {refusal_reason(error)}")
        return UsageError(f"{where} refuses the request: {refusal_reason(error)}; check hosts")
    detail = " ".join(str(error.message).split())[:REASON_LENGTH]
    if isinstance(error, ConnectionTimeout):
        return StoreUnavailable(f"the server did not answer in time: {detail}")
    if isinstance(error, SerializationError):
        return StoreUnavailable(f"the answer is not JSON: check for a proxy in between ({detail})")
    if (what_to_do := tls_hint(detail)) is not None:
        return UsageError(f"{what_to_do} ({detail})")
    return StoreUnavailable(
        f"the server cannot be reached: check that it runs, and address and scheme in hosts "
        f"({detail})"
    )
