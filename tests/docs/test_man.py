"""The manual pages: all commands, options and settings, and nothing that a reader complains of."""

import re
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from docs.man import CONFIG, Page, pages
from mailingest.cli import app
from tests.support.lab.polling import PATIENCE

DAY = date(2026, 11, 24)


@pytest.fixture(scope="module")
def written() -> dict[str, Page]:
    return {page.filename: page for page in pages(CONFIG.read_text("utf-8"), DAY)}


def commands(command: Any, name: str) -> dict[str, Any]:
    """All commands by the names of their pages."""
    found = {f"{name}.1": command}
    for called, each in getattr(command, "commands", {}).items():
        found |= commands(each, f"{name}-{called}")
    return found


def plain(text: str) -> str:
    return text.replace(r"\-", "-").replace(r"\(dq", '"').replace(r"\(aq", "'")


def test_each_command_has_a_page_with_its_options(written: dict[str, Page]) -> None:
    of_program = commands(get_command(app), "mailingest")
    assert set(written) == {*of_program, "mailingest.toml.5"}
    for name, command in of_program.items():
        context = typer.Context(command)
        for parameter in command.get_params(context):
            if record := parameter.get_help_record(context):
                assert f".B {record[0]}\n" in plain(written[name].text)


def test_each_setting_is_under_its_table(written: dict[str, Page]) -> None:
    tables: dict[str, list[str]] = {}
    place = tables[""] = []
    for line in CONFIG.read_text("utf-8").splitlines():
        if line.startswith("["):
            place = tables.setdefault(line, [])
        elif re.match(r"\w+ = ", line):
            place.append(line)
    found: dict[str, list[str]] = {"": []}
    for line in plain(written["mailingest.toml.5"].text).splitlines():
        if line.startswith(".SS "):
            found.setdefault(table := line.removeprefix(".SS "), [])
        elif re.match(r"\.B \w+ = ", line):
            found[table if len(found) > 1 else ""].append(line.removeprefix(".B "))
    assert found == tables


def test_a_reader_has_nothing_to_complain_of(written: dict[str, Page], tmp_path: Path) -> None:
    files = [tmp_path / page.filename for page in written.values()]
    for file in files:
        file.write_text(written[file.name].text, "utf-8")
    for reader in (["mandoc", "-Tlint", "-W", "warning"], ["man", "--warnings", "-l"]):
        done = subprocess.run(
            [*reader, *map(str, files)],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        complaints = done.stdout if reader[0] == "mandoc" else done.stderr
        assert (done.returncode, complaints) == (0, "")


def test_text_is_no_request_of_the_page() -> None:
    [*_, page] = pages("# .so /etc/passwd\n# and \\fB 'quoted'\nname = 1\n", DAY)
    assert "\\&.so /etc/passwd and \\efB \\(aqquoted\\(aq\n" in page.text
