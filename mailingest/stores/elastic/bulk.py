"""Bulk requests of Elasticsearch and OpenSearch: documents to bytes, answers to outcomes.

The protocol is the bulk API, ``POST /_bulk``, the same in Elasticsearch 7 to 9 and in
OpenSearch: one NDJSON pair of action and source for each document, and one item for each
document in the answer, in the same order.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii as json_string
from typing import Any

import orjson

from mailingest.documents import Document
from mailingest.errors import StoreUnavailable
from mailingest.stores.elastic.refusals import Refusal, judge

REQUEST_BYTES = 1_000_000
"""Size at which a request is full.

Servers take 100 MB, but a proxy before them often only 1 MiB (nginx's default), aiohttp warns
of more in one piece, and larger requests are no faster.
"""

ACTION_BYTES = len(b'{"create":{"_index":"","_id":""}}\n\n')


@dataclass(slots=True)
class BulkOutcome:
    """What an answer says about each document of the request.

    ``stored`` are those that are in the store now, and ``duplicates`` of them were before.
    """

    stored: list[Document] = field(default_factory=list)
    duplicates: int = 0
    refused: list[tuple[Document, Refusal]] = field(default_factory=list)


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
    index = action = ""
    for document in documents:
        # Most documents of a batch are of one day.
        if document.index != index or not action:
            index = document.index
            action = f'{{"create":{{"_index":{orjson.dumps(index).decode()},"_id":'
        parts += (f"{action}{json_string(document.id)}}}}}\n".encode(), document.body, b"\n")
    return b"".join(parts)


def sort_response(documents: Sequence[Document], response: Mapping[str, Any]) -> BulkOutcome:
    """Sort the documents of a request by what the answer says of them.

    A conflict (409) on ``create`` means that the id is there: an earlier try stored it.

    Raises StoreUnavailable if the answer does not fit the request: nothing is known then,
    and as ids are fixed the same request can be made again.
    """
    items = response.get("items")
    if not isinstance(items, list) or len(items) != len(documents):
        raise StoreUnavailable("the answer to a bulk request does not fit the request")
    outcome = BulkOutcome()
    if response.get("errors") is False:
        outcome.stored += documents
        return outcome
    for document, item in zip(documents, items, strict=True):
        result = item["create"]
        status = result["status"]
        if status < 300 or status == 409:
            outcome.stored.append(document)
            outcome.duplicates += status == 409
        else:
            refusal = judge(status, result.get("error"), document.index)
            outcome.refused.append((document, refusal))
    return outcome
