"""The house as docs/architecture.md draws it, where import-linter cannot look."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mailingest"


def sources(*places: Path) -> Iterator[tuple[Path, ast.Module]]:
    for place in places:
        for path in sorted(place.rglob("*.py")):
            yield path, ast.parse(path.read_text("utf-8"))


def imported(tree: ast.Module) -> set[str]:
    names = {one.module for one in ast.walk(tree) if isinstance(one, ast.ImportFrom) and one.module}
    for one in ast.walk(tree):
        if isinstance(one, ast.Import):
            names |= {alias.name for alias in one.names}
    return names


def test_the_top_level_has_fewer_than_ten_modules() -> None:
    assert len(list(PACKAGE.glob("*.py"))) < 10


def test_only_the_postfix_room_spells_the_names_of_its_fields() -> None:
    """Others use the constants of `mailingest.postfix.names`; grok knows the one of a queue ID."""
    spelt = {
        path.relative_to(PACKAGE).as_posix()
        for path, tree in sources(PACKAGE)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith("postfix_")
    }
    # A pipeline of Logstash has its own names, of which some are like ours.
    own = ("postfix/", "logstash/")
    assert {name for name in spelt if not name.startswith(own)} <= {"grok/matcher.py"}


def test_tests_mirror_the_rooms() -> None:
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    of_tests = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    # What is to be seen in Prometheus: rules and dashboards of config/ with real parts.
    others = {"audit", "support", "system", "docs", "benchmarks", "goldens", "data", "monitoring"}
    others |= {"__pycache__"}
    assert of_tests - others <= rooms


def test_what_tests_and_benchmarks_share_lies_below_both() -> None:
    for path, tree in sources(ROOT / "tests" / "support"):
        if path.name.startswith("test_"):
            continue
        for name in imported(tree):
            assert not name.startswith("benchmarks"), path
            assert name.startswith("tests.support") or not name.startswith("tests"), path
    for path, tree in sources(ROOT / "benchmarks"):
        for name in imported(tree):
            assert name.startswith("tests.support") or not name.startswith("tests"), path
