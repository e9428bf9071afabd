"""Grok patterns -> matchers: pygrok expands the names, the standard `re` does the matching.

pygrok alone would search unanchored, with a capturing group for each name and a slower engine.  So
it is used once, at start, to expand the patterns, and the result is made ready for speed here:

* Only named groups capture, and a matcher is anchored at both ends of the text.
* A pattern's top-level alternatives are compiled one by one and tried in their order, but only
  those that can begin with the text's first character.
* A queue ID at the beginning is matched once for all alternatives that begin with one, and those
  are chosen by the first character that follows.
"""

import math
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import regex
from pygrok import Grok

from mailingest.core.fields import Value
from mailingest.errors import UsageError

Converter = Callable[[str], Value]

# What a line about a queue ID begins with.  No queue ID has a colon, so that matching the head
# alone, and never coming back to it, finds the same as matching all at once.
QUEUE_ID_HEAD: Final = "%{POSTFIX_QUEUEID:postfix_queueid}: "

_LINE = re.compile(r"(\w+)\s+(\S.*)", re.ASCII)
_REFERENCE = re.compile(r"%\{(\w+)(?::([^:{}]+))?(?::(\w+))?\}", re.ASCII)
_FIELD_NAME = re.compile(r"@?[A-Za-z_][\w-]*(?:\[[\w-]+\])*", re.ASCII)
# A backslash and what it escapes, a character class (a bracket that comes first stands for
# itself), a named group as _with_group_numbers() writes it, another group, a single character.
_ATOM = r"\\.|\[\^?\]?(?:[^\]\\]|\\.)*\]"
_TOKEN = re.compile(_ATOM + r"|\(\?P<g(\d+)>|\(\?|.", re.DOTALL)
_BACK_REFERENCE = re.compile(r"\\[1-9k]")
_NAMED_GROUP = re.compile(_ATOM + r"|\(\?P?<(?![=!])([^>]*)>", re.DOTALL)
# Flags at the beginning hold for all alternatives.
_FLAGS = re.compile(r"\(\?[A-Za-z]+\)")
# Stands between patterns that pygrok expands in one go; no pattern file can hold it.
_SEPARATOR = "\x1e"
_ASCII = tuple(map(chr, range(128)))
_ALL_FIT: Final[Sequence[str]] = ()


def _int(text: str) -> int:
    value = int(text)
    # JSON writers and stores know no larger ones.
    if not -(2**63) <= value < 2**63:
        raise ValueError
    return value


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


_GROK_TYPES: Mapping[str, Converter] = {"int": _int, "float": _float}


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


class _Candidate(Protocol):
    """Something that may match: an alternative, or several behind one head."""

    first: frozenset[str]

    def match(self, text: str, position: int, fields: dict[str, Value]) -> Sequence[str] | None: ...


class _Leaf:
    """One alternative, matched from a position to the end of the text."""

    __slots__ = ("_fullmatch", "_groups", "first")

    def __init__(
        self,
        pattern: re.Pattern[str],
        names: Sequence[str],
        converters: Mapping[str, Converter],
        first: frozenset[str],
    ) -> None:
        self.first = first
        self._fullmatch = pattern.fullmatch
        self._groups = tuple((name, converters.get(name)) for name in names)

    def match(self, text: str, position: int, fields: dict[str, Value]) -> Sequence[str] | None:
        match = self._fullmatch(text, position)
        if match is None:
            return None
        unfit = _ALL_FIT
        for (name, convert), value in zip(self._groups, match.groups(), strict=False):
            if value is None:
                continue
            if convert is None:
                fields[name] = value
                continue
            try:
                fields[name] = convert(value)
            except ValueError:
                unfit = (*unfit, f"{name}={value}")
        return unfit


class _Head:
    """A queue ID, and the alternatives that may follow it."""

    __slots__ = ("_match", "_tails", "first")

    def __init__(self, head: tuple[re.Pattern[str], frozenset[str]], tails: list[_Leaf]) -> None:
        pattern, self.first = head
        self._match = pattern.match
        self._tails = _Choice(tails)

    def match(self, text: str, position: int, fields: dict[str, Value]) -> Sequence[str] | None:
        head = self._match(text, position)
        if head is None:
            return None
        unfit = self._tails.match(text, head.end(), fields)
        if unfit is not None:
            fields["postfix_queueid"] = head[1]
        return unfit


class _Choice:
    """Candidates in order, looked up by the character that they can begin with."""

    __slots__ = ("_all", "_by_first")

    def __init__(self, candidates: Sequence[_Candidate]) -> None:
        self._all = tuple(candidates)
        self._by_first = {
            character: tuple(one for one in candidates if character in one.first)
            for character in _ASCII
        }

    def match(self, text: str, position: int, fields: dict[str, Value]) -> Sequence[str] | None:
        for candidate in self._by_first.get(text[position : position + 1], self._all):
            unfit = candidate.match(text, position, fields)
            if unfit is not None:
                return unfit
        return None


