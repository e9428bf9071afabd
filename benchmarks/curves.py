"""Costs as functions of size: ``python -m benchmarks.curves [CURVE ...] [--quick] [--save]``.

* ``parse``: CPU time and memory of ``mailingest parse`` for 10,000 to 10 million lines.
* ``queue-ids``: bytes of a live queue ID and CPU time of a line, with 100 to a million of them.
* ``store``: bytes of an event, CPU time of storing it and of questions, with 100,000 to 10 million.

Each point is measured in a process of its own.  All sizes take a quarter of an hour of CPU time and
some GB of disk; ``--quick`` leaves out the largest of each curve.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from benchmarks import figures, memory, trace
from benchmarks.generate import generate, write
from benchmarks.measure import MAILINGEST, resident_bytes, run, show
from benchmarks.traffic import SESSIONS_PER_SECOND
from mailingest.config import Settings
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.writer import SqliteWriter
from mailingest.wiring import build_pipeline

Point = Mapping[str, float | int | None]

_SEED: Final = 1
_QUESTIONS: Final = {
    "sender and recipient": "sender and recipient, ms",
    "domain of the recipient": "domain, ms",
    "nobody's address": "nobody's address, ms",
    "the newest": "the newest, ms",
}
# Python takes memory from the system by the megabyte: less growth says nothing.
_LEAST_GROWTH: Final = 2_000_000
# None of the queue IDs is to be dropped.
_ROOMY: Final = Settings.model_validate(
    {"correlation": {"max_queue_ids": 2_000_000, "max_bytes": "8GiB"}}
)


def parse(lines: int) -> Point:
    """The whole process, with a log of so many lines."""
    with tempfile.TemporaryDirectory() as directory:
        file, out = Path(directory, "mail.log"), Path(directory, "out")
        write(file, generate(lines, _SEED))
        used = run([*MAILINGEST, "parse", str(file)], stdout=out)
    return {
        "lines": lines,
        "CPU s": round(used.cpu, 2),
        "µs a line": round(used.cpu / lines * 1e6, 2),
        "max RSS MB": round(used.max_rss / 1e6),
    }


def queue_ids(count: int) -> Point:
    """Three lines for each of so many queue IDs, none of which ends."""
    pipeline = build_pipeline(_ROOMY, live=False, wait=0.0)
    # What the first lines have compiled and allocated is not the queue IDs'.
    for line in next(memory.mails(1, _SEED + 1)).splitlines():
        pipeline.feed(line, time.time())
    before = resident_bytes()
    spent = 0.0
    for mail in memory.mails(count, _SEED):
        lines, now = mail.splitlines(), time.time()
        began = time.process_time()
        for line in lines:
            pipeline.feed(line, now)
        spent += time.process_time() - began
    growth = resident_bytes() - before
    return {
        "live queue IDs": count,
        "bytes each": round(growth / count) if growth > _LEAST_GROWTH else None,
        "µs a line": round(spent / count / 3 * 1e6, 2),
    }


def store(events: int) -> Point:
    """The embedded store with so many events of one day: what it takes, and what questions take."""
    # All in one day: the rate grows with the number.
    rate = max(SESSIONS_PER_SECOND, events / 1_000_000 * SESSIONS_PER_SECOND)
    return asyncio.run(_stored(events, rate))


async def _stored(events: int, rate: float) -> Point:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        spent = await trace.fill(SqliteWriter(directory), events, _SEED, rate)
        size = sum(path.stat().st_size for path in directory.iterdir())
        source = SqliteReader(directory, "mail")
        answers = {}
        for question, criteria in (await trace.questions(source)).items():
            if question in _QUESTIONS:
                taken = await trace.ask(source, criteria)
                answers[_QUESTIONS[question]] = round(float(taken["CPU s"]) * 1e3, 1)
    return {
        "events": events,
        "bytes each": round(size / events),
        "µs to store": round(spent / events * 1e6, 2),
        **answers,
    }


CURVES: Final[Mapping[str, tuple[Callable[[int], Point], Sequence[int]]]] = {
    "parse": (parse, (10_000, 100_000, 1_000_000, 10_000_000)),
    "queue-ids": (queue_ids, (100, 1_000, 10_000, 100_000, 1_000_000)),
    "store": (store, (100_000, 1_000_000, 10_000_000)),
}


def measure(curve: str, sizes: Sequence[int]) -> list[Point]:
    """The points of a curve."""
    measured, _ = CURVES[curve]
    points = []
    # A new interpreter each: a fork would fill memory that this process has already.
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for size in sizes:
            points.append(pool.apply(measured, (size,)))
            print(points[-1], flush=True)
    return points


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("curves", metavar="CURVE", nargs="*", help=", ".join(CURVES))
    parser.add_argument("--quick", action="store_true", help="without the largest sizes")
    parser.add_argument("--save", action="store_true", help="for docs/performance.md")
    options = parser.parse_args()
    if unknown := set(options.curves) - set(CURVES):
        parser.error(f"no such curve: {', '.join(sorted(unknown))}")
    for curve in options.curves or CURVES:
        recorder = figures.Recorder()
        sizes = CURVES[curve][1][:-1] if options.quick else CURVES[curve][1]
        measured = recorder.run(f"curve-{curve}", f"{curve} by size", measure(curve, sizes))
        if options.save:
            figures.save(measured)
        rows = [
            {name: "-" if value is None else value for name, value in row.items()}
            for row in measured.rows
        ]
        show(measured.title, rows, as_json=False, notes=[measured.circumstances])


if __name__ == "__main__":
    main()
