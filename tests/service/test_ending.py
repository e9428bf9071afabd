"""How the daemon ends: by one signal, by a second one, and when one of its parts fails."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mailingest.config import load
from mailingest.delivery.batcher import Batcher
from mailingest.errors import MailingestError
from mailingest.inputs.stream import TcpInput
from mailingest.inputs.udp import UdpInput
from mailingest.service.daemon import Daemon as InProcess
from mailingest.service.processor import Processor
from mailingest.service.snapshots import Snapshots
from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import PATIENCE, wait_until
from tests.support.site import Site, listens_at, numbered, texts


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


# Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once_and_what_is_not_stored_stays(
    site: Site, number: signal.Signals
) -> None:
    with Daemon(site.config) as daemon:
        site.hand_over(*numbered(0, 1))
        wait_until(lambda: site.count_stored() == 1, "the store is there")
        with site.store_locked():
            site.hand_over(*numbered(1, 5000))
            os.kill(daemon.pid, number)
            wait_until(lambda: '"event": "stopping"' in daemon.log.read_text(), "it is stopping")
            os.kill(daemon.pid, number)
            assert daemon.wait() == -number
    log = daemon.log.read_text()
    assert log.count('"event": "stopping"') == 1
    assert "ended at once by a second signal; lines are in the spool until the next start" in log
    with Daemon(site.config):
        wait_until(lambda: site.count_stored() == 5001, "all is stored")
    assert site.messages() == texts(numbered(0, 5001))


def test_signals_that_come_together_are_one(site: Site) -> None:
    with Daemon(site.config) as daemon:
        site.hand_over(*numbered(0, 100))
        for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
            os.kill(daemon.pid, number)
        assert daemon.wait() == 0
    assert '"event": "stopped"' in daemon.log.read_text()
    assert site.count_stored() == 100


# Faults


@pytest.mark.parametrize(
    ("part", "method"),
    [
        pytest.param(UdpInput, "serve", id="a datagram input"),
        pytest.param(TcpInput, "serve", id="a stream input"),
        pytest.param(Processor, "run", id="the processor"),
        pytest.param(Batcher, "run", id="the batcher"),
        pytest.param(Snapshots, "keep", id="a chore"),
    ],
)
async def test_a_part_that_fails_ends_all_with_its_error(
    site: Site, monkeypatch: pytest.MonkeyPatch, part: type, method: str
) -> None:
    error = RuntimeError("a fault")
    fail = asyncio.Event()

    async def failing(*_: object) -> None:
        await fail.wait()
        raise error

    monkeypatch.setattr(part, method, failing)
    daemon = InProcess(load(site.config))
    running = asyncio.create_task(daemon.main())
    await asyncio.to_thread(wait_until, lambda: listens_at(site.tcp), "it listens")
    fail.set()
    with pytest.raises(RuntimeError) as caught:
        await asyncio.wait_for(running, PATIENCE)
    assert caught.value is error
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not listens_at(site.tcp)
    # The spool is free for another start.
    monkeypatch.undo()
    again = InProcess(load(site.config))
    running = asyncio.create_task(again.main())
    await asyncio.to_thread(site.hand_over_when_up, *numbered(0, 3))
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(running, PATIENCE) == 0
    assert site.count_stored() == 3


async def test_a_part_that_fails_while_it_drains_ends_all_with_its_error(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = RuntimeError("a fault")

    async def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr(Processor, "catch_up", failing)
    running = asyncio.create_task(InProcess(load(site.config)).main())
    await asyncio.to_thread(wait_until, lambda: listens_at(site.tcp), "it listens")
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(RuntimeError) as caught:
        await asyncio.wait_for(running, PATIENCE)
    assert caught.value is error
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_a_reader_of_standard_output_that_goes_ends_it_in_one_line(tmp_path: Path) -> None:
    site = Site(tmp_path, '[ndjson]\npath = "-"\n')
    process = subprocess.Popen(
        # In this mode Python says what was not awaited, not closed, not heard of.
        [sys.executable, "-X", "dev", "-m", "mailingest", "run", "--config", str(site.config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        wait_until(lambda: listens_at(site.tcp), "it listens")
        process.stdout.close()
        site.send_tcp(*numbered(0, 100))
        assert process.stderr is not None
        complaints = [line for line in process.stderr if not line.startswith("{")]
        assert process.wait(PATIENCE) == 1
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()
    assert complaints == ["mailingest: the reader of standard output has gone\n"]


async def test_a_disk_that_cannot_sync_ends_it_and_nobody_takes_lines_for_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    site = Site(tmp_path, '[spool]\nsync = "always"\n')
    monkeypatch.setattr(os, "fdatasync", failing)
    running = asyncio.create_task(InProcess(load(site.config)).main())
    await asyncio.to_thread(wait_until, lambda: listens_at(site.tcp), "it listens")
    # The reset may come at any moment: it is a broken pipe or no connection by then.
    with pytest.raises(OSError, match=r"reset by peer|Broken pipe|not connected"):
        await asyncio.to_thread(site.hand_over, *numbered(0, 3))
    with pytest.raises(MailingestError, match=r"the disk cannot sync the spool"):
        await asyncio.wait_for(running, PATIENCE)
