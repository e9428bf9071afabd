"""Backfill by several processes: what is stored and answered is what one would have made."""

import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from benchmarks.generate import generate
from mailingest.stores.sqlite.files import day_files, open_for_reading
from tests.support.lab.polling import PATIENCE, wait_until
from tests.support.sqlite import stored_bodies

RECORDED = Path(__file__).parents[1] / "data" / "scenarios" / "mail.log.gz"
LINES = 12_000

Documents = dict[str, dict[str, object]]


class Site:
    """A state directory, and commands with it."""

    def __init__(self, directory: Path, more: str = "") -> None:
        self.state = directory / "state"
        self._config = directory / "mailingest.toml"
        directory.mkdir(exist_ok=True)
        self._config.write_text(
            f'[state]\ndirectory = "{self.state}"\n[syslog]\ntimezone = "UTC"\n{more}'
        )

    def command(self, name: str, *arguments: str) -> list[str]:
        program = [sys.executable, "-m", "mailingest", name, "-c", str(self._config)]
        return [*program, *arguments]

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.command(name, *arguments), capture_output=True, check=False, timeout=PATIENCE
        )

    def replay(self, *arguments: str) -> dict[str, int]:
        done = self.run("replay", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        report: dict[str, int] = json.loads(done.stdout)
        return report

    def documents(self) -> Documents:
        """All that is stored, by id."""
        found: Documents = {}
        for path in day_files(self.state / "mail", ["mail"]):
            connection = open_for_reading(path)
            assert connection is not None
            with closing(connection):
                for document_id, body in stored_bodies(connection):
                    assert document_id not in found
                    found[document_id] = body
        return found

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Nobody can write into the store, whose first day is there."""
        [day, *_] = (self.state / "mail").glob("*.sqlite")
        with closing(sqlite3.connect(day, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            yield


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Traffic of two days, of several hosts, with whole seconds only."""
    path = tmp_path_factory.mktemp("log") / "mail.log"
    path.write_bytes(b"".join(generate(LINES, 5, rate=0.05)))
    return path


@pytest.fixture(scope="module")
def alone(log: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, dict[str, int]]:
    """What one process stores of it."""
    site = Site(tmp_path_factory.mktemp("alone"))
    return site, site.replay(str(log))


def workers_of(process: "subprocess.Popen[bytes]") -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def answers(site: Site) -> list[str]:
    """All that a trace answers; lines of one second that prove it are in any order."""
    done = site.run("trace", "--json", "--limit", "0")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for one in found:
        one["proof"].sort()
    return sorted(json.dumps(one) for one in found)


def has_ended(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_three_store_and_answer_what_one_does(
    alone: tuple[Site, dict[str, int]], log: Path, tmp_path: Path
) -> None:
    site = Site(tmp_path)
    one, expected = alone
    assert site.replay("--jobs", "3", str(log)) == expected
    assert site.documents() == one.documents()
    assert not list(site.state.glob("replay-*"))
    assert answers(site) == answers(one)


def test_a_recorded_log_is_answered_as_one_process_would(tmp_path: Path) -> None:
    """With sessions that end in the midst of a mail, and many lines of one second."""
    one, site = Site(tmp_path / "one"), Site(tmp_path / "four")
    assert site.replay("--jobs", "4", str(RECORDED)) == one.replay(str(RECORDED))
    assert site.documents() == one.documents()
    assert answers(site) == answers(one)


def test_lines_of_json_are_the_same_and_whole(log: Path, tmp_path: Path) -> None:
    lines = {}
    for jobs in ("1", "3"):
        output = tmp_path / f"{jobs}.ndjson"
        site = Site(tmp_path / jobs, f'[ndjson]\npath = "{output}"\n')
        site.replay("--jobs", jobs, str(log))
        lines[jobs] = sorted(output.read_bytes().splitlines())
    assert lines["3"] == lines["1"]
    assert len(lines["1"]) == LINES


def test_twice_stores_nothing_twice(log: Path, tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.replay("--jobs", "2", str(log))
    again = site.replay("--jobs", "3", str(log))
    assert (again["documents_stored"], again["documents_duplicate"]) == (LINES, LINES)


def begun(site: Site, log: Path, said: Path) -> "subprocess.Popen[bytes]":
    """Two processes that want to store, in a site that is held up."""
    with said.open("wb") as errors:
        process = subprocess.Popen(
            site.command("replay", "--jobs", "2", "--json", str(log)),
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    wait_until(lambda: said.read_bytes().count(b"locked") >= 2, "both want to write")
    return process


@pytest.fixture
def prepared(log: Path, tmp_path: Path) -> Site:
    """A site whose first day is there, and where few documents wait."""
    site = Site(tmp_path, "[batch]\nmax_documents = 100\ncapacity = 1000\n")
    first = tmp_path / "first.log"
    first.write_bytes(log.read_bytes().partition(b"\n")[0] + b"\n")
    site.replay(str(first))
    return site


def test_what_is_interrupted_goes_on(
    alone: tuple[Site, dict[str, int]], prepared: Site, log: Path, tmp_path: Path
) -> None:
    with prepared.held_up():
        process = begun(prepared, log, tmp_path / "said")
        process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert json.loads(told)["interrupted"]
    assert len(list(prepared.state.glob("replay-*-of-2"))) == 2
    done = prepared.run("replay", "--jobs", "2", "--json", str(log))
    assert done.returncode == 0
    assert done.stderr.count(b"goes on where the last run stopped") == 2
    assert prepared.documents() == alone[0].documents()
    assert not list(prepared.state.glob("replay-*"))


def test_what_is_interrupted_at_its_very_end_is_not_called_empty(log: Path, tmp_path: Path) -> None:
    site = Site(tmp_path, "[batch]\ncapacity = 100_000\n")
    first = tmp_path / "first.log"
    first.write_bytes(log.read_bytes().partition(b"\n")[0] + b"\n")
    site.replay(str(first))
    with site.held_up():
        process = begun(site, first, tmp_path / "said")
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    with first.open("ab") as file:
        file.write(log.read_bytes().split(b"\n")[1] + b"\n")
    os.utime(first, (0, log.stat().st_mtime))
    done = site.run("replay", "--jobs", "2", "--json", str(first))
    assert done.returncode == 0
    assert b"there was no line" not in done.stderr
    assert len(site.documents()) == 2


def test_what_is_interrupted_goes_on_with_another_number_of_processes(
    alone: tuple[Site, dict[str, int]], prepared: Site, log: Path, tmp_path: Path
) -> None:
    with prepared.held_up():
        process = begun(prepared, log, tmp_path / "said")
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    prepared.replay(str(log))
    assert prepared.documents() == alone[0].documents()
    assert not list(prepared.state.glob("replay-*"))


def test_a_process_that_is_killed_is_told_of_and_loses_nothing(
    alone: tuple[Site, dict[str, int]], prepared: Site, log: Path, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    with prepared.held_up():
        process = begun(prepared, log, said)
        os.kill(workers_of(process)[0], signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert said.read_bytes().endswith(
        b"mailingest: one of the processes of the replay has ended (signal 9): the same command "
        b"goes on from here\n"
    )
    prepared.replay("--jobs", "2", str(log))
    assert prepared.documents() == alone[0].documents()


def test_processes_end_when_the_one_that_started_them_is_killed(
    prepared: Site, log: Path, tmp_path: Path
) -> None:
    with prepared.held_up():
        process = begun(prepared, log, tmp_path / "said")
        workers = workers_of(process)
        process.kill()
        process.communicate(timeout=PATIENCE)
    for pid in workers:
        wait_until(partial(has_ended, pid), "a worker ends")
    assert b"Traceback" not in (tmp_path / "said").read_bytes()


def test_a_damaged_file_is_told_of_once(log: Path, tmp_path: Path) -> None:
    site = Site(tmp_path)
    damaged = tmp_path / "mail.log.gz"
    damaged.write_bytes(gzip.compress(log.read_bytes())[:-20])
    done = site.run("replay", "--jobs", "2", "--json", str(damaged))
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert (report["files"], report["files_damaged"]) == (1, 1)
    assert done.stderr.count(b"cannot be read further") == 1


def test_a_store_that_refuses_to_open_is_told_of_once(log: Path, tmp_path: Path) -> None:
    site = Site(tmp_path, '[ndjson]\npath = "/nowhere/mail.ndjson"\n')
    done = site.run("replay", "--jobs", "2", str(log))
    assert done.returncode == 2
    assert done.stderr.count(b"mailingest: /nowhere/mail.ndjson: No such file") == 1
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("more", "file", "said"),
    [
        pytest.param("", "-", "-: a pipe can be read by one process only", id="a pipe"),
        pytest.param(
            '[ndjson]\npath = "-"\n',
            "mail.log",
            "ndjson.path: standard output can be written by one process only",
            id="standard output",
        ),
    ],
)
def test_what_several_processes_cannot_share_is_refused(
    tmp_path: Path, more: str, file: str, said: str
) -> None:
    (tmp_path / "mail.log").write_bytes(b"")
    site = Site(tmp_path, more)
    done = subprocess.run(
        site.command("replay", "--jobs", "2", file),
        input=b"",
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert done.stderr.decode().startswith(f"mailingest: {said}")


def test_an_empty_file_is_told_of_once(tmp_path: Path) -> None:
    site = Site(tmp_path)
    log = tmp_path / "mail.log"
    log.write_bytes(b"")
    done = site.run("replay", "--jobs", "2", str(log))
    assert done.returncode == 0
    assert done.stdout == b"0 events of 0 lines in 1 file are in the store.\n"
    assert done.stderr.count(b"there was no line in what was to be read") == 1
