"""The batcher: when batches are cut, what happens to those that fail, and that nothing is lost."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from mailingest.delivery import batcher as module
from mailingest.delivery.batcher import Batcher, RejectionSink
from mailingest.delivery.deadletters import DeadLetters
from mailingest.delivery.outages import LOG_INTERVAL
from mailingest.delivery.receipts import Receipt, Receipts
from mailingest.documents import Document
from mailingest.errors import MailingestError, StoreUnavailable, UsageError
from mailingest.stores.protocol import Rejection, WriteResult
from mailingest.stores.sqlite.writer import SqliteWriter
from tests.support.documents import document
from tests.support.lab.polling import PATIENCE, until
from tests.support.sqlite import StoredDocuments
from tests.support.writers import Letters, ScriptedWriter, any_answer


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Retry at once; gives the attempts that were asked for."""
    attempts: list[int] = []

    def backoff(attempt: int, rng: Random) -> float:
        attempts.append(attempt)
        return 0.0

    monkeypatch.setattr(module, "backoff", backoff)
    return attempts


@asynccontextmanager
async def running(
    output: ScriptedWriter, letters: RejectionSink | None = None, **options: Any
) -> AsyncIterator[Batcher]:
    batcher = Batcher(output, letters or Letters(), **options)
    task = asyncio.create_task(batcher.run())
    try:
        yield batcher
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


# Cutting


async def test_a_batch_is_cut_at_its_number_of_documents() -> None:
    output = ScriptedWriter()
    async with running(output, max_documents=3, max_age=3600) as batcher:
        await batcher.put_many([document(number) for number in range(7)])
        await until(lambda: len(output.batches) == 2)
        assert output.batches == [[0, 1, 2], [3, 4, 5]]
        assert (batcher.documents_stored, batcher.pending) == (6, 1)


async def test_a_batch_is_cut_at_its_bytes() -> None:
    output = ScriptedWriter()
    size = len(document(1).body)
    async with running(output, max_bytes=2 * size, max_age=3600) as batcher:
        await batcher.put_many([document(number) for number in range(1, 6)])
        await until(lambda: batcher.documents_stored == 4)
        assert output.batches == [[1, 2], [3, 4]]


async def test_a_document_larger_than_a_batch_is_a_batch_of_its_own() -> None:
    output = ScriptedWriter()
    async with running(output, max_bytes=100, max_age=3600) as batcher:
        await batcher.put(document(1, message="x" * 500))
        await until(lambda: batcher.documents_stored == 1)


async def test_a_batch_is_cut_when_its_first_document_is_old_enough() -> None:
    output = ScriptedWriter()
    async with running(output, max_age=0.02) as batcher:
        await batcher.put_many([document(1), document(2)])
        await until(lambda: batcher.documents_stored == 2)
        await batcher.put(document(3))
        await until(lambda: batcher.documents_stored == 3)
        assert output.batches == [[1, 2], [3]]


async def test_the_age_counts_from_the_first_document_even_if_the_output_was_busy() -> None:
    now = [0.0]
    output = ScriptedWriter()
    output.gate.clear()
    async with running(output, max_documents=2, max_age=10, clock=lambda: now[0]) as batcher:
        await batcher.put_many([document(1), document(2), document(3)])
        await until(lambda: output.writing)
        now[0] = 11.0
        output.gate.set()
        await until(lambda: batcher.documents_stored == 3)
        assert output.batches == [[1, 2], [3]]


async def test_a_batch_is_cut_when_its_documents_have_waited_elsewhere() -> None:
    output = ScriptedWriter()
    async with running(output, max_age=3600) as batcher:
        batcher.cut()
        await batcher.put_many([document(1), document(2)])
        batcher.cut()
        await until(lambda: batcher.documents_stored == 2)
        await batcher.put(document(3))
        batcher.cut()
        await until(lambda: batcher.documents_stored == 3)
        assert output.batches == [[1, 2], [3]]


# Room


