"""Runs commands and daemons, and reads from the kernel what they cost."""

import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

MAILINGEST: Final = (sys.executable, "-m", "mailingest")
_PROJECT: Final = Path(__file__).resolve().parent.parent
_NOWHERE: Final = Path(os.devnull)
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05
_TICKS: Final = os.sysconf("SC_CLK_TCK")

Figures = Mapping[str, float | int | str]


class MeasurementError(Exception):
    """There is no figure: what was to be measured did not run.  One line says why."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a finished process used: seconds of wall clock and of CPU, bytes of memory at most."""

    wall: float
    cpu: float
    max_rss: int


def run(
    command: Sequence[str],
    *,
    stdin: IO[bytes] | None = None,
    stdout: Path = _NOWHERE,
    env: Mapping[str, str] | None = None,
) -> Usage:
    """Run a command to its end, its output to a file; raises MeasurementError if it fails."""
    began = time.perf_counter()
    with stdout.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=stdin, stdout=output, stderr=subprocess.PIPE, cwd=_PROJECT, env=env
        )
    assert process.stderr
    complaints = process.stderr.read()
    process.stderr.close()
    usage = finish(process, began)
    if process.returncode:
        last = complaints.decode(errors="replace").strip().rpartition("\n")[2]
        raise MeasurementError(f"{' '.join(command)} ended with {process.returncode}: {last}")
    return usage


def finish(process: "subprocess.Popen[bytes]", began: float) -> Usage:
    """Wait for a process; ``began`` is when it was started, by ``perf_counter``."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage_of(began, usage)


def usage_of(began: float, used: resource.struct_rusage) -> Usage:
    """Usage from what the kernel reports at the end of a process started at ``began``."""
    # ru_maxrss is in KiB on Linux.
    wall = time.perf_counter() - began
    return Usage(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def cpu_seconds(pid: int) -> float:
    """Seconds of CPU that a running process has used."""
    # The program's name, in parentheses, may hold blanks; utime and stime are 14 and 15.
    values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / _TICKS


class Daemon:
    """A running ``mailingest run``."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """The daemon's own, without its workers."""
        return self._process.pid

    def check(self) -> None:
        """Raise MeasurementError if the daemon has ended."""
        if self._process.poll() is not None:
            last = self._log.read_text(errors="replace").strip().rpartition("\n")[2]
            raise MeasurementError(f"mailingest run ended with {self._process.returncode}: {last}")

    def pids(self) -> list[int]:
        """The daemon and its worker processes."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return [self._process.pid, *map(int, children.split())]

    def cpu(self) -> float:
        """Seconds of CPU used until now, by all its processes."""
        return sum(map(cpu_seconds, self.pids()))

    def memory(self) -> dict[str, int]:
        """Bytes resident now (``rss``), at most (``peak``), shared pages split up (``pss``).

        ``anon`` are those now that are of no file.
        """
        names = {"VmRSS": "rss", "VmHWM": "peak", "Pss": "pss", "RssAnon": "anon"}
        totals = dict.fromkeys(names.values(), 0)
        for pid in self.pids():
            for file in ("status", "smaps_rollup"):
                for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
                    name, _, value = line.partition(":")
                    if name in names:
                        totals[names[name]] += int(value.split()[0]) * 1024
        return totals


@contextmanager
def daemon(
    config: str,
    directory: Path,
    port: int,
    kind: str,
    *,
    program: Sequence[str] = MAILINGEST,
) -> Iterator[Daemon]:
    """Run the daemon with this configuration until the block ends.

    It counts as started when it has the UDP or TCP ``port`` (``kind``) open.  ``program`` is what
    runs it.
    """
    file = directory / "mailingest.toml"
    file.write_text(config)
    log = directory / "mailingest.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [*program, "run", "--config", str(file)],
            stdout=stderr,
            stderr=stderr,
            stdin=subprocess.DEVNULL,
            cwd=_PROJECT,
        )
    running = Daemon(process, log)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not (socket_line(kind, port)):
            running.check()
            if time.monotonic() > deadline:
                raise MeasurementError(f"mailingest run did not open {kind} port {port}")
            time.sleep(_POLL_SECONDS)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def socket_line(kind: str, port: int) -> list[str] | None:
    """The columns of /proc/net/udp or tcp for a local port that is bound or listening."""
    for table in (f"/proc/net/{kind}", f"/proc/net/{kind}6"):
        if Path(table).exists():
            for line in Path(table).read_text().splitlines()[1:]:
                columns = line.split()
                # 07 is "no peer" for UDP, 0A is "listening" for TCP.
                if columns[1].endswith(f":{port:04X}") and columns[3] in ("07", "0A"):
                    return columns
    return None


def free_port(kind: str) -> int:
    """A port that nobody had a moment ago."""
    with socket.socket(type=socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def show(title: str, rows: Sequence[Figures], *, as_json: bool, notes: Sequence[str] = ()) -> None:
    """Print rows with the same keys as a table and notes below, or one JSON object for scripts."""
    if as_json:
        print(json.dumps({"benchmark": title, "rows": rows, "notes": notes}))
        return
    print(title)
    cells = [[*rows[0]], *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        first, *others = zip(line, widths, strict=True)
        print("  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]))
    for note in notes:
        print(note)


def _cell(value: float | str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) or abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.2f}"


def resident_bytes() -> int:
    """What of this process is in memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise MeasurementError("the kernel tells no VmRSS")
