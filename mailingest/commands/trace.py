"""`mailingest trace`: a question from the command line, and its answer on standard output."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Literal, NoReturn

from mailingest.commands.log_copy import copied
from mailingest.commands.progress import SearchProgress
from mailingest.commands.render import short_line, text_lines
from mailingest.commands.terminal import shows_colours, width_of
from mailingest.config import Settings, load_zone
from mailingest.errors import StoreUnavailable
from mailingest.escaping import escape_terminal
from mailingest.spool.status import backlog
from mailingest.stores.criteria import Criteria
from mailingest.stores.gaps import Gap, merged, summed
from mailingest.stores.protocol import Progress, Reader, Span
from mailingest.trace.answer import line_of, story_to_json
from mailingest.trace.engine import TraceResult, find_stories, trace
from mailingest.trace.explanations import Explanations, Language
from mailingest.trace.exporting import explaining, json_line, json_of_nothing, write_csv
from mailingest.trace.follow import Follower
from mailingest.trace.questions import Question, read_criteria
from mailingest.trace.story import Story, by_mail, lines_of
from mailingest.trace.windows import EVENTS, trace_all
from mailingest.wiring import build_explanations, build_reader, store_place

EXIT_FOUND = 0
EXIT_NOT_FOUND = 1
EXIT_NOT_WHOLE = 3
EXIT_UNAVAILABLE = 4


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked besides: ``files`` instead of the store, and how answers are shown.

    ``year`` is that of the files' last lines, None if it is told by when they were written.
    ``only`` is the type of events that the store is asked for, None for all.  With ``follow``, what
    is decided from now on (or from ``since``) is shown as it comes, without end.  ``language`` is
    that of what replies mean.
    """

    files: Sequence[str] = ()
    year: int | None = None
    limit: int = 100
    form: Literal["text", "short", "json", "csv"] = "text"
    raw: bool = False
    only: str | None = None
    follow: bool = False
    language: Language = "en"


def run(settings: Settings, question: Question, options: Options) -> int:
    """Answers on standard output, as they are found; remarks go to standard error.

    The exit code is 0 if there are answers, and all or the newest that were asked for; 1 if there
    is certainly none; 3 if the answer is not whole; 4 if the store cannot be asked.  Raises
    UsageError for a question that makes no sense.
    """
    if options.only is not None:
        settings.only_type(options.only)
    zone = load_zone(settings.syslog.timezone)
    criteria = read_criteria(question, now=datetime.now(UTC), zone=zone)
    explanations = build_explanations(settings) if options.form in ("text", "json") else None
    shows_types = len(settings.type_names) > 1
    answers = _Answers(options, zone, explanations, shows_types=shows_types)
    if options.follow:
        asyncio.run(_follow(settings, criteria, options, answers))
    try:
        last = asyncio.run(_answer(settings, criteria, options, answers))
    except StoreUnavailable as error:
        answers.finish([Gap("store_unavailable", str(error))])
        _say([str(error)])
        return EXIT_UNAVAILABLE
    _say(remarks(last, answers.count, criteria, options, zone, store_place(settings)))
    if _unread(last):
        return EXIT_NOT_WHOLE
    return EXIT_FOUND if answers.count else EXIT_NOT_FOUND


async def _answer(
    settings: Settings, criteria: Criteria, options: Options, answers: "_Answers"
) -> TraceResult:
    """Show all results; the last one."""
    with SearchProgress() as progress:
        async for result in _results(settings, criteria, options, progress):
            answers.show(result)
    answers.finish(result.why)
    return result


async def _follow(
    settings: Settings, criteria: Criteria, options: Options, answers: "_Answers"
) -> NoReturn:
    """Show what is decided, as it comes; a store that is away is waited for."""
    source = build_reader(settings, only=options.only)

    async def ask(part: Criteria) -> TraceResult:
        span = await source.span()
        if span is None:
            return TraceResult([], None, is_cut=False)
        return await find_stories(source, part, span, limit=options.limit)

    follower = Follower(criteria)
    said: list[str] = []
    async with _closed(source):
        while True:
            try:
                result = await follower.ask(ask)
            except StoreUnavailable as error:
                why = [str(error)]
            else:
                answers.show(result)
                sys.stdout.flush()
                why = [gap.text for gap in summed(result.why)]
            _say(text for text in why if text not in said)
            said = why
            await asyncio.sleep(follower.pause)


def _results(
    settings: Settings, criteria: Criteria, options: Options, progress: Progress
) -> AsyncIterator[TraceResult]:
    if options.limit:
        return _newest(settings, criteria, options, progress)
    if options.files:
        return _all_of_files(settings, criteria, options, progress)
    return _all_of_store(settings, criteria, options, progress)


async def _newest(
    settings: Settings, criteria: Criteria, options: Options, progress: Progress
) -> AsyncIterator[TraceResult]:
    source = build_reader(settings, options.files, progress, year=options.year, only=options.only)
    waiting = None if options.files else partial(backlog, settings)
    async with _closed(source):
        yield await trace(source, criteria, limit=options.limit, backlog=waiting)


async def _all_of_store(
    settings: Settings, criteria: Criteria, options: Options, progress: Progress
) -> AsyncIterator[TraceResult]:
    source = build_reader(settings, progress=progress, only=options.only)
    async with _closed(source):
        async for result in trace_all(source, criteria, backlog=partial(backlog, settings)):
            yield result