class Matcher:
    """Matches whole texts against one pattern."""

    __slots__ = ("_choice",)

    def __init__(self, candidates: Sequence[_Candidate]) -> None:
        self._choice = _Choice(candidates)

    def match(self, text: str, fields: dict[str, Value]) -> Sequence[str] | None:
        """Add the captured values to ``fields``; None if the text does not match.

        What is returned otherwise are the values that did not fit their type, as ``name=value``;
        nearly always there are none.
        """
        return self._choice.match(text, 0, fields)


class Library:
    """All definitions by name, later ones in place of earlier ones of the same name."""

    def __init__(
        self,
        definitions: Iterable[Definition],
        converters: Mapping[str, Converter],
        *,
        omitted: Collection[str] = (),
        declared: Collection[str] | None = None,
    ) -> None:
        """Check that every name is known; raises UsageError naming file, line and pattern.

        ``converters`` turn the text of a field into its value; ``omitted`` are fields that are
        not captured at all; ``declared``, if given, are the only ones that may be.
        """
        self._definitions = {definition.name: definition for definition in definitions}
        self._converters = dict(converters)
        self._omitted = frozenset(omitted)
        self._declared = declared
        self._groups: dict[str, int] = {}
        self._places: list[str] = []
        self._predefined = Grok("").predefined_patterns
        self._checked: set[str] = set()
        self._prepared: dict[str, str] = {}
        for definition in list(self._definitions.values()):
            self._check(definition, ())

    @property
    def fields(self) -> Sequence[str]:
        """The names of all fields that the patterns can capture."""
        return tuple(self._groups)

    def compile(self, patterns: Iterable[str]) -> list[Matcher]:
        """Compile expressions such as ``%{POSTFIX_SMTPD}``; raises UsageError."""
        sources = [list(self._alternatives(pattern)) for pattern in patterns]
        headed = any(source.startswith(QUEUE_ID_HEAD) for group in sources for source in group)
        flat = [source.removeprefix(QUEUE_ID_HEAD) for group in sources for source in group]
        for source in flat:
            self._check_names(source, f"pattern {source}", ())
        head_expanded, *expanded = self._expand([QUEUE_ID_HEAD if headed else "", *flat])
        head = self._pattern(head_expanded, QUEUE_ID_HEAD)
        tails = iter(expanded)
        return [self._matcher(group, tails, head) for group in sources]

    def _matcher(
        self,
        sources: list[str],
        expanded: Iterator[str],
        head: tuple[re.Pattern[str], frozenset[str]],
    ) -> Matcher:
        candidates: list[_Candidate] = []
        tails: list[_Leaf] = []
        for source in sources:
            leaf = self._leaf(next(expanded), source)
            if source.startswith(QUEUE_ID_HEAD):
                tails.append(leaf)
                continue
            if tails:
                candidates.append(_Head(head, tails))
                tails = []
            candidates.append(leaf)
        return Matcher([*candidates, _Head(head, tails)] if tails else candidates)

    def _alternatives(self, pattern: str) -> Iterator[str]:
        """Split at the top level, and on into an alternative that is but another pattern."""
        if _FLAGS.match(pattern):
            yield pattern
            return
        for part in _split_alternatives(pattern):
            reference = _REFERENCE.fullmatch(part)
            if reference and reference[2] is None and reference[1] in self._definitions:
                yield from self._alternatives(self._definitions[reference[1]].pattern)
            else:
                yield part

    def _check(self, definition: Definition, path: tuple[str, ...]) -> None:
        name = definition.name
        if name not in self._checked:
            self._check_names(definition.pattern, definition.place, (*path, name))
            self._checked.add(name)
            self._prepared[name] = self._with_group_numbers(definition.pattern, definition.place)

    def _check_names(self, pattern: str, place: str, path: tuple[str, ...]) -> None:
        if "%{" in _REFERENCE.sub("", pattern):
            raise UsageError(f"{place}: a reference must be %{{NAME}} or %{{NAME:field}}")
        for token in _TOKEN.finditer(pattern):
            if _BACK_REFERENCE.match(token[0]):
                raise UsageError(f"{place}: back references ({token[0]}) are not supported")
        for reference in _REFERENCE.finditer(pattern):
            name = reference[1]
            if name in path:
                raise UsageError(f"{place}: %{{{name}}} contains itself: break the circle")
            if name not in self._definitions:
                if name not in self._predefined:
                    raise UsageError(
                        f"{place}: there is no pattern {name}: define it or correct it"
                    )
                text = self._predefined[name].regex_str
                self._definitions[name] = Definition(name, text, "pygrok", 0)
            self._check(self._definitions[name], path)

    def _with_group_numbers(self, pattern: str, place: str) -> str:
        """Put numbered groups in place of field names, which need not be identifiers."""

        def reference(match: re.Match[str]) -> str:
            name, field, grok_type = match.groups()
            if field is None:
                return match[0]
            if grok_type in _GROK_TYPES:
                self._converters.setdefault(field, _GROK_TYPES[grok_type])
            return f"%{{{name}:g{self._group(field, place)}}}"

        def group(match: re.Match[str]) -> str:
            return match[0] if match[1] is None else f"(?P<g{self._group(match[1], place)}>"

        return _NAMED_GROUP.sub(group, _REFERENCE.sub(reference, pattern))

    def _group(self, field: str, place: str) -> int:
        if _FIELD_NAME.fullmatch(field) is None:
            raise UsageError(f"{place}: {field!r} is no field name: use letters, digits, - and _")
        if field not in self._groups:
            self._groups[field] = len(self._groups)
            self._places.append(place)
        return self._groups[field]

    def _expand(self, sources: list[str]) -> list[str]:
        prepared = [self._with_group_numbers(source, f"pattern {source}") for source in sources]
        try:
            grok = Grok(_SEPARATOR.join(prepared), custom_patterns=self._prepared)
        except _WRONG_PATTERN as error:
            raise self._blame(error, ", ".join(filter(None, sources))) from None
        expanded: str = grok.regex_obj.pattern
        return expanded.split(_SEPARATOR)

    def _leaf(self, expanded: str, source: str) -> _Leaf:
        pattern, first = self._pattern(expanded, source)
        fields = tuple(self._groups)
        names = [""] * pattern.groups
        for group, index in pattern.groupindex.items():
            number = int(group[1 : group.index("_")])
            names[index - 1] = fields[number]
            if self._declared is not None and fields[number] not in self._declared:
                place = self._places[number]
                raise UsageError(f"{place}: there is no field {fields[number]}: use a declared one")
        return _Leaf(pattern, names, self._converters, first)

    def _pattern(self, expanded: str, source: str) -> tuple[re.Pattern[str], frozenset[str]]:
        """Compile, and find out which characters a match can begin with."""
        try:
            pattern = _for_stdlib(expanded, self._omitted_groups())
            probe = regex.compile(pattern.pattern, regex.DOTALL)
        except _WRONG_PATTERN as error:
            raise self._blame(error, source) from None
        return pattern, frozenset(c for c in _ASCII if probe.fullmatch(c, partial=True))

    def _omitted_groups(self) -> frozenset[str]:
        return frozenset(str(self._groups[field]) for field in self._omitted & self._groups.keys())

    def _blame(self, error: Exception, source: str) -> UsageError:
        """Find the definition that does not compile: the shortest one holds the fault."""
        for definition in sorted(self._definitions.values(), key=lambda one: len(one.pattern)):
            try:
                grok = Grok(self._prepared[definition.name], custom_patterns=self._prepared)
                _for_stdlib(grok.regex_obj.pattern)
            except _WRONG_PATTERN as reason:
                return UsageError(f"{definition.place}: {reason}")
        return UsageError(f"pattern {source}: {error}")