async def test_a_full_batcher_refuses_and_has_room_again_after_a_write() -> None:
    output = ScriptedWriter()
    output.gate.clear()
    async with running(output, capacity=2, max_documents=1) as batcher:
        assert batcher.offer(document(1))
        assert batcher.offer(document(2))
        assert not batcher.has_room
        assert not batcher.offer(document(3))
        assert batcher.pending == 2
        batcher.add(document(4))
        assert batcher.pending == 3
        output.gate.set()
        await until(lambda: batcher.has_room)
        assert batcher.offer(document(3))
        assert await batcher.drain() == 0
        assert sorted(output.stored) == [document(number).id for number in (1, 2, 3, 4)]


async def test_putting_waits_for_room_and_keeps_the_order() -> None:
    output = ScriptedWriter()
    output.gate.clear()
    async with running(output, capacity=4, max_documents=2) as batcher:
        putting = asyncio.create_task(batcher.put_many([document(n) for n in range(9)]))
        await until(lambda: batcher.pending == 4 and output.writing)
        assert not putting.done()
        output.gate.set()
        await putting
        assert await batcher.drain() == 0
        assert list(chain.from_iterable(output.batches)) == list(range(9))


async def test_several_who_wait_for_room_all_get_it() -> None:
    output = ScriptedWriter()
    output.gate.clear()
    async with running(output, capacity=1, max_documents=1) as batcher:
        putting = [asyncio.create_task(batcher.put(document(number))) for number in range(10)]
        await until(lambda: output.writing)
        output.gate.set()
        await asyncio.gather(*putting)
        assert await batcher.drain() == 0
        assert len(output.stored) == 10


@pytest.mark.parametrize("in_flight", [1, 3])
async def test_no_more_writes_overlap_than_allowed(in_flight: int) -> None:
    output = ScriptedWriter()
    output.gate.clear()
    async with running(output, in_flight=in_flight, max_documents=1) as batcher:
        await batcher.put_many([document(number) for number in range(10)])
        await until(lambda: output.writing == in_flight)
        output.gate.set()
        assert await batcher.drain() == 0
    assert output.most_writing == in_flight
    assert list(chain.from_iterable(output.batches)) == list(range(10))


# Failing and trying again


async def test_the_output_is_opened_as_often_as_it_takes(no_waiting: list[int]) -> None:
    output = ScriptedWriter(opening=[StoreUnavailable("down"), StoreUnavailable("down")])
    async with running(output, max_documents=1) as batcher:
        await batcher.put(document(1))
        assert await batcher.drain() == 0
        assert (output.opened, batcher.retries, batcher.documents_stored) == (3, 2, 1)
    assert no_waiting == [0, 1]


async def test_a_mistake_in_the_set_up_of_a_server_may_be_waited_out(no_waiting: list[int]) -> None:
    output = ScriptedWriter(opening=[UsageError("wrong password")] * 3)
    async with running(output, max_documents=1, keep_trying=True) as batcher:
        await batcher.put(document(1))
        assert await batcher.drain() == 0
    assert no_waiting == [0, 1, 2]


@pytest.mark.parametrize(
    ("output", "error"),
    [
        pytest.param(
            lambda: ScriptedWriter(opening=[UsageError("no such directory")]),
            UsageError,
            id="a mistake in the configuration",
        ),
        pytest.param(
            lambda: ScriptedWriter(BrokenPipeError()), BrokenPipeError, id="nobody reads any more"
        ),
    ],
)
async def test_what_no_waiting_helps_ends_the_run(
    output: Callable[[], ScriptedWriter], error: type[Exception]
) -> None:
    batcher = Batcher(output(), Letters(), max_documents=1)
    batcher.add(document(1))
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(error):
            await batcher.run()
    assert batcher.pending == 1


@pytest.mark.parametrize("error", [StoreUnavailable("down"), UsageError("login refused")])
async def test_a_failed_batch_is_written_again_before_any_later_one(
    error: MailingestError, no_waiting: list[int]
) -> None:
    output = ScriptedWriter(error, error, error)
    async with running(output, max_documents=2) as batcher:
        await batcher.put_many([document(number) for number in range(4)])
        assert await batcher.drain() == 0
        assert output.batches == [[0, 1], [0, 1], [0, 1], [0, 1], [2, 3]]
        assert (batcher.documents_stored, batcher.retries, batcher.batches_written) == (4, 3, 2)
    assert output.opened == 4, "a store that was away is opened again before it is written to"
    assert no_waiting == [0, 1, 2]


