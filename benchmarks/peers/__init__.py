"""Other programs on the same log, each as it is meant to be used.

They do less than mailingest, so a ratio says how far apart the tools are, not which one is better;
each says what it leaves out, and how many of the lines it took apart.  Those that can have
mailingest's patterns have them (pygrok, Joni); the others have rules for the most frequent kinds of
lines (``rules/``).  ``.ci/bench-packages`` installs them; what is not there is said to be missing,
with the reason.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.measure import MeasurementError
from benchmarks.peers import gogrok, joni, logprep, pflogsumm, pygrok, rsyslog, syslog_ng, telegraf
from benchmarks.peers.peer import Peer, Result, why_missing

PEERS: Final[tuple[Peer, ...]] = (
    pygrok.PEER,
    logprep.PEER,
    telegraf.PEER,
    gogrok.PEER,
    joni.PEER,
    *syslog_ng.PEERS,
    rsyslog.PEER,
    pflogsumm.PEER,
)


def measure(peers: Sequence[Peer], file: Path, rounds: int) -> list[Result]:
    """What each needs for the file, one after the other, and the best of several such rounds.

    Others on the machine can only make it slower, and in turns they do it to all alike.
    """
    return [
        min(results, key=lambda one: one.usage.cpu if one.usage else 0.0)
        for results in zip(*(_round(peers, file) for _ in range(rounds)), strict=True)
    ]


def _round(peers: Sequence[Peer], file: Path) -> Iterator[Result]:
    for peer in peers:
        with TemporaryDirectory() as directory:
            try:
                yield _measured(peer, file, Path(directory))
            except (MeasurementError, OSError) as error:
                reason = str(error).replace("\n", " ")
                yield Result(peer, missing=why_missing(peer.package) or reason)


def _measured(peer: Peer, file: Path, directory: Path) -> Result:
    version = peer.version()
    log, out = directory / "mail.log", directory / "out"
    with file.open("rb") as source, log.open("wb") as beginning:
        beginning.writelines(islice(source, peer.most_lines))
    used = peer.run(log, out)
    with log.open("rb") as source:
        lines = sum(1 for _ in source)
    return Result(peer, version, lines, used, _taken_apart(peer, out))


def _taken_apart(peer: Peer, out: Path) -> int | None:
    if peer.is_taken_apart is None:
        return None
    with out.open("rb") as written:
        return sum(map(peer.is_taken_apart, written))
