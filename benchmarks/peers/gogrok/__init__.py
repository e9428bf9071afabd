"""elastic/go-grok, JSON lines out: main.go."""

import re
from pathlib import Path
from typing import Final

from benchmarks.measure import Usage, run
from benchmarks.peers.peer import COMMON, Peer, installed


def _version() -> str:
    found = re.search(r"go-grok (v\S+)", (Path(__file__).parent / "go.mod").read_text())
    return found[1] if found else "?"


def _run(file: Path, out: Path) -> Usage:
    return run([installed("gogrok"), str(COMMON), str(file)], stdout=out)


PEER: Final = Peer(
    name="elastic/go-grok, JSON",
    package="gogrok",
    leaves_out="rarer lines, types, correlation",
    version=_version,
    run=_run,
    is_taken_apart=lambda line: b'"kind":' in line,
)
