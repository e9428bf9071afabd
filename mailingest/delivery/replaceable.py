"""A writer that another one may take the place of, while batches are under way."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from mailingest.documents import Document
from mailingest.errors import MailingestError
from mailingest.logs.logger import log
from mailingest.stores.protocol import Writer, WriteResult


class _InUse:
    """A writer and how many batches it may have under way."""

    def __init__(self, writer: Writer, in_flight: int) -> None:
        self.writer = writer
        self._in_flight = in_flight
        self.turns = asyncio.Semaphore(in_flight)
        self.may_begin = asyncio.Event()

    async def come_to_rest(self) -> None:
        """Wait until no batch is under way; none can be begun after that."""
        await self.may_begin.wait()
        for _ in range(self._in_flight):
            await self.turns.acquire()


class ReplaceableWriter:
    """See `mailingest.stores.protocol.Writer`; hands on to the writer of now.

    A batch ends with the writer that it was begun with, and is tried again with the one of then.
    No batch is begun with a writer before the one before it is closed: both may be for the same
    files.
    ``in_flight`` is how many batches the writer may be given at once.
    """

    def __init__(self, writer: Writer, in_flight: int) -> None:
        self._now = _InUse(writer, in_flight)
        self._now.may_begin.set()
        self._leaving: set[asyncio.Task[None]] = set()

    def replace(self, writer: Writer, in_flight: int) -> None:
        """Write with another writer, which is open, from the next batch on."""
        before, self._now = self._now, _InUse(writer, in_flight)
        task = asyncio.ensure_future(self._leave(before, self._now))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def open(self) -> None:
        """See `Writer`."""
        async with self._turn() as writer:
            await writer.open()

    async def write(self, batch: Sequence[Document]) -> WriteResult:
        """See `Writer`."""
        async with self._turn() as writer:
            return await writer.write(batch)

    async def sync(self) -> None:
        """See `Writer`; that is true of what the writers before have stored as well."""
        if self._leaving:
            await asyncio.wait(self._leaving)
        async with self._turn() as writer:
            await writer.sync()

    async def reopen(self) -> None:
        """See `Writer`."""
        async with self._turn() as writer:
            await writer.reopen()

    async def close(self) -> None:
        """See `Writer`."""
        if self._leaving:
            await asyncio.wait(self._leaving)
        await self._now.writer.close()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Writer]:
        """The writer of now, which is not closed as long as this lasts."""
        while True:
            used = self._now
            await used.may_begin.wait()
            async with used.turns:
                if used is self._now:
                    yield used.writer
                    return

    async def _leave(self, used: _InUse, following: _InUse) -> None:
        await used.come_to_rest()
        try:
            # What it has stored may be let go of when the writer of now is synced.
            await used.writer.sync()
        except MailingestError as error:
            log.warning(
                "the store before the reload could not be synced: a power failure now may take "
                "the last lines from it",
                reason=str(error),
            )
        await used.writer.close()
        following.may_begin.set()
