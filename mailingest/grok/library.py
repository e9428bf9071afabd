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
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final, NamedTuple

import regex
from pygrok import Grok

from mailingest.errors import UsageError
from mailingest.grok.matcher import (
    ASCII,
    Alternative,
    Branch,
    Converter,
    GrokSearch,
    KnownTail,
    Matcher,
    QueueIdPrefix,
    QueueIds,
)
from mailingest.grok.oniguruma import (
    ATOM,
    NotTranslatable,
    compile_plain,
    split_alternatives,
    translate,
    with_hint,
)

# What a line about a queue ID begins with.  No queue ID has a colon, so that matching the prefix
# alone, without backtracking into it, finds the same as matching all at once.
QUEUE_ID_PREFIX: Final = "%{POSTFIX_QUEUEID:postfix_queueid}: "

_LINE = re.compile(r"(\w+)\s+(\S.*)", re.ASCII)
_REFERENCE = re.compile(r"%\{(\w+)(?::([^:{}]+))?(?::(\w+))?\}", re.ASCII)
_FIELD_NAME = re.compile(r"@?[A-Za-z_][\w.-]*", re.ASCII)
_NESTED_NAME = re.compile(r"(?:\[[\w@-]+\])+", re.ASCII)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_NAMED_GROUP = re.compile(ATOM + r"|\(\?P?<(?![=!])([^>]*)>", re.DOTALL)
_NUMBERED_GROUP = re.compile(r"\(\?P<g(\d+)>", re.ASCII)
# What depends on the text before it.
_LOOKS_BACK = re.compile(r"\(\?<[=!]|\\[bBAG]|(?<!\[)\^")
# Stands between patterns that pygrok expands in one go; no pattern file can hold it.
_SEPARATOR = "\x1e"


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
# The type of a field in the configuration, as far as the pattern says it: its type, or what it is
# made of.
_LIKELY_TYPES: Final[Mapping[str, str]] = {
    **{"int": "integer", "float": "float"},
    **dict.fromkeys(("INT", "POSINT", "NONNEGINT"), "integer"),
    **dict.fromkeys(("NUMBER", "BASE10NUM"), "float"),
    **dict.fromkeys(("IP", "IPV4", "IPV6"), "ip"),
}


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
        for match in _REFERENCE.finditer(text)
    ]
    found += [
        Capture("", match[1], "", match.start())
        for match in _NAMED_GROUP.finditer(_REFERENCE.sub(lambda one: "." * len(one[0]), text))
        if match[1] is not None
    ]
    return iter(sorted(found, key=lambda one: one.begin))


def core_patterns() -> Mapping[str, str]:
    """The patterns that Logstash has had from the beginning, as pygrok has them."""
    return {name: one.regex_str for name, one in Grok("").predefined_patterns.items()}


