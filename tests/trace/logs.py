"""Log lines written short, and the stories that come of them."""

from datetime import UTC, datetime
from typing import Any

import orjson

from mailingest.config import Settings
from mailingest.trace.facts import Event, gather
from mailingest.trace.stories import Story, tell
from mailingest.wiring import build_pipeline

REFERENCE = datetime(2026, 12, 31, tzinfo=UTC).timestamp()
_SETTINGS = Settings.model_validate({"syslog": {"timezone": "UTC"}})


def events_of(log: str) -> list[Event]:
    """Events of lines such as ``24T15:41:22 mx1 postfix/qmgr: ID: removed`` (November 2026)."""
    pipeline = build_pipeline(_SETTINGS, live=False, wait=0.0)
    documents = []
    for line in filter(None, map(str.strip, log.split("\n"))):
        stamp, host, tag, text = line.split(" ", 3)
        whole = f"2026-11-{stamp}+00:00 {host} {tag[:-1]}[77]: {text}"
        documents += pipeline.feed(whole.encode(), REFERENCE)
    return [{**orjson.loads(one.body), "_id": one.id} for one in documents]


def stories_of(log: str) -> list[Story]:
    """All stories of the lines."""
    return tell(gather(events_of(log)))


def summary(story: Story) -> dict[str, Any]:
    """What most tests look at."""
    return {
        "verdict": story.verdict,
        "recipient": story.recipient,
        "original": story.original_recipient,
        "chain": [queue.key.queue_id for queue in story.queues],
    }