class _NotTranslatable(Exception):
    """A spelling that the standard `re` has no equal of."""


# `re` raises OverflowError for `a{99999999999}`, and RecursionError for brackets in brackets.
_WRONG_PATTERN = (re.error, regex.error, _NotTranslatable, OverflowError, RecursionError)


def _split_alternatives(pattern: str) -> list[str]:
    parts: list[str] = []
    depth = begin = 0
    for token in _TOKEN.finditer(pattern):
        if token[0].startswith("("):
            depth += 1
        elif token[0] == ")":
            depth -= 1
        elif token[0] == "|" and depth == 0:
            parts.append(pattern[begin : token.start()])
            begin = token.end()
    return [*parts, pattern[begin:]]


def _for_stdlib(expanded: str, omitted: Collection[str] = ()) -> re.Pattern[str]:
    """Compile with plain groups non-capturing, and each named group under a name of its own."""
    count = 0

    def translate(token: re.Match[str]) -> str:
        nonlocal count
        text = token[0]
        if token[1] and token[1] not in omitted:
            count += 1
            return f"(?P<g{token[1]}_{count}>"
        if text == "(" or token[1]:
            return "(?:"
        return text

    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        try:
            return re.compile(_TOKEN.sub(translate, expanded), re.DOTALL)
        except FutureWarning:
            raise _NotTranslatable(
                "classes in classes ([[:alpha:]], [a-z&&[^x]]) are not supported: write them out"
            ) from None