class Library:
    """All definitions by name, later ones in place of earlier ones of the same name."""

    def __init__(
        self,
        definitions: Iterable[Definition],
        converters: Mapping[str, Converter],
        *,
        omitted: Collection[str] = (),
        recurring: Collection[str] = (),
        declared: Collection[str] | None = None,
    ) -> None:
        """Translate the patterns and check their names; raises UsageError naming the place.

        ``converters`` turn the text of a field into its value; ``omitted`` are fields that are
        not captured at all; ``declared``, if given, are the only ones that may be.  ``recurring``
        are fields whose text is often the same, and holds many others: see `KnownTail`.
        """
        given = {definition.name: definition for definition in definitions}
        self._definitions = {name: _translated(one) for name, one in given.items()}
        self._converters = dict(converters)
        self._omitted = frozenset(omitted)
        self._recurring = tuple(recurring)
        self._declared = declared
        self._groups: dict[str, int] = {}
        self._places: list[str] = []
        self._likely_types: dict[str, str] = {}
        self._undeclared: set[str] = set()
        self._predefined = Grok("").predefined_patterns
        self._checked: set[str] = set()
        # A definition is put here behind those that it refers to.
        self._prepared: dict[str, str] = {}
        for definition in list(self._definitions.values()):
            self._check(definition, ())

    @property
    def fields(self) -> Sequence[str]:
        """The names of all fields that the patterns can capture."""
        return tuple(self._groups)

    def compile(self, patterns: Iterable[str]) -> list[Matcher]:
        """Matchers of expressions such as ``%{POSTFIX_SMTPD}``; raises UsageError.

        Fields that are not declared are refused all at once.
        """
        sources = [list(self._alternatives(self._expression(pattern))) for pattern in patterns]
        has_prefix = any(
            source.startswith(QUEUE_ID_PREFIX) for group in sources for source in group
        )
        # What any program may write stands in the patterns of many.
        distinct = list(
            dict.fromkeys(
                source.removeprefix(QUEUE_ID_PREFIX) for group in sources for source in group
            )
        )
        prefix, *expanded = self._expand([QUEUE_ID_PREFIX if has_prefix else "", *distinct])
        queue_ids = QueueIds(*self._pattern(prefix, QUEUE_ID_PREFIX))
        alternatives = {
            source: self._alternative(text, source)
            for source, text in zip(distinct, expanded, strict=True)
        }
        self._refuse_undeclared()
        return [self._matcher(group, alternatives, queue_ids) for group in sources]

    def compile_search(self, pattern: str) -> GrokSearch:
        """The search for an expression such as ``^%{POSTFIX_SMTPD}$``; raises UsageError."""
        (expanded,) = self._expand([self._expression(pattern)])
        compiled = self._compiled(expanded, pattern)
        search = GrokSearch(compiled, self._names(compiled))
        self._refuse_undeclared()
        return search

    def alternatives(self) -> Iterator[tuple[Definition, re.Pattern[str]]]:
        """Compile each alternative of each definition, used or not; raises UsageError.

        Those that are but a reference to another definition come with that one.  The definitions
        are in an order in which none comes before those that it refers to.
        """
        parts = [
            (self._definitions[name], part)
            for name in self._prepared
            for part in split_alternatives(self._definitions[name].pattern)
            if self._referred_to(part) is None
        ]
        expanded = self._expand([part for _, part in parts])
        for (definition, part), text in zip(parts, expanded, strict=True):
            yield definition, self._compiled(text, part)

    def references(self, name: str) -> Collection[str]:
        """The names that a definition refers to, also by way of others."""
        names = {match[1] for match in _REFERENCE.finditer(self._definitions[name].pattern)}
        return names.union(*map(self.references, names))

    def _expression(self, pattern: str) -> str:
        """A translated and checked expression."""
        place = f"pattern {pattern}"
        translated = _translated(Definition(pattern, pattern, "", 0), place).pattern
        self._check_names(translated, place, ())
        return translated

    def _matcher(
        self,
        sources: list[str],
        compiled: Mapping[str, Alternative | KnownTail],
        queue_ids: QueueIds,
    ) -> Matcher:
        """Alternatives behind a queue ID that follow one another are one branch."""
        branches: list[Branch] = []
        for has_queue_id, group in groupby(sources, lambda one: one.startswith(QUEUE_ID_PREFIX)):
            alternatives = [compiled[source.removeprefix(QUEUE_ID_PREFIX)] for source in group]
            if has_queue_id:
                branches.append(QueueIdPrefix(queue_ids, alternatives))
            else:
                branches += alternatives
        return Matcher(branches)

    def _alternatives(self, pattern: str) -> Iterator[str]:
        """Split at the top level, and on into an alternative that is but another pattern."""
        for part in split_alternatives(pattern):
            definition = self._referred_to(part)
            if definition is None:
                yield part
            else:
                yield from self._alternatives(definition.pattern)

    def _referred_to(self, part: str) -> Definition | None:
        """The definition that an alternative consists of, if it is but a reference."""
        reference = _REFERENCE.fullmatch(part)
        if reference is None or reference[2] is not None:
            return None
        return self._definitions.get(reference[1])

    def _check(self, definition: Definition, path: tuple[str, ...]) -> None:
        name = definition.name
        if name not in self._checked:
            self._check_names(definition.pattern, definition.place, (*path, name))
            self._checked.add(name)
            self._prepared[name] = self._with_group_numbers(definition.pattern, definition.place)

    def _check_names(self, pattern: str, place: str, path: tuple[str, ...]) -> None:
        if "%{" in _REFERENCE.sub("", pattern):
            raise UsageError(f"{place}: a reference must be %{{NAME}} or %{{NAME:field}}")
        for reference in _REFERENCE.finditer(pattern):
            name = reference[1]
            if name in path:
                raise UsageError(f"{place}: %{{{name}}} contains itself: break the cycle")
            if name not in self._definitions:
                if name not in self._predefined:
                    raise UsageError(
                        f"{place}: there is no pattern {name}: define it or correct it"
                    )
                text = self._predefined[name].regex_str
                self._definitions[name] = _translated(Definition(name, text, "pygrok", 0))
            self._check(self._definitions[name], path)

    def _with_group_numbers(self, pattern: str, place: str) -> str:
        """Put numbered groups in place of field names, which need not be identifiers."""

        def reference(match: re.Match[str]) -> str:
            name, field, grok_type = match.groups()
            if field is None:
                return match[0]
            number = self._group(field, place)
            likely = _LIKELY_TYPES.get(grok_type, _LIKELY_TYPES.get(name, "keyword"))
            self._likely_types.setdefault(self.fields[number], likely)
            if grok_type in _GROK_TYPES:
                self._converters.setdefault(self.fields[number], _GROK_TYPES[grok_type])
            return f"%{{{name}:g{number}}}"

        def group(match: re.Match[str]) -> str:
            return match[0] if match[1] is None else f"(?P<g{self._group(match[1], place)}>"

        return _NAMED_GROUP.sub(group, _REFERENCE.sub(reference, pattern))

    def _group(self, target: str, place: str) -> int:
        field = _field_name(target, place)
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

    def _alternative(self, expanded: str, source: str) -> Alternative | KnownTail:
        pattern, first = self._pattern(expanded, source)
        whole = Alternative(pattern, self._names(pattern), self._converters, first)
        for field in self._recurring:
            tail = self._groups.get(field, -1)
            before, opening, within = expanded.partition(f"(?P<g{tail}>")
            inner = _numbers(within)
            if opening and inner.isdisjoint(_numbers(before)) and not _LOOKS_BACK.search(within):
                outer = self._compiled(expanded, source, keep={str(tail)}, omit=inner)
                return KnownTail(whole, outer, self._converters)
        return whole

    def _names(self, pattern: re.Pattern[str]) -> Sequence[str]:
        """The field of each group; those that are not declared are noted."""
        fields = self.fields
        names = [""] * pattern.groups
        for group, index in pattern.groupindex.items():
            name = fields[int(group[1 : group.index("_")])]
            names[index - 1] = name
            if self._declared is not None and name not in self._declared:
                self._undeclared.add(name)
        return names

    def _refuse_undeclared(self) -> None:
        """Refuse all fields that are not declared, as lines that declare them."""
        numbers = sorted(map(self._groups.__getitem__, self._undeclared))
        if not numbers:
            return
        lines = [
            f'{toml_key(name)} = "{self._likely_types.get(name, "keyword")}"'
            f"  # {self._places[self._groups[name]]}"
            for name in map(self.fields.__getitem__, numbers)
        ]
        first = self.fields[numbers[0]]
        more = f", and none of {len(numbers) - 1} further names" if numbers[1:] else ""
        raise UsageError(
            f"{self._places[numbers[0]]}: there is no field {first}{more}: declare its type "
            "(keyword, text, integer, float, ip) in the configuration:\n"
            + "\n".join(["[grok.fields]", *lines])
        )

    def _pattern(self, expanded: str, source: str) -> tuple[re.Pattern[str], frozenset[str]]:
        """Compile, and find out which characters a match can begin with."""
        pattern = self._compiled(expanded, source)
        probe = regex.compile(pattern.pattern, regex.ASCII | regex.DOTALL | regex.MULTILINE)
        return pattern, frozenset(c for c in ASCII if probe.fullmatch(c, partial=True))

    def _compiled(
        self,
        expanded: str,
        source: str,
        *,
        keep: Collection[str] = (),
        omit: Collection[str] = (),
    ) -> re.Pattern[str]:
        """Compile, without the groups of omitted fields; ``keep`` and ``omit`` are further ones."""
        omitted = {str(self._groups[field]) for field in self._omitted & self._groups.keys()}
        try:
            return compile_plain(expanded, omitted.difference(keep).union(omit))
        except NotTranslatable as error:
            raise self._blame(error, source) from None

    def _blame(self, error: Exception, source: str) -> UsageError:
        """Find the definition that does not compile: the first one, since those that it refers to
        come before it."""
        for name, prepared in self._prepared.items():
            try:
                compile_plain(Grok(prepared, custom_patterns=self._prepared).regex_obj.pattern)
            except _WRONG_PATTERN as fault:
                reason = with_hint(getattr(fault, "msg", str(fault)))
                return UsageError(f"{self._definitions[name].place}: {reason}")
        return UsageError(f"pattern {source}: {error}")


