"""`mailingest trace`: a question from the command line, and its answer on standard output."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import get_args

from mailingest.config import Settings, load_zone
from mailingest.core.printable import clean
from mailingest.errors import UsageError
from mailingest.trace.criteria import Criteria, address_term, id_term, text_term
from mailingest.trace.engine import Answer, trace
from mailingest.trace.opening import open_source
from mailingest.trace.render import json_line, text_lines, write_csv
from mailingest.trace.sources import Span
from mailingest.trace.stories import Story, Verdict
from mailingest.trace.times import read_time
from mailingest.trace.waiting import Waiting

EXIT_FOUND = 0
EXIT_NOT_FOUND = 1


@dataclass(frozen=True, slots=True)
class Question:
    """The options of the command, as they were typed."""

    sender: str | None = None
    recipient: str | None = None
    queue_id: str | None = None
    message_id: str | None = None
    client: str | None = None
    relay: str | None = None
    text: str | None = None
    host: str | None = None
    since: str | None = None
    until: str | None = None
    status: Sequence[str] = ()
    files: Sequence[str] = ()
    limit: int = 100
    form: str = "text"
    raw: bool = field(default=False)


def run(settings: Settings, question: Question) -> int:
    """Answer on standard output; remarks go to standard error.

    The exit code is 0 if there is an answer and 1 if there is none.  Raises UsageError for a
    question that makes no sense, OutputUnavailable if the store cannot be asked.
    """
    zone = load_zone(settings.syslog.timezone)
    criteria = read_criteria(question, now=datetime.now(UTC), zone=zone)
    answer = asyncio.run(_ask(settings, question, criteria))
    _show(answer.stories, question, zone)
    for remark in remarks(answer, criteria, question, zone):
        print(f"mailingest: {clean(remark)}", file=sys.stderr)
    return EXIT_FOUND if answer.stories else EXIT_NOT_FOUND


def read_criteria(question: Question, *, now: datetime, zone: tzinfo) -> Criteria:
    """Turn typed options into criteria; raises UsageError."""
    known = get_args(Verdict)
    statuses = ",".join(question.status).lower().replace("-", "_").split(",")
    wanted = {status.strip() for status in statuses} - {""}
    if unknown := wanted - set(known):
        raise UsageError(
            f"--status {', '.join(sorted(unknown))}: there is no such verdict; there are "
            f"{', '.join(known)}"
        )
    since = read_time(question.since, now=now, zone=zone) if question.since else None
    until = read_time(question.until, now=now, zone=zone) if question.until else None
    if since and until and until <= since:
        raise UsageError(f"--until {question.until} is not after --since {question.since}")
    return Criteria(
        sender=address_term(question.sender) if question.sender is not None else None,
        recipient=address_term(question.recipient) if question.recipient is not None else None,
        queue_id=question.queue_id.strip() if question.queue_id else None,
        message_id=id_term(question.message_id) if question.message_id else None,
        client=text_term(question.client) if question.client else None,
        relay=text_term(question.relay) if question.relay else None,
        text=text_term(question.text) if question.text else None,
        host=text_term(question.host) if question.host else None,
        verdicts=frozenset(wanted),
        since=since,
        until=until,
    )


def remarks(answer: Answer, criteria: Criteria, question: Question, zone: tzinfo) -> list[str]:
    """What the user has to know beside the answer: limits, and what "nothing" means."""
    if answer.span is None:
        return [*answer.notes, "there are no logs at all: nothing has been stored yet"]
    return [*answer.notes, *_limits(answer, answer.span, criteria, question, zone)]


def _limits(
    answer: Answer, covered: Span, criteria: Criteria, question: Question, zone: tzinfo
) -> list[str]:
    first, last = (
        f"{time.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}" for time in (covered.first, covered.last)
    )
    span = f"the logs reach from {first} to {last}"
    if answer.is_cut and not answer.stories:
        return [f"no such mail among the newest lines; --since and --until ask for others: {span}"]
    if answer.is_cut and not question.limit:
        return [f"shown are the newest {len(answer.stories)}; there are more: ask for less time"]
    if answer.is_cut:
        return [f"shown are the newest {len(answer.stories)}; there are more: --limit 0 shows all"]
    if answer.stories:
        return []
    if question.queue_id is not None:
        span = f"{span}; queue IDs are told apart by case"
    is_before = criteria.until is not None and criteria.until <= covered.first
    is_after = criteria.since is not None and criteria.since > covered.last
    if is_before or is_after:
        return [f"there are no logs for that time: {span}"]
    return [f"no such mail in {'these files' if question.files else 'the store'}: {span}"]


async def _ask(settings: Settings, question: Question, criteria: Criteria) -> Answer:
    with Waiting() as progress:
        source = open_source(settings, question.files, progress)
        try:
            return await trace(source, criteria, limit=question.limit)
        finally:
            await source.close()


def _show(stories: Sequence[Story], question: Question, zone: tzinfo) -> None:
    if question.form == "json":
        sys.stdout.buffer.write(b"".join(json_line(story) for story in stories))
        sys.stdout.buffer.flush()
    elif question.form == "csv":
        write_csv(stories, sys.stdout)
    else:
        colour = sys.stdout.isatty()
        for story in stories:
            print("\n".join(text_lines(story, zone=zone, raw=question.raw, colour=colour)))
            print()