async def test_only_the_documents_to_retry_are_written_again(
    no_waiting: list[int],
) -> None:
    output = ScriptedWriter(
        lambda batch: WriteResult(stored=2, retry=list(batch[2:])),
        lambda batch: WriteResult(retry=list(batch)),
        lambda batch: WriteResult(stored=1, duplicates=1, retry=list(batch[1:])),
    )
    async with running(output, max_documents=4) as batcher:
        await batcher.put_many([document(number) for number in range(4)])
        assert await batcher.drain() == 0
        assert output.batches == [[0, 1, 2, 3], [2, 3], [2, 3], [3]]
        assert (batcher.documents_stored, batcher.documents_duplicate) == (4, 1)
    assert no_waiting == [0, 0, 0]


def logged(logs: Sequence[Mapping[str, Any]]) -> list[tuple[object, object]]:
    """Level and reason of what an operator sees at the level that is set by default."""
    return [
        (log["log_level"], log.get("reason", log["event"]))
        for log in logs
        if log["log_level"] != "debug"
    ]


async def test_what_an_operator_has_to_fix_is_an_error_in_the_log_and_its_end_is_logged() -> None:
    now = [0.0]
    output = ScriptedWriter(UsageError("login refused"), StoreUnavailable("no master"))
    with capture_logs() as logs:
        async with running(output, max_documents=1, clock=lambda: now[0]) as batcher:
            for number in range(2):
                await batcher.put(document(number))
            assert await batcher.drain() == 0
            assert batcher.retries == 2
    assert logged(logs) == [
        ("error", "login refused"),
        ("warning", "no master"),
        ("info", "the store takes documents again"),
    ]


async def test_an_outage_is_logged_once_in_a_while_and_not_at_each_try() -> None:
    now = [0.0]

    def refuse(_: Sequence[Document]) -> WriteResult:
        now[0] += LOG_INTERVAL / 10
        raise UsageError("login refused")

    output = ScriptedWriter(*[refuse] * 25)
    with capture_logs() as logs:
        async with running(output, max_documents=1, clock=lambda: now[0]) as batcher:
            await batcher.put(document(1))
            assert await batcher.drain() == 0
            assert batcher.retries == 25
    assert logged(logs) == [("error", "login refused")] * 3 + [
        ("info", "the store takes documents again")
    ]


async def test_dead_letters_that_wait_are_no_fault_of_the_store() -> None:
    output = ScriptedWriter(lambda batch: WriteResult(rejected=[Rejection(batch[0], "bad")]))
    with capture_logs() as logs:
        async with running(output, Letters(failures=3), max_documents=1) as batcher:
            await batcher.put_many([document(number) for number in range(3)])
            assert await batcher.drain() == 0
    assert logged(logs) == [
        ("warning", "bad"),
        ("warning", "the disk is full"),
        ("info", "dead letters have room again"),
    ]


async def test_rejected_documents_become_dead_letters(tmp_path: Path) -> None:
    output = ScriptedWriter(
        lambda batch: WriteResult(stored=1, rejected=[Rejection(batch[1], "400 no date")])
    )
    batcher = Batcher(output, DeadLetters(tmp_path), max_documents=2)
    task = asyncio.create_task(batcher.run())
    await batcher.put_many([document(1), document(2)])
    assert await batcher.drain() == 0
    assert (batcher.documents_stored, batcher.documents_rejected) == (1, 1)
    [file] = tmp_path.iterdir()
    letter = orjson.loads(file.read_bytes())
    assert (letter["id"], letter["reason"]) == (document(2).id, "400 no date")
    task.cancel()


async def test_dead_letters_that_fail_hold_up_no_other_document() -> None:
    letters = Letters(failures=5)
    output = ScriptedWriter(lambda batch: WriteResult(rejected=[Rejection(batch[0], "bad")]))
    async with running(output, letters, max_documents=1) as batcher:
        await batcher.put_many([document(number) for number in range(3)])
        assert await batcher.drain() == 0
        assert (batcher.documents_stored, batcher.documents_rejected) == (2, 1)
    assert [rejection.document.fields["number"] for rejection in letters.kept] == [0]


