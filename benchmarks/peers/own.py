"""mailingest itself, as the others are measured."""

import os
import sys
from pathlib import Path
from typing import Final

from benchmarks.measure import MAILINGEST, Usage, run
from benchmarks.peers.peer import Peer
from mailingest import __version__

NAME: Final = "mailingest parse FILE"


def _is_taken_apart(line: bytes) -> bool:
    return b'_success"' in line


def _run(file: Path, out: Path) -> Usage:
    return run([*MAILINGEST, "parse", str(file)], stdout=out)


PEER: Final = Peer(
    name=NAME,
    package="",
    leaves_out="",
    version=lambda: __version__,
    run=_run,
    is_taken_apart=_is_taken_apart,
)


def compiled(directory: Path) -> Peer:
    """What is in a compiled wheel that was unpacked into the directory."""
    # Without -P, the source in the current directory would go before it.
    command = [sys.executable, "-P", "-m", "mailingest", "parse"]
    environment = {**os.environ, "PYTHONPATH": str(directory.resolve())}
    return Peer(
        name=f"{NAME}, compiled",
        package="",
        leaves_out="",
        version=lambda: __version__,
        run=lambda file, out: run([*command, str(file)], stdout=out, env=environment),
        is_taken_apart=_is_taken_apart,
    )
