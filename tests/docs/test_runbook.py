"""docs/runbook.md has every message that mailingest can log, and no other."""

import re
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT
from tests.docs.log_messages import ANY_LEVEL, Message, messages, messages_of

SECTIONS = {
    "Errors": "error",
    "Warnings": "warning",
    "Information": "info",
    "Debug": "debug",
    "At any level": ANY_LEVEL,
}
_ROW = re.compile(r"^\| (?P<ticks>`+) ?(?P<message>.+?) ?(?P=ticks) \| .+ \|$", re.MULTILINE)


def documented() -> list[Message]:
    text = (ROOT / "docs" / "runbook.md").read_text("utf-8")
    return [
        (level, found["message"])
        for heading, level in SECTIONS.items()
        for found in _ROW.finditer(text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0])
    ]


def test_each_message_is_in_the_runbook_under_its_level() -> None:
    rows = documented()
    assert len(set(rows)) == len(rows)
    assert messages() - set(rows) == set(), "say in docs/runbook.md what they mean, and what to do"
    assert set(rows) - messages() == set(), "nothing logs these any more"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('log.warning("a", x=1)', {("warning", "a")}),
        ('log.exception("a " "b")', {("error", "a b")}),
        ('log.log(level, f"{what} waits")', {("any level", "… waits")}),
        ("log.info(f\"{'a' if x else 'b'} c\")", {("info", "a c"), ("info", "b c")}),
        ('T = {1: "a", 2: "b"}\nlog.info(T[x])', {("info", "a"), ("info", "b")}),
        ('T: Final = "a"\nlog.log(level, T)', {("any level", "a")}),
    ],
)
def test_messages_are_found_however_they_are_made(
    tmp_path: Path, source: str, expected: set[Message]
) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert set(messages_of(path)) == expected


def test_a_message_that_is_made_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("log.info(str(error))")
    with pytest.raises(ValueError, match="has to be constant"):
        list(messages_of(path))
