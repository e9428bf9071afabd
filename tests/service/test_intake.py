"""Frames into the spool: what is one record, and what happens when there is no room."""

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mailingest.service.intake import Intake
from mailingest.spool.positions import Positions
from mailingest.spool.queue import Spool
from mailingest.spool.records import FrameBatch
from tests.support.lab.polling import until


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path, max_bytes=1 << 20)
    spool.open(None)
    yield spool
    spool.close()


def intake_of(spool: Spool, *, syncs_first: bool = False) -> Intake:
    positions = Positions(Path("never-written"), spool, syncs=False)
    return Intake(spool, positions, syncs_first=syncs_first)


def taken(spool: Spool) -> list[FrameBatch]:
    return list(iter(spool.take, None))


def fill(spool: Spool) -> None:
    """Leave no room for a batch of 1 KiB."""
    while spool.append([FrameBatch(0.0, "192.0.2.9", 0, [bytes(1000)])]):
        pass


async def test_datagrams_of_one_turn_are_one_record_for_each_run_of_a_peer(spool: Spool) -> None:
    datagrams = intake_of(spool).datagrams()
    for payload, peer in [(b"1", "a"), (b"2", "a"), (b"3", "b"), (b"4", "a")]:
        assert datagrams.take(payload, peer)
    assert taken(spool) == [], "what else the turn brings comes with it"
    await asyncio.sleep(0)
    assert [(one.peer, one.stream, one.frames) for one in taken(spool)] == [
        ("a", 0, [b"1", b"2"]),
        ("b", 0, [b"3"]),
        ("a", 0, [b"4"]),
    ]


async def test_what_an_input_says_of_its_lines_stands_in_their_records(spool: Spool) -> None:
    intake = intake_of(spool)
    first, second = intake.datagrams(b"x"), intake.datagrams(b"y")
    for payload, datagrams in [(b"1", first), (b"2", second), (b"3", first)]:
        assert datagrams.take(payload, "a")
    intake.append_datagrams()
    await intake.take_frames([b"4"], "a", 7, metadata=b"z")
    assert [(one.metadata, one.frames) for one in taken(spool)] == [
        (b"x", [b"1", b"3"]),
        (b"y", [b"2"]),
        (b"z", [b"4"]),
    ]


async def test_a_turn_that_brings_much_is_appended_before_its_end(spool: Spool) -> None:
    datagrams = intake_of(spool).datagrams()
    for _ in range(3):
        datagrams.take(bytes(30_000), "a")
    assert [len(one.frames) for one in taken(spool)] == [3]


async def test_datagrams_that_find_the_spool_full_are_refused_and_counted(spool: Spool) -> None:
    intake = intake_of(spool)
    datagrams = intake.datagrams()
    assert datagrams.take(bytes(1000), "a")
    fill(spool)
    assert not datagrams.take(b"later", "a")
    before = spool.frames
    await asyncio.sleep(0)
    assert intake.datagrams_refused == 1
    assert spool.frames == before


async def test_frames_of_a_connection_wait_for_room_and_have_a_stream_of_their_own(
    tmp_path: Path, spool: Spool
) -> None:
    intake = intake_of(spool)
    await intake.take_frames([b"1", b"2"], "a", 7)
    await intake.take_frames([b"3"], "a", 8)
    first, second = taken(spool)
    assert (first.frames, second.frames) == ([b"1", b"2"], [b"3"])
    assert second.stream == first.stream + 1 > 1
    fill(spool)
    waiting = asyncio.create_task(intake.take_frames([bytes(1000)], "a", 7))
    await asyncio.sleep(0)
    assert not waiting.done()
    taken(spool)
    spool.forget(spool.position)
    spool.look()
    async with asyncio.timeout(30):
        await waiting
    assert [one.stream for one in taken(spool)] == [first.stream]


async def test_frames_that_are_given_up_are_logged(spool: Spool) -> None:
    intake = intake_of(spool)
    fill(spool)
    with capture_logs() as logs:
        waiting = asyncio.create_task(intake.take_frames([bytes(1000)] * 2, "192.0.2.1", 7))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert logs[-1] == {
        "event": "lines were read and not taken",
        "log_level": "error",
        "peer": "192.0.2.1",
        "frames": 2,
    }


async def test_lines_of_a_stream_count_as_taken_when_they_are_synced_if_so_set(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()
    fdatasync = os.fdatasync

    def slow(descriptor: int) -> None:
        may_go_on.wait()
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow)
    await intake_of(spool).take_frames([b"1"], "a", 1)
    taking = asyncio.create_task(intake_of(spool, syncs_first=True).take_frames([b"2"], "a", 1))
    await until(lambda: spool.frames == 2)
    assert not taking.done()
    may_go_on.set()
    await taking
