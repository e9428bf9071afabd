"""`mailingest trace` as a process: on log files and on the embedded store."""

import atexit
import csv
import errno
import gzip
import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mailingest.spool.queue import Spool
from mailingest.spool.records import FrameBatch
from mailingest.trace.answer import KEYS
from tests.support.lab.polling import PATIENCE

LOG = """\
Nov 24 10:00:00 mx1 postfix/smtpd[7]: AAAAAA1: client=pc.example.com[192.0.2.7]
Nov 24 10:00:00 mx1 postfix/cleanup[8]: AAAAAA1: message-id=<one@example.com>
Nov 24 10:00:00 mx1 postfix/qmgr[9]: AAAAAA1: from=<ann@example.com>, size=500, nrcpt=2 (queue active)
Nov 24 10:00:01 mx1 postfix/smtp[10]: AAAAAA1: to=<bob@example.net>, relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as REMOTE77)
Nov 24 10:00:01 mx1 postfix/smtp[10]: AAAAAA1: to=<eve@example.org>, relay=mx.example.org[198.51.100.8]:25, delay=1, delays=0/0/0/1, dsn=4.7.1, status=deferred (host mx.example.org said: 451 \x1b[31mlater)
Nov 24 10:00:02 mx1 postfix/smtpd[7]: NOQUEUE: reject: RCPT from pc.example.com[192.0.2.7]: 550 5.1.1 <no@example.com>: User unknown; from=<ann@example.com> to=<no@example.com> proto=ESMTP helo=<pc>
"""  # noqa: E501
WRITTEN = datetime(2026, 11, 25, tzinfo=UTC).timestamp()
# What clears a terminal, its title, an 8-bit command, what overwrites, what turns the direction,
# what has no width, a line separator, a tag character.
HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\b\x7f\u202etxt.exe\u2067\u200b\u2028\U000e0041"


class Asked:
    """The command, on a log file or on a store that has it."""

    def __init__(self, directory: Path, where: str) -> None:
        self.log = directory / "mail.log"
        self.log.write_text(LOG)
        # What has no year is of the year in which it was written.
        os.utime(self.log, (WRITTEN, WRITTEN))
        self.config = directory / "mailingest.toml"
        self.config.write_text(
            f'[state]\ndirectory = "{directory}/state"\n[syslog]\ntimezone = "UTC"\n'
        )
        self.file = ["--file", str(self.log)] if where == "file" else []
        if where == "store":
            shutil.copytree(_stored_log(), directory / "state")

    def mailingest(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "mailingest", command, "-c", str(self.config)]
        return subprocess.run(
            [*program, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE
        )

    def trace(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.mailingest("trace", *self.file, *arguments)


@cache
def _stored_log() -> Path:
    """The state directory of a store that has the log: replayed once, and copied for each test."""
    made = TemporaryDirectory()
    atexit.register(made.cleanup)
    site = Asked(Path(made.name), "nowhere")
    site.mailingest("replay", str(site.log))
    return Path(made.name, "state")


@pytest.fixture(params=["file", "store"])
def asked(request: pytest.FixtureRequest, tmp_path: Path) -> Asked:
    return Asked(tmp_path, request.param)


def remarks(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What is on standard error, but for a slow machine's word that it takes a while."""
    return [line for line in done.stderr.splitlines() if "takes a while" not in line]


def test_json_has_one_object_for_each_mail_and_recipient_newest_last(asked: Asked) -> None:
    done = asked.trace("--json")
    assert (done.returncode, remarks(done)) == (0, [])
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["verdict"], row["recipient"]) for row in rows] == [
        ("handed_over", "bob@example.net"),
        ("pending", "eve@example.org"),
        ("rejected", "no@example.com"),
    ]
    assert all(tuple(row) == (*KEYS, "explanation", "whole", "why") for row in rows)
    assert all((row["whole"], row["why"]) == (True, []) for row in rows)
    assert rows[0]["remote_queue_id"] == "REMOTE77"
    assert rows[2]["temporary"] is False


def test_a_reply_is_explained_in_the_language_that_is_asked_for(tmp_path: Path) -> None:
    asked = Asked(tmp_path, "file")
    words = {"en": "does not know this address", "de": "kennt diese Adresse nicht"}
    for language, means in words.items():
        question = ("--status", "rejected", "--lang", language)
        said = json.loads(asked.trace(*question, "--json").stdout)
        assert means in said["explanation"]["means"]
        assert said["explanation"]["advice"]
        assert means in asked.trace(*question).stdout
    assert json.loads(asked.trace("--to", "bob@", "--json").stdout)["explanation"] is None
    assert asked.trace("--lang", "fr").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "recipients"),
    [
        (["--to", "BOB@example.net"], ["bob@example.net"]),
        (["--to", "@example.org"], ["eve@example.org"]),
        (["--from", "ann@"], ["bob@example.net", "eve@example.org", "no@example.com"]),
        (["--from", "ann@example.com", "--to", "eve"], ["eve@example.org"]),
        (["--queue-id", "AAAAAA1"], ["bob@example.net", "eve@example.org"]),
        (["--queue-id", "REMOTE77"], ["bob@example.net"]),
        (["--message-id", "<one@example.com>"], ["bob@example.net", "eve@example.org"]),
        (["--client", "192.0.2.7", "--status", "rejected"], ["no@example.com"]),
        (["--relay", "198.51.100.8"], ["eve@example.org"]),
        (["--text", "user unknown"], ["no@example.com"]),
        (
            ["--status", "pending", "--status", "handed-over"],
            ["bob@example.net", "eve@example.org"],
        ),
        (["--status", "Pending, rejected"], ["eve@example.org", "no@example.com"]),
    ],
)
def test_a_question(asked: Asked, arguments: list[str], recipients: list[str]) -> None:
    done = asked.trace("--json", *arguments)
    assert [json.loads(line)["recipient"] for line in done.stdout.splitlines()] == recipients


