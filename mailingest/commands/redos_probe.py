"""Patterns -> those that are open to ReDoS, found by trying.

The payloads are tried in a process of its own, which the kernel kills when its CPU time is over.
All times are CPU times, and what is compared is measured in turns, so that other work on the
machine spoils neither the budget nor the comparison.
"""

import json
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Final, Literal, NoReturn

from mailingest.grok.redos import Payload, payloads

# CPU seconds for one pattern: of the shipped ones none takes more than a tenth of a second.  A core
# that other work shares may need several times as long for the same.
_PATTERN_SECONDS: Final = 4.0
# CPU seconds for the whole process; the shipped patterns take some three.
_PROCESS_SECONDS: Final = 60
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
# be, until a match takes this many seconds, enough to compare with the one before, several times.
_SHORTEST, _LONGEST = 32, 65_536
_ENOUGH: Final = 0.02
_ROUNDS: Final = 3
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


_Result = Slow | Literal[False] | None
_UNDECIDED: Final = False


class _TooLong(Exception):
    """A match took more than its time."""


def find_slow(probes: Sequence[Probe]) -> tuple[list[Slow], int]:
    """The slow ones, and for how many there was not enough time to find out.

    ``probes`` are in an order in which none comes before those that it refers to.  What refers to
    a slow one is slow for that reason, and left out.
    """
    patterns = [
        (one.name, list(one.references), one.pattern.pattern, one.pattern.flags) for one in probes
    ]
    output = _output_of(json.dumps([_PATTERN_SECONDS, patterns]).encode())
    # Without the last line, which is empty or was cut.
    results = [json.loads(line) for line in output.split(b"\n")[:-1]]
    decided = [one for one in results if one is not _UNDECIDED]
    return [Slow(**one) for one in decided if one], len(probes) - len(decided)


def _output_of(task: bytes) -> bytes:
    """The output of the process until it ends or is killed."""
    command = [sys.executable, "-P", "-c", _START, *sys.path]
    with subprocess.Popen(  # noqa: S603  this program itself
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            _limit(process.pid)
            output, _ = process.communicate(task)
        except BaseException:
            process.kill()
            raise
    if process.returncode not in (0, -signal.SIGKILL):
        raise subprocess.CalledProcessError(process.returncode, command)
    return output


def _limit(pid: int) -> None:
    """Have the kernel kill a process when its CPU time is over: getrlimit(2), RLIMIT_CPU."""
    _, most = resource.prlimit(pid, resource.RLIMIT_CPU)
    if most == resource.RLIM_INFINITY or most > _PROCESS_SECONDS:
        resource.prlimit(pid, resource.RLIMIT_CPU, (_PROCESS_SECONDS, _PROCESS_SECONDS))


def main() -> None:
    """The process of its own: a task on standard input, a line of JSON out for each pattern."""
    signal.signal(signal.SIGPROF, _give_up)
    seconds, patterns = json.load(sys.stdin)
    for found in _probe_all(patterns, seconds):
        print(json.dumps(asdict(found) if isinstance(found, Slow) else found), flush=True)


def _give_up(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise _TooLong


def _probe_all(
    patterns: Sequence[tuple[str, list[str], str, int]], seconds: float
) -> Iterator[_Result]:
    """What is slow and what is not; each has as many seconds."""
    slow: set[str] = set()
    for name, references, pattern, flags in patterns:
        found: _Result = None
        if slow.isdisjoint((name, *references)):
            found = _probe(name, re.compile(pattern, flags), seconds)
        else:
            slow.add(name)
        if isinstance(found, Slow):
            slow.add(name)
        yield found


def _probe(name: str, pattern: re.Pattern[str], most: float) -> _Result:
    end = time.process_time() + most
    for payload in payloads(pattern):
        seconds = _seconds(pattern, payload.text(_FIRST_LENGTH))
        if seconds is None or seconds > _SUSPICIOUS:
            found = _growing(name, pattern, payload)
            if found is not None:
                return found
        if time.process_time() >= end:
            return _UNDECIDED
    return None


def _growing(name: str, pattern: re.Pattern[str], payload: Payload) -> Slow | None:
    """Whether the time of a match grows faster than the length of the text."""
    length = _SHORTEST
    while length <= _LONGEST:
        text = payload.text(length)
        seconds = _seconds(pattern, text)
        if seconds is None and _seconds(pattern, text) is None:
            return Slow(name, str(payload), length, _BOX, None)
        if seconds is None or seconds >= _ENOUGH:
            before, seconds = _compared(pattern, payload.text(length // 2), text)
            if seconds >= _ENOUGH:
                growth = seconds / before if length > _SHORTEST else None
                if growth is None or growth >= _SUPER_LINEAR:
                    return Slow(name, str(payload), length, seconds, growth)
                return None
        length *= 2
    return None


def _compared(pattern: re.Pattern[str], one: str, other: str) -> tuple[float, float]:
    """CPU seconds of a match of each text: the least of several, as disturbances only add to it.

    They take turns, since a disturbance may last longer than a match.
    """
    tries = [
        [_BOX if (seconds := _seconds(pattern, text)) is None else seconds for text in (one, other)]
        for _ in range(_ROUNDS)
    ]
    of_one, of_other = map(min, zip(*tries, strict=True))
    return of_one, of_other


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
