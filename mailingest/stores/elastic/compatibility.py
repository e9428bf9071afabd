"""Which server answers, and what it takes to speak to it with the one official client.

The client is made for Elasticsearch 9: it asks for media types that older servers and
OpenSearch refuse, and insists on a response header that they do not send (both are the
REST API compatibility and product check of Elasticsearch 8 and later).
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Literal

from elastic_transport import AiohttpHttpNode, HttpHeaders, NodeConfig
from elastic_transport.client_utils import DEFAULT, DefaultType

from mailingest.errors import UsageError
from mailingest.stores.threads import in_thread

NATIVE_MAJOR = 9
"""The major version of Elasticsearch that the client speaks to without help."""

OLDEST = (7, 10)
"""Elasticsearch 7.10: what OpenSearch was forked from and the oldest that is tested."""

# An eighth of a bulk request is left, in 4 microseconds a document; with level 9 a tenth, in 23.
_GZIP_LEVEL: Final = 3


@dataclass(frozen=True, slots=True)
class Server:
    """The product and version at the other end, as ``GET /`` gives them."""

    kind: Literal["elasticsearch", "opensearch"]
    version: str

    @property
    def native(self) -> bool:
        """Whether the client speaks to it as it comes."""
        return self.kind == "elasticsearch" and version_numbers(self.version)[0] >= NATIVE_MAJOR


def version_numbers(version: str) -> tuple[int, int]:
    """Major and minor number.

    >>> version_numbers("9.2.0-SNAPSHOT")
    (9, 2)
    """
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def recognise(answer: object) -> Server:
    """The server that gave this answer to ``GET /``.

    OpenSearch names itself in ``version.distribution``, also when an operator has set
    ``compatibility.override_main_response_version`` and its number reads 7.10.2.
    Raises UsageError for anything else than Elasticsearch 7.10 or later and OpenSearch.
    """
    version = answer.get("version") if isinstance(answer, Mapping) else None
    if not isinstance(version, Mapping):
        raise UsageError("what answers is neither Elasticsearch nor OpenSearch")
    number = str(version.get("number", ""))
    try:
        numbers = version_numbers(number)
    except ValueError:
        raise UsageError(f"the server's version {number!r} cannot be understood") from None
    if version.get("distribution") == "opensearch":
        return Server("opensearch", number)
    if numbers < OLDEST:
        raise UsageError(f"Elasticsearch {number} is too old: 7.10 or later is needed")
    return Server("elasticsearch", number)


class QuietNode(AiohttpHttpNode):
    """Keeps what a server warns of (`Warning: 299`) from the client, which would print it raw.

    What matters of it, templates that overlap, `setup` and `check` tell in words of their own.

    It compresses what is sent by itself, if it is to: the client does so with gzip's level 9, which
    takes as long for a document as all else that is done for it.
    """

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        # The config stays as it is: the client finds its nodes by it.
        self._compresses, self._http_compress = self._http_compress, False

    async def perform_request(  # type: ignore[override]  # as the class above it: async
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: HttpHeaders | None = None,
        request_timeout: DefaultType | float | None = DEFAULT,
    ) -> Any:  # a named tuple of metadata and body, whose type the library keeps to itself
        headers = self.sent(headers)
        if body and self._compresses:
            headers = HttpHeaders({**(headers or {}), "content-encoding": "gzip"})
            body = await in_thread(partial(gzip.compress, body, _GZIP_LEVEL))
        answer = await super().perform_request(method, target, body, headers, request_timeout)
        headers = HttpHeaders(answer.meta.headers)
        self.receive(headers)
        return answer._replace(meta=replace(answer.meta, headers=headers))

    def sent(self, headers: HttpHeaders | None) -> HttpHeaders | None:
        """The headers of a request, as the server takes them."""
        return headers

    def receive(self, headers: HttpHeaders) -> None:
        """Change the headers of an answer into what the client takes."""
        headers.pop("warning", None)


class BridgeNode(QuietNode):
    """Lets the client speak plain JSON, and vouches for a server that cannot for itself."""

    def sent(self, headers: HttpHeaders | None) -> HttpHeaders:
        return plain_media_types(headers)

    def receive(self, headers: HttpHeaders) -> None:
        super().receive(headers)
        headers["x-elastic-product"] = "Elasticsearch"


def plain_media_types(headers: HttpHeaders | None) -> HttpHeaders:
    """The headers with ``application/json`` and ``application/x-ndjson`` for vendor types."""
    plain = HttpHeaders(headers or {})
    for name in ("accept", "content-type"):
        value = plain.get(name)
        if value is not None:
            plain[name] = value.replace("vnd.elasticsearch+", "").partition(";")[0]
    return plain
