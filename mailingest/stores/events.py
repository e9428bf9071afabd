"""An event as a store gives it back: the document, by field name."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from mailingest.postfix.index_keys import is_of_session

StoredEvent = Mapping[str, Any]
"""The fields of a document; readers add its id as ``_id`` and its place as ``_position``."""


def time_of(event: StoredEvent) -> datetime:
    """The time of an event, in UTC."""
    return datetime.fromisoformat(event["@timestamp"])


def newest_first(events: Iterable[StoredEvent]) -> list[StoredEvent]:
    """The order that `Found` promises."""
    return sorted(
        events, key=lambda event: (str(event["@timestamp"]), event["_position"]), reverse=True
    )


def is_of_sessions(event: StoredEvent, sessions: Collection[tuple[str, str, str]]) -> bool:
    """Whether an event is a line about one of these sessions (host, program, process id)."""
    session = (event.get("host", ""), event.get("program", ""), event.get("pid", ""))
    return session in sessions and is_of_session(event)
