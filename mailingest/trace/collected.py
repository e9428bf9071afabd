"""The events that were found for a question, step by step, and what they tell."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

from mailingest.postfix.completion import completed
from mailingest.stores.criteria import Criteria
from mailingest.stores.events import StoredEvent
from mailingest.stores.gaps import Gap, merged
from mailingest.stores.protocol import Found
from mailingest.trace.facts import Facts
from mailingest.trace.gathering import gather
from mailingest.trace.stories import build_stories
from mailingest.trace.story import Story

T = TypeVar("T")


class Apart(Protocol):
    """Does long, pure work where it is in nobody's way."""

    async def __call__(self, work: Callable[[], T]) -> T: ...


async def here(work: Callable[[], T]) -> T:
    """Does the work at once."""
    return work()


class Collected:
    """Events, each once, and what was left out.

    ``is_all_or_none``: nothing is to be told if there are more than ``most``.
    """

    def __init__(self, most: int, apart: Apart, *, is_all_or_none: bool = False) -> None:
        self.most = most
        self._is_all_or_none = is_all_or_none
        self.apart = apart
        self.all: list[StoredEvent] = []
        self.is_cut = False
        self.is_full = False
        self.gaps: list[Gap] = []
        self.whole: Criteria | None = None
        self._seen: set[str] = set()
        self._facts: Facts | None = None

    @property
    def is_in_vain(self) -> bool:
        """Whether there are too many events to tell anything."""
        return self.is_full and self._is_all_or_none

    def has_all(self, since: datetime, until: datetime) -> bool:
        """Whether all lines about mails of a time are there: ``whole`` asked for all of its own."""
        if self.whole is None:
            return False
        first, end = self.whole.since, self.whole.until
        return (first is None or first <= since) and (end is None or until < end)

    async def add(self, found: Found) -> list[StoredEvent]:
        """Take events; those that were not there yet."""
        return await self.apart(partial(self._add, found))

    async def facts(self) -> Facts:
        """What they say."""
        return await self.apart(self._gathered)

    async def stories(self, until: datetime) -> list[Story]:
        """What they tell up to a time, oldest first."""
        return await self.apart(lambda: build_stories(self._gathered(), until=until))

    def _gathered(self) -> Facts:
        if self._facts is None:
            self._facts = gather(self.in_order())
        return self._facts

    def _add(self, found: Found) -> list[StoredEvent]:
        new = []
        for event in found.events:
            if event["_id"] not in self._seen:
                self._seen.add(event["_id"])
                new.append(completed(event))
        self.all += new
        if new:
            self._facts = None
        self.is_cut |= found.is_cut
        self.gaps = merged(self.gaps, found.gaps)
        return new

    def in_order(self) -> list[StoredEvent]:
        """All events as they were written; those of one moment were found in several steps."""
        return sorted(self.all, key=lambda event: (event["@timestamp"], event["_position"]))
