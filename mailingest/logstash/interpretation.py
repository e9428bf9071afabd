"""A Logstash pipeline -> a configuration, pattern files, and what became of each of its parts."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mailingest.errors import UsageError
from mailingest.grok.definitions import Definition, parse_definitions
from mailingest.logstash.conditions import Lines, misses_instances
from mailingest.logstash.filters import OWN_TYPES, read_filter
from mailingest.logstash.groks import expressions_of
from mailingest.logstash.inputs import read_input
from mailingest.logstash.outputs import read_outputs
from mailingest.logstash.patterns import SitePatterns, text_of_file
from mailingest.logstash.printing import print_condition
from mailingest.logstash.report import Entry
from mailingest.logstash.steps import Draft, Step
from mailingest.logstash.toml import Document
from mailingest.logstash.tree import (
    Branch,
    Condition,
    Not,
    Pipeline,
    Place,
    Plugin,
    Section,
    Statement,
    plugins,
)
from mailingest.logstash.values import (
    comparisons_of,
    field_name,
    merged,
    pairs_of,
    strings_of,
    text_of,
    texts_of,
)

_POSTFIX: Final = "postfix"


@dataclass(frozen=True, slots=True)
class Source:
    """A pipeline as it was read: its files in Logstash's order, and its pattern files."""

    files: Sequence[Pipeline]
    patterns: Sequence[Definition]
    directories_missing: bool
    """Whether there are directories of patterns that could not be read."""
    escapes: bool = False
    """config.support_escapes of logstash.yml."""
    no_patterns: Sequence[Place] = ()
    """Lines of pattern files that are no definitions."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What comes of a pipeline."""

    document: Document
    pattern_file: str
    """Definitions that are needed and not shipped; "" for none."""
    entries: Sequence[Entry]
    to_do: Sequence[str]
    """What people have to do about secrets."""
    is_postfix: bool
    """False if there is nothing about Postfix in the pipeline."""


def interpret(
    source: Source, shipped: Mapping[str, Definition], input_kinds: Collection[str]
) -> Imported:
    """Say everything in mailingest's settings, and what became of each plugin and option.

    ``shipped`` are mailingest's own patterns; ``input_kinds`` the lists that `[inputs]` has.
    """
    sections = [section for file in source.files for section in file.sections]
    bodies = [statement for section in sections for statement in section.body]
    draft = Draft(
        patterns=_site_patterns(source, shipped, bodies),
        lines=Lines(comparisons_of(bodies), _input_types(sections, escapes=source.escapes)),
        types=_converted(bodies, escapes=source.escapes),
        input_kinds=input_kinds,
        escapes=source.escapes,
    )
    steps = {
        kind: [step for one in sections if one.kind == kind for step in _steps(one, draft)]
        for kind in ("input", "filter", "output")
    }
    # The index says what a type is good for, the programs' patterns which conversions are.
    read_outputs(steps["output"])
    for step in steps["input"]:
        read_input(step)
    draft.captured |= _captured(steps["filter"])
    for step in sorted(steps["filter"], key=lambda one: one.plugin.name != "grok"):
        read_filter(step)
    _finish(draft, steps)
    for place in source.no_patterns:
        draft.note(place, "line", "wrong", "no pattern: a NAME, a blank and a regular expression")
    return Imported(
        draft.document,
        text_of_file(draft.own_patterns),
        _in_order([*draft.entries, *_conditions(sections)], source),
        list(dict.fromkeys(draft.secrets)),
        _is_postfix(bodies),
    )


def _finish(draft: Draft, steps: Mapping[str, Sequence[Step]]) -> None:
    for some in steps.values():
        for step in some:
            draft.entries += step.finish()
    document = draft.document
    if draft.own_patterns:
        grok = document.table("grok")
        grok.set("patterns_dirs", ["patterns"])
    for name in ("grok.fields", "grok.programs"):
        if name in document.tables and not document.tables[name].values:
            del document.tables[name]
    if any(name.startswith("inputs.") for name in document.lists):
        inputs = document.table("inputs")
        for kind in ("udp", "tcp"):
            if f"inputs.{kind}" not in document.lists:
                inputs.set(kind, [])


def _steps(section: Section, draft: Draft) -> Iterator[Step]:
    def within(body: Iterable[Statement], guards: tuple[Condition, ...]) -> Iterator[Step]:
        for statement in body:
            if isinstance(statement, Plugin):
                yield Step(draft, section.kind, statement, guards, draft.lines.reach(guards))
                continue
            before: tuple[Condition, ...] = ()
            for arm in statement.arms:
                own = () if arm.condition is None else (arm.condition,)
                yield from within(arm.body, (*guards, *before, *own))
                before = (*before, *(Not(one) for one in own))

    return within(section.body, ())


