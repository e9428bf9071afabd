"""Snapshots: what is kept from one run to the next, and cannot hurt."""

from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mailingest.config import Settings
from mailingest.pipeline import Pipeline
from mailingest.spool.files import replace_file
from mailingest.spool.records import Position
from mailingest.spool.snapshot import position_row, restore
from mailingest.wiring import build_pipeline

NOW = 1_795_500_000.0
POSITION = Position(1234567, 890)
ACTIVE = (
    b"Nov 24 06:00:00 mx1 postfix/qmgr[7]: 4AB12CD34: from=<ann@example.org>, size=1, nrcpt=1 "
    b"(queue active)"
)


@pytest.fixture
def pipeline() -> Pipeline:
    return build_pipeline(Settings(), live=True)


@pytest.fixture
def snapshot(tmp_path: Path, pipeline: Pipeline) -> Path:
    """A file with a snapshot of one queue ID."""
    path = tmp_path / "queue-ids"
    pipeline.feed(ACTIVE, NOW)
    replace_file(path, [position_row(POSITION), *pipeline.snapshot()])
    return path


def test_a_snapshot_is_given_to_the_pipeline(snapshot: Path) -> None:
    pipeline = build_pipeline(Settings(), live=True)
    with capture_logs() as logs:
        assert restore(pipeline, snapshot) == POSITION
    assert len(pipeline.queue_map) == 1
    assert [(log["log_level"], log["queue_ids"]) for log in logs] == [("info", 1)]


def test_the_place_is_written_as_it_always_was(snapshot: Path) -> None:
    assert snapshot.read_bytes().startswith(b"[1234567,890,576931329]\n")


def test_a_first_start_has_no_snapshot(tmp_path: Path, pipeline: Pipeline) -> None:
    with capture_logs() as logs:
        assert restore(pipeline, tmp_path / "queue-ids") is None
    assert logs == []


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda whole: b"", id="empty"),
        pytest.param(lambda whole: whole[: len(whole) // 2], id="cut in the middle"),
        pytest.param(lambda whole: whole.rsplit(b"\n", 2)[0] + b"\n", id="without its last line"),
        pytest.param(lambda whole: b"\0" * len(whole), id="zeros, as after a power failure"),
        pytest.param(lambda whole: whole.replace(b"ann", b"eve"), id="changed"),
        pytest.param(lambda whole: whole.replace(b"[1234567", b"[2234567"), id="other place"),
        pytest.param(lambda whole: whole.partition(b"\n")[2], id="without its place"),
        pytest.param(lambda whole: b"[]\n" + whole, id="no place"),
        pytest.param(lambda whole: b"7\n" + whole, id="a number for a place"),
        pytest.param(lambda whole: b'{"mailingest_queue_map":1}\n0\n--\n', id="another version"),
        pytest.param(lambda whole: b"\xff\xfe rubbish\n", id="rubbish"),
        pytest.param(lambda whole: b"null\n1\n[]\n", id="other JSON"),
    ],
)
def test_a_damaged_snapshot_is_set_aside_with_a_warning(
    snapshot: Path, damage: Callable[[bytes], bytes]
) -> None:
    damaged = damage(snapshot.read_bytes())
    snapshot.write_bytes(damaged)
    pipeline = build_pipeline(Settings(), live=True)
    with capture_logs() as logs:
        assert restore(pipeline, snapshot) is None
    assert len(pipeline.queue_map) == 0
    aside = snapshot.with_name("queue-ids.damaged")
    assert aside.read_bytes() == damaged
    assert not snapshot.exists()
    assert [(log["log_level"], log["path"]) for log in logs] == [("warning", str(aside))]


def test_a_snapshot_that_cannot_be_read_is_set_aside(tmp_path: Path, pipeline: Pipeline) -> None:
    path = tmp_path / "queue-ids"
    path.mkdir()
    with capture_logs() as logs:
        restore(pipeline, path)
    assert [log["log_level"] for log in logs] == ["warning"]
    replace_file(path, pipeline.snapshot())
    assert path.is_file()