async def test_dead_letters_are_written_beside_the_event_loop() -> None:
    threads: list[int] = []

    class InThread(Letters):
        def write(self, rejections: Sequence[Rejection]) -> int:
            threads.append(threading.get_ident())
            return super().write(rejections)

    output = ScriptedWriter(lambda batch: WriteResult(rejected=[Rejection(batch[0], "bad")]))
    async with running(output, InThread(failures=1), max_documents=1) as batcher:
        await batcher.put(document(1))
        assert await batcher.drain() == 0
    assert len(threads) == 2
    assert threading.get_ident() not in threads


# Held, since something is wrong with an index


def closed(*days: str) -> Callable[[Sequence[Document]], WriteResult]:
    """An answer that stores all but the documents of these days."""

    def answer(batch: Sequence[Document]) -> WriteResult:
        held = [Rejection(one, f"{one.index} is closed") for one in batch if one.index[5:] in days]
        return WriteResult(stored=len(batch) - len(held), held=held)

    return answer


YESTERDAY, TODAY = "2026.11.23", "2026.11.24"


async def test_what_is_held_waits_and_the_others_go_on() -> None:
    output = ScriptedWriter(*[closed(TODAY)] * 1000)
    async with running(output, max_documents=2) as batcher:
        await batcher.put_many([document(1), document(2)], receipt(2))
        await batcher.put_many([document(3, day="2026.11.25"), document(4, day="2026.11.25")])
        await until(lambda: batcher.documents_stored == 2)
        assert (batcher.documents_held, batcher.pending) == (2, 2)
        await until(lambda: batcher.held == "held documents: mail-2026.11.24 is closed")
        assert not batcher.receipts.cover(receipt(2))
        output.answers.clear()
        assert await batcher.drain() == 0
        assert (batcher.documents_held, batcher.documents_stored) == (0, 4)
        await until(lambda: batcher.held is None)
        assert batcher.receipts.cover(receipt(2))


async def test_one_index_that_is_set_right_does_not_wait_for_another() -> None:
    output = ScriptedWriter(*[closed(YESTERDAY, TODAY)] * 10, *[closed(YESTERDAY)] * 1000)
    async with running(output, max_documents=2) as batcher:
        for number in range(0, 8, 2):
            await batcher.put_many([document(number, day=YESTERDAY), document(number + 1)])
        await until(lambda: batcher.documents_stored == 4)
        assert batcher.documents_held == 4
        await until(lambda: batcher.held == "held documents: mail-2026.11.23 is closed")


async def test_no_more_is_held_than_there_is_room_for() -> None:
    output = ScriptedWriter(*[closed(TODAY)] * 1000)
    async with running(output, max_documents=2, capacity=10) as batcher:
        for number in range(10):
            await batcher.put(document(number))
        await until(lambda: batcher.documents_held == 10)
        assert not batcher.offer(document(10))


@pytest.mark.parametrize(
    ("live", "hours", "rejected"),
    [
        pytest.param(True, 47, 0, id="yesterday"),
        pytest.param(True, 49, 1, id="the day before yesterday"),
        pytest.param(True, -49, 0, id="from a host whose clock is ahead"),
        pytest.param(False, 49, 0, id="in a replay"),
    ],
)
async def test_a_day_that_was_put_away_long_ago_holds_up_nothing(
    live: bool, hours: int, rejected: int
) -> None:
    letters = Letters()
    output = ScriptedWriter(*[closed(TODAY)] * 1000)
    now = float(document(0).seconds + 3600 * hours)
    async with running(output, letters, max_documents=1, live=live, now=lambda: now) as batcher:
        await batcher.put(document(0))
        await until(lambda: batcher.documents_rejected or batcher.held)
        assert batcher.documents_rejected == rejected
    assert [one.reason for one in letters.kept] == ["mail-2026.11.24 is closed"] * rejected


