"""`mailingest trace`: a question from the command line, and its answer on standard output."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Literal

from mailingest.commands.progress import SearchProgress
from mailingest.commands.render import json_line, json_of_nothing, text_lines, write_csv
from mailingest.config import Settings, load_zone
from mailingest.escaping import escape_terminal
from mailingest.spool.status import backlog
from mailingest.stores.criteria import Criteria
from mailingest.stores.protocol import Span
from mailingest.trace.answer import line_of
from mailingest.trace.engine import TraceResult, trace
from mailingest.trace.questions import Question, read_criteria
from mailingest.wiring import build_reader

EXIT_FOUND = 0
EXIT_NOT_FOUND = 1
EXIT_UNCERTAIN = 3


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked besides: ``files`` instead of the store, and how answers are shown.

    ``year`` is that of the files' last lines, None if it is told by when they were written.
    """

    files: Sequence[str] = ()
    year: int | None = None
    limit: int = 100
    form: Literal["text", "json", "csv"] = "text"
    raw: bool = False


def run(settings: Settings, question: Question, options: Options) -> int:
    """TraceResult on standard output; remarks go to standard error.

    The exit code is 0 if there is an answer, 1 if there is certainly none, and 3 if there is none
    in what could be read and understood.  Raises UsageError for a question that makes no sense,
    StoreUnavailable if the store cannot be asked.
    """
    zone = load_zone(settings.syslog.timezone)
    criteria = read_criteria(question, now=datetime.now(UTC), zone=zone)
    answer = asyncio.run(_ask(settings, criteria, options))
    _show(answer, options, zone)
    for remark in remarks(answer, criteria, options, zone):
        print(f"mailingest: {escape_terminal(remark)}", file=sys.stderr)
    if answer.stories:
        return EXIT_FOUND
    return EXIT_NOT_FOUND if answer.is_certain else EXIT_UNCERTAIN


def remarks(answer: TraceResult, criteria: Criteria, options: Options, zone: tzinfo) -> list[str]:
    """What the user has to know beside the answer: limits, and what "nothing" means."""
    if answer.span is None:
        if not options.files:
            return [*answer.notes, "there are no logs at all: nothing has been stored yet"]
        missing = "no line that could be read" if answer.notes else "no line"
        return [*answer.notes, f"there is {missing} in these files"]
    return [*incomplete(answer), *_limits(answer, answer.span, criteria, options, zone)]


def incomplete(answer: TraceResult) -> list[str]:
    """What of all that could hold the answer was not read or understood."""
    notes = list(answer.notes)
    if answer.unmatched:
        more = "or more " if answer.is_cut else ""
        notes.append(
            f"{len(answer.unmatched)} {more}line(s) that no pattern matches may be about it, "
            f"such as: {line_of(answer.unmatched[0])}"
        )
    return notes


def _limits(
    answer: TraceResult, covered: Span, criteria: Criteria, options: Options, zone: tzinfo
) -> list[str]:
    first, last = (
        f"{time.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}" for time in (covered.first, covered.last)
    )
    span = f"the logs reach from {first} to {last}"
    if answer.is_cut and not answer.stories:
        return [f"no such mail among the newest lines; --since and --until ask for others: {span}"]
    if answer.is_cut and not options.limit:
        return [f"shown are the newest {len(answer.stories)}; there are more: ask for less time"]
    if answer.is_cut:
        return [f"shown are the newest {len(answer.stories)}; there are more: --limit 0 shows all"]
    if answer.stories:
        return []
    if criteria.queue_id is not None:
        span = f"{span}; queue IDs are case-sensitive"
    is_before = criteria.until is not None and criteria.until <= covered.first
    is_after = criteria.since is not None and criteria.since > covered.last
    if is_before or is_after:
        return [f"there are no logs for that time: {span}"]
    where = "these files" if options.files else "the store"
    if not answer.is_certain:
        return [f"no such mail in what could be read and understood of {where}: {span}"]
    return [f"no such mail in {where}: {span}"]


async def _ask(settings: Settings, criteria: Criteria, options: Options) -> TraceResult:
    with SearchProgress() as progress:
        source = build_reader(settings, options.files, progress, year=options.year)
        try:
            return await trace(
                source,
                criteria,
                limit=options.limit,
                backlog=None if options.files else partial(backlog, settings),
            )
        finally:
            await source.close()


def _show(answer: TraceResult, options: Options, zone: tzinfo) -> None:
    stories = answer.stories
    if options.form == "json":
        lines = [json_line(story, answer.notes) for story in stories]
        if not stories and not answer.is_certain:
            cut = ["only the newest lines were searched"] if answer.is_cut else []
            lines.append(json_of_nothing([*incomplete(answer), *cut]))
        sys.stdout.buffer.write(b"".join(lines))
        sys.stdout.buffer.flush()
    elif options.form == "csv":
        write_csv(stories, sys.stdout)
    else:
        colour = sys.stdout.isatty()
        for story in stories:
            print("\n".join(text_lines(story, zone=zone, raw=options.raw, colour=colour)))
            print()
