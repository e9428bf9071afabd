"""Receipts: up to which position of which stream everything is stored, as values."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Receipt:
    """Everything before ``position`` of ``stream`` is stored or in the dead letters.

    A stream is whatever has an order of its own, such as the spool.  Positions begin with 0, and
    only those of one stream can be compared.
    """

    stream: str
    position: int


class Receipts:
    """The latest receipt of each stream that was given back; for one event loop."""

    def __init__(self) -> None:
        self._positions: dict[str, int] = {}
        self._given = asyncio.Event()
        self._followers: dict[str, Callable[[int], None]] = {}

    def follow(self, stream: str, follower: Callable[[int], None]) -> None:
        """Have a function called with the position of each receipt of a stream, at once."""
        self._followers[stream] = follower

    def give(self, receipt: Receipt) -> None:
        """Take a receipt, whose word is true from now on."""
        self._positions[receipt.stream] = receipt.position
        self._given.set()
        if (follower := self._followers.get(receipt.stream)) is not None:
            follower(receipt.position)

    def cover(self, receipt: Receipt) -> bool:
        """Whether this receipt or a later one of its stream was given."""
        return self._positions.get(receipt.stream, 0) >= receipt.position

    async def wait_for(self, receipt: Receipt) -> None:
        """Wait until this receipt or a later one of its stream is given."""
        while not self.cover(receipt):
            self._given.clear()
            await self._given.wait()
