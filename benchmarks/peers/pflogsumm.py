"""pflogsumm: a report of the whole file."""

from pathlib import Path
from typing import Final

from benchmarks.measure import Usage, run
from benchmarks.peers.peer import Peer, environment, first_line, installed


def _run(file: Path, out: Path) -> Usage:
    return run([installed("pflogsumm"), str(file)], stdout=out, env=environment())


PEER: Final = Peer(
    name="pflogsumm, a report",
    package="pflogsumm",
    leaves_out="documents: it counts, and forgets each mail",
    version=lambda: first_line([installed("pflogsumm"), "--version"]).rpartition(" ")[2],
    run=_run,
    is_taken_apart=None,
)
