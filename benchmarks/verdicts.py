"""Seconds for questions by verdict to a large embedded store: ``python -m benchmarks.verdicts``.

DIR gets a made-up store of ten days with 10 million events (kept for the next run).  A day is the
log of `benchmarks.generate`, with a mail that is put on hold for each 100,000 lines; the other days
are the same at other dates, with queue IDs and Message-IDs of their own, which saves the time of
parsing.  What is under way at the end of a day has no end.

A question is asked in a process of its own: first with nothing of the store in the system's cache
(cold), then again.  With ``--packed``, days that are over are packed before, as the daemon does.
"""

import argparse
import asyncio
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import orjson

from benchmarks import figures, trace
from benchmarks.generate import generate
from benchmarks.measure import Figures, show
from mailingest.documents import Document
from mailingest.postfix.index_keys import LINKS
from mailingest.postfix.names import MESSAGE_ID, NOQUEUE, QUEUE_ID
from mailingest.stores.criteria import Criteria, address_term
from mailingest.stores.sqlite.compaction import compact, is_worth_while
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.writer import SqliteWriter
from mailingest.trace.engine import trace as ask
from mailingest.wiring import build_pipeline

_LINES_A_DAY: Final = 1_000_000
_LIMIT: Final = 50
_SEED: Final = 1
_BETWEEN_HELD: Final = 100_000
_DAYS: Final = 10
_A_DAY: Final = 86_400
_BATCH: Final = 2000
_IDS: Final = (QUEUE_ID, MESSAGE_ID, *LINKS)
# Shorter names of mails, such as a filter's, stand in other texts as well.
_SHORTEST: Final = 8
_RARE: Final = ("expired", "held", "bounced")
_FREQUENT: Final = ("pending", "rejected", "handed_over", "delivered", "discarded")
_NONE: Final = ("deleted",)
# What no line of its own tells (not_accepted, unknown, probe) is looked for among the newest lines,
# which takes as long as these allow.


async def fill(directory: Path, lines: int) -> None:
    """Store so many events of each day."""
    writers = [SqliteWriter(directory) for _ in range(_DAYS)]
    for writer in writers:
        await writer.open()
    for batch in _batches(lines):
        for day, writer in enumerate(writers):
            await writer.write([_at(day, one) for one in batch])
    for writer in writers:
        await writer.close()


def _batches(lines: int) -> Iterator[list[Document]]:
    pipeline = build_pipeline(trace.SETTINGS, live=False)
    made: list[Document] = []
    for line in _lines(lines):
        made += pipeline.feed(line.rstrip(b"\n"), trace.REFERENCE)
        if len(made) >= _BATCH:
            yield made
            made = []
    yield [*made, *pipeline.flush()]


def _at(day: int, document: Document) -> Document:
    """The same so many days later, with other queue IDs and another Message-ID."""
    fields, body = document.fields, document.body
    own = {str(fields[name]) for name in _IDS if name in fields} - {NOQUEUE}
    for one in own:
        if len(one) >= _SHORTEST:
            body = body.replace(one.encode(), one.translate(_OTHERS[day]).encode())
    seconds = document.seconds + day * _A_DAY
    date, other = (
        f"{datetime.fromtimestamp(one, UTC):%Y-%m-%d}" for one in (document.seconds, seconds)
    )
    body = body.replace(date.encode(), other.encode())
    tail = urlsafe_b64decode(document.id)[4:]
    return Document(
        document.index.replace(date.replace("-", "."), other.replace("-", ".")),
        urlsafe_b64encode(seconds.to_bytes(4) + tail).decode(),
        body,
        seconds,
        orjson.loads(body),
    )


