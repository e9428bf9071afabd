"""Pattern files -> definitions, and what stands in a pattern: references and named groups."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from mailingest.errors import UsageError
from mailingest.grok.oniguruma import ATOM

REFERENCE: Final = re.compile(r"%\{(\w+)(?::([^:{}]+))?(?::(\w+))?\}", re.ASCII)
"""``%{NAME}``, ``%{NAME:field}`` or ``%{NAME:field:type}``."""
NAMED_GROUP: Final = re.compile(ATOM + r"|\(\?P?<(?![=!])([^>]*)>", re.DOTALL)
"""The beginning of a named group; what is escaped or in a set is matched without a name."""

_LINE = re.compile(r"(\w+)\s+(\S.*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Definition:
    """A named pattern and where it stands."""

    name: str
    pattern: str
    file: str
    line: int

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}: pattern {self.name}"


def parse_definitions(file: str, text: str) -> Iterator[Definition]:
    """Read a grok file: one ``NAME pattern`` a line, comments and blank lines skipped."""
    for number, line in enumerate(text.split("\n"), 1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        match = _LINE.fullmatch(content)
        if match is None or not content.replace("\t", " ").isprintable():
            raise UsageError(f"{file}:{number}: a line must be a NAME, a blank and a pattern")
        yield Definition(match[1], match[2], file, number)


class Capture(NamedTuple):
    """A reference or a named group in a pattern; "" for what it does not have."""

    pattern: str
    field: str
    type: str
    begin: int
    """Where in the text it begins."""


def captures(text: str) -> Iterator[Capture]:
    """The references and the named groups of a pattern, in their order."""
    found = [
        Capture(match[1], match[2] or "", match[3] or "", match.start())
        for match in REFERENCE.finditer(text)
    ]
    found += [
        Capture("", match[1], "", match.start())
        for match in NAMED_GROUP.finditer(REFERENCE.sub(lambda one: "." * len(one[0]), text))
        if match[1] is not None
    ]
    return iter(sorted(found, key=lambda one: one.begin))


@cache
def core_patterns() -> Mapping[str, str]:
    """The patterns that Logstash has had from the beginning, as pygrok has them."""
    # Imported where it is needed: the shipped patterns refer to none of them.
    from pygrok import Grok

    return {name: one.regex_str for name, one in Grok("").predefined_patterns.items()}
