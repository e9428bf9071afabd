"""How many lines a sender may send a second: a bucket of tokens for each sender.

A sender is an IPv4 address or the /64 network of an IPv6 address, for a machine has all addresses
of its network (RFC 4291 section 2.5.1, RFC 8981).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Final

# Some 300 bytes each.  A flood of made-up addresses makes room by taking the oldest ones.
_MOST_SENDERS: Final = 10_000
# Who is over its limit is told of this often at most.
_TELL_SECONDS: Final = 60.0
_NETWORK_MASK: Final = ((1 << 64) - 1) << 64


def sender_of(peer: str) -> str:
    """What a peer's address counts under."""
    if ":" not in peer:
        return peer
    return f"{IPv6Address(int(IPv6Address(peer)) & _NETWORK_MASK)}/64"


class RateLimit:
    """``rate`` lines a second for each sender, and up to ``burst`` at once.

    Time comes in, in seconds of any clock that only goes forward.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = float(burst)
        # What each sender has left, and when that was; the one seen last is the last.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._senders: dict[str, str] = {}

    def admits(self, peer: str, now: float) -> bool:
        """Whether a peer may send one more line; if so, it has."""
        sender = self._sender(peer)
        left = self._left_of(sender, now)
        admitted = left >= 1.0
        self._keep(sender, left - 1.0 if admitted else left, now)
        return admitted

    def delay(self, peer: str, lines: int, now: float) -> float:
        """A peer has sent so many lines: the seconds to wait before it may send more."""
        sender = self._sender(peer)
        left = self._left_of(sender, now) - lines
        self._keep(sender, left, now)
        return max(0.0, -left / self._rate)

    def _left_of(self, sender: str, now: float) -> float:
        known = self._left.get(sender)
        if known is None:
            return self._burst
        left, since = known
        return min(self._burst, left + (now - since) * self._rate)

    def _keep(self, sender: str, left: float, now: float) -> None:
        self._left[sender] = (left, now)
        self._left.move_to_end(sender)
        if len(self._left) > _MOST_SENDERS:
            self._left.popitem(last=False)

    def _sender(self, peer: str) -> str:
        if ":" not in peer:
            return peer
        known = self._senders.get(peer)
        if known is None:
            if len(self._senders) >= _MOST_SENDERS:
                self._senders.clear()
            known = self._senders[peer] = sender_of(peer)
        return known


class OverLimit:
    """Counts by sender how often it was over its limit, until it is told of."""

    MOST: Final = 100

    def __init__(self) -> None:
        self._times: dict[str, int] = {}

    def count(self, peer: str) -> None:
        """A peer was over its limit once more."""
        sender = sender_of(peer)
        if sender not in self._times and len(self._times) >= self.MOST:
            sender = "others"
        self._times[sender] = self._times.get(sender, 0) + 1

    def take(self, most: int = 10) -> dict[str, int]:
        """How often since the last call, of those that were it most."""
        counted, self._times = self._times, {}
        worst = sorted(counted, key=lambda sender: -counted[sender])
        return {sender: counted[sender] for sender in worst[:most]}


class Telling:
    """Has `tell` called with what was counted, once a minute at most, and at the `end`."""

    def __init__(self, tell: Callable[[dict[str, int]], None]) -> None:
        self._tell = tell
        self._over_limit = OverLimit()
        self._due: asyncio.TimerHandle | None = None

    def count(self, peer: str) -> None:
        """A peer was over its limit once more."""
        self._over_limit.count(peer)
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(_TELL_SECONDS, self.end)

    def end(self) -> None:
        """Tell what is left to tell, now."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if counted := self._over_limit.take():
            self._tell(counted)
