"""The log as it is being written: who writes, and lines put in order of time."""

from dataclasses import dataclass
from heapq import heappush
from math import inf
from random import Random
from typing import Final, NamedTuple

from benchmarks.population import Population


class Source(NamedTuple):
    """Who writes a line; ``pid`` is empty for programs that log none."""

    host: str
    program: str
    pid: str


Line = tuple[float, int, Source, str]
"""Seconds since 1970, a running number, who wrote it, and the text (one character, one byte)."""


@dataclass(slots=True)
class Process:
    """A server process and when it has time for the next client."""

    source: Source
    busy_until: float


# A Postfix process ends after max_use (100) requests and another takes its place.
_RENEWAL: Final = 1 / 100


class Journal:
    """Lines that are going to be written, and the processes that write them."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._rnd = self._random.random
        self._people = Population(self._random)
        self._pick = self._people.pick
        self._heap: list[Line] = []
        self._number = 0
        self._pools: dict[tuple[str, str], list[Source]] = {}
        self._sessions: dict[tuple[str, str], list[Process]] = {}
        self._next_pid = 1_000

    def _log(self, time: float, source: Source, text: str) -> None:
        self._number += 1
        heappush(self._heap, (time, self._number, source, text))

    def _new_source(self, host: str, program: str) -> Source:
        self._next_pid = 1_000 + (self._next_pid + 7 - 1_000) % 60_000
        return Source(host, program, str(self._next_pid))

    def _process(self, host: str, program: str, size: int = 8) -> Source:
        """One of a program's processes; long-lived programs have one (``size`` 1)."""
        pool = self._pools.get((host, program))
        if pool is None:
            pool = [self._new_source(host, program) for _ in range(size)]
            self._pools[host, program] = pool
        slot = int(self._rnd() * len(pool))
        if size > 1 and self._rnd() < _RENEWAL:
            pool[slot] = self._new_source(host, program)
        return pool[slot]

    def _session(self, host: str, program: str, time: float) -> Process:
        """A server process that is free; busy until the caller says when it ends."""
        processes = self._sessions.setdefault((host, program), [])
        for process in processes:
            if process.busy_until < time:
                if self._rnd() < _RENEWAL:
                    process.source = self._new_source(host, program)
                break
        else:
            process = Process(self._new_source(host, program), 0.0)
            processes.append(process)
        process.busy_until = inf
        return process