def test_text_for_people_has_no_escape_of_the_log_in_it(asked: Asked) -> None:
    done = asked.trace("--raw")
    assert done.returncode == 0
    assert done.stdout.startswith("HANDED OVER  bob@example.net")
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("arguments", [[], ["--raw"], ["--csv"], ["--json"]], ids=" ".join)
def test_a_terminal_gets_no_command_from_the_log(tmp_path: Path, arguments: list[str]) -> None:
    asked = Asked(tmp_path, "file")
    asked.log.write_bytes(LOG.replace("later", HOSTILE).replace("ann@", f"{HOSTILE}@").encode())
    command = ["trace", "-c", str(asked.config), *asked.file, *arguments]
    shown = on_a_terminal([sys.executable, "-m", "mailingest", *command])
    assert "eve@example.org" in shown
    if "--csv" not in arguments and "--json" not in arguments:
        assert "\x1b[32mHANDED OVER\x1b[0m" in shown
        shown = re.sub(r"\x1b\[\d+m", "", shown)
    lines = shown.replace("\r\n", "\n").split("\n")
    assert [line for line in lines if not line.isprintable()] == []


def test_a_remark_does_nothing_to_a_terminal(tmp_path: Path) -> None:
    asked = Asked(tmp_path, "file")
    damaged = tmp_path / "\x1b]0;owned\x07\x9b2J\u202e.gz"
    damaged.write_bytes(gzip.compress(LOG.encode(), mtime=int(WRITTEN))[:-20])
    done = asked.trace("--file", str(damaged), "--json")
    assert r"\x1b]0;owned\x07\x9b2J\u202e.gz" in done.stderr
    assert all(line.isprintable() for line in done.stderr.split("\n"))


def on_a_terminal(command: list[str]) -> str:
    """What a program writes to a terminal of its own, but for how far it has come."""
    ours, its = pty.openpty()
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=subprocess.DEVNULL) as process:
        os.close(its)
        written = b""
        try:
            while chunk := os.read(ours, 65536):
                written += chunk
        except OSError as error:
            # So Linux tells that no one has the terminal open any more.
            if error.errno != errno.EIO:
                raise
        os.close(ours)
        assert process.wait(PATIENCE) == 0, written
    return written.decode()


def test_csv_is_read_by_a_spreadsheet(asked: Asked) -> None:
    rows = list(csv.DictReader(io.StringIO(asked.trace("--csv").stdout)))
    assert [row["verdict"] for row in rows] == ["handed_over", "pending", "rejected"]


def test_no_such_mail_is_told_apart_from_no_logs(asked: Asked) -> None:
    nothing = asked.trace("--to", "nobody@example.net")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "no such mail" in nothing.stderr
    assert "-11-24 10:00:00 UTC to " in nothing.stderr
    assert "case-sensitive" in asked.trace("--queue-id", "aaaaaa1").stderr
    never = asked.trace("--until", "2001-01-01")
    assert never.returncode == 1
    assert "there are no logs for that time" in never.stderr


STRANGE = (
    "Nov 24 10:00:03 mx1 postfix/smtp[7]: words of a later version about <nobody@example.net>\n"
)


def test_no_such_mail_is_said_with_doubt_if_a_line_that_names_it_is_not_understood(
    tmp_path: Path,
) -> None:
    for where in ("file", "store"):
        folder = tmp_path / where
        folder.mkdir()
        asked = Asked(folder, where)
        asked.log.write_text(LOG + STRANGE)
        if where == "store":
            asked.mailingest("replay", "--restart", str(asked.log))
        nothing = asked.trace("--to", "nobody@example.net")
        assert (nothing.returncode, nothing.stdout) == (3, "")
        first, last = remarks(nothing)
        assert "1 line(s) that no pattern matches may be about it, such as: " in first
        assert first.endswith("words of a later version about <nobody@example.net>")
        assert "not found in what could be read and understood" in last
        assert asked.trace("--to", "zoe@example.net").returncode == 1


