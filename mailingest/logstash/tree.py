"""The syntax tree of a Logstash pipeline: what stands in a file, and where.

Two nodes are equal if they say the same, wherever they stand.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


class Place(NamedTuple):
    """Where a node begins: the file as it was named, and line and column from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


NOWHERE = Place("", 0, 0)


@dataclass(frozen=True, slots=True)
class Node:
    """Anything that has a place."""

    place: Place = field(default=NOWHERE, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Text(Node):
    """A string as it stands between its quotes, backslashes and all."""

    raw: str
    quote: str = '"'


@dataclass(frozen=True, slots=True)
class Bareword(Node):
    """A word without quotes: `mail`, `true`."""

    word: str


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A number as it is written."""

    digits: str


@dataclass(frozen=True, slots=True)
class Regexp(Node):
    """A regular expression as it stands between slashes."""

    raw: str


@dataclass(frozen=True, slots=True)
class Array(Node):
    items: tuple["Value", ...]


@dataclass(frozen=True, slots=True)
class Hash(Node):
    entries: tuple[tuple["Text | Bareword | Number", "Value"], ...]


@dataclass(frozen=True, slots=True)
class Attribute(Node):
    """An option of a plugin: `port => 5000`."""

    name: str
    value: "Value"


@dataclass(frozen=True, slots=True)
class Plugin(Node):
    """A plugin, also as a value: `codec => plain { ... }`."""

    name: str
    attributes: tuple[Attribute, ...]


Value = Text | Bareword | Number | Array | Hash | Plugin


@dataclass(frozen=True, slots=True)
class Selector(Node):
    """A reference to a field: `[client][ip]` has two parts."""

    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A method with its arguments."""

    method: str
    arguments: tuple["Operand", ...]


Operand = Text | Number | Regexp | Selector | Call | Array


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """Two operands and what is between them: `==`, `=~`, `in`, `not in` ..."""

    left: Operand
    operator: str
    right: Operand


@dataclass(frozen=True, slots=True)
class Exists(Node):
    """An operand alone: true if the field is there, and not false."""

    operand: Operand


@dataclass(frozen=True, slots=True)
class Not(Node):
    condition: "Condition"


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """Conditions with `and`, `or`, `xor` or `nand` between them, as they are written."""

    terms: tuple["Condition", ...]
    operators: tuple[str, ...]


Condition = Comparison | Exists | Not | Chain


@dataclass(frozen=True, slots=True)
class Arm(Node):
    """One way through a branch; the last one may have no condition (`else`)."""

    condition: Condition | None
    body: tuple["Statement", ...]


@dataclass(frozen=True, slots=True)
class Branch(Node):
    arms: tuple[Arm, ...]


Statement = Plugin | Branch


@dataclass(frozen=True, slots=True)
class Section(Node):
    """`input`, `filter` or `output`, and what is in it."""

    kind: str
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The sections of one file, in their order."""

    sections: tuple[Section, ...]


def plugins(body: tuple[Statement, ...]) -> Iterator[Plugin]:
    """All plugins of a body in their order, but for those that are values."""
    for statement in body:
        if isinstance(statement, Plugin):
            yield statement
        else:
            for arm in statement.arms:
                yield from plugins(arm.body)
