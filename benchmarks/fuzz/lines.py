"""Lines for the targets that take them: those of the tests, long ones, and what any may cost."""

import gzip
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_TESTS: Final = Path(__file__).parents[2] / "tests"
# As long as no usual line is; in less than that nothing that grows with the square is seen.
_LONG_LINE: Final = 16 * 1024
_MOST_SECONDS: Final = 1.0


def known_lines() -> Iterator[list[bytes]]:
    """Lines that belong together, from the cases, goldens and scenarios of the tests."""
    for path in sorted((_TESTS / "data" / "field-cases").glob("*.jsonl")):
        for case in map(json.loads, path.read_bytes().splitlines()):
            yield [line.encode(case.get("encoding", "utf-8")) for line in case["lines"]]
    for path in sorted((_TESTS / "goldens").glob("*.log")):
        yield path.read_bytes().splitlines()
    for path in sorted((_TESTS / "data" / "scenarios").glob("*.gz")):
        lines = gzip.decompress(path.read_bytes()).splitlines()
        yield from (lines[at : at + 10] for at in range(0, len(lines), 10))


def lengthened(line: bytes, begin: int, size: int) -> bytes:
    """A line in which a piece is repeated until it is long."""
    piece = line[begin : begin + size]
    if not piece:
        return line
    times = (_LONG_LINE - len(line)) // len(piece)
    return line[:begin] + piece * times + line[begin:]


@contextmanager
def bounded_time() -> Iterator[None]:
    """What is done within takes less CPU time than a line may take."""
    began = time.process_time()
    yield
    used = time.process_time() - began
    assert used < _MOST_SECONDS, f"{used:.1f} s of CPU time"
