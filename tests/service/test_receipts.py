"""Receipts of the spool: never given before everything before their position is settled, and in
the end always, whatever waits, fails, is refused or left out."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from mailingest.config import Settings
from mailingest.delivery import batcher as module
from mailingest.delivery.batcher import Batcher
from mailingest.delivery.receipts import Receipt, Receipts
from mailingest.documents import Document
from mailingest.errors import StoreUnavailable
from mailingest.pipeline import Pipeline
from mailingest.service.processor import Processor, spool_receipt
from mailingest.service.snapshots import Snapshots
from mailingest.spool.frame_mark import FrameMark
from mailingest.spool.positions import Positions
from mailingest.spool.queue import Spool
from mailingest.spool.records import FrameBatch
from mailingest.spool.snapshot import read_position
from mailingest.spool.sources import Sources
from mailingest.stores.protocol import WriteResult
from mailingest.wiring import build_pipeline
from tests.support.lab.polling import PATIENCE
from tests.support.writers import Letters, ScriptedWriter, any_answer

START = 1_795_534_882.0  # Nov 24 15:41:22 2026
HEADER = "Nov 24 15:41:22 mx1 postfix"
QUEUE_IDS = ("4AB12CD31", "4AB12CD32", "4AB12CD33")


@dataclass(frozen=True)
class Frame:
    """A line with a number of its own, or None if no document is made of it."""

    text: str
    number: int | None


@dataclass(frozen=True)
class Step:
    """Some lines come together, or none; and time passes before."""

    seconds: float
    frames: tuple[Frame, ...] = ()


@st.composite
def steps(draw: st.DrawFn) -> list[Step]:
    numbers = iter(range(1, 10_000))

    def frame() -> Frame:
        kind = draw(st.sampled_from(["delivery", "delivery", "active", "removed", "other", ""]))
        queue_id, number = draw(st.sampled_from(QUEUE_IDS)), next(numbers)
        if kind == "delivery":
            text = (
                f"smtp[{number}]: {queue_id}: to=<bob@example.net>, relay=none, delay=1,"
                " delays=1/0/0/0, dsn=4.4.1, status=deferred (connect: timed out)"
            )
        elif kind == "active":
            text = (
                f"qmgr[{number}]: {queue_id}: from=<a@example.com>, size=1, nrcpt=1 (queue active)"
            )
        elif kind == "removed":
            text = f"qmgr[{number}]: {queue_id}: removed"
        elif kind == "other":
            text = f"smtpd[{number}]: connect from a.example.com[192.0.2.1]"
        else:
            return Frame("  ", None)
        return Frame(f"{HEADER}/{text}", number)

    return [
        Step(
            draw(st.sampled_from([0.0, 0.0, 0.4, 1.0, 3.0])),
            tuple(frame() for _ in range(draw(st.integers(0, 4)))),
        )
        for _ in range(draw(st.integers(1, 25)))
    ]


class KeepingWriter(ScriptedWriter):
    """Knows the number of each document's line, which is its process id."""

    def __init__(self, rng: Random) -> None:
        super().__init__(*[any_answer(rng)] * 60)
        self.numbers: dict[str, int] = {}

    async def write(self, batch: Sequence[Document]) -> WriteResult:
        self.numbers.update({one.id: number_of(one) for one in batch})
        return await super().write(batch)


def number_of(document: Document) -> int:
    return int(document.fields["pid"])


