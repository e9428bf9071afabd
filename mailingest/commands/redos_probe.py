"""Patterns -> those that are open to ReDoS, found by trying.

The payloads are tried in a process of its own, which is killed when its time is over.
Time is that of the processor, so that other work on the machine does not spoil the comparison.
"""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Final, NoReturn

from mailingest.grok.redos import Payload, payloads

# Seconds for all patterns together; the shipped ones take less than two.
_MOST_SECONDS: Final = 4.0
# Seconds of wall-clock time after which the process is killed, whatever it does.
_KILL_SECONDS: Final = 20.0
# The working directory is not searched for modules: anybody may have put them there.
_START: Final = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from mailingest.commands.redos_probe import main; main()"
)
# Seconds after which a match is given up.
_BOX: Final = 0.25
# Matches of this many characters that take less than this many seconds are not looked at again:
# nearly all linear ones take less, and all quadratic ones that matter take more.
_FIRST_LENGTH: Final = 16_384
_SUSPICIOUS: Final = 0.004
# What is looked at again is tried with longer and longer texts, up to the longest line there can
# be, until a match takes this many seconds, enough to compare with the one before.
_SHORTEST, _LONGEST = 32, 65_536
_ENOUGH: Final = 0.02
# Twice the length takes twice the time, or four times with a quadratic pattern.
_SUPER_LINEAR: Final = 2.8


@dataclass(frozen=True, slots=True)
class Probe:
    """A pattern to try, with the name of its definition and the names that this refers to."""

    name: str
    references: Collection[str]
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Slow:
    """A match of the text that ``payload`` describes took ``seconds`` with n = ``length``.

    That is ``growth`` times as long as with half of n; None: the match was given up, or took that
    long with the shortest text.
    """

    name: str
    payload: str
    length: int
    seconds: float
    growth: float | None

    def __str__(self) -> str:
        if self.growth is None:
            return (
                f"may take forever (ReDoS): {self.payload} took more than {self.seconds:.2f} s "
                f"with n = {self.length}"
            )
        return (
            f"is slow with ReDoS payloads: {self.payload} takes {self.growth:.1f} times as long "
            f"with n twice as large; {self.seconds * 1000:.0f} ms with n = {self.length}"
        )


class _TooLong(Exception):
    """A match took more than its time."""


def find_slow(probes: Sequence[Probe]) -> tuple[list[Slow], int]:
    """The slow ones, and how many there was no time for.

    ``probes`` are in an order in which none comes before those that it refers to.  What refers to
    a slow one is slow for that reason, and left out.
    """
    task = [
        (one.name, list(one.references), one.pattern.pattern, one.pattern.flags) for one in probes
    ]
    try:
        output = subprocess.run(  # noqa: S603  this program itself
            [sys.executable, "-P", "-c", _START, *sys.path],
            input=json.dumps(task).encode(),
            stdout=subprocess.PIPE,
            timeout=_KILL_SECONDS,
            check=True,
        ).stdout
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
    # Without the last line, which is empty or was cut.
    results = [json.loads(line) for line in output.split(b"\n")[:-1]]
    return [Slow(**one) for one in results if one], len(probes) - len(results)


def main() -> None:
    """The process of its own: a task on standard input, a line of JSON out for each pattern."""
    signal.signal(signal.SIGPROF, _give_up)
    for found in _probe_all(json.load(sys.stdin)):
        print(json.dumps(found and asdict(found)), flush=True)


def _give_up(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise _TooLong


def _probe_all(task: Sequence[tuple[str, list[str], str, int]]) -> Iterator[Slow | None]:
    """What is slow, or None, for each of the patterns that there is time for."""
    end = time.process_time() + _MOST_SECONDS
    slow: set[str] = set()
    for name, references, pattern, flags in task:
        found = None
        if slow.isdisjoint((name, *references)):
            found = _probe(name, re.compile(pattern, flags), end)
        else:
            slow.add(name)
        if found is not None:
            slow.add(name)
        elif time.process_time() > end:
            return
        yield found


def _probe(name: str, pattern: re.Pattern[str], end: float) -> Slow | None:
    for payload in payloads(pattern):
        seconds = _seconds(pattern, payload.text(_FIRST_LENGTH))
        if seconds is None or seconds > _SUSPICIOUS:
            found = _growing(name, pattern, payload)
            if found is not None:
                return found
        if time.process_time() > end:
            return None
    return None


def _growing(name: str, pattern: re.Pattern[str], payload: Payload) -> Slow | None:
    """Whether the time of a match grows faster than the length of the text."""
    length, before = _SHORTEST, 0.0
    while length <= _LONGEST:
        text = payload.text(length)
        seconds = _seconds(pattern, text)
        if seconds is None:
            return Slow(name, str(payload), length, _BOX, None)
        # The least of several measurements: disturbances only make them longer.
        again = (_seconds(pattern, text) for _ in range(2))
        seconds = min(seconds, *(one for one in again if one is not None))
        if seconds >= _ENOUGH:
            growth = seconds / before if before else None
            if growth is None or growth >= _SUPER_LINEAR:
                return Slow(name, str(payload), length, seconds, growth)
            return None
        length, before = length * 2, seconds
    return None


def _seconds(pattern: re.Pattern[str], text: str) -> float | None:
    """CPU seconds of a match; None if it takes too long.  `re` handles signals while it works.

    The time is that of the thread, since that of the process is in ticks while a timer runs.
    """
    try:
        signal.setitimer(signal.ITIMER_PROF, _BOX)
        begin = time.thread_time()
        pattern.fullmatch(text)
        seconds = time.thread_time() - begin
        signal.setitimer(signal.ITIMER_PROF, 0)
    except _TooLong:
        return None
    return seconds
