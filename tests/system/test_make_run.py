"""`make run` of README.md: the daemon and the page come together and go together."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.lab.polling import PATIENCE, wait_until

MAKEFILE = Path(__file__).parents[2] / "Makefile"


class Running:
    """`make run` in a directory and session of its own, with what is installed here."""

    def __init__(self, directory: Path, *, tcp: int = 0, web: int = 0) -> None:
        programs = directory / "venv" / "bin"
        programs.mkdir(parents=True)
        program = programs / "mailingest"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m mailingest "$@"\n')
        program.chmod(0o755)
        (directory / "mailingest.toml").write_text(
            f'[state]\ndirectory = "{directory}/state"\n[web]\nport = {web}\n'
            f"[inputs]\nudp = []\n[[inputs.tcp]]\nport = {tcp}\n"
        )
        self._log = directory / "log"
        make = shutil.which("make")
        assert make is not None, "needs make"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                # Who starts the tests in the background of a script has them ignore Ctrl-C.
                [
                    *("env", "--default-signal=INT"),
                    *(make, "-f", str(MAKEFILE), "-o", "venv/run", "run", "VENV=venv"),
                ],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                # Whoever is left over holds this pipe open.
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )

    def log(self) -> str:
        return self._log.read_text()

    def wait_until_up(self) -> None:
        def is_up() -> bool:
            assert self.process.poll() is None, self.log()
            return "trace page is served" in self.log() and "tcp input listens" in self.log()

        wait_until(is_up, "both are up")

    def ended(self) -> int:
        """The exit code, when all processes have ended."""
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(**ports: int) -> Running:
        started.append(Running(tmp_path, **ports))
        return started[0]

    yield start
    for one in started:
        # Whatever became of make itself.
        with suppress(ProcessLookupError):
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.communicate(timeout=PATIENCE)


def test_ctrl_c_ends_both(run: Callable[..., Running]) -> None:
    running = run()
    running.wait_until_up()
    os.killpg(running.process.pid, signal.SIGINT)
    # make says by which signal it ended, as a shell wants it.
    assert running.ended() == -signal.SIGINT
    assert '"event": "stopped"' in running.log()


def test_a_signal_to_make_alone_ends_both(run: Callable[..., Running]) -> None:
    running = run()
    running.wait_until_up()
    os.kill(running.process.pid, signal.SIGTERM)
    assert running.ended() == -signal.SIGTERM
    assert '"event": "stopped"' in running.log()


@pytest.mark.parametrize("taken", ["tcp", "web"])
def test_if_one_cannot_start_the_other_one_ends_too(
    run: Callable[..., Running], taken: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        running = run(**{taken: port})
        assert running.ended() == 2
    complaint = f"mailingest: {taken} 127.0.0.1:{port}: address already in use"
    assert complaint in running.log()
