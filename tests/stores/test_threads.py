"""Work in a thread: its result, its error, and that a cancellation leaves nothing behind."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from mailingest.stores.threads import in_thread


async def test_the_result_and_the_error_come_from_another_thread() -> None:
    assert await in_thread(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


async def test_work_of_one_executor_is_done_in_its_thread() -> None:
    with ThreadPoolExecutor(1, thread_name_prefix="of-the-test") as executor:
        name = await in_thread(lambda: threading.current_thread().name, executor=executor)
    assert name.startswith("of-the-test")


@pytest.mark.parametrize("is_interruptible", [True, False])
async def test_a_cancellation_waits_for_the_end_of_the_work(is_interruptible: bool) -> None:
    begun, end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    steps: list[str] = []

    def work() -> None:
        loop.call_soon_threadsafe(begun.set)
        end.wait()
        steps.append("the work is done")
        raise OSError("nobody hears of it any more")

    interrupt: Callable[[], None] = end.set if is_interruptible else lambda: None
    task = asyncio.create_task(in_thread(work, interrupt))
    await begun.wait()
    task.cancel()
    if not is_interruptible:
        done, _ = await asyncio.wait([task], timeout=0.05)
        assert not done
        end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["the work is done"]
