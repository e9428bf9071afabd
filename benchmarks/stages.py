"""The stages of the core, one after the other: CPU time of each with all those before it."""

import os
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from benchmarks.measure import Usage, usage_of
from mailingest.config import Settings, load_zone
from mailingest.pipeline import FrameBlock
from mailingest.postfix.enrichment import QueueMap
from mailingest.postfix.parser import EventParser
from mailingest.syslog.header import RecordDecoder
from mailingest.syslog.timestamps import Clock
from mailingest.wiring import build_pipeline, read_definitions

# As many as `parse` and `replay` read at once, and a busy daemon receives.
_BLOCK_LINES: Final = 400


def _decoder() -> RecordDecoder:
    return RecordDecoder(Clock(load_zone(Settings().syslog.timezone), in_order=True))


def _parser() -> EventParser:
    return EventParser(read_definitions(Settings()))


def _iterate(file: Path, _: float) -> None:
    with file.open("rb") as lines:
        for _line in lines:
            pass


def _header(file: Path, reference: float) -> None:
    decode = _decoder().decode
    with file.open("rb") as lines:
        for line in lines:
            decode(line, reference=reference)


def _grok(file: Path, reference: float) -> None:
    decode, parse = _decoder().decode, _parser().parse
    with file.open("rb") as lines:
        for line in lines:
            parse(decode(line, reference=reference))


def _correlation(file: Path, reference: float) -> None:
    decode, parse = _decoder().decode, _parser().parse
    queue_map = QueueMap(wait=0)
    now = 0
    with file.open("rb") as lines:
        for line in lines:
            event = parse(decode(line, reference=reference))
            queue_map.feed(event, float(event.seconds))
            if event.seconds > now:
                now = event.seconds
                queue_map.tick(float(now))


def _documents(file: Path, reference: float) -> None:
    pipeline = build_pipeline(Settings(), live=False, wait=0.0)
    with file.open("rb") as lines:
        while block := list(islice(lines, _BLOCK_LINES)):
            pipeline.feed_all(FrameBlock(block, reference))


_STAGES: Final[tuple[tuple[str, Callable[[Path, float], None]], ...]] = (
    ("iterate over the file", _iterate),
    ("+ header", _header),
    ("+ grok, typed fields", _grok),
    ("+ queue-ID map", _correlation),
    ("+ documents (id, JSON), the whole core", _documents),
)


def _in_a_child(work: Callable[[Path, float], None], file: Path) -> Usage:
    """Run in a process of its own, so that no stage finds the memory of the one before."""
    began = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        try:
            work(file, file.stat().st_mtime)
            os._exit(0)
        finally:
            os._exit(1)
    _, status, used = os.wait4(pid, 0)
    if status:
        raise ChildProcessError(f"stage ended with status {status}")
    return usage_of(began, used)


def measure(file: Path, repeat: int) -> Iterator[tuple[str, Usage]]:
    """Each stage's name and the best of several runs."""
    for name, work in _STAGES:
        yield name, min((_in_a_child(work, file) for _ in range(repeat)), key=lambda used: used.cpu)
