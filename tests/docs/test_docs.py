"""The documentation says all there is, and nothing that is not."""

import re
from pathlib import Path
from typing import get_args

import pytest

from mailingest.cli import app
from mailingest.postfix import enrichment as correlation
from mailingest.postfix import parser as events
from mailingest.service.counters import COUNTERS
from mailingest.stores.gaps import GapCode
from mailingest.syslog import header as records

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def commands() -> list[str]:
    groups = [group.name for group in app.registered_groups if group.name]
    single = [one.name or one.callback.__name__ for one in app.registered_commands if one.callback]
    return single + groups


@pytest.mark.parametrize("command", commands())
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"`mailingest {command}" in README


def test_every_command_in_the_readme_exists() -> None:
    assert set(re.findall(r"`mailingest ([a-z-]+)", README)) == set(commands())


def test_the_counters_in_the_readme_are_those_that_are_declared() -> None:
    section = README.partition("## Counters")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z_]+)` \| (.+) \|$", section, re.MULTILINE)
    assert rows == [(counter.name, counter.help) for counter in COUNTERS]


@pytest.mark.parametrize(
    "tag",
    [
        events.POSTFIX_SUCCESS,
        events.TYPE_MISMATCH,
        correlation.CORRELATION_NOMATCH,
        records.HEADER_NOMATCH,
        records.PROGRAM_NOMATCH,
        records.TIME_NOMATCH,
        records.CHARSET_MISMATCH,
        records.REPEATED,
    ],
)
def test_every_tag_is_in_the_readme(tag: str) -> None:
    assert f"| `{tag}` |" in README


def test_every_reason_why_an_answer_is_not_whole_is_in_the_readme() -> None:
    section = README.partition("| code | what is missing |")[2].partition("\n\n")[0]
    first_cells = [row.split("|")[1] for row in section.splitlines()[2:]]
    codes = [code for cell in first_cells for code in re.findall(r"`([a-z_]+)`", cell)]
    assert sorted(codes) == sorted(get_args(GapCode))


@pytest.mark.parametrize(
    "path", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")], ids=lambda path: path.name
)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text("utf-8")):
        assert (path.parent / target).exists(), target
