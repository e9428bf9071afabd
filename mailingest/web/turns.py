"""One question at a time of each user, so that nobody's questions are in the way of others'."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

# Users whose questions are answered at the same time.  A question has a thread at a time.
MOST_AT_ONCE: Final = 24
# Questions of one user that wait for their turn: pages that are opened together.
_MOST_WAITING: Final = 8


class Busy(Exception):
    """Too much is asked already: ask again later."""


class Turns:
    """Who asks now, and who waits."""

    def __init__(self, seconds: float) -> None:
        """A question waits ``seconds`` at most."""
        self._seconds = seconds
        # Of those only who ask or wait now.
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def turn(self, user: str) -> AsyncIterator[None]:
        """Wait until no other question of the user is being answered; raises Busy.

        Nobody waits for another user.
        """
        lock, asking = self._locks.get(user, (asyncio.Lock(), 0))
        if asking > _MOST_WAITING or (not asking and len(self._locks) >= MOST_AT_ONCE):
            raise Busy
        self._locks[user] = (lock, asking + 1)
        try:
            try:
                async with asyncio.timeout(self._seconds):
                    await lock.acquire()
            except TimeoutError:
                raise Busy from None
            try:
                yield
            finally:
                lock.release()
        finally:
            lock, asking = self._locks.pop(user)
            if asking > 1:
                self._locks[user] = (lock, asking - 1)
