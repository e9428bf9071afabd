"""Faults in random order under load: ``python -m benchmarks.faults [--mode M] [--rounds N]``.

A real daemon stores what mail hosts send, which take the orderly end of a connection for the
acceptance of all its lines and know nothing else (`benchmarks.fault_load`).  At the end everything
runs, and the store is compared with what was sent: every accepted line is there exactly once, every
delivery knows its mail.  What each round does is the mode:

``mixed``
    Something breaks for a moment, or two things at once: the daemon or the server is killed or
    restarted, the server is frozen, its disk is full (VictoriaLogs), a proxy before it answers
    401, 429 or 503, refuses half of each bulk request or cuts the connection instead of an answer,
    the disk of the spool is full, today's index is blocked, closed or mapped otherwise
    (`benchmarks.fault_index`).
``kills``
    The daemon is killed, while more hosts send with hardly a pause.
``workers``
    As ``mixed``, with three processes that work on the lines: one of them is killed as well, while
    the others and the one that receives go on, or all of them, or the daemon starts again with
    another number of them.
``damage``
    As ``mixed``, but each second round kills the daemon and changes a byte of the newest file of
    its spool, or cuts it.  Then every accepted line is there exactly once or was in a damaged
    record, and the daemon has counted exactly the lines of damaged records that it did not know to
    be stored.
``relp``, ``relp-socket``, ``lumberjack``
    As ``mixed`` and ``kills``, but the lines are in files (or written to a socket) that a real
    rsyslog ships by RELP, or Elastic's client by Lumberjack, and those that read files are killed
    and restarted as well (`benchmarks.fault_shippers`).
``power``
    A recorded daemon is cut off at any moment, with each store that writes files and each kind of
    sync, and another one starts on what a disk may have then (`benchmarks.fault_power`).  It needs
    strace(1), and takes no notice of ``--store``.

As root the spool is on a small file system of its own.  Needs java and mvn for Elasticsearch and
OpenSearch, and go for VictoriaLogs.
"""

import argparse
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from random import Random
from typing import Any, Final

from benchmarks.fault_check import Comparison, Event, compare
from benchmarks.fault_damage import SpoolDamage
from benchmarks.fault_index import BLOCKED, CLOSED, MAPPED_OTHERWISE, IndexFaults
from benchmarks.fault_index import FAULTS as INDEX_FAULTS
from benchmarks.fault_load import Sender
from benchmarks.fault_power import run_cuts
from benchmarks.fault_proxy import MODES as PROXY_MODES
from benchmarks.fault_proxy import Proxy
from benchmarks.fault_shippers import (
    RESTARTED,
    SHIPPED_MODES,
    Shipped,
    ended_after,
    inputs_config,
    shipper_faults,
)
from benchmarks.fault_victorialogs import VictoriaLogsSide
from benchmarks.measure import Figures, MeasurementError, show
from mailingest.delivery.deadletters import read_lines
from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import wait_until
from tests.support.ports import free_port
from tests.support.servers import ELASTICSEARCH, OPENSEARCH, SearchServer
from tests.support.sqlite import count_stored, stored_bodies

MODES: Final = ("mixed", "kills", "workers", "damage", *SHIPPED_MODES, "power")
STORES: Final = ("elasticsearch", "opensearch", "victorialogs", "sqlite")
_KINDS: Final = {"elasticsearch": ELASTICSEARCH, "opensearch": OPENSEARCH}

_CONFIG: Final = """
workers = {workers}
shutdown_timeout = 0.5
[index]
prefix = "{prefix}"
[inputs]
udp = []
{inputs}
[batch]
max_age = 0.2
capacity = 2000
[state]
directory = "{directory}/state"
snapshot_interval = 0.3
[spool]
max_bytes = 33554432
{output}
"""
_SPOOL_DISK: Final = "64m"
_PREFIX: Final = "faults"
INDICES: Final = f"{_PREFIX}-*"
_DAMAGED: Final = "spool damaged"
_KILLED: Final = "daemon killed"
_LOCKED: Final = "store locked"
_FULL: Final = "full disk"
_CHANGED: Final = "workers changed"
_WORKERS: Final = 3
# How many hosts send, and for how many seconds they pause between two bursts.
_LOAD: Final = (2, 0.1)
_KILLS_LOAD: Final = (6, 0.05)
# A file takes whatever is written, so nothing else keeps its writer from being ahead of all.
_SHIPPED_LOAD: Final = (2, 0.4)
_DIES_AGAIN: Final = 0.5
_HELD_SECONDS: Final = (0.05, 1.5)
_BETWEEN_SECONDS: Final = (0.0, 0.6)
# The batcher waits up to 30 s before it tries again, and the machine may be busy.
_SETTLE_SECONDS: Final = 300.0

