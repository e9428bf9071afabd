"""Patterns open to ReDoS are found by trying them, and linear ones are not reported."""

import re

import pytest

from mailingest.commands import redos_probe as module
from mailingest.commands.redos_probe import Probe, Slow, find_slow
from mailingest.config import Settings
from mailingest.grok.library import Library
from mailingest.grok.oniguruma import FLAGS
from mailingest.wiring import read_definitions


def probed(*patterns: str) -> list[Slow]:
    slow, undecided = find_slow(
        [Probe(pattern, (), re.compile(pattern, FLAGS)) for pattern in patterns]
    )
    assert undecided == 0
    return slow


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("(a+)+$", id="a repetition in a repetition"),
        pytest.param("(?:a|a)*b", id="alternatives that are the same"),
        pytest.param(r"(?:\w+\s?)+!", id="words"),
        pytest.param("x=<(?:[^,>]+,?)+>", id="a list, behind what leads to it"),
    ],
)
def test_a_match_that_does_not_end_is_given_up_and_reported(pattern: str) -> None:
    (slow,) = probed(pattern)

    assert (slow.name, slow.growth) == (pattern, None)
    assert "may take forever (ReDoS): " in str(slow)
    assert "* n" in str(slow)


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(r"\s*\s*x", id="two repetitions of the same"),
        pytest.param(".*,.*,.*x", id="three separators"),
        pytest.param("to=<.*>, relay=.*, status=x", id="free texts between"),
    ],
)
def test_a_match_that_grows_faster_than_its_text_is_reported(pattern: str) -> None:
    (slow,) = probed(pattern)

    assert slow.growth is not None
    assert slow.growth > 2
    assert "times as long with n twice as large" in str(slow)


def test_linear_patterns_are_not_reported() -> None:
    assert probed("a*b*c", r"\w++\s++x", ".*", "(?:[^,>]++,?)*+>", "(?>a|b)*c", r"a \S+ b.*") == []


def test_only_what_is_slow_by_itself_is_reported() -> None:
    patterns = {"SLOW": "(a+)+b", "USER": "x(a+)+b", "BESIDE": "(c+)+d"}
    probes = [
        Probe(name, {"SLOW"} if name == "USER" else (), re.compile(pattern))
        for name, pattern in patterns.items()
    ]

    assert [one.name for one in find_slow(probes)[0]] == ["SLOW", "BESIDE"]


def test_a_definition_is_reported_once() -> None:
    probes = [Probe("X", (), re.compile(pattern)) for pattern in ("(a+)+b", "(c+)+d")]

    assert [one.name for one in find_slow(probes)[0]] == ["X"]


def test_a_pattern_that_takes_too_long_to_try_is_counted_and_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_PATTERN_SECONDS", 0.0)
    patterns = {"LONG": r"\w+ \w+", "SLOW": "(a+)+b", "LONG_TOO": r"\d+-\d+", "SHORT": "a?b"}
    probes = [Probe(name, (), re.compile(pattern)) for name, pattern in patterns.items()]

    slow, undecided = find_slow(probes)

    assert ([one.name for one in slow], undecided) == (["SLOW"], 2)


def test_what_cannot_be_interrupted_is_ended_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PROCESS_SECONDS", 1)
    said = 'print("null", flush=True)\nprint("nu", end="", flush=True)'
    monkeypatch.setattr(module, "_START", f"{said}\nwhile True: pass")

    assert find_slow([Probe("X", (), re.compile("(a+)+b"))] * 3) == ([], 2)


def test_the_shipped_patterns_are_not_slow() -> None:
    library = Library(read_definitions(Settings()), {})
    probes = [
        Probe(definition.name, library.references(definition.name), pattern)
        for definition, pattern in library.alternatives()
    ]

    assert find_slow(probes) == ([], 0)
