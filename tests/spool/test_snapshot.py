"""What is kept from one run to the next: files replaced whole, snapshots that cannot hurt."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mailingest.config import Settings
from mailingest.errors import UsageError
from mailingest.pipeline import Pipeline
from mailingest.spool.journal import Position
from mailingest.spool.snapshot import make_directory, position_row, replace_file, restore
from mailingest.wiring import build_pipeline

NOW = 1_795_500_000.0
POSITION = Position(1234567, 890)
ACTIVE = (
    b"Nov 24 06:00:00 mx1 postfix/qmgr[7]: 4AB12CD34: from=<ann@example.org>, size=1, nrcpt=1 "
    b"(queue active)"
)


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


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


def failing_rows() -> Iterator[bytes]:
    yield b"half"
    raise OSError(28, "No space left on device")


@pytest.mark.usefixtures("usual_umask")
def test_a_file_is_written_line_by_line_for_its_group_only(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, [b"one", b"two"])
    assert path.read_bytes() == b"one\ntwo\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, [b"old"] * 1000)
    with path.open("rb") as reader:
        replace_file(path, [b"new"])
        assert reader.read() == b"old\n" * 1000
    assert path.read_bytes() == b"new\n"


def test_the_old_content_stays_if_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, [b"old"])
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, failing_rows())
    assert path.read_bytes() == b"old\n"
    replace_file(path, [b"new"])
    assert path.read_bytes() == b"new\n"
    assert list(tmp_path.iterdir()) == [path]


def test_content_and_name_are_on_disk_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old\n")
    synced: list[tuple[bool, bytes]] = []
    really: Callable[[int], None] = os.fsync

    def fsync(descriptor: int) -> None:
        really(descriptor)
        synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), path.read_bytes()))

    monkeypatch.setattr(os, "fsync", fsync)
    replace_file(path, [b"new"])
    assert synced == [(False, b"old\n"), (True, b"new\n")]


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    replace_file(tmp_path / "file", [b"new"])
    with pytest.raises(OSError, match="No space left"):
        replace_file(tmp_path / "file", failing_rows())
    assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.mark.usefixtures("usual_umask")
def test_a_directory_is_made_with_its_parents(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    make_directory(path, "state.directory")
    make_directory(path, "state.directory")
    assert stat.S_IMODE(path.stat().st_mode) == 0o750


@pytest.mark.parametrize("below", ["", "below"])
def test_a_file_in_the_place_of_a_directory_is_named(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(UsageError) as caught:
        make_directory(file / below, "state.directory")
    message = str(caught.value)
    assert message.startswith(f"state.directory: cannot make {file / below}: ")
    assert "\n" not in message


def test_a_directory_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write anywhere, and tests may run as root.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UsageError, match=r"^state\.directory: cannot write to .*: make it"):
        make_directory(tmp_path, "state.directory")


def test_a_snapshot_is_given_to_the_pipeline(snapshot: Path) -> None:
    pipeline = build_pipeline(Settings(), live=True)
    with capture_logs() as logs:
        assert restore(pipeline, snapshot) == POSITION
    assert len(pipeline.queue_map) == 1
    assert [(log["log_level"], log["queue_ids"]) for log in logs] == [("info", 1)]


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
