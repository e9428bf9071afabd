"""Document: what an output stores; index name, document id and JSON body."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Document:
    """One event, ready to be stored.

    ``index`` is the daily index, ``PREFIX-YYYY.MM.dd`` of the event's own time in UTC.
    ``id`` is 20 characters of URL-safe base64 and the same for the same line, however often
    it is read.  ``body`` is the JSON object to store.  ``seconds`` is the event's time in
    whole seconds since 1970; ``fields`` are the values that ``body`` was made from.
    """

    index: str
    id: str
    body: bytes
    seconds: int
    fields: Mapping[str, Any]
