"""Blocking work in a thread, beside the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

T = TypeVar("T")


class Interrupted(Exception):
    """The question was withdrawn: raised by work in a thread, and seen by nobody."""


def _nothing() -> None:
    """Work that cannot be interrupted is waited for."""


async def in_thread(
    work: Callable[[], T],
    interrupt: Callable[[], None] = _nothing,
    executor: Executor | None = None,
) -> T:
    """The result of ``work``, done in a thread of ``executor``, None for the event loop's own.

    If that is cancelled, ``interrupt`` is called, which makes the work end soon, and its end is
    waited for: nothing goes on in the background, and what the work uses may be closed then.
    """
    future = asyncio.get_running_loop().run_in_executor(executor, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        interrupt()
        await asyncio.wait([future])
        future.exception()  # asyncio need not report what nobody waits for
        raise
