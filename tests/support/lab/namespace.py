"""A private view of the machine: own mounts, hostname and processes, the network shared."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.lab.polling import PATIENCE

# /dev becomes private so that /dev/log can be ours.  The first process waits for the end of
# its input: whatever happens to the test run, the kernel then ends every process in here.
_FIRST_PROCESS = """
echo "$1" > /proc/sys/kernel/hostname
mount -t tmpfs -o mode=755 tmpfs "$2"
for node in null zero full random urandom; do
    : > "$2/$node"
    mount --bind "/dev/$node" "$2/$node"
done
mount --rbind "$2" /dev
shift 2
while [ $# -gt 0 ]; do mount --bind "$1" "$2"; shift 2; done
echo ready
exec cat
"""


class Namespace:
    """Mount, UTS and PID namespaces of their own; ends with the process that made them.

    ``mounts`` maps a path as seen inside to the file or directory that is put there; ``zone``
    is the time zone of all commands, in the notation of POSIX.
    """

    def __init__(self, hostname: str, zone: str, dev: Path, mounts: Mapping[str, Path]) -> None:
        binds = [part for inside, source in mounts.items() for part in (str(source), inside)]
        unshare = ("unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
        self._environment = os.environ | {"TZ": zone}
        dev.mkdir()
        self._first = subprocess.Popen(
            [*unshare, "sh", "-euc", _FIRST_PROCESS, "lab", hostname, str(dev), *binds],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._first.stdout is not None
        if self._first.stdout.readline() != "ready\n":
            _, complaint = self._first.communicate()
            raise RuntimeError(f"the laboratory needs root and namespaces: {complaint.strip()}")

    def path(self, inside: str) -> Path:
        """Where the rest of the machine reaches a path that lies inside."""
        return Path(f"/proc/{self._first.pid}/root{inside}")

    def _command(self, arguments: Sequence[str]) -> list[str]:
        processes = f"--pid=/proc/{self._first.pid}/ns/pid_for_children"
        target = ("--target", str(self._first.pid), "--mount", "--uts", processes)
        return ["nsenter", *target, *arguments]

    def start(self, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a command inside and give the process to wait for, which cannot be signalled."""
        return subprocess.Popen(self._command(arguments), env=self._environment)

    def run(self, arguments: Sequence[str], *, stdin: bytes = b"") -> str:
        """Run a command inside and give its standard output; raises RuntimeError if it fails."""
        done = subprocess.run(
            self._command(arguments),
            env=self._environment,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=PATIENCE,
        )
        if done.returncode != 0:
            said = (done.stderr + done.stdout).decode("utf-8", "replace").strip()
            raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}: {said}")
        return done.stdout.decode("utf-8", "replace")

    def close(self) -> None:
        """End every process inside."""
        self._first.communicate(timeout=PATIENCE)
