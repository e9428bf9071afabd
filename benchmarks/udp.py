"""UDP on loopback into a running daemon: ``python -m benchmarks.udp [--rate R] [--seconds S]``.

A second process sends made-up lines at an even rate, in bursts of some ten; the daemon stores them
in SQLite.  Each line sent is stored, rejected, dropped by the kernel or lost; the table says how
many, and what it cost.
"""

import argparse
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
from benchmarks.measure import MeasurementError, daemon, free_port, show, socket_line

_BURSTS_PER_SECOND: Final = 1_000
_DRAIN_SECONDS: Final = 180.0


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


def _measure(rate: float, seconds: float, seed: int) -> dict[str, float | int]:
    start = datetime.now(UTC).isoformat()
    count = int(rate * seconds)
    lines = [line.rstrip(b"\n") for line in generate(count, seed, pri=True, start=start)]
    port = free_port("udp")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        config = store.CONFIG.format(port=port, directory=directory)
        with daemon(config, directory, port, "udp") as running:
            idle = running.cpu()
            result, report = get_context("fork").Pipe(duplex=False)
            sender = get_context("fork").Process(target=_send, args=(lines, port, rate, report))
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
        "sent/s": round(count / took),
        "kernel drops": drops,
        "stored": stored,
        "stored when sent": in_time,
        "rejected": rejected,
        "lost": count - stored - rejected,
        "CPU s/100k": cpu / max(1, stored) * 100_000,
        "RSS MB": memory["rss"] / 1e6,
        "peak MB": memory["peak"] / 1e6,
    }


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.udp", description=__doc__)
    parser.add_argument("--rate", type=float, default=20_000, help="lines a second")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = _measure(options.rate, options.seconds, options.seed)
    if options.json:
        show("udp", [figures], as_json=True)
    else:
        rows = [{"UDP on loopback into SQLite": key, "": value} for key, value in figures.items()]
        show(f"{options.rate:,.0f} lines/s for {options.seconds:g} s", rows, as_json=False)


if __name__ == "__main__":
    main()
