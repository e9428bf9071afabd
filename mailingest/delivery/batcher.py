"""Documents, one by one -> batches into an output: gathers, retries, and loses nothing."""

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import structlog

from mailingest.delivery.backoff import backoff
from mailingest.documents import Document
from mailingest.errors import MailingestError, StoreUnavailable, UsageError
from mailingest.stores.protocol import Rejection, Writer, WriteResult

_log = structlog.get_logger(__name__)

# Enough to spread the cost of a commit or a request; more only adds memory and delay.
MAX_DOCUMENTS = 1000
MAX_BYTES = 4 * 1024 * 1024
# Seconds.  A line can be searched about this long after it came.
MAX_AGE = 1.0
# Documents.  About 80 MB with their fields: a second or more of a full core's work.
CAPACITY = 20_000
# Seconds between two messages of one level about a store that takes nothing: it may stay so for
# days, and is tried several times a minute.  What only an operator can heal is an error.
TOLD_INTERVAL = 30.0

_DOCUMENTS = "documents"
_LETTERS = "dead letters"


@dataclass(slots=True, eq=False)
class _Batch:
    """``unsettled`` of so many documents are neither stored nor in the dead letters."""

    size: int
    unsettled: int


class RejectionSink(Protocol):
    """Where rejected documents go; raises StoreUnavailable if it took none of them."""

    def write(self, rejections: list[Rejection], /) -> None: ...


