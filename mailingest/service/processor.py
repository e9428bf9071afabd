"""Records of the spool -> pipeline -> batcher, each with the receipt that is due for it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from mailingest.delivery.batcher import Batcher
from mailingest.delivery.receipts import Receipt
from mailingest.documents import Document
from mailingest.inputs.addresses import peer_text
from mailingest.logs.logger import log
from mailingest.pipeline import FrameBlock, Pipeline
from mailingest.service.frame_limit import FrameTooSlow
from mailingest.spool.frame_mark import FrameMark
from mailingest.spool.records import FrameBatch, Position
from mailingest.spool.sources import Sources

_SHOWN_BYTES: Final = 2000
# Who has nothing to do lets more records come than the first one: a turn costs more than a line,
# and a line alone several times as much as one after another, which finds the processor's caches
# warm.  It takes the time that a batch may wait, at most so many seconds, and looks now and then
# whether there are enough lines.  The batch does not wait again then.
_MOST_GATHERING_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.1
_ENOUGH_FRAMES: Final = 256
# A millisecond of work.
_FRAMES_A_TURN: Final = 32
_GIVEN_UP: Final = "earlier runs of mailingest ended while they worked on it, or it took too long"

# Its positions are the numbers of frames.
SPOOL_STREAM: Final = "spool"


def spool_receipt(position: Position) -> Receipt:
    """The receipt for everything before a position of the spool."""
    return Receipt(SPOOL_STREAM, position.frames)


GiveWay = Callable[[], Awaitable[None]]


class FrameQueue(Protocol):
    """A spool, as whoever takes from it sees it."""

    @property
    def position(self) -> Position:
        """The place behind what was taken last."""

    @property
    def frames(self) -> int:
        """How many frames wait to be taken."""

    def take(self) -> FrameBatch | None:
        """The next batch, None if there is none now."""

    async def wait(self) -> None:
        """Wait until there may be a batch to take."""

    def settle(self, frames: int, /) -> None:
        """The frames before a number are stored."""


class Processor:
    """Takes from the spool, as long as the batcher has room.

    The receipt that goes with the documents of a record is for the position behind it, unless
    events wait for a line about their queue ID: then it is for the position before the first record
    that has one of them.

    ``give_way`` is awaited after each record with some lines, or several of fewer.  A frame is
    marked while it is worked on.
    ``frames_failed`` counts lines that met a fault of mailingest itself, ``frames_set_aside`` those
    that took too long, or that the process died with twice; all of them are dead letters.
    """

    def __init__(
        self,
        spool: FrameQueue,
        pipeline: Pipeline,
        batcher: Batcher,
        give_way: GiveWay,
        mark: FrameMark,
        sources: Sources,
    ) -> None:
        self.frames_failed = 0
        self.frames_set_aside = 0
        self._mark = mark
        self.sources = sources
        self._spool = spool
        self._pipeline = pipeline
        self._batcher = batcher
        self._give_way = give_way
        self._is_idle = asyncio.Event()
        self._is_gathering = False
        self._hurry = False

    async def run(self) -> None:
        """Process records until cancelled."""
        spool, queue_map = self._spool, self._pipeline.queue_map
        frames, has_waited = 0, False
        while True:
            queue_map.mark = spool.position.frames
            received = spool.take()
            if received is None:
                # What cannot be read was passed over, and is nothing to wait for.
                self._batcher.carry(self._receipt())
                if has_waited:
                    self._batcher.cut()
                self._is_idle.set()
                await spool.wait()
                self._is_idle.clear()
                has_waited = await self._gather()
                continue
            documents = self._feed(received, spool.position.frames - len(received.frames))
            await self._batcher.put_many(documents, self._receipt())
            frames += len(received.frames)
            if frames >= _FRAMES_A_TURN:
                frames = 0
                await self._give_way()

    async def catch_up(self) -> None:
        """Wait until all that is in the spool went through the pipeline and into the batcher."""
        self._hurry = True
        try:
            while not self._is_caught_up:
                self._is_idle.clear()
                await self._is_idle.wait()
        finally:
            self._hurry = False

    def tick(self, now: float) -> None:
        """Let time pass; ``now`` is in seconds since 1970."""
        # While there are older records to take, the time is theirs.
        if self._is_gathering or self._is_caught_up:
            self._hand_on(self._pipeline.tick(now))

    def flush(self) -> None:
        """Let no event wait any longer; the spool has to be caught up with."""
        self._hand_on(self._pipeline.flush())

    @property
    def _is_caught_up(self) -> bool:
        return self._is_idle.is_set() and not self._spool.frames

    async def _gather(self) -> bool:
        """Let some more records come, unless somebody waits for those that there are.

        Tells whether the documents of these have waited for as long as a batch does.
        """
        max_age = self._batcher.max_age
        left = min(_MOST_GATHERING_SECONDS, max_age)
        self._is_gathering = True
        try:
            while left > 0:
                if self._hurry or self._spool.frames >= _ENOUGH_FRAMES:
                    return False
                await asyncio.sleep(min(left, _LOOK_SECONDS))
                left -= _LOOK_SECONDS
        finally:
            self._is_gathering = False
        return max_age <= _MOST_GATHERING_SECONDS

    def _feed(self, received: FrameBatch, first: int) -> list[Document]:
        """The documents of a record, whose first frame has that number."""
        self._pipeline.use(self.sources.of(received.metadata))
        frames, given_up = received.frames, self._mark.given_up
        numbers = range(first, first + len(frames))
        if not any(number in numbers for number in given_up):
            return self._feed_block(received, frames, first)
        documents: list[Document] = []
        for number, frame in zip(numbers, frames, strict=True):
            if number in given_up:
                self._pipeline.counters.frames += 1
                self._set_aside(received, frame, _GIVEN_UP)
            else:
                documents += self._feed_block(received, [frame], number)
        return documents

    def _feed_block(self, received: FrameBatch, frames: list[bytes], first: int) -> list[Document]:
        """The documents of frames of a record; those that fail are put away."""
        # What earlier versions wrote down may have an interface in the peer.
        peer = peer_text(received.peer)
        block = FrameBlock(
            frames, received.received_at, peer, received.stream, self._mark.cell, first + 1
        )
        documents = self._pipeline.feed_all(block)
        for place, error in block.failed:
            if isinstance(error, FrameTooSlow):
                self._mark.give_up(first + place)
            # It would come again after each start, and hold up all mail.
            self._failed(received, frames[place], error)
        return documents

    def _failed(self, received: FrameBatch, frame: bytes, error: Exception) -> None:
        if isinstance(error, FrameTooSlow):
            self._set_aside(received, frame, f"{error}: `mailingest check` looks for slow patterns")
            return
        self.frames_failed += 1
        log.error("a line made the pipeline fail", line=repr(frame[:_SHOWN_BYTES]), exc_info=error)
        self._put_away(received, frame, f"it made mailingest fail: {type(error).__name__}: {error}")

    def _set_aside(self, received: FrameBatch, frame: bytes, reason: str) -> None:
        self.frames_set_aside += 1
        log.error(
            "a line is set aside: see `mailingest deadletter list`",
            reason=reason,
            line=repr(frame[:_SHOWN_BYTES]),
        )
        self._put_away(received, frame, reason)

    def _put_away(self, received: FrameBatch, frame: bytes, reason: str) -> None:
        document = self._pipeline.unread(
            frame, received.received_at, received.peer, received.stream
        )
        self._batcher.reject(document, reason)

    def _hand_on(self, documents: list[Document]) -> None:
        for document in documents:
            self._batcher.add(document)
        self._batcher.carry(self._receipt())

    def _receipt(self) -> Receipt:
        held_since = self._pipeline.queue_map.held_since
        if held_since is None:
            return spool_receipt(self._spool.position)
        return Receipt(SPOOL_STREAM, held_since)
