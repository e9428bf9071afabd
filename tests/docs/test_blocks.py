"""Every block of code in the documentation works, or says which test holds it to that."""

import doctest
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
import yaml

from mailingest.config import Settings
from tests.docs.blocks import MARKS, ROOT, Block, Command, all_blocks, blocks_of
from tests.docs.sandbox import Outcome, Sandbox

BLOCKS: Final = all_blocks()
LOG: Final = Path(__file__).with_name("mail.log").read_text("utf-8")

# What no test can try, by document and first line, with the reason.  Keep it short: a block that
# another test tries has that test's path in a comment above it (`<!-- tested: PATH -->`).
EXCEPTIONS: Final = {
    ("README.md", "$ make test"): "runs this test",
    ("docs/install.md", "$ make container BASE=docker.io/library/python:3.13-slim"): (
        "takes an image of a registry"
    ),
    ("docs/service.md", "# apt-get install --yes python3-venv rsyslog"): (
        "fetches from PyPI; `make test` has installed the same in the same way"
    ),
    ("docs/service.md", "# PIPX_HOME=/opt/pipx PIPX_BIN_DIR=/usr/local/bin pipx install ."): (
        "fetches from PyPI; tests/system/test_packaging.py has the wheel"
    ),
    ("docs/service.md", "$ pipx install ."): "likewise",
    ("docs/service.md", "# install -m 600 /dev/stdin /etc/mailingest/elasticsearch-password"): (
        "an editor opens"
    ),
    (
        "docs/service.md",
        "# mailingest units /etc && systemd-sysusers && systemctl daemon-reload && "
        "systemctl restart mailingest",
    ): "tests/system/test_systemd.py has the state of such a unit",
    (
        "docs/security.md",
        "$ curl -O https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip",
    ): ("fetches a list of some 100 MB from a public server"),
    ("docs/reliability.md", "$ .venv/bin/pip install --require-hashes -r requirements/fuzz.txt"): (
        "installs a fuzzer and runs it for a quarter of an hour"
    ),
    ("docs/reliability.md", "$ journalctl -u mailingest | grep 'of the spool'"): (
        "shows what a damaged disk leaves; tests/system/test_damaged_spool.py makes one"
    ),
}


def configuration(block: Block) -> None:
    """Settings of mailingest."""
    Settings.model_validate(tomllib.loads(block.text))


def requests(block: Block) -> None:
    """What is typed into a console of Kibana: a method, a path, and JSON if there is a body."""
    for request in re.split(r"^(?=[A-Z]+ \S)", block.text, flags=re.MULTILINE)[1:]:
        line, _, body = request.partition("\n")
        assert re.fullmatch(r"(GET|PUT|POST|DELETE|HEAD) \S+", line), line
        if body.strip():
            json.loads(body)


def rsyslog(block: Block, directory: Path) -> None:
    """What rsyslog itself says of a configuration."""
    program = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin")
    assert program is not None, "no rsyslogd: install it with: apt-get install rsyslog"
    file = directory / "rsyslog.conf"
    file.write_text(
        f'global(workDirectory="{directory}")\n{block.text}'
        # It takes no configuration that does nothing.
        '*.* action(type="omfile" file="/dev/null")\n'
    )
    done = subprocess.run(
        [program, "-N1", "-f", str(file)], capture_output=True, text=True, check=False
    )
    said = re.sub(
        r".*(config validation run|End of config validation|rsyslogd 8).*\n?", "", done.stderr
    )
    assert (done.returncode, said.strip()) == (0, "")


def unit(block: Block, directory: Path) -> None:
    """What systemd itself says of a part of a unit."""
    file = directory / "documented.service"
    file.write_text(f"[Service]\nExecStart=/bin/true\n{block.text}")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if file.name in line]
    assert (done.returncode, said) == (0, [])


def shell_script(block: Block) -> None:
    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)


CHECKS: Final[dict[str, Callable[[Block], object]]] = {
    "toml": configuration,
    "http": requests,
    "json": lambda block: json.loads(block.text),
    "yaml": lambda block: list(yaml.safe_load_all(block.text)),
    "sh": shell_script,
    # Pictures, log lines and what a program shows: nothing to run.
    "text": lambda block: None,
}
WITH_FILES: Final[dict[str, Callable[[Block, Path], None]]] = {"rsyslog": rsyslog, "ini": unit}
SESSIONS: Final = ("console", "python")
"""Languages whose blocks are run one after the other, document by document."""


