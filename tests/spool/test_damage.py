"""Damage to a journal: all that is intact is read, all else is counted, and nothing twice."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from mailingest.spool.control import read_control
from mailingest.spool.journal import Journal
from mailingest.spool.records import FrameBatch, Position
from tests.spool import damaging
from tests.spool.damaging import Damage, Written, begin_of

PEERS = st.sampled_from(["192.0.2.1", "2001:db8::1", ""])
FRAMES = st.lists(st.binary(max_size=60), min_size=1, max_size=5)
BATCHES = st.lists(
    st.builds(FrameBatch, st.floats(0, 1e10), PEERS, st.integers(0, 2**63 - 1), FRAMES),
    min_size=1,
    max_size=12,
)
PLACES = st.floats(0, 1, exclude_max=True)
BYTES = st.integers(1, 255)
FILES = st.integers(0, 5)
DAMAGES = st.one_of(
    st.builds(damaging.change_byte, FILES, PLACES, BYTES),
    st.builds(damaging.cut, FILES, PLACES),
    st.builds(damaging.remove, FILES),
)
CONTROL_DAMAGES = st.one_of(
    st.builds(damaging.change_control, PLACES, BYTES), st.just(damaging.remove_control)
)
VERSIONS = st.sampled_from([1, 2])


@contextmanager
def opened(directory: Path, position: Position | None) -> Iterator[tuple[Journal, Position]]:
    journal = Journal(directory, max_bytes=1 << 20, segment_bytes=damaging.SEGMENT_BYTES)
    start = journal.open(position)
    try:
        yield journal, start
    finally:
        journal.close()


def read(journal: Journal, start: Position) -> list[FrameBatch]:
    return [record.batch for record in journal.read(start)]


def batches_from(records: list[damaging.Record], position: Position | None) -> list[FrameBatch]:
    number = position.frames if position else 0
    return [one.batch for one in records if one.begin.frames >= number]


def frames_in(batches: list[FrameBatch]) -> int:
    return sum(len(one.frames) for one in batches)


def new_batch(number: int) -> FrameBatch:
    return FrameBatch(1.0, "192.0.2.9", 9, [b"new %d" % number])


def draw_position(data: st.DataObject, written: Written) -> Position | None:
    return data.draw(st.sampled_from([None, *(one.end for one in written.records)]))


@settings(max_examples=400, deadline=None)
@given(BATCHES, st.lists(DAMAGES, min_size=1, max_size=3), st.data())
def test_every_intact_record_is_read_and_every_other_one_is_counted(
    batches: list[FrameBatch], damages: list[Damage], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        written = damaging.write(Path(name), batches, version=2)
        position = draw_position(data, written)
        for damage in damages:
            damage(written)
        intact = batches_from(written.intact(), position)
        lost = frames_in(batches_from(written.records, position)) - frames_in(intact)
        with opened(written.directory, position) as (journal, start):
            assert read(journal, start) == intact
            assert (journal.damage.frames, journal.damage.bytes) == (lost, 0)
            # It goes on, at once and after the next start, and counts nothing twice.
            assert journal.append([new_batch(1)])
            assert read(journal, start) == [*intact, new_batch(1)]
            assert journal.damage.frames == lost
        with opened(written.directory, position) as (journal, start), capture_logs() as logs:
            assert read(journal, start) == [*intact, new_batch(1)]
            assert (journal.damage.frames, journal.damage.bytes) == (0, 0)
            assert journal.append([new_batch(2)])
            assert read(journal, start) == [*intact, new_batch(1), new_batch(2)]
        assert logs == []
        _, losses = read_control(written.directory)
        assert losses is not None
        assert (losses.frames, losses.bytes) == (lost, 0)


@settings(max_examples=400, deadline=None)
@given(
    BATCHES,
    VERSIONS,
    st.lists(DAMAGES, max_size=2),
    CONTROL_DAMAGES,
    st.data(),
)
def test_without_a_control_file_only_the_very_end_is_counted_in_bytes(
    batches: list[FrameBatch],
    version: int,
    damages: list[Damage],
    control_damage: Damage,
    data: st.DataObject,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        written = damaging.write(Path(name), batches, version)
        position = draw_position(data, written)
        for damage in [*damages, control_damage]:
            damage(written)
        if read_control(written.directory)[0] is not None:
            assume(version == 1)  # the padding of the control file was hit
        whole = written.intact()
        intact = batches_from(whole, position)
        begin = position or Position()
        present = [path for path in written.files if path.exists()]
        if position is None and whole and begin_of(present[0]):
            # Nobody knows whether what is missing at the beginning was stored.
            begin = whole[0].begin
        end = max([begin, *(one.end for one in whole)], key=lambda one: one.frames)
        lost = end.frames - begin.frames - frames_in(intact)
        unknown = written.unread_bytes(position)
        with opened(written.directory, position) as (journal, start):
            assert read(journal, start) == intact
            assert (journal.damage.frames, journal.damage.bytes) == (lost, unknown)
            assert journal.append([new_batch(1)])
            assert read(journal, start) == [*intact, new_batch(1)]
            assert (journal.damage.frames, journal.damage.bytes) == (lost, unknown)
        with opened(written.directory, position) as (journal, start), capture_logs() as logs:
            assert read(journal, start) == [*intact, new_batch(1)]
            assert (journal.damage.frames, journal.damage.bytes) == (0, 0)
        assert logs == []


@settings(max_examples=200, deadline=None)
@given(BATCHES, VERSIONS, st.lists(DAMAGES, min_size=2, max_size=5), st.data())
def test_each_of_several_lives_counts_only_what_was_damaged_since(
    batches: list[FrameBatch], version: int, damages: list[Damage], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        written = damaging.write(Path(name), batches, version)
        # The first start makes the control file, if there is none.
        with opened(written.directory, None):
            pass
        position = draw_position(data, written)
        counted = 0
        missing: set[int] = set()
        for number, damage in enumerate(damages):
            damage(written)
            whole = written.intact()
            # A second change of a byte may put it right, though it was counted.
            assume(missing.isdisjoint(one.begin.frames for one in whole))
            intact = batches_from(whole, position)
            all_of_it = batches_from(written.records, position)
            missing = {one.begin.frames for one in written.records if one not in whole}
            added = [new_batch(one) for one in range(number + 1)]
            with opened(written.directory, position) as (journal, start):
                assert read(journal, start) == [*intact, *added[:-1]]
                counted += journal.damage.frames
                assert journal.append(added[-1:])
            assert counted == frames_in(all_of_it) - frames_in(intact)


@settings(max_examples=100, deadline=None)
@given(BATCHES, st.lists(DAMAGES, min_size=1, max_size=2), st.data())
def test_what_a_life_has_read_before_it_died_changes_nothing_for_the_next(
    batches: list[FrameBatch], damages: list[Damage], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        written = damaging.write(Path(name), batches, version=2)
        position = draw_position(data, written)
        for damage in damages:
            damage(written)
        intact = batches_from(written.intact(), position)
        lost = frames_in(batches_from(written.records, position)) - frames_in(intact)
        with opened(written.directory, position) as (journal, start):
            for _ in range(data.draw(st.integers(0, len(intact)))):
                position = next(journal.read(start)).end if data.draw(st.booleans()) else position
                start = position or start
            first_life = journal.damage.frames
        with opened(written.directory, position) as (journal, start):
            assert read(journal, start) == batches_from(written.intact(), position)
            assert first_life + journal.damage.frames == lost


@settings(max_examples=100, deadline=None)
@given(BATCHES, st.lists(DAMAGES, min_size=1, max_size=2), st.data())
def test_what_was_stored_before_it_was_damaged_is_no_loss(
    batches: list[FrameBatch], damages: list[Damage], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        written = damaging.write(Path(name), batches, version=2)
        position = draw_position(data, written)
        stored = data.draw(st.sampled_from(written.records)).end
        with opened(written.directory, position) as (journal, start):
            read(journal, start)
            journal.settle(stored.frames)
        for damage in damages:
            damage(written)
        whole = written.intact()
        lost = [one for one in written.records if one not in whole]
        begin = max(stored, position or Position())
        with opened(written.directory, position) as (journal, start):
            assert read(journal, start) == batches_from(whole, position)
            assert journal.damage.frames == frames_in(batches_from(lost, begin))


# What people see of it


def lines(number: int) -> list[FrameBatch]:
    return [FrameBatch(1.0, "192.0.2.1", 7, [b"line %d" % one] * 2) for one in range(number)]


def test_a_damaged_file_is_kept_under_another_name_and_logged_once(tmp_path: Path) -> None:
    written = damaging.write(tmp_path, lines(12), version=2)
    # Three records of one file, of which two lie beside each other.
    file = written.files[1]
    content = bytearray(file.read_bytes())
    in_file = [one for one in written.records if one.file == file]
    assert len(in_file) == 3
    content[in_file[0].at.start] ^= 1
    content[in_file[2].at.start] ^= 1
    file.write_bytes(content)
    kept = file.with_name(file.name + ".damaged")
    with opened(tmp_path, None) as (journal, start), capture_logs() as logs:
        read(journal, start)
        assert journal.damage.frames == 4
        journal.forget(journal.end)
    assert not file.exists()
    assert kept.read_bytes() == content
    assert [(log["log_level"], log["frames"], log["kept"]) for log in logs] == [
        ("error", 2, [str(kept)]),
        ("error", 2, [str(kept)]),
    ]
    assert logs[0]["event"].startswith("lines of the spool are lost: a file is damaged, ")
    assert logs[1]["event"] == "more lines are lost in the damaged file of the spool"


def test_a_missing_file_is_logged_with_the_lines_that_were_in_it(tmp_path: Path) -> None:
    written = damaging.write(tmp_path, lines(12), version=2)
    written.files[0].unlink()
    with opened(tmp_path, None) as (journal, start), capture_logs() as logs:
        read(journal, start)
    [log] = logs
    in_file = [one for one in written.records if one.file == written.files[0]]
    assert log["log_level"] == "error"
    assert log["event"] == "lines of the spool are lost: a file is missing"
    assert log["frames"] == 2 * len(in_file)


def test_damage_that_took_no_line_is_no_error(tmp_path: Path) -> None:
    written = damaging.write(tmp_path, lines(12), version=2)
    damaging.change_byte(0, 0.0, 1)(written)
    for _ in range(2):
        with opened(tmp_path, None) as (journal, start), capture_logs() as logs:
            assert read(journal, start) == lines(12)
        assert logs == []


def test_of_many_damaged_files_the_latest_are_kept(tmp_path: Path) -> None:
    written = damaging.write(tmp_path, lines(40), version=2)
    for number in range(len(written.files)):
        damaging.change_byte(number, 0.5, 1)(written)
    with opened(tmp_path, None) as (journal, start):
        read(journal, start)
    kept = sorted(path.name for path in tmp_path.glob("*.damaged"))
    assert kept == [f"{path.name}.damaged" for path in written.files[-4:]]


def test_a_file_that_cannot_be_kept_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(source: Path, target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    written = damaging.write(tmp_path, lines(12), version=2)
    damaging.change_byte(0, 0.5, 1)(written)
    monkeypatch.setattr(os, "link", link)
    with opened(tmp_path, None) as (journal, start), capture_logs() as logs:
        assert len(read(journal, start)) == 11
    assert [log["log_level"] for log in logs] == ["warning", "error"]
