"""Memory of the daemon with many live queue IDs: ``python -m benchmarks.memory [--queue-ids N]``.

Sends the first three lines of N mails over TCP (client, message-id, queue active), none of which
is ever removed, waits until all are stored, and reads what is resident.  The rate is one that the
daemon keeps up with, so that the figure is that of the queue IDs; with ``--rate 0`` the lines come
as fast as the daemon takes them, and the documents that wait to be written come on top.
"""

import argparse
import socket
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Final

from benchmarks import store
from benchmarks.measure import daemon, free_port, resident_bytes, show
from benchmarks.population import Population
from mailingest.config import Settings
from mailingest.wiring import build_pipeline

_STORE_SECONDS: Final = 300.0
_MAILS_A_WRITE: Final = 200
# Lines that are alike are numbered among the last 131,072.
_OTHER_LINES: Final = 150_000


def mails(count: int, seed: int) -> Iterator[bytes]:
    """The lines of ``count`` mails that stay in the queue, mail by mail."""
    random = Random(seed)
    people = Population(random)
    now = time.time()
    for number in range(count):
        # A thousand mails a second, in the minutes before now.
        moment = now - (count - number) / 1_000
        stamp = f"<22>{datetime.fromtimestamp(moment, UTC).isoformat(timespec='microseconds')} mx1"
        queue_id = people.long_id(moment)
        domain = people.domain()
        size = int(900 + random.expovariate(1 / 40_000))
        yield (
            f"{stamp} postfix/smtpd[811]: {queue_id}: client={people.client()}\n"
            f"{stamp} postfix/cleanup[815]: {queue_id}:"
            f" message-id=<{random.getrandbits(64):016x}.{number}@{domain}>\n"
            f"{stamp} postfix/qmgr[702]: {queue_id}: from=<{people.stranger(domain)}>,"
            f" size={size}, nrcpt=1 (queue active)\n"
        ).encode()


def other_lines(count: int) -> Iterator[bytes]:
    """Lines that are about no queue ID, and all different."""
    stamp = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="microseconds")
    for number in range(count):
        yield f"<22>{stamp} mx1 postfix/smtpd[811]: connect from a{number}[192.0.2.1]".encode()


def _map_alone(count: int, seed: int, result: Connection) -> None:
    """Tell by how many bytes a process grows that only keeps the queue IDs in mind."""
    pipeline = build_pipeline(Settings(), live=False, wait=0.0)
    # What has a bound of its own, such as the numbers of lines that are alike, is full before.
    for line in other_lines(_OTHER_LINES):
        pipeline.feed(line, time.time())
    before = resident_bytes()
    for mail in mails(count, seed):
        for line in mail.splitlines():
            pipeline.feed(line, time.time())
    result.send(resident_bytes() - before)


def _measure_map(count: int, seed: int) -> int:
    # A new interpreter: a fork would fill memory that this process has already.
    context = get_context("spawn")
    result, report = context.Pipe(duplex=False)
    process = context.Process(target=_map_alone, args=(count, seed, report))
    process.start()
    report.close()
    try:
        return int(result.recv())
    finally:
        process.join()


def _send(count: int, seed: int, rate: float, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=_STORE_SECONDS) as connection:
        start = time.monotonic()
        sent = 0
        all_mails = mails(count, seed)
        while piece := list(islice(all_mails, _MAILS_A_WRITE)):
            connection.sendall(b"".join(piece))
            sent += 3 * len(piece)
            if rate:
                time.sleep(max(0.0, start + sent / rate - time.monotonic()))


def _measure(count: int, seed: int, rate: float) -> dict[str, float | int]:
    port = free_port("tcp")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        config = store.CONFIG.format(port=port, directory=directory)
        with daemon(config, directory, port, "tcp") as running:
            empty = running.memory()
            _send(count, seed, rate, port)
            stored = store.wait_until_quiet(directory, 3 * count, running.check, _STORE_SECONDS)
            full = running.memory()
    return {
        "queue IDs": count,
        "lines sent": 3 * count,
        "lines stored": stored,
        "RSS MB empty": empty["rss"] / 1e6,
        "RSS MB": full["rss"] / 1e6,
        "PSS MB": full["pss"] / 1e6,
        "peak MB": full["peak"] / 1e6,
        "map alone, bytes a queue ID": round(_measure_map(count, seed) / count),
        "growth, bytes a queue ID": round((full["rss"] - empty["rss"]) / count),
    }


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--queue-ids", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=10_000, help="lines a second, 0: unbounded")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = _measure(options.queue_ids, options.seed, options.rate)
    if options.json:
        show("memory", [figures], as_json=True)
    else:
        rows = [{"live queue IDs": key, "": value} for key, value in figures.items()]
        show("memory of the daemon, SQLite store", rows, as_json=False)


if __name__ == "__main__":
    main()
