"""An event as a store gives it back: the document, by field name."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

StoredEvent = Mapping[str, Any]
"""The fields of a document; readers add its id as ``_id`` and its place as ``_position``."""


def time_of(event: StoredEvent) -> datetime:
    """The time of an event, in UTC."""
    return datetime.fromisoformat(event["@timestamp"])
