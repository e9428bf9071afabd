"""Snapshots of the pipeline: what it knows of the lines before a place in the spool.

After the start the pipeline is given the last snapshot and then, once more, the lines from that
place on; so it makes the same documents of them, with the same ids.  What was stored before comes
out as a duplicate.

A snapshot is taken between two records, and becomes valid (by the rename of its file) only when all
documents of the lines before it are stored or in the dead letters: until then these lines are
needed in case of a crash.  Events that waited for a line about their queue ID are not in it; so it
waits for them as well.
"""

import asyncio
from pathlib import Path

import structlog

from mailingest.delivery.batcher import Batcher
from mailingest.pipeline import Pipeline
from mailingest.spool.journal import Position
from mailingest.spool.queue import Spool
from mailingest.spool.snapshot import Replacement, position_row
from mailingest.stores.threads import in_thread

_log = structlog.get_logger(__name__)

_POLL_SECONDS = 0.5


class Snapshots:
    """Writes snapshots to ``path`` and trims the spool accordingly."""

    def __init__(self, path: Path, pipeline: Pipeline, spool: Spool, batcher: Batcher) -> None:
        self._path = path
        self._pipeline = pipeline
        self._spool = spool
        self._batcher = batcher

    async def keep(self, interval: float) -> None:
        """Take one each ``interval`` seconds, and sooner if that makes room in a full spool."""
        loop = asyncio.get_running_loop()
        while True:
            valid, due = self._spool.position, loop.time() + interval
            while loop.time() < due:
                await asyncio.sleep(_POLL_SECONDS)
                if self._spool.full is not None and self._spool.could_free(valid):
                    break
            await self.take()

    async def take(self) -> None:
        """Take a snapshot of now, and wait until it is valid; a failure is logged."""
        # Nothing of the state changes between these lines, for nothing is awaited.
        position = self._spool.position
        rows = self._pipeline.snapshot()
        try:
            with Replacement(self._path) as file:
                await in_thread(lambda: file.write(position_row(position)))
                for row in rows:
                    await in_thread(lambda row=row: file.write(row))  # type: ignore[misc]
                while self._holds_back(position):  # noqa: ASYNC110 - the core has no events
                    await asyncio.sleep(_POLL_SECONDS)
                await self._batcher.settled(self._pipeline.counters.documents)
                await in_thread(file.commit)
        except OSError as error:
            _log.error("snapshot not written", path=str(self._path), reason=error.strerror)
        else:
            self._spool.forget(position)

    def _holds_back(self, position: Position) -> bool:
        """Whether an event of the lines before a position waits for its qmgr line."""
        held_since = self._pipeline.queue_map.held_since
        return held_since is not None and held_since < position.octets
