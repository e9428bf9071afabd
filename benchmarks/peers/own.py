"""mailingest itself, pure and compiled, measured as the others are."""

import os
import sys
from pathlib import Path
from typing import Final

from benchmarks.measure import MAILINGEST, MeasurementError, Usage, run
from benchmarks.peers.peer import Peer
from mailingest import __version__
from tests.support.compiled import fetch_compiled

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


def _compiled() -> Path:
    try:
        return fetch_compiled()
    except RuntimeError as error:
        raise MeasurementError(str(error).strip().rpartition("\n")[2]) from error


def _compiled_version() -> str:
    _compiled()
    return __version__


def _run_compiled(file: Path, out: Path) -> Usage:
    # Without -P, the source in the current directory would go before what is compiled.
    command = [sys.executable, "-P", "-m", "mailingest", "parse", str(file)]
    return run(command, stdout=out, env={**os.environ, "PYTHONPATH": str(_compiled())})


COMPILED: Final = Peer(
    name=f"{NAME}, compiled",
    package="",
    leaves_out="",
    version=_compiled_version,
    run=_run_compiled,
    is_taken_apart=_is_taken_apart,
)
