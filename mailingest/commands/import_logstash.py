"""`mailingest import-logstash`: reads a pipeline's files, writes a configuration and patterns."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TextIO

import yaml

from mailingest.commands.pattern_guard import own_probes
from mailingest.commands.redos_probe import find_slow
from mailingest.config import Settings, data_directory
from mailingest.config.sections import Inputs
from mailingest.errors import UsageError
from mailingest.escaping import escape_terminal
from mailingest.grok.definitions import Definition, parse_definitions
from mailingest.logstash.grammar import parse_pipeline
from mailingest.logstash.interpretation import (
    Imported,
    Source,
    directories_of,
    interpret,
    pattern_definitions,
)
from mailingest.logstash.report import Entry, lines, needs_somebody, summary
from mailingest.logstash.tree import Pipeline, Place
from mailingest.wiring import read_definitions

EXIT_NOTHING: Final = 1
EXIT_DECIDE: Final = 3
CONFIGURATION: Final = "mailingest.toml"
PATTERNS: Final = "patterns"
_PATTERN_FILE: Final = "logstash.grok"
# Where a directory of configuration files is, below the one that was named.
_BELOW: Final = ("conf.d", "pipeline", "config")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for: the pipeline, more directories of patterns, and where to write."""

    paths: Sequence[Path]
    patterns: Sequence[Path]
    output: Path
    force: bool


def run(wanted: Wanted, out: TextIO, *, as_json: bool) -> int:
    """Import a pipeline; prints what became of it, and gives the exit code.

    Raises UsageError if something cannot be read or written; nothing is written then.
    """
    source = read_source(wanted.paths, wanted.patterns)
    imported = interpret(source, shipped_definitions(), set(Inputs.model_fields))
    if not imported.is_postfix:
        print(
            "nothing to import: no plugin, condition or pattern of this pipeline is about Postfix",
            file=sys.stderr,
        )
        return EXIT_NOTHING
    settings, files = _files(imported, wanted)
    _write(files, wanted.output, force=wanted.force)
    imported = replace(imported, entries=[*imported.entries, *_slow(settings)])
    if as_json:
        for entry in imported.entries:
            place = entry.place
            line = {"file": place.file, "line": place.line, "column": place.column}
            line |= {"what": entry.what, "kind": entry.kind}
            line |= {"verdict": entry.verdict, "text": entry.text}
            print(json.dumps(line, ensure_ascii=False), file=out)
    else:
        for text in _report(imported, files, wanted.output):
            print(escape_terminal(text), file=out)
    return EXIT_DECIDE if needs_somebody(imported.entries) else 0


def _report(imported: Imported, files: Mapping[str, str], output: Path) -> Iterator[str]:
    yield from lines(imported.entries)
    yield ""
    yield f"written: {', '.join(str(output / name) for name in files)}"
    for text in imported.to_do:
        yield f"to do: {text}"
    yield f"next: mailingest check --config {output / CONFIGURATION}"
    yield summary(imported.entries)


def read_source(paths: Sequence[Path], more_patterns: Sequence[Path] = ()) -> Source:
    """A pipeline as its files have it; raises UsageError."""
    escapes = any(_support_escapes(path) for path in paths)
    files = [_parsed(file, base) for file, base in _configuration_files(paths)]
    found, missing = _pattern_files(files, paths, more_patterns, escapes=escapes)
    names = ((_shown(file, file.parent.parent), file) for file in found)
    definitions, others = pattern_definitions((name, _text(file)) for name, file in names)
    return Source(files, definitions, missing, escapes, others)


def _parsed(file: Path, base: Path) -> Pipeline:
    """The tree of a file under its short name; an error has the whole one."""
    name, text = _shown(file, base), _text(file)
    try:
        return parse_pipeline(name, text)
    except UsageError as error:
        raise UsageError(f"{file}{str(error).removeprefix(name)}") from None


def _shown(file: Path, base: Path) -> str:
    return str(file.relative_to(base)) if file.is_relative_to(base) else str(file)


