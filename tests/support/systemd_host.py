"""A real systemd as PID 1 of namespaces of its own: units run in it as on a server."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.lab.polling import PATIENCE, wait_until

_NAMESPACES = ("--pid", "--mount", "--cgroup", "--uts", "--ipc", "--net", "--mount-proc")
_ENTER = ("-m", "-p", "-u", "-i", "-n", "-C")
_BOOT = """
set -e
mount --make-rprivate /
# As on a server: systemd mounts credentials in a namespace from where they have to spread.
mount --make-rshared /
mount -t tmpfs tmpfs /run
# Users that a test makes are its own.
mkdir /run/etc
cp -a /etc/. /run/etc
mount --bind /run/etc /etc
mount -t tmpfs -o mode=755 tmpfs /var/lib
# A mount from outside shows the machine's control groups, not those of this namespace.
if mountpoint -q /sys/fs/cgroup; then umount -R /sys/fs/cgroup; fi
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# Nothing of the machine's own start: systemd-tmpfiles alone would empty its real /tmp.
for directory in /lib/systemd/system/*.wants /etc/systemd/system; do
  mount -t tmpfs tmpfs "$directory"
done
mkdir -p /run/systemd/system
cp "$1"/* /run/systemd/system/
exec env -i container=lxc PATH="$PATH" /lib/systemd/systemd --system --log-target=console \
  --unit=test.target
"""
_TARGET = "[Unit]\nDescription=Nothing but what a test starts\nAllowIsolate=yes\n"


class SystemdHost:
    """Boots when the context begins; ``units`` is a directory of unit files.

    Needs root and Debian's systemd; says so if they are missing.
    """

    _target = "test.target"

    def __init__(self, units: Path, log: Path) -> None:
        if os.geteuid() != 0 or not Path("/lib/systemd/systemd").exists():
            raise RuntimeError("needs root and systemd: apt-get install systemd")
        self._units = units
        self._log = log
        (units / "test.target").write_text(_TARGET)

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._unshare = subprocess.Popen(
                ["unshare", "--fork", "--kill-child", *_NAMESPACES, *self._boot()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            wait_until(self._is_up, "systemd is up")
            self.run("ip", "link", "set", "lo", "up")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _boot(self) -> list[str]:
        """The command that ends by being systemd."""
        return ["sh", "-c", _BOOT, "sh", str(self._units)]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the host; the caller looks at its exit code."""
        enter = ["nsenter", "-t", str(self._init()), *_ENTER]
        return subprocess.run(
            [*enter, *command], capture_output=True, text=True, check=False, timeout=PATIENCE
        )

    @contextmanager
    def started(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """A command that goes on as long as the context; its output is a pipe."""
        enter = ["nsenter", "-t", str(self._init()), *_ENTER]
        with subprocess.Popen([*enter, *command], stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def _init(self) -> int:
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        return int(children.read_text().split()[0])

    def _is_up(self) -> bool:
        if self._unshare.poll() is not None:
            raise RuntimeError(f"systemd has ended: {self.log()}")
        try:
            return self.run("systemctl", "is-active", self._target).stdout.strip() == "active"
        except (IndexError, FileNotFoundError):
            return False

    def _end(self) -> None:
        # As PID 1 of its namespace it takes everything in it along.
        try:
            os.kill(self._init(), signal.SIGKILL)
        except (IndexError, FileNotFoundError, ProcessLookupError):
            self._unshare.kill()
        self._unshare.wait(PATIENCE)
        shutil.rmtree(self._units, ignore_errors=True)
