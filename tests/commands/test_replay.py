"""Backfill as a process: what is stored, in which order files are read, how it is resumed."""

import gzip
import json
import lzma
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import zstandard

from tests.support.lab.polling import PATIENCE, wait_until
from tests.support.sqlite import StoredDocuments

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}


def mail(number: int, second: int) -> list[str]:
    """The lines of one mail, from its birth to its end."""
    stamp = f"Nov 24 15:{second // 60:02}:{second % 60:02} mx1 postfix"
    queue_id = f"{0xA0000000 + number:X}"
    return [
        f"{stamp}/smtpd[867]: {queue_id}: client=pc1.example.com[192.0.2.7]",
        f"{stamp}/cleanup[877]: {queue_id}: message-id=<{number}@example.com>",
        f"{stamp}/qmgr[550]: {queue_id}: from=<ann{number}@example.com>, size=389, nrcpt=1"
        " (queue active)",
        f"{stamp}/smtp[914]: {queue_id}: to=<bob@example.net>,"
        " relay=mx.example.net[198.51.100.9]:25, delay=0.18, delays=0.12/0/0.02/0.04, dsn=2.0.0,"
        " status=sent (250 2.0.0 Ok)",
        f"{stamp}/qmgr[550]: {queue_id}: removed",
    ]