def _conditions(sections: Iterable[Section]) -> Iterator[Entry]:
    """Conditions that do not say what they are meant to."""

    def within(body: Iterable[Statement]) -> Iterator[Entry]:
        for statement in body:
            for arm in statement.arms if isinstance(statement, Branch) else ():
                if arm.condition is not None and misses_instances(arm.condition):
                    yield Entry(
                        arm.condition.place,
                        f"if {print_condition(arm.condition)}",
                        "wrong",
                        "misses the daemons of other instances (postfix-out/smtp) and services "
                        "(postfix/submission/smtpd); mailingest reads those of all",
                        "condition",
                    )
                yield from within(arm.body)

    for section in sections:
        yield from within(section.body)


def _captured(steps: Iterable[Step]) -> set[str]:
    """The fields that are made by anything at all; a condition on others never holds."""
    found: set[str] = set()
    for step in steps:
        patterns = step.draft.patterns
        for expression in expressions_of(step) if step.plugin.name == "grok" else ():
            found |= {one.name for one in patterns.found(expression)}
            if patterns.directories_missing:
                # What they capture is not known: take it for what mailingest's do.
                found.add("postfix_queueid")
        found |= {field_name(name) for name, _ in step.pairs("add_field")}
        if step.plugin.name in ("ruby", "dissect", "json", "csv"):
            found |= {word for text in strings_of([step.plugin]) for word in _words(text)}
    return found


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c in "_-." else " " for c in text).split()


def _site_patterns(
    source: Source, shipped: Mapping[str, Definition], body: Iterable[Statement]
) -> SitePatterns:
    definitions = {one.name: one for one in source.patterns}
    for plugin in plugins(tuple(body)):
        given = merged(one.value for one in plugin.attributes if one.name == "pattern_definitions")
        for name, value in [] if given is None else pairs_of(given, escapes=source.escapes):
            place = plugin.place
            text = text_of(value, escapes=source.escapes) or ""
            definitions[name] = Definition(name, text, place.file, place.line)
    return SitePatterns(shipped, definitions, source.directories_missing)


def _input_types(sections: Iterable[Section], *, escapes: bool) -> list[str]:
    return [
        text
        for section in sections
        if section.kind == "input"
        for plugin in plugins(section.body)
        for one in plugin.attributes
        if one.name == "type" and (text := text_of(one.value, escapes=escapes))
    ]


def _converted(body: Iterable[Statement], *, escapes: bool) -> dict[str, str]:
    """The types of fields that `mutate convert` says."""
    found = {}
    for plugin in plugins(tuple(body)):
        given = merged(one.value for one in plugin.attributes if one.name == "convert")
        for name, value in [] if given is None else pairs_of(given, escapes=escapes):
            kind = OWN_TYPES.get(text_of(value) or "", "keyword")
            found[field_name(name)] = kind
    return found


def _is_postfix(body: Sequence[Statement]) -> bool:
    """Whether anything is about Postfix; a pipeline without filters takes whatever comes."""
    found = list(strings_of(body))
    has_filters = any(isinstance(one, Branch) for one in body) or any(
        one.name in ("grok", "kv", "mutate", "dissect", "aggregate", "ruby", "date")
        for one in plugins(tuple(body))
    )
    return any(_POSTFIX in text.lower() for text in found) or (bool(body) and not has_filters)


def _in_order(entries: Iterable[Entry], source: Source) -> list[Entry]:
    """By file as Logstash reads them, and line; pattern files come last."""
    files = [section.place.file for file in source.files for section in file.sections[:1]]
    order = {name: number for number, name in enumerate(dict.fromkeys(files))}
    return sorted(
        entries,
        key=lambda one: (
            order.get(one.place.file, len(order)),
            one.place.file,
            one.place.line,
            one.place.column,
        ),
    )


def pattern_definitions(
    files: Iterable[tuple[str, str]],
) -> tuple[list[Definition], list[Place]]:
    """The definitions of pattern files, each its name and its text, and the lines that are none.

    Logstash reads whatever stands there.
    """
    found: list[Definition] = []
    others: list[Place] = []
    for name, text in files:
        for number, line in enumerate(text.split("\n"), 1):
            try:
                found += [replace(one, line=number) for one in parse_definitions(name, line)]
            except UsageError:
                others.append(Place(name, number, 1))
    return found, others


def directories_of(files: Iterable[Pipeline], *, escapes: bool = False) -> list[str]:
    """The directories of patterns that a pipeline names."""
    return list(
        dict.fromkeys(
            text
            for file in files
            for section in file.sections
            for plugin in plugins(section.body)
            for one in plugin.attributes
            if one.name == "patterns_dir"
            for text in texts_of(one.value, escapes=escapes)
        )
    )