# `regex` raises OverflowError for `a{99999999999}`, and RecursionError for brackets in brackets.
_WRONG_PATTERN = (regex.error, NotTranslatable, OverflowError, RecursionError)


def _numbers(expanded: str) -> frozenset[str]:
    """The numbers of the groups in an expanded pattern."""
    return frozenset(_NUMBERED_GROUP.findall(expanded))


def _translated(definition: Definition, place: str = "") -> Definition:
    try:
        return replace(definition, pattern=translate(definition.pattern))
    except NotTranslatable as error:
        raise UsageError(f"{place or definition.place}: {error}") from None


def toml_key(name: str) -> str:
    """A name as the key of a TOML table: quoted, unless it is a bare key (TOML 1.0, Keys).

    >>> toml_key("client.ip"), toml_key("message-id")
    ('"client.ip"', 'message-id')
    """
    return name if _BARE_KEY.fullmatch(name) else f'"{name}"'


def _field_name(target: str, place: str) -> str:
    """The name of a field; a path such as ``[client][ip]`` is ``client.ip``, as stores read it."""
    if _NESTED_NAME.fullmatch(target):
        target = target[1:-1].replace("][", ".")
    if _FIELD_NAME.fullmatch(target) is None:
        raise UsageError(
            f"{place}: {target!r} is not a valid field name: "
            "use letters, digits, - and _, or [a][b]"
        )
    return target
