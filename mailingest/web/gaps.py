"""Gaps as a reader of the pages gets to know them; pure.

Names of servers and files, and lines of the log, are for the operator: they are in the log of this
service.
"""

from collections.abc import Sequence
from typing import Any

from mailingest.stores.gaps import Gap, is_late, wholeness
from mailingest.web.texts import Texts


def for_reader(why: Sequence[Gap], texts: Texts) -> list[Gap]:
    """The gaps in words of the page, of each code one."""
    return [Gap(code, texts(f"why_{code}")) for code in dict.fromkeys(gap.code for gap in why)]


def wholeness_for_reader(why: Sequence[Gap], texts: Texts) -> dict[str, Any]:
    """The keys ``whole`` and ``why`` of a page's JSON."""
    return wholeness(for_reader(why, texts))


def status_of(why: Sequence[Gap], *, is_empty: bool, nothing: int = 200) -> int:
    """The status of an answer: one that has nothing in it and is not whole is no success.

    ``nothing`` is the status of one that is empty and whole.
    """
    if not is_empty:
        return 200
    if not why:
        return nothing
    return 504 if is_late(why) else 503