def _date(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def _rotated(places: int) -> dict[int, str]:
    """What stands for digits and for consonants on another day."""
    return {
        ord(one): letters[(place + places) % len(letters)]
        for letters in ("0123456789", "GHJKLMNPQRSTVWXYZ")
        for place, one in enumerate(letters)
    }


def _lines(count: int) -> Iterator[bytes]:
    """The log of a day; a held mail is three lines between others, of the time of one of them."""
    for number, line in enumerate(generate(count, _SEED, style="iso", start=trace.START)):
        yield line
        if number % _BETWEEN_HELD == _BETWEEN_HELD // 2:
            yield from _held(number, line[:32].decode())


def _held(number: int, stamp: str) -> Iterator[bytes]:
    queue_id = f"{number:012X}"
    client = "mail.example.net[192.0.2.77]"
    name = f"held{number}@example.com"
    for tag, text in (
        ("smtpd[77]", f"client={client}"),
        (
            "cleanup[78]",
            f"hold: header Subject: suspicious from {client}; from=<{name}> "
            f"to=<{name}> proto=ESMTP helo=<mail.example.net>: looked at by hand",
        ),
        ("cleanup[78]", f"message-id=<{number}@held.example>"),
    ):
        yield f"{stamp} mx1 postfix/{tag}: {queue_id}: {text}\n".encode()


_OTHERS: Final = [_rotated(day) for day in range(_DAYS)]


async def questions(source: SqliteReader) -> Mapping[str, Criteria]:
    """Questions by name."""
    event, _ = await trace.examples(source)
    span = await source.span()
    assert span is not None
    whole = (*_RARE, *_FREQUENT, *_NONE)
    asked = {one: Criteria(verdicts=frozenset({one})) for one in whole}
    asked |= {
        f"{one}, the last day": Criteria(
            verdicts=frozenset({one}), since=span.last - timedelta(days=1)
        )
        for one in ("bounced", "held")
    }
    asked["bounced, the third day"] = Criteria(
        verdicts=frozenset({"bounced"}),
        since=span.first + timedelta(days=2),
        until=span.first + timedelta(days=3),
    )
    sender, recipient = (address_term(event[name]) for name in ("postfix_from", "postfix_to"))
    asked["sender and recipient"] = Criteria(sender=sender, recipient=recipient)
    of_domain = address_term("@" + str(event["postfix_to"]).rpartition("@")[2])
    asked["bounced, a domain"] = replace(asked["bounced"], recipient=of_domain)
    asked["the newest"] = Criteria()
    return asked


def measured(directory: Path, criteria: Criteria) -> Figures:
    """One question, cold and warm."""
    for path in directory.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    row: dict[str, float | int | str] = {}
    for name in ("cold", "warm"):
        began, began_cpu = time.perf_counter(), time.process_time()
        answer = asyncio.run(ask(SqliteReader(directory, "mail"), criteria, limit=_LIMIT))
        row[f"{name} CPU s"] = round(time.process_time() - began_cpu, 3)
        row[f"{name} s"] = round(time.perf_counter() - began, 3)
    is_whole = answer.is_whole or answer.has_enough
    return {**row, "stories": len(answer.stories), "whole": "yes" if is_whole else "no"}


def packed(directory: Path) -> None:
    """Pack all days but the last one."""
    for path in sorted(directory.glob("*.sqlite"))[:-1]:
        if is_worth_while(path):
            compact(path, lambda: None)


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("directory", metavar="DIR", type=Path)
    parser.add_argument("--lines", type=int, default=_LINES_A_DAY, help="a day")
    parser.add_argument("--packed", action="store_true", help="pack the days that are over")
    parser.add_argument("--only", metavar="QUESTION", help="one of the questions")
    parser.add_argument("--save", action="store_true", help="for docs/performance.md")
    options = parser.parse_args()
    directory: Path = options.directory
    if not list(directory.glob("*.sqlite")):
        asyncio.run(fill(directory, options.lines))
    if options.packed:
        packed(directory)
    asked = asyncio.run(questions(SqliteReader(directory, "mail")))
    recorder = figures.Recorder()
    rows: list[Figures] = []
    # A new interpreter each, in which nothing is compiled or remembered.
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for name, criteria in asked.items():
            if options.only in (None, name):
                rows.append({"question": name, **pool.apply(measured, (directory, criteria))})
                print(rows[-1], flush=True)
    name = "verdicts-packed" if options.packed else "verdicts"
    title = f"newest {_LIMIT} mails of {_DAYS} days with {options.lines:,} events each"
    run = recorder.run(name, title, rows)
    if options.save:
        figures.save(run)
    show(title, rows, as_json=False, notes=[run.circumstances])


if __name__ == "__main__":
    main()
