"""Writes the manual pages: ``python -m docs.man DIRECTORY``.

Section 1 is made from the commands themselves, section 5 from the comments of
``config/mailingest.toml``: nothing is said twice, so no page can be out of date.
"""

import os
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import chain, groupby
from pathlib import Path
from typing import Any, Final

import typer
from typer.main import get_command

import mailingest.cli
from mailingest import __version__

CONFIG: Final = Path(__file__).parents[1] / "config" / "mailingest.toml"
# Click's mark before a paragraph that keeps its lines.
_VERBATIM: Final = "\b"
_SECTION: Final = re.compile(r"# --- (.+?) -+$")
_TABLE: Final = re.compile(r"\[+[\w.]+\]+$")
# Commented out, it is an example.
_SETTING: Final = re.compile(r"(?:# )?((?:[\w-]+|\"[^\"]+\") = .+)$")


@dataclass(frozen=True, slots=True)
class Page:
    """A manual page in the macros of man(7)."""

    name: str
    section: int
    text: str

    @property
    def filename(self) -> str:
        return f"{self.name}.{self.section}"


def pages(config: str, day: date) -> list[Page]:
    """All pages: one for the program, one for each command, one for the configuration file."""
    program = get_command(mailingest.cli.app)
    context = typer.Context(program, info_name="mailingest")
    return [*_command_pages(program, context, day), _config_page(config, day)]


def _command_pages(command: Any, context: typer.Context, day: date) -> Iterator[Page]:
    name = _dashed(context.command_path)
    commands = [
        (each, typer.Context(each, info_name=called, parent=context))
        for called, each in getattr(command, "commands", {}).items()
        if not each.hidden
    ]
    first, *rest = _paragraphs(command.help or "")
    lines = [
        *_title(name, 1, first.rstrip("."), day),
        ".SH SYNOPSIS",
        f".B {_escaped(context.command_path)}",
        *map(_text, command.collect_usage_pieces(context)),
        ".SH DESCRIPTION",
        *_prose([first, *rest, *_paragraphs(command.epilog or "")]),
        *_commands(commands),
        *_parameters(command, context),
        *(_of_program() if context.parent is None else ()),
        ".SH SEE ALSO",
        *_see_also(name, context, [_dashed(each.command_path) for _, each in commands]),
    ]
    yield Page(name, 1, _whole(lines))
    for each, of_each in commands:
        yield from _command_pages(each, of_each, day)


def _commands(commands: list[tuple[Any, typer.Context]]) -> Iterator[str]:
    if commands:
        yield ".SH COMMANDS"
    for command, context in commands:
        yield ".TP"
        yield f".BR {_escaped(_dashed(context.command_path))} (1)"
        yield _text(_paragraphs(command.help or "")[0])


def _parameters(command: Any, context: typer.Context) -> Iterator[str]:
    """Arguments and options, in the words of ``--help``."""
    parameters = [each for each in command.get_params(context) if each.get_help_record(context)]
    for kind, of_kind in groupby(
        sorted(parameters, key=lambda one: str(one.param_type_name)),
        lambda one: str(one.param_type_name),
    ):
        yield f".SH {kind.upper()}S"
        for parameter in of_kind:
            term, meaning = parameter.get_help_record(context)
            yield ".TP"
            yield f".B {_escaped(term)}"
            # An argument may have no help of its own, its name says what it is.
            yield _text(meaning or f"See {context.command_path} --help.")


def _of_program() -> Iterator[str]:
    codes = next(
        paragraph
        for paragraph in _paragraphs(mailingest.cli.__doc__ or "")
        if paragraph.startswith("Exit codes: ")
    )
    yield ".SH EXIT STATUS"
    yield _text(codes.removeprefix("Exit codes: "))
    yield ".SH ENVIRONMENT"
    yield ".TP"
    yield ".B MAILINGEST_CONFIG"
    yield "The configuration file, if it is not named by an option."
    yield ".TP"
    yield ".B MAILINGEST_*"
    yield "Each setting; see"
    yield ".BR mailingest.toml (5)."
    yield ".SH FILES"
    yield ".TP"
    yield ".I /etc/mailingest/mailingest.toml"
    yield "The configuration file of the service."


