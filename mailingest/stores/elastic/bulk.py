"""Bulk requests of Elasticsearch and OpenSearch: documents to bytes, answers to outcomes.

The protocol is the bulk API, ``POST /_bulk``, the same in Elasticsearch 7 to 9 and in
OpenSearch: one NDJSON pair of action and source for each document, and one item for each
document in the answer, in the same order.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from mailingest.documents import Document
from mailingest.errors import StoreUnavailable

REQUEST_BYTES = 1_000_000
"""Size at which a request is full.

Servers take 100 MB, but a proxy before them often only 1 MiB (nginx's default), aiohttp warns
of more in one piece, and larger requests are no faster.
"""

REASON_LENGTH = 500
"""Characters; some servers repeat the whole of a long value that they refuse."""

OPERATOR_FIXABLE = frozenset(
    {
        "security_exception",  # the role may not write to this index
        "index_not_found_exception",  # action.auto_create_index forbids the index
        "validation_exception",  # cluster.max_shards_per_node leaves no room for a new index
    }
)
"""Error types that say nothing against the document, whatever their status (400 to 404).

They hit every document of the day until an operator has changed the server, so the documents
wait.  A single closed or write-blocked index is not among them: a straggler from a day that
was put away must not hold up today's mail.
"""


ACTION_BYTES = len(b'{"create":{"_index":"","_id":""}}\n\n')


@dataclass(slots=True)
class BulkOutcome:
    """What an answer says about each document of the request; the reasons are one line each."""

    created: int = 0
    duplicates: int = 0
    rejected: list[tuple[Document, str]] = field(default_factory=list)
    retry: list[tuple[Document, str]] = field(default_factory=list)


def cut(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Batches in order that make requests of about REQUEST_BYTES at most, or of one document."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        needed = len(document.body) + len(document.index) + len(document.id) + ACTION_BYTES
        if batch and size + needed > REQUEST_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += needed
    if batch:
        yield batch


def encode(documents: Iterable[Document]) -> bytes:
    """The body of a bulk request that creates the documents and overwrites none.

    Bodies are taken as they are and must hold no newline, as JSON from orjson never does.
    """
    parts: list[bytes] = []
    for document in documents:
        action = {"create": {"_index": document.index, "_id": document.id}}
        parts += (orjson.dumps(action), b"\n", document.body, b"\n")
    return b"".join(parts)


def sort_response(documents: Sequence[Document], response: Mapping[str, Any]) -> BulkOutcome:
    """Sort the documents of a request by what the answer says of them.

    A conflict (409) on ``create`` means that the id is there: an earlier try stored it.
    Too many requests (429) and faults of the server (5xx) pass; other statuses are the
    document's own fault, but for the OPERATOR_FIXABLE ones.

    Raises StoreUnavailable if the answer does not fit the request: nothing is known then,
    and as ids are fixed the same request can be made again.
    """
    items = response.get("items")
    if not isinstance(items, list) or len(items) != len(documents):
        raise StoreUnavailable("the answer to a bulk request does not fit the request")
    outcome = BulkOutcome()
    if response.get("errors") is False:
        outcome.created = len(documents)
        return outcome
    for document, item in zip(documents, items, strict=True):
        result = item["create"]
        status, error = result["status"], result.get("error")
        if status < 300:
            outcome.created += 1
        elif status == 409:
            outcome.duplicates += 1
        elif status == 429 or status >= 500 or error_type(error) in OPERATOR_FIXABLE:
            outcome.retry.append((document, reason(status, error)))
        else:
            outcome.rejected.append((document, reason(status, error)))
    return outcome


def error_type(error: object) -> str:
    """The name of an error object of the API, or "" if it has none."""
    return str(error.get("type", "")) if isinstance(error, Mapping) else ""


def reason(status: int, error: object) -> str:
    """One line for people: the status, the error and the causes that it gives.

    >>> reason(400, {"type": "mapper_parsing_exception", "reason": "failed to parse",
    ...              "caused_by": {"type": "number_format_exception", "reason": "no number"}})
    '400 mapper_parsing_exception: failed to parse; number_format_exception: no number'
    """
    return " ".join(f"{status} {causes_of(error)}".split())[:REASON_LENGTH]


def causes_of(error: object) -> str:
    """The error and the causes that it gives, without bounds on its length and lines."""
    causes: list[str] = []
    while isinstance(error, Mapping):
        # Where JSON cannot be parsed, Elasticsearch 7 repeats the request, with its headers
        # and so with the password, after "at [Source".
        said = str(error.get("reason", "")).partition("at [Source")[0]
        causes.append(f"{error_type(error)}: {said}".removesuffix(": "))
        error = error.get("caused_by")
    if isinstance(error, str):
        causes.append(error)
    return "; ".join(causes)
