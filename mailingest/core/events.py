"""Record -> Event: the program chosen, the text matched, the values typed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mailingest.core.fields import CONVERTERS, NAMES
from mailingest.core.grok import Definition, Library, Matcher
from mailingest.core.records import HEADER_NOMATCH, Record

POSTFIX_SUCCESS: Final = "_grok_postfix_success"
TYPE_MISMATCH: Final = "_type_mismatch"

NOQUEUE: Final = "NOQUEUE"

# The pattern for each Postfix daemon.  "" stands for any other one: a transport with a name of
# its own, or one that the rsyslog in between has cut off from the tag.
PROGRAMS: Final[Mapping[str, str]] = {
    "smtpd": "POSTFIX_SMTPD",
    "pickup": "POSTFIX_PICKUP",
    "cleanup": "POSTFIX_CLEANUP",
    "qmgr": "POSTFIX_QMGR",
    "bounce": "POSTFIX_BOUNCE",
    "smtp": "POSTFIX_SMTP",
    "lmtp": "POSTFIX_LMTP",
    "local": "POSTFIX_LOCAL",
    "virtual": "POSTFIX_VIRTUAL",
    "pipe": "POSTFIX_PIPE",
    "error": "POSTFIX_ERROR",
    "retry": "POSTFIX_ERROR",
    "discard": "POSTFIX_DISCARD",
    "postsuper": "POSTFIX_POSTSUPER",
    "": "POSTFIX_OTHER",
}
# What is kept of a line that its daemon's pattern does not match: the queue ID.
_NOMATCH: Final = "POSTFIX_NOMATCH"
# Parts of a line that are fields of their own as well.
_OMITTED = ("postfix_keyvalue_data", "postfix_command_counter_data")
# Programs whose lines an RFC 5424 rsyslog sends as `postfix`: it cuts the tag at the slash.
# The order decides what a line that several of them could have written is taken for.
_GUESSED = ("smtpd", "cleanup", "qmgr", "pickup", "bounce", "smtp", "postsuper")
# Hostile tags must not fill the memory.
_MOST_PROGRAMS_KNOWN = 4096

_SERVICE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
_RESPONSES = (
    "postfix_smtp_response",
    "postfix_local_response",
    "postfix_pipe_response",
    "postfix_error_response",
    "postfix_proxy_message",
)
# Postfix and most others, and Exim.
_QUEUED_AS = re.compile(r" (?:queued as |OK id=)([0-9A-Za-z-]{5,64})", re.ASCII)
_FORWARDED_AS = re.compile(r"forwarded as ([0-9A-Za-z]{5,64})", re.ASCII)


@dataclass(slots=True)
class Event:
    """One line as facts.

    ``fields`` has declared names only (see mailingest.core.fields).  ``service`` is the Postfix
    daemon, "" if the program is not Postfix; ``instance`` is its Postfix instance.  ``queue_id``
    is None for NOQUEUE and for lines without one.  ``nomatch`` is the tag that says what did not
    match, "" if all did.
    """

    seconds: int
    hostname: str
    instance: str
    service: str
    queue_id: str | None
    nomatch: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Program:
    instance: str
    service: str
    matchers: Sequence[tuple[str, Matcher]]
    nomatch_tag: str


class EventParser:
    """Makes events of records; raises UsageError at once if a pattern is wrong."""

    def __init__(self, definitions: Iterable[Definition]) -> None:
        library = Library(definitions, CONVERTERS, omitted=_OMITTED, declared=NAMES)
        names = sorted({*PROGRAMS.values(), _NOMATCH})
        matchers = dict(zip(names, library.compile(f"%{{{name}}}" for name in names), strict=True))
        self._matchers = {service: matchers[name] for service, name in PROGRAMS.items()}
        self._nomatch = matchers[_NOMATCH]
        self._programs: dict[str, _Program] = {}

    def parse(self, record: Record) -> Event:
        """Make an event; what does not match any pattern is kept under a tag that says so."""
        program = self._programs.get(record.program) or self._program(record.program)
        tags: list[str] = list(record.problems)
        fields: dict[str, Any] = {
            "@timestamp": record.moment.text,
            "type": "mail",
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
        if record.problems or record.repeated or record.msgid or record.structured_data:
            _add_rarities(record, fields)
        service = program.service
        nomatch = HEADER_NOMATCH if HEADER_NOMATCH in tags else ""
        if program.matchers:
            matched = self._match(program.matchers, record.text, fields)
            if matched is None:
                nomatch = program.nomatch_tag
                tags.append(nomatch)
                self._nomatch.match(record.text, fields)
            else:
                service = matched
        queue_id = fields.get("postfix_queueid")
        return Event(
            record.moment.seconds,
            record.hostname,
            program.instance,
            service,
            None if queue_id == NOQUEUE else queue_id,
            nomatch,
            fields,
        )

    def _match(
        self, matchers: Sequence[tuple[str, Matcher]], text: str, fields: dict[str, Any]
    ) -> str | None:
        """Add what the text says to the fields; the daemon that it was taken for, or None."""
        for service, matcher in matchers:
            unfit = matcher.match(text, fields)
            if unfit is None:
                continue
            tags = fields["tags"]
            tags.append(POSTFIX_SUCCESS)
            if unfit:
                tags.append(TYPE_MISMATCH)
                fields["unfit"] = list(unfit)
            if fields.get("postfix_status") == "sent" or "postfix_proxy_message" in fields:
                _add_links(fields)
            return service
        return None

    def _program(self, tag: str) -> _Program:
        instance, _, path = tag.partition("/")
        service = path.rpartition("/")[2]
        is_postfix = (
            instance.startswith("postfix") or service in PROGRAMS
            if path
            # multi_instance_name begins with `postfix-`; `postfixadmin` is something else.
            else instance == "postfix" or instance.startswith("postfix-")
        )
        if not is_postfix:
            program = _Program("", "", (), "")
        elif service in self._matchers:
            program = self._known_program(instance, service)
        else:
            program = _Program(
                instance, service, ((service, self._matchers[""]),), _nomatch_tag(service)
            )
        if len(self._programs) >= _MOST_PROGRAMS_KNOWN:
            self._programs.clear()
        self._programs[tag] = program
        return program

    def _known_program(self, instance: str, service: str) -> _Program:
        services = (service,) if service else (*_GUESSED, "")
        matchers = [(one, self._matchers[one]) for one in services]
        return _Program(instance, service, matchers, _nomatch_tag(service or "postfix"))


def _nomatch_tag(service: str) -> str:
    # The name of an unknown daemon comes from the line, so it may be anything.
    name = service if _SERVICE_NAME.fullmatch(service) else "other"
    return f"_grok_postfix_{name}_nomatch"


def _add_rarities(record: Record, fields: dict[str, Any]) -> None:
    if record.repeated:
        fields["syslog_repeated"] = record.repeated
    if record.msgid:
        fields["syslog_msgid"] = record.msgid
    if record.structured_data:
        fields["syslog_structured_data"] = record.structured_data
    if record.raw is not None:
        fields["raw"] = record.raw


def _add_links(fields: dict[str, Any]) -> None:
    """Tell the queue ID that a delivered mail goes on under, at the next hop or here."""
    for name in _RESPONSES:
        response = fields.get(name)
        if response is None:
            continue
        link = _QUEUED_AS.search(response)
        if link is not None:
            fields["postfix_remote_queueid"] = link[1]
        elif response.startswith("forwarded as "):
            link = _FORWARDED_AS.match(response)
            if link is not None:
                fields["postfix_forwarded_queueid"] = link[1]
        return
