"""One plugin at a time: its options, and what is said of each, exactly once."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mailingest.escaping import escape_terminal
from mailingest.logstash.conditions import Lines, Reach
from mailingest.logstash.patterns import SitePatterns
from mailingest.logstash.report import Entry, Verdict
from mailingest.logstash.toml import Document, Setting, Table
from mailingest.logstash.tree import Attribute, Condition, Place, Plugin, Value
from mailingest.logstash.values import (
    environment_of,
    merged,
    pairs_of,
    text_of,
    texts_of,
    with_defaults,
)

# Of every plugin, and about Logstash itself.
_HOUSEKEEPING: Final = frozenset(
    {
        *("id", "enable_metric", "periodic_flush", "workers", "threads", "queue_size"),
        *("ecs_compatibility", "named_captures_only", "timeout_scope", "timeout_millis"),
        *("tag_on_timeout", "buffer_size", "executor_threads", "dns_reverse_lookup_enabled"),
    }
)
_TWICE: Final = "given several times: Logstash adds them up, and the last one is taken here"
NO_SETTING: Final = "mailingest has no such setting: see docs/configuration, or leave it"


@dataclass
class Draft:
    """What comes of a pipeline, while its plugins are read one after the other."""

    patterns: SitePatterns
    lines: Lines
    types: Mapping[str, str]
    """Types of fields by `mutate convert`."""
    input_kinds: Collection[str]
    """The lists of tables in `[inputs]` that there are."""
    escapes: bool
    document: Document = field(default_factory=Document)
    entries: list[Entry] = field(default_factory=list)
    own_patterns: dict[str, str] = field(default_factory=dict)
    captured: set[str] = field(default_factory=set)
    """All fields that the pipeline's patterns and filters make."""
    types_name_indices: bool = True
    """Whether the output has an index by type, or names none."""
    secrets: list[str] = field(default_factory=list)
    """What people have to do about secrets."""

    def note(
        self,
        place: Place,
        what: str,
        verdict: Verdict,
        text: str,
        kind: str = "pattern",
    ) -> None:
        entry = Entry(place, what, verdict, text, kind)  # type: ignore[arg-type]
        if entry not in self.entries:
            self.entries.append(entry)


@dataclass
class Step:
    """A plugin, the conditions around it, and what has been said of it."""

    draft: Draft
    section: str
    plugin: Plugin
    guards: Sequence[Condition]
    reach: Reach
    verdict: Verdict = "not carried"
    text: str = NO_SETTING
    _said: dict[str, tuple[Verdict, str]] = field(default_factory=dict)
    rest: tuple[Verdict, str] = ("not carried", NO_SETTING)
    """What is said of options of which nothing else is."""

    @property
    def place(self) -> Place:
        return self.plugin.place

    def is_set(self, name: str) -> bool:
        return any(one.name == name for one in self.plugin.attributes)

    def value(self, name: str) -> Value | None:
        """An option's value, of several what Logstash makes of them."""
        return merged(one.value for one in self.plugin.attributes if one.name == name)

    def option(self, name: str) -> str | None:
        """A scalar option as text; one that the environment has to give is said to be missing."""
        value = self.value(name)
        text = None if value is None else text_of(value, escapes=self.draft.escapes)
        if text is None:
            return None
        return self._known(name, text)

    def texts(self, name: str) -> list[str]:
        """A scalar option, or those of a list; those that the environment has to give are not."""
        value = self.value(name)
        found = [] if value is None else texts_of(value, escapes=self.draft.escapes)
        return [known for one in found if (known := self._known(name, one)) is not None]

    def _known(self, name: str, text: str) -> str | None:
        if (known := with_defaults(text)) is None:
            names = ", ".join(name for name, default in environment_of(text) if default is None)
            self.not_carried(
                name, f"it is in the environment or the keystore of Logstash ({names}): set it here"
            )
        return known

    def pairs(self, name: str) -> list[tuple[str, Value]]:
        value = self.value(name)
        return [] if value is None else pairs_of(value, escapes=self.draft.escapes)

    def is_true(self, name: str) -> bool | None:
        text = self.option(name)
        return None if text is None else text.lower() == "true"

    def say(self, verdict: Verdict, text: str = "") -> None:
        """What became of the plugin as a whole."""
        self.verdict, self.text = verdict, text

    def carried(self, name: str, text: str = "") -> None:
        self._said.setdefault(name, ("carried", text))

    def replaced(self, name: str, text: str = "") -> None:
        self._said.setdefault(name, ("replaced", text))

    def not_carried(self, name: str, text: str) -> None:
        self._said.setdefault(name, ("not carried", text))

    def wrong(self, name: str, text: str) -> None:
        self._said.setdefault(name, ("wrong", text))

    def all_options(self, verdict: Verdict, text: str = "") -> None:
        """What became of all options of which nothing was said by themselves."""
        self.rest = (verdict, text)

    def set(self, table: Table, key: str, value: Setting, option: str) -> None:
        """Carry an option over, with a comment from where it comes."""
        table.set(key, value, f"{option}: {self.where(option)}")
        self.carried(option, f"as {key}")

    def where(self, option: str | None = None) -> str:
        """File and line of an option, or of the plugin."""
        places = [one.place for one in self.plugin.attributes if one.name == option]
        place = places[0] if places else self.place
        return f"{escape_terminal(place.file)}:{place.line}"

    def finish(self) -> Iterator[Entry]:
        """An entry for the plugin, and one for each of its options, also of a codec's."""
        yield Entry(self.place, self.plugin.name, self.verdict, self.text, "plugin")
        yield from self._options(self.plugin, self.plugin.name, "")

    def _options(self, plugin: Plugin, name: str, prefix: str) -> Iterator[Entry]:
        twice = _scalars_given_twice(plugin)
        for attribute in plugin.attributes:
            key = prefix + attribute.name
            verdict, text = self._said.get(key) or self._default(attribute)
            if attribute.name in twice:
                verdict, text = "wrong", _TWICE
            yield Entry(attribute.place, f"{name} {attribute.name}", verdict, text, "option")
            for value in _plugins_within(attribute.value):
                yield Entry(value.place, f"{name} {value.name}", verdict, text, "plugin")
                yield from self._options(value, f"{name} {value.name}", f"{key}.")

    def _default(self, attribute: Attribute) -> tuple[Verdict, str]:
        if attribute.name in _HOUSEKEEPING:
            return "replaced", "nothing of the kind is needed"
        return self.rest


Handler = Callable[[Step], None]


def _scalars_given_twice(plugin: Plugin) -> set[str]:
    """Options that are no lists, so that giving them again is no addition."""
    scalars = [one.name for one in plugin.attributes if text_of(one.value) is not None]
    return {name for name in scalars if scalars.count(name) > 1}


def _plugins_within(value: Value) -> Iterator[Plugin]:
    match value:
        case Plugin():
            yield value
        case _:
            items = [*getattr(value, "items", ())] + [
                one for _, one in getattr(value, "entries", ())
            ]
            for item in items:
                yield from _plugins_within(item)
