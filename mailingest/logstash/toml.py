"""Settings with comments -> TOML (1.0) that is read back as the same settings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mailingest.grok.library import toml_key

Scalar = str | bool | int | float
Setting = Scalar | list[str] | dict[str, str]


@dataclass
class Table:
    """Keys with their values, and what is said of each."""

    values: dict[str, Setting] = field(default_factory=dict)
    comments: dict[str, list[str]] = field(default_factory=dict)
    head: list[str] = field(default_factory=list)
    """Comments above all keys."""

    def set(self, key: str, value: Setting, *comments: str) -> None:
        self.values[key] = value
        self.comments[key] = list(comments)

    def lines(self) -> list[str]:
        found = [*map(_comment, self.head)]
        for key, value in self.values.items():
            found += map(_comment, self.comments[key])
            found.append(f"{toml_key(key)} = {toml_value(value)}")
        return found


@dataclass
class Document:
    """A configuration: tables by name, and lists of tables."""

    tables: dict[str, Table] = field(default_factory=dict)
    lists: dict[str, list[Table]] = field(default_factory=dict)
    head: list[str] = field(default_factory=list)

    def table(self, name: str) -> Table:
        return self.tables.setdefault(name, Table())

    def add(self, name: str) -> Table:
        """A further table of a list."""
        table = Table()
        self.lists.setdefault(name, []).append(table)
        return table

    def text(self) -> str:
        """The whole file."""
        blocks = [[*map(_comment, self.head)]] if self.head else []
        names = dict.fromkeys([*self.tables, *self.lists])
        for name in sorted(names):
            if name in self.tables:
                blocks.append([f"[{name}]", *self.tables[name].lines()])
            blocks += [[f"[[{name}]]", *one.lines()] for one in self.lists.get(name, [])]
        return "\n".join("".join(f"{line}\n" for line in block) for block in blocks)

    def content(self) -> Mapping[str, Any]:
        """What the file says, as `tomllib` reads it."""
        found: dict[str, Any] = {}
        for name, table in self.tables.items():
            _below(found, name).update(table.values)
        for name, tables in self.lists.items():
            parent, _, last = name.rpartition(".")
            _below(found, parent)[last] = [dict(one.values) for one in tables]
        return found


def toml_value(value: Setting) -> str:
    """A value as TOML.

    >>> print(toml_value(["a\\\\b", "c"]), toml_value(True), toml_value(1.5))
    ["a\\\\b", "c"] true 1.5
    """
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, dict):
        pairs = (f"{toml_key(key)} = {toml_value(one)}" for key, one in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, str):
        # A string of JSON is one of TOML, but for DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _comment(text: str) -> str:
    # No control character may stand in a comment.
    return "# " + "".join(c if c.isprintable() else "?" for c in text) if text else "#"


def _below(found: dict[str, Any], name: str) -> dict[str, Any]:
    for part in name.split(".") if name else ():
        found = found.setdefault(part, {})
    return found
