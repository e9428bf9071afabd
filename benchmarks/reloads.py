"""A long campaign of reloads: every kind in any order, good and bad, while lines come in.

    python -m benchmarks.reloads [--rounds N] [--seed N] [--rate LINES]

Each round reloads once by each kind of `tests.support.reloads`, those that compile patterns too, in
an order of its own.  Then each line must be stored once, with the sender that its queue ID is known
for.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

from tests.support.lab.daemon import Daemon
from tests.support.reloads import KINDS, ReloadedSite, SteadySender, proves_nothing_lost


def main() -> None:
    """Run the campaign; ends with an AssertionError that says what was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--rate", type=int, default=200)
    given = parser.parse_args()
    for number in range(given.rounds):
        seed = given.seed + number
        with tempfile.TemporaryDirectory() as directory:
            print(f"seed {seed}:", play(Path(directory), random.Random(seed), given.rate))


def play(directory: Path, rng: random.Random, rate: int) -> str:
    """One round; what happened in it."""
    site = ReloadedSite(directory)
    kinds = [*KINDS]
    longest = 0.0
    with Daemon(site.config):
        site.begin()
        with SteadySender(site.udp, site.tcp, a_second=rate) as sender:
            rng.shuffle(kinds)
            for kind in kinds:
                began = time.monotonic()
                answer = site.reload(kind, in_any_order=True)
                assert not answer, answer
                longest = max(longest, time.monotonic() - began)
        proves_nothing_lost(site, sender)
    return f"{len(kinds)} reloads, {sender.sent.total()} lines, the longest took {longest:.1f} s"


if __name__ == "__main__":
    main()
