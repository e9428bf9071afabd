"""`mailingest parse` as a process: a filter from log lines to JSON lines."""

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from mailingest.commands.parse import unmatched
from mailingest.config import Settings
from mailingest.grok.message_templates import TemplateCounter
from tests.support.lab.polling import PATIENCE

LINES = (
    b"Nov 24 15:41:22 mx1 postfix/qmgr[550]: 652D1A4A862: from=<ann@example.com>, size=389, nrcpt=1"
    b" (queue active)\n"
    b"Nov 24 15:41:22 mx1 dovecot: imap: Gr\xfc\xdfe\n"
    b"\n"
    b"no header at all\n"
    b"Nov 24 15:41:23 mx1 postfix/lmtp[9]: 652D1A4A862: to=<bob@example.com>,"
    b" relay=mx[private/dovecot-lmtp], delay=1, delays=0/0/0/1, dsn=2.0.0,"
    b" status=sent (250 Saved)\n"
)


def parse(*arguments: str, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "mailingest", "parse", *arguments]
    return subprocess.run(command, input=text, capture_output=True, check=False, timeout=PATIENCE)


def test_each_line_gives_one_object_in_order() -> None:
    done = parse("-", text=LINES)
    assert (done.returncode, done.stderr) == (0, b"")
    active, other, rubbish, delivery = map(json.loads, done.stdout.splitlines())
    assert active["postfix_size"] == 389
    assert (other["program"], other["message"]) == ("dovecot", "imap: Grüße")
    assert rubbish["tags"] == ["_syslog_header_nomatch"]
    assert delivery["postfix_from"] == "ann@example.com"


def test_compressed_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "mail.log.1.gz").write_bytes(gzip.compress(LINES))
    done = parse(str(tmp_path / "mail.log.1.gz"))
    assert len(done.stdout.splitlines()) == 4


def test_output_is_line_by_line_for_a_log_that_is_followed() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "mailingest", "parse", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        for line in LINES.splitlines(keepends=True)[:2]:
            process.stdin.write(line)
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["host"] == "mx1"
    assert process.wait(PATIENCE) == 0


def test_a_reader_that_goes_away_is_not_an_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "mailingest", "parse", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate(LINES * 2000, timeout=PATIENCE)
    assert (process.returncode, errors) == (0, b"")


UNMATCHED = b"""\
Nov 24 07:00:00 mx1 postfix/flush[7]: never seen from mx.example[192.0.2.5]
Nov 24 07:00:01 mx1 postfix/qmgr[8]: 4F2A11E0ABC: removed
Nov 24 07:00:02 mx1 postfix/qmgr[8]: \x1b]0;title\x07 7
Nov 24 07:00:03 mx1 postfix-in/flush[7]: never seen from b.example.net[2001:db8::5]
Nov 24 07:00:04 mx1 dovecot: nothing of Postfix
Nov 24 07:00:05 mx1 no program

no header
"""


def test_unmatched_lines_are_grouped_by_program_and_template(tmp_path: Path) -> None:
    (tmp_path / "mail.log").write_bytes(UNMATCHED)
    done = parse("--unmatched", str(tmp_path / "mail.log"))

    assert done.returncode == 0
    assert done.stdout.decode().splitlines() == [
        "       2  flush: never seen from HOST[...]",
        "                 never seen from mx.example[192.0.2.5]",
        r"       1  qmgr: \x1b]NUMBER;title\x07 NUMBER",
        r"                \x1b]0;title\x07 7",
        "       1  (no program): no program",
        "                        no program",
        "       1  (no syslog header): no header",
        "                              no header",
        "7 lines, 3 of Postfix that no pattern matches, 1 without a syslog header, "
        "1 without a program",
    ]


@pytest.mark.parametrize("arguments", [[], ["--unmatched"], ["--unmatched", "--json"]])
def test_a_line_does_nothing_to_a_terminal(tmp_path: Path, arguments: list[str]) -> None:
    # The last one is not UTF-8, and a command in ISO-8859-1.
    commands = b"\x1b]0;owned\x07 \x7f \b \xc2\x9b2J \xe2\x80\xaetxt.exe", b"\x9b2J owned"
    log = b"".join(b"2026-11-24T07:00:01Z mx1 postfix/qmgr[9]: %s\n" % each for each in commands)
    (tmp_path / "mail.log").write_bytes(log)
    done = parse(*arguments, str(tmp_path / "mail.log"))
    shown = done.stdout.decode()
    assert done.stderr == b""
    assert "owned" in shown
    assert all(line.isprintable() for line in shown.split("\n"))


def test_unmatched_lines_as_json_are_an_object_a_group(tmp_path: Path) -> None:
    (tmp_path / "mail.log").write_bytes(UNMATCHED)
    done = parse("--unmatched", "--json", str(tmp_path / "mail.log"))

    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {
            "program": "flush",
            "shape": "never seen from HOST[...]",
            "count": 2,
            "example": "never seen from mx.example[192.0.2.5]",
        },
        {
            "program": "qmgr",
            "shape": "\x1b]NUMBER;title\x07 NUMBER",
            "count": 1,
            "example": "\x1b]0;title\x07 7",
        },
        *(
            {"program": f"(no {what})", "shape": text, "count": 1, "example": text}
            for what, text in (("program", "no program"), ("syslog header", "no header"))
        ),
    ]


def test_further_templates_are_counted_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mail.log").write_bytes(UNMATCHED)
    monkeypatch.setattr(
        "mailingest.commands.parse.TemplateCounter", lambda: TemplateCounter(most=1)
    )
    shown, rows = io.StringIO(), io.StringIO()
    settings = Settings.model_validate({})
    unmatched(settings, [str(tmp_path / "mail.log")], shown)
    unmatched(settings, [str(tmp_path / "mail.log")], rows, as_json=True)

    assert shown.getvalue().splitlines()[2] == "       3  lines of further templates"
    assert json.loads(rows.getvalue().splitlines()[1]) == {
        "program": None,
        "shape": None,
        "count": 3,
        "example": None,
    }


def test_all_lines_of_a_log_that_is_known_match(tmp_path: Path) -> None:
    (tmp_path / "mail.log").write_bytes(LINES)
    done = parse("--unmatched", str(tmp_path / "mail.log"))

    assert done.stdout.endswith(
        b"4 lines, 0 of Postfix that no pattern matches, 1 without a syslog header\n"
    )