class Batcher:
    """Stands between the producers of documents and one output.

    A document that was taken is *pending* until it is *stored* or *rejected* (then it is in
    ``dead_letters``), and never anything else::

        documents taken == documents_stored + documents_rejected + pending

    Rules: a batch is cut when it has ``max_documents`` or ``max_bytes`` of bodies, or when its
    first document has waited ``max_age`` seconds.  A batch that the output cannot take is
    tried again, ``open`` first, until it can.  Batches are started in the order of their
    documents.  With ``in_flight`` 1 a batch is settled before the next is begun; with more,
    that many overlap.  That is safe, since every document has its own id and none is written
    twice with different content; it pays for Elasticsearch, where most of a request is
    waiting (2 to 4), and not for outputs that work in one thread (SQLite, NDJSON).
    ``pending`` never exceeds ``capacity`` documents, but for what is given to ``add``.

    Not thread-safe: all methods belong to the event loop that runs ``run``.
    """

    def __init__(
        self,
        output: Writer,
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
        self._output = output
        self._dead_letters = dead_letters
        self._max_documents = max_documents
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._capacity = capacity
        self._in_flight = in_flight
        self._keep_trying = keep_trying
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._clock = clock
        self._gathering: list[Document] = []
        self._gathered_bytes = 0
        self._gathering_since = 0.0
        self._cut: deque[tuple[_Batch, list[Document]]] = deque()
        self._unsettled: deque[_Batch] = deque()  # all that were cut, in order
        self._rejections: list[tuple[_Batch, list[Rejection]]] = []
        self._draining = False
        self._work = asyncio.Event()  # a batch was begun or cut
        self._rejected = asyncio.Event()  # there are rejections to put away
        self._settled = asyncio.Event()  # there is room again
        self._told: dict[tuple[str, str], float] = {}  # when, by what waits and level
        self._is_recovery_news = False
        self.pending = 0
        self.low_water = 0
        """So many documents, counted from the first one taken, are all stored or rejected.

        It moves on by whole batches.
        """
        self.documents_stored = 0
        self.documents_duplicate = 0
        self.documents_rejected = 0
        self.batches = 0
        self.retries = 0

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
        gathering = self._gathering
        if not gathering:
            self._gathering_since = self._clock()
            self._gathered_bytes = 0
            self._work.set()
        gathering.append(document)
        self._gathered_bytes += len(document.body)
        if len(gathering) >= self._max_documents or self._gathered_bytes >= self._max_bytes:
            self._cut_batch()

    async def put(self, document: Document) -> None:
        """Take a document, as soon as there is room for it."""
        while not self.offer(document):
            self._settled.clear()
            await self._settled.wait()

    async def put_many(self, documents: Iterable[Document]) -> None:
        """Take documents, waiting for room; lets a full batch be begun before it returns."""
        for document in documents:
            if not self.offer(document):
                await self.put(document)
        if self._cut:
            await asyncio.sleep(0)

    async def run(self) -> None:
        """Open the output, then write batches until cancelled; does not close the output.

        Raises UsageError if the output refuses to open at the start, unless told to
        ``keep_trying``.  Later the same error is waited out like an outage, since an operator
        can heal it.  Any other error of the output ends this (BrokenPipeError: the reader of
        standard output has gone).
        """
        attempt = 0
        while True:
            try:
                await self._output.open()
                break
            except MailingestError as error:
                if isinstance(error, UsageError) and not self._keep_trying:
                    raise
                await self._back_off(attempt, error)
                attempt += 1
        self._tell_recovery()
        work = [
            self._write_dead_letters(),
            *(self._write_batches() for _ in range(self._in_flight)),
        ]
        tasks = [asyncio.create_task(part) for part in work]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def drain(self, seconds: float | None = None) -> int:
        """Write out all that is pending, without waiting for full batches, while ``run`` runs.

        Returns the number of documents still pending after ``seconds`` (None: wait until
        there are none).  What is offered meanwhile is waited for as well.
        """
        self._draining = True
        self._work.set()
        try:
            async with asyncio.timeout(seconds):
                while self.pending:
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            _log.warning("documents left", documents=self.pending)
        finally:
            self._draining = False
        return self.pending

    async def settled(self, documents: int) -> None:
        """Wait until the first so many documents taken are all stored or rejected."""
        while self.low_water < documents:
            self._settled.clear()
            await self._settled.wait()

    async def _write_batches(self) -> None:
        while True:
            batch, documents = await self._next_batch()
            # If the next batch is cut already, its write begins before those who wait for room
            # are woken, so that the output works while they produce.
            await self._settle(batch, documents)
            self.batches += 1

    async def _next_batch(self) -> tuple[_Batch, list[Document]]:
        while not self._cut:
            self._work.clear()
            if not self._gathering:
                await self._work.wait()
                continue
            left = self._gathering_since + self._max_age - self._clock()
            if self._draining or left <= 0:
                self._cut_batch()
                break
            try:
                async with asyncio.timeout(left):
                    await self._work.wait()
            except TimeoutError:
                continue
        return self._cut.popleft()

    def _cut_batch(self) -> None:
        batch = _Batch(len(self._gathering), len(self._gathering))
        self._cut.append((batch, self._gathering))
        self._unsettled.append(batch)
        self._gathering = []
        self._work.set()

    async def _settle(self, batch: _Batch, documents: list[Document]) -> None:
        attempt = 0
        left = documents
        while left:
            try:
                if attempt:
                    await self._output.open()  # a store that was away may have lost its set-up
                result = await self._output.write(left)
            except MailingestError as error:
                await self._back_off(attempt, error)
                attempt += 1
                continue
            self._account(batch, result)
            if not result.retry:
                self._tell_recovery()
            if len(result.retry) == len(left):
                await self._back_off(attempt, "the store takes no document")
                attempt += 1
            elif result.retry:
                await self._back_off(0, "the store is too busy to take all documents")
                attempt = 0
            left = result.retry

    def _account(self, batch: _Batch, result: WriteResult) -> None:
        self.documents_stored += result.stored
        self.documents_duplicate += result.duplicates
        self._count_settled(batch, result.stored)
        if result.rejected:
            _log.warning(
                "documents rejected by the store",
                documents=len(result.rejected),
                reason=result.rejected[0].reason,
            )
            self._rejections.append((batch, result.rejected))
            self._rejected.set()

    def _count_settled(self, batch: _Batch, documents: int) -> None:
        self.pending -= documents
        batch.unsettled -= documents
        while self._unsettled and not self._unsettled[0].unsettled:
            self.low_water += self._unsettled.popleft().size
        self._settled.set()

    async def _write_dead_letters(self) -> None:
        # A task of its own: one bad document and a full state directory must not hold up mail.
        attempt = 0
        while True:
            await self._rejected.wait()
            try:
                self._dead_letters.write([one for _, some in self._rejections for one in some])
            except StoreUnavailable as error:
                await self._back_off(attempt, error, _LETTERS)
                attempt += 1
                continue
            attempt = 0
            self._rejected.clear()
            rejections, self._rejections = self._rejections, []
            for batch, some in rejections:
                self.documents_rejected += len(some)
                self._count_settled(batch, len(some))

    async def _back_off(
        self, attempt: int, why: str | MailingestError, what: str = _DOCUMENTS
    ) -> None:
        seconds = backoff(attempt, self._rng)
        self.retries += 1
        level = "error" if isinstance(why, UsageError) else "warning"
        now = self._clock()
        if now - self._told.get((what, level), -math.inf) < TOLD_INTERVAL:
            level = "debug"
        else:
            self._told[what, level] = now
            self._is_recovery_news = self._is_recovery_news or what == _DOCUMENTS
        getattr(_log, level)(
            f"{what} wait for another try",
            reason=str(why),
            seconds=round(seconds, 1),
            pending=self.pending,
        )
        await asyncio.sleep(seconds)

    def _tell_recovery(self) -> None:
        if self._is_recovery_news:
            self._is_recovery_news = False
            _log.info("the store takes documents again", pending=self.pending)
