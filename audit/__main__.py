"""``python -m audit --advisories all.zip requirements/run.txt``: without any network.

Exit code 0: no advisory of the list concerns what is locked; 1: some do; 2: nothing can be said.
"""

import argparse
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from audit.advisories import AuditError, findings, last_change, locked_versions, read_dump


def main(arguments: list[str] | None = None) -> int:
    """Look up each file; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m audit", description=__doc__)
    parser.add_argument("requirements", nargs="+", type=Path, help="locked requirements files")
    parser.add_argument(
        "--advisories",
        required=True,
        type=Path,
        help="https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip, fetched elsewhere",
    )
    parser.add_argument(
        "--max-age",
        type=int,
        default=30,
        help="days after which the list is too old to be told from",
    )
    options = parser.parse_args(arguments)
    try:
        advisories = list(read_dump(options.advisories))
        dated = last_change(advisories)
        if datetime.now(UTC) - dated > timedelta(days=options.max_age):
            raise AuditError(
                f"{options.advisories}: ends on {dated:%Y-%m-%d}, more than {options.max_age} days "
                "ago: fetch it anew, or see --max-age"
            )
        locked = [(path, locked_versions(path)) for path in options.requirements]
    except AuditError as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2
    code = 0
    for path, versions in locked:
        found = findings(versions, advisories)
        for one in found:
            names = " ".join((one.advisory, *one.aliases))
            fixed = ", ".join(one.fixed) or "none yet"
            print(f"{path}: {one.name} {one.version}: {names}: {one.summary} (fixed: {fixed})")
            code = 1
        print(
            f"{path}: {len(versions)} packages, {len(found)} known vulnerabilities; "
            f"{len(advisories)} advisories up to {dated:%Y-%m-%d}"
        )
    return code


if __name__ == "__main__":
    raise SystemExit(main())