_SHOWN_LINES: Final = 20

Fault = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Result:
    """How a campaign went, ``str`` of it for whoever looks for what went wrong.

    ``figures`` are of what happened and of what is stored, ``order`` has what was broken when, and
    ``wrong`` the lines that are missing, there twice, or less than they should be.
    """

    seed: int
    figures: dict[str, int]
    order: list[str]
    wrong: list[str]

    def __str__(self) -> str:
        shown = self.wrong[:_SHOWN_LINES]
        if more := len(self.wrong) - len(shown):
            shown.append(f"and {more} more")
        return "\n".join((f"seed {self.seed}: {self.figures}", *self.order, *shown))


class Campaign:
    """Daemon, store and load; ``round`` breaks one thing or two at once and mends them.

    ``server`` is one that runs, without any INDICES; if there is none, one is started.  ``most``
    says how often some faults may happen at most, for want of time.
    """

    def __init__(
        self,
        directory: Path,
        store: str,
        seed: int,
        server: SearchServer | None = None,
        most: Mapping[str, int] | None = None,
        *,
        mode: str = "mixed",
    ) -> None:
        self._server = server
        self._most = most or {}
        self.rounds: Counter[str] = Counter()
        self.order: list[str] = []
        self._rounds = 0
        self._began = time.monotonic()
        self._random = Random(seed)
        self._seed = seed
        self._directory = directory
        self._store = store
        self._port = free_port()
        self._config = directory / "mailingest.toml"
        self._spool = directory / "state" / "spool"
        self.damage: SpoolDamage | None = None
        if mode == "damage":
            self.damage = SpoolDamage(directory / "state", self._random)
        self._daemon = Daemon(self._config)
        self._index_faults: IndexFaults | None = None
        self._victorialogs: VictoriaLogsSide | None = None
        self.letters_sent_again = 0
        hosts, pause = _KILLS_LOAD if mode == "kills" else _LOAD
        if mode in SHIPPED_MODES:
            hosts, pause = _SHIPPED_LOAD
        names = [f"mx{number}" for number in range(1, hosts + 1)]
        self._inputs = f"[[inputs.tcp]]\nport = {self._port}"
        self._shipped: list[Shipped] = []
        if mode in SHIPPED_MODES:
            self._inputs = inputs_config(mode, self._port)
            self._shipped = [
                Shipped(mode, name, self._port, seed, pause, directory) for name in names
            ]
        self.senders: Sequence[Sender] = self._shipped or [
            Sender(name, self._port, seed, pause) for name in names
        ]
        self._only_kills = mode == "kills"
        self._faults: dict[str, Callable[[], Any]] = {
            _KILLED: self._daemon_killed,
            "daemon restarted": self._daemon_restarted,
            _FULL: self._full_disk,
        }
        self._workers = 1
        if mode == "workers":
            self._workers = _WORKERS
            self._faults |= {
                "worker killed": partial(self._workers_killed, 1),
                "all workers killed": partial(self._workers_killed, _WORKERS),
                _CHANGED: self._workers_changed,
            }
        if self._shipped:
            self._faults |= shipper_faults(
                mode, self._shipped, self._random, self._note, self._wait_until_stored
            )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Everything runs; at the end the load stops, and then the daemon."""
        self._spool.mkdir(parents=True)
        with ExitStack() as stack:
            stack.enter_context(_file_system(self._spool))
            output = ""
            if self._store in _KINDS:
                server = self._server or stack.enter_context(SearchServer(_KINDS[self._store]))
                self._url = server.url
                output = stack.enter_context(self._behind_a_proxy(server))
            elif self._store == "victorialogs":
                side = VictoriaLogsSide(self._directory, _PREFIX, self._seed)
                output = stack.enter_context(side.running())
                self._faults |= side.faults
                self._victorialogs = side
            else:
                self._faults[_LOCKED] = self._store_locked
            self._output = output
            self._write_config()
            self._daemon.__enter__()
            stack.enter_context(ended_after(self._shipped))
            try:
                if self._index_faults is not None:
                    self._index_faults.prepare()
                self._began = time.monotonic()
                for sender in self.senders:
                    sender.start()
                for shipped in self._shipped:
                    if shipped.reads_ahead:
                        wait_until(shipped.has_position, f"{shipped.host}'s file is being read")
                        self._wait_until_stored(shipped)
                yield
            finally:
                self._daemon.__exit__(None, None, None)

    def _write_config(self) -> None:
        text = _CONFIG.format(
            workers=self._workers,
            prefix=_PREFIX,
            inputs=self._inputs,
            directory=self._directory,
            output=self._output,
        )
        self._config.write_text(text)

    def round(self) -> None:
        """Break something for a moment, mostly a second thing meanwhile."""
        possible = [
            name
            for name in sorted(self._faults)
            if self.rounds[name] < self._most.get(name, 1 << 30)
        ]
        names = self._random.sample(possible, min(len(possible), self._random.choice((1, 2, 2))))
        # An operator reaches a server that is there, and can only mend one that is there again.  A
        # shipper that has to be rid of its lines first cannot be while something is broken.
        names.sort(key=_order)
        if self._only_kills:
            names = [_KILLED]
        if _CHANGED in names and not {_LOCKED, _FULL}.isdisjoint(names):
            names.remove(_CHANGED)  # its start waits for the store, and makes files in the spool
        self._rounds += 1
        if self.damage is not None and self._rounds % 2 == 0:
            names[-1:] = [_DAMAGED]
        faults = self._faults | {_DAMAGED: self._spool_damaged}
        with ExitStack() as stack:
            for name in names:
                self.rounds[name] += 1
                self._note(name)
                fault = faults[name]()
                if fault is not None:
                    stack.enter_context(fault)
                    stack.callback(self._note, f"{name}: ends")
                time.sleep(self._random.uniform(*_HELD_SECONDS))
        time.sleep(self._random.uniform(*_BETWEEN_SECONDS))

    def _note(self, what: str) -> None:
        """Tell what happens now, in seconds since the senders have started."""
        self.order.append(f"{time.monotonic() - self._began:.2f} s: {what}")

    def stop_load(self) -> None:
        """Let the senders bring to an end what they have begun."""
        for sender in self.senders:
            sender.stop()
        self._note("the senders have ended")
        if self._shipped:
            self._wait_until_all_is_stored()
            # What they repeat, they repeat before that.
            for sender in self._shipped:
                sender.shipper.stop()
            self._daemon_restarted()

    def events(self) -> Iterator[Event]:
        """All that is in the store."""
        if self._victorialogs is not None:
            return self._victorialogs.events()
        return _in_sqlite(self._directory) if self._store == "sqlite" else self._in_server()

    def check(self) -> Comparison:
        """What is in the store against what was accepted, when all is stored or time is over."""
        expected = sum(sender.expected.messages.total() for sender in self.senders)
        self._wait_until_all_is_stored()
        events = list(self.events())
        accepted = {sender.host: sender.expected for sender in self.senders}
        figures = {"lines accepted": expected, "documents": len(events)}
        if self._index_faults is not None:
            figures["dead letters sent again"] = self.letters_sent_again
        if self._victorialogs is not None:
            figures["further copies on its disk"] = self._victorialogs.copies
        if self.damage is None:
            found = compare(events, accepted, [], [])
            return Comparison(figures | found.figures, found.wrong)
        found = compare(events, accepted, self.damage.lost, self.damage.damaged)
        figures |= found.figures | self.damage.figures()
        # They came again over another connection, or were stored in the moment of the kill.
        figures["of them stored all the same"] = (
            figures["lines counted as lost"] - figures["lines lost with damaged records"]
        )
        return Comparison(figures, found.wrong)

    def _wait_until_stored(self, sender: Shipped) -> None:
        """Until all is there that is in its file now; raises TimeoutError."""
        written = sender.written()
        wait_until(
            lambda: not written - Counter(event["message"] for event in self.events()),
            f"what {sender.host} has written is stored",
            pause=0.2,
        )

    def _wait_until_all_is_stored(self) -> None:
        """Or until the time for it is over."""
        expected = sum(sender.expected.messages.total() for sender in self.senders)
        deadline = time.monotonic() + _SETTLE_SECONDS
        while not self._is_all_stored(expected) and time.monotonic() < deadline:
            self._send_letters_again()
            time.sleep(0.2)

    def _send_letters_again(self) -> None:
        """What an operator does: the first few that a wrong index refused are dead letters."""
        letters = list(read_lines(self._directory / "state"))
        if not letters:
            return
        command = [sys.executable, "-m", "mailingest", "deadletter", "retry", "--config"]
        subprocess.run([*command, str(self._config)], check=False, capture_output=True)
        self.letters_sent_again += len(letters) - len(list(read_lines(self._directory / "state")))

    def _is_all_stored(self, lines: int) -> bool:
        if self.damage is not None:
            return self.damage.is_all_stored()
        return self._count() >= lines

    # Faults: each does something at once, or gives a context in which it lasts.

    def _daemon_killed(self) -> None:
        self._daemon.kill()
        time.sleep(self._random.uniform(0.0, 0.3))
        self._start_daemon()

    def _workers_killed(self, most: int) -> None:
        """Kill so many at once, of those that there are."""
        pids = workers_of(self._daemon.pid)
        for pid in self._random.sample(pids, min(most, len(pids))):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _workers_changed(self) -> None:
        self._workers = self._random.choice([one for one in (1, 2, 3) if one != self._workers])
        self._write_config()
        self._daemon_restarted()

    def _spool_damaged(self) -> None:
        assert self.damage is not None
        self._daemon.kill()
        self.damage.do()
        self._start_daemon()
        if self._random.random() < _DIES_AGAIN:
            # It reads the same records once more, and must not count once more.
            time.sleep(self._random.uniform(0.0, 0.3))
            self._daemon_killed()

    def _daemon_restarted(self) -> None:
        self._daemon.__exit__(None, None, None)
        self._start_daemon()

    def _start_daemon(self) -> None:
        self._daemon = Daemon(self._config)
        self._daemon.__enter__()

    @contextmanager
    def _full_disk(self) -> Iterator[None]:
        if os.geteuid() == 0:
            ballast = self._spool / "ballast"
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
        else:
            limit = (1, resource.RLIM_INFINITY)
            before = resource.prlimit(self._daemon.pid, resource.RLIMIT_FSIZE, limit)
            try:
                yield
            finally:
                resource.prlimit(self._daemon.pid, resource.RLIMIT_FSIZE, before)

    @contextmanager
    def _store_locked(self) -> Iterator[None]:
        with ExitStack() as stack:
            for path in (self._directory / "state" / "mail").glob("*.sqlite"):
                holder = stack.enter_context(closing(_database(path, mode="rw")))
                holder.execute("BEGIN IMMEDIATE")
            yield

    # The store

    @contextmanager
    def _behind_a_proxy(self, server: SearchServer) -> Iterator[str]:
        proxy = Proxy(server.port, self._seed)

        @contextmanager
        def failing(mode: str) -> Iterator[None]:
            proxy.mode = mode
            try:
                yield
            finally:
                proxy.mode = ""

        def killed() -> None:
            server.kill()
            server.start()

        index = self._index_faults = IndexFaults(server.url, _PREFIX, self._random)
        self._faults[BLOCKED] = index.blocked
        self._faults[CLOSED] = index.closed
        self._faults[MAPPED_OTHERWISE] = index.mapped_otherwise
        self._faults["server killed"] = killed
        self._faults["server frozen"] = server.frozen
        for mode in PROXY_MODES:
            self._faults[mode] = partial(failing, mode)
        with proxy.running():
            yield f'[elasticsearch]\nhosts = ["http://127.0.0.1:{proxy.port}"]\ntimeout = 5.0\n'

    def _count(self) -> int:
        if self._victorialogs is not None:
            return self._victorialogs.count()
        if self._store != "sqlite":
            self._ask(f"/{INDICES}/_refresh", {})
            return int(self._ask(f"/{INDICES}/_count", {"query": {"match_all": {}}})["count"])
        total = 0
        for path in (self._directory / "state" / "mail").glob("*.sqlite"):
            with closing(_database(path)) as day:
                total += count_stored(day)
        return total

    def _in_server(self) -> Iterator[Event]:
        options = "scroll=1m&allow_partial_search_results=false"
        answer = self._ask(f"/{INDICES}/_search?{options}", {"size": 5000, "sort": ["_doc"]})
        while hits := answer["hits"]["hits"]:
            yield from (hit["_source"] for hit in hits)
            answer = self._ask(
                "/_search/scroll", {"scroll": "1m", "scroll_id": answer["_scroll_id"]}
            )

    def _ask(self, path: str, body: object) -> dict[str, Any]:
        request = urllib.request.Request(
            self._url + path,
            json.dumps(body).encode() if body else b"",
            {"content-type": "application/json"},
            method="POST",
        )
        end = time.monotonic() + _SETTLE_SECONDS
        while True:
            try:
                with urllib.request.urlopen(request, timeout=_SETTLE_SECONDS) as answer:
                    content: dict[str, Any] = json.load(answer)
                return content
            except urllib.error.HTTPError as error:
                # The shards of an index that was just created, or whose server has just started.
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > end:
                    raise
                time.sleep(0.2)


def workers_of(pid: int) -> list[int]:
    """The processes that work on the lines which a daemon receives."""
    found = []
    with suppress(FileNotFoundError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(FileNotFoundError):
                if b"mailingest.service.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(int(child))
    return found


def run_campaign(
    directory: Path,
    store: str,
    rounds: int,
    seed: int,
    server: SearchServer | None = None,
    most: Mapping[str, int] | None = None,
    *,
    mode: str = "mixed",
) -> Result:
    """Break N things in a row."""
    campaign = Campaign(directory, store, seed, server, most, mode=mode)
    began = time.monotonic()
    try:
        with campaign.running():
            for number in range(rounds):
                campaign.round()
                if sys.stderr.isatty():
                    print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
            campaign.stop_load()
            found = campaign.check()
    except BaseException as error:
        error.add_note("\n".join((f"seed {seed}", *campaign.order)))
        raise
    figures = {
        "rounds": rounds,
        **dict(sorted(campaign.rounds.items())),
        "bursts": sum(sender.bursts for sender in campaign.senders),
        "tries that failed": sum(sender.failed_tries for sender in campaign.senders),
        **found.figures,
        "seconds": round(time.monotonic() - began),
    }
    return Result(seed, figures, campaign.order, found.wrong)


def is_clean(figures: Mapping[str, int]) -> bool:
    """Whether every accepted line is stored exactly once, and every delivery knows its mail.

    Lines of damaged records need not be, if they were all counted.
    """
    wrong = ("missing", "surplus", "facts missing in deliveries", "counted wrongly")
    # What came since the last sync may be missing after a power failure, unless that is "always".
    wrong_after_a_power_failure = (
        "always: missing",
        "always: facts missing in deliveries",
        "interval: missing, accepted before the last sync",
    )
    return not any(figures.get(name) for name in wrong + wrong_after_a_power_failure)


def _order(fault: str) -> int:
    if fault == RESTARTED:
        return -1
    return INDEX_FAULTS.index(fault) if fault in INDEX_FAULTS else len(INDEX_FAULTS)


@contextmanager
def _file_system(place: Path) -> Iterator[None]:
    """A small file system at a folder, if this is root."""
    if os.geteuid() != 0:
        yield
        return
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_SPOOL_DISK}", "mailingest", str(place)], check=True
    )
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _database(path: Path, mode: str = "ro") -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode={mode}", uri=True, timeout=30, isolation_level=None)


def _in_sqlite(directory: Path) -> Iterator[Event]:
    for path in (directory / "state" / "mail").glob("*.sqlite"):
        with closing(_database(path)) as day:
            yield from (body for _, body in stored_bodies(day))


def main() -> None:
    """Read the command line, run, print; the exit code is 1 if a line is missing or there twice."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--store", choices=STORES, default=STORES[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mode", choices=MODES, default=MODES[0])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if options.mode == "power":
            figures = run_cuts(Path(name), options.rounds, options.seed)
        else:
            result = run_campaign(
                Path(name), options.store, options.rounds, options.seed, mode=options.mode
            )
            figures = result.figures
            if not is_clean(figures):
                print(result, file=sys.stderr)
    if options.json:
        show("faults", [figures], as_json=True)
    else:
        rows: list[Figures] = [
            {f"faults, {options.store}": key, "": value} for key, value in figures.items()
        ]
        show(f"{options.mode}, {options.rounds} rounds, seed {options.seed}", rows, as_json=False)
    if not is_clean(figures):
        raise MeasurementError("lines are missing or there twice, or their loss is not counted")


if __name__ == "__main__":
    main()
