"""What other programs may import; see docs/api.md.  Everything else may change at any time."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from mailingest.config import Settings, load, load_zone
from mailingest.documents import Document
from mailingest.errors import MailingestError, QuestionError, StoreUnavailable, UsageError
from mailingest.spool.status import backlog
from mailingest.stores.criteria import Criteria
from mailingest.stores.events import StoredEvent
from mailingest.stores.gaps import Gap
from mailingest.stores.protocol import Span
from mailingest.trace import engine
from mailingest.trace.answer import story_to_json
from mailingest.trace.engine import TraceResult
from mailingest.trace.facts import Attempt, Key, Queue, Refusal
from mailingest.trace.questions import Question, read_criteria
from mailingest.trace.story import Story, Verdict
from mailingest.wiring import build_pipeline, build_reader

__all__ = [
    "Attempt",
    "Criteria",
    "Document",
    "Gap",
    "Key",
    "MailingestError",
    "Question",
    "QuestionError",
    "Queue",
    "Refusal",
    "Settings",
    "Span",
    "StoreUnavailable",
    "StoredEvent",
    "Story",
    "TraceResult",
    "UsageError",
    "Verdict",
    "load",
    "parse",
    "story_to_json",
    "trace",
    "trace_async",
]


def parse(
    lines: Iterable[bytes], settings: Settings | None = None, *, reference: float | None = None
) -> Iterator[Document]:
    """Make documents of syslog lines, one for each line that is not empty, in order.

    Lines are bytes without their end.  ``fields`` of a document are its fields by name, ``id`` and
    ``index`` are where a store would have it.  ``reference`` is the time, in seconds since 1970,
    that the year of an RFC 3164 time stamp is inferred from; None is now.  Raises UsageError if a
    pattern is wrong.
    """
    pipeline = build_pipeline(settings or Settings(), live=False, wait=0.0, everything=True)
    now = time.time() if reference is None else reference
    for line in lines:
        yield from pipeline.feed(line, now)


def trace(
    question: Question,
    settings: Settings | None = None,
    *,
    files: Sequence[str] = (),
    limit: int = 100,
    only_type: str | None = None,
) -> TraceResult:
    """What became of mails, from the store that is set, or from log files if some are named.

    ``limit`` is how many of the newest stories are wanted; 0 is all.  ``only_type`` is the type of
    events that the store is asked for; None is all.  Raises UsageError for a question that makes no
    sense or a type that there is not, StoreUnavailable if the store cannot be asked now.
    """
    asking = trace_async(question, settings, files=files, limit=limit, only_type=only_type)
    return asyncio.run(asking)


async def trace_async(
    question: Question,
    settings: Settings | None = None,
    *,
    files: Sequence[str] = (),
    limit: int = 100,
    only_type: str | None = None,
) -> TraceResult:
    """The same as `trace`, for a program that has an event loop."""
    settings = settings or Settings()
    zone = load_zone(settings.syslog.timezone)
    criteria = read_criteria(question, now=datetime.now(UTC), zone=zone)
    only = None if only_type is None else settings.only_type(only_type)
    reader = build_reader(settings, files, only=only)
    try:
        waiting = None if files else partial(backlog, settings)
        return await engine.trace(reader, criteria, limit=limit, backlog=waiting)
    finally:
        await reader.close()
