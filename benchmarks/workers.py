"""What more processes bring: ``python -m benchmarks.workers [--service] [--lines 500000] [FILE]``.

``mailingest replay --jobs N`` of the same log for several N, in turns, into a new store each time;
with ``--service``, ``mailingest run`` with ``workers = N``, which gets the log by one TCP
connection.  Its start does not count there, and beside several workers there is one that receives.
``CPU s`` is that of all processes, start included, and ``busiest`` that of the process that used
most.  ``times`` is how many times faster it is where each process has a core of its own: the CPU
time of one process, over that of the busiest one.  ``wall`` only means something on a machine with
nothing else to do.  A process has threads that store, which may keep a second core busy.
"""

import argparse
import socket
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Final

from benchmarks.generate import generate, write
from benchmarks.measure import (
    MAILINGEST,
    MeasurementError,
    Usage,
    cpu_seconds,
    daemon,
    finish,
    free_port,
    show,
)
from mailingest.spool.status_socket import ask

_STORES: Final = {"sqlite": "", "ndjson": '[ndjson]\npath = "{directory}/mail.ndjson"\n'}
_POLL_SECONDS: Final = 0.02
# Each answer costs as much as some lines.
_LOOK_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Run:
    """What a replay used, and its busiest process of that: seconds of CPU."""

    usage: Usage
    busiest: float


def replayed(log: Path, jobs: int, store: str) -> Run:
    """Replay a log into a new store."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory, "mailingest.toml")
        config.write_text(
            f'[state]\ndirectory = "{directory}/state"\n{_STORES[store]}'.format(
                directory=directory
            )
        )
        command = [*MAILINGEST, "replay", "--config", str(config), "--jobs", str(jobs), str(log)]
        began = time.perf_counter()
        process = Popen(command, stdout=DEVNULL, stderr=DEVNULL)
        busiest = _busiest(process.pid)
        usage = finish(process, began)
    if process.returncode:
        raise MeasurementError(f"{' '.join(command)} ended with {process.returncode}")
    return Run(usage, busiest)


def received(log: Path, workers: int, store: str) -> Run:
    """Send a log to a service with so many workers, and wait until all is in a new store."""
    with tempfile.TemporaryDirectory() as directory:
        place, port = Path(directory), free_port("tcp")
        config = (
            f"workers = {workers}\n[inputs]\nudp = []\n[[inputs.tcp]]\nport = {port}\n"
            f'[state]\ndirectory = "{directory}/state"\n{_STORES[store]}'
        ).format(directory=directory)
        lines = log.read_bytes()
        with daemon(config, place, port, "tcp") as running:
            before = {pid: cpu_seconds(pid) for pid in running.pids()}
            began = time.perf_counter()
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(lines)
            count = lines.count(b"\n")
            while ask(place / "state", _ANSWER_SECONDS)["counters"]["documents_stored"] < count:
                running.check()
                time.sleep(_LOOK_SECONDS)
            wall = time.perf_counter() - began
            used = {pid: cpu_seconds(pid) - before[pid] for pid in running.pids()}
    return Run(Usage(wall, sum(used.values()), 0), max(used.values()))


def _busiest(pid: int) -> float:
    """The most CPU time that one of a process and its workers has used, when they have ended."""
    used: dict[int, float] = {}
    while True:
        try:
            pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
            used |= {one: cpu_seconds(one) for one in pids}
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return max(used.values())
        except FileNotFoundError:
            continue  # a worker has just ended
        time.sleep(_POLL_SECONDS)


def rows(log: Path, lines: int, options: argparse.Namespace) -> list[dict[str, float | int | str]]:
    """A row for each number of processes; of several runs, the one that used least CPU counts."""
    best: dict[int, Run] = {}
    for _ in range(options.repeat):
        for jobs in options.jobs:
            measured = received if options.service else replayed
            run = measured(log, jobs, options.store)
            if jobs not in best or run.usage.cpu < best[jobs].usage.cpu:
                best[jobs] = run
    alone = best[options.jobs[0]]
    return [
        {
            "processes": jobs,
            "CPU s": round(run.usage.cpu, 1),
            "lines/CPU s": round(lines / run.usage.cpu),
            "busiest": round(run.busiest, 1),
            "times": round(alone.usage.cpu / run.busiest, 2),
            "wall": round(run.usage.wall, 1),
        }
        for jobs, run in best.items()
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("file", metavar="FILE", nargs="?", type=Path, help="a log (else made up)")
    parser.add_argument("--service", action="store_true", help="of the service, not of a replay")
    parser.add_argument("--lines", type=int, default=500_000, help="length of a made-up log")
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2, 4], metavar="N")
    parser.add_argument("--store", choices=_STORES, default="sqlite")
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        log = options.file or Path(directory, "mail.log")
        if options.file is None:
            write(log, generate(options.lines, 1))
        with log.open("rb") as file:
            lines = sum(1 for _ in file)
        way = "run, workers = N," if options.service else "replay --jobs N"
        title = f"mailingest {way} of {lines:,} lines, store: {options.store}"
        show(title, rows(log, lines, options), as_json=options.json)


if __name__ == "__main__":
    main()
