"""Matching compiled patterns: text in, captured values out, with as few attempts as possible."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

Value = str | int | float

Converter = Callable[[str], Value]

ASCII: Final = tuple(map(chr, range(128)))
_ALL_FIT: Final[Sequence[str]] = ()


class Branch(Protocol):
    """A branch of an alternation: one alternative, or several behind one queue ID."""

    first: frozenset[str]

    def match(self, text: str, position: int, fields: dict[str, Value]) -> Sequence[str] | None: ...


class Alternative:
    """One alternative, matched from a position to the end of the text.

    ``names`` are the fields of the pattern's groups; ``first`` are the ASCII characters that a
    match can begin with.
    """

    __slots__ = ("_fullmatch", "_names", "_typed", "first")

    def __init__(
        self,
        pattern: re.Pattern[str],
        names: Sequence[str],
        converters: Mapping[str, Converter],
        first: frozenset[str],
    ) -> None:
        self.first = first
        self._fullmatch = pattern.fullmatch
        self._names = tuple(names)
        # The places of the groups whose text becomes a value of another type.
        self._typed = tuple(
            (place, converters[name]) for place, name in enumerate(names) if name in converters
        )

    def match(self, text: str, position: int, fields: dict[str, Value]) -> Sequence[str] | None:
        match = self._fullmatch(text, position)
        if match is None:
            return None
        values: list[Any] = [*match.groups()]
        unfit = _ALL_FIT
        for place, convert in self._typed:
            text_of_value = values[place]
            if text_of_value is not None:
                try:
                    values[place] = convert(text_of_value)
                except ValueError:
                    unfit = (*unfit, f"{self._names[place]}={text_of_value}")
                    values[place] = None
        for name, value in zip(self._names, values, strict=False):
            if value is not None:
                fields[name] = value
        return unfit


class QueueIdPrefix:
    """A queue ID at the beginning, matched once for all alternatives that may follow it.

    ``pattern`` captures the queue ID and nothing else.
    """

    __slots__ = ("_following", "_match", "first")

    def __init__(
        self,
        pattern: re.Pattern[str],
        first: frozenset[str],
        following: Sequence[Alternative],
    ) -> None:
        self.first = first
        self._match = pattern.match
        self._following = _Alternation(following)

    def match(self, text: str, position: int, fields: dict[str, Value]) -> Sequence[str] | None:
        prefix = self._match(text, position)
        if prefix is None:
            return None
        unfit = self._following.match(text, prefix.end(), fields)
        if unfit is not None:
            fields["postfix_queueid"] = prefix[1]
        return unfit


class _Alternation:
    """Branches in their order, looked up by the first character that they can match."""

    __slots__ = ("_all", "_by_first")

    def __init__(self, branches: Sequence[Branch]) -> None:
        self._all = tuple(branches)
        self._by_first = {
            character: tuple(one for one in branches if character in one.first)
            for character in ASCII
        }

    def match(self, text: str, position: int, fields: dict[str, Value]) -> Sequence[str] | None:
        for branch in self._by_first.get(text[position : position + 1], self._all):
            unfit = branch.match(text, position, fields)
            if unfit is not None:
                return unfit
        return None


class Matcher:
    """Matches whole texts against one pattern."""

    __slots__ = ("_alternation",)

    def __init__(self, branches: Sequence[Branch]) -> None:
        self._alternation = _Alternation(branches)

    def match(self, text: str, fields: dict[str, Value]) -> Sequence[str] | None:
        """Add the captured values to ``fields``; None if the text does not match.

        What is returned otherwise are the values that did not fit their type, as ``name=value``;
        nearly always there are none.
        """
        return self._alternation.match(text, 0, fields)


class GrokSearch:
    """Searches for a pattern anywhere in a text, as Logstash's grok filter does."""

    __slots__ = ("_names", "_search")

    def __init__(self, pattern: re.Pattern[str], names: Sequence[str]) -> None:
        self._search = pattern.search
        self._names = tuple(names)

    def search(self, text: str) -> dict[str, str] | None:
        """The captured texts by field, as they stand there; None if the text does not match."""
        match = self._search(text)
        if match is None:
            return None
        captured = zip(self._names, match.groups(), strict=True)
        return {name: value for name, value in captured if value is not None}
