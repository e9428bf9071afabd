"""Snapshots of the pipeline: what it knows of the lines before a place in the spool.

After the start the pipeline is given the last snapshot and then, once more, the lines from that
place on; so it makes the same documents of them, with the same ids.  What was stored before comes
out as a duplicate.

A snapshot is taken between two records, and becomes valid (by the rename of its file) only when the
receipt for its place was given: until then the lines before it are needed in case of a crash, also
those whose events wait for a line about their queue ID, which are not in the snapshot.  The store
is synced before: after a power failure it must have what the spool has no more.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from mailingest.delivery.receipts import Receipts
from mailingest.errors import MailingestError
from mailingest.logs.logger import log
from mailingest.pipeline import Pipeline
from mailingest.service.noticed import FILE, keep
from mailingest.service.processor import spool_receipt
from mailingest.spool.files import Replacement
from mailingest.spool.records import Position
from mailingest.spool.snapshot import position_row
from mailingest.stores.threads import in_thread

_POLL_SECONDS: Final = 0.5


class TrimmedSpool(Protocol):
    """A spool, as whoever takes snapshots sees it."""

    @property
    def position(self) -> Position:
        """The place behind what was taken last."""

    @property
    def full(self) -> str | None:
        """Why it takes no more, or None."""

    def could_free(self, since: Position) -> bool:
        """Whether what was taken since a position is about a whole file."""

    def forget(self, position: Position, /) -> None:
        """All before a position is stored, and in a snapshot."""


async def save_nothing() -> None:
    """Where there are no positions of what is read."""


class Snapshots:
    """Writes snapshots to ``path`` and trims the spool accordingly.

    ``sync_store`` has what is stored survive a power failure, or raises MailingestError.
    ``save_positions`` writes down those that are in records of the spool, before it is trimmed.
    """

    def __init__(
        self,
        path: Path,
        pipeline: Pipeline,
        spool: TrimmedSpool,
        receipts: Receipts,
        sync_store: Callable[[], Awaitable[None]],
        save_positions: Callable[[], Awaitable[None]],
    ) -> None:
        self._path = path
        self._pipeline = pipeline
        self._spool = spool
        self._receipts = receipts
        self._sync_store = sync_store
        self._is_wanted = False
        self._save_positions = save_positions

    def hurry(self) -> None:
        """Let `keep` take the next one now."""
        self._is_wanted = True

    async def keep(self, interval: Callable[[], float]) -> None:
        """Take one each ``interval`` seconds, and sooner if that makes room in a full spool."""
        loop = asyncio.get_running_loop()
        while True:
            valid, last = self._spool.position, loop.time()
            while not self._is_wanted and loop.time() < last + interval():
                await asyncio.sleep(_POLL_SECONDS)
                if self._spool.full is not None and self._spool.could_free(valid):
                    break
            self._is_wanted = False
            await self.take()

    async def take(self) -> None:
        """Take a snapshot of now, and wait until it is valid; a failure is logged."""
        # Nothing of the state changes between these lines, for nothing is awaited.
        position = self._spool.position
        rows = self._pipeline.snapshot()
        noticed = self._pipeline.watch.snapshot()
        try:
            with Replacement(self._path) as file:
                await in_thread(lambda: file.write(position_row(position)))
                for row in rows:
                    await in_thread(lambda row=row: file.write(row))  # type: ignore[misc]
                await self._receipts.wait_for(spool_receipt(position))
                await self._sync_store()
                await self._save_positions()
                await in_thread(file.commit)
        except (OSError, MailingestError) as error:
            log.error("snapshot not written", path=str(self._path), reason=str(error))
        else:
            self._spool.forget(position)
        await in_thread(partial(keep, self._path.with_name(FILE), list(noticed)))
