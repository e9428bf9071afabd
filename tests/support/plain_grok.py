"""The plain way to match a Grok pattern, to compare the fast one with."""

import re
from collections.abc import Collection, Mapping

from mailingest.grok.matcher import Converter, Value
from mailingest.grok.oniguruma import FLAGS


class PlainGrok:
    """One big regular expression with all alternatives in order, made without any haste."""

    def __init__(self, definitions: Mapping[str, str], expression: str) -> None:
        self._definitions = definitions
        self._fields: list[str] = []
        self._pattern = re.compile(self._expanded(expression), FLAGS)

    def match(self, text: str) -> dict[str, str] | None:
        """The captured texts by field; None if the text does not match."""
        groups = self._groups(text)
        return None if groups is None else dict(groups)

    def values(
        self, text: str, converters: Mapping[str, Converter], omitted: Collection[str]
    ) -> tuple[dict[str, Value], tuple[str, ...]] | None:
        """The values by field, and those that do not fit their type; None without a match."""
        groups = self._groups(text)
        if groups is None:
            return None
        values: dict[str, Value] = {}
        unfit = []
        for field, captured in groups:
            if field not in omitted:
                try:
                    values[field] = converters.get(field, str)(captured)
                except ValueError:
                    unfit.append(f"{field}={captured}")
        return values, tuple(unfit)

    def _groups(self, text: str) -> list[tuple[str, str]] | None:
        match = self._pattern.fullmatch(text)
        if match is None:
            return None
        groups = [(field, match[f"g{number}"]) for number, field in enumerate(self._fields)]
        return [(field, captured) for field, captured in groups if captured is not None]

    def _expanded(self, pattern: str) -> str:
        return re.sub(r"%\{(\w+)(?::([^}]+))?\}|\(\?<([\w-]+)>", self._replaced, pattern)

    def _replaced(self, match: re.Match[str]) -> str:
        name, field, group = match.groups()
        opening = self._group(field or group) if field or group else "(?:"
        return f"{opening}{self._expanded(self._definitions[name])})" if name else opening

    def _group(self, field: str) -> str:
        self._fields.append(field)
        return f"(?P<g{len(self._fields) - 1}>"
