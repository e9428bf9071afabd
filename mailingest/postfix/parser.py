"""Record -> Event: the program chosen, the text matched, the values typed."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from mailingest.errors import UsageError
from mailingest.grok.definitions import Definition
from mailingest.grok.library import Library
from mailingest.grok.matcher import Matcher
from mailingest.postfix.event import POSTFIX_SUCCESS, Event
from mailingest.postfix.fields import CONVERTERS, NAMES, Field, own_converters
from mailingest.postfix.names import NOQUEUE
from mailingest.postfix.programs import (
    COMPANIONS,
    GUESSED,
    PROGRAMS,
    Companion,
    ProgramKind,
    postfix_program,
)
from mailingest.postfix.replies import add_links
from mailingest.syslog.header import missing_part
from mailingest.syslog.records import Record
from mailingest.syslog.sources import DEFAULT_TYPE

TYPE_MISMATCH: Final = "_type_mismatch"

# What is kept of a line that its program's pattern does not match: level, queue ID and text.
_NOMATCH: Final = "POSTFIX_NOMATCH"
# Parts of a line that are fields of their own as well.
_OMITTED = ("postfix_keyvalue_data", "postfix_command_counter_data")
# Few differ: what a session's commands were counted as.
_RECURRING = ("postfix_command_counter_data",)
# Made-up tags must not fill the memory.
_MOST_PROGRAMS_KNOWN = 4096

_SERVICE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Program:
    """How to read the lines of a tag.

    ``service`` is "" if only the text says it; ``nomatch_tag`` is "" for all but Postfix.
    ``is_known`` is false for a tag that only looks like one of Postfix's own: of an instance, a
    transport or a daemon with a name that the site chose, or of a program beside Postfix.
    """

    instance: str
    service: str
    matchers: Sequence[tuple[str, Matcher]]
    nomatch_tag: str
    kind: ProgramKind | None
    success_tag: str = POSTFIX_SUCCESS
    is_known: bool = True


class EventParser:
    """Makes events of records; raises UsageError at once if a pattern is wrong.

    Users may have fields of their own, and programs: the tag, and the name of its pattern.
    ``tested`` are the files of patterns that need no look; they are compiled when a line needs
    them, or by `compile`.  ``patterns`` are the names of all that lines are matched against.
    """

    def __init__(
        self,
        definitions: Iterable[Definition],
        *,
        own_fields: Sequence[Field] = (),
        own_programs: Mapping[str, str] = MappingProxyType({}),
        tested: Collection[str] = (),
    ) -> None:
        definitions = list(definitions)
        library = Library(
            definitions,
            {**CONVERTERS, **own_converters(own_fields)},
            omitted=_OMITTED,
            recurring=_RECURRING,
            declared={*NAMES, *(field.name for field in own_fields)},
            tested=tested,
        )
        defined = {one.name for one in definitions}
        _check_programs(own_programs, defined)
        own = {
            tag: Companion(pattern, COMPANIONS[tag].kind if tag in COMPANIONS else "other")
            for tag, pattern in own_programs.items()
        }
        companions = {
            tag: one for tag, one in {**COMPANIONS, **own}.items() if one.pattern in defined
        }
        self.patterns = frozenset(
            {
                *PROGRAMS.values(),
                *(pattern for _, pattern in GUESSED),
                *(one.pattern for one in companions.values()),
                _NOMATCH,
            }
        )
        names = sorted(self.patterns)
        matchers = dict(zip(names, library.compile(f"%{{{name}}}" for name in names), strict=True))
        self._all_matchers: Sequence[Matcher] = tuple(matchers.values())
        self._matchers = {service: matchers[name] for service, name in PROGRAMS.items()}
        self._guessed = [(service, matchers[pattern]) for service, pattern in GUESSED]
        self._nomatch = matchers[_NOMATCH]
        self._companions = {
            tag: _companion(tag, matchers[one.pattern], one.kind) for tag, one in companions.items()
        }
        self._programs: dict[str, _Program] = {}

    def compile(self) -> None:
        """Compile all patterns, lest a line has to wait for its own."""
        for matcher in self._all_matchers:
            matcher.compile()

    def parse(self, record: Record, event_type: str = DEFAULT_TYPE) -> Event:
        """Make an event; what does not match any pattern is kept under a tag that says so."""
        program = self._programs.get(record.program) or self._program(record.program)
        tags: list[str] = list(record.problems)
        fields: dict[str, Any] = {
            "@timestamp": record.moment.text,
            "type": event_type,
            "host": record.hostname,
            "program": record.program,
            "message": record.msg,
            "tags": tags,
        }
        if record.procid:
            fields["pid"] = record.procid
        if record.pri is not None:
            fields["syslog_facility"] = record.pri >> 3
            fields["syslog_severity"] = record.pri & 7
        if (
            record.problems
            or record.repeated
            or record.msgid
            or record.structured_data
            or record.relay
        ):
            _add_rarities(record, fields)
        service = program.service
        nomatch = "" if record.program else missing_part(tags)
        if program.kind:
            fields["program_kind"] = program.kind
        if program.matchers:
            matched = self._match(program, record.text, fields)
            if matched is not None:
                service = matched
            elif program.nomatch_tag:
                nomatch = self._unmatched(program, record.text, fields)
        queue_id = None
        if program.kind == "postfix":
            queue_id = fields.get("postfix_queueid")
            fields["instance"] = program.instance
            if service:
                fields["service"] = service
        return Event(
            record.moment.seconds,
            record.hostname,
            program.instance,
            service,
            None if queue_id == NOQUEUE else queue_id,
            nomatch,
            fields,
            "",
            event_type,
        )

    def _match(self, program: _Program, text: str, fields: dict[str, Any]) -> str | None:
        """Add what the text says to the fields; the daemon that it was taken for, or None."""
        for service, matcher in program.matchers:
            unfit = matcher.match(text, fields)
            if unfit is None:
                continue
            tags = fields["tags"]
            tags.append(program.success_tag)
            if unfit:
                tags.append(TYPE_MISMATCH)
                fields["unfit"] = list(unfit)
            if not program.service and "postfix_relay" in fields:
                service = _delivery_agent(fields)
            if fields.get("postfix_status") == "sent" or "postfix_proxy_message" in fields:
                add_links(fields)
            return service
        return None

    def _unmatched(self, program: _Program, text: str, fields: dict[str, Any]) -> str:
        """Add what is known of a text that no pattern matches; the tag that says so.

        Under a name that is none of Postfix's own, only a line about a queue ID is surely Postfix.
        """
        found: dict[str, Any] = {}
        self._nomatch.match(text, found)
        if not program.is_known and "postfix_queueid" not in found:
            return ""
        fields.update(found)
        fields["tags"].append(program.nomatch_tag)
        return program.nomatch_tag

    def _program(self, tag: str) -> _Program:
        companion = self._companions.get(tag) or self._companions.get(tag.rpartition("/")[2])
        if companion is not None and tag.rpartition("/")[2] not in PROGRAMS:
            return companion
        found = postfix_program(tag)
        if found is None:
            program = _Program("", "", (), "", None)
        elif found.service in self._matchers:
            program = self._known_program(*found)
        else:
            matchers = ((found.service, self._matchers[""]),)
            tag_of_nomatch = _nomatch_tag(found.service)
            program = _Program(*found, matchers, tag_of_nomatch, "postfix", is_known=False)
        if len(self._programs) >= _MOST_PROGRAMS_KNOWN:
            self._programs.clear()
        self._programs[tag] = program
        return program

    def _known_program(self, instance: str, service: str) -> _Program:
        matchers = [(service, self._matchers[service])] if service else self._guessed
        return _Program(
            instance,
            service,
            matchers,
            _nomatch_tag(service or "postfix"),
            "postfix",
            is_known=bool(service) or instance == "postfix",
        )


def by_program(records: Sequence[Record]) -> list[int]:
    """The places of records in the order to parse them in: those of a program behind each other.

    It takes less time than as they come: a processor keeps what their pattern needs at hand.
    """
    programs = [record.program for record in records]
    return sorted(range(len(records)), key=programs.__getitem__)


def _check_programs(programs: Mapping[str, str], defined: Collection[str]) -> None:
    for tag, name in programs.items():
        place = f"grok.programs: {tag!r}"
        if name not in defined:
            raise UsageError(f"{place}: there is no pattern {name}: define it in a pattern file")
        if tag.startswith("postfix") and tag.rpartition("/")[2] in {*PROGRAMS, "postfix"}:
            raise UsageError(f"{place}: that is Postfix: give its patterns another text instead")


def _companion(tag: str, matcher: Matcher, kind: ProgramKind) -> _Program:
    name = tag.rpartition("/")[2]
    return _Program("", "", (("", matcher),), "", kind, f"_grok_{name}_success")


def _delivery_agent(fields: dict[str, Any]) -> str:
    """Who wrote a delivery line whose tag was cut, as far as the relay shows it."""
    service = fields.get("postfix_relay_service")
    if service is None:
        return "smtp"
    if "/" in service:
        return "lmtp"
    if service == "none":
        # Not sent: it may be any agent; smtp(8) is the one with connections that fail.
        return "discard" if fields.get("postfix_status") == "sent" else "smtp"
    if service == "virtual":
        return "virtual"
    agent = "local" if service == "local" else "pipe"
    if "postfix_smtp_response" in fields:
        fields[f"postfix_{agent}_response"] = fields.pop("postfix_smtp_response")
    return agent


def _nomatch_tag(service: str) -> str:
    # The name of an unknown daemon comes from the line, so it may be anything.
    name = service if _SERVICE_NAME.fullmatch(service) else "other"
    return f"_grok_postfix_{name}_nomatch"


def _add_rarities(record: Record, fields: dict[str, Any]) -> None:
    if record.relay:
        fields["syslog_relay"] = record.relay
    if record.repeated:
        fields["syslog_repeated"] = record.repeated
    if record.msgid:
        fields["syslog_msgid"] = record.msgid
    if record.structured_data:
        fields["syslog_structured_data"] = record.structured_data
    if record.raw is not None:
        fields["raw"] = record.raw