async def test_what_finds_no_room_in_the_dead_letters_waits_with_its_receipt(
    tmp_path: Path,
) -> None:
    output = ScriptedWriter(
        lambda batch: WriteResult(rejected=[Rejection(one, "bad") for one in batch])
    )
    async with running(output, DeadLetters(tmp_path, max_bytes=200), max_documents=5) as batcher:
        await batcher.put_many([document(number) for number in range(5)], receipt(5))
        await batcher.put_many([document(number) for number in range(5, 10)])
        await until(lambda: "are full" in str(batcher.held))
        assert (batcher.documents_rejected, batcher.documents_stored) == (2, 5)
        assert (batcher.documents_held, batcher.pending) == (3, 3)
        assert not batcher.receipts.cover(receipt(5))

        def made_room() -> bool:
            for file in tmp_path.iterdir():
                file.unlink()
            return not batcher.pending

        await until(made_room)
        assert batcher.documents_rejected == 5
        assert batcher.receipts.cover(receipt(5))


# Receipts


def receipt(position: int, stream: str = "spool") -> Receipt:
    return Receipt(stream, position)


async def test_a_receipt_waits_for_the_first_batch_that_is_not_settled() -> None:
    gates = {0: asyncio.Event(), 1: asyncio.Event()}

    class Gated(ScriptedWriter):
        async def write(self, batch: Sequence[Document]) -> WriteResult:
            if gate := gates.get(batch[0].fields["number"]):
                await gate.wait()
            return await super().write(batch)

    output = Gated()
    async with running(output, in_flight=2, max_documents=1) as batcher:
        for number in range(2):
            await batcher.put_many([document(number)], receipt(number + 1))
        waiting = asyncio.create_task(batcher.receipts.wait_for(receipt(2)))
        gates[1].set()
        await until(lambda: batcher.documents_stored == 1)
        assert (batcher.receipts.cover(receipt(1)), waiting.done()) == (False, False)
        gates[0].set()
        await waiting
        assert batcher.receipts.cover(receipt(1))


async def test_who_follows_a_stream_is_called_with_each_of_its_receipts() -> None:
    followed: list[int] = []
    async with running(ScriptedWriter(), max_documents=1) as batcher:
        batcher.receipts.follow("spool", followed.append)
        for number, stream in enumerate(["spool", "other", "spool"]):
            await batcher.put_many([document(number)], receipt(number + 1, stream))
        assert await batcher.drain() == 0
    assert followed == [1, 3]


async def test_a_receipt_waits_until_a_rejected_document_is_a_dead_letter() -> None:
    letters = Letters(failures=10**9)
    output = ScriptedWriter(lambda batch: WriteResult(rejected=[Rejection(batch[0], "bad")]))
    async with running(output, letters, max_documents=1) as batcher:
        await batcher.put_many([document(number) for number in range(3)], receipt(3))
        await until(lambda: batcher.documents_stored == 2)
        assert not batcher.receipts.cover(receipt(3))
        letters.failures = 0
        await batcher.receipts.wait_for(receipt(3))
        assert len(letters.kept) == 1


async def test_a_receipt_of_lines_without_documents_waits_for_those_before_it() -> None:
    output = ScriptedWriter()
    async with running(output, max_documents=2, max_age=3600) as batcher:
        await batcher.put_many([], receipt(1))
        assert batcher.receipts.cover(receipt(1)), "nothing is before it"
        await batcher.put_many([document(1)], receipt(2))
        await batcher.put_many([], receipt(3))
        output.gate.clear()
        await batcher.put_many([document(2)], receipt(4))
        await batcher.put_many([], receipt(5))
        assert not batcher.receipts.cover(receipt(2)), "the batch is not cut until the second line"
        output.gate.set()
        await batcher.receipts.wait_for(receipt(5))


async def test_receipts_of_several_streams_are_of_their_own() -> None:
    output = ScriptedWriter()
    output.gate.clear()
    async with running(output, max_documents=2, max_age=3600) as batcher:
        await batcher.put_many([document(1)], receipt(500, "mail-0"))
        await batcher.put_many([document(2)], receipt(7, "mail-1"))
        await batcher.put_many([document(3)], receipt(501, "mail-0"))
        output.gate.set()
        await batcher.receipts.wait_for(receipt(7, "mail-1"))
        assert batcher.receipts.cover(receipt(500, "mail-0"))
        assert not batcher.receipts.cover(receipt(501, "mail-0"))
        assert await batcher.drain() == 0
        assert batcher.receipts.cover(receipt(501, "mail-0"))
        assert not batcher.receipts.cover(receipt(8, "mail-1"))


