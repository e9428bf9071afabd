"""The real program under test: mailingest in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.lab.polling import PATIENCE, wait_until

# Should the test run be killed, the kernel ends the daemon too.
_ENDS_WITH_THE_TESTS = ("setpriv", "--pdeathsig", "KILL")
_PROGRAM = (sys.executable, "-m", "mailingest")


class Daemon:
    """``mailingest run``: ready when the context begins, ended by SIGTERM, which must succeed.

    Or by `kill`, as by a crash, or `insist`, or of its own: then there is nothing left to end.

    ``log`` is its standard error.  ``tracer`` is a command that runs it as the same process.
    """

    def __init__(self, config: Path, tracer: Sequence[str] = ()) -> None:
        self.log = config.with_suffix(".log")
        self._config = config
        self._tracer = tracer
        self._has_ended = False
        self._hearing: threading.Thread | None = None
        self.notifications: list[str] = []
        """What it has told systemd since it was ready."""

    def __enter__(self) -> Self:
        # The protocol of sd_notify(3) tells when all listeners are open.
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notified.bind(f"\0{self._config}")
        self._notified.setblocking(False)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *_ENDS_WITH_THE_TESTS,
                    *self._tracer,
                    *_PROGRAM,
                    "run",
                    "--config",
                    str(self._config),
                ],
                env=os.environ | {"NOTIFY_SOCKET": f"@{self._config}"},
                stderr=log,
            )
        try:
            wait_until(self._is_ready, "mailingest is ready")
        except BaseException:
            self._kill()
            raise
        # Somebody has to read what it says, as systemd does: a full socket holds it up.
        self._notified.setblocking(True)
        self._hearing = threading.Thread(target=self._hear, daemon=True)
        self._hearing.start()
        return self

    def _hear(self) -> None:
        with suppress(OSError):  # it is closed at the end
            while heard := self._notified.recv(4096):
                self.notifications.append(heard.decode())

    def _hear_no_more(self) -> None:
        with suppress(OSError):  # it is closed already
            self._notified.shutdown(socket.SHUT_RDWR)  # or recv() would never return
        if self._hearing is not None:
            self._hearing.join()  # as long as it is in recv(), the socket has its name
        self._notified.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def hang_up(self) -> None:
        """Have it read its configuration again (SIGHUP)."""
        self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._kill()
        self._has_ended = True

    def wait(self) -> int:
        """Wait until it has ended; its return code, as subprocess has it."""
        code = self._process.wait(PATIENCE)
        self._hear_no_more()
        self._has_ended = True
        return code

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"mailingest has ended: {self.log.read_text()}")
        try:
            return self._notified.recv(4096) == b"READY=1"
        except BlockingIOError:
            return False

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._hear_no_more()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._has_ended:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(PATIENCE)
        finally:
            self._kill()
        if code != 0 and error is None:
            raise RuntimeError(f"mailingest ended with {code}: {self.log.read_text()}")


def replay(config: Path, *files: Path) -> None:
    """``mailingest replay``, from the start of the files; raises RuntimeError if it fails."""
    done = subprocess.run(
        [*_PROGRAM, "replay", "--restart", "--config", str(config), *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    if done.returncode != 0:
        raise RuntimeError(f"replay ended with {done.returncode}: {done.stderr}{done.stdout}")
