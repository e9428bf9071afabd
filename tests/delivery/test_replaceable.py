"""One writer takes the place of another: no batch is lost, doubled, or let go of too early."""

import asyncio

from mailingest.delivery.replaceable import ReplaceableWriter
from mailingest.errors import StoreUnavailable
from tests.support.documents import document
from tests.support.lab.polling import until
from tests.support.writers import ScriptedWriter


class Noting(ScriptedWriter):
    """Notes when it is synced and closed."""

    def __init__(self, name: str, notes: list[str], *answers: BaseException) -> None:
        super().__init__(*answers)
        self._name = name
        self._notes = notes

    async def sync(self) -> None:
        self._notes.append(f"{self._name} synced")

    async def close(self) -> None:
        self._notes.append(f"{self._name} closed")


async def test_a_batch_ends_with_the_writer_it_was_begun_with() -> None:
    notes: list[str] = []
    old, new = Noting("old", notes), Noting("new", notes)
    writer = ReplaceableWriter(old, 1)
    old.gate.clear()
    first = asyncio.create_task(writer.write([document(1)]))
    await until(lambda: old.writing == 1)
    writer.replace(new, 1)
    second = asyncio.create_task(writer.write([document(2)]))
    syncing = asyncio.create_task(writer.sync())
    await turns()
    assert notes == [], "what the old one is writing has to survive as well"
    assert new.writing == 0, "both may be for the same files"
    old.gate.set()
    assert (await first).stored == (await second).stored == 1
    assert (old.stored.total(), new.stored.total()) == (1, 1)
    await syncing
    assert notes == ["old synced", "old closed", "new synced"]
    await writer.close()
    assert notes[3:] == ["new closed"]


async def test_nothing_is_asked_of_a_writer_that_is_closed() -> None:
    notes: list[str] = []
    writers = [Noting(str(number), notes) for number in range(20)]
    writer = ReplaceableWriter(writers[0], 1)
    syncing = []
    for one in writers[1:]:
        writer.replace(one, 1)
        syncing.append(asyncio.create_task(writer.sync()))
        await asyncio.sleep(0)
    await asyncio.gather(*syncing)
    for number in range(19):
        assert notes.index(f"{number} closed") > max(
            place for place, note in enumerate(notes) if note == f"{number} synced"
        )


async def turns() -> None:
    """Let everything happen that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_batch_that_waited_for_its_turn_is_the_new_writers() -> None:
    old, new = ScriptedWriter(), ScriptedWriter()
    writer = ReplaceableWriter(old, 1)
    old.gate.clear()
    batches = [asyncio.create_task(writer.write([document(n)])) for n in range(3)]
    await until(lambda: old.writing == 1)
    writer.replace(new, 2)
    old.gate.set()
    await asyncio.gather(*batches)
    assert (old.stored.total(), new.stored.total()) == (1, 2)


async def test_several_in_a_row_take_their_turns() -> None:
    notes: list[str] = []
    writers = [Noting(str(number), notes) for number in range(3)]
    writer = ReplaceableWriter(writers[0], 1)
    for one in writers[1:]:
        writer.replace(one, 1)
    assert (await writer.write([document(1)])).stored == 1
    assert notes == ["0 synced", "0 closed", "1 synced", "1 closed"]
    assert writers[2].stored.total() == 1


async def test_what_the_old_one_does_not_take_is_for_the_new_one() -> None:
    old, new = ScriptedWriter(StoreUnavailable("away")), ScriptedWriter()
    writer = ReplaceableWriter(old, 1)
    old.gate.clear()
    first = asyncio.create_task(writer.write([document(1)]))
    await until(lambda: old.writing == 1)
    writer.replace(new, 1)
    old.gate.set()
    await asyncio.wait([first])
    assert isinstance(first.exception(), StoreUnavailable)
    assert (await writer.write([document(1)])).stored == 1
