"""Grok filters: for headers, for Postfix, for parts of its lines, for other programs."""

from collections.abc import Iterable, Sequence
from typing import Final

from mailingest.errors import UsageError
from mailingest.grok.definitions import captures
from mailingest.logstash.patterns import (
    HEADER_FIELDS,
    TAKEN_APART,
    Found,
    own_program,
)
from mailingest.logstash.steps import Step
from mailingest.logstash.tree import Hash, Place
from mailingest.logstash.values import field_name, text_of, texts_of
from mailingest.postfix.fields import NAMES
from mailingest.postfix.programs import COMPANIONS

_HEADERS: Final = frozenset(
    {
        *("SYSLOGTIMESTAMP", "SYSLOGBASE", "SYSLOGBASE2", "SYSLOGLINE", "SYSLOG5424LINE"),
        *("SYSLOG5424BASE", "SYSLOGPROG", "SYSLOG5424PRI", "TIMESTAMP_ISO8601", "CISCOTIMESTAMP"),
    }
)
# Made by kv, and taken apart by a second grok.
_PARTS: Final = frozenset(
    {
        *TAKEN_APART,
        *(
            "postfix_client",
            "postfix_relay",
            "postfix_delays",
            "postfix_tls",
            "postfix_orig_client",
        ),
    }
)
# What stands for "the rest" behind a header, and has no fields of its own.
_REST: Final = HEADER_FIELDS | {
    *("timestamp", "syslog_timestamp", "syslog_message", "syslog_program", "syslog_pid"),
    *("syslog_hostname", "syslog_pri", "logsource", "message_body", "facility", "priority"),
    *("hostname", "received_from", "timestamp8601", "syslog_server", "postfix_message"),
}


def read_grok(step: Step) -> None:
    """Say what becomes of a grok filter, and of the patterns that it uses."""
    pairs = _matches(step)
    step.all_options("replaced", "as its filter")
    for option in ("patterns_files_glob",):
        step.replaced(option, "mailingest's own patterns are used")
    expressions = [expression for _, expression in pairs]
    for expression in expressions:
        _undefined(step, expression)
    swapped = [name for one in expressions for name in step.draft.patterns.swapped(one)]
    source = field_name(pairs[0][0]) if pairs else ""
    if not pairs:
        step.say("wrong", "matches nothing")
    elif swapped:
        _swapped(step, swapped[0])
    elif source in _PARTS:
        step.say("replaced", f"the parts of {source} are fields already")
        _missing(step, expressions)
    elif _is_header(step, expressions):
        _header(step, expressions)
    elif step.reach.programs and not step.reach.postfix:
        _programs(step, expressions)
    elif any(map(step.draft.patterns.is_postfix, expressions)) and source not in NAMES - {
        "message"
    }:
        _postfix(step, expressions)
    else:
        _other(step, source, expressions)
    if step.is_true("break_on_match") is False:
        step.not_carried("break_on_match", "the first pattern that matches counts")


def expressions_of(step: Step) -> list[str]:
    """All expressions that a grok filter matches with."""
    return [expression for _, expression in _matches(step)]


def _matches(step: Step) -> list[tuple[str, str]]:
    """Field and expression, for each of `match` in all its forms."""
    value = step.value("match")
    if value is None:
        value = step.value("pattern")
        found = [] if value is None else texts_of(value, escapes=step.draft.escapes)
        return [("message", one) for one in found]
    escapes = step.draft.escapes
    if isinstance(value, Hash):
        return [
            (text_of(key, escapes=escapes) or "", one)
            for key, listed in value.entries
            for one in texts_of(listed, escapes=escapes)
        ]
    return [(name, text_of(one, escapes=escapes) or "") for name, one in step.pairs("match")]


def _is_header(step: Step, expressions: Iterable[str]) -> bool:
    return all(
        any(one.pattern in _HEADERS for one in captures(expression))
        and not step.draft.patterns.is_postfix(expression)
        for expression in expressions
    )


def _header(step: Step, expressions: Sequence[str]) -> None:
    """Of the header, or of the header and what follows it."""
    found = [one for expression in expressions for one in step.draft.patterns.found(expression)]
    more = [one for one in found if one.name not in _REST and one.key != "pid"]
    if all(one.here == "postfix_queueid" for one in more):
        step.say("replaced", "headers of all kinds are read: docs/formats.md")
        return
    names = dict.fromkeys(_in_words(one) for one in more)
    step.say("replaced", "mailingest's own patterns read these lines")
    step.not_carried("match", f"fields have other names: {'; '.join(names)}")


