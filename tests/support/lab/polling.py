"""Waiting for something that another process, thread or task does.

A machine that is busy with other work may take its time: a test waits for a state, and fails only
if the state never comes.
"""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Final

PATIENCE: Final = 300.0
"""Seconds after which a state is taken to never come, for every wait of the tests."""

_POLL_SECONDS: Final = 0.02
# What a task of the same event loop does is often a matter of a few turns.
_TURN_SECONDS: Final = 0.002


def wait_until(done: Callable[[], object], what: str, pause: float = _POLL_SECONDS) -> None:
    """Poll until ``done()`` is true; raises TimeoutError when `PATIENCE` is at its end.

    ``pause`` is for what costs more to ask: the seconds in between.
    """
    end = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {PATIENCE:g} s in vain: {what}")
        time.sleep(pause)


async def until(done: Callable[[], object], what: str = "") -> None:
    """The same, while the event loop goes on; ``done`` may be a coroutine function."""
    end = time.monotonic() + PATIENCE
    pause = _TURN_SECONDS
    while True:
        result = done()
        if inspect.isawaitable(result):
            result, pause = await result, _POLL_SECONDS
        if result:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"waited {PATIENCE:g} s in vain: {what}")
        await asyncio.sleep(pause)
