"""UDP on loopback into a running daemon: ``python -m benchmarks.udp [--rate R] [--seconds S]``.

A day of 12 million lines is ``--rate 139 --warm-up 60 --seconds 120``: what was sent to warm up
(the start, the first patterns, the day's file) does not count for the CPU.

A second process sends made-up lines at an even rate, in bursts of some ten; the daemon stores them
in SQLite.  Each line sent is stored, rejected, dropped by the kernel or lost; the table says how
many, and what it cost.

With ``--receive-only`` the daemon's store does not answer, and what it can hold is full before the
measurement: so lines go to the spool and no further.
"""

import argparse
import json
import socket
import tempfile
import time
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from benchmarks import store
from benchmarks.generate import generate
from benchmarks.measure import Daemon, MeasurementError, daemon, free_port, show, socket_line

_BURSTS_PER_SECOND: Final = 1_000
_DRAIN_SECONDS: Final = 180.0
_RECEIVE_ONLY: Final = """
[[inputs.udp]]
host = "127.0.0.1"
port = {port}
receive_buffer = "64M"
[elasticsearch]
hosts = ["http://127.0.0.1:9"]
[state]
directory = "{directory}/state"
"""
# More than the daemon keeps in memory when the store takes nothing.
_FILLING: Final = 30_000
_FILLING_RATE: Final = 10_000
_POLL_SECONDS: Final = 1.0


def _send(lines: list[bytes], port: int, rate: float, began: Connection) -> None:
    """Send all lines, ``rate`` a second; tells how long it took, in seconds."""
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))
        start = time.perf_counter()
        sent = 0
        while sent < len(lines):
            due = min(len(lines), int((time.perf_counter() - start) * rate) + 1)
            for line in lines[sent:due]:
                sender.send(line)
            sent = due
            time.sleep(1 / _BURSTS_PER_SECOND)
        began.send(time.perf_counter() - start)


def _kernel_drops(port: int) -> int:
    """Datagrams that found the socket's receive buffer full."""
    columns = socket_line("udp", port)
    if columns is None:
        raise MeasurementError(f"UDP port {port} was closed while lines were sent")
    return int(columns[12])


def _measure(rate: float, seconds: float, seed: int, warm_up: float) -> dict[str, float | int]:
    start = datetime.now(UTC).isoformat()
    warming = int(rate * warm_up)
    count = warming + int(rate * seconds)
    lines = [line.rstrip(b"\n") for line in generate(count, seed, pri=True, start=start)]
    port = free_port("udp")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        config = store.CONFIG.format(port=port, directory=directory)
        with daemon(config, directory, port, "udp") as running:
            _send_all(lines[:warming], port, rate)
            idle = running.cpu()
            result, report = get_context("fork").Pipe(duplex=False)
            rest = lines[warming:]
            sender = get_context("fork").Process(target=_send, args=(rest, port, rate, report))
            sender.start()
            report.close()
            try:
                took = float(result.recv())
                in_time = store.stored(directory)
                stored = store.wait_until_quiet(directory, count, running.check, _DRAIN_SECONDS)
            finally:
                sender.terminate()
                sender.join()
            drops = _kernel_drops(port)
            cpu = running.cpu() - idle
            memory = running.memory()
        # The daemon has ended: what it still held is written now.
        stored = max(stored, store.stored(directory))
        rejected = store.rejected(directory)
    return {
        "sent": count,
        "sent/s": round((count - warming) / took),
        "kernel drops": drops,
        "stored": stored,
        "stored when sent": in_time,
        "rejected": rejected,
        "lost": count - stored - rejected,
        "CPU s/100k": cpu / max(1, stored - warming) * 100_000,
        "share of a core, %": cpu / took * 100,
        "RSS MB": memory["rss"] / 1e6,
        "peak MB": memory["peak"] / 1e6,
    }


def _counters(directory: Path) -> dict[str, int]:
    """What the daemon tells of itself, at most half a second old."""
    state = json.loads((directory / "state/spool/state").read_bytes())
    counters: dict[str, int] = state["counters"]
    return counters


def _settled(directory: Path, running: Daemon) -> dict[str, int]:
    """The counters, once they say twice the same of what came in and was worked on."""
    before: dict[str, int] = {}
    counters = _counters(directory)
    names = ("datagrams_received", "frames_received")
    while not before or any(before[name] != counters[name] for name in names):
        running.check()
        time.sleep(_POLL_SECONDS)
        before, counters = counters, _counters(directory)
    return counters


def _measure_receiving(rate: float, seconds: float, seed: int) -> dict[str, float | int]:
    count = int(rate * seconds)
    made = generate(min(count, 100_000), seed, pri=True, start=datetime.now(UTC).isoformat())
    some = [line.rstrip(b"\n") for line in made]
    lines = (some * (count // len(some) + 1))[:count]
    port = free_port("udp")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        config = _RECEIVE_ONLY.format(port=port, directory=directory)
        with daemon(config, directory, port, "udp") as running:
            _send_all((lines * (_FILLING // count + 1))[:_FILLING], port, _FILLING_RATE)
            before = _settled(directory, running)
            idle = running.cpu()
            took = _send_all(lines, port, rate)
            after = _settled(directory, running)
            cpu, memory = running.cpu() - idle, running.memory()
    names = ("datagrams_received", "datagrams_dropped_by_kernel", "datagrams_dropped")
    received, by_kernel, dropped = (after[name] - before[name] for name in names)
    return {
        "sent": count,
        "sent/s": round(count / took),
        "received": received,
        "kernel drops": by_kernel,
        "refused by the spool": dropped,
        "lost": count - received - by_kernel,
        "parsed meanwhile": after["frames_received"] - before["frames_received"],
        "CPU us each": cpu / max(1, received) * 1e6,
        "RSS MB": memory["rss"] / 1e6,
    }


def _send_all(lines: list[bytes], port: int, rate: float) -> float:
    """Have another process send lines; how many seconds it took."""
    context = get_context("fork")
    result, report = context.Pipe(duplex=False)
    sender = context.Process(target=_send, args=(lines, port, rate, report))
    sender.start()
    report.close()
    try:
        return float(result.recv())
    finally:
        sender.join()


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.udp", description=__doc__)
    parser.add_argument("--rate", type=float, default=20_000, help="lines a second")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--warm-up", type=float, default=0, help="seconds of sending before")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--receive-only", action="store_true", help="to the spool and no further")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.receive_only:
        figures = _measure_receiving(options.rate, options.seconds, options.seed)
    else:
        figures = _measure(options.rate, options.seconds, options.seed, options.warm_up)
    if options.json:
        show("udp", [figures], as_json=True)
    else:
        goal = "the spool" if options.receive_only else "SQLite"
        rows = [{f"UDP on loopback into {goal}": key, "": value} for key, value in figures.items()]
        show(f"{options.rate:,.0f} lines/s for {options.seconds:g} s", rows, as_json=False)


if __name__ == "__main__":
    main()
