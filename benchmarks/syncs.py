"""What a sync costs: ``python -m benchmarks.syncs [--directory DIR]``.

Senders hand over bursts of lines to the intake of a daemon, each burst over a connection of its
own, and wait for its orderly end; the spool is on the disk of DIR.  Nothing takes the lines out, so
that the figures are those of accepting alone.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.measure import Figures, show
from mailingest.inputs.stream import TcpInput
from mailingest.service.intake import Intake
from mailingest.spool.positions import Positions
from mailingest.spool.queue import Spool

_LINE: Final = (
    b"<22>Nov 24 15:41:22 mx1 postfix/smtp[914]: 652D1A4A862: to=<bob@example.net>,"
    b" relay=mx.example.net[198.51.100.9]:25, delay=0.18, delays=0.12/0/0.02/0.04, dsn=2.0.0,"
    b" status=sent (250 2.0.0 Ok: queued as AB12CD34)\n"
)
_MODES: Final = ("never", "interval", "always")


async def _hand_over(port: int, lines: int) -> None:
    """One burst over a connection of its own, until it is accepted."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_LINE * lines)
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()


async def _sender(port: int, lines: int, until: float) -> int:
    bursts = 0
    while time.perf_counter() < until:
        await _hand_over(port, lines)
        bursts += 1
    return bursts


async def measure(
    directory: Path, mode: str, senders: int, lines: int, seconds: float
) -> dict[str, str | int]:
    """Bursts of so many lines from so many senders, each waiting for its acceptance."""
    spool = Spool(directory, max_bytes=1 << 40)
    spool.open(None)
    positions = Positions(directory / "positions", spool, syncs=mode != "never")
    intake = Intake(spool, positions, syncs_first=mode == "always")
    tcp = TcpInput(
        "127.0.0.1", 0, max_connections=1000, idle_timeout=None, deliver=intake.take_frames
    )
    tcp.open()
    serving = asyncio.create_task(tcp.serve())
    syncing = asyncio.create_task(_each_second(spool, mode))
    port = int(tcp.address.rsplit(":", 1)[1])
    began = time.perf_counter()
    bursts = sum(
        await asyncio.gather(*(_sender(port, lines, began + seconds) for _ in range(senders)))
    )
    took = time.perf_counter() - began
    syncing.cancel()
    tcp.close()
    await serving
    spool.close()
    return {
        "spool.sync": mode,
        "senders": senders,
        "lines a burst": lines,
        "lines/s": round(bursts * lines / took),
        "ms a burst": f"{1000 * senders * took / bursts:.1f}",
    }


async def _each_second(spool: Spool, mode: str) -> None:
    while mode != "never":
        await asyncio.sleep(1.0)
        await spool.sync()


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.syncs", description=__doc__)
    parser.add_argument("--directory", type=Path, default=None)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows: list[Figures] = []
    for senders, lines in ((1, 1), (1, 100), (20, 100), (20, 2000)):
        for mode in _MODES:
            with (
                tempfile.TemporaryDirectory(dir=options.directory) as name,
                asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
            ):
                rows.append(runner.run(measure(Path(name), mode, senders, lines, options.seconds)))
    show("what a sync costs", rows, as_json=options.json)


if __name__ == "__main__":
    main()
