"""Lines a second: ``python -m benchmarks.parse [--lines N] [--seed S] [FILE]``.

The first figure is the whole program, ``mailingest parse FILE``, as the kernel counts its CPU time
(user and system, start included).  Then follow other programs on the same file, all of them in
turns, and the stages of the core, each with all those before it.  All write into a file.  Only
ratios from one run mean much.  The kernel counts as a child's memory at least what this process has
(some 40 MB).  ``--save`` keeps the figures for docs/performance.md.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import figures, peers, stages
from benchmarks.measure import Usage, run, show
from benchmarks.peers import own
from benchmarks.peers.peer import Result


def _row(
    name: str,
    lines: int,
    used: Usage | None,
    times: float | None,
    *,
    version: str = "",
    taken_apart: int | None = None,
    note: str = "",
) -> figures.Row:
    """A row of the table, in which a program that is missing has a note and no figures."""
    return {
        "what": name,
        "version": version,
        "lines": lines,
        "lines/CPU s": round(lines / used.cpu) if used else None,
        "times": round(times, 3) if times is not None else None,
        "max RSS MB": round(used.max_rss / 1e6) if used else None,
        "taken apart": round(taken_apart / lines, 4) if taken_apart is not None else None,
        "note": note,
    }


def _program(one: Result, whole: Result) -> figures.Row:
    return _row(
        one.peer.name,
        one.lines,
        one.usage,
        one.times(whole),
        version=one.version,
        taken_apart=one.taken_apart,
        note=f"missing: {one.missing}" if one.missing else one.peer.leaves_out,
    )


def _rows(file: Path, options: argparse.Namespace) -> Iterator[figures.Row]:
    programs = [own.PEER, own.COMPILED, *([] if options.no_peers else peers.PEERS)]
    whole, *others = peers.measure(programs, file, options.repeat)
    for one in (whole, *others):
        yield _program(one, whole)
    if not options.no_stages and whole.usage is not None:
        for name, used in stages.measure(file, options.repeat):
            yield _row(f"stage: {name}", whole.lines, used, used.cpu / whole.usage.cpu)


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parse", description=__doc__)
    parser.add_argument("file", metavar="FILE", nargs="?", type=Path, help="a log (else made up)")
    parser.add_argument("--lines", type=int, default=1_000_000, help="length of a made-up log")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=2, help="runs, of which the best counts")
    parser.add_argument("--no-peers", action="store_true", help="leave the other programs out")
    parser.add_argument("--no-stages", action="store_true", help="leave the stages out")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true", help="for docs/performance.md")
    options = parser.parse_args()
    recorder = figures.Recorder()
    with tempfile.TemporaryDirectory() as directory:
        file: Path = options.file or Path(directory, "mail.log")
        if not options.file:
            # In a process of its own, whose memory would count for all that are measured.
            options_of = ["--lines", str(options.lines), "--seed", str(options.seed)]
            run([sys.executable, "-m", "benchmarks.generate", *options_of, str(file)])
        rows = list(_rows(file, options))
    measured = recorder.run("parse", f"parse, {rows[0]['lines']:,} lines", rows)
    if options.save:
        figures.save(measured)
    shown = [{name: "-" if value is None else value for name, value in row.items()} for row in rows]
    show(measured.title, shown, as_json=options.json, notes=[measured.circumstances])


if __name__ == "__main__":
    main()
