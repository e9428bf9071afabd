"""What a peer is: a program that is given the same log, as its makers mean it to be used."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.measure import MeasurementError, Usage

PATTERNS: Final = Path(__file__).resolve().parents[2] / "patterns"
RULES: Final = Path(__file__).parent / "rules"
"""Rules for those that cannot have mailingest's patterns, all for the same kinds of lines."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A program, how its version is told, and how it is run."""

    name: str
    package: str
    """What ``.ci/bench-packages`` knows it by; "" for what the project has anyway."""
    leaves_out: str
    version: Callable[[], str]
    """Raises MeasurementError where the program is not there."""
    run: Callable[[Path, Path], Usage]
    """Reads the log, writes into the other file; raises MeasurementError."""
    is_taken_apart: Callable[[bytes], bool] | None
    """Whether a line of what it wrote has fields of the text; None if it writes no lines."""
    most_lines: int | None = None
    """How much of the log a slow one is given."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a peer needed, or why there is no figure."""

    peer: Peer
    version: str = ""
    lines: int = 0
    usage: Usage | None = None
    taken_apart: int | None = None
    missing: str = ""

    def times(self, whole: "Result") -> float | None:
        """How many times as much CPU time a line takes as there; None if one is missing."""
        if self.usage is None or whole.usage is None:
            return None
        return (self.usage.cpu / self.lines) / (whole.usage.cpu / whole.lines)


def cache() -> Path:
    """Where ``.ci/bench-packages`` puts what is not installed in the system."""
    given = os.environ.get("MAILINGEST_BENCH_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(base) / "mailingest-bench"


def installed(program: str) -> str:
    """The path of a program, in the cache or in the system; raises MeasurementError."""
    debian = cache() / "debian" / "usr"
    places = [cache() / "bin", debian / "bin", debian / "sbin", "/usr/sbin", "/usr/bin", "/bin"]
    found = shutil.which(program, path=os.pathsep.join(map(str, places)))
    if found is None:
        raise MeasurementError(f"{program} is not installed (.ci/bench-packages)")
    return found


def environment() -> Mapping[str, str]:
    """Where programs of unpacked Debian packages find their libraries."""
    root = cache() / "debian"
    libraries = [*root.glob("usr/lib/*-linux-gnu*"), *root.glob("lib/*-linux-gnu*")]
    libraries.append(root / "usr" / "lib" / "syslog-ng")
    perl = [*root.glob("usr/lib/*/perl5/*"), root / "usr" / "share" / "perl5"]
    return {
        **os.environ,
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
        "PERL5LIB": os.pathsep.join(map(str, perl)),
    }


def first_line(command: Sequence[str]) -> str:
    """The first line that a program prints, on either output."""
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
        env=dict(environment()),
    )
    return done.stdout.partition("\n")[0].strip()


def why_missing(package: str) -> str:
    """What the installation said when it failed; "" if it did not."""
    note = cache() / f"{package}.missing"
    return note.read_text(errors="replace").strip() if package and note.is_file() else ""


def grok_definitions(*files: Path) -> dict[str, str]:
    """Patterns by name, in their order."""
    return {
        match[1]: match[2]
        for file in files
        for match in re.finditer(r"(?m)^(\w+)[ \t]+(\S.*)$", file.read_text("utf-8"))
    }


def line_patterns() -> list[str]:
    """The names of those of ``common.grok`` that are for a whole text, in their order."""
    return [name for name in grok_definitions(COMMON) if name.startswith("LINE_")]


COMMON: Final = RULES / "common.grok"
