"""VictoriaLogs in a campaign of faults: the server, its disk, and what it has stored."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.fault_check import Event
from benchmarks.fault_proxy import WHOLE_MODES, Proxy
from mailingest.stores.victorialogs import logsql
from mailingest.stores.victorialogs.rows import ID, TYPE, decode
from tests.support.servers.victorialogs import VictoriaLogsServer

_DISK: Final = "256m"
_ASK_SECONDS: Final = 60.0

Fault = Callable[[], AbstractContextManager[None] | None]


class VictoriaLogsSide:
    """A server of its own, behind a proxy, as root on a small file system.

    ``copies`` is how many rows there were, when `events` was asked last, of events that are there
    already: answers and counts have each event once.
    """

    def __init__(self, directory: Path, prefix: str, seed: int) -> None:
        self._place = directory / "victorialogs"
        self._place.mkdir()
        self._prefix = prefix
        self._seed = seed
        self._server = VictoriaLogsServer(data=self._place / "data")
        self.copies = 0

    @contextmanager
    def running(self) -> Iterator[str]:
        """Gives the section of the configuration."""
        with ExitStack() as stack:
            if os.geteuid() == 0:
                stack.enter_context(_file_system(self._place))
            stack.enter_context(self._server)
            self._proxy = Proxy(self._server.port, self._seed)
            stack.enter_context(self._proxy.running())
            yield f'[victorialogs]\nurl = "http://127.0.0.1:{self._proxy.port}"\ntimeout = 5.0\n'

    @property
    def faults(self) -> dict[str, Fault]:
        """What can happen to it, by name."""
        faults: dict[str, Fault] = {
            "server killed": self._killed,
            "server restarted": self._restarted,
            "server frozen": self._server.frozen,
            **{mode: partial(self._failing, mode) for mode in WHOLE_MODES},
        }
        if os.geteuid() == 0:
            faults["server's disk full"] = self._full_disk
        return faults

    def count(self) -> int:
        """How many events there are, each once."""
        [row] = self._ask(f"stats count_uniq({ID}) n")
        return int(row["n"])

    def events(self) -> Iterator[Event]:
        """All events, each once."""
        seen: set[str] = set()
        self.copies = 0
        for row in self._ask("delete _stream, _stream_id"):
            if row[ID] in seen:
                self.copies += 1
                continue
            seen.add(row[ID])
            yield dict(decode(row))

    def _ask(self, pipe: str) -> list[dict[str, Any]]:
        form = {"query": f"{logsql.equals(TYPE, self._prefix)} | {pipe}"}
        end = time.monotonic() + _ASK_SECONDS
        while True:
            try:
                self._post("/internal/force_flush", {})
                answer = self._post("/select/logsql/query", form)
                return [json.loads(line) for line in answer.splitlines()]
            except (urllib.error.URLError, OSError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def _post(self, path: str, form: dict[str, str]) -> bytes:
        url = f"{self._server.url}{path}"
        with urllib.request.urlopen(
            url, urllib.parse.urlencode(form).encode(), timeout=_ASK_SECONDS
        ) as answer:
            return bytes(answer.read())

    def _killed(self) -> None:
        self._server.kill()
        self._server.start()

    def _restarted(self) -> None:
        self._server.thaw()  # one that stands still cannot end in good order
        self._server.stop()
        self._server.start()

    @contextmanager
    def _failing(self, mode: str) -> Iterator[None]:
        self._proxy.mode = mode
        try:
            yield
        finally:
            self._proxy.mode = ""

    @contextmanager
    def _full_disk(self) -> Iterator[None]:
        """It takes nothing then, or ends when it cannot write what it has taken."""
        ballast = self._place / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(65536)):
                    pass
            except OSError:
                pass  # it is full now
        try:
            yield
        finally:
            ballast.unlink()
            # Whoever has mended the disk looks after the server.
            time.sleep(0.5)
            if self._server.has_ended():
                self._server.kill()
                self._server.start()


@contextmanager
def _file_system(place: Path) -> Iterator[None]:
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "mailingest", str(place)], check=True
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