async def _all_of_files(
    settings: Settings, criteria: Criteria, options: Options, progress: Progress
) -> AsyncIterator[TraceResult]:
    source = build_reader(settings, options.files, progress, year=options.year)
    async with _closed(source):
        result = await trace(source, criteria, limit=0, most_events=EVENTS, is_all_or_none=True)
        if not result.is_full:
            yield result
            return
        # Every file is read to its end for this.
        unread = (await source.unmatched(criteria, 1)).gaps
    async with copied(settings, options.files, options.year, progress) as copy:
        async for result in trace_all(copy, criteria):
            yield replace(result, gaps=merged(unread, result.gaps))


@asynccontextmanager
async def _closed(source: Reader) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await source.close()


def remarks(
    answer: TraceResult,
    count: int,
    criteria: Criteria,
    options: Options,
    zone: tzinfo,
    place: str,
) -> list[str]:
    """What the user has to know beside the answer: limits, and what "nothing" means."""
    unread = [gap.text for gap in _unread(answer)]
    if answer.span is None:
        if not options.files:
            which = _of_type(options) or " at all"
            return [*unread, f"there are no logs{which}: nothing has been stored yet in {place}"]
        missing = "no line that could be read" if unread else "no line"
        return [*unread, f"there is {missing} in these files"]
    if answer.has_enough:
        return [*unread, f"shown are the newest {count}; there are more: --limit 0 shows all"]
    if count:
        return unread
    return [*unread, _nothing_found(answer, answer.span, criteria, options, zone)]


def _unread(answer: TraceResult) -> list[Gap]:
    """Why an answer is not whole, but for the limit that was asked for."""
    return summed([gap for gap in answer.why if gap.code != "limit"])


def _nothing_found(
    answer: TraceResult, covered: Span, criteria: Criteria, options: Options, zone: tzinfo
) -> str:
    first, last = (
        f"{time.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}" for time in (covered.first, covered.last)
    )
    span = f"the logs reach from {first} to {last}"
    if criteria.queue_id is not None:
        span = f"{span}; queue IDs are case-sensitive"
    where = "these files" if options.files else f"the store{_of_type(options)}"
    if not answer.is_whole:
        return f"not found in what could be read and understood of {where}: {span}"
    is_before = criteria.until is not None and criteria.until <= covered.first
    is_after = criteria.since is not None and criteria.since > covered.last
    if is_before or is_after:
        return f"there are no logs for that time: {span}"
    return f"no such mail in {where}: {span}"


def _say(remarks: Iterable[str]) -> None:
    for remark in remarks:
        print(f"mailingest: {escape_terminal(remark)}", file=sys.stderr)


def _of_type(options: Options) -> str:
    return "" if options.only is None else f" of the type {options.only}"


class _Answers:
    """Shows the stories of one result after the other on standard output."""

    def __init__(
        self,
        options: Options,
        zone: tzinfo,
        explanations: Explanations | None,
        *,
        shows_types: bool,
    ) -> None:
        self.count = 0
        self._shows_types = shows_types and not options.files
        self._told: list[Gap] = []
        self._options = options
        self._zone = zone
        self._explanations = explanations
        self._to_json = (
            explaining(story_to_json, explanations, options.language)
            if explanations is not None
            else story_to_json
        )
        self._colour = shows_colours(sys.stdout)
        self._width = width_of(sys.stdout)

    def show(self, result: TraceResult) -> None:
        """Show the stories of a result."""
        form = self._options.form
        if form == "csv":
            if result.stories:
                write_csv(result.stories, sys.stdout, with_names=not self.count)
        elif form == "json":
            self._show_json(result)
        elif form == "short":
            for story in result.stories:
                print(short_line(story, zone=self._zone, colour=self._colour))
        else:
            self._show_text(result.stories)
        self.count += len(result.stories)

    def _show_json(self, result: TraceResult) -> None:
        why = result.why
        if self._options.raw:
            for mail in by_mail(result.stories):
                first = map(line_of, lines_of(mail))
                self._write([self._json_line(mail[0], why, lines=list(first))])
                self._write(self._json_line(story, why, lines=None) for story in mail[1:])
        else:
            self._write(self._json_line(story, why) for story in result.stories)
        self._told = merged(self._told, why if result.stories else ())

    def _show_text(self, stories: Sequence[Story]) -> None:
        if not self._options.raw:
            for story in stories:
                self._print(story)
            return
        for mail in by_mail(stories):
            for story in mail[:-1]:
                self._print(story)
            self._print(mail[-1], map(line_of, lines_of(mail)))

    def finish(self, why: Sequence[Gap]) -> None:
        """Show what is left: the head of an empty table, and in JSON what no answer has told yet.

        With ``--limit 0``, a day that cannot be read may be met after the first answers.
        """
        if self._options.form == "csv" and not self.count:
            write_csv([], sys.stdout)
        elif self._options.form == "json" and set(why) - set(self._told):
            self._write([json_of_nothing(why)])

    def _print(self, story: Story, lines: Iterable[str] = ()) -> None:
        text = text_lines(
            story,
            zone=self._zone,
            colour=self._colour,
            explanations=self._explanations,
            language=self._options.language,
            width=self._width,
            shows_types=self._shows_types,
            lines=lines,
        )
        print("\n".join(text), end="\n\n")

    def _json_line(self, story: Story, why: Sequence[Gap], **more: Sequence[str] | None) -> bytes:
        return json_line(story, why, to_json=self._to_json, **more)

    def _write(self, lines: Iterable[bytes]) -> None:
        sys.stdout.buffer.write(b"".join(lines))
        sys.stdout.buffer.flush()
