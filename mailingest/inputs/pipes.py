"""Log files in that may be pipes: whoever writes into one may keep the reader waiting for ever.

A file is read where it is asked for.  A pipe is read in a thread, so that the event loop goes on
and hears of signals.  Nothing can end such a thread while it waits; it ends with the process.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from mailingest.inputs.files import Block, LogFile

# What is read ahead, of 60 KB each.
_MOST_BLOCKS: Final = 4


class BlockReader:
    """Reads log files block by block, until `stop`; for one event loop."""

    def __init__(self) -> None:
        self._stopped = False
        self._wake = asyncio.Event()

    def stop(self) -> None:
        """Wait for no pipe any more; files go on."""
        self._stopped = True
        self._wake.set()

    async def blocks(self, file: LogFile, start: int = 0) -> AsyncIterator[Block]:
        """What `LogFile.blocks` gives; raises what it raises."""
        if file.is_regular:
            for block in file.blocks(start):
                yield block
            return
        arrived: deque[Block | Exception | None] = deque()
        room = threading.Semaphore(_MOST_BLOCKS)
        loop = asyncio.get_running_loop()

        def hand_over(item: Block | Exception | None) -> None:
            room.acquire()
            arrived.append(item)
            with suppress(RuntimeError):  # the loop has ended, and nobody waits any more
                loop.call_soon_threadsafe(self._wake.set)

        def read() -> None:
            try:
                for block in file.blocks(start):
                    hand_over(block)
            except Exception as error:
                hand_over(error)
            else:
                hand_over(None)

        threading.Thread(target=read, name="pipe-reader", daemon=True).start()
        while True:
            while not arrived and not self._stopped:
                self._wake.clear()
                await self._wake.wait()
            item = arrived.popleft() if arrived else None
            room.release()
            if isinstance(item, Exception):
                raise item
            if item is None:
                return
            yield item
