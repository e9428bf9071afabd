"""Stories as they are decided: a store is asked about its newest lines again and again."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from mailingest.stores.criteria import Criteria
from mailingest.trace.engine import TraceResult
from mailingest.trace.story import Story, identity_of

OVERLAP: Final = timedelta(seconds=15)
"""Lines get into a store so long after they were written, those of several servers in any order."""

_PAUSE: Final = timedelta(seconds=2)
# A question about a busy store may take longer: it gets a fifth of the time.
_PAUSES: Final = 4

Ask = Callable[[Criteria], Awaitable[TraceResult]]
Now = Callable[[], datetime]


class Follower:
    """Finds the stories that were decided since it last asked, or decided anew.

    The first time, it finds those from ``criteria.since`` on, or from now on.
    """

    def __init__(self, criteria: Criteria, now: Now = lambda: datetime.now(UTC)) -> None:
        self._criteria = criteria
        self._now = now
        self._begin = self._since = criteria.since or now()
        self._pause = _PAUSE
        self._told: dict[int, datetime] = {}

    @property
    def pause(self) -> float:
        """Seconds to wait before it is asked again."""
        return self._pause.total_seconds()

    async def ask(self, ask: Ask) -> TraceResult:
        """The result that ``ask`` gives for the time, with the stories that are new.

        If ``ask`` raises, the next time begins where this one would have.
        """
        asked_at, since = self._now(), self._since
        result = await ask(replace(self._criteria, since=since))
        self._pause = max(_PAUSE, (self._now() - asked_at) * _PAUSES)
        self._since = max(self._begin, asked_at - OVERLAP)
        return replace(result, stories=self._new(result.stories, since))

    def _new(self, stories: Iterable[Story], since: datetime) -> list[Story]:
        self._told = {one: time for one, time in self._told.items() if time >= since}
        found = []
        for story in stories:
            decided_at, identity = story.decided_at, identity_of(story)
            if decided_at is None or decided_at < since or not _is_decided(story):
                continue
            if identity not in self._told:
                self._told[identity] = decided_at
                found.append(story)
        return found


def _is_decided(story: Story) -> bool:
    """Whether there is something to tell: not of what waits for its first try or misses lines."""
    if story.verdict == "pending":
        return story.attempt is not None
    return story.verdict != "unknown"