def test_no_such_mail_is_said_with_doubt_if_a_day_cannot_be_read(tmp_path: Path) -> None:
    asked = Asked(tmp_path, "store")
    [day] = (tmp_path / "state").rglob("*.sqlite")
    later = day.with_name("mail-2099.01.01.sqlite")
    later.write_bytes(b"no database at all, as after a fault of the disk\n" * 100)
    nothing = asked.trace("--to", "nobody@example.net", "--json")
    assert nothing.returncode == 3
    said = json.loads(nothing.stdout)
    assert tuple(said) == (*KEYS, "explanation", "whole", "why")
    assert (said["verdict"], said["whole"]) == (None, False)
    assert "mail-2099.01.01.sqlite cannot be read" in nothing.stderr
    found = asked.trace("--to", "bob@example.net", "--json")
    assert found.returncode == 3
    [why] = json.loads(found.stdout)["why"]
    assert why["code"] == "day_unreadable"
    assert "mail-2099.01.01.sqlite cannot be read" in why["text"]


def test_no_such_mail_is_said_with_doubt_if_lines_wait_to_be_stored(tmp_path: Path) -> None:
    asked = Asked(tmp_path, "store")
    directory = tmp_path / "state" / "spool"
    directory.mkdir(exist_ok=True)
    spool = Spool(directory, max_bytes=16 * 1024 * 1024)
    spool.open(None)
    spool.append([FrameBatch(1_795_500_000.0, "192.0.2.1", 7, [b"one", b"two"])])
    spool.close()
    nothing = asked.trace("--to", "nobody@example.net")
    assert nothing.returncode == 3
    assert "2 lines wait to be stored since " in nothing.stderr
    assert asked.trace("--to", "bob@example.net").returncode == 0


def test_a_limit_is_announced(asked: Asked) -> None:
    done = asked.trace("--json", "--limit", "1")
    assert done.returncode == 0
    [row] = map(json.loads, done.stdout.splitlines())
    assert (row["recipient"], row["whole"]) == ("no@example.com", False)
    assert [why["code"] for why in row["why"]] == ["limit"]
    assert "--limit 0 shows all" in done.stderr


def test_an_empty_store_says_so(tmp_path: Path) -> None:
    done = Asked(tmp_path, "nowhere").trace("--to", "bob@example.net")
    assert done.returncode == 1
    assert "no logs at all" in done.stderr


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ["some text", "another one"],
            ["2 of 2 lines could not be read", "no line that could be read in these files"],
        ),
        (
            [*LOG.splitlines()[:3], "some text"],
            ["1 of 4 lines could not be read", "not found in what could be read and understood"],
        ),
        (
            ["Nov 24 10:00:00 mx1 a text without a program"],
            ["1 of 1 lines could not be read", "not found in what could be read and understood"],
        ),
    ],
)
def test_what_could_not_be_read_of_a_file_is_said(
    tmp_path: Path, lines: list[str], said: list[str]
) -> None:
    asked = Asked(tmp_path, "file")
    asked.log.write_text("".join(f"{line}\n" for line in lines))
    done = asked.trace("--to", "nobody@example.net", "--json")
    assert done.returncode == 3
    assert all(text in done.stderr for text in said), done.stderr
    [nothing] = map(json.loads, done.stdout.splitlines())
    assert (nothing["verdict"], nothing["whole"]) == (None, False)
    assert said[0] in nothing["why"][0]["text"]


def test_an_answer_says_that_there_may_be_others(tmp_path: Path) -> None:
    asked = Asked(tmp_path, "file")
    asked.log.write_text(LOG + "some text\n")
    done = asked.trace("--to", "bob@example.net", "--json")
    assert done.returncode == 3
    [answer] = map(json.loads, done.stdout.splitlines())
    assert "1 of 7 lines could not be read" in answer["why"][0]["text"]
    assert "1 of 7 lines could not be read" in done.stderr


def test_an_empty_file_is_no_fault(tmp_path: Path) -> None:
    asked = Asked(tmp_path, "file")
    asked.log.write_text("")
    done = asked.trace()
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no line in these files" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--since", "soon"], "'soon' is not a valid time"),
        (["--since", "1h", "--until", "2h"], "--until 2h is not after --since 1h"),
        (["--status", "lost"], "there is no such verdict"),
        (["--json", "--csv"], "--short, --json or --csv, not two"),
        (["--file", "/nowhere/mail.log"], "no such file"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    done = Asked(tmp_path, "nowhere").trace(*arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