def _configuration_files(paths: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Files and what their names begin with: as they are named, and those of directories in the
    order of their names."""
    for path in paths:
        if not path.is_dir():
            yield path, path.parent
            continue
        found = next(
            filter(None, (sorted(one.glob("*.conf")) for one in (path, *_below(path)))), []
        )
        if not found:
            raise UsageError(
                f"{path}: has no *.conf, nor have {', '.join(_BELOW)} below it: name the directory "
                "or the files that path.config of logstash.yml or pipelines.yml names"
            )
        yield from ((file, path) for file in found)


def _below(path: Path) -> list[Path]:
    return [path / name for name in _BELOW]


def _pattern_files(
    files: Iterable[Pipeline], paths: Sequence[Path], more: Sequence[Path], *, escapes: bool
) -> tuple[list[Path], bool]:
    """The files of all directories of patterns, and whether one of those is not there."""
    directories = list(more)
    missing = False
    for named in directories_of(files, escapes=escapes):
        near = [Path(named), *(_near(path, Path(named).name) for path in paths)]
        found = next((one for one in near if one.is_dir()), None)
        if found is not None:
            directories.append(found)
        elif not more:
            missing = True
    listed = (_listed(one) for one in dict.fromkeys(directories))
    return [file for found in listed for file in found], missing


def _near(path: Path, name: str) -> Path:
    """A directory of that name beside the configuration files, or beside their directory."""
    base = path if path.is_dir() else path.parent
    return base / name if (base / name).is_dir() else base.parent / name


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(one for one in directory.iterdir() if one.is_file() and one.name[0] != ".")
    except OSError as error:
        raise UsageError(f"{directory}: cannot read the patterns: {error.strerror}") from None


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeError:
        raise UsageError(f"{file}: is not UTF-8: convert the file") from None


def _support_escapes(path: Path) -> bool:
    """config.support_escapes of the logstash.yml beside the files, or above them."""
    base = path if path.is_dir() else path.parent
    for directory in (base, base.parent):
        file = directory / "logstash.yml"
        if not file.is_file():
            continue
        try:
            content: Any = yaml.safe_load(_text(file))
        except yaml.YAMLError:
            raise UsageError(f"{file}: is not YAML") from None
        if isinstance(content, dict):
            nested = content.get("config")
            below = nested.get("support_escapes") if isinstance(nested, dict) else None
            return bool(content.get("config.support_escapes", below))
    return False


def shipped_definitions() -> dict[str, Definition]:
    """mailingest's own patterns by name."""
    return {
        one.name: one
        for file in sorted(data_directory("patterns").iterdir())
        if file.suffix == ".grok"
        for one in parse_definitions(str(file), file.read_text("utf-8"))
    }


def _slow(settings: Settings) -> Iterator[Entry]:
    """The patterns with which the daemon would not start, as `mailingest check` finds them."""
    if not settings.grok.patterns_dirs:
        return
    definitions = list(read_definitions(settings))
    places = {one.name: Place(one.file, one.line, 1) for one in definitions}
    slow, _ = find_slow(own_probes(settings, definitions).used)
    for one in slow:
        advice = "anchor what is matched with ^ and $, or see docs/patterns.md"
        what = f"pattern {one.name}"
        yield Entry(places[one.name], what, "not carried", f"{one}: {advice}", "pattern")


def _files(imported: Imported, wanted: Wanted) -> tuple[Settings, dict[str, str]]:
    """The settings, and what is to be written, by name below the output."""
    document = imported.document
    document.head = [
        "mailingest: what `mailingest import-logstash` made of",
        *(f"  {escape_terminal(path)}" for path in wanted.paths),
        "Each setting names the line that it comes from; those that are not here have their",
        "defaults.  Look at it with `mailingest check`.",
    ]
    grok = document.tables.get("grok")
    if grok is not None and "patterns_dirs" in grok.values:
        grok.set("patterns_dirs", [str((wanted.output / PATTERNS).absolute())])
    try:
        settings = Settings.model_validate(document.content())
    except ValueError as error:
        raise UsageError(f"import-logstash: the settings would not be valid: {error}") from None
    files = {CONFIGURATION: document.text()}
    if imported.pattern_file:
        files[f"{PATTERNS}/{_PATTERN_FILE}"] = imported.pattern_file
    return settings, files


def _write(files: Mapping[str, str], output: Path, *, force: bool) -> None:
    there = [name for name in files if (output / name).exists()]
    if there and not force:
        raise UsageError(
            f"{output / there[0]}: is there already: name another --output, or replace it with "
            "--force"
        )
    for name, text in files.items():
        file = output / name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_name(f".{file.name}.partial")
            partial.write_text(text, "utf-8")
            partial.replace(file)
        except OSError as error:
            raise UsageError(f"{file}: cannot be written: {error.strerror}") from None
