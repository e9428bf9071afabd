"""The mark of the frame that is worked on, over several lives of the process."""

from pathlib import Path

import pytest

from mailingest.spool.frame_mark import FrameMark


def died_with(directory: Path, *numbers: int | None) -> FrameMark:
    """The mark that the next process opens, after one has died with each of these frames."""
    for number in numbers:
        mark = FrameMark(directory)
        mark.open()
        # What a death leaves: the mapping goes, and the file stays as it is.
        mark.cell[0] = 0 if number is None else number + 1
    mark = FrameMark(directory)
    mark.open()
    return mark


@pytest.mark.parametrize(
    ("deaths", "given_up"),
    [
        ((), []),
        ((0,), []),
        ((0, 0), [0]),
        ((7, 7), [7]),
        ((7, None, 7), [7]),
        ((7, 8, 7), []),
        ((7, 8, 8), [8]),
        ((7, 7, 9, 9), [7, 9]),
        ((7, 7, 7), [7]),
    ],
)
def test_a_frame_is_given_up_when_the_process_died_with_it_twice(
    tmp_path: Path, deaths: tuple[int | None, ...], given_up: list[int]
) -> None:
    mark = died_with(tmp_path, *deaths)
    assert sorted(mark.given_up) == given_up
    assert mark.current is None
    assert sorted(died_with(tmp_path, None).given_up) == given_up


def test_a_process_that_ends_in_peace_leaves_nothing(tmp_path: Path) -> None:
    for _ in range(3):
        mark = FrameMark(tmp_path)
        mark.open()
        mark.cell[0] = 8
        assert mark.current == 7
        mark.close()
    assert not died_with(tmp_path).given_up


def test_frames_that_do_not_come_again_are_forgotten(tmp_path: Path) -> None:
    died_with(tmp_path, 7, 7, 9, 9).forget(8)
    assert list(died_with(tmp_path).given_up) == [9]


def test_there_is_room_for_many_and_the_newest_are_kept(tmp_path: Path) -> None:
    mark = died_with(tmp_path, *(number for number in range(600) for _ in range(2)))
    assert len(mark.given_up) == 508
    assert max(mark.given_up) == 599


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 4096, b"\xff" * 5000, bytes(4096)])
def test_what_is_no_mark_is_written_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "frame").write_bytes(content)
    assert list(died_with(tmp_path, 3, 3).given_up) == [3]
    assert (tmp_path / "frame").stat().st_size == 4096


def test_a_mark_that_is_damaged_does_not_stop_the_start(tmp_path: Path) -> None:
    died_with(tmp_path, 3)
    content = (tmp_path / "frame").read_bytes()
    (tmp_path / "frame").write_bytes(content[:8] + b"\xff" * 4088)
    mark = died_with(tmp_path, 3, 3)
    assert 3 in mark.given_up
    mark.forget(1 << 62)
    mark.give_up(5)
