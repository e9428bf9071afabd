"""Power failures: a recorded daemon, cut at any moment, and what the next one makes of the rest.

strace(1) records what a real daemon does to its files while naive senders send.  Each cut takes the
steps up to some moment and makes a directory of what a disk may have then
(`tests.support.lab.powercut`).  A daemon that starts there has to come to its end, and to have what
was accepted: all of it if `spool.sync` is "always", else what was accepted before the last sync.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from benchmarks.fault_check import Event, compare
from benchmarks.fault_load import Expected, Sender
from mailingest.config import Log, load
from mailingest.logs.configuration import configure
from mailingest.service.daemon import Daemon as InProcess
from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import wait_until
from tests.support.lab.powercut import Disk
from tests.support.lab.recording import (
    TRACE,
    Name,
    Step,
    SyncBegins,
    SyncEnds,
    read_trace,
    tracer_of,
)
from tests.support.ports import free_port
from tests.support.sqlite import stored_bodies

SYNCS: Final = ("always", "interval")
STORES: Final = ("sqlite", "ndjson")
SYNC_INTERVAL: Final = 0.2

_CONFIG: Final = """
shutdown_timeout = 300.0
[index]
prefix = "faults"
[inputs]
udp = []
tcp = {tcp}
[batch]
max_age = 0.2
[state]
directory = "{state}"
snapshot_interval = 0.3
[log]
level = "warning"
[spool]
max_bytes = 16777216
sync = "{sync}"
sync_interval = {interval}
{output}
"""
_HOSTS: Final = 4
_PAUSE: Final = 0.02
_LINE: Final = re.compile(r"<22>\S+ (\S+) postfix/\w+\[100\]: (.*)")


@dataclass(frozen=True, slots=True)
class Recording:
    """What a daemon did, with the directory it worked in, and what deliveries have to know."""

    steps: Sequence[Step]
    state: Path
    store: str
    sync: str
    senders: Sequence[Sender]


def record(directory: Path, store: str, sync: str, bursts: int, seed: int) -> Recording:
    """Record a daemon while so many bursts are accepted, and end it at once."""
    directory.mkdir()
    state, port = directory / "state", free_port()
    config = _configured(directory, state, store, sync, f"[{{port = {port}}}]")
    trace = directory / "trace"
    senders = [Sender(f"mx{number}", port, seed, _PAUSE) for number in range(_HOSTS)]
    # --daemonize has strace be the child, so that the daemon is the process that was started.
    with Daemon(config, [*TRACE, "--daemonize", f"--output={trace}"]) as daemon:
        for sender in senders:
            sender.start()
        wait_until(lambda: sum(one.bursts for one in senders) >= bursts, "the bursts are accepted")
        for sender in senders:
            sender.stop()
        tracer = tracer_of(daemon.pid)
        daemon.kill()
        wait_until(lambda: not tracer.exists(), "the recording is whole")
    return Recording(read_trace(trace, state), state, store, sync, senders)


def cut(
    recording: Recording, directory: Path, random: Random, *, ignores_syncs: bool = False
) -> dict[str, int]:
    """Cut the power at some moment, start a daemon on the rest, and compare."""
    steps = recording.steps[: random.randrange(len(recording.steps) + 1)]
    disk = Disk(steps, ignores_syncs=ignores_syncs)
    state = directory / "state"
    shutil.rmtree(directory, ignore_errors=True)
    state.mkdir(parents=True)
    disk.restore(recording.state, state, random)
    config = _configured(directory, state, recording.store, recording.sync, "[]")
    asyncio.run(_to_its_end(config))
    accepted = _expected(recording, disk.accepted)
    figures = compare(list(_events(state, recording.store)), accepted, [], []).figures
    figures["lines accepted"] = sum(one.messages.total() for one in accepted.values())
    figures["cuts with loss"] = int(figures["missing"] > 0)
    if recording.sync == "interval":
        figures |= _late_ones(recording, steps, disk, state)
    return figures


def _late_ones(
    recording: Recording, steps: Sequence[Step], disk: Disk, state: Path
) -> dict[str, int]:
    """What was accepted before the last sync is missing, or how old the oldest of the others is."""
    last = _last_sync(steps)
    found = Counter(event["message"] for event in _events(state, recording.store))
    early = [(at, data) for at, data in disk.accepted if at < last]
    missing = sum((one.messages - found).total() for one in _expected(recording, early).values())
    age = max((steps[-1].time - at for at in _missing(disk.accepted, found)), default=0.0)
    return {
        "missing, accepted before the last sync": missing,
        "oldest missing, ms": int(age * 1000),
    }


def _last_sync(steps: Sequence[Step]) -> float:
    """When the last sync of the journal began that came to its end, with the names of its files."""
    journals: set[int] = set()
    begun: dict[int, tuple[int | Path, float, set[int]]] = {}
    synced: dict[int, float] = {}
    named: set[int] = set()
    for step in steps:
        match step.operation:
            case Name(path=path, file=file) if path.suffix == ".journal":
                journals.add(file)
            case SyncBegins(target=target, number=number):
                begun[number] = target, step.time, set(journals)
            case SyncEnds(number=number):
                target, time_of_begin, known = begun.pop(number)
                if isinstance(target, int) and target in journals:
                    synced[target] = time_of_begin
                elif isinstance(target, Path) and target.name == "spool":
                    named |= known
    return max((synced[file] for file in named & synced.keys()), default=0.0)


def _missing(accepted: Sequence[tuple[float, bytes]], found: Counter[str]) -> Iterator[float]:
    """When each missing line was accepted; of identical ones, the later are those that miss."""
    left = Counter(found)
    for at, data in accepted:
        for _, text in _lines(data):
            left[text] -= 1
            if left[text] < 0:
                yield at


def _expected(recording: Recording, accepted: Sequence[tuple[float, bytes]]) -> dict[str, Expected]:
    expected: defaultdict[str, Expected] = defaultdict(Expected)
    for _, data in accepted:
        for host, text in _lines(data):
            expected[host].messages[text] += 1
    for sender in recording.senders:
        of_host = expected[sender.host]
        of_host.deliveries |= {
            text: facts
            for text, facts in sender.expected.deliveries.items()
            if text in of_host.messages
        }
    return dict(expected)


def _lines(data: bytes) -> Iterator[tuple[str, str]]:
    return ((line[1], line[2]) for line in _LINE.finditer(data.decode()))


async def _to_its_end(config: Path) -> None:
    """Start, store what there is, and stop."""
    running = asyncio.create_task(InProcess(load(config)).main())
    await asyncio.sleep(0)  # from then on it knows the signal
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 0


def _configured(directory: Path, state: Path, store: str, sync: str, tcp: str) -> Path:
    output = f'[ndjson]\npath = "{state}/mail.ndjson"' if store == "ndjson" else ""
    config = directory / "mailingest.toml"
    config.write_text(
        _CONFIG.format(tcp=tcp, state=state, sync=sync, interval=SYNC_INTERVAL, output=output)
    )
    return config


def _events(state: Path, store: str) -> Iterator[Event]:
    if store == "ndjson":
        # A half line may be left of what was written last, and its repetition follows.
        for line in (state / "mail.ndjson").read_bytes().split(b"\n"):
            try:
                yield json.loads(line)
            except ValueError:
                continue
        return
    for path in (state / "mail").glob("*.sqlite"):
        with closing(sqlite3.connect(path)) as day:
            yield from (body for _, body in stored_bodies(day))


def run_cuts(directory: Path, rounds: int, seed: int, bursts: int = 150) -> dict[str, int]:
    """Recordings with each store and each kind of sync, and N cuts in all; the figures."""
    # The daemons of this process have much to say.
    configure(Log(level="error"))
    began = time.monotonic()
    kinds = [(store, sync) for store in STORES for sync in SYNCS]
    total: Counter[str] = Counter()
    oldest = 0
    for number, (store, sync) in enumerate(kinds):
        recording = record(directory / f"{store}-{sync}", store, sync, bursts, seed)
        random = Random(f"{seed} {store} {sync}")
        for _ in range(rounds // len(kinds) + (number < rounds % len(kinds))):
            figures = cut(recording, directory / "cut", random)
            oldest = max(oldest, figures.pop("oldest missing, ms", 0))
            late = figures.pop("missing, accepted before the last sync", 0)
            total[f"{sync}: cuts"] += 1
            total[f"{sync}: cuts with loss"] += figures["cuts with loss"]
            total[f"{sync}: lines accepted before the cut"] += figures["lines accepted"]
            total[f"{sync}: missing"] += figures["missing"]
            total[f"{sync}: missing, accepted before the last sync"] += late
            total[f"{sync}: facts missing in deliveries"] += figures["facts missing in deliveries"]
    return {
        "rounds": rounds,
        **dict(sorted(total.items())),
        "interval: oldest missing, ms before the cut": oldest,
        "seconds": round(time.monotonic() - began),
    }