def is_tried_here(block: Block) -> bool:
    return "tested" not in block.marks and block.key not in EXCEPTIONS


def of(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language and is_tried_here(block)]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_it_is_known_how_each_block_is_tested(block: Block) -> None:
    assert set(block.marks) <= set(MARKS), "see docs/architecture.md for the marks"
    if is_tried_here(block):
        assert block.language in {*CHECKS, *WITH_FILES, *SESSIONS}, (
            f"{block.name}: nothing here knows how to try ```{block.language};"
            " docs/architecture.md says what is tried"
        )
    if "tested" in block.marks:
        test = (ROOT / block.marks["tested"]).read_text("utf-8")
        assert block.document.name in test, f"{block.marks['tested']} does not name the document"


def test_every_exception_is_about_a_block() -> None:
    assert set(EXCEPTIONS) <= {block.key for block in BLOCKS}


@pytest.mark.parametrize(
    "block",
    [block for language in CHECKS for block in of(language)],
    ids=lambda block: f"{block.name}",
)
def test_what_is_not_run_is_valid(block: Block) -> None:
    CHECKS[block.language](block)


@pytest.mark.parametrize(
    "block",
    [block for language in WITH_FILES for block in of(language)],
    ids=lambda block: block.name,
)
def test_the_program_takes_its_configuration(block: Block, tmp_path: Path) -> None:
    WITH_FILES[block.language](block, tmp_path)


@pytest.mark.parametrize(
    "document", [*{block.document: None for block in of("python")}], ids=lambda path: path.name
)
def test_the_examples_in_python_run(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "\n".join(block.text for block in of("python") if block.document == document)
    examples = doctest.DocTestParser().get_doctest(text, {}, document.name, None, 0)
    assert examples.examples
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    assert runner.run(examples, out=report.append).failed == 0, "".join(report)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as one:
        yesterday = datetime.now(UTC) - timedelta(days=1)
        one.write("/var/log/mail.log", LOG.replace("{day}", f"{yesterday:%Y-%m-%d}"))
        earlier = LOG.replace("{day}", "2026-11-24").replace(": 4cX", ": 4cW")
        one.write("/var/log/mail.log.1", earlier)
        yield one


@pytest.mark.lab
@pytest.mark.parametrize(
    "document", [*{block.document: None for block in of("console")}], ids=lambda path: path.name
)
def test_the_commands_of_a_document_do_what_it_says(document: Path, sandbox: Sandbox) -> None:
    for block in blocks_of(document):
        if block.language == "console" and is_tried_here(block):
            try_console(block, sandbox)


def try_console(block: Block, sandbox: Sandbox) -> None:
    wanted = block.marks.get("with", "").split(" and ")
    if "store" in wanted:
        sandbox.run("mailingest replay '/var/log/mail.log*'")
    if "daemon" in wanted:
        sandbox.start("mailingest run", until='"event": "started"')
    for command in block.commands:
        if "until" in block.marks:
            sandbox.start(command.text, until=block.marks["until"])
            continue
        outcome = sandbox.run(command.text, block.marks.get("input", ""))
        expected = {int(block.marks.get("exit", "0"))}
        if "| grep" in command.text and not command.shown:
            # There may be nothing to find.
            expected.add(1)
        assert outcome.code in expected, f"{block.name}: {command.text}\n{outcome}"
        if command.shown:
            assert_shown(block, command, outcome)


def assert_shown(block: Block, command: Command, outcome: Outcome) -> None:
    """Each … stands for any text; with the mark ``shape``, each number for any number."""
    shown, *written = (
        _without_figures(text) if "shape" in block.marks else text
        for text in (command.shown, outcome.out, outcome.err, outcome.out + outcome.err)
    )
    pattern = ".*?".join(re.escape(part) for part in shown.strip().split("…"))
    assert any(re.fullmatch(pattern, text.strip(), re.DOTALL) for text in written), (
        f"{block.name}: {command.text}\n{outcome}"
    )


def _without_figures(text: str) -> str:
    return re.sub(r"\d[\d.,:+T-]*", "N", text)


def test_what_is_shown_is_compared() -> None:
    block = Block(ROOT / "README.md", 1, "console", "$ echo one two\none …\n")
    [command] = block.commands
    assert_shown(block, command, Outcome(0, "one two\n", ""))
    with pytest.raises(AssertionError):
        assert_shown(block, command, Outcome(0, "two one\n", ""))
    assert command == Command("echo one two", "one …")
