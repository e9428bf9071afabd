"""Documents, one by one -> batches into a store: gathers, retries, and loses nothing."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

import structlog

from mailingest.delivery.backoff import backoff
from mailingest.delivery.batches import Batch, Batches
from mailingest.delivery.outages import OutageLog, What
from mailingest.delivery.receipts import Receipt, Receipts
from mailingest.documents import Document
from mailingest.errors import MailingestError, StoreUnavailable, UsageError, sole_error
from mailingest.stores.protocol import Rejection, Writer, WriteResult
from mailingest.stores.threads import in_thread

_log = structlog.get_logger(__name__)

# Enough to spread the cost of a commit or a request; more only adds memory and delay.
MAX_DOCUMENTS = 1000
MAX_BYTES = 4 * 1024 * 1024
# Seconds.  A line can be searched about this long after it came.
MAX_AGE = 1.0
# Documents.  About 80 MB with their fields: a second or more of a full core's work.
CAPACITY = 20_000


class RejectionSink(Protocol):
    """Where rejected documents go, in a thread; raises StoreUnavailable if it took none of them."""

    def write(self, rejections: list[Rejection], /) -> None: ...


class Batcher:
    """Stands between the producers of documents and one writer.

    A document that was taken is *pending* until it is *stored* or *rejected* (then it is in
    ``dead_letters``), and never anything else::

        documents taken == documents_stored + documents_rejected + pending

    Rules: a batch is cut when it has ``max_documents`` or ``max_bytes`` of bodies, or when its
    first document has waited ``max_age`` seconds.  A batch that the writer cannot take is
    tried again, ``open`` first, until it can.  Batches are started in the order of their
    documents.  With ``in_flight`` 1 a batch is settled before the next is begun; with more,
    that many overlap.  That is safe, since every document has its own id and none is written
    twice with different content; it pays for Elasticsearch, where most of a request is
    waiting (2 to 4), and not for writers that work in one thread (SQLite, NDJSON).
    ``pending`` never exceeds ``capacity`` documents, but for what is given to ``add``.

    What a document is made of may be let go when it is stored: see `carry` and ``receipts``.

    Not thread-safe: all methods belong to the event loop that runs ``run``.
    """

    def __init__(
        self,
        writer: Writer,
        dead_letters: RejectionSink,
        *,
        max_documents: int = MAX_DOCUMENTS,
        max_bytes: int = MAX_BYTES,
        max_age: float = MAX_AGE,
        capacity: int = CAPACITY,
        in_flight: int = 1,
        keep_trying: bool = False,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writer = writer
        self._dead_letters = dead_letters
        self._capacity = capacity
        self._in_flight = in_flight
        self._keep_trying = keep_trying
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._outages = OutageLog(clock)
        self._batches = Batches(
            max_documents=max_documents, max_bytes=max_bytes, max_age=max_age, clock=clock
        )
        self._rejections: list[tuple[Batch, list[Rejection]]] = []
        self._rejected = asyncio.Event()  # there are rejections to put away
        self._settled = asyncio.Event()  # there is room again
        self.pending = 0
        self.documents_stored = 0
        self.documents_duplicate = 0
        self.documents_rejected = 0
        self.batches_written = 0
        self.retries = 0

    @property
    def receipts(self) -> Receipts:
        """What was given back of the receipts that batches carried."""
        return self._batches.receipts

    @property
    def has_room(self) -> bool:
        """Whether fewer than ``capacity`` documents are pending."""
        return self.pending < self._capacity

    def offer(self, document: Document) -> bool:
        """Take a document; False, and nothing done, if ``capacity`` documents are pending."""
        if not self.has_room:
            return False
        self.add(document)
        return True

    def add(self, document: Document) -> None:
        """Take a document in any case: for the few that come of a line taken already."""
        self.pending += 1
        self._batches.add(document)

    def reject(self, document: Document, reason: str) -> None:
        """Take a document that goes to the dead letters and not to the store."""
        self.pending += 1
        self._rejections.append((self._batches.set_apart(), [Rejection(document, reason)]))
        self._rejected.set()

    async def put(self, document: Document) -> None:
        """Take a document, as soon as there is room for it."""
        while not self.offer(document):
            self._settled.clear()
            await self._settled.wait()

    async def put_many(self, documents: Iterable[Document], receipt: Receipt | None = None) -> None:
        """Take documents, waiting for room, and the receipt that is due when they are settled.

        Lets a full batch be begun before it returns.
        """
        for document in documents:
            if not self.offer(document):
                await self.put(document)
        if receipt is not None:
            self.carry(receipt)
        if self._batches.is_one_cut:
            await asyncio.sleep(0)

    def carry(self, receipt: Receipt) -> None:
        """Give a receipt to ``receipts`` once all documents that were taken so far are settled.

        The receipts of a stream have to come in the order of their positions.
        """
        self._batches.carry(receipt)

    async def run(self) -> None:
        """Open the writer, then write batches until cancelled; does not close the writer.

        Raises UsageError if the writer refuses to open at the start, unless it is to
        ``keep_trying``.  Later the same error is waited out like an outage, since an operator
        can fix it.  Any other error of the writer ends this (BrokenPipeError: the reader of
        standard output has gone).
        """
        attempt = 0
        while True:
            try:
                await self._writer.open()
                break
            except MailingestError as error:
                if isinstance(error, UsageError) and not self._keep_trying:
                    raise
                await self._back_off(attempt, error)
                attempt += 1
        self._outages.log_recovery(self.pending)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write_dead_letters())
                for _ in range(self._in_flight):
                    tasks.create_task(self._write_batches())
        except ExceptionGroup as group:
            raise sole_error(group) from None

    async def drain(self, seconds: float | None = None) -> int:
        """Write out all that is pending, without waiting for full batches, while ``run`` runs.

        Returns the number of documents still pending after ``seconds`` (None: wait until
        there are none).  What is offered meanwhile is waited for as well.
        """
        self._batches.hurry = True
        try:
            async with asyncio.timeout(seconds):
                while self.pending:
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            _log.warning("documents left", documents=self.pending)
        finally:
            self._batches.hurry = False
        return self.pending

    async def _write_batches(self) -> None:
        while True:
            batch = await self._batches.next()
            # If the next batch is cut already, its write begins before those who wait for room
            # are woken, so that the writer works while they produce.
            await self._write(batch)
            self.batches_written += 1

    async def _write(self, batch: Batch) -> None:
        """Write the documents of a batch until the store has decided on each."""
        attempt = 0
        # The batch may have to wait for those before it; its documents need not.
        left, batch.documents = batch.documents, []
        while left:
            try:
                if attempt:
                    await self._writer.open()  # a store that was away may have lost its set-up
                result = await self._writer.write(left)
            except MailingestError as error:
                await self._back_off(attempt, error)
                attempt += 1
                continue
            self._account(batch, result)
            if not result.retry:
                self._outages.log_recovery(self.pending)
            if len(result.retry) == len(left):
                await self._back_off(attempt, "the store takes no document")
                attempt += 1
            elif result.retry:
                await self._back_off(0, "the store is too busy to take all documents")
                attempt = 0
            left = result.retry

    def _account(self, batch: Batch, result: WriteResult) -> None:
        self.documents_stored += result.stored
        self.documents_duplicate += result.duplicates
        self._settle(batch, result.stored)
        if result.rejected:
            _log.warning(
                "documents rejected by the store",
                documents=len(result.rejected),
                reason=result.rejected[0].reason,
            )
            self._rejections.append((batch, result.rejected))
            self._rejected.set()

    def _settle(self, batch: Batch, documents: int) -> None:
        self.pending -= documents
        self._batches.settle(batch, documents)
        self._settled.set()

    async def _write_dead_letters(self) -> None:
        # A task of its own: one bad document and a full state directory must not hold up mail.
        while True:
            await self._rejected.wait()
            self._rejected.clear()
            rejections, self._rejections = self._rejections, []
            await self._put_away([one for _, some in rejections for one in some])
            for batch, some in rejections:
                self.documents_rejected += len(some)
                self._settle(batch, len(some))

    async def _put_away(self, rejections: list[Rejection]) -> None:
        attempt = 0
        while True:
            try:
                return await in_thread(partial(self._dead_letters.write, rejections))
            except StoreUnavailable as error:
                await self._back_off(attempt, error, "dead letters")
                attempt += 1

    async def _back_off(
        self, attempt: int, why: str | MailingestError, what: What = "documents"
    ) -> None:
        seconds = backoff(attempt, self._rng)
        self.retries += 1
        self._outages.log_retry(what, why, seconds, self.pending)
        await asyncio.sleep(seconds)
