"""`mailingest spool status`: what it says of a running daemon, a stopped one, and none."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mailingest.commands.spool import as_text, is_well
from mailingest.config import Settings, State
from mailingest.config import Spool as SpoolSettings
from mailingest.errors import UsageError
from mailingest.spool.files import replace_file
from mailingest.spool.queue import Spool
from mailingest.spool.records import FrameBatch, Position
from mailingest.spool.snapshot import position_row
from mailingest.spool.status import spool_status
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
    spool = Spool(directory, max_bytes=settings.spool.max_bytes)
    spool.open(None)
    first = FrameBatch(ARRIVED.timestamp() - 60, "192.0.2.1", 7, [b"a"])
    spool.append([first, FrameBatch(ARRIVED.timestamp(), "192.0.2.1", 7, [b"b", b"c", b"d"])])
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
    assert status.position == spool.position.bytes
    assert status.bytes == status.end == spool.size
    assert status.bytes_waiting == status.end - status.position
    assert status.oldest_waiting == "2026-11-24T12:00:00+00:00"


def test_it_says_what_is_held_and_why_on_one_line(settings: Settings, spool: Spool) -> None:
    assert "HELD" not in as_text(spool_status(settings), ARRIVED)
    # Whatever the server has repeated of a log, the counters are still there.
    spool.look({"documents_held": 7}, "held documents: \x1b[2J\x00" + "\u202e" * 9999)
    status = spool_status(settings)
    assert status.counters == {"documents_held": 7}
    shown = as_text(status, ARRIVED)
    assert r"HELD       held documents: \x1b[2J\x00" in shown
    assert all(line.isprintable() for line in shown.splitlines())
    spool.look()
    assert spool_status(settings).held is None


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
    line = FrameBatch(ARRIVED.timestamp(), "192.0.2.1", 7, [b"x" * 60_000])
    while spool.append([line]):
        pass
    spool.look()
    status = spool_status(settings)
    assert status.full == "spool.max_bytes is reached"
    text = as_text(status, ARRIVED)
    assert "state      FULL: spool.max_bytes is reached" in text


def test_the_text_has_the_age_of_the_oldest_line(settings: Settings, spool: Spool) -> None:
    text = as_text(spool_status(settings), ARRIVED.replace(minute=2))
    assert "daemon     runs" in text
    assert "state      has room" in text
    assert "waiting    3 lines, " in text
    assert "the oldest came 120 s ago, at 2026-11-24T12:00:00+00:00" in text


def test_what_was_lost_is_shown_as_long_as_the_spool_is_there(
    settings: Settings, spool: Spool
) -> None:
    assert as_text(spool_status(settings), ARRIVED).endswith("\nlost       0 lines")
    spool.close()
    [segment] = (settings.state.directory / "spool").glob("*.journal")
    content = segment.read_bytes()
    segment.write_bytes(content[:-1])
    again = Spool(settings.state.directory / "spool", max_bytes=settings.spool.max_bytes)
    again.open(None)
    assert again.take() is not None
    assert again.take() is None
    assert again.frames_lost == 3
    again.close()
    # The control file knows of lines that are not there; without it, it is bytes.
    (settings.state.directory / "spool" / "control").write_bytes(b"")
    segment.write_bytes(content + b"12345")
    again.open(None)
    assert again.bytes_lost == 5
    status = spool_status(settings)
    assert (status.frames_lost, status.bytes_lost) == (0, 5)
    assert as_text(status, ARRIVED).endswith(
        "\nlost       0 lines, and 5 bytes of nobody knows how many lines"
    )
    again.close()


def test_a_daemon_of_the_version_before_runs_all_the_same(settings: Settings, spool: Spool) -> None:
    state = settings.state.directory / "spool" / "state"
    state.write_bytes(b'{"octets":50,"frames":1,"full":null}'.ljust(512))
    assert spool_status(settings).running


def test_what_cannot_be_read_is_named(settings: Settings, spool: Spool) -> None:
    state = settings.state.directory / "spool" / "state"
    spool.close()
    state.unlink()
    state.mkdir()
    (settings.state.directory / "queue-ids").mkdir()
    with pytest.raises(UsageError, match=r"queue-ids: Is a directory$"):
        spool_status(settings)


@pytest.mark.parametrize("is_full", [False, True])
def test_the_command_prints_json_and_its_exit_code_says_whether_there_is_room(
    settings: Settings, spool: Spool, tmp_path: Path, is_full: bool
) -> None:
    while is_full and spool.append([FrameBatch(1.0, "", 7, [b"x" * 60_000])]):
        pass
    spool.look()
    config = tmp_path / "mailingest.toml"
    config.write_text(f'[state]\ndirectory = "{tmp_path}"\n[spool]\nmax_bytes = 16777216\n')
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mailingest",
            "spool",
            "status",
            "--json",
            "--max-age",
            "1e10",
            "--config",
            str(config),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == int(is_full), done.stderr
    status = json.loads(done.stdout)
    assert status["running"] is True
    assert status["frames_waiting"] >= 3
    assert (status["full"] is not None) == is_full


def test_what_was_taken_and_is_not_stored_waits_too(settings: Settings, spool: Spool) -> None:
    while spool.take() is not None:
        pass
    spool.look(unstored=4)
    status = spool_status(settings)
    assert (status.frames_waiting, status.bytes_waiting) == (4, 0)
    assert status.oldest_waiting is not None
    spool.settle(4)
    spool.look()
    status = spool_status(settings)
    assert (status.frames_waiting, status.oldest_waiting) == (0, None)


def test_of_a_stopped_daemon_what_is_stored_waits_no_more(settings: Settings, spool: Spool) -> None:
    spool.settle(3)
    spool.close()
    assert spool_status(settings).frames_waiting == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, True, id="a line has waited for a minute"),
        pytest.param({"oldest_waiting": "2026-11-24T11:50:00+00:00"}, False, id="for too long"),
        pytest.param({"running": False}, False, id="and no daemon runs"),
        pytest.param({"running": False, "frames_waiting": 0}, True, id="none waits, none runs"),
        pytest.param({"full": "the disk is full"}, False, id="the spool is full"),
        pytest.param({"held": "an index is closed"}, False, id="documents are held"),
        pytest.param({"oldest_waiting": None}, False, id="nobody knows since when"),
    ],
)
def test_monitoring_is_told_by_the_exit_code(
    settings: Settings, spool: Spool, changes: dict[str, Any], expected: bool
) -> None:
    status = replace(spool_status(settings), **changes)
    assert is_well(status, ARRIVED.replace(minute=1), 300) is expected
