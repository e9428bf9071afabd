"""The grok patterns of a site beside mailingest's own: what they capture, and what is missing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mailingest.errors import UsageError
from mailingest.grok.definitions import Capture, Definition, captures, core_patterns
from mailingest.grok.library import Library
from mailingest.logstash.values import field_name
from mailingest.postfix.fields import NAMES

# What mailingest's patterns capture in whole and never store: their parts are fields.
TAKEN_APART: Final = ("postfix_keyvalue_data", "postfix_command_counter_data")

EQUIVALENTS: Final[Mapping[str, str]] = {
    "queue_id": "postfix_queueid",
    "queueid": "postfix_queueid",
    "qid": "postfix_queueid",
    "postfix_warning": "postfix_message",
    "postfix_smtp_tls_version": "postfix_tls_version",
    "postfix_smtp_tls_cipher": "postfix_tls_cipher",
    "postfix_smtp_tls_cipher_size": "postfix_tls_cipher_size",
    "postfix_postscreen_pregreet_time": "postfix_postscreen_violation_time",
    "postfix_postscreen_hangup_time": "postfix_postscreen_violation_time",
    "postfix_postscreen_pregreet_data": "postfix_postscreen_data",
    "postfix_postscreen_nonsmtp_data": "postfix_postscreen_data",
    "postfix_milter_reject_data": "postfix_milter_message",
    "postfix_milter_redirect_data": "postfix_milter_message",
    "postfix_milter_redirect_target": "postfix_milter_data",
    "postfix_orig_queue_id": "postfix_orig_queueid",
    "postfix_smtp_response_queueid": "postfix_remote_queueid",
    "relay_host": "postfix_relay_hostname",
    "relay_ip": "postfix_relay_ip",
}
"""Fields of older and of other patterns, by the names that they have here."""

# The key before a value says what it is.
_KEYS: Final[Mapping[str, str]] = {
    key: f"postfix_{key}"
    for key in (
        *("from", "to", "orig_to", "size", "nrcpt", "relay", "delay", "dsn", "status", "uid"),
        *("message-id", "proto", "helo", "sasl_username", "sasl_method", "conn_use"),
    )
}
# Of the event itself: a pattern that captured them would replace them.
HEADER_FIELDS: Final = frozenset(
    {
        *("@timestamp", "type", "host", "program", "program_kind", "instance", "service", "pid"),
        *("outcome", "message", "tags", "unfit", "raw"),
    }
)
_GONE: Final = {
    "HOST": "it has been gone from Logstash's own patterns since September 2015: it is HOSTNAME now"
}
_TYPES: Final = {"int": "integer", "float": "float"}
SITE_PREFIX: Final = "SITE_"
"""Begins the names of a site's patterns that mailingest has under the same name."""


@dataclass(frozen=True, slots=True)
class Found:
    """A field that a pattern captures, and the definition that does; None: the option itself."""

    capture: Capture
    name: str
    definition: Definition | None
    key: str
    """The key that stands before the value, as in ``from=<``; "" if none does."""

    @property
    def here(self) -> str | None:
        """What it is called here."""
        if self.name in NAMES:
            return self.name
        return EQUIVALENTS.get(self.name) or _KEYS.get(self.key)


@dataclass
class SitePatterns:
    """The definitions of a site, those of mailingest, and those that everybody has.

    ``directories_missing`` says that there may be more definitions than are known.
    """

    shipped: Mapping[str, Definition]
    definitions: dict[str, Definition] = field(default_factory=dict)
    directories_missing: bool = False
    core: Mapping[str, str] = field(default_factory=core_patterns)

    def found(self, expression: str) -> list[Found]:
        """All fields that an expression captures, by way of the site's definitions as well."""
        return list(self._found(expression, None, set()))

    def _found(self, text: str, definition: Definition | None, seen: set[str]) -> Iterator[Found]:
        for one in captures(text):
            if one.field:
                yield Found(one, field_name(one.field), definition, _key_before(text, one.begin))
            named = self.definition(one.pattern)
            if named is not None and named.name not in seen:
                seen.add(named.name)
                yield from self._found(named.pattern, named, seen)

    def definition(self, name: str) -> Definition | None:
        """The site's own definition of a name, or mailingest's if its directory is not here."""
        own = self.definitions.get(name)
        if own is None and self.directories_missing:
            return self.shipped.get(name)
        return own

    def used(self, expression: str) -> dict[str, Definition]:
        """The site's definitions that an expression needs, also by way of others."""
        found: dict[str, Definition] = {}
        waiting = [expression]
        while waiting:
            for one in captures(waiting.pop()):
                named = self.definition(one.pattern)
                if named is not None and named.name not in found:
                    found[named.name] = named
                    waiting.append(named.pattern)
        return found

    def undefined(self, expression: str) -> list[tuple[str, Definition | None, str]]:
        """Names that are defined nowhere, each with the definition that uses it, and why."""
        found = []
        used = self.used(expression)
        texts: list[tuple[Definition | None, str]] = [(None, expression)]
        texts += [(one, one.pattern) for one in used.values()]
        for definition, text in texts:
            for name in dict.fromkeys(one.pattern for one in captures(text) if one.pattern):
                if name in used or name in self.core or self.directories_missing:
                    continue
                why = _GONE.get(name, "nobody defines it, and Logstash does not start with it")
                found.append((name, definition, why))
        return found

    def is_postfix(self, expression: str) -> bool:
        """Whether it is made for the lines of Postfix."""
        names = {one.pattern for one in captures(expression)} | self.used(expression).keys()
        return any(name.startswith("POSTFIX") for name in names)

    def swapped(self, expression: str) -> list[str]:
        """Names of patterns that stand where the name of a field belongs."""
        return [
            one.field
            for one in captures(expression)
            if one.field in self.definitions or one.field in self.shipped
        ]


