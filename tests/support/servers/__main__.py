"""``python -m tests.support.servers fetch``: download what tests need before they do.

That is the servers, the client of scripts that sites have, and what the Debian package is made of
and tried in.
"""

import sys

from tests.support import client7, debian_host
from tests.support.servers import KINDS, WANTED_KINDS, fetch, kafka, make_archive
from tests.support.servers.process import ServerProblem
from tests.support.servers.victorialogs import fetch_victorialogs


def main(arguments: list[str]) -> int:
    if arguments != ["fetch"]:
        print("usage: python -m tests.support.servers fetch", file=sys.stderr)
        return 2
    try:
        for kind in (*KINDS, *WANTED_KINDS):
            print(f"{kind}: {fetch(kind)}")
        for kind in KINDS:
            make_archive(kind)
        print(f"victorialogs: {fetch_victorialogs()}")
        print(f"{kafka.RELEASE}: {kafka.fetch()}")
        print(f"client 7.10: {client7.fetch()}")
        print(f"wheels: {debian_host.fetch_wheels()}")
        _fetch_debian()
    except ServerProblem as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def _fetch_debian() -> None:
    """Who is not root cannot, and runs the tests that do not need it."""
    try:
        for release in debian_host.RELEASES:
            print(f"Debian {release}: {debian_host.fetch(release)}")
    except RuntimeError as problem:
        print(problem, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
