"""The spool: frames come out in order, from memory or from disk, and say how many are left."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from mailingest.errors import UsageError
from mailingest.spool import queue as module
from mailingest.spool.queue import STATE_FILE, Spool
from mailingest.spool.records import FrameBatch, Position
from tests.support.lab.polling import PATIENCE

MEGABYTE = 1024 * 1024


def batch(number: int, frames: int = 1) -> FrameBatch:
    return FrameBatch(1.0, "192.0.2.1", 7, [b"%d" % number] * frames)


@contextmanager
def opened(
    directory: Path,
    position: Position | None = None,
    *,
    most: int = 16 * MEGABYTE,
    segment: int = MEGABYTE,
) -> Iterator[Spool]:
    spool = Spool(directory, max_bytes=most, segment_bytes=segment)
    spool.open(position)
    try:
        yield spool
    finally:
        spool.close()


def taken(spool: Spool) -> list[FrameBatch]:
    records = []
    while (one := spool.take()) is not None:
        records.append(one)
    return records


@settings(max_examples=200)
@given(
    steps=st.lists(st.integers(-6, 6), max_size=40),
    tail=st.sampled_from([0, 100, 200, MEGABYTE]),
    segment=st.sampled_from([100, 1000, MEGABYTE]),
)
def test_batches_come_out_in_order_whether_they_fit_into_memory_or_not(
    steps: list[int], tail: int, segment: int
) -> None:
    # Positive steps append N batches at once, negative ones take N.
    with pytest.MonkeyPatch.context() as patched, tempfile.TemporaryDirectory() as name:
        patched.setattr(module, "_TAIL_BYTES", tail)
        appended, out = 0, []
        with opened(Path(name), segment=segment) as spool:
            for step in steps:
                if step > 0:
                    numbers = range(appended, appended + step)
                    assert spool.append([batch(number, 1 + number % 3) for number in numbers])
                    appended += step
                out += [one for _ in range(-step) if (one := spool.take()) is not None]
                assert spool.frames == sum(1 + n % 3 for n in range(len(out), appended))
            position = spool.position
        # And the next process goes on where this one was.
        with opened(Path(name), position) as again:
            out += taken(again)
            assert again.frames == 0
            assert again.frames_lost == 0
        assert out == [batch(number, 1 + number % 3) for number in range(appended)]


async def test_who_waits_is_woken_by_the_next_batch(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        waiting = asyncio.create_task(spool.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        spool.append([batch(1)])
        await asyncio.wait_for(waiting, PATIENCE)
        assert taken(spool) == [batch(1)]


async def test_who_waits_for_room_is_woken_when_there_is_some(tmp_path: Path) -> None:
    with opened(tmp_path, most=4 * MEGABYTE) as spool, capture_logs() as logs:
        await asyncio.wait_for(spool.room(), PATIENCE)
        line = FrameBatch(1.0, "192.0.2.1", 7, [b"x" * 60_000])
        while spool.append([line]):
            pass
        assert not spool.append([line])
        waiting = asyncio.create_task(spool.room())
        await asyncio.sleep(0)
        spool.look()
        await asyncio.sleep(0)
        assert not waiting.done()
        assert spool.full == "spool.max_bytes is reached"
        assert len(taken(spool)) > 60
        assert spool.could_free(Position())
        spool.forget(spool.position)
        spool.look()
        await asyncio.wait_for(waiting, PATIENCE)
        assert spool.full is None
        assert spool.append([line])
        assert taken(spool) == [line]
    assert [log["log_level"] for log in logs] == ["error", "info"]


def test_the_bound_can_be_lifted_for_what_was_read_already(tmp_path: Path) -> None:
    with opened(tmp_path, most=4 * MEGABYTE) as spool:
        line = FrameBatch(1.0, "192.0.2.1", 7, [b"x" * 60_000])
        while spool.append([line]):
            pass
        spool.lift_bound()
        assert spool.full is None
        assert spool.append([line])


def test_two_processes_do_not_work_in_one_directory(tmp_path: Path) -> None:
    with (
        opened(tmp_path),
        pytest.raises(UsageError, match=r"^state\.directory: another mailingest works in .*: stop"),
        opened(tmp_path),
    ):
        pass
    with opened(tmp_path):
        pass


def test_what_is_damaged_is_counted_and_the_rest_comes_out(tmp_path: Path) -> None:
    with opened(tmp_path, segment=100) as spool:
        for number in range(9):
            spool.append([batch(number, frames=2)])
    damaged = sorted(tmp_path.glob("*.journal"))[1]
    damaged.write_bytes(bytes(damaged.stat().st_size))
    with opened(tmp_path) as again, capture_logs() as logs:
        out = [int(one.frames[0]) for one in taken(again)]
        assert again.frames == 0
        assert again.frames_lost == 2 * (9 - len(out))
    missing = [number for number in range(9) if number not in out]
    assert out == sorted(out)
    assert missing == list(range(missing[0], missing[-1] + 1))
    assert missing[0] > 0
    assert missing[-1] < 8
    assert {log["log_level"] for log in logs} == {"error"}


def test_other_processes_can_read_how_far_it_is(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.append([batch(1), batch(2, frames=3)])
        spool.take()
        spool.look()
        state = orjson.loads((tmp_path / STATE_FILE).read_bytes())
        assert state == {
            "bytes": spool.position.bytes,
            "frames": 1,
            "full": None,
            "unstored": 0,
            "oldest": pytest.approx(time.time(), abs=600),
            "addresses": [],
        }
