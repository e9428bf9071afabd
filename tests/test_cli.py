"""The command line as a user meets it: help, exit codes, one line for each mistake."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mailingest import __version__, build
from tests.support.lab.polling import PATIENCE

COMMANDS = ("run", "replay", "parse", "check", "setup", "retention")


def mailingest(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mailingest", *arguments]
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def test_the_version_is_told() -> None:
    done = mailingest("--version")
    assert (done.returncode, done.stdout) == (0, f"mailingest {__version__} ({build()})\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str) -> None:
    done = mailingest(command, "--help")
    assert done.returncode == 0
    assert "--config" in done.stdout


@pytest.mark.parametrize("group", [[], ["store"], ["deadletter"], ["patterns"], ["spool"]])
def test_the_summaries_of_commands_fit_a_terminal(group: list[str]) -> None:
    done = mailingest(*group, "-h")
    assert done.returncode == 0
    summaries = done.stdout.partition("Commands:\n")[2]
    assert summaries
    assert "..." not in summaries
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_without_a_command_there_is_help() -> None:
    for group in ([], ["store"]):
        done = mailingest(*group)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.rstrip() == mailingest(*group, "--help").stdout.rstrip()


def test_values_are_named_by_what_they_are() -> None:
    done = mailingest("trace", "--help")
    assert "--from ADDRESS" in done.stdout
    assert "--since TIME" in done.stdout
    assert "--status VERDICT" in done.stdout
    assert not re.search(r" <\w", done.stdout.partition("Options:")[2])


def test_help_lists_the_commands_and_a_first_step() -> None:
    done = mailingest("--help")
    assert done.returncode == 0
    assert all(command in done.stdout for command in COMMANDS)
    assert "mail.*" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param(["runn"], "Did you mean", id="a command is misspelt"),
        pytest.param(["parse"], "see mailingest parse --help", id="an argument is missing"),
        pytest.param(["trace", "--form", "a"], "No such option", id="an option is misspelt"),
        pytest.param(["trace", "--limit", "x"], "--limit", id="a value is no number"),
        pytest.param(["trace", "--limit", "-1"], "--limit", id="a value is too small"),
        pytest.param(["trace", "--to"], "requires an argument", id="a value is missing"),
        pytest.param(["trace", "--json", "--short"], "not two of them", id="two forms"),
        pytest.param(["trace", "--raw", "--csv"], "--raw", id="lines in a table"),
        pytest.param(["store", "pack"], "No such command", id="a command of a group is misspelt"),
        pytest.param(["parse", "/nowhere/mail.log"], "no such file", id="a file is missing"),
        pytest.param(["parse", "/tmp"], "is a directory", id="a directory is given"),
        pytest.param(["parse", "/tmp/*.nothing"], "no file matches", id="a glob matches nothing"),
        pytest.param(["run", "-c", "/nowhere.toml"], "no such file", id="there is no such config"),
        pytest.param(["patterns", "test"], "Missing argument", id="no cases are given"),
        pytest.param(["patterns", "test", "/nowhere"], "No such file", id="there are no cases"),
        pytest.param(["setup", "--dry-run", "--diff"], "not both", id="two ways to show"),
        pytest.param(
            ["deadletter", "purge"], "--before TIME, --index NAME or --all", id="nothing is chosen"
        ),
        pytest.param(["deadletter", "purge", "--all"], "confirm with --yes", id="nobody is asked"),
    ],
)
def test_a_mistake_is_refused_without_a_traceback(arguments: list[str], complaint: str) -> None:
    done = mailingest(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert complaint in done.stderr
    assert all(line.startswith("mailingest: ") for line in done.stderr.splitlines())


def test_a_complaint_does_nothing_to_a_terminal(tmp_path: Path) -> None:
    name = tmp_path / "\x1b]0;owned\x07\x9b2J\u202e.log"
    done = mailingest("trace", "--file", str(name))
    assert done.returncode == 2
    assert r"\x1b]0;owned\x07\x9b2J\u202e.log" in done.stderr
    assert all(line.isprintable() for line in done.stderr.split("\n"))


def test_every_mistake_of_a_configuration_has_its_line(tmp_path: Path) -> None:
    config = tmp_path / "mailingest.toml"
    config.write_text('shutdwn_timeout = 3\n[log]\nlevel = "loud"\n')
    done = mailingest("check", "--config", str(config))
    assert done.returncode == 2
    level, unknown = done.stderr.splitlines()
    assert level == (
        f'mailingest: {config}:3: log.level: "loud": must be one of "debug", "info", "warning", '
        '"error": write level = "info" below [log]'
    )
    assert unknown.startswith(
        f"mailingest: {config}:1: shutdwn_timeout: no such setting, did you mean shutdown_timeout?"
    )


def test_a_bad_pattern_names_file_line_and_pattern(tmp_path: Path) -> None:
    (tmp_path / "mine.grok").write_text("# mine\nPOSTFIX_TEXT (\n")
    config = tmp_path / "mailingest.toml"
    config.write_text(f'[grok]\npatterns_dirs = ["{tmp_path}"]\n')
    (tmp_path / "mine.grok").rename(tmp_path / "patterns")
    config.write_text(f'[grok]\npatterns_dirs = ["{tmp_path / "dir"}"]\n')
    (tmp_path / "dir").mkdir()
    (tmp_path / "patterns").rename(tmp_path / "dir" / "mine.grok")
    done = mailingest("parse", "-c", str(config), "/dev/null")
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"mailingest: {tmp_path / 'dir' / 'mine.grok'}:2: pattern POSTFIX_TEXT: "
    )
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("data", "code"), [("'4F2A11E0ABC: removed'", 0), ("x", 1)])
def test_cases_of_patterns_decide_the_exit_code(tmp_path: Path, data: str, code: int) -> None:
    (tmp_path / "case.yaml").write_text(
        f"pattern: ^%{{POSTFIX_QMGR}}$\ndata: {data}\nresults: {{}}\n"
    )
    done = mailingest("patterns", "test", str(tmp_path))
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.splitlines()[-1] == ("1 cases pass", "1 cases, 1 failed")[code]


def test_the_password_of_a_user_may_come_through_a_pipe() -> None:
    command = [sys.executable, "-m", "mailingest", "web-user", "ann"]
    done = subprocess.run(
        command,
        input="s3cret\nrest\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    name, _, hashed = done.stdout.strip().partition(":")
    assert (name, done.stderr) == ("ann", "")
    assert hashed.startswith("scrypt$")
    nothing = mailingest("web-user", "ann")
    assert nothing.returncode == 2
    assert "no password on the standard input" in nothing.stderr


def test_the_printed_configuration_is_the_shipped_one() -> None:
    shipped = Path(__file__).parents[1] / "config" / "mailingest.toml"
    assert mailingest("config").stdout == shipped.read_text("utf-8")


def test_a_replay_of_nothing_says_so(tmp_path: Path) -> None:
    config = tmp_path / "mailingest.toml"
    config.write_text(f'[state]\ndirectory = "{tmp_path}"\n')
    done = mailingest("replay", "-", "--config", str(config))
    assert done.returncode == 0
    assert "there was no line in what was to be read" in done.stderr
