"""Documents -> batches in their order, and receipts when batches are settled; no writing here."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from mailingest.delivery.receipts import Receipt, Receipts
from mailingest.documents import Document


@dataclass(slots=True, eq=False)
class Batch:
    """Documents that are written together.

    ``unsettled`` of them are neither stored nor in the dead letters.  The receipts, one for each
    stream, are given back when all of them are, and those of all batches before.
    """

    documents: list[Document] = field(default_factory=list)
    unsettled: int = 0
    receipts: dict[str, Receipt] = field(default_factory=dict)


class Batches:
    """Cuts batches, and keeps them until they are settled.

    A batch is cut when it has ``max_documents`` or ``max_bytes`` of bodies, or when its first
    document has waited ``max_age`` seconds, or `hurry` was set.
    """

    def __init__(
        self, *, max_documents: int, max_bytes: int, max_age: float, clock: Callable[[], float]
    ) -> None:
        self.receipts = Receipts()
        self._max_documents = max_documents
        self._max_bytes = max_bytes
        self.max_age = max_age
        self._clock = clock
        self._gathering = Batch()
        self._gathered_bytes = 0
        self._gathering_since = 0.0
        self._cut: deque[Batch] = deque()
        self._unsettled: deque[Batch] = deque()  # all that were cut, in order
        self._hurry = False
        self._work = asyncio.Event()  # a batch was begun or cut

    @property
    def is_one_cut(self) -> bool:
        """Whether `next` has a batch to give."""
        return bool(self._cut)

    @property
    def hurry(self) -> bool:
        """Whether documents do not wait for others."""
        return self._hurry

    @hurry.setter
    def hurry(self, hurry: bool) -> None:
        self._hurry = hurry
        self._work.set()

    def limit(self, *, max_documents: int, max_bytes: int, max_age: float) -> None:
        """Cut batches at other bounds from now on."""
        self._max_documents = max_documents
        self._max_bytes = max_bytes
        self.max_age = max_age
        self._work.set()

    def add(self, document: Document) -> None:
        """Take a document."""
        documents = self._gathering.documents
        if not documents:
            self._gathering_since = self._clock()
            self._gathered_bytes = 0
            self._work.set()
        documents.append(document)
        self._gathered_bytes += len(document.body)
        if len(documents) >= self._max_documents or self._gathered_bytes >= self._max_bytes:
            self._cut_one()

    def set_apart(self) -> Batch:
        """A batch of one document that is not to be written: what comes later is behind it."""
        self.cut()
        batch = Batch(unsettled=1)
        self._unsettled.append(batch)
        return batch

    def cut(self) -> None:
        """Let the documents that were added so far be the next batch."""
        if self._gathering.documents:
            self._cut_one()

    def carry(self, receipt: Receipt) -> None:
        """Take a receipt for all documents before it: the last batch that has one carries it."""
        if self._gathering.documents:
            self._gathering.receipts[receipt.stream] = receipt
        elif self._unsettled:
            self._unsettled[-1].receipts[receipt.stream] = receipt
        else:
            self.receipts.give(receipt)

    async def next(self) -> Batch:
        """The next batch, as soon as it is cut."""
        while not self._cut:
            self._work.clear()
            if not self._gathering.documents:
                await self._work.wait()
                continue
            left = self._gathering_since + self.max_age - self._clock()
            if self._hurry or left <= 0:
                self._cut_one()
                break
            try:
                async with asyncio.timeout(left):
                    await self._work.wait()
            except TimeoutError:
                continue
        return self._cut.popleft()

    def settle(self, batch: Batch, documents: int) -> None:
        """N more documents of a batch are settled; gives the receipts that are due by it."""
        batch.unsettled -= documents
        while self._unsettled and not self._unsettled[0].unsettled:
            for receipt in self._unsettled.popleft().receipts.values():
                self.receipts.give(receipt)

    def _cut_one(self) -> None:
        batch = self._gathering
        batch.unsettled = len(batch.documents)
        self._cut.append(batch)
        self._unsettled.append(batch)
        self._gathering = Batch()
        self._work.set()
