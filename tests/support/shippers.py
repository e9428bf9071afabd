"""Real senders that repeat what was not acknowledged: rsyslog, and Elastic's client of Lumberjack.

Each ships the lines of a file that grows, and can be killed and started again.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.support.lab.polling import PATIENCE, wait_until

_DOCS: Final = Path(__file__).parents[2] / "docs" / "inputs.md"
_SOURCE: Final = Path(__file__).parent / "lumberjack"
# Beside the servers' jars, out of the repository.
_CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mailingest"
_ENDS_WITH_THE_TESTS: Final = ("setpriv", "--pdeathsig", "KILL")


class Program:
    """A program that ships; a context manager that ends it."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.log = log
        self._command = [*_ENDS_WITH_THE_TESTS, *command]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, after an end if there was one."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it in order (SIGTERM)."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(PATIENCE)

    def wait(self) -> int:
        """Wait until it ends by itself; its exit code."""
        assert self._process is not None
        return self._process.wait(PATIENCE)


class Rsyslog(Program):
    """rsyslogd with a configuration; what it prints of itself is in its log."""

    def __init__(self, directory: Path, config: str) -> None:
        if shutil.which("rsyslogd") is None:
            raise RuntimeError(
                "rsyslogd missing; run: apt-get install rsyslog rsyslog-relp rsyslog-gnutls"
            )
        directory.mkdir(exist_ok=True)
        path = directory / "rsyslog.conf"
        path.write_text(
            f'global(workDirectory="{directory}" net.enableDNS="off")\n'
            f'syslog.* action(type="omfile" file="{directory}/own.log")\n{config}'
        )
        self._pid = directory / "pid"
        super().__init__(
            ["rsyslogd", "-n", "-f", str(path), "-i", str(self._pid)], directory / "log"
        )

    def start(self) -> None:
        """Start it, and wait until it has read its configuration."""
        self._pid.unlink(missing_ok=True)
        super().start()
        wait_until(self._pid.exists, "rsyslogd has started")


def documented_config(title: str, values: dict[str, str]) -> str:
    """The rsyslog configuration in docs/inputs.md that begins with the comment ``# title``.

    ``values`` replace what it names: ports, files, certificates.
    """
    found = re.search(rf"```rsyslog\n# {re.escape(title)}\n(.*?)```", _DOCS.read_text(), re.S)
    if found is None:
        raise LookupError(f"{_DOCS}: no configuration with the title {title}")
    config = found[1]
    for old, new in values.items():
        if old not in config:
            raise LookupError(f"{title}: {old} is not in it")
        config = config.replace(old, new)
    return config


def lumberjack_sender() -> Path:
    """The program of tests/support/lumberjack, built if its source is new."""
    if shutil.which("go") is None:
        raise RuntimeError("go missing; run: apt-get install golang-go")
    sources = sorted(_SOURCE.iterdir())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    program = _CACHE / f"lumberjack-{digest}"
    if not program.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        built = program.with_suffix(f".{os.getpid()}")
        done = subprocess.run(
            ["go", "build", "-o", str(built), "."], cwd=_SOURCE, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"go build failed: {done.stderr}")
        built.replace(program)
    return program


class Lumberjack(Program):
    """Ships a file to a port of 127.0.0.1; ``options`` are those of the program."""

    def __init__(self, directory: Path, file: Path, port: int, *options: str) -> None:
        directory.mkdir(exist_ok=True)
        file.touch()
        super().__init__(
            [
                *(str(lumberjack_sender()), "-address", f"localhost:{port}", "-file", str(file)),
                *("-registry", str(directory / "registry"), *options),
            ],
            directory / "log",
        )
