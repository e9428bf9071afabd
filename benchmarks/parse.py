"""Lines a second: ``python -m benchmarks.parse [--lines N] [--seed S] [FILE]``.

The first figure is the whole program, ``mailingest parse FILE``, as the kernel counts its CPU time
(user and system, start included).  Then follow the stages of the core, each with all those before
it, and other programs on the same file in the same run.  Only ratios from one run mean much.  The
kernel counts as a child's memory at least what this process has (some 45 MB).
"""

import argparse
import tempfile
from pathlib import Path
from typing import Final

from benchmarks import peers, stages
from benchmarks.generate import generate, write
from benchmarks.measure import MAILINGEST, Figures, MeasurementError, Usage, run, show

_WHAT: Final = "what"
_COLUMNS: Final = ("lines/CPU s", "lines/s", "max RSS MB", "times mailingest")


def _row(name: str, lines: int, used: Usage | str, whole: Usage | None) -> Figures:
    if isinstance(used, str):
        return dict.fromkeys((_WHAT, *_COLUMNS), "-") | {_WHAT: name}
    figures = (
        round(lines / used.cpu),
        round(lines / used.wall),
        used.max_rss / 1e6,
        whole.cpu / used.cpu if whole else "-",
    )
    return {_WHAT: name, **dict(zip(_COLUMNS, figures, strict=True))}


def _whole(file: Path, repeat: int) -> Usage | str:
    """The best of several runs: others on the machine can only make it slower."""
    try:
        return min(
            (run([*MAILINGEST, "parse", str(file)]) for _ in range(repeat)),
            key=lambda used: used.cpu,
        )
    except MeasurementError as error:
        return str(error)


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
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        file: Path = options.file or Path(directory, "mail.log")
        if not options.file:
            write(file, generate(options.lines, options.seed))
        with file.open("rb") as data:
            lines = sum(1 for _ in data)
        figures: dict[str, Usage | str] = {"mailingest parse FILE": _whole(file, options.repeat)}
        if not options.no_stages:
            figures |= {
                f"stage: {name}": used for name, used in stages.measure(file, options.repeat)
            }
        if not options.no_peers:
            figures |= {f"peer: {name}": used for name, used in peers.measure(file, lines).items()}
    whole = next(iter(figures.values()))
    show(
        f"parse, {lines:,} lines",
        [
            _row(name, lines, used, whole if isinstance(whole, Usage) else None)
            for name, used in figures.items()
        ],
        as_json=options.json,
        notes=[f"{name}: {used}" for name, used in figures.items() if isinstance(used, str)],
    )


if __name__ == "__main__":
    main()
