"""What is read, and not sent: lines and the place behind them go into the spool in one record."""

import time
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from mailingest.inputs.protocol import BEGUN
from mailingest.spool.positions import Positions
from mailingest.spool.queue import Spool
from mailingest.spool.records import FrameBatch
from mailingest.spool.sources import to_metadata, with_place
from mailingest.syslog.sources import Source

# Streams of connections, which are named by the time, are above this.
_STREAM_BITS: Final = 62


class SpooledReading:
    """See `mailingest.inputs.protocol.Reading`; ``name`` names it over restarts.

    Its lines are from ``source``.
    """

    def __init__(self, spool: Spool, positions: Positions, name: str, source: Source) -> None:
        self._spool = spool
        self._positions = positions
        self._name = name
        self._metadata = to_metadata(source)

    def begin(self) -> Mapping[str, Any] | None:
        self._positions.give(self._name, self)
        return self.place

    @property
    def place(self) -> Mapping[str, Any] | None:
        return self._positions.of(self._name)

    async def take(self, frames: list[bytes], place: Mapping[str, Any]) -> None:
        batches = []
        if frames:
            metadata = with_place(self._metadata, self._name, place)
            stream = _stream(self._name, place[BEGUN])
            batches = [FrameBatch(time.time(), "", stream, frames, metadata)]
        while self._positions.has(self._name, self):
            if not batches or self._spool.append(batches):
                self._positions.keep(self._name, place)
                return
            await self._spool.room()


def _stream(name: str, begun: int) -> int:
    """What is read is one stream from when it began, since its place is kept over restarts.

    Lines that are the same are told apart by their number in it, as a replay of the files does it.
    """
    text = f"{begun} {name}".encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(text, digest_size=8).digest()) >> (64 - _STREAM_BITS) or 1
