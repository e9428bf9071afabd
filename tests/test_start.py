"""What a command imports: no library that it does nothing with, which would take most of its time.

No time is measured here; `python -X importtime` says what is imported.
"""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.lab.polling import PATIENCE

SERVERS = {"aiohttp", "elastic_transport", "elasticsearch", "jinja2", "prometheus_client", "uvloop"}
LOG = {"structlog", "rich", "pygments"}
GROK = {"pygrok", "regex"}
# Typer imports pydantic itself where a command has options.
SETTINGS = {"mailingest.config", "pydantic_settings"}
LINES = {"mailingest.pipeline", "mailingest.postfix.parser", "mailingest.syslog.header"}
PROGRAM = "import sys; sys.argv[0] = 'mailingest'; from mailingest.cli import main; main()"
LINE = b"Nov 24 07:00:00 mx1 postfix/qmgr[7]: 4AB12CD34: removed\n"


def imported(tmp_path: Path, *arguments: str, **environment: str) -> set[str]:
    """The modules that a command imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", PROGRAM, *arguments],
        input=LINE,
        capture_output=True,
        check=False,
        timeout=PATIENCE,
        env={**os.environ, "MAILINGEST_STATE__DIRECTORY": str(tmp_path), **environment},
    )
    assert done.returncode in (0, 1), done.stderr
    rows = done.stderr.decode().splitlines()
    modules = {row.rpartition("|")[2].strip() for row in rows if row.startswith("import time:")}
    assert "typer" in modules
    return modules


@pytest.mark.parametrize(
    ("arguments", "needless"),
    [
        pytest.param(["--help"], SETTINGS | LINES | {"pydantic"}, id="help"),
        pytest.param(["trace", "--help"], SETTINGS | LINES, id="help of a command"),
        pytest.param(["--version"], SETTINGS | LINES, id="version"),
        pytest.param(["trace", "--to", "bob@example.net"], LINES, id="trace of a store"),
        pytest.param(["parse", "-"], {"sqlite3"}, id="parse"),
        pytest.param(["config"], LINES, id="config"),
    ],
)
def test_a_command_imports_no_library_that_it_does_nothing_with(
    tmp_path: Path, arguments: list[str], needless: set[str]
) -> None:
    assert not imported(tmp_path, *arguments) & (needless | SERVERS | LOG | GROK)


def test_patterns_of_a_site_need_what_reads_them_and_no_more(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "own.grok").write_text("OWN hello %{GREEDYDATA:text}\n")
    modules = imported(tmp_path, "parse", "-", MAILINGEST_GROK__PATTERNS_DIRS=f'["{own}"]')
    assert modules >= LINES | GROK
    assert not modules & ({"sqlite3"} | SERVERS | LOG)


def test_completion_needs_no_settings_for_a_verdict(tmp_path: Path) -> None:
    modules = imported(
        tmp_path,
        _MAILINGEST_COMPLETE="complete_bash",
        COMP_WORDS="mailingest trace --status b",
        COMP_CWORD="3",
    )
    assert "mailingest.trace.story" in modules
    assert not modules & (SETTINGS | LINES | SERVERS | LOG | GROK)


def test_what_is_to_be_logged_is_logged(tmp_path: Path) -> None:
    """The library is found where it is needed, and set up as the configuration says."""
    damaged = tmp_path / "mail.log.gz"
    # What its beginning says of its time can be read.
    damaged.write_bytes(gzip.compress(os.urandom(300_000).hex().encode() + b"\n" + LINE)[:-9])
    modules = imported(tmp_path, "replay", str(damaged), MAILINGEST_LOG__FORMAT="json")
    assert "structlog" in modules
