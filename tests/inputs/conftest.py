import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(
    params=[
        pytest.param(asyncio.new_event_loop, id="asyncio"),
        pytest.param(uvloop.new_event_loop, id="uvloop"),
    ]
)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs a coroutine to its end, on each event loop that the daemon may have."""
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run
