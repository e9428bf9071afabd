"""The public API: its examples run, and every name is documented."""

import doctest
import re
from pathlib import Path

import pytest

from mailingest import api

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")


def test_the_examples_of_the_documentation_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parser = doctest.DocTestParser()
    examples = parser.get_doctest(TEXT.replace("```", ""), {}, "docs/api.md", None, 0)
    assert len(examples.examples) > 10
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    results = runner.run(examples, out=report.append)
    assert results.failed == 0, "".join(report)


def test_every_public_name_is_documented() -> None:
    documented = set(re.findall(r"`(\w+)`", TEXT.partition("## All names")[2]))
    assert set(api.__all__) <= documented
