"""`mailingest parse` as a process: a filter from log lines to JSON lines."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

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
    return subprocess.run(command, input=text, capture_output=True, check=False, timeout=60)


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
    assert process.wait(30) == 0


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "mailingest", "parse", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate(LINES * 2000, timeout=60)
    assert (process.returncode, errors) == (0, b"")
