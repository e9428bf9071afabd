"""Write a realistic Postfix log: ``python -m benchmarks.generate --lines 1000000 --seed 1 OUT``.

The same seed, start and format give the same bytes.  ``--summary`` prints how the lines are made
up, with ``--compare FILE`` beside the make-up of a real log.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

from benchmarks.journal import Line, Source
from benchmarks.traffic import SESSIONS_PER_SECOND, Traffic

FORMATS: Final = ("traditional", "iso", "rfc5424")
# A Monday; a million lines reach into the next day, so that the day's change is in them.
DEFAULT_START: Final = "2026-03-02T05:00:00+00:00"
_MAIL_FACILITY: Final = 2 * 8
_LINES_A_WRITE: Final = 4_096

KINDS: Final = (
    ("other programs", re.compile(rb"^(?!postfix)")),
    ("NOQUEUE reject", re.compile(rb"NOQUEUE: \S*reject")),
    ("connect from", re.compile(rb": connect from")),
    ("disconnect from", re.compile(rb": disconnect from")),
    ("client=", re.compile(rb"^[^ ]+ \w+: client=")),
    ("message-id=", re.compile(rb"^[^ ]+ \w+: (?:resent-)?message-id=")),
    ("queue active", re.compile(rb"\(queue active\)$")),
    ("removed", re.compile(rb": removed$")),
    ("delivery sent", re.compile(rb"^[^ ]+ \w+: to=<.* status=sent \(")),
    ("delivery deferred", re.compile(rb"^[^ ]+ \w+: to=<.* status=deferred \(")),
    ("delivery bounced", re.compile(rb"^[^ ]+ \w+: to=<.* status=bounced \(")),
    ("expired, bounce, pickup", re.compile(rb"status=expired| notification: |^[^ ]+ \w+: uid=")),
    ("TLS established", re.compile(rb"TLS connection established")),
    ("postscreen, dnsblog", re.compile(rb"/(?:postscreen|dnsblog)\[")),
    (
        "lost connection, timeout",
        re.compile(rb": (?:lost connection|timeout|too many errors) after"),
    ),
    ("statistics", re.compile(rb": statistics: ")),
    ("warning", re.compile(rb"warning: ")),
)
_TAG: Final = re.compile(rb"^(?:<\d+>)?(?:1 )?(?:\w{3} [ \d]\d [\d:]{8}|[\d-]{10}T\S+) (\S+) ")


def _traditional(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%b %e %H:%M:%S}"


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="microseconds")


def _severity(text: str) -> int:
    """Postfix logs warnings and errors under severities of their own (4 and 3; 6 is info)."""
    if text.startswith("warning: "):
        return 4
    return 3 if text.startswith(("error: ", "fatal: ", "panic: ")) else 6


def _renderer(style: str, pri: bool) -> Callable[[Line], str]:
    tags: dict[Source, str] = {}
    stamp_second = -1
    stamp = ""

    def tag_of(source: Source) -> str:
        host, program, pid = source
        if style == "rfc5424":
            return f"{host} {program} {pid or '-'} - - "
        return f"{host} {program}[{pid}]: " if pid else f"{host} {program}: "

    def render(line: Line) -> str:
        nonlocal stamp_second, stamp
        time, _, source, text = line
        tag = tags.get(source)
        if tag is None:
            if len(tags) > 50_000:
                tags.clear()
            tag = tags[source] = tag_of(source)
        second = int(time)
        if second != stamp_second:
            stamp_second = second
            stamp = _traditional(second) if style == "traditional" else _iso(second)[:19]
        if style == "traditional":
            head = f"<{_MAIL_FACILITY + _severity(text)}>" if pri else ""
            return f"{head}{stamp} {tag}{text}\n"
        exact = f"{stamp}.{int(time % 1 * 1e6):06d}+00:00"
        if style == "rfc5424":
            return f"<{_MAIL_FACILITY + _severity(text)}>1 {exact} {tag}{text}\n"
        head = f"<{_MAIL_FACILITY + _severity(text)}>" if pri else ""
        return f"{head}{exact} {tag}{text}\n"

    return render


def generate(
    count: int,
    seed: int,
    *,
    style: str = "traditional",
    pri: bool = False,
    start: str = DEFAULT_START,
    rate: float = SESSIONS_PER_SECOND,
) -> Iterator[bytes]:
    """``count`` log lines with their line feeds.

    ``start`` is the first moment, ISO 8601; ``rate`` is in sessions a second.
    """
    render = _renderer(style, pri)
    traffic = Traffic(seed, datetime.fromisoformat(start).timestamp(), rate)
    for line in islice(traffic.lines(), count):
        yield render(line).encode("latin-1")


def write(path: Path | None, lines: Iterable[bytes]) -> None:
    """Write the lines in large pieces; None is standard output."""
    lines = iter(lines)
    with path.open("wb") if path else nullcontext(sys.stdout.buffer) as file:
        while piece := b"".join(islice(lines, _LINES_A_WRITE)):
            file.write(piece)


def kind_of(line: bytes) -> str:
    """Which of KINDS a line of any of the three formats is."""
    head = _TAG.match(line)
    text = line[head.end() :].rstrip(b"\n") if head else line
    return next((name for name, pattern in KINDS if pattern.search(text)), "other Postfix lines")


def summary(lines: Iterable[bytes]) -> tuple[int, int, Counter[str]]:
    """Number of lines, their bytes without line feeds, and how many there are of each kind."""
    kinds: Counter[str] = Counter()
    size = 0
    for line in lines:
        size += len(line.rstrip(b"\n"))
        kinds[kind_of(line)] += 1
    return kinds.total(), size, kinds


def _print_summary(path: Path, other: Path | None) -> None:
    columns = []
    for file in filter(None, (path, other)):
        with file.open("rb") as lines:
            columns.append((file.name, *summary(lines)))
    print("".join(f"{text:>26}" for text in ["", *(name[-24:] for name, *_ in columns)]))
    print(f"{'lines':26}" + "".join(f"{count:26,}" for _, count, _, _ in columns))
    print(
        f"{'mean length, bytes':26}"
        + "".join(f"{size / max(1, count):26.1f}" for _, count, size, _ in columns)
    )
    for kind in [*(name for name, _ in KINDS), "other Postfix lines"]:
        print(
            f"{kind:26}"
            + "".join(f"{kinds[kind] / max(1, count):26.1%}" for _, count, _, kinds in columns)
        )


def main() -> None:
    """Read the command line and write the log."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generate", description=__doc__)
    parser.add_argument("out", metavar="OUT", help="file to write, - for standard output")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--format", choices=FORMATS, default="traditional")
    parser.add_argument(
        "--pri", action="store_true", help="begin each line with <PRI>, as sent over the network"
    )
    parser.add_argument("--start", default=DEFAULT_START, help="time of the first line, ISO 8601")
    parser.add_argument("--summary", action="store_true", help="print the make-up of OUT")
    parser.add_argument(
        "--compare", type=Path, metavar="FILE", help="with --summary: a real log beside it"
    )
    options = parser.parse_args()
    path = None if options.out == "-" else Path(options.out)
    if options.summary and path is None:
        parser.error("--summary needs a file: give OUT a name")
    write(
        path,
        generate(
            options.lines, options.seed, style=options.format, pri=options.pri, start=options.start
        ),
    )
    if options.summary and path:
        _print_summary(path, options.compare)


if __name__ == "__main__":
    main()
