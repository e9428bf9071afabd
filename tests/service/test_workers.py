"""`workers = N`: several processes store what one would have stored, whichever of them ends."""

import ctypes
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from benchmarks.faults import workers_of
from benchmarks.generate import generate
from mailingest.config import Settings, load
from mailingest.delivery.histogram import Histogram
from mailingest.service.counters import COUNTERS
from mailingest.service.parts import build_receiving
from mailingest.service.worker_reports import Report, together
from mailingest.service.workers import Workers
from mailingest.spool.layout import workers_of as workers_of_state
from mailingest.spool.records import FrameBatch, Position
from mailingest.spool.status import spool_status
from mailingest.stores.sqlite.files import day_files, open_for_reading
from mailingest.watching.notices import Notice
from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import PATIENCE, wait_until
from tests.support.site import LIFE, Site, numbered, texts
from tests.support.sqlite import stored_bodies

MEGABYTE = 1024 * 1024
RECORDED = Path(__file__).parents[1] / "data" / "scenarios" / "mail.log.gz"
# What a second more or less of the clock changes, and what says how many processes there are.
OTHERWISE = {
    "lag_seconds",
    "uptime_seconds",
    "host_silence_seconds",
    "batches_written",
    "batch_write_seconds",
    "workers",
    "spool_bytes",
    "queue_ids_bytes",
}


class WorkersSite(Site):
    """A site whose daemon has so many workers."""

    def __init__(self, directory: Path, workers: int, more: str = "") -> None:
        directory.mkdir(exist_ok=True)
        super().__init__(directory, f'[syslog]\ntimezone = "UTC"\n{more}')
        self._rest = self.config.read_text()
        self.set_workers(workers)

    def set_workers(self, workers: int, more: str = "") -> None:
        self.workers = workers
        self.config.write_text(f"workers = {workers}\n{self._rest}{more}")

    def documents(self) -> dict[str, dict[str, object]]:
        """All that is stored, by id."""
        found: dict[str, dict[str, object]] = {}
        for path in day_files(self.state / "mail", ["mail"]):
            connection = open_for_reading(path)
            assert connection is not None
            with closing(connection):
                for document_id, body in stored_bodies(connection):
                    assert document_id not in found
                    found[document_id] = body
        return found

    def wait_for(self, documents: int) -> None:
        wait_until(lambda: len(self.stored()) >= documents, "all is stored", pause=0.1)

    def say(self, name: str, *arguments: str) -> str:
        command = [sys.executable, "-m", "mailingest", name, "-c", str(self.config), *arguments]
        done = subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()


@pytest.fixture
def site(tmp_path: Path) -> WorkersSite:
    return WorkersSite(tmp_path, 2)


def lines() -> list[bytes]:
    made = [line.rstrip(b"\n") for line in generate(1500, 11)]
    return made + gzip.decompress(RECORDED.read_bytes()).splitlines()


def test_three_store_and_count_what_one_does(tmp_path: Path) -> None:
    sites = [WorkersSite(tmp_path / str(number), number) for number in (1, 3)]
    counted = []
    for site in sites:
        with Daemon(site.config) as daemon:
            site.hand_over_bytes(*lines())
            site.wait_for(len(lines()))
        counters = site.counters(daemon.log)
        counted.append({name: counters[name] for name in counters.keys() - OTHERWISE})
    one, three = sites
    assert one.documents() == three.documents()
    del counted[0]["timestamp"], counted[1]["timestamp"]
    assert counted[0] == counted[1]


def test_one_that_is_killed_is_started_again_and_loses_nothing(site: WorkersSite) -> None:
    with Daemon(site.config) as daemon:
        site.hand_over(*LIFE[:3], *numbered(0, 300))
        site.wait_for(303)
        for round_ in range(2):
            [*pids] = workers_of(daemon.pid)
            assert len(pids) == 2
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            site.hand_over(*numbered(300 + 100 * round_, 100))
            wait_until(
                lambda before=pids: len({*workers_of(daemon.pid)} - {*before}) == 2,  # type: ignore[misc]
                "both were started again",
            )
        site.hand_over(*LIFE[3:])
        site.wait_for(505)
        # They say twice a second what they have counted.
        wait_until(
            lambda: json.loads(site.say("status", "--json"))["counters"]["documents_stored"] >= 505,
            "all that is stored is counted",
        )
        shown = json.loads(site.say("status", "--json"))
        assert shown["counters"]["workers_restarted"] == 4
    assert site.messages() == texts([*LIFE, *numbered(0, 500)])
    assert site.delivery()["postfix_from"] == "ann@example.com"
    log = daemon.log.read_text()
    assert log.count("a worker has ended and is started again") == 4
    assert spool_status(load(site.config)).frames_waiting == 0


