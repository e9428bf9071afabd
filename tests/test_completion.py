"""What a shell offers after Tab for the values of options."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

from mailingest.cli import app
from mailingest.trace.story import Verdict
from tests.support.lab.polling import PATIENCE


def offered(*words: str) -> list[str]:
    """What is offered for the last of these words behind `mailingest`."""
    environment = {
        "_MAILINGEST_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("mailingest", *words)),
        "COMP_CWORD": str(len(words)),
    }
    done = CliRunner().invoke(app, prog_name="mailingest", env=environment)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.fixture
def settings(tmp_path: Path) -> str:
    file = tmp_path / "mailingest.toml"
    file.write_text('[types.mailbox]\n[types.web]\n[[inputs.udp]]\nport = 5001\ntype = "maillog"\n')
    return str(file)


@pytest.mark.parametrize(
    ("typed", "verdicts"),
    [
        pytest.param("b", ["bounced"], id="begun"),
        pytest.param("bounced,expi", ["bounced,expired"], id="after a comma"),
        pytest.param("nothing", [], id="none"),
        pytest.param("", list(get_args(Verdict)), id="all"),
    ],
)
def test_verdicts_are_offered(typed: str, verdicts: list[str]) -> None:
    assert offered("trace", "--status", typed) == verdicts


@pytest.mark.parametrize("command", ["trace", "replay", "parse"])
def test_types_of_the_settings_are_offered(command: str, settings: str) -> None:
    assert offered(command, "-c", settings, "--type", "mail") == ["mail", "maillog", "mailbox"]
    assert offered(command, "--config", settings, "--type", "x") == []


LOG = b"""\
Nov 24 10:00:00 mx1 postfix/smtpd[1]: 4F2A11E0ABC: client=pc.example.com[192.0.2.7]
Nov 24 10:00:01 mx2 postfix/smtpd[1]: 4F2A11E0ABD: client=pc.example.com[192.0.2.7]
Nov 24 10:00:02 mx2 postfix/smtpd[1]: NOQUEUE: reject: RCPT from pc.example.com[192.0.2.7]: \
554 5.7.1 <b@example.net>: Relay access denied; from=<a@example.com> to=<b@example.net> \
proto=ESMTP helo=<pc>
"""


def test_hosts_and_queue_ids_of_the_store_are_offered(tmp_path: Path) -> None:
    config = tmp_path / "mailingest.toml"
    config.write_text(f'[state]\ndirectory = "{tmp_path}/state"\n')
    assert offered("trace", "-c", str(config), "--host", "m") == []
    command = [sys.executable, "-m", "mailingest", "replay", "-c", str(config), "-"]
    subprocess.run(command, input=LOG, capture_output=True, check=True, timeout=PATIENCE)
    assert offered("trace", "-c", str(config), "--host", "m") == ["mx2", "mx1"]
    assert offered("trace", "-c", str(config), "--host", "mx1") == ["mx1"]
    assert offered("trace", "-c", str(config), "--queue-id", "4F") == ["4F2A11E0ABD", "4F2A11E0ABC"]
    assert offered("trace", "-c", str(config), "--queue-id", "N") == []


@pytest.mark.parametrize("text", ["[types.web]\nkeep = 1\n", "types = [\n", "\xff", None])
def test_settings_that_cannot_be_read_offer_no_types(text: str | None, tmp_path: Path) -> None:
    file = tmp_path / "mailingest.toml"
    if text is not None:
        file.write_text(text, encoding="latin-1")
    assert offered("trace", "-c", str(file), "--type", "m") == []
    assert offered("trace", "-c", str(tmp_path), "--type", "m") == []


def test_bash_completes_what_is_typed() -> None:
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "TERM": "dumb", "PATH": f"{scripts}:{os.environ['PATH']}"}
    terminal, other_end = pty.openpty()
    with subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
        env=environment,
        start_new_session=True,
    ) as bash:
        os.close(other_end)
        try:
            # Debian has the same in a file, which bash-completion loads.
            os.write(
                terminal, b'PS1=rea""dy; eval "$(_MAILINGEST_COMPLETE=source_bash mailingest)"\n'
            )
            read_until(terminal, b"ready")
            os.write(terminal, b"mailingest trace --status bounced,expi\t")
            read_until(terminal, b"bounced,expired ")
        finally:
            bash.kill()
            os.close(terminal)


def read_until(terminal: int, wanted: bytes) -> None:
    """Read what a terminal shows until this text is there."""
    shown, end = b"", time.monotonic() + PATIENCE
    while wanted not in shown:
        left = max(0.0, end - time.monotonic())
        assert select.select([terminal], [], [], left)[0], shown
        shown += os.read(terminal, 4096)
