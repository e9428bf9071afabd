"""``python -m tests.support.servers fetch``: download what tests need before they do.

That is the servers, and the client of scripts that sites have.
"""

import sys

from tests.support import client7
from tests.support.servers import KINDS, WANTED_KINDS, ServerProblem, fetch


def main(arguments: list[str]) -> int:
    if arguments != ["fetch"]:
        print("usage: python -m tests.support.servers fetch", file=sys.stderr)
        return 2
    try:
        for kind in (*KINDS, *WANTED_KINDS):
            print(f"{kind}: {fetch(kind)}")
        print(f"client 7.10: {client7.fetch()}")
    except ServerProblem as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
