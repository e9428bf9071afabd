"""Output into Elasticsearch or OpenSearch: index template at the start, then bulk requests."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, cast

from elastic_transport import AiohttpHttpNode, ConnectionTimeout, SerializationError, TlsError
from elasticsearch import ApiError, AsyncElasticsearch, TransportError

from mailingest.core.bulk import REASON_LENGTH, cut, encode, reason, sort_response
from mailingest.core.documents import Document
from mailingest.core.lifecycle import with_lifecycle
from mailingest.errors import MailingestError, OutputUnavailable, UsageError
from mailingest.outputs import Rejection, WriteResult
from mailingest.outputs.compatibility import BridgeNode, Server, recognise

REQUEST_SECONDS = 60.0
"""A bulk request may wait for a full queue or a long garbage collection, but not for ever."""

TEMPLATE_PRIORITY = 200
"""Above the 100 that Elastic's own templates have, plus the length of the index pattern.

A server refuses two templates of one priority whose patterns overlap, as ``mail-*`` and
``mail-test-*`` do; so the longer one goes first.
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


class ElasticOutput:
    """Writes documents to Elasticsearch 7.10 to 9 or to OpenSearch.

    ``hosts`` are URLs with scheme, host and port, tried in turn.  ``api_key`` is the encoded
    form or ``id:key``.  ``ca_certs`` is a PEM file or folder for servers whose certificate no
    public authority has signed.  ``timeout`` is in seconds, for one request.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        *,
        user: str | None = None,
        password: str | None = None,
        api_key: str | None = None,
        ca_certs: Path | None = None,
        verify: bool = True,
        compress: bool = False,
        timeout: float = REQUEST_SECONDS,
        template: IndexTemplate | None = None,
    ) -> None:
        self.server: Server | None = None
        self._hosts = list(hosts)
        self._auth: dict[str, Any] = {}
        if user is not None:
            self._auth["basic_auth"] = (user, password or "")
        if api_key is not None:
            key_id, colon, key = api_key.partition(":")
            self._auth["api_key"] = (key_id, key) if colon else api_key
        self._ca_certs = ca_certs
        self._verify = verify
        self._compress = compress
        self._timeout = timeout
        self._template = template
        self._client: AsyncElasticsearch | None = None

    async def open(self) -> None:
        """Recognise the server and put the index template there; may be repeated.

        Putting the template that it has already changes nothing on the server, and the
        lifecycle policy that its template names is left to ``mailingest setup``.  Repeated
        after an outage, this makes good one that is gone.  Raises UsageError for what only
        the operator can heal, else OutputUnavailable.
        """
        try:
            if self._client is None:
                self._client = await self._connect()
            if self._template is not None:
                await put_template(self._client, self._template)
        except (ApiError, TransportError) as error:
            raise explain(error) from error

    async def write(self, batch: Sequence[Document]) -> WriteResult:
        """Store a batch; raises OutputUnavailable if the store takes no document of it now.

        A request that the server will not take as a whole is halved, as often as it takes to
        find the one document at fault.
        """
        client = self.client
        result = WriteResult()
        waiting: list[tuple[Document, str]] = []
        parts = deque(cut(batch))
        while parts:
            part = parts.popleft()
            try:
                answer = await self._bulk(client, part)
                outcome = sort_response(part, answer)
            except OutputUnavailable as error:
                waiting += [(document, str(error)) for document in chain(part, *parts)]
                break
            except ApiError as error:
                if len(part) == 1:
                    result.rejected.append(Rejection(part[0], told(error)))
                else:
                    middle = len(part) // 2
                    parts.extendleft((part[middle:], part[:middle]))
                continue
            result.stored += outcome.created + outcome.duplicates
            result.duplicates += outcome.duplicates
            result.rejected += [Rejection(document, why) for document, why in outcome.rejected]
            waiting += outcome.retry
        if waiting and len(waiting) == len(batch):
            raise OutputUnavailable(f"the store takes no document: {waiting[0][1]}")
        result.retry = [document for document, _ in waiting]
        return result

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    @property
    def client(self) -> AsyncElasticsearch:
        """The open client, for what is not writing; raises OutputUnavailable before ``open``."""
        if self._client is None:
            raise OutputUnavailable("the connection to the store is not open yet")
        return self._client

    def _new_client(self, node_class: type[AiohttpHttpNode]) -> AsyncElasticsearch:
        try:
            tls: dict[str, Any] = {}
            if any(host.startswith("https:") for host in self._hosts):
                tls = {"verify_certs": self._verify, "ssl_show_warn": False}
                if self._ca_certs is not None:
                    tls["ca_certs"] = str(self._ca_certs)
            return AsyncElasticsearch(
                self._hosts,
                node_class=node_class,
                http_compress=self._compress,
                request_timeout=self._timeout,
                # One try at each host; waiting and trying again is the batcher's part.
                max_retries=len(self._hosts) - 1,
                **self._auth,
                **tls,
            )
        except (ValueError, OSError) as error:
            raise UsageError(f"cannot connect to Elasticsearch or OpenSearch: {error}") from error

    async def _connect(self) -> AsyncElasticsearch:
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
            raise OutputUnavailable(str(explain(error))) from error
        except TransportError as error:
            raise OutputUnavailable(str(explain(error))) from error
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


def told(error: ApiError) -> str:
    """What the server, or a proxy before it, says of a request that it refuses."""
    if error.status_code == 413:
        return "413 larger than the server takes (http.max_content_length, or a proxy's limit)"
    return reason(error.status_code, api_error(error) or error.message)


def explain(error: ApiError | TransportError) -> MailingestError:
    """The error to raise for one of the client's: one line that names the cure.

    UsageError where only the operator can heal it, OutputUnavailable where time may.
    """
    if isinstance(error, ApiError):
        status = error.status_code
        node = error.meta.node
        where = f"{node.scheme}://{node.host}:{node.port}"
        if status == 401:
            return UsageError(f"{where} refuses the login: check user and password, or api_key")
        if status == 403:
            return UsageError(
                f"{where} denies access: the role needs the cluster privileges monitor and "
                f"manage_index_templates, and create_doc and create_index on the indices"
                f" ({told(error)})"
            )
        if status == 429 or status >= 500:
            return OutputUnavailable(f"{where} is not ready: {told(error)}")
        return UsageError(f"{where} refuses the request: {told(error)}; check hosts")
    detail = " ".join(str(error.message).split())[:REASON_LENGTH]
    if isinstance(error, ConnectionTimeout):
        return OutputUnavailable(f"the server did not answer in time: {detail}")
    if isinstance(error, SerializationError):
        return OutputUnavailable(f"the answer is not JSON: check for a proxy in between ({detail})")
    if isinstance(error, TlsError):
        if "CERTIFICATE_VERIFY_FAILED" in detail:
            return UsageError(
                f"the server's certificate is not trusted: set ca_certs to the PEM file of the "
                f"authority that signed it ({detail})"
            )
        if "WRONG_VERSION_NUMBER" in detail or "RECORD_LAYER_FAILURE" in detail:
            return UsageError(f"the server does not speak TLS: write http:// in hosts ({detail})")
    return OutputUnavailable(
        f"the server cannot be reached: check that it runs, and address and scheme in hosts "
        f"({detail})"
    )