def test_when_the_one_that_receives_dies_the_others_do(site: WorkersSite) -> None:
    with Daemon(site.config) as daemon:
        pids = workers_of(daemon.pid)
        site.hand_over(*LIFE[:3])
        daemon.kill()
    wait_until(lambda: not any(map(is_running, pids)), "the workers have ended")
    with Daemon(site.config):
        site.hand_over(*LIFE[3:])
        site.wait_for(5)
    assert site.messages() == texts([*LIFE])
    assert site.delivery()["postfix_from"] == "ann@example.com"


def is_running(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_one_that_is_killed_is_missed_though_another_process_holds_its_socket(
    site: WorkersSite,
) -> None:
    """As one does that was started at the same moment."""
    with Daemon(site.config) as daemon:
        [pid, _] = workers_of(daemon.pid)
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        held = held_too(pid, int(arguments[4]))
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len({*workers_of(daemon.pid)} - {pid}) == 2, "it was started again")
        site.hand_over(*numbered(0, 100))
        site.wait_for(100)
        os.close(held)


# linux/asm-generic/unistd.h
_PIDFD_GETFD = 438


def held_too(pid: int, descriptor: int) -> int:
    """A descriptor of another process, in this one (pidfd_getfd(2))."""
    process = os.pidfd_open(pid)
    try:
        held: int = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, process, descriptor, 0)
    finally:
        os.close(process)
    assert held >= 0, os.strerror(ctypes.get_errno())
    return held


