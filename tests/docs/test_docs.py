"""The documentation says all there is, and nothing that is not."""

import re
from pathlib import Path
from typing import get_args

import pytest

from docs.counters import document
from mailingest.cli import app
from mailingest.postfix import enrichment as correlation
from mailingest.postfix import parser as events
from mailingest.postfix.event import POSTFIX_SUCCESS
from mailingest.stores.gaps import GapCode
from mailingest.syslog import header, records
from mailingest.trace.story import Verdict
from tests.docs.blocks import blocks_of
from tests.support.servers import OPTIONAL_KINDS

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md"))]


def text_of(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text("utf-8")


def section(text: str, heading: str) -> str:
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def commands() -> list[str]:
    groups = [group.name for group in app.registered_groups if group.name]
    single = [one.name or one.callback.__name__ for one in app.registered_commands if one.callback]
    return single + groups


@pytest.mark.parametrize("command", commands())
def test_every_command_is_documented(command: str) -> None:
    assert f"| `mailingest {command}" in text_of("commands")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_that_is_named_exists(path: Path) -> None:
    named = re.findall(r"`mailingest ([a-z][a-z-]*)", path.read_text("utf-8"))
    assert set(named) <= set(commands())


def test_the_counters_that_are_documented_are_those_that_are_declared() -> None:
    text = text_of("monitoring")
    assert text == document(text), "run: python -m docs.counters"


@pytest.mark.parametrize(
    "tag",
    [
        POSTFIX_SUCCESS,
        events.TYPE_MISMATCH,
        correlation.CORRELATION_NOMATCH,
        header.HEADER_NOMATCH,
        header.PROGRAM_NOMATCH,
        header.TIME_NOMATCH,
        header.CHARSET_MISMATCH,
        records.REPEATED,
    ],
)
def test_every_tag_is_documented(tag: str) -> None:
    assert f"| `{tag}` |" in text_of("events")


def test_every_reason_why_an_answer_is_not_whole_is_documented() -> None:
    rows = section(text_of("trace"), "When the answer is not whole")
    table = rows.partition("| code | what is missing |")[2].partition("\n\n")[0]
    first_cells = [row.split("|")[1] for row in table.splitlines()[2:]]
    codes = [code for cell in first_cells for code in re.findall(r"`([a-z_]+)`", cell)]
    assert sorted(codes) == sorted(get_args(GapCode))


def test_every_verdict_is_documented() -> None:
    table = section(text_of("trace"), "Verdicts")
    first_cells = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    verdicts = [one for cell in first_cells for one in re.findall(r"`([a-z_]+)`", cell)]
    assert sorted(verdicts) == sorted(get_args(Verdict))


def test_every_port_of_the_default_settings_is_in_the_security_model() -> None:
    settings = (ROOT / "config" / "mailingest.toml").read_text("utf-8")
    ports = set(re.findall(r"^(?:# )?port = (\d+)$", settings, re.MULTILINE))
    assert {"5000", "8025"} <= ports
    rows = re.findall(r"^\| (\d+)", section(text_of("security"), "Ports"), re.MULTILINE)
    assert ports <= set(rows)


def test_the_readme_says_which_servers_are_left_out() -> None:
    text = section((ROOT / "README.md").read_text("utf-8"), "Test it")
    assert "`MAILINGEST_TEST_SERVERS=all make test`" in text
    for kind in OPTIONAL_KINDS:
        assert kind.version.rpartition(".")[0] in text, kind


def test_the_readme_can_be_read_in_a_few_minutes() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 120


def test_the_recipe_of_the_readme_is_that_of_the_service() -> None:
    """Nobody has to compare them: README.md has the commands of docs/service.md, in their order."""
    recipe = [
        block for block in blocks_of(ROOT / "README.md") if block.text.startswith("# apt-get")
    ]
    commands = [line for block in recipe for line in block.text.splitlines()]
    explained = [
        line for block in blocks_of(ROOT / "docs/service.md") for line in block.text.splitlines()
    ]
    assert commands
    assert commands == [line for line in explained if line in commands]


def test_every_document_is_in_the_list_of_documents() -> None:
    names = {path.name for path in ROOT.glob("docs/*.md")} - {"README.md"}
    assert set(re.findall(r"^\| \[(.+?\.md)\]\(\1\) \|", text_of("README"), re.MULTILINE)) == names


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]+))?\)", prose(path)):
        file = (path.parent / target) if target else path
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), f"{target}#{anchor}"


def prose(path: Path) -> str:
    """The text of a document without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """What a heading is linked by, as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
