"""A machine to try the commands of the documentation on: throw-away files, processes and ports.

What commands write anywhere is gone with it: system directories, the home and the working tree
are the machine's own ones below a layer in memory.  Its network has nothing but loopback, so the
ports that the documentation names are free.
"""

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.docs.blocks import ROOT
from tests.support.lab.polling import PATIENCE, wait_until

_NAMESPACES: Final = ("--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child")
# The working tree comes last: it may lie below one of the others, or be mounted there.
_LAYERED: Final = ("/etc", "/usr/local", "/srv", "/var/lib", "/var/log", str(ROOT))
# The first process waits for the end of its input; all others end with it.
_BOOT: Final = """
hostname mx1
ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /media
for directory in "$@"; do
    layers="/media/layers$directory"
    mkdir -p "$layers/lower" "$layers/upper" "$layers/work"
    mount --bind "$directory" "$layers/lower"
done
for directory in "$@"; do
    layers="/media/layers$directory"
    options="lowerdir=$layers/lower,upperdir=$layers/upper,workdir=$layers/work"
    mount -t overlay overlay -o "$options" "$directory"
done
mkdir -p /media/home/ann /etc/mailingest /var/lib/mailingest
rm -rf /var/log/mail.log* /etc/systemd/system/mailingest*
echo ready
exec cat
"""
# systemd(1) is not there: names of units are looked up, and they are enabled, as it would do.
_SYSTEMCTL: Final = r"""#!/bin/sh
set -e
verb=; now=; units=
for word in "$@"; do
    case "$word" in
        --now) now=yes ;;
        -*) ;;
        *) if [ -z "$verb" ]; then verb=$word; else units="$units $word"; fi ;;
    esac
done
case "$verb" in
    daemon-reload) exit 0 ;;
    enable|disable) exec /usr/bin/systemctl --quiet --root=/ "$verb" $units ;;
    start|stop|restart|reload|status|cat|show|edit) ;;
    *) echo "systemctl $verb: unknown to tests/docs/sandbox.py" >&2; exit 1 ;;
esac
for unit in $units; do
    case "$unit" in *.*) ;; *) unit=$unit.service ;; esac
    text=$(for place in /etc/systemd/system /lib/systemd/system "$UNITS"; do
        if cat "$place/$unit" 2>&-; then exit; fi
    done; echo "there is no $unit" >&2; exit 1)
    case "$verb$text" in
        reload*ExecReload=*|reload*notify-reload*) ;;
        reload*) echo "$unit cannot be reloaded" >&2; exit 1 ;;
    esac
done
"""
# Nothing is fetched or installed: apt says whether it would be.
_APT_GET: Final = """#!/bin/sh
case " $* " in *" update "*) exit 0 ;; esac
exec /usr/bin/apt-get --quiet --quiet --simulate "$@"
"""
_PROGRAM: Final = f'#!/bin/sh\nexec {sys.executable} -m mailingest "$@"\n'


_SESSION: Final = f"""
export UNITS={shlex.quote(str(ROOT / "systemd"))}
export HOME=/media/home/ann STATE_DIRECTORY=/var/lib/mailingest LANG=C.UTF-8
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd {shlex.quote(str(ROOT))}
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


class Sandbox:
    """Begins with the context, and ends with all that runs in it.

    Needs root, and says so otherwise.
    """

    def __init__(self) -> None:
        if os.geteuid() != 0:
            raise RuntimeError("the commands of the documentation need root; run the tests as root")
        self._running: list[subprocess.Popen[bytes]] = []
        self._logs: dict[str, Path] = {}

    def __enter__(self) -> Self:
        self._first = subprocess.Popen(
            ["unshare", *_NAMESPACES, "--mount-proc", "sh", "-euc", _BOOT, "sh", *_LAYERED],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._first.stdout is not None
        if self._first.stdout.readline() != "ready\n":
            _, complaint = self._first.communicate()
            raise RuntimeError(f"no namespaces or layered file systems: {complaint.strip()}")
        for name, text in (
            ("mailingest", _PROGRAM),
            ("systemctl", _SYSTEMCTL),
            ("apt-get", _APT_GET),
        ):
            self.write(f"/usr/local/bin/{name}", text, mode=0o755)
        self.write("/media/session", _SESSION)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._first.communicate(timeout=PATIENCE)
        for process in self._running:
            process.wait(PATIENCE)

    def path(self, inside: str) -> Path:
        """Where the tests reach a file of the machine."""
        return Path(f"/proc/{self._init()}/root{inside}")

    def write(self, inside: str, text: str, *, mode: int = 0o644) -> None:
        """Write a file of the machine."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        path.chmod(mode)

    def run(self, command: str, typed: str = "") -> Outcome:
        """Run a command as the next one of one session: directory and variables stay.

        ``typed`` is what it gets as a line of its standard input.
        """
        session = f". /media/session\nset -a\n{command}\nended=$?\n"
        keep = '{ export -p; echo cd "$PWD"; } > /media/session\nexit $ended\n'
        done = subprocess.run(
            self._entering(["bash", "-o", "pipefail", "-c", session + keep]),
            input=f"{typed}\n" if typed else "",
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def start(self, command: str, until: str) -> None:
        """Start a command that does not end, and wait until it has written a text."""
        log = self._logs[command] = self.path(f"/media/log-{len(self._running)}")
        with log.open("wb") as file:
            process = subprocess.Popen(
                self._entering(["bash", "-c", f". /media/session\nexec {command}"]),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        self._running.append(process)

        def is_up() -> bool:
            said = log.read_text("utf-8", "replace")
            assert process.poll() is None, f"{command}: {said}"
            return until in said

        wait_until(is_up, f"{command} says {until}")

    def log_of(self, command: str) -> list[dict[str, object]]:
        """What a command of mailingest that was started has logged."""
        lines = self._logs[command].read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def _entering(self, command: list[str]) -> list[str]:
        enter = ["nsenter", "--target", self._init(), "-m", "-n", "-p", "-u", "-i"]
        # What is tried here is measured elsewhere, and coverage doubles the time that it takes.
        return ["env", "--unset=COVERAGE_PROCESS_CONFIG", *enter, *command]

    def _init(self) -> str:
        children = Path(f"/proc/{self._first.pid}/task/{self._first.pid}/children")
        return children.read_text().split()[0]
