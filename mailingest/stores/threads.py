"""Work in a thread that ends when nobody waits for it any more."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Interrupted(Exception):
    """The question was withdrawn: raised by work in a thread, and seen by nobody."""


async def in_thread(work: Callable[[], T], interrupt: Callable[[], None]) -> T:
    """The result of ``work``.

    If that is cancelled, ``interrupt`` is called, which makes the work end soon; nothing goes on
    in the background.
    """
    future = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        interrupt()
        await asyncio.wait([future])
        future.exception()  # asyncio need not report what nobody waits for
        raise
