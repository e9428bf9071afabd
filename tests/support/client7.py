"""The client of Elasticsearch 7.10, in a place of its own: scripts of sites are run with it."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_LOCKED = Path(__file__).parents[2] / "requirements" / "client-7.txt"


def fetch() -> Path:
    """The folder with the client's packages, filled by pip unless a former run has filled it.

    The copy of the locked requirements beside them is written last: it says for which ones the
    packages are whole.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache / "mailingest-tests" / f"client-7-python{sys.version_info.minor}"
    packages, done = place / "lib", place / "requirements.txt"
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists() or done.read_bytes() != _LOCKED.read_bytes():
            subprocess.run(
                [
                    *(sys.executable, "-m", "pip", "install", "--quiet", "--upgrade"),
                    *(
                        "--require-hashes",
                        "--no-deps",
                        "--target",
                        str(packages),
                        "--requirement",
                        _LOCKED,
                    ),
                ],
                check=True,
            )
            done.write_bytes(_LOCKED.read_bytes())
    return packages


def run(script: Path, arguments: Sequence[str]) -> str:
    """What a script prints that is run with this client."""
    ran = subprocess.run(
        [sys.executable, str(script), *arguments],
        env={**os.environ, "PYTHONPATH": str(fetch())},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return ran.stdout
