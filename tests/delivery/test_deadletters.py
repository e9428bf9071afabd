"""Dead letters: lines that read back, a bound that holds, and a full disk."""

import os
import stat
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.delivery.deadletters import DeadLetters
from mailingest.errors import StoreUnavailable, UsageError
from mailingest.stores.protocol import Rejection
from tests.support.documents import MIDNIGHT, document, files_limited_to

DAY = 86_400


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = float(MIDNIGHT)

    def __call__(self) -> float:
        return self.now


def rejection(number: int, reason: str = "400 mapper_parsing_exception") -> Rejection:
    return Rejection(document(number), reason)


def read(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_letter_has_what_was_rejected_when_and_why(tmp_path: Path) -> None:
    clock = Clock()
    clock.now += 3600.25
    DeadLetters(tmp_path, clock=clock).write([rejection(1, 'no "number"\nat all')])
    assert read(tmp_path / "dead-letters-2026.11.24.ndjson") == [
        {
            "time": "2026-11-24T01:00:00.250000Z",
            "index": "mail-2026.11.24",
            "id": f"{1:020d}",
            "reason": 'no "number"\nat all',
            "document": orjson.loads(document(1).body),
        }
    ]


def test_letters_are_appended_one_file_a_day(tmp_path: Path) -> None:
    clock = Clock()
    letters = DeadLetters(tmp_path / "state", clock=clock)
    letters.write([rejection(1), rejection(2)])
    letters.write([rejection(3)])
    clock.now += DAY
    letters.write([rejection(4)])
    assert names(tmp_path / "state") == [
        "dead-letters-2026.11.24.ndjson",
        "dead-letters-2026.11.25.ndjson",
    ]
    first = read(tmp_path / "state" / "dead-letters-2026.11.24.ndjson")
    assert [letter["document"]["number"] for letter in first] == [1, 2, 3]


def test_files_are_private_to_owner_and_group(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        DeadLetters(tmp_path / "state", clock=Clock()).write([rejection(1)])
    finally:
        os.umask(before)
    file = tmp_path / "state" / "dead-letters-2026.11.24.ndjson"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o750


def test_full_dead_letters_take_no_more_remove_none_and_say_what_to_do(tmp_path: Path) -> None:
    clock = Clock()
    letters = DeadLetters(tmp_path, max_bytes=600, clock=clock)
    (tmp_path / "queue-ids").write_bytes(b"another file of the state directory" * 100)
    # The last one may go beyond the limit.
    assert letters.write([rejection(number) for number in range(9)]) == 4
    clock.now += DAY
    with pytest.raises(UsageError, match="are full: look at them with `mailingest deadletter list"):
        letters.write([rejection(5)])
    assert names(tmp_path) == ["dead-letters-2026.11.24.ndjson", "queue-ids"]
    (tmp_path / "dead-letters-2026.11.24.ndjson").unlink()
    assert letters.write([rejection(5)]) == 1


def test_one_that_is_larger_than_all_may_be_is_taken(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path, max_bytes=1024, clock=Clock())
    assert letters.write([rejection(1, "x" * 5000), rejection(2)]) == 1
    with pytest.raises(UsageError, match="are full"):
        letters.write([rejection(2)])


@given(batches=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2)), max_size=12))
def test_every_letter_that_is_taken_is_kept_and_the_bound_holds(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[int, int]]
) -> None:
    directory = tmp_path_factory.mktemp("state")
    clock = Clock()
    letters = DeadLetters(directory, max_bytes=2500, clock=clock)
    written: list[int] = []
    for count, days in batches:
        clock.now += days * DAY
        numbers = list(range(len(written), len(written) + count))
        try:
            taken = letters.write([rejection(number) for number in numbers])
        except UsageError:
            taken = 0
        written += numbers[:taken]
        kept = [one for path in sorted(directory.iterdir()) for one in read(path)]
        assert [letter["document"]["number"] for letter in kept] == written
        sizes = [path.stat().st_size for path in directory.iterdir()]
        assert sum(sizes) < 2500 + 200
        assert taken == count or sum(sizes) >= 2500


def test_a_full_disk_leaves_no_half_letter_and_the_retry_is_whole(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path, clock=Clock())
    letters.write([rejection(1)])
    file = tmp_path / "dead-letters-2026.11.24.ndjson"
    size = file.stat().st_size
    with files_limited_to(size + 50), pytest.raises(StoreUnavailable, match="dead letters in"):
        letters.write([rejection(2), rejection(3)])
    assert file.stat().st_size == size
    letters.write([rejection(2), rejection(3)])
    assert [letter["document"]["number"] for letter in read(file)] == [1, 2, 3]


def test_a_state_directory_that_is_a_file_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="File exists"):
        DeadLetters(tmp_path / "state").write([rejection(1)])
