"""Runs a target under atheris; see ``benchmarks.fuzz``.

Patterns are matched in C, where atheris sees nothing.  So what a target's `check` returned counts
as reached, too.
"""

import os
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final

import atheris

from benchmarks.fuzz.corpus import CORPUS, inputs, keep

# An input that takes as long (seconds) ends the run: nothing else would.
_TIMEOUT: Final = 60
_MAX_BYTES: Final = 2048
_MEMORY_MEGABYTES: Final = 2048


class _Broken:
    """The promises that were broken, each kind of them once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._kinds: set[str] = set()

    def note(self, data: bytes, error: Exception) -> None:
        last = traceback.extract_tb(error.__traceback__)[-1]
        kind = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
        if kind not in self._kinds:
            self._kinds.add(kind)
            keep(self._directory, [data])
            print(f"BROKEN {kind}: {error} with {data!r}", file=sys.stderr, flush=True)
            traceback.print_exception(error)


def run(name: str, found: Path, seconds: int) -> None:
    """Fuzz for some seconds, and end the process; what is new goes into a directory."""
    with atheris.instrument_imports(include=["mailingest"]):
        target = import_module(f"benchmarks.fuzz.{name}")
    found.mkdir(parents=True, exist_ok=True)
    keep(found, [*inputs(CORPUS / name), *target.seeds()])
    broken = _Broken(found.with_name(f"{name}-broken"))
    reached: dict[str, Callable[[], None]] = {}

    def test(data: bytes) -> None:
        try:
            words = target.check(data)
        except Exception as error:
            broken.note(data, error)
            return
        for word in words:
            if word not in reached:
                reached[word] = _counter()
            reached[word]()

    flags = {
        "max_total_time": seconds,
        "max_len": _MAX_BYTES,
        "timeout": _TIMEOUT,
        "rss_limit_mb": _MEMORY_MEGABYTES,
        "print_final_stats": 1,
        "artifact_prefix": f"{found.with_name(name)}-broken-",
    }
    arguments = [f"-{flag}={value}" for flag, value in flags.items()]
    # Where a target makes files.
    os.environ.setdefault("TMPDIR", "/dev/shm")
    atheris.Setup([sys.argv[0], *arguments, str(found)], test)
    atheris.Fuzz()


def _counter() -> Callable[[], None]:
    """A function whose calls atheris sees."""

    def called() -> None:
        pass

    instrumented: Callable[[], None] = atheris.instrument_func(called)
    return instrumented
