"""Clean installations of Debian, booted: what a package does to them is undone with them."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.support.systemd_host import SystemdHost

RELEASES: Final = {"12": "bookworm", "13": "trixie"}
INSTALL: Final = "apt-get install debootstrap"
# What the package depends on and recommends, for no test to download it, and a sender of lines.
_PACKAGES: Final = ("ca-certificates", "iproute2", "python3", "rsyslog", "systemd-sysv")
_MIRROR: Final = "http://deb.debian.org/debian"

# $1 is the clean root, $2 a directory to work in, $3 what is to be seen on /mnt.
_BOOT: Final = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
cd "$2/root"
mount --bind -o ro "$3" mnt
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
  touch "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mkdir -p old
pivot_root . old
umount -l old
# As on a server: systemd mounts credentials in a namespace from where they have to spread.
mount --make-rshared /
exec env -i container=lxc PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --log-target=console
"""


def fetch(release: str) -> Path:
    """The clean root of a release, made by debootstrap unless a former run has made it.

    The list of packages beside it is written last: it says of what the root is whole.
    """
    suite = RELEASES[release]
    place = _cache() / f"debian-{release}"
    root, done, wanted = place / "root", place / "packages", " ".join(_PACKAGES)
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists() and done.read_text() == wanted:
            return root
        if shutil.which("debootstrap") is None or os.geteuid() != 0:
            raise RuntimeError(f"needs root and debootstrap: {INSTALL}")
        shutil.rmtree(root, ignore_errors=True)
        include = f"--include={','.join(_PACKAGES)}"
        command = ["debootstrap", "--variant=minbase", include, suite, str(root), _MIRROR]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise RuntimeError(f"debootstrap of {suite}: {made.stdout}{made.stderr}")
        done.write_text(wanted)
    return root


def fetch_wheels() -> Path:
    """The directory of .ci/packages/wheelhouse, filled unless a former run has filled it."""
    wheels = _cache() / "wheels"
    wheels.parent.mkdir(parents=True, exist_ok=True)
    with wheels.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        script = Path(__file__).parents[2] / ".ci" / "packages" / "wheelhouse"
        subprocess.run([script, wheels], check=True, env={**os.environ, "PATH": path})
    return wheels


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mailingest-tests"


class DebianHost(SystemdHost):
    """A clean Debian of a release; ``shown`` is a directory that it sees as /mnt."""

    _target = "multi-user.target"

    def __init__(self, release: str, work: Path, shown: Path) -> None:
        work.mkdir()
        super().__init__(work, work.with_suffix(".log"))
        self._root = fetch(release)
        self._shown = shown

    def _boot(self) -> list[str]:
        return ["sh", "-c", _BOOT, "sh", str(self._root), str(self._units), str(self._shown)]
