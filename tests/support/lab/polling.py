"""Waiting for something that another process does."""

import time
from collections.abc import Callable


def wait_until(done: Callable[[], bool], what: str, *, deadline: float = 30.0) -> None:
    """Poll until ``done()`` is true; raises TimeoutError after ``deadline`` seconds."""
    end = time.monotonic() + deadline
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {deadline:g} s in vain: {what}")
        time.sleep(0.02)
