"""`mailingest report` beside pflogsumm: ``python -m benchmarks.report [--lines 1000000] [--save]``.

* Totals of three logs: of a Postfix that is led through all that it can log (recorded now, which
  takes two minutes and needs root), of scenarios that were recorded once, and of a made-up site.
* CPU time and memory of a report from a store and from a file, and of pflogsumm.

With ``--save``, `benchmarks.page` puts both into docs/report.md.
"""

import argparse
import asyncio
import gzip
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from benchmarks import figures, trace
from benchmarks.figures import Row
from benchmarks.generate import generate, write
from benchmarks.measure import MAILINGEST, Usage, run, show
from benchmarks.peers.pflogsumm import PEER
from mailingest.stores.sqlite.writer import SqliteWriter
from tests.support.lab.corpus import record_corpus
from tests.support.pflogsumm import SCENARIOS, compared

_SEED: Final = 7
_LINES_TO_COMPARE: Final = 200_000
_ROUNDS: Final = 2
_CONFIG: Final = """
[syslog]
timezone = "UTC"
[state]
directory = "{directory}"
[sqlite]
directory = "{directory}/mail"
"""


def recorded(directory: Path) -> Sequence[bytes]:
    """What a Postfix logs that is led through everything."""
    return record_corpus(directory).log.splitlines()


def scenarios(_: Path) -> Sequence[bytes]:
    """What Postfix 3.7 and 3.10 wrote in an afternoon."""
    return gzip.decompress(SCENARIOS.read_bytes()).splitlines()


def made_up(_: Path) -> Sequence[bytes]:
    """A day of a site with a content filter."""
    return [line.rstrip(b"\n") for line in generate(_LINES_TO_COMPARE, _SEED)]


LOGS: Final[Mapping[str, Callable[[Path], Sequence[bytes]]]] = {
    "recorded": recorded,
    "scenarios": scenarios,
    "made up": made_up,
}


def totals() -> Iterator[Row]:
    """A row for each total of each log."""
    for name, log in LOGS.items():
        with tempfile.TemporaryDirectory() as directory:
            lines = log(Path(directory))
            for total in compared(lines, Path(directory)):
                causes = (f"{count:+,} {why}" for why, count in total.causes.items())
                yield {
                    "log": f"{name}, {len(lines):,} lines",
                    "total": total.name,
                    "pflogsumm": total.theirs,
                    "mailingest": total.ours,
                    "why": "; ".join(causes),
                    "explained": "yes" if total.is_explained else "no",
                }


def costs(lines: int) -> Iterator[Row]:
    """A row for each way to a report of so many lines; the better of two rounds."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        config, log, out = (directory / one for one in ("mailingest.toml", "mail.log", "out"))
        config.write_text(_CONFIG.format(directory=directory))
        # Both have the same lines, of the same days.  The store is filled elsewhere: what this
        # process has in memory would count as that of those that it starts.
        with get_context("spawn").Pool(1) as pool:
            pool.apply(_fill, (directory / "mail", lines))
        write(log, generate(lines, _SEED, start=trace.START))
        report = [*MAILINGEST, "report", "--config", str(config)]
        span = ["--since", "2026-03-01", "--until", "2026-03-12"]
        ways: dict[str, Callable[[], Usage]] = {
            "mailingest report, of a store that has kept no hours": partial(
                run, [*report, *span], stdout=out
            ),
            "mailingest report --file": partial(
                run, [*report, "--file", str(log), "--year", "2026"], stdout=out
            ),
            "pflogsumm": partial(PEER.run, log, out),
        }
        for way, measured in ways.items():
            yield _cost(way, [measured() for _ in range(_ROUNDS)])
        compacted = run([*MAILINGEST, "store", "compact", "--config", str(config)])
        yield _cost("mailingest store compact, of these days", [compacted])
        kept = [run([*report, *span], stdout=out) for _ in range(_ROUNDS)]
        yield _cost("mailingest report, of a store that has kept all hours", kept)


def _fill(directory: Path, lines: int) -> None:
    made = generate(lines, _SEED, style="iso", start=trace.START)
    asyncio.run(trace.store(SqliteWriter(directory), made))


def _cost(what: str, used: Sequence[Usage]) -> Row:
    best = min(used, key=lambda one: one.cpu)
    return {
        "what": what,
        "CPU s": round(best.cpu, 2),
        "s": round(best.wall, 2),
        "max RSS MB": round(best.max_rss / 1e6),
    }


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--save", action="store_true", help="for docs/report.md")
    options = parser.parse_args()
    for name, title, measure in (
        ("report-totals", "totals beside pflogsumm", totals),
        ("report-costs", f"a report of {options.lines:,} lines", lambda: costs(options.lines)),
    ):
        recorder = figures.Recorder()
        measured = recorder.run(name, title, list(measure()))
        if options.save:
            figures.save(measured)
        shown = [{key: value or "" for key, value in row.items()} for row in measured.rows]
        show(measured.title, shown, as_json=False, notes=[measured.circumstances])


if __name__ == "__main__":
    main()
