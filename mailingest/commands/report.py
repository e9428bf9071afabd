"""`mailingest report`: what happened in a time, for a postmaster, on standard output."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from math import ceil
from typing import Final, Literal

import orjson

from mailingest.commands.log_documents import documents_of_files
from mailingest.commands.progress import SearchProgress
from mailingest.commands.trace import (
    EXIT_FOUND,
    EXIT_NOT_FOUND,
    EXIT_NOT_WHOLE,
    EXIT_UNAVAILABLE,
)
from mailingest.config import Settings, load_zone
from mailingest.errors import StoreUnavailable, UsageError
from mailingest.escaping import escape_terminal
from mailingest.inputs.files import DamagedFile
from mailingest.postfix.outcome import BUCKET_SECONDS
from mailingest.report.mail import mail
from mailingest.report.report import Report
from mailingest.report.tally import HOUR, Tally
from mailingest.report.text import text
from mailingest.report.values import values
from mailingest.spool.status import backlog
from mailingest.stores.counts import TimeBuckets
from mailingest.stores.gaps import Gap, merged
from mailingest.stores.protocol import Progress
from mailingest.trace.times import read_time
from mailingest.wiring import build_store, store_place

_MOST_DAYS: Final = 3660


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for: a ``span``, or the time from ``since`` to ``until`` as it was typed.

    ``files`` are asked instead of the store, all of them if no time is given.  ``year`` is that of
    their last lines, None if it is told by when they were written.  ``only`` is the type of events
    that the store is asked for, None for all.  ``to`` and ``sender`` are those of the mail.
    """

    files: Sequence[str] = ()
    year: int | None = None
    span: Literal["", "yesterday", "week"] = ""
    since: str | None = None
    until: str | None = None
    form: Literal["text", "json", "mail"] = "text"
    to: str = ""
    sender: str | None = None
    only: str | None = None


def run(settings: Settings, options: Options) -> int:
    """Writes the report; remarks go to standard error.

    The exit code is 0 if there is something to report, 1 if there is certainly nothing, 3 if the
    report is not whole, 4 if the store cannot be asked.  Raises UsageError for a time or an
    address that makes no sense.
    """
    if options.only is not None:
        settings.only_type(options.only)
    zone = load_zone(settings.syslog.timezone)
    buckets = period(options, now=datetime.now(UTC), zone=zone)
    try:
        with SearchProgress() as progress:
            if options.files or buckets is None:
                report = _of_files(settings, options, buckets, zone, progress)
            else:
                report = asyncio.run(_of_store(settings, options, buckets, zone, progress))
    except StoreUnavailable as error:
        print(f"mailingest: {escape_terminal(error)}", file=sys.stderr)
        return EXIT_UNAVAILABLE
    _write(report, options)
    for gap in report.why:
        print(f"mailingest: {escape_terminal(gap.text)}", file=sys.stderr)
    if report.why:
        return EXIT_NOT_WHOLE
    return EXIT_NOT_FOUND if report.is_empty else EXIT_FOUND


def period(options: Options, *, now: datetime, zone: tzinfo) -> TimeBuckets | None:
    """The time that is asked about, to ten minutes; None is all of the files.

    Without any, it is today.  Raises UsageError for a time that makes no sense.
    """
    today = _midnight(now, zone)
    if options.span:
        days = 1 if options.span == "yesterday" else 7
        return _buckets(_midnight(today - timedelta(days=days, hours=-12), zone), today)
    if options.files and options.since is None and options.until is None:
        return None
    until = now if options.until is None else read_time(options.until, now=now, zone=zone)
    since = _midnight(until, zone)
    if options.since is not None:
        since = read_time(options.since, now=now, zone=zone)
    if since >= until:
        raise UsageError("report: --since has to be before --until")
    if until - since > timedelta(days=_MOST_DAYS):
        raise UsageError(f"report: it is about {_MOST_DAYS} days at most")
    return _buckets(since, until)


async def _of_store(
    settings: Settings, options: Options, buckets: TimeBuckets, zone: tzinfo, progress: Progress
) -> Report:
    reader = build_store(settings, options.only).reader(progress)
    try:
        counts = await reader.counts(buckets)
        breakdown = await reader.breakdown(buckets)
    finally:
        await reader.close()
    waiting = [Gap("not_stored_yet", note) for note in await backlog(settings)]
    counts.gaps = merged(counts.gaps, waiting)
    source = store_place(settings)
    return Report(counts, breakdown, zone, source)


def _of_files(
    settings: Settings,
    options: Options,
    buckets: TimeBuckets | None,
    zone: tzinfo,
    progress: Progress,
) -> Report:
    tally = Tally(buckets)
    gaps: list[Gap] = []

    def damaged(error: DamagedFile) -> None:
        gaps.append(Gap("file_unreadable", str(error)))

    for documents in documents_of_files(settings, options.files, options.year, progress, damaged):
        for document in documents:
            tally.add(document.fields)
    counts = tally.counts()
    counts.gaps = gaps
    source = ", ".join(options.files)
    return Report(counts, tally.breakdown, zone, source)


def _midnight(moment: datetime, zone: tzinfo) -> datetime:
    """The beginning of its day."""
    return datetime.combine(moment.astimezone(zone).date(), time(), zone)


def _buckets(since: datetime, until: datetime) -> TimeBuckets:
    """Buckets that have all of the time: of an hour if it is made of hours."""
    start = int(since.timestamp()) // BUCKET_SECONDS * BUCKET_SECONDS
    end = ceil(until.timestamp() / BUCKET_SECONDS) * BUCKET_SECONDS
    seconds = BUCKET_SECONDS if start % HOUR or end % HOUR else HOUR
    return TimeBuckets(start, seconds, (end - start) // seconds)


def _write(report: Report, options: Options) -> None:
    out = sys.stdout.buffer
    match options.form:
        case "json":
            out.write(orjson.dumps(values(report), option=orjson.OPT_APPEND_NEWLINE))
        case "mail":
            out.write(mail(report, options.to, options.sender))
        case _:
            out.write(text(report).encode())
    out.flush()
