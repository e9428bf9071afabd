"""Fuzzes a target with atheris: ``python -m benchmarks.fuzz TARGET [--seconds N]``.

It begins with the corpus, with the target's own seeds, and with what earlier runs found (in
``var/fuzz/TARGET``).  A broken promise does not end the run: each kind is printed once, as
``BROKEN``, and its first input is kept in ``var/fuzz/TARGET-broken``.

``--minimise`` writes the corpus anew, of all these inputs that keep the promises: the fewest that
together reach the same, ``--keep`` at most; files named ``found-*`` stay.  It needs no atheris.
Fuzzing does: ``pip install --require-hashes -r requirements/fuzz.txt``.
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import Final

from benchmarks.fuzz import minimising

TARGETS: Final = ("frames", "header", "grok", "journal")
_FOUND: Final = Path("var") / "fuzz"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: %(default)s)")
    parser.add_argument("--minimise", action="store_true", help="write the corpus anew")
    parser.add_argument("--keep", type=int, default=60, help="files of the corpus at most")
    options = parser.parse_args()
    found = _FOUND / options.target
    if options.minimise:
        target = import_module(f"benchmarks.fuzz.{options.target}")
        print(minimising.minimise(target.check, [found], options.target, options.keep))
        return 0
    try:
        from benchmarks.fuzz import running
    except ImportError as error:
        parser.error(f"{error}: pip install --require-hashes -r requirements/fuzz.txt")
    running.run(options.target, found, options.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
