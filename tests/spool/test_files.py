"""Files below the state directory: replaced whole or not at all, and read by nobody else."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailingest.errors import UsageError
from mailingest.spool.files import make_directory, replace_file
from tests.support.documents import public_directory, unprivileged


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


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


def test_a_directory_that_cannot_be_written_is_named() -> None:
    with public_directory() as directory, unprivileged():
        refused = pytest.raises(UsageError, match=r"^state\.directory: .* may not write")
        with refused:
            make_directory(directory, "state.directory")
        with refused:
            make_directory(directory / "a" / "b", "state.directory")
