"""The control file: what it says is as it was written, or it says nothing."""

import os
import tempfile
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from mailingest.errors import UsageError
from mailingest.spool.control import ControlFile, read_control
from mailingest.spool.losses import Losses
from mailingest.spool.records import Position
from tests.spool.damaging import file_header

END = Position(1 << 40, 1 << 33)
LOSSES = Losses(12, 345, 6, [(7, 9), (1 << 40, (1 << 40) + 10)])


def write(directory: Path) -> Path:
    control = ControlFile(directory)
    control.open()
    control.losses = LOSSES
    control.write_losses()
    control.write_end(END)
    control.close()
    return directory / "control"


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write(tmp_path)
    assert read_control(tmp_path) == (END, LOSSES)
    control = ControlFile(tmp_path)
    with capture_logs() as logs:
        control.open()
    assert (control.end, control.losses, control.knows_losses) == (END, LOSSES, True)
    assert logs == []
    control.close()


def test_a_shorter_row_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    write(tmp_path)
    control = ControlFile(tmp_path)
    control.open()
    control.losses = Losses(1)
    control.write_losses()
    control.close()
    assert read_control(tmp_path) == (END, Losses(1))


def test_the_most_losses_fit_into_it(tmp_path: Path) -> None:
    control = ControlFile(tmp_path)
    control.open()
    control.losses = Losses(1 << 63, 1 << 63, 1 << 63)
    for number in range(100):
        control.losses.count((1 << 63) + 10 * number, (1 << 63) + 10 * number + 1)
    control.write_losses()
    control.close()
    assert read_control(tmp_path)[1] == control.losses
    assert (tmp_path / "control").stat().st_size == 4096


def test_a_new_one_knows_nothing(tmp_path: Path) -> None:
    assert read_control(tmp_path) == (None, None)
    control = ControlFile(tmp_path)
    with capture_logs() as logs:
        control.open()
    assert (control.end, control.losses, control.knows_losses) == (None, Losses(), False)
    assert logs == []
    control.close()


@given(st.integers(0, 4095), st.integers(1, 255))
def test_what_a_changed_byte_may_have_hit_is_not_believed(place: int, difference: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = write(Path(name))
        content = bytearray(path.read_bytes())
        end_of_row = content.index(b"\n", 64)
        content[place] ^= difference
        path.write_bytes(content)
        end = None if 16 <= place < 36 else END
        losses = None if 64 <= place <= end_of_row else LOSSES
        assert read_control(path.parent) == (end, losses)


@pytest.mark.parametrize("size", [0, 10, 20, 36, 70])
def test_of_a_file_that_was_cut_what_is_left_is_believed(tmp_path: Path, size: int) -> None:
    path = write(tmp_path)
    os.truncate(path, size)
    assert read_control(tmp_path) == (END if size >= 36 else None, None)
    control = ControlFile(tmp_path)
    with capture_logs() as logs:
        control.open()
    control.close()
    assert [log["log_level"] for log in logs] == ["warning"]


@pytest.mark.parametrize(
    "row", [b"", b"{}", b"[]", b"[1,2,3]", b'[1,2,3,[["a"]]]', b'["a",0,0,[]]', b"[0,0,0,[1]]"]
)
def test_losses_with_a_right_checksum_that_make_no_sense_are_not_believed(
    tmp_path: Path, row: bytes
) -> None:
    path = write(tmp_path)
    content = bytearray(path.read_bytes())
    content[64:] = b"%08x %b\n" % (crc32(row), row)
    path.write_bytes(content)
    assert read_control(tmp_path) == (END, None)


def test_a_newer_one_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    content = path.read_bytes()
    path.write_bytes(file_header(b"mailctrl", 3) + content[16:])
    with pytest.raises(UsageError, match=r"control: a newer mailingest wrote this \(format 3, "):
        ControlFile(tmp_path).open()
    assert path.read_bytes()[16:] == content[16:]
