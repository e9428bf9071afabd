"""Log lines written short, and the stories that come of them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson

from mailingest.config import Settings
from mailingest.documents import Document
from mailingest.stores.events import StoredEvent
from mailingest.trace.gathering import gather
from mailingest.trace.stories import build_stories
from mailingest.trace.story import Story
from mailingest.wiring import build_pipeline

REFERENCE = datetime(2026, 12, 31, tzinfo=UTC).timestamp()
SETTINGS = Settings.model_validate({"syslog": {"timezone": "UTC"}})


def lines_of(log: str) -> list[bytes]:
    """Lines of a log file, of lines such as ``24T15:41:22 mx1 postfix/qmgr: ID: removed``.

    The month is November 2026, and the process id 77 unless the tag has one in brackets.
    """
    lines = []
    for line in filter(None, map(str.strip, log.split("\n"))):
        stamp, host, tag, text = line.split(" ", 3)
        tag = tag if "[" in tag else f"{tag[:-1]}[77]:"
        lines.append(f"2026-11-{stamp}+00:00 {host} {tag} {text}".encode())
    return lines


def documents_of(lines: Iterable[bytes], settings: Settings = SETTINGS) -> list[Document]:
    """What a store gets of the lines."""
    pipeline = build_pipeline(settings, live=False, wait=0.0)
    return [document for line in lines for document in pipeline.feed(line, REFERENCE)]


def documents_below(prefix: str, lines: Iterable[bytes]) -> list[Document]:
    """The same, in indices of another prefix; answers are those of any other store then."""
    documents = documents_of(lines)
    return [replace(one, index=one.index.replace("mail", prefix, 1)) for one in documents]


def events_of(log: str) -> list[StoredEvent]:
    """Events of a log, in its order."""
    return events_of_lines(lines_of(log))


def events_of_lines(lines: Iterable[bytes]) -> list[StoredEvent]:
    """Events of whole lines."""
    return [{**orjson.loads(one.body), "_id": one.id} for one in documents_of(lines)]


def stories_of(log: str) -> list[Story]:
    """All stories of the lines."""
    return build_stories(gather(events_of(log)))


def summary(story: Story) -> dict[str, Any]:
    """What most tests look at."""
    return {
        "verdict": story.verdict,
        "recipient": story.recipient,
        "original": story.original_recipient,
        "chain": [queue.key.queue_id for queue in story.queues],
    }


def as_stored_before(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a document as earlier versions stored it: without what is computed now."""
    computed = {"program_kind", "instance", "service", "outcome"}
    return {name: value for name, value in fields.items() if name not in computed}
