"""`mailingest run` does not start with a pattern of the site's own that a line can hold up."""

import subprocess
import sys
from pathlib import Path

import pytest

from mailingest.commands import pattern_guard as module
from mailingest.commands.pattern_guard import refuse_slow_patterns
from mailingest.config import Settings
from mailingest.errors import UsageError
from tests.support.lab.polling import PATIENCE


def settings(directory: Path, text: str, **grok: object) -> Settings:
    patterns = directory / "patterns"
    patterns.mkdir(exist_ok=True)
    (patterns / "mine.grok").write_text(text)
    return Settings.model_validate(
        {
            "state": {"directory": directory / "state"},
            "grok": {"patterns_dirs": [patterns], "programs": {"mine": "MINE"}, **grok},
        }
    )


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("MINE (a+)+$\n", "mine.grok:1: pattern MINE may take forever"),
        ("MINE x|y %{PART}\nPART (?:\\w+\\s?)+!\n", "mine.grok:2: pattern PART may take forever"),
        ("MINE ok\nMINE .*,.*,.*x\n", "mine.grok:2: pattern MINE is slow"),
        # A part of shipped patterns, in place of the shipped one.
        ("MINE ok\nPOSTFIX_WARNING (?:(?:\\w+)+,?)+;\n", "POSTFIX_WARNING may take forever"),
    ],
)
def test_a_slow_pattern_is_refused_with_its_place_and_a_payload(
    tmp_path: Path, text: str, culprit: str
) -> None:
    with pytest.raises(UsageError, match=culprit.replace("(", r"\(")) as refused:
        refuse_slow_patterns(settings(tmp_path, text))
    assert "allow_slow_patterns" in str(refused.value)
    # It is looked at again, not remembered.
    with pytest.raises(UsageError):
        refuse_slow_patterns(settings(tmp_path, text))
    refuse_slow_patterns(settings(tmp_path, text, allow_slow_patterns=True))


def test_what_no_line_is_matched_against_may_be_slow(tmp_path: Path) -> None:
    refuse_slow_patterns(settings(tmp_path, "MINE ok %{WORD:postfix_from}\nUNUSED (a+)+$\n"))


def test_what_was_probed_is_not_probed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_slow_patterns(settings(tmp_path, "MINE a+b\n"))
    with monkeypatch.context() as patch:
        patch.delattr(module, "find_slow")
        refuse_slow_patterns(settings(tmp_path, "MINE a+b\n"))
        with pytest.raises(NameError):
            refuse_slow_patterns(settings(tmp_path, "MINE a+c\n"))


def test_the_shipped_patterns_alone_are_not_probed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(module, "find_slow")
    refuse_slow_patterns(
        Settings.model_validate({"state": {"directory": tmp_path}, "grok": {"patterns_dirs": []}})
    )
    refuse_slow_patterns(settings(tmp_path, "UNUSED x\n", programs={}))


def test_the_command_says_so_and_ends_with_2(tmp_path: Path) -> None:
    patterns = tmp_path / "patterns"
    patterns.mkdir()
    (patterns / "mine.grok").write_text("MINE (a+)+$\n")
    config = tmp_path / "mailingest.toml"
    config.write_text(
        f'[state]\ndirectory = "{tmp_path}/state"\n[inputs]\nudp = []\ntcp = []\n'
        f'[grok]\npatterns_dirs = ["{patterns}"]\n[grok.programs]\nmine = "MINE"\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "mailingest", "run", "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert f"{patterns}/mine.grok:1: pattern MINE may take forever (ReDoS)" in done.stderr
    assert "Traceback" not in done.stderr