@dataclass
class Watched(Receipts):
    """Looks, when a receipt is given, whether all lines that it covers are settled."""

    writer: KeepingWriter
    letters: Letters
    # Where each record ends, and the numbers of its lines that become documents.
    records: list[tuple[int, set[int]]] = field(default_factory=list)
    given: list[Receipt] = field(default_factory=list)
    too_early: list[tuple[Receipt, set[int]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def give(self, receipt: Receipt) -> None:
        super().give(receipt)
        self.given.append(receipt)
        settled = {self.writer.numbers[identity] for identity in self.writer.stored}
        settled |= {number_of(letter.document) for letter in self.letters.kept}
        for end, numbers in self.records:
            if end <= receipt.position and not numbers <= settled:
                self.too_early.append((receipt, numbers - settled))


class Rig:
    """The real parts from the spool to the batcher, and a writer that does as a test says."""

    def __init__(self, directory: Path, rng: Random, events: str = "all") -> None:
        configured = Settings.model_validate(
            {"state": {"directory": directory}, "index": {"events": events}}
        )
        self.spool = Spool(directory, max_bytes=1 << 30)
        self.spool.open(None)
        self.pipeline: Pipeline = build_pipeline(configured, live=True)
        self.writer = KeepingWriter(rng)
        self.letters = Letters(rng.randint(0, 3))
        self.batcher = Batcher(
            self.writer,
            self.letters,
            max_documents=rng.randint(1, 5),
            max_age=0.001,
            capacity=rng.randint(1, 10),
            in_flight=rng.randint(1, 3),
        )
        self.receipts = self.batcher._batches.receipts = Watched(self.writer, self.letters)
        self.processor = Processor(
            self.spool,
            self.pipeline,
            self.batcher,
            lambda: asyncio.sleep(0),
            FrameMark(directory),
            Sources(configured.default_source, configured.type_names),
        )
        self._wants_others = events == "all"

    def append(self, now: float, frames: Sequence[Frame]) -> None:
        before = self.spool.position, self.spool.frames
        assert self.spool.append(
            [FrameBatch(now, "192.0.2.1", 0, [frame.text.encode() for frame in frames])]
        )
        assert before[0] == self.spool.position
        numbers = {
            frame.number
            for frame in frames
            if frame.number is not None and (self._wants_others or "connect from" not in frame.text)
        }
        self.receipts.records.append((self.spool._journal.end.frames, numbers))

    async def drain(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.processor.catch_up()
            self.processor.flush()
            assert await self.batcher.drain() == 0


@contextmanager
def rig(seed: int, events: str = "all") -> Iterator[Rig]:
    with TemporaryDirectory() as directory:
        made = Rig(Path(directory), Random(seed), events)
        yield made
        made.spool.close()


@pytest.fixture(autouse=True, scope="module")
def no_waiting() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "backoff", lambda attempt, rng: 0.0)
        yield


@settings(max_examples=100, deadline=None)
@given(steps(), st.integers(), st.sampled_from(["all", "deliveries"]))
async def test_a_receipt_is_given_when_all_before_it_is_settled_and_not_earlier(
    taken: list[Step], seed: int, events: str
) -> None:
    turns = Random(seed + 1)
    with rig(seed, events) as made:
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(made.batcher.run()),
                tasks.create_task(made.processor.run()),
            ]
            now = START
            for step in taken:
                now += step.seconds
                if step.frames:
                    made.append(now, step.frames)
                for _ in range(turns.randint(0, 3)):
                    await asyncio.sleep(0)
                made.processor.tick(now)
            await made.drain()
            for task in running:
                task.cancel()
        assert not made.receipts.too_early
        assert made.receipts.cover(spool_receipt(made.spool.position))
        assert made.receipts.given == sorted(made.receipts.given, key=lambda one: one.position)
        settled = {made.writer.numbers[identity] for identity in made.writer.stored}
        settled |= {number_of(letter.document) for letter in made.letters.kept}
        assert settled == set().union(*(numbers for _, numbers in made.receipts.records))


async def test_a_snapshot_becomes_valid_with_the_receipt_of_its_position() -> None:
    delivery = Frame(
        f"{HEADER}/smtp[1]: {QUEUE_IDS[0]}: to=<bob@example.net>, relay=none, delay=1,"
        " delays=1/0/0/0, dsn=4.4.1, status=deferred (connect: timed out)",
        1,
    )
    other = Frame(f"{HEADER}/smtpd[2]: connect from a.example.com[192.0.2.1]", 2)
    with rig(seed=1) as made, TemporaryDirectory() as directory:
        path = Path(directory, "queue-ids")
        positions = Positions(Path(directory, "positions"), made.spool, syncs=False)
        snapshots = Snapshots(
            path,
            made.pipeline,
            made.spool,
            made.batcher.receipts,
            made.writer.sync,
            positions.save,
        )
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(made.batcher.run()),
                tasks.create_task(made.processor.run()),
            ]
            made.append(START, [other])
            made.append(START, [delivery])
            made.append(START, [other])
            await made.processor.catch_up()
            taking = tasks.create_task(snapshots.take())
            # All but the line that waits is stored.
            assert await made.batcher.drain() == 0
            assert (made.pipeline.queue_map.waiting, made.batcher.pending) == (1, 0)
            first, _, third = (end for end, _ in made.receipts.records)
            assert made.receipts.given[-1].position == first
            assert not taking.done()
            assert not path.exists()

            made.append(START, [other])
            await made.processor.catch_up()
            made.processor.tick(START + 10)
            assert await made.batcher.drain() == 0
            await taking
            assert read_position(path.read_bytes().splitlines()[0]).frames == third
            for task in running:
                task.cancel()


async def test_a_snapshot_is_not_valid_before_the_store_is_synced() -> None:
    async def fails() -> None:
        raise StoreUnavailable("the disk cannot sync")

    with rig(seed=1) as made, TemporaryDirectory() as directory:
        path = Path(directory, "queue-ids")
        receipts = made.batcher.receipts
        positions = Positions(Path(directory, "positions"), made.spool, syncs=False)
        with capture_logs() as events:
            await Snapshots(path, made.pipeline, made.spool, receipts, fails, positions.save).take()
        assert not path.exists()
        assert [(one["event"], one["reason"]) for one in events] == [
            ("snapshot not written", "the disk cannot sync")
        ]
        sync = made.writer.sync
        await Snapshots(path, made.pipeline, made.spool, receipts, sync, positions.save).take()
        assert path.exists()


async def test_who_was_idle_takes_what_came_shortly_after_as_well() -> None:
    taken: list[int] = []
    line = Frame(f"{HEADER}/smtpd[2]: connect from a.example.com[192.0.2.1]", 2)
    with rig(seed=1) as made:
        take = made.spool.take

        def counting() -> FrameBatch | None:
            taken.append(made.spool.frames)
            return take()

        made.spool.take = counting  # type: ignore[method-assign]
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(made.batcher.run()),
                tasks.create_task(made.processor.run()),
            ]
            await asyncio.sleep(0)
            made.append(START, [line])
            for _ in range(5):
                await asyncio.sleep(0)
            made.append(START, [line])
            # The time of those that wait for a line goes on meanwhile.
            ticks: list[float] = []
            made.pipeline.tick = lambda now: ticks.append(now) or []  # type: ignore[method-assign,func-returns-value]
            made.processor.tick(START)
            assert ticks == [START]
            await made.drain()
            for task in running:
                task.cancel()
    assert taken == [0, 2, 1, 0]