def as_bytes(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


class Backfill:
    """A state directory, and replays into it."""

    def __init__(self, directory: Path) -> None:
        self.state = directory / "state"
        self.config = directory / "mailingest.toml"
        self.config.write_text(f'[state]\ndirectory = "{self.state}"\n[syslog]\ntimezone = "UTC"\n')

    def command(self, *arguments: str) -> list[str]:
        program = [sys.executable, "-m", "mailingest", "replay", "-c", str(self.config)]
        return [*program, *arguments]

    def run(self, *arguments: str, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.command(*arguments), input=text, capture_output=True, check=False, timeout=PATIENCE
        )

    def report(self, done: subprocess.CompletedProcess[bytes]) -> dict[str, int]:
        report: dict[str, int] = json.loads(done.stdout)
        return report

    def deliveries(self) -> list[dict[str, object]]:
        """The delivery events, oldest first."""
        events = StoredDocuments(self.state / "mail", "mail").find(limit=1_000_000)
        return [event for event in events if "postfix_status" in event][::-1]


@pytest.fixture
def backfill(tmp_path: Path) -> Backfill:
    return Backfill(tmp_path)


def test_a_rotated_set_is_read_in_the_order_of_time(backfill: Backfill, tmp_path: Path) -> None:
    lines = [line for number in range(4) for line in mail(number, number)]
    # Each mail begins in one file and goes on in the next newer one.
    parts = [lines[:3], lines[3:8], lines[8:13], lines[13:]]
    names = ["mail.log.3.zst", "mail.log.2.xz", "mail.log.1.gz", "mail.log"]
    for name, part in zip(names, parts, strict=True):
        compress = COMPRESS.get(Path(name).suffix, bytes)
        (tmp_path / name).write_bytes(compress(as_bytes(part)))
    done = backfill.run(f"{tmp_path}/mail.log*")
    assert done.returncode == 0, done.stderr
    assert [one["postfix_from"] for one in backfill.deliveries()] == [
        f"ann{number}@example.com" for number in range(4)
    ]


def test_replaying_twice_adds_nothing(backfill: Backfill, tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_bytes(as_bytes(mail(1, 0) + mail(2, 0) + mail(1, 0)))
    first = backfill.report(backfill.run("--json", str(log)))
    second = backfill.report(backfill.run("--json", str(log)))
    assert (first["documents_stored"], first["documents_duplicate"]) == (15, 0)
    assert (second["documents_stored"], second["documents_duplicate"]) == (15, 15)


def test_it_ends_in_a_sentence(backfill: Backfill, tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_bytes(as_bytes(mail(1, 0)))
    assert backfill.run(str(log)).stdout == (b"5 events of 5 lines in 1 file are in the store.\n")
    unknown = b"Nov 24 00:00:00 mx1 postfix/smtpd[1]: what is this?\n"
    text = as_bytes(mail(1, 0)) + unknown
    assert backfill.run("-", text=text).stdout == (
        b"6 events of 6 lines in 1 file are in the store, 5 of which were stored before; "
        b"no pattern matched 1 (mailingest parse --unmatched shows them).\n"
    )


def test_standard_input_is_replayed(backfill: Backfill) -> None:
    done = backfill.run("-", text=gzip.compress(as_bytes(mail(1, 0))))
    assert done.returncode == 0, done.stderr
    assert len(backfill.deliveries()) == 1


def test_a_damaged_file_is_reported_and_the_others_are_read(
    backfill: Backfill, tmp_path: Path
) -> None:
    (tmp_path / "mail.log.1.gz").write_bytes(gzip.compress(as_bytes(mail(1, 0) * 50))[:-20])
    (tmp_path / "mail.log").write_bytes(as_bytes(mail(2, 9)))
    done = backfill.run("--json", f"{tmp_path}/mail.log*")
    assert done.returncode == 1
    assert backfill.report(done)["files_damaged"] == 1
    assert b"mail.log.1.gz: cannot be read further" in done.stderr
    assert backfill.deliveries()[-1]["postfix_from"] == "ann2@example.com"


def test_a_missing_file_is_refused_in_one_line(backfill: Backfill, tmp_path: Path) -> None:
    done = backfill.run(str(tmp_path / "none.log"))
    assert done.returncode == 2
    assert done.stderr.decode() == f"mailingest: {tmp_path}/none.log: no such file\n"


def test_an_interrupted_replay_goes_on_with_what_it_knew(
    backfill: Backfill, tmp_path: Path
) -> None:
    early, late = mail(1, 0)[:3], mail(1, 0)[3:]
    log = tmp_path / "mail.log"
    log.write_bytes(as_bytes([*(line for n in range(2, 10_000) for line in mail(n, 0)), *early]))
    other = tmp_path / "other.log"
    other.write_bytes(as_bytes(mail(20_000, 0)[:1]))
    assert backfill.run(str(other)).returncode == 0
    [day] = (backfill.state / "mail").glob("*.sqlite")
    said = tmp_path / "said"
    with closing(sqlite3.connect(day, isolation_level=None)) as holder, said.open("wb") as errors:
        # Nobody else can write into the store: it cannot come to its end before the interruption.
        holder.execute("BEGIN IMMEDIATE")
        process = subprocess.Popen(
            backfill.command(str(log)), stdout=subprocess.PIPE, stderr=errors
        )
        wait_until(lambda: b"locked" in said.read_bytes(), "the replay wants to write")
        process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert told.endswith(b"it was interrupted: the same command goes on from here.\n")
    [checkpoint] = backfill.state.glob("replay-*")
    assert oct(checkpoint.stat().st_mode & 0o777) == "0o640"

    modified = log.stat().st_mtime
    with log.open("ab") as file:
        file.write(as_bytes(late))
    os.utime(log, (modified, modified))
    done = backfill.run("--json", str(log))
    assert done.returncode == 0, done.stderr
    report = backfill.report(done)
    assert report["documents_duplicate"] < report["documents_stored"]
    assert report["deliveries_unmatched"] == 0
    deliveries = backfill.deliveries()
    assert len(deliveries) == 9_999
    assert all("postfix_from" in event for event in deliveries)
    assert not list(backfill.state.glob("replay-*"))


def listens_to(number: signal.Signals, process: subprocess.Popen[bytes]) -> bool:
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (number - 1) & 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_replay_that_waits_for_a_pipe_that_nobody_writes(
    backfill: Backfill, tmp_path: Path, number: signal.Signals
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(backfill.command(str(pipe)), stderr=subprocess.PIPE) as process:
        # Python has one for SIGINT from its beginning.
        wait_until(lambda: listens_to(signal.SIGTERM, process), "it listens to signals")
        process.send_signal(number)
        assert process.wait(PATIENCE) == 130
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()


@pytest.mark.parametrize("is_named", [True, False])
def test_what_came_through_a_pipe_before_a_signal_is_stored(
    backfill: Backfill, tmp_path: Path, is_named: bool
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = backfill.command(str(pipe) if is_named else "-")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        with pipe.open("wb") if is_named else process.stdin as writing:
            writing.write(as_bytes([*mail(1, 0), *mail(2, 0)[:4]]))
            writing.flush()
            wait_until(lambda: len(backfill.deliveries()) == 2, "the first lines are stored")
            writing.write(as_bytes(mail(3, 0)))
            writing.flush()
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 130
        assert process.stderr is not None
        said = process.stderr.read()
    assert b"Traceback" not in said
    assert b"Fatal" not in said
    assert all("postfix_from" in event for event in backfill.deliveries())
