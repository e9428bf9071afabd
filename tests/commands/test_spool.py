"""`mailingest spool status`: what it tells of a running daemon, a stopped one, and none."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mailingest.commands.spool import as_text, spool_status
from mailingest.config import Settings, State
from mailingest.config import Spool as SpoolSettings
from mailingest.errors import UsageError
from mailingest.spool.journal import Position, Record
from mailingest.spool.queue import Spool
from mailingest.spool.snapshot import position_row, replace_file
from tests.support.lab.polling import PATIENCE

ARRIVED = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
MEGABYTE = 1024 * 1024


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state=State(directory=tmp_path), spool=SpoolSettings(max_bytes=16 * MEGABYTE))


@pytest.fixture
def spool(settings: Settings) -> Iterator[Spool]:
    """One with four lines in two records, of which the first is taken."""
    directory = settings.state.directory / "spool"
    directory.mkdir()
    spool = Spool(directory, max_octets=settings.spool.max_bytes)
    spool.open(None)
    first = Record(ARRIVED.timestamp() - 60, "192.0.2.1", 7, [b"a"])
    spool.append([first, Record(ARRIVED.timestamp(), "192.0.2.1", 7, [b"b", b"c", b"d"])])
    assert spool.take() == first
    spool.look()
    yield spool
    spool.close()


def test_without_a_spool_there_is_nothing(settings: Settings) -> None:
    status = spool_status(settings)
    assert not status.running
    assert (status.bytes, status.frames_kept, status.frames_waiting) == (0, 0, 0)
    assert status.oldest_waiting is None


def test_a_running_daemon_waits_with_what_it_has_not_taken(
    settings: Settings, spool: Spool
) -> None:
    status = spool_status(settings)
    assert status.running
    assert (status.frames_kept, status.frames_waiting) == (4, 3)
    assert status.position == spool.position.octets
    assert status.bytes == status.end == spool.octets
    assert status.bytes_waiting == status.end - status.position
    assert status.oldest_waiting == "2026-11-24T12:00:00+00:00"


@pytest.mark.parametrize("damage", [b"", b"rubbish\n", b"[1, 2, 3]\n"])
def test_a_stopped_daemon_will_begin_at_the_beginning_without_a_snapshot(
    settings: Settings, spool: Spool, damage: bytes
) -> None:
    spool.close()
    if damage:
        (settings.state.directory / "queue-ids").write_bytes(damage)
    status = spool_status(settings)
    assert not status.running
    assert (status.frames_kept, status.frames_waiting) == (4, 4)
    assert status.oldest_waiting == "2026-11-24T11:59:00+00:00"


@pytest.mark.parametrize(
    ("position", "waiting"),
    [
        pytest.param(lambda spool: spool.position, 3, id="behind the first record"),
        pytest.param(lambda spool: Position(10**9, 10**9), 0, id="beyond the end"),
    ],
)
def test_a_stopped_daemon_will_begin_at_its_snapshot(
    settings: Settings, spool: Spool, position: Any, waiting: int
) -> None:
    spool.close()
    replace_file(settings.state.directory / "queue-ids", [position_row(position(spool)), b"[]"])
    assert spool_status(settings).frames_waiting == waiting


def test_a_full_spool_says_why(settings: Settings, spool: Spool) -> None:
    line = Record(ARRIVED.timestamp(), "192.0.2.1", 7, [b"x" * 60_000])
    while spool.append([line]):
        pass
    spool.look()
    status = spool_status(settings)
    assert status.full == "spool.max_bytes is reached"
    text = as_text(status, ARRIVED)
    assert "state      FULL: spool.max_bytes is reached" in text


def test_the_text_tells_the_age_of_the_oldest_line(settings: Settings, spool: Spool) -> None:
    text = as_text(spool_status(settings), ARRIVED.replace(minute=2))
    assert "daemon     runs" in text
    assert "state      has room" in text
    assert "waiting    3 lines, " in text
    assert "the oldest came 120 s ago, at 2026-11-24T12:00:00+00:00" in text


def test_what_cannot_be_read_is_named(settings: Settings, spool: Spool) -> None:
    state = settings.state.directory / "spool" / "state"
    spool.close()
    state.unlink()
    state.mkdir()
    (settings.state.directory / "queue-ids").mkdir()
    with pytest.raises(UsageError, match=r"queue-ids: Is a directory$"):
        spool_status(settings)


@pytest.mark.parametrize("is_full", [False, True])
def test_the_command_prints_json_and_its_exit_code_tells_whether_there_is_room(
    settings: Settings, spool: Spool, tmp_path: Path, is_full: bool
) -> None:
    while is_full and spool.append([Record(1.0, "", 7, [b"x" * 60_000])]):
        pass
    spool.look()
    config = tmp_path / "mailingest.toml"
    config.write_text(f'[state]\ndirectory = "{tmp_path}"\n[spool]\nmax_bytes = 16777216\n')
    done = subprocess.run(
        [sys.executable, "-m", "mailingest", "spool", "status", "--json", "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == int(is_full), done.stderr
    told = json.loads(done.stdout)
    assert told["running"] is True
    assert told["frames_waiting"] >= 3
    assert (told["full"] is not None) == is_full