def _postfix(step: Step, expressions: Iterable[str]) -> None:
    step.say("replaced", "mailingest has patterns of its own for these lines of Postfix")
    _missing(step, expressions)


def _missing(step: Step, expressions: Iterable[str]) -> None:
    """Fields that mailingest does not have, where they are captured."""
    for expression in expressions:
        for one in step.draft.patterns.found(expression):
            if one.name in NAMES or one.name in TAKEN_APART or one.name in _PARTS:
                continue
            place = _place(step, one)
            what = f"pattern {one.definition.name}" if one.definition else "grok match"
            if one.definition is None:
                step.not_carried("match", _in_words(one))
            elif one.here is not None:
                step.draft.note(place, what, "replaced", _in_words(one))
            else:
                step.draft.note(place, what, "not carried", _in_words(one))


def _in_words(found: Found) -> str:
    if found.here is not None:
        return f"{found.name} is {found.here} here"
    return (
        f"{found.name} is no field here: declare it in [grok.fields], and add a pattern that "
        "captures it (docs/patterns.md)"
    )


def _place(step: Step, found: Found) -> Place:
    if found.definition is None:
        return step.place
    return Place(found.definition.file, found.definition.line, 1)


def _undefined(step: Step, expression: str) -> None:
    for name, definition, why in step.draft.patterns.undefined(expression):
        text = f"%{{{name}}}: {why}"
        if definition is None:
            step.wrong("match", text)
        else:
            place = Place(definition.file, definition.line, 1)
            step.draft.note(place, f"pattern {definition.name}", "wrong", text)


def _swapped(step: Step, name: str) -> None:
    step.say(
        "wrong",
        "takes nothing apart: the name of a pattern stands where the name of a field belongs",
    )
    step.wrong(
        "match",
        f"name and field are swapped: it has to be %{{{name}}}; mailingest's own patterns are used",
    )


def _other(step: Step, source: str, expressions: Sequence[str]) -> None:
    """A pattern for a part of a line of Postfix, or for any line."""
    found = [one for expression in expressions for one in step.draft.patterns.found(expression)]
    names = dict.fromkeys(_in_words(one) for one in found if one.name not in NAMES)
    if not names:
        step.say("replaced", f"what {source} has is read by mailingest's own patterns")
        return
    step.say("not carried", f"{source}: patterns read whole lines, not fields")
    step.not_carried("match", "; ".join(names))


def _programs(step: Step, expressions: Sequence[str]) -> None:
    """Patterns for other programs; mailingest's own go first, since they tell of mails."""
    for tag in sorted(step.reach.programs):
        known = tag.rpartition("/")[2] if tag not in COMPANIONS else tag
        if known in COMPANIONS:
            _companion(step, known, expressions)
        else:
            _own(step, tag, expressions)


def _companion(step: Step, tag: str, expressions: Sequence[str]) -> None:
    found = [one for expression in expressions for one in step.draft.patterns.found(expression)]
    missing = dict.fromkeys(one.name for one in found if one.here is None)
    step.say("replaced", f"mailingest reads the lines of {tag}, and joins them to their mails")
    if missing:
        step.not_carried(
            "match",
            f"has other fields: {', '.join(missing)}.  To have them instead, copy the patterns "
            f"into a directory of grok.patterns_dirs and name one in [grok.programs] {tag}",
        )
    step.replaced("match", "all its fields are captured")


def _own(step: Step, tag: str, expressions: Sequence[str]) -> None:
    try:
        own = own_program(tag, expressions, step.draft.patterns, step.draft.types)
    except UsageError as error:
        step.say("not carried", f"the pattern cannot be used as it is: {error}")
        step.not_carried("match", "as its filter")
        return
    step.draft.own_patterns |= own.definitions
    programs = step.draft.document.table("grok.programs")
    programs.set(tag, own.name, f"grok: {step.where()}")
    fields = step.draft.document.table("grok.fields")
    for name, kind in own.fields.items():
        if name not in fields.values:
            fields.set(name, kind, f"grok: {step.where('match')}")
    step.say("carried", f"as grok.programs {tag}")
    if own.hidden:
        step.not_carried(
            "match", f"{', '.join(own.hidden)}: not captured, since it is the event's own here"
        )
    step.carried("match", f"as the pattern {own.name}")
    for option in ("patterns_dir", "pattern_definitions"):
        step.carried(option, "the definitions that it needs are in patterns/")
    step.replaced("overwrite", "message stays the text of the line")
