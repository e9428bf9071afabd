"""The totals of a report are pflogsumm's, but for what docs/report.md says is counted otherwise."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from benchmarks.generate import generate
from tests.support.pflogsumm import assert_totals_of_pflogsumm

SCENARIOS: Final = Path(__file__).parents[1] / "data" / "scenarios" / "mail.log.gz"


def scenarios() -> list[bytes]:
    """What a real Postfix logged, but for other instances, which pflogsumm leaves out."""
    return gzip.decompress(SCENARIOS.read_bytes()).splitlines()


def generated() -> list[bytes]:
    """A day of a site with a content filter."""
    return list(generate(20_000, 7))


@pytest.mark.parametrize("log", [scenarios, generated])
def test_totals_are_those_of_pflogsumm(log: Callable[[], list[bytes]], tmp_path: Path) -> None:
    assert_totals_of_pflogsumm(log(), tmp_path)
