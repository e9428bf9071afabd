"""What a pipeline's grok and kv filters make of a line of Postfix, by pygrok alone.

It knows nothing of `mailingest.logstash`: expressions are handed in as they stand in the files.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pygrok import Grok

_REFERENCE = re.compile(r"%\{(\w+):([^:}]+)(?::\w+)?\}")
_GROUP = re.compile(r"\(\?<(?![=!])([^>]*)>")
_PAIR = re.compile(r"([^\s=]+)=(\S*)")
# Gone from the core patterns since 2015; until then it was this.
_OLD = {"HOST": "%{HOSTNAME}"}


class SiteGroks:
    """The pattern files of a site."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._names: dict[str, str] = {}
        self._patterns = dict(_OLD)
        for file in files:
            for line in file.read_text("utf-8").splitlines():
                name, _, pattern = line.strip().partition(" ")
                if name and not name.startswith("#"):
                    self._patterns[name] = self._numbered(pattern.strip())
        self._groks: dict[str, Grok] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._patterns

    def match(self, expression: str, text: str) -> dict[str, str] | None:
        """The fields that an expression captures anywhere in a text."""
        if expression not in self._groks:
            self._groks[expression] = Grok(
                self._numbered(expression), custom_patterns=self._patterns
            )
        grok = self._groks[expression]
        found = grok.regex_obj.search(text)
        if found is None:
            return None
        fields: dict[str, str] = {}
        for group, value in found.groupdict().items():
            name = self._names.get(group.rpartition("_")[0] or group) or self._names.get(group)
            if name is not None and value is not None:
                fields[name] = value
        return fields

    def _numbered(self, pattern: str) -> str:
        """Field names need not be identifiers."""
        pattern = _REFERENCE.sub(lambda one: f"%{{{one[1]}:{self._group(one[2])}}}", pattern)
        return _GROUP.sub(lambda one: f"(?P<{self._group(one[1])}>", pattern)

    def _group(self, field: str) -> str:
        known = {name: group for group, name in self._names.items()}
        group = known.get(field) or f"f{len(self._names)}"
        self._names[group] = field
        return group


def key_values(text: str) -> dict[str, str]:
    """kv { prefix => "postfix_" trim_value => "<>," }"""
    return {f"postfix_{key}": value.strip("<>,") for key, value in _PAIR.findall(text)}


def fields_of(
    groks: SiteGroks, program: str, text: str, parts: Mapping[str, str]
) -> dict[str, str]:
    """All fields of a line: the program's expression, kv, and the groks on what kv made."""
    fields = groks.match(program, text) or {}
    if data := fields.pop("postfix_keyvalue_data", None):
        fields = key_values(data) | fields
    for field, expression in parts.items():
        if (value := fields.pop(field, None)) is not None:
            fields |= groks.match(expression, value) or {}
    return fields
