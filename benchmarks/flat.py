"""Whether the service stays as large as it is: ``python -m benchmarks.flat [--lines 20000000]``.

A real daemon with the embedded store takes made-up lines over TCP, and some by a followed file, as
fast as it stores them, while it is reloaded and the file rotated.  The times of the lines pass
through several days.  Its memory is sampled all the time, and printed at each tenth; in the end
the store must have every line, and one of those that are identical and came both ways within a
second, which have one id.

The columns, in MB: what is resident, of that not of files (``anon``), what is used and free of the
heap of the C library and mapped beside it.  ``blocks`` are those that Python has given out, in
thousands, and ``mails`` are the queue IDs that are known, in thousands.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from benchmarks import store
from benchmarks.generate import generate
from benchmarks.measure import Daemon, daemon, free_port, show
from benchmarks.traffic import SESSIONS_PER_SECOND

_FOLLOWED: Final = """
[[inputs.file]]
path = "{directory}/followed/mail.log"
start = "beginning"
[log]
level = "{level}"
# Documents that wait are not to be the largest part of the memory: what waits is in the spool.
[batch]
capacity = 2000
"""
_LINES_A_WRITE: Final = 500
# Of so many writes, one goes to the followed file.
_FILE_SHARE: Final = 20
# Lines of more than a second, for so often the service tells what it has stored.
_MOST_WAITING: Final = 60_000
_POLL_SECONDS: Final = 0.02
_SAMPLE_SECONDS: Final = 2.0
_END_SECONDS: Final = 600.0
# The first part fills tables, caches and the heap.
_WARM: Final = 0.3
_PARTS: Final = 10


@dataclass(frozen=True, slots=True)
class Sample:
    """How large the service is after so many lines."""

    lines: int
    rss: int
    anon: int
    used: int
    free: int
    mapped: int
    blocks: int
    mails: int


class Run:
    """One daemon, and what is done to it."""

    def __init__(self, directory: Path, config: str, running: Daemon, port: int) -> None:
        self.samples: list[Sample] = []
        self.reloads = 0
        self.sent = 0
        self._directory = directory
        self._config = config
        self._running = running
        self._port = port
        self._log = directory / "followed" / "mail.log"
        self._sampled = 0.0
        self._printed = 0

    def send(
        self, lines: Iterator[bytes], count: int, reload_seconds: float, seconds: float
    ) -> None:
        """Send lines for so many seconds at most; sample, reload and rotate."""
        now = time.monotonic()
        end, reload_at = now + seconds, now + reload_seconds
        writer: BinaryIO = self._log.open("ab", buffering=0)
        with socket.create_connection(("127.0.0.1", self._port)) as connection:
            for number, piece in enumerate(iter(lambda: list(islice(lines, _LINES_A_WRITE)), [])):
                if number % _FILE_SHARE:
                    connection.sendall(b"".join(piece))
                else:
                    writer.write(b"".join(piece))
                self.sent += len(piece)
                self._look()
                self._print(count)
                if time.monotonic() >= reload_at:
                    writer = self._rotate(writer)
                    self._reload()
                    reload_at = time.monotonic() + reload_seconds
                if time.monotonic() >= end:
                    break
        writer.close()

    def _look(self) -> None:
        """Wait until there is little that waits, and sample now and then."""
        while True:
            state = json.loads((self._directory / "state/spool/state").read_bytes())
            counters = state["counters"]
            if time.monotonic() - self._sampled >= _SAMPLE_SECONDS:
                self._sampled = time.monotonic()
                self._running.check()
                self.samples.append(self._sample(counters))
            waiting = self.sent - counters["documents_stored"]
            if waiting < _MOST_WAITING:
                return
            time.sleep(_POLL_SECONDS)

    def _sample(self, counters: dict[str, int]) -> Sample:
        memory = self._running.memory()
        heap = json.loads((self._directory / "heap").read_text())
        return Sample(
            lines=counters["documents_stored"],
            rss=memory["rss"],
            anon=memory["anon"],
            mails=counters["queue_ids"],
            **heap,
        )

    def _print(self, count: int) -> None:
        done = self.sent * _PARTS // count
        if done > self._printed:
            self._printed = done
            show("", [row(self.samples[-1])], as_json=False)
            sys.stdout.flush()

    def _rotate(self, writer: BinaryIO) -> BinaryIO:
        writer.close()
        self._log.rename(self._log.with_suffix(f".{self.reloads % 2 + 1}"))
        return self._log.open("ab", buffering=0)

    def _reload(self) -> None:
        self.reloads += 1
        level = "info" if self.reloads % 2 else "warning"
        (self._directory / "mailingest.toml").write_text(self._config.format(level=level))
        os.kill(self._running.pid, signal.SIGHUP)


def row(sample: Sample) -> dict[str, float | int]:
    """A sample in millions of bytes, and thousands."""
    sizes = {name: round(getattr(sample, name) / 1e6, 1) for name in _SIZES}
    return {
        "lines": sample.lines,
        **sizes,
        "blocks": round(sample.blocks / 1e3),
        "mails": round(sample.mails / 1e3),
    }


_SIZES: Final = ("rss", "anon", "used", "free", "mapped")


def slope(samples: Sequence[Sample], name: str) -> float:
    """By how many bytes a value grows with a million lines, after the first part."""
    warm = [one for one in samples if one.lines >= _WARM * samples[-1].lines]
    lines = [one.lines / 1e6 for one in warm]
    return statistics.linear_regression(lines, [getattr(one, name) for one in warm]).slope


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flat", description=__doc__)
    parser.add_argument("--lines", type=int, default=20_000_000)
    parser.add_argument("--minutes", type=float, default=1e9, help="end then, whatever is left")
    parser.add_argument("--days", type=float, default=3.0, help="of the lines' times")
    parser.add_argument("--reload", type=float, default=20.0, help="seconds between reloads")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object, for scripts")
    options = parser.parse_args()
    start = datetime.fromtimestamp(time.time() - options.days * 86_400, UTC).isoformat()
    rate = SESSIONS_PER_SECOND * options.lines / options.days / 1e6
    lines = generate(options.lines, options.seed, style="iso", pri=True, start=start, rate=rate)
    port = free_port("tcp")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "followed").mkdir()
        template = store.CONFIG + _FOLLOWED
        config = template.format(port=port, directory=directory, level="{level}")
        program = (sys.executable, "-m", "benchmarks.heap_report", str(directory / "heap"))
        with daemon(
            config.format(level="info"), directory, port, "tcp", program=program
        ) as running:
            run = Run(directory, config, running, port)
            time.sleep(_SAMPLE_SECONDS)  # until there is a first report
            began, cpu = time.monotonic(), running.cpu()
            run.send(lines, options.lines, options.reload, options.minutes * 60)
            store.wait_until_quiet(directory, run.sent, running.check, _END_SECONDS)
            cpu, took = running.cpu() - cpu, time.monotonic() - began
        # The daemon has ended: what it still held is written now.
        stored, rejected = store.stored(directory), store.rejected(directory)
        end = json.loads((directory / "state/spool/state").read_bytes())["counters"]
    twice = end["documents_duplicate"]
    lost = run.sent - stored - twice - rejected
    samples = run.samples
    at = [samples[len(samples) * part // _PARTS] for part in range(1, _PARTS)]
    notes = [
        f"{run.sent:,} lines sent = {stored:,} stored + {twice:,} that came both ways in one second"
        f" + {rejected:,} rejected + {lost:,} lost; {took:,.0f} s,"
        f" {cpu / run.sent * 1e6:.1f} us of CPU each; {run.reloads} reloads and rotations",
        "growth in MB for a million lines, after the first part: "
        + ", ".join(f"{name} {slope(samples, name) / 1e6:+.2f}" for name in _SIZES),
        f"resident at most: {max(one.rss for one in samples) / 1e6:.1f} MB",
    ]
    rows = [row(one) for one in (*at, samples[-1])]
    show("Memory of the service", rows, as_json=options.json, notes=notes)


if __name__ == "__main__":
    main()
