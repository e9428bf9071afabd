"""`mailingest patterns test`: cases as they are written for Logstash, tried and reported."""

import io
from pathlib import Path
from typing import Any

import orjson
import pytest

from mailingest.commands.patterns import Case, read_cases, run
from mailingest.config import Settings
from mailingest.errors import UsageError

GOOD = """
# A comment, and what YAML would take for a number, a date and nothing.
pattern: ^%{VERSION}$
data: "2.0 from 2026-11-24"
results:
    major: 2
    number: 2.0
    day: 2026-11-24
    rest:
"""
PATTERNS = (
    r"VERSION (?<number>(?<major>\d)\.\d) from (?<day>[\d-]+)(?<rest>.*)" + "\n"
    r"ONE_OF (?<which>a)|(?<which>b)-%{INT:[deep][er]:int}" + "\n"
)


def case(pattern: str, data: str, results: str = "{}") -> str:
    return f"pattern: '{pattern}'\ndata: {data}\nresults: {results}\n"


def tried(tmp_path: Path, *documents: str, as_json: bool = False) -> tuple[bool, list[str]]:
    """The verdict on a file of these documents, and the lines of the report."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "patterns").write_text(PATTERNS)
    cases = tmp_path / "cases"
    cases.mkdir()
    (cases / "all.yaml").write_text("\n---\n".join(documents))
    settings = Settings.model_validate({"grok": {"patterns_dirs": [tmp_path / "own"]}})
    out = io.StringIO()
    passed = run(settings, [cases], out, as_json=as_json)
    return passed, out.getvalue().splitlines()


def test_cases_that_pass_are_counted(tmp_path: Path) -> None:
    documents = [
        GOOD,
        case("%{ONE_OF}", "x b-7", "{which: b, deep.er: 7}"),
        case("^a$", '"b\\na"'),
        case("^%{POSTFIX_QMGR}$", "'4F2A11E0ABC: removed'", "{postfix_queueid: 4F2A11E0ABC}"),
    ]

    assert tried(tmp_path, *documents) == (True, ["4 cases pass"])


def test_a_case_that_fails_is_reported_with_its_place_and_the_difference(tmp_path: Path) -> None:
    passed, lines = tried(tmp_path, GOOD, case("%{ONE_OF}", "a", "{which: b, other: 1}"))
    line = GOOD.count("\n") + 3

    assert not passed
    assert lines == [
        f"FAILED  {tmp_path}/cases/all.yaml:{line}: %{{ONE_OF}}",
        "        a",
        "        which: expected 'b', got 'a'",
        "        other: expected '1', got nothing",
        "2 cases, 1 failed",
    ]


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        pytest.param("^%{ONE_OF}$", "the pattern does not match", id="no match"),
        pytest.param(
            "%{NONE}",
            "pattern %{NONE}: there is no pattern NONE: define it or correct it",
            id="no such pattern",
        ),
        pytest.param("(a", "pattern (a: missing )", id="no regular expression"),
    ],
)
def test_why_there_is_no_match_is_reported(tmp_path: Path, pattern: str, reason: str) -> None:
    passed, lines = tried(tmp_path, case(pattern, "xa"))

    assert not passed
    assert lines[2].startswith(f"        {reason}")
    assert lines[-1] == "1 cases, 1 failed"


def test_a_report_does_nothing_to_a_terminal(tmp_path: Path) -> None:
    _, lines = tried(tmp_path, case("x", r'"\e]0;title\a"'))

    assert lines[1] == r"        \x1b]0;title\x07"


def test_as_json_there_is_an_object_a_case(tmp_path: Path) -> None:
    documents = [case("%{ONE_OF}", "a", "{which: b}"), case("x", "y"), case("x", "x")]
    passed, lines = tried(tmp_path, *documents, as_json=True)
    rows: list[dict[str, Any]] = [orjson.loads(line) for line in lines]

    assert not passed
    assert [(row["passed"], row["reason"], row["differences"]) for row in rows] == [
        (False, "", [{"field": "which", "expected": "b", "got": "a"}]),
        (False, "the pattern does not match", []),
        (True, "", []),
    ]
    assert set(rows[0]) == {
        *("file", "line", "pattern", "data", "passed", "reason", "differences"),
    }


def test_directories_are_searched_and_files_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "b.yml").write_text(case("b", "b"))
    (tmp_path / "deep" / "a.yaml").write_text(case("a", "a"))
    (tmp_path / "deep" / "LICENSE").write_text("not a case")
    (tmp_path / "c").write_text(case("c", "c"))
    found = list(read_cases([tmp_path / "deep", tmp_path / "c"]))

    assert [one.pattern for one in found] == ["a", "b", "c"]
    assert found[2] == Case(str(tmp_path / "c"), 1, "c", "c", {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            "data: x\npattern: %{X}\n",
            ":2:10: not YAML: found character '%' that cannot start any token: "
            "put the text in quotes",
            id="a text that needs quotes",
        ),
        pytest.param("a: b\x00\n", ": not YAML: ", id="a character that YAML has not"),
        pytest.param("[" * 5000, ": not YAML: ", id="too many brackets"),
        pytest.param(
            "pattern: a\ndata: x\n",
            ":1: the case has no results: it needs pattern, data, results",
            id="no results",
        ),
        pytest.param(
            f"{case('a', 'a')}---\npattern: a\nresults: {{}}\n",
            ":5: the case has no data: it needs pattern, data, results",
            id="no data in a later case",
        ),
        pytest.param("- a\n", ":1: a case must be lines of `name: text`", id="a list"),
        pytest.param("text\n", ":1: a case must be lines of `name: text`", id="a text"),
        pytest.param(
            case("a", "a", "[b]"), ":3: results must be lines of `name: text`, or {}", id="results"
        ),
        pytest.param(case("a", "{b: c}"), ":2: data must be a text: put it in quotes", id="data"),
        pytest.param(
            case("a", "a", "{b: {c: d}}"), ":3: b must be a text: put it in quotes", id="a result"
        ),
        pytest.param(
            case("a", "a") + "data: b\n", ":4: data is there twice: take one out", id="twice"
        ),
    ],
)
def test_what_is_not_a_case_is_named_with_its_place(
    tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(content)
    with pytest.raises(UsageError) as refused:
        list(read_cases([file]))

    assert str(refused.value).startswith(f"{file}{message}")
    assert "\n" not in str(refused.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "latin1.yaml").write_bytes(b"pattern: \xe9\n")

    with pytest.raises(UsageError, match=r"latin1\.yaml: the cases are not UTF-8: convert the"):
        list(read_cases([tmp_path]))
    with pytest.raises(UsageError, match=r"none\.yaml: cannot read the cases: No such file"):
        list(read_cases([tmp_path / "none.yaml"]))


def test_a_directory_without_cases_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no case in it: cases are files named"):
        list(read_cases([tmp_path]))
