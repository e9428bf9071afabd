"""How long to wait before a store is tried again."""

from random import Random
from typing import Final

BACKOFF_BASE: Final = 0.5
BACKOFF_CAP: Final = 30.0
"""Seconds.  A store that restarts is back within a minute: waiting longer helps nobody."""


def backoff(attempt: int, rng: Random) -> float:
    """Seconds to wait before the next try; ``attempt`` counts the failed ones from 0.

    Exponential with full jitter, anything from nothing to the cap, so that workers which lost the
    same store do not come back in step.
    """
    doubled = BACKOFF_BASE * 2.0 ** min(attempt, 16)  # far past the cap, and never an overflow
    return rng.uniform(0.0, min(BACKOFF_CAP, doubled))
