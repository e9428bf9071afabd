"""A real VictoriaLogs server for tests, built by Go from its module.

It is a program of its own, built once by Go, of a version that fetches the newer one it takes.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.lab.polling import PATIENCE, wait_until
from tests.support.ports import free_port
from tests.support.servers import ServerProblem

MODULE: Final = "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs"
VERSION: Final = "v1.52.2"

_ASK_AGAIN_SECONDS: Final = 30.0


def fetch_victorialogs() -> Path:
    """The program, built unless a former run has built it; raises ServerProblem."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache / "mailingest-tests" / f"victorialogs-{VERSION}"
    program = place / "victoria-logs"
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if program.exists():
            return program
        go = shutil.which("go")
        if go is None:
            raise ServerProblem("go is not installed; as root: apt-get install golang-go")
        with tempfile.TemporaryDirectory(dir=place) as directory:
            build = subprocess.run(
                [go, "install", f"{MODULE}@{VERSION}"],
                env={**os.environ, "GOBIN": directory},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            if build.returncode != 0:
                raise ServerProblem(f"Go could not build VictoriaLogs:\n{build.stdout}")
            (Path(directory) / "victoria-logs").replace(program)
    return program


class VictoriaLogsServer:
    """One server on 127.0.0.1; its data live as long as the context, unless it has a ``data`` path.

    It writes to its disk each second, so that a test need not wait long for what is safe there.
    ``flags`` are added.  ``start`` and ``stop`` may be called in turn.
    """

    def __init__(self, *flags: str, data: Path | None = None) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="mailingest-victorialogs-"))
        self.data = data or self.home / "data"
        self.log = self.home / "server.log"
        self.port = free_port()
        self.flags = flags
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._running().pid

    def start(self) -> None:
        """Start the server and wait until it answers; raises ServerProblem with its log."""
        if self._process is not None:
            raise ServerProblem("VictoriaLogs runs already")
        usual = {
            "-storageDataPath": str(self.data),
            "-httpListenAddr": f"127.0.0.1:{self.port}",
            "-retentionPeriod": "100y",
            "-futureRetention": "100y",
            "-inmemoryDataFlushInterval": "1s",
            "-memory.allowedBytes": "200MB",
        }
        given = dict(flag.partition("=")[::2] for flag in self.flags)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(fetch_victorialogs()),
                    *(f"{name}={value}" for name, value in {**usual, **given}.items()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until(self.is_ready, "VictoriaLogs answers")
        except TimeoutError:
            raise self._failure(f"does not answer after {PATIENCE:.0f} s") from None

    def is_ready(self) -> bool:
        """Whether it answers; raises ServerProblem with its log if it has ended."""
        if (code := self._running().poll()) is not None:
            raise self._failure(f"ended with code {code}")
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                f"{self.url}/health", timeout=_ASK_AGAIN_SECONDS
            ) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def has_ended(self) -> bool:
        """Whether it has ended by itself, as it does when it cannot write."""
        return self._running().poll() is not None

    def stop(self) -> None:
        """End it in good order, as an operator's restart does."""
        process = self._running()
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise self._failure(f"does not stop within {PATIENCE:.0f} s") from None
        self._process = None

    def kill(self) -> None:
        """End it at once with SIGKILL, frozen or not: what it has in memory only is gone."""
        process = self._running()
        process.kill()
        process.wait()
        self._process = None

    def freeze(self) -> None:
        """Stop its work (SIGSTOP): connections open, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    def close(self) -> None:
        """End the server and remove its data."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServerProblem("VictoriaLogs does not run")
        return self._process

    def _failure(self, what: str) -> ServerProblem:
        self.kill()
        end = self.log.read_text(errors="replace")[-6000:]
        return ServerProblem(f"VictoriaLogs {what}; the end of its log:\n{end}")
