"""A real VictoriaLogs server for tests, built by Go from its module.

It is a program of its own, built once by Go, of a version that fetches the newer one it takes.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from tests.support.ports import free_port
from tests.support.servers.process import ServerProblem, ServerProcess

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


class VictoriaLogsServer(ServerProcess):
    """One server on 127.0.0.1; its data live as long as the context, unless it has a ``data`` path.

    It writes to its disk each second, so that a test need not wait long for what is safe there.
    ``flags`` are added.  ``start`` and ``stop`` may be called in turn.
    """

    def __init__(self, *flags: str, data: Path | None = None) -> None:
        super().__init__("victorialogs")
        self.data = data or self.home / "data"
        self.port = free_port()
        self.flags = flags

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def begin(self) -> None:
        """Start the server, which will be ready later."""
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

    def _answers(self) -> bool:
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                f"{self.url}/health", timeout=_ASK_AGAIN_SECONDS
            ) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
