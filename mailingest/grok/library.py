"""Grok definitions -> matchers: names are expanded as pygrok does, and `re` does the matching.

pygrok would search unanchored, with a capturing group for each name and a slower engine.  What it
knows is made ready for speed here:

* Only named groups capture, and a matcher is anchored at both ends of the text.
* A pattern's top-level alternatives are compiled one by one and tried in their order, but only
  those that can begin with the text's first character.
* A queue ID at the beginning is matched once for all alternatives that begin with one, and those
  are chosen by the first character that follows.
* What is known to compile is compiled when a text could match it: a command that reads a few lines
  needs a few of several hundred.
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import groupby
from typing import Final

from mailingest.errors import UsageError
from mailingest.grok.definitions import NAMED_GROUP, REFERENCE, Definition, core_patterns
from mailingest.grok.first_characters import first_characters
from mailingest.grok.matcher import (
    Alternative,
    Branch,
    Converter,
    Deferred,
    GrokSearch,
    KnownTail,
    Matcher,
    QueueIdPrefix,
    QueueIds,
)
from mailingest.grok.oniguruma import (
    NotTranslatable,
    compile_plain,
    split_alternatives,
    translate,
)

# What a line about a queue ID begins with.  No queue ID has a colon, so that matching the prefix
# alone, without backtracking into it, finds the same as matching all at once.
QUEUE_ID_PREFIX: Final = "%{POSTFIX_QUEUEID:postfix_queueid}: "

_FIELD_NAME = re.compile(r"@?[A-Za-z_][\w.-]*", re.ASCII)
_NESTED_NAME = re.compile(r"(?:\[[\w@-]+\])+", re.ASCII)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_NUMBERED_GROUP = re.compile(r"\(\?P<g(\d+)>", re.ASCII)
# What depends on the text before it.
_LOOKS_BACK = re.compile(r"\(\?<[=!]|\\[bBAG]|(?<!\[)\^")


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
        tested: Collection[str] = (),
    ) -> None:
        """Translate the patterns and check their names; raises UsageError naming the place.

        ``converters`` turn the text of a field into its value; ``omitted`` are fields that are
        not captured at all; ``declared``, if given, are the only ones that may be.  ``recurring``
        are fields whose text is often the same, and holds many others: see `KnownTail`.
        ``tested`` are the files whose patterns are known to be right: if there are no others,
        nothing is looked at before it is needed.
        """
        self._given = {definition.name: definition for definition in definitions}
        self._tested = frozenset(tested)
        # Those that have been looked at, translated.
        self._definitions: dict[str, Definition] = {}
        self._converters = dict(converters)
        self._omitted = frozenset(omitted)
        self._recurring = tuple(recurring)
        self._declared = declared
        self._groups: dict[str, int] = {}
        self._places: list[str] = []
        self._likely_types: dict[str, str] = {}
        self._undeclared: set[str] = set()
        self._checked: set[str] = set()
        # A definition is put here behind those that it refers to.
        self._prepared: dict[str, str] = {}
        self._expanded: dict[str, str] = {}
        self._alternatives: dict[str, Deferred] = {}
        # The sources of alternatives that stand in tested files.
        self._of_tested: set[str] = set()
        self._is_deferred = bool(tested) and self._tested.issuperset(
            one.file for one in self._given.values()
        )
        if not self._is_deferred:
            for name in self._given:
                self._definition(name)
            for name in self._given:
                self._check(self._definitions[name], ())

    @property
    def fields(self) -> Sequence[str]:
        """The names of all fields that the patterns can capture."""
        return tuple(self._groups)

    def compile(self, patterns: Iterable[str]) -> list[Matcher]:
        """Matchers of expressions such as ``%{POSTFIX_SMTPD}``; raises UsageError.

        What is not of tested files alone is compiled at once, and fields that are not declared are
        refused together.
        """
        matchers = [Matcher(partial(self._branches, pattern)) for pattern in patterns]
        if not self._is_deferred:
            for matcher in matchers:
                matcher.build()
            untested = self._untested()
            for source, alternative in self._alternatives.items():
                names = {match[1] for match in REFERENCE.finditer(source)}
                if source not in self._of_tested or not untested.isdisjoint(names):
                    alternative.built()
            self._refuse_undeclared()
        return matchers

    def compile_search(self, pattern: str) -> GrokSearch:
        """The search for an expression such as ``^%{POSTFIX_SMTPD}$``; raises UsageError."""
        compiled = self._compiled(self._expand(self._expression(pattern)), pattern)
        search = GrokSearch(compiled, self._names(compiled))
        self._refuse_undeclared()
        return search

    def alternatives(self) -> Iterator[tuple[Definition, re.Pattern[str]]]:
        """Compile each alternative of each definition, used or not; raises UsageError.

        Those that are but a reference to another definition come with that one.  The definitions
        are in an order in which none comes before those that it refers to.
        """
        for name in self._prepared:
            definition = self._definitions[name]
            for part in split_alternatives(definition.pattern):
                if self._referred_to(part) is None:
                    yield definition, self._compiled(self._expand(part), part)

    def references(self, name: str) -> Collection[str]:
        """The names that a definition refers to, also by way of others."""
        names = {match[1] for match in REFERENCE.finditer(self._definitions[name].pattern)}
        return names.union(*map(self.references, names))

    def _expression(self, pattern: str) -> str:
        """A translated and checked expression."""
        place = f"pattern {pattern}"
        translated = _translated(Definition(pattern, pattern, "", 0), place).pattern
        self._check_names(translated, place, ())
        return translated

    def _branches(self, pattern: str) -> Sequence[Branch | Deferred]:
        """Alternatives behind a queue ID that follow one another are one branch."""
        sources = list(self._split(self._expression(pattern), is_tested=False))
        branches: list[Branch | Deferred] = []
        for has_queue_id, group in groupby(sources, lambda one: one.startswith(QUEUE_ID_PREFIX)):
            alternatives = [self._alternative(one.removeprefix(QUEUE_ID_PREFIX)) for one in group]
            if has_queue_id:
                branches.append(QueueIdPrefix(self._queue_ids, alternatives))
            else:
                branches += alternatives
        return branches

    @cached_property
    def _queue_ids(self) -> QueueIds:
        self._check_names(QUEUE_ID_PREFIX, QUEUE_ID_PREFIX, ())
        expanded = self._expand(QUEUE_ID_PREFIX)
        pattern = self._compiled(expanded, QUEUE_ID_PREFIX)
        return QueueIds(pattern, first_characters(expanded))

    def _alternative(self, source: str) -> Deferred:
        """What any program may write stands in the patterns of many, and is compiled once."""
        alternative = self._alternatives.get(source)
        if alternative is None:
            expanded = self._expand(source)
            first = first_characters(expanded)
            alternative = Deferred(first, partial(self._built, expanded, source, first))
            self._alternatives[source] = alternative
        return alternative

    def _built(self, expanded: str, source: str, first: frozenset[str]) -> Alternative | KnownTail:
        pattern = self._compiled(expanded, source)
        whole = Alternative(pattern, self._names(pattern), self._converters, first)
        for field in self._recurring:
            tail = self._groups.get(field, -1)
            before, opening, within = expanded.partition(f"(?P<g{tail}>")
            inner = _numbers(within)
            if opening and inner.isdisjoint(_numbers(before)) and not _LOOKS_BACK.search(within):
                outer = self._compiled(expanded, source, keep={str(tail)}, omit=inner)
                return KnownTail(whole, outer, self._converters)
        return whole

    def _split(self, pattern: str, *, is_tested: bool) -> Iterator[str]:
        """Split at the top level, and on into an alternative that is but another pattern."""
        for part in split_alternatives(pattern):
            definition = self._referred_to(part)
            if definition is not None:
                yield from self._split(
                    definition.pattern, is_tested=definition.file in self._tested
                )
                continue
            if is_tested:
                self._of_tested.add(part.removeprefix(QUEUE_ID_PREFIX))
            yield part

    def _untested(self) -> set[str]:
        """The definitions that are not of tested files, or refer to such."""
        names: set[str] = set()
        for name in self._prepared:
            definition = self._definitions[name]
            references = {match[1] for match in REFERENCE.finditer(definition.pattern)}
            if definition.file not in self._tested or not names.isdisjoint(references):
                names.add(name)
        return names

    def _referred_to(self, part: str) -> Definition | None:
        """The definition that an alternative consists of, if it is but a reference."""
        reference = REFERENCE.fullmatch(part)
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
        if "%{" in REFERENCE.sub("", pattern):
            raise UsageError(f"{place}: a reference must be %{{NAME}} or %{{NAME:field}}")
        for reference in REFERENCE.finditer(pattern):
            name = reference[1]
            if name in path:
                raise UsageError(f"{place}: %{{{name}}} contains itself: break the cycle")
            definition = self._definition(name)
            if definition is None:
                raise UsageError(f"{place}: there is no pattern {name}: define it or correct it")
            self._check(definition, path)

    def _definition(self, name: str) -> Definition | None:
        """The translated definition of a name; None if there is none."""
        if name not in self._definitions:
            given = self._given.get(name)
            if given is None and name in core_patterns():
                given = Definition(name, core_patterns()[name], "pygrok", 0)
            if given is None:
                return None
            self._definitions[name] = _translated(given)
        return self._definitions[name]

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

        return NAMED_GROUP.sub(group, REFERENCE.sub(reference, pattern))

    def _group(self, target: str, place: str) -> int:
        field = _field_name(target, place)
        if field not in self._groups:
            self._groups[field] = len(self._groups)
            self._places.append(place)
        return self._groups[field]

    def _expand(self, source: str) -> str:
        """Put the definitions in place of their names, in groups, as pygrok does."""
        prepared = self._with_group_numbers(source, f"pattern {source}")
        return REFERENCE.sub(self._expanded_reference, prepared)

    def _expanded_reference(self, reference: re.Match[str]) -> str:
        name, group, _ = reference.groups()
        text = self._expanded.get(name)
        if text is None:
            text = REFERENCE.sub(self._expanded_reference, self._prepared[name])
            self._expanded[name] = text
        return f"({text})" if group is None else f"(?P<{group}>{text})"

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

    def _blame(self, error: NotTranslatable, source: str) -> UsageError:
        """Find the definition that does not compile: the first one, since those that it refers to
        come before it."""
        for name, prepared in self._prepared.items():
            try:
                compile_plain(REFERENCE.sub(self._expanded_reference, prepared))
            except NotTranslatable as fault:
                return UsageError(f"{self._definitions[name].place}: {fault}")
        return UsageError(f"pattern {source}: {error}")


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