# Draining


async def test_draining_does_not_wait_for_the_age_of_a_batch() -> None:
    output = ScriptedWriter()
    async with running(output, max_age=3600) as batcher:
        await batcher.put_many([document(1), document(2)])
        assert await batcher.drain(PATIENCE) == 0
        assert output.batches == [[1, 2]]
        assert await batcher.drain(PATIENCE) == 0


async def test_draining_gives_up_in_time_and_gives_what_is_left() -> None:
    output = ScriptedWriter()
    output.gate.clear()
    async with running(output, max_documents=2) as batcher:
        await batcher.put_many([document(number) for number in range(5)])
        assert await batcher.drain(0.01) == 5
        output.gate.set()
        assert await batcher.drain(PATIENCE) == 0


async def test_draining_waits_for_documents_that_come_meanwhile() -> None:
    output = ScriptedWriter()
    output.gate.clear()
    async with running(output, max_documents=2, max_age=3600) as batcher:
        await batcher.put(document(1))
        draining = asyncio.create_task(batcher.drain(PATIENCE))
        await until(lambda: output.writing)
        await batcher.put(document(2))
        output.gate.set()
        assert await draining == 0
        assert len(output.stored) == 2


# The law


@settings(max_examples=60)
@given(
    documents=st.integers(0, 60),
    max_documents=st.integers(1, 9),
    capacity=st.integers(1, 20),
    in_flight=st.integers(1, 3),
    seed=st.integers(),
    letters=st.integers(0, 3),
)
async def test_every_document_ends_as_stored_or_rejected_whatever_fails(
    documents: int, max_documents: int, capacity: int, in_flight: int, seed: int, letters: int
) -> None:
    rng = Random(seed)

    too_early: list[Document] = []

    class Watched(Receipts):
        """Looks, when a receipt is given, whether all that it covers is where it has to be."""

        def give(self, receipt: Receipt) -> None:
            super().give(receipt)
            settled = output.stored.keys() | {letter.document.id for letter in sink.kept}
            too_early.extend(one for one in taken[: receipt.position] if one.id not in settled)

    output, sink = ScriptedWriter(*[any_answer(rng)] * 40), Letters(letters)
    taken = [document(number) for number in range(documents)]
    options: dict[str, Any] = {
        "max_documents": max_documents,
        "capacity": capacity,
        "in_flight": in_flight,
        "max_age": 0.001,
    }
    async with running(output, sink, **options) as batcher:
        batcher._batches.receipts = Watched()
        for number, one in enumerate(taken):
            await batcher.put_many([one], receipt(number + 1) if rng.random() < 0.7 else None)
            assert batcher.pending <= capacity
        await batcher.put_many([], receipt(documents))
        assert await batcher.drain(PATIENCE) == 0
        assert batcher.documents_stored + batcher.documents_rejected == documents
        assert batcher.receipts.cover(receipt(documents))
    assert not too_early
    buried = Counter(rejection.document.id for rejection in sink.kept)
    assert output.stored + buried == Counter(one.id for one in taken)


async def test_a_hard_stop_and_a_second_run_leave_every_document_once(tmp_path: Path) -> None:
    documents = [document(number) for number in range(3000)]
    for stop_early in (True, False):
        output = SqliteWriter(tmp_path)
        batcher = Batcher(output, Letters(), max_documents=100)
        task = asyncio.create_task(batcher.run())
        await batcher.put_many(documents)
        if stop_early:
            await until(lambda batcher=batcher: batcher.documents_stored >= 300)  # type: ignore[misc]
        else:
            assert await batcher.drain() == 0
            assert batcher.documents_stored == 3000
            assert batcher.documents_duplicate >= 300
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await output.close()
    found = [body["number"] for body in StoredDocuments(tmp_path, "mail").find(limit=9999)]
    assert sorted(found) == list(range(3000))
