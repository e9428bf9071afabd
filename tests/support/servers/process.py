"""A server of the tests as a process: how it is ended, frozen and cleaned up after."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.lab.polling import PATIENCE, wait_until


class ServerProblem(Exception):
    """A test server cannot be fetched or started; the message says why and names the cure."""


class ServerProcess(ABC):
    """One server, with a directory of its own (``home``) for as long as the context lasts.

    ``start`` and ``stop`` or ``kill`` may be called in turn: data and ports stay the same.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.home = Path(tempfile.mkdtemp(prefix=f"mailingest-{name}-"))
        self.log = self.home / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._running().pid

    @abstractmethod
    def begin(self) -> None:
        """Start the server, which will be ready later."""

    def is_ready(self) -> bool:
        """Whether it answers; raises ServerProblem with its log if it has ended."""
        if (code := self._running().poll()) is not None:
            raise self._failure(f"ended with code {code}")
        return self._answers()

    @abstractmethod
    def _answers(self) -> bool:
        """Whether one that runs answers."""

    def start(self) -> None:
        """Start the server and wait until it answers; raises ServerProblem with its log."""
        if self._process is not None:
            raise ServerProblem(f"{self.name} runs already")
        self.begin()
        try:
            wait_until(self.is_ready, f"{self.name} answers")
        except TimeoutError:
            raise self.no_answer() from None

    def has_ended(self) -> bool:
        """Whether it has ended by itself, as some do that cannot write."""
        return self._running().poll() is not None

    def stop(self) -> None:
        """End it in good order, as an operator's restart does."""
        process = self._running()
        self._ask_to_end(process)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise self._failure(f"does not stop within {PATIENCE:.0f} s") from None
        self._process = None

    def _ask_to_end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()

    def kill(self) -> None:
        """End it at once with SIGKILL, frozen or not: what it has in memory only is gone."""
        process = self._running()
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
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
            raise ServerProblem(f"{self.name} does not run")
        return self._process

    def no_answer(self) -> ServerProblem:
        """The problem of one that does not become ready; it is ended."""
        return self._failure(f"does not answer after {PATIENCE:.0f} s")

    def _failure(self, what: str) -> ServerProblem:
        """The problem, with the end of the server's log; the server is ended."""
        if self._process is not None:
            self.kill()
        end = self.log.read_text(errors="replace")[-6000:]
        return ServerProblem(f"{self.name} {what}; the end of its log:\n{end}")