def test_one_that_never_gets_on_ends_the_service_with_a_reason(site: WorkersSite) -> None:
    """It is killed as soon as it is there, each time."""
    with Daemon(site.config) as daemon:
        while is_running(daemon.pid):
            for pid in workers_of(daemon.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        assert daemon.wait() == 1
    assert "times in a row before it had stored anything, the last time by signal 9" in (
        daemon.log.read_text()
    )


async def test_the_spool_is_trimmed_to_the_first_of_their_snapshots(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {"state": {"directory": tmp_path}, "spool": {"max_bytes": 16 * MEGABYTE}}
    )
    receiving = build_receiving(settings)
    work = Workers(settings, receiving, 3)
    work.open()
    spool = receiving.spool
    places = []
    for _ in range(10):
        assert spool.append([FrameBatch(1.0, "", 0, [bytes(MEGABYTE - 100)])])
        places.append(spool.end)
    receiving.positions.open()
    for number, place in enumerate((places[9], places[5], places[7])):
        assert spool.begin.bytes == 0
        work._hear(work._workers[number], {"snapshot": [*place]})
        await work._trim_now()
    # Segments have 2 MiB: what is behind that place is all there, and not much before it.
    assert places[5].bytes - 2 * MEGABYTE - 100 <= spool.begin.bytes <= places[5].bytes
    # One has lost its snapshot, and needs what there is.
    begin = spool.begin.bytes
    work._hear(work._workers[1], {"begun": None})
    work._hear(work._workers[2], {"snapshot": [*places[9]]})
    await work._trim_now()
    assert spool.begin.bytes == begin
    for number, settled in enumerate((10, 6, 8)):
        report = Report(places[settled - 1], settled)
        work._hear(work._workers[number], {"report": report.to_json()})
    assert spool.position == places[5]
    assert spool._journal.settled == 6
    await work.close()
    spool.close()


# The number of workers


def test_a_mail_is_known_to_any_other_number_of_workers(tmp_path: Path) -> None:
    site = WorkersSite(tmp_path, 1)
    mails = [f"652D1A4A{number:03X}" for number in range(24)]

    def of(queue_id: str, part: tuple[str, ...]) -> list[str]:
        return [line.replace("652D1A4A862", queue_id) for line in part]

    with Daemon(site.config):
        site.hand_over(*(line for one in mails for line in of(one, LIFE[:3])))
        # Not all of it is stored before the end.
    told = 0
    for workers in (3, 1):
        site.set_workers(workers)
        with Daemon(site.config) as daemon:
            assert workers_of_state(site.state) == workers
            assert len(workers_of(daemon.pid)) == (workers if workers > 1 else 0)
            some = mails[told : told + 12]
            told += 12
            site.hand_over(*(line for one in some for line in of(one, LIFE[3:4])))
        others = [path for path in site.state.glob("worker-*") if f"-of-{workers}" not in path.name]
        assert not others
        assert (site.state / "queue-ids").exists() == (workers == 1)
    assert len(site.stored()) == 24 * 4
    found = [one for one in site.stored() if "postfix_status" in one]
    assert {one["postfix_from"] for one in found} == {"ann@example.com"}
    assert {one["postfix_message-id"] for one in found} == {"a.1@example.com"}
    assert sorted(str(one["postfix_queueid"]) for one in found) == mails


def test_what_was_left_in_the_spool_is_stored_before_the_number_changes(tmp_path: Path) -> None:
    site = WorkersSite(tmp_path, 2)
    with Daemon(site.config) as daemon:
        site.hand_over(*LIFE[:3])
        site.wait_for(3)
        with site.store_locked():
            site.hand_over(*numbered(0, 200))
            daemon.kill()
    site.set_workers(3)
    assert "workers: 3, and the state is for 2: with the next start" in site.say("check")
    with Daemon(site.config) as daemon:
        site.hand_over(*LIFE[3:])
        site.wait_for(205)
    assert "another number of workers is set" in daemon.log.read_text()
    assert site.messages() == texts([*LIFE, *numbered(0, 200)])
    assert site.delivery()["postfix_from"] == "ann@example.com"


# Reloads


def test_a_reload_is_taken_by_all_or_refused_by_all(site: WorkersSite, tmp_path: Path) -> None:
    patterns = tmp_path / "patterns"
    patterns.mkdir()
    with Daemon(site.config):
        site.set_workers(2, f'[grok]\npatterns_dirs = ["{patterns}"]\n')
        (patterns / "own").write_text("POSTFIX_SMTPD_OWN %{NOWHERE}\n")
        command = [sys.executable, "-m", "mailingest", "reload", "-c", str(site.config)]
        refused = subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE)
        assert refused.returncode != 0
        assert b"NOWHERE" in refused.stderr
        (patterns / "own").write_text("")
        site.set_workers(2, '[index]\nevents = "deliveries"\n')
        assert "index.events" in site.say("reload")
        site.hand_over(*numbered(0, 50), *LIFE)
        site.wait_for(1)
    assert len(site.stored()) < 10


# Reports


def test_a_report_is_read_as_it_was_made() -> None:
    histogram = Histogram((1.0, 2.0))
    histogram.observe(1.5)
    report = Report(
        Position(10, 3),
        2,
        1,
        0.5,
        "held",
        {"mx1": 7.0},
        [Notice("host_silent", "mx1", 5.0, "for a day")],
        {"a": 1, "b": {("x", "y"): 2}, "c": histogram, "d": None},
    )
    again = Report.from_json(json.loads(json.dumps(report.to_json())))
    assert again.to_json() == report.to_json()
    assert again.readings["b"] == {("x", "y"): 2}


def test_each_counter_says_how_several_processes_are_one() -> None:
    expected = {"largest": 3, "first": 1, "sum": 6}
    for counter in COUNTERS:
        if counter.of != "receiver":
            assert together(counter, [1, 3, 2]) == expected[counter.of]
            assert counter.kind != "state"
    [outcomes] = [counter for counter in COUNTERS if counter.name == "outcomes"]
    found = together(outcomes, [{("a", "b"): 1}, {("a", "b"): 2, ("c", "d"): 1}])
    assert found == {("a", "b"): 3, ("c", "d"): 1}


def test_histograms_add_up() -> None:
    one, other = Histogram((1.0, 2.0)), Histogram((1.0, 2.0))
    one.observe(0.5)
    other.observe(1.5)
    other.observe(9.0)
    both = one.plus(other)
    assert [*both.cumulative()] == [(1.0, 1), (2.0, 2), (float("inf"), 3)]
    assert both.sum == 11.0
