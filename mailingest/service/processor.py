"""Records of the spool -> pipeline -> batcher, each with the receipt that is due for it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from mailingest.delivery.batcher import Batcher
from mailingest.delivery.receipts import Receipt
from mailingest.documents import Document
from mailingest.pipeline import Pipeline
from mailingest.spool.queue import Spool
from mailingest.spool.records import FrameBatch, Position

_log = structlog.get_logger(__name__)

# Its positions are the numbers of frames.
SPOOL_STREAM: Final = "spool"


def spool_receipt(position: Position) -> Receipt:
    """The receipt for everything before a position of the spool."""
    return Receipt(SPOOL_STREAM, position.frames)


class Processor:
    """Takes from the spool, as long as the batcher has room.

    The receipt that goes with the documents of a record is for the position behind it, unless
    events wait for a line about their queue ID: then it is for the position before the first record
    that has one of them.

    ``give_way`` is awaited after each record.  ``frames_failed`` counts lines that met a fault of
    mailingest itself.
    """

    def __init__(
        self,
        spool: Spool,
        pipeline: Pipeline,
        batcher: Batcher,
        give_way: Callable[[], Awaitable[None]],
    ) -> None:
        self.frames_failed = 0
        self._spool = spool
        self._pipeline = pipeline
        self._batcher = batcher
        self._give_way = give_way
        self._is_idle = asyncio.Event()

    async def run(self) -> None:
        """Process records until cancelled."""
        spool, queue_map = self._spool, self._pipeline.queue_map
        while True:
            queue_map.mark = spool.position.frames
            received = spool.take()
            if received is None:
                # What cannot be read was passed over, and is nothing to wait for.
                self._batcher.carry(self._receipt())
                self._is_idle.set()
                await spool.wait()
                self._is_idle.clear()
                continue
            documents = self._feed(received)
            await self._batcher.put_many(documents, self._receipt())
            await self._give_way()

    async def catch_up(self) -> None:
        """Wait until all that is in the spool went through the pipeline and into the batcher."""
        while not self._is_caught_up:
            self._is_idle.clear()
            await self._is_idle.wait()

    def tick(self, now: float) -> None:
        """Let time pass; ``now`` is in seconds since 1970."""
        # While there are records to take, the time is theirs.
        if self._is_caught_up:
            self._hand_on(self._pipeline.tick(now))

    def flush(self) -> None:
        """Let no event wait any longer; the spool has to be caught up with."""
        self._hand_on(self._pipeline.flush())

    @property
    def _is_caught_up(self) -> bool:
        return self._is_idle.is_set() and not self._spool.frames

    def _feed(self, received: FrameBatch) -> list[Document]:
        feed = self._pipeline.feed
        now, peer, stream = received.received_at, received.peer, received.stream
        documents: list[Document] = []
        for frame in received.frames:
            try:
                documents += feed(frame, now, peer, stream)
            except Exception:
                # A fault of mailingest; it would come again after each start, and hold up all mail.
                self.frames_failed += 1
                _log.exception("a line made the pipeline fail", line=repr(frame[:2000]))
        return documents

    def _hand_on(self, documents: list[Document]) -> None:
        for document in documents:
            self._batcher.add(document)
        self._batcher.carry(self._receipt())

    def _receipt(self) -> Receipt:
        held_since = self._pipeline.queue_map.held_since
        if held_since is None:
            return spool_receipt(self._spool.position)
        return Receipt(SPOOL_STREAM, held_since)
