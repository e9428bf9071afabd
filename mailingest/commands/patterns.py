"""YAML cases of patterns -> a report: what each pattern captures, against what it should.

A case has a ``pattern``, which is a grok expression, the ``data`` to search, and the ``results``,
texts by field, which have to be among the captured values.  There is one case a YAML document.
All values are texts as they are written: 2.0 stays 2.0.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import orjson
import yaml

from mailingest.config import Settings
from mailingest.errors import UsageError
from mailingest.escaping import escape_terminal
from mailingest.grok.library import Library
from mailingest.grok.matcher import GrokSearch
from mailingest.wiring import read_definitions

_KEYS = ("pattern", "data", "results")
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Case:
    """A case and where it stands."""

    file: str
    line: int
    pattern: str
    data: str
    results: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that is not as expected; None if there is none in the data."""

    field: str
    expected: str
    got: str | None


@dataclass(frozen=True, slots=True)
class CaseResult:
    """``reason`` says why the pattern does not match at all, "" if it does."""

    file: str
    line: int
    pattern: str
    data: str
    passed: bool
    reason: str
    differences: Sequence[Difference]


def run(settings: Settings, paths: Sequence[Path], out: TextIO, *, as_json: bool) -> bool:
    """Try all cases of files and directories, and report; whether all have passed."""
    library = Library(read_definitions(settings), {})
    searches: dict[str, GrokSearch | UsageError] = {}
    results = []
    for case in read_cases(paths):
        if case.pattern not in searches:
            searches[case.pattern] = _compiled(library, case.pattern)
        results.append(_result(case, searches[case.pattern]))
    if as_json:
        out.writelines(orjson.dumps(asdict(one)).decode() + "\n" for one in results)
    else:
        out.writelines(f"{line}\n" for line in _report(results))
    return all(one.passed for one in results)


def read_cases(paths: Sequence[Path]) -> Iterator[Case]:
    """All cases in files, and in the YAML files below directories; raises UsageError."""
    for path in paths:
        files = _files(path)
        if not files:
            raise UsageError(f"{path}: there is no case in it: cases are files named *.yaml")
        for file in files:
            yield from _read(file)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(one for one in path.rglob("*") if one.suffix in _SUFFIXES and one.is_file())


def _read(file: Path) -> Iterator[Case]:
    try:
        nodes = list(yaml.compose_all(file.read_text("utf-8"), Loader=yaml.BaseLoader))
    except OSError as error:
        raise UsageError(f"{file}: cannot read the cases: {error.strerror}") from None
    except UnicodeError:
        raise UsageError(f"{file}: the cases are not UTF-8: convert the file") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        reason = error.problem or error.context
        raise UsageError(f"{place}: not YAML: {reason}: put the text in quotes") from None
    except (yaml.YAMLError, RecursionError) as error:
        # Characters that YAML does not allow, or brackets in brackets in brackets.
        reason = " ".join(str(error).split())
        raise UsageError(f"{file}: not YAML: {reason}: take it out") from None
    for node in nodes:
        yield _case(file, node)


def _case(file: Path, node: yaml.Node) -> Case:
    keys = _mapping(file, node, "a case")
    for key in _KEYS:
        if key not in keys:
            needed = ", ".join(_KEYS)
            raise UsageError(f"{_place(file, node)}: the case has no {key}: it needs {needed}")
    results = _mapping(file, keys["results"], "results")
    return Case(
        str(file),
        node.start_mark.line + 1,
        _text(file, keys["pattern"], "pattern"),
        _text(file, keys["data"], "data"),
        {field: _text(file, value, field) for field, value in results.items()},
    )


def _mapping(file: Path, node: yaml.Node, what: str) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        raise UsageError(f"{_place(file, node)}: {what} must be lines of `name: text`, or {{}}")
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = _text(file, key, "a name")
        if name in found:
            raise UsageError(f"{_place(file, key)}: {name} is there twice: take one out")
        found[name] = value
    return found


def _text(file: Path, node: yaml.Node, what: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise UsageError(f"{_place(file, node)}: {what} must be a text: put it in quotes")
    return str(node.value)


def _place(file: Path, node: yaml.Node) -> str:
    return f"{file}:{node.start_mark.line + 1}"


def _compiled(library: Library, pattern: str) -> GrokSearch | UsageError:
    try:
        return library.compile_search(pattern)
    except UsageError as error:
        return error


def _result(case: Case, search: GrokSearch | UsageError) -> CaseResult:
    captured = None
    reason = "the pattern does not match"
    if isinstance(search, UsageError):
        reason = str(search)
    else:
        captured = search.search(case.data)
    differences = [
        Difference(field, expected, captured.get(field))
        for field, expected in case.results.items()
        if captured is not None and captured.get(field) != expected
    ]
    return CaseResult(
        case.file,
        case.line,
        case.pattern,
        case.data,
        captured is not None and not differences,
        reason if captured is None else "",
        differences,
    )


def _report(results: Sequence[CaseResult]) -> Iterator[str]:
    failed = [one for one in results if not one.passed]
    for one in failed:
        yield f"FAILED  {escape_terminal(one.file)}:{one.line}: {escape_terminal(one.pattern)}"
        yield f"        {escape_terminal(one.data)}"
        if one.reason:
            yield f"        {escape_terminal(one.reason)}"
        for difference in one.differences:
            got = "nothing" if difference.got is None else escape_terminal(repr(difference.got))
            expected = escape_terminal(repr(difference.expected))
            yield f"        {escape_terminal(difference.field)}: expected {expected}, got {got}"
    yield (
        f"{len(results)} cases, {len(failed)} failed" if failed else f"{len(results)} cases pass"
    )
