"""Documents, one by one -> batches into a store: gathers, retries, and loses nothing."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Protocol

from mailingest.delivery.backoff import backoff
from mailingest.delivery.batches import Batch, Batches
from mailingest.delivery.held import Held
from mailingest.delivery.histogram import Histogram
from mailingest.delivery.outages import OutageLog, What
from mailingest.delivery.receipts import Receipt, Receipts
from mailingest.documents import Document
from mailingest.errors import MailingestError, UsageError, sole_error
from mailingest.logs.logger import log
from mailingest.stores.protocol import Rejection, Writer, WriteResult
from mailingest.stores.threads import in_thread

# Enough to spread the cost of a commit or a request; more only adds memory and delay.
MAX_DOCUMENTS = 1000
MAX_BYTES = 4 * 1024 * 1024
# Seconds.  A line can be searched about this long after it came.
MAX_AGE = 1.0
# Documents.  About 80 MB with their fields: a second or more of a full core's work.
CAPACITY = 20_000

# Seconds.  SQLite commits in a hundredth, a cluster answers in a tenth, and a request ends after a
# minute.
WRITE_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

_DAY_SECONDS = 86_400


class RejectionSink(Protocol):
    """Where rejected documents go, in a thread."""

    def write(self, rejections: list[Rejection], /) -> int:
        """Take the first N of them, in order, and return N.

        Raises StoreUnavailable or UsageError if it takes none.
        """


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

    Documents that are *held* for what is wrong with their index wait on their own until it is set
    right, and the others go on as long as there is room.  While they wait no receipt is given for
    what came with them or later.  If documents come in ``live``, those of the days before yesterday
    (in UTC) are not held but rejected: a day that was put away long ago must not hold up today's
    mail.  Where dead letters have no room, rejected documents wait in the same way.

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
        live: bool = False,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._writer = writer
        self._dead_letters = dead_letters
        self._capacity = capacity
        self._in_flight = in_flight
        self._keep_trying = keep_trying
        self._live = live
        self._now = now
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._outages = OutageLog(clock)
        self._batches = Batches(
            max_documents=max_documents, max_bytes=max_bytes, max_age=max_age, clock=clock
        )
        self._held_documents = Held()
        self._is_held = asyncio.Event()
        self._rejections: list[tuple[Batch, Rejection]] = []
        self._rejected = asyncio.Event()  # there are rejections to put away
        self._settled = asyncio.Event()  # there is room again
        self._work: asyncio.TaskGroup | None = None
        self._workers = 0
        self._changed = asyncio.Event()  # another writer may take what the last one did not
        self.pending = 0
        self.documents_stored = 0
        self.documents_duplicate = 0
        self.documents_rejected = 0
        self.batches_written = 0
        self.retries = 0
        self.write_seconds = Histogram(WRITE_BOUNDS)
        """How long the writer took for each of its answers."""
        self.lag: float | None = None
        """Seconds between the time of the newest line of the last batch and its being stored."""
        self._waiting_since: float | None = None

    @property
    def stalled_seconds(self) -> float:
        """For how long documents have waited and the store has taken none; 0 if all is well."""
        return 0.0 if self._waiting_since is None else self._clock() - self._waiting_since

    def limit(
        self,
        *,
        max_documents: int,
        max_bytes: int,
        max_age: float,
        capacity: int,
        in_flight: int,
        keep_trying: bool,
    ) -> None:
        """Go on with other bounds; what waits for another try is tried again now."""
        self._batches.limit(max_documents=max_documents, max_bytes=max_bytes, max_age=max_age)
        self._capacity = capacity
        self._in_flight = in_flight
        self._keep_trying = keep_trying
        self._settled.set()
        self._changed.set()
        self._changed = asyncio.Event()
        self._have_workers()

    @property
    def max_age(self) -> float:
        """For how many seconds the first document of a batch waits for others."""
        return self._batches.max_age

    def cut(self) -> None:
        """Let no document that was taken so far wait for others."""
        self._batches.cut()

    @property
    def receipts(self) -> Receipts:
        """What was given back of the receipts that batches carried."""
        return self._batches.receipts

    @property
    def documents_held(self) -> int:
        """How many are refused and wait, for their index or for room in the dead letters."""
        return self._held_documents.documents + len(self._rejections)

    @property
    def held(self) -> str | None:
        """What waits for an operator, and why, in one line; None if nothing does."""
        return self._outages.held

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
        self._rejections.append((self._batches.set_apart(), Rejection(document, reason)))
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
                self._note_refusal(self._clock())
                await self._back_off(attempt, error)
                attempt += 1
        self._waiting_since = None
        self._outages.log_recovery("documents", self.pending)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write_dead_letters())
                tasks.create_task(self._write_held())
                self._work = tasks
                self._have_workers()
        except ExceptionGroup as group:
            raise sole_error(group) from None

    def _have_workers(self) -> None:
        while self._work is not None and self._workers < self._in_flight:
            self._workers += 1
            self._work.create_task(self._write_batches())

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
            log.warning("documents left", documents=self.pending)
        finally:
            self._batches.hurry = False
        return self.pending

    async def _write_batches(self) -> None:
        while self._workers <= self._in_flight:
            batch = await self._batches.next()
            # The batch may have to wait for those before it; its documents need not.
            documents, batch.documents = batch.documents, []
            # If the next batch is cut already, its write begins before those who wait for room
            # are woken, so that the writer works while they produce.
            await self._write(batch, documents)
            self.batches_written += 1
        self._workers -= 1

    async def _write(self, batch: Batch, left: list[Document], attempt: int = 0) -> int:
        """Write documents of a batch until the store has decided on each; how many are held.

        ``attempt`` counts the tries that there were before.
        """
        held = 0
        while left:
            began = self._clock()
            try:
                if attempt:
                    await self._writer.open()  # a store that was away may have lost its set-up
                result = await self._writer.write(left)
            except MailingestError as error:
                self._note_refusal(began)
                await self._back_off(attempt, error)
                attempt += 1
                continue
            self.write_seconds.observe(self._clock() - began)
            held += self._account(batch, result)
            self._note_answer(began, left, result)
            if not result.retry:
                self._outages.log_recovery("documents", self.pending)
            if len(result.retry) == len(left):
                await self._back_off(attempt, result.why or "the store takes no document")
                attempt += 1
            elif result.retry:
                await self._back_off(0, result.why or "the store is too busy to take all documents")
                attempt = 0
            left = result.retry
        return held

    def _note_refusal(self, began: float) -> None:
        if self._waiting_since is None:
            self._waiting_since = began

    def _note_answer(self, began: float, documents: list[Document], result: WriteResult) -> None:
        if len(result.retry) == len(documents):
            self._note_refusal(began)
            return
        self._waiting_since = None
        if result.stored:
            # Lines come in the order of their times, or nearly so.
            self.lag = max(0.0, self._now() - documents[-1].seconds)

    def _account(self, batch: Batch, result: WriteResult) -> int:
        """Note what became of documents; how many are held."""
        self.documents_stored += result.stored
        self.documents_duplicate += result.duplicates
        self._settle(batch, result.stored)
        rejected, held = list(result.rejected), result.held
        if self._live and held:
            day = (self._now() // _DAY_SECONDS - 1) * _DAY_SECONDS
            rejected += [one for one in held if one.document.seconds < day]
            held = [one for one in held if one.document.seconds >= day]
        if rejected:
            log.warning(
                "documents rejected by the store",
                documents=len(rejected),
                reason=rejected[0].reason,
            )
            self._rejections += [(batch, one) for one in rejected]
            self._rejected.set()
        if held:
            self._held_documents.add(batch, held)
            self._is_held.set()
        return len(held)

    def _settle(self, batch: Batch, documents: int) -> None:
        self.pending -= documents
        self._batches.settle(batch, documents)
        self._settled.set()

    async def _write_held(self) -> None:
        """Try what is held again: a part of each index, and the rest if that is taken."""
        attempt = 0
        while True:
            await self._is_held.wait()
            await self._back_off(attempt, UsageError(self._held_documents.reason), "held documents")
            attempt += 1
            for index in self._held_documents.indices:
                while (part := self._held_documents.take(index)) is not None:
                    batch, documents = part
                    if await self._write(batch, documents, 1) == len(documents):
                        break
                    attempt = 0
            if not self._held_documents.documents:
                attempt = 0
                self._is_held.clear()
                self._outages.log_recovery("held documents", self.pending)

    async def _write_dead_letters(self) -> None:
        # A task of its own: one bad document and a full state directory must not hold up mail.
        attempt = 0
        while True:
            await self._rejected.wait()
            rejections = [one for _, one in self._rejections]
            try:
                count = await in_thread(partial(self._dead_letters.write, rejections))
            except MailingestError as error:
                await self._back_off(attempt, error, "dead letters")
                attempt += 1
                continue
            attempt = 0
            self.documents_rejected += count
            for batch, _ in self._rejections[:count]:
                self._settle(batch, 1)
            del self._rejections[:count]
            if not self._rejections:
                self._rejected.clear()
                self._outages.log_recovery("dead letters", self.pending)

    async def _back_off(
        self, attempt: int, why: str | MailingestError, what: What = "documents"
    ) -> None:
        seconds = backoff(attempt, self._rng)
        self.retries += 1
        self._outages.log_retry(what, why, seconds, self.pending)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
