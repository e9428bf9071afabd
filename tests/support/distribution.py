"""Which tests go to one worker of several, and in which order they are given out.

What is started once for a session is started once for each worker that has a test with it.  So all
those tests go to one worker, and the tests of a module stay together otherwise.  What takes long
begins first: one that began last would keep the other workers waiting for its end.
"""

from collections.abc import Mapping
from typing import Any, Final

import pytest

# Fixtures of a session: test servers in Java, a recorded log of Postfix, a running Postfix.
_SHARED: Final = ("search_servers", "corpus", "lab")
# They build packages, boot a system, record a log.
_LONG: Final = frozenset({"system", "lab"})


def takes_long(item: pytest.Item) -> bool:
    """Whether the tests of a module take minutes, few as they are."""
    return any(item.get_closest_marker(name) for name in _LONG)


def shared_by(item: pytest.Item) -> str | None:
    """What a test shares with tests of other modules."""
    names = getattr(item, "fixturenames", ())
    return next((name for name in _SHARED if name in names), None)


def group_of(nodeid: str) -> str:
    """What a test shares, which pytest-xdist has written behind its ID, or else its module."""
    # What a test is called with may have an @ as well.
    group = nodeid.rpartition("@")[2]
    return group if group in _SHARED else nodeid.partition("::")[0]


def scheduler(config: pytest.Config, log: object) -> Any:
    """Gives out whole groups."""
    from xdist.scheduler import LoadGroupScheduling

    made = LoadGroupScheduling(config, log)
    made._split_scope = group_of
    return made


def order_of(nodeid: str, counts: Mapping[str, int], *, is_long: bool) -> tuple[Any, ...]:
    """The place of a test; ``counts`` are the tests of each group."""
    group = group_of(nodeid)
    return (group not in _SHARED, not is_long, -counts[group], group)
