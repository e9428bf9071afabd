"""Stores that do as a test says, and dead letters in memory."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from mailingest.documents import Document
from mailingest.errors import StoreUnavailable
from mailingest.stores.protocol import Rejection, WriteResult

Answer = WriteResult | BaseException | Callable[[Sequence[Document]], WriteResult]


class ScriptedWriter:
    """Answers as scripted, then stores everything; keeps what it was given."""

    def __init__(self, *answers: Answer, opening: Sequence[BaseException] = ()) -> None:
        self.answers = list(answers)
        self.opening = list(opening)
        self.opened = 0
        self.batches: list[list[Any]] = []
        self.stored: Counter[str] = Counter()
        self.gate = asyncio.Event()
        self.gate.set()
        self.writing = 0
        self.most_writing = 0

    async def open(self) -> None:
        self.opened += 1
        if self.opening:
            raise self.opening.pop(0)

    async def write(self, batch: Sequence[Document]) -> WriteResult:
        self.batches.append([one.fields.get("number") for one in batch])
        self.writing += 1
        self.most_writing = max(self.most_writing, self.writing)
        await self.gate.wait()
        self.writing -= 1
        answer = self.answers.pop(0) if self.answers else WriteResult(stored=len(batch))
        if isinstance(answer, BaseException):
            raise answer
        result = answer if isinstance(answer, WriteResult) else answer(batch)
        refused = {one.id for one in result.retry}
        refused |= {one.document.id for one in (*result.rejected, *result.held)}
        self.stored.update(one.id for one in batch if one.id not in refused)
        return result

    async def sync(self) -> None: ...

    async def reopen(self) -> None: ...

    async def close(self) -> None: ...


class Letters:
    """Dead letters in memory that fail N times."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.kept: list[Rejection] = []

    def write(self, rejections: Sequence[Rejection]) -> int:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("the disk is full")
        self.kept += rejections
        return len(rejections)


def any_answer(rng: Random) -> Callable[[Sequence[Document]], WriteResult]:
    """An answer that is unavailable now and then, and else decides on each document by chance."""

    def answer(batch: Sequence[Document]) -> WriteResult:
        if rng.random() < 0.3:
            raise StoreUnavailable("down")
        result = WriteResult()
        for one in batch:
            fate = rng.choice(["stored", "stored", "duplicate", "rejected", "retry", "held"])
            if fate == "rejected":
                result.rejected.append(Rejection(one, "bad"))
            elif fate == "held":
                result.held.append(Rejection(one, "closed: open it"))
            elif fate == "retry":
                result.retry.append(one)
            else:
                result.stored += 1
                result.duplicates += fate == "duplicate"
        return result

    return answer