def _see_also(name: str, context: typer.Context, below: Iterable[str]) -> Iterator[str]:
    above = [] if context.parent is None else [_dashed(context.parent.command_path)]
    for other in (*above, *below):
        yield f".BR {_escaped(other)} (1),"
    yield ".BR mailingest.toml (5)"


def _config_page(config: str, day: date) -> Page:
    lines = [
        *_title("mailingest.toml", 5, "the settings of mailingest", day),
        ".SH DESCRIPTION",
        *chain.from_iterable(map(_block, _blocks(config.splitlines()))),
        ".SH SEE ALSO",
        ".BR mailingest (1)",
    ]
    return Page("mailingest.toml", 5, _whole(lines))


@dataclass(slots=True)
class _Block:
    """Comment lines, and the settings or the table that they are about."""

    heading: str = ""
    table: str = ""
    comment: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)


def _blocks(lines: Iterable[str]) -> Iterator[_Block]:
    block = _Block()
    for line in (line.rstrip() for line in lines):
        setting = _SETTING.match(line)
        ends = bool(block.settings or block.table)
        if found := _SECTION.match(line):
            yield block
            block = _Block(heading=found[1])
        elif _TABLE.match(line):
            # What stands above a table is about the table.
            if ends:
                yield block
                block = _Block()
            block.table = line
        elif setting and _is_toml(setting[1]):
            if block.table:
                yield block
                block = _Block()
            block.settings.append(line)
        elif ends or not line:
            yield block
            block = _Block(comment=[_uncommented(line)])
        else:
            block.comment.append(_uncommented(line))
    yield block


def _uncommented(line: str) -> str:
    return line.removeprefix("#").removeprefix(" ")


def _block(block: _Block) -> Iterator[str]:
    if block.heading:
        yield f".SH {_escaped(block.heading.upper())}"
    if block.table:
        yield f".SS {_escaped(block.table)}"
    for number, setting in enumerate(block.settings):
        yield ".TQ" if number else ".TP"
        yield f".B {_escaped(setting)}"
    prose = [_VERBATIM + text if text.startswith(" ") else text for text in _joined(block.comment)]
    if block.settings:
        # Further paragraphs stay below the term.
        yield from _prose(prose, paragraph=".IP")
    else:
        yield from _prose(prose)


def _joined(comment: Iterable[str]) -> Iterator[str]:
    """The paragraphs of a comment; lines that are set in are kept as they are."""
    for kind, lines in groupby(comment, lambda line: (bool(line), line.startswith(" "))):
        if kind[0]:
            yield ("\n" if kind[1] else " ").join(lines)


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _title(name: str, section: int, summary: str, day: date) -> Iterator[str]:
    yield f'.TH {_escaped(name.upper())} {section} {day} "mailingest {__version__}" mailingest'
    yield ".SH NAME"
    yield f"{_escaped(name)} \\- {_escaped(summary)}"


def _paragraphs(text: str) -> list[str]:
    return [part for part in text.split("\n\n") if part.strip()]


def _prose(paragraphs: Iterable[str], *, paragraph: str = ".PP") -> Iterator[str]:
    for number, text in enumerate(paragraphs):
        if number:
            yield paragraph
        if text.startswith(_VERBATIM):
            yield ".EX"
            yield from map(_text, text.removeprefix(_VERBATIM).strip("\n").split("\n"))
            yield ".EE"
        else:
            yield _text(" ".join(text.split()))


def _text(text: str) -> str:
    """A line of text that roff takes for no request."""
    escaped = _escaped(" ".join(text.split("\n")))
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _escaped(text: str) -> str:
    return text.replace("\\", r"\e").replace("-", r"\-").replace('"', r"\(dq").replace("'", r"\(aq")


def _dashed(path: str) -> str:
    return path.replace(" ", "-")


def _whole(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def main(arguments: list[str]) -> int:
    """Write all pages into a directory; they are dated SOURCE_DATE_EPOCH, or today."""
    if len(arguments) != 1:
        print("usage: python -m docs.man DIRECTORY", file=sys.stderr)
        return 2
    directory = Path(arguments[0])
    directory.mkdir(parents=True, exist_ok=True)
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(int(seconds), UTC)
    for page in pages(CONFIG.read_text("utf-8"), now.date()):
        (directory / page.filename).write_text(page.text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
