"""From the inputs that there are to those of another configuration, for inputs of any kind."""

import asyncio
from collections.abc import Mapping

import pytest

from mailingest.config import Listener
from mailingest.errors import UsageError
from mailingest.service.listeners import InputPlan, Listeners
from mailingest.syslog.sources import Source


class Reading:
    """An input that nothing is known of but `Input`: it reads one thing, and takes its time."""

    def __init__(self, name: str, notes: list[str], *, opens: bool = True) -> None:
        self.address = name
        self._notes = notes
        self._opens = opens
        self._closed = asyncio.Event()

    def open(self) -> None:
        if not self._opens:
            raise UsageError(f"{self.address}: no")

    async def serve(self) -> None:
        self._notes.append(f"{self.address} begins")
        await self._closed.wait()
        await asyncio.sleep(0)
        self._notes.append(f"{self.address} ends")

    def close(self) -> None:
        self._closed.set()

    def counters(self) -> Mapping[str, int]:
        return {"frames": 1}


def plan(name: str, notes: list[str], *, opens: bool = True) -> InputPlan:
    return InputPlan(
        "file", Listener(type=name), Source(name, "auto"), lambda: Reading(name, notes, opens=opens)
    )


async def test_another_reader_of_the_same_begins_when_the_one_before_has_ended() -> None:
    notes: list[str] = []
    listeners = Listeners([plan("kept", notes), plan("old", notes)])
    listeners.open()
    async with asyncio.TaskGroup() as group:
        listeners.serve(group)
        await asyncio.sleep(0)
        listeners.change(listeners.prepare([plan("kept", notes), plan("new", notes)]))
        while "new begins" not in notes:
            await asyncio.sleep(0)
        assert notes == ["kept begins", "old begins", "old ends", "new begins"]
        assert listeners.places == ["file kept", "file new"]
        assert listeners.count("frames") == 3, "also what the one that is gone has counted"
        listeners.close()


async def test_nothing_changes_if_one_cannot_be_opened() -> None:
    notes: list[str] = []
    listeners = Listeners([plan("old", notes)])
    async with asyncio.TaskGroup() as group:
        listeners.serve(group)
        with pytest.raises(UsageError):
            listeners.prepare([plan("new", notes), plan("bad", notes, opens=False)])
        await asyncio.sleep(0)
        assert (notes, listeners.places) == (["old begins"], ["file old"])
        listeners.close()