@dataclass
class OwnProgram:
    """A pattern for the lines of another program, as it is written into a pattern file."""

    name: str
    definitions: dict[str, str]
    fields: dict[str, str]
    """Types by name."""
    hidden: list[str]
    """Fields that it captured, and that are the event's own here."""


def own_program(
    tag: str,
    expressions: Sequence[str],
    patterns: SitePatterns,
    types: Mapping[str, str],
) -> OwnProgram:
    """The pattern that reads what a grok filter reads; raises UsageError if it cannot be had."""
    needed: dict[str, Definition] = {}
    for expression in expressions:
        needed |= patterns.used(expression)
    taken = {*patterns.shipped, *patterns.core}
    names = {name: f"{SITE_PREFIX}{name}" if name in taken else name for name in needed}
    hidden: dict[str, None] = {}
    fields: dict[str, str] = {}
    definitions = {
        names[name]: _rewritten(one.pattern, names, fields, hidden, types)
        for name, one in needed.items()
    }
    alone = next(iter(captures(expressions[0])), None) if len(expressions) == 1 else None
    if alone is not None and expressions[0] == f"^%{{{alone.pattern}}}$" and needed:
        _try(definitions, names[alone.pattern])
        return OwnProgram(names[alone.pattern], definitions, fields, list(hidden))
    whole = "".join(c if c.isalnum() and c.isascii() else "_" for c in tag.upper())
    name = f"{SITE_PREFIX}{whole}"
    while name in definitions or name in taken:
        name += "_"
    definitions[name] = "|".join(
        _anchored(_rewritten(one, names, fields, hidden, types)) for one in expressions
    )
    _try(definitions, name)
    return OwnProgram(name, definitions, fields, list(hidden))


def _rewritten(
    text: str,
    names: Mapping[str, str],
    fields: dict[str, str],
    hidden: dict[str, None],
    types: Mapping[str, str],
) -> str:
    """A pattern with the new names of others, that captures no field of the event itself."""
    parts = []
    end = 0
    for one in captures(text):
        name = field_name(one.field)
        if name in HEADER_FIELDS:
            hidden[name] = None
        elif name and name not in NAMES:
            fields.setdefault(name, _TYPES.get(one.type) or types.get(name) or "keyword")
        parts.append(text[end : one.begin])
        if one.pattern:
            end = text.index("}", one.begin) + 1
            tail = "" if not one.field or name in HEADER_FIELDS else f":{one.field}"
            parts.append(f"%{{{names.get(one.pattern, one.pattern)}{tail}}}")
        else:
            end = text.index(one.field, one.begin) + len(one.field) + 1
            parts.append("(?:" if name in HEADER_FIELDS else text[one.begin : end])
    return "".join([*parts, text[end:]])


def _anchored(expression: str) -> str:
    """For a whole text what Logstash looks for anywhere in it."""
    begin = "" if expression.startswith("^") else ".*?"
    end = "" if expression.endswith("$") and not expression.endswith("\\$") else ".*"
    inner = expression.removeprefix("^")
    return f"{begin}(?:{inner if end else inner.removesuffix('$')}){end}"


def _try(definitions: Mapping[str, str], name: str) -> None:
    library = Library(
        (Definition(one, text, "imported", 0) for one, text in definitions.items()), {}
    )
    library.compile([f"%{{{name}}}"])


def definitions_of(files: Iterable[Iterable[Definition]]) -> dict[str, Definition]:
    """Definitions by name, later ones in place of earlier ones."""
    return {one.name: one for definitions in files for one in definitions}


def text_of_file(definitions: Mapping[str, str]) -> str:
    """A pattern file; raises UsageError if a definition cannot stand on one line."""
    for name, pattern in definitions.items():
        if not pattern.replace("\t", " ").isprintable():
            raise UsageError(f"pattern {name}: has characters that no pattern file can have")
    return "".join(f"{name} {pattern}\n" for name, pattern in definitions.items())


def _key_before(text: str, begin: int) -> str:
    before = text[:begin].removesuffix("<")
    if not before.endswith("="):
        return ""
    key = before[:-1]
    start = len(key)
    while start and (key[start - 1].isalnum() or key[start - 1] in "_-"):
        start -= 1
    return key[start:]
