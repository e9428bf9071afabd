"""Counters -> how much there was in the last minute and the last hour."""

from collections import deque
from typing import Final, NamedTuple

_STEP_SECONDS: Final = 10.0
_MINUTE: Final = 60.0
_HOUR: Final = 3600.0


class Sample(NamedTuple):
    """What had come in, been stored and been lost, in lines, until a time."""

    at: float
    received: int
    stored: int
    lost: int


class Rates:
    """Keeps a sample for each ten seconds of the last hour; times are of a clock of the caller's
    that never goes back.
    """

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=int(_HOUR / _STEP_SECONDS) + 1)

    def feed(self, sample: Sample) -> None:
        """Keep a sample, if ten seconds have passed since the last one."""
        if not self._samples or sample.at - self._samples[-1].at >= _STEP_SECONDS:
            self._samples.append(sample)

    def a_second(self, now: Sample) -> tuple[float, float]:
        """Lines received and stored a second, in the last minute or since the start."""
        first = self._first(now, _MINUTE)
        seconds = max(now.at - first.at, 1.0)
        return (now.received - first.received) / seconds, (now.stored - first.stored) / seconds

    def lost(self, now: Sample) -> int:
        """Lines lost in the last hour, or since the start."""
        return now.lost - self._first(now, _HOUR).lost

    def _first(self, now: Sample, seconds: float) -> Sample:
        return next((one for one in self._samples if now.at - one.at <= seconds), now)
