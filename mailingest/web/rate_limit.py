"""How often each peer may do something (a token bucket); pure but for the clock."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

# Peers that are counted at the same time; the one that was seen longest ago is forgotten first.
_MOST_PEERS: Final = 10_000


class RateLimit:
    """At most ``a_minute`` events a minute for each peer, also all at once."""

    def __init__(self, a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_minute = a_minute
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, peer: str) -> bool:
        """Count an event; False if it is one too many."""
        left = self._now_left(peer)
        is_allowed = left >= 1
        self._set(peer, left - 1 if is_allowed else left)
        return is_allowed

    def give_back(self, peer: str) -> None:
        """Take back an event that was counted."""
        self._set(peer, min(self._a_minute, self._now_left(peer) + 1))

    def is_spent(self, peer: str) -> bool:
        """Whether the next event would be one too many; it is not counted."""
        return self._now_left(peer) < 1

    def _set(self, peer: str, left: float) -> None:
        self._left.pop(peer, None)
        self._left[peer] = (left, self._clock())
        if len(self._left) > _MOST_PEERS:
            self._left.popitem(last=False)

    def _now_left(self, peer: str) -> float:
        now = self._clock()
        left, since = self._left.get(peer, (float(self._a_minute), now))
        return min(self._a_minute, left + (now - since) * self._a_minute / 60)
