"""What is done again and again beside the work."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

Chore = Coroutine[Any, Any, None]

# How late a reload may be heard of.
_LOOK_SECONDS: Final = 0.5


async def every(seconds: Callable[[], float], action: Callable[[], Awaitable[None]]) -> None:
    """Do something each time so many seconds are over, which a reload may change meanwhile."""
    loop = asyncio.get_running_loop()
    while True:
        last = loop.time()
        while (left := last + seconds() - loop.time()) > 0:  # noqa: ASYNC110  a clock is polled
            await asyncio.sleep(min(left, _LOOK_SECONDS))
        await action()
