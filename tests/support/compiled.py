"""The compiled wheel of these sources, unpacked: ``python -m tests.support.compiled`` prints where.

Compiling takes most of a minute, so it is done once for the same files.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
# What was compiled from files that are others by now, and nobody has asked for since.
_KEPT_SECONDS: Final = 86_400.0


def fetch_compiled() -> Path:
    """A directory to import mailingest from, compiled unless a former run has compiled it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache / "mailingest-tests" / "compiled"
    wanted = place / _digest()
    place.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for other in place.iterdir():
            if time.time() - other.stat().st_mtime > _KEPT_SECONDS:
                shutil.rmtree(other)
        if not wanted.exists():
            _build(wanted)
        os.utime(wanted)
    return wanted


def _build(wanted: Path) -> None:
    made = wanted.with_suffix(".new")
    shutil.rmtree(made, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(made)],
        cwd=ROOT,
        env=os.environ | {"HATCH_BUILD_HOOK_ENABLE_CUSTOM": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the compiled wheel is not built:\n{done.stdout}{done.stderr}")
    [wheel] = made.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(made)
    # There last: it says that all before it is done.
    made.rename(wanted)


def _digest() -> str:
    """What the wheel is made from, and with."""
    digest = hashlib.sha256(f"{sys.version}\n".encode())
    files = [ROOT / name for name in ("pyproject.toml", "hatch_build.py", "requirements/dev.txt")]
    for directory in ("mailingest", "patterns", "config", "systemd"):
        files += [path for path in (ROOT / directory).rglob("*") if path.is_file()]
    for path in sorted(files):
        if path.suffix != ".pyc":
            digest.update(f"{path.relative_to(ROOT)}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    print(fetch_compiled())
