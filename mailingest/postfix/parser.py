"""Record -> Event: the program chosen, the text matched, the values typed."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from mailingest.errors import UsageError
from mailingest.grok.library import Definition, Library
from mailingest.grok.matcher import Matcher
from mailingest.postfix.fields import CONVERTERS, NAMES, Field, own_converters
from mailingest.postfix.replies import add_links
from mailingest.syslog.header import HEADER_NOMATCH, Record

POSTFIX_SUCCESS: Final = "_grok_postfix_success"
TYPE_MISMATCH: Final = "_type_mismatch"

NOQUEUE: Final = "NOQUEUE"

# The pattern for each Postfix program.  "" stands for any other one: a transport with a name of
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
    "postscreen": "POSTFIX_POSTSCREEN",
    "dnsblog": "POSTFIX_DNSBLOG",
    "tlsproxy": "POSTFIX_TLSPROXY",
    "anvil": "POSTFIX_ANVIL",
    "scache": "POSTFIX_SCACHE",
    "verify": "POSTFIX_VERIFY",
    "qmqpd": "POSTFIX_QMQPD",
    "trivial-rewrite": "POSTFIX_TRIVIAL_REWRITE",
    "tlsmgr": "POSTFIX_TLSMGR",
    "proxymap": "POSTFIX_PROXYMAP",
    "proxywrite": "POSTFIX_PROXYMAP",
    "flush": "POSTFIX_FLUSH",
    "showq": "POSTFIX_SHOWQ",
    "spawn": "POSTFIX_SPAWN",
    "master": "POSTFIX_MASTER",
    "postfix-script": "POSTFIX_SCRIPT",
    "postfix-tls-script": "POSTFIX_SCRIPT",
    "postmulti-script": "POSTFIX_SCRIPT",
    "post-install": "POSTFIX_SCRIPT",
    "postlog": "POSTFIX_POSTLOG",
    "postlogd": "POSTFIX_POSTLOGD",
    "posttls-finger": "POSTFIX_POSTTLS_FINGER",
    "postdrop": "POSTFIX_POSTDROP",
    "postmap": "POSTFIX_POSTMAP",
    "postalias": "POSTFIX_POSTMAP",
    "sendmail": "POSTFIX_SENDMAIL",
    "mailq": "POSTFIX_SENDMAIL",
    "newaliases": "POSTFIX_SENDMAIL",
    # The queue manager of old, and the one of 2.1 before it became the usual one.
    "oqmgr": "POSTFIX_QMGR",
    "nqmgr": "POSTFIX_QMGR",
    "postcat": "POSTFIX_COMMAND",
    "postconf": "POSTFIX_COMMAND",
    "postkick": "POSTFIX_COMMAND",
    "postlock": "POSTFIX_COMMAND",
    "postmulti": "POSTFIX_COMMAND",
    "postqueue": "POSTFIX_COMMAND",
    "": "POSTFIX_OTHER",
}
# What is kept of a line that its program's pattern does not match: level, queue ID and text.
_NOMATCH: Final = "POSTFIX_NOMATCH"
# Parts of a line that are fields of their own as well.
_OMITTED = ("postfix_keyvalue_data", "postfix_command_counter_data")
# Programs whose lines an RFC 5424 rsyslog sends as `postfix`, since it cuts the tag at the slash,
# with their patterns.  The order decides what a line that several could have written is taken for.
_GUESSED: Final[Sequence[tuple[str, str]]] = (
    ("smtp", "POSTFIX_GUESSED_SMTP"),
    ("verify", "POSTFIX_GUESSED_VERIFY"),
    *(
        (service, PROGRAMS[service])
        for service in (
            *("smtpd", "cleanup", "qmgr", "pickup", "bounce", "smtp", "postsuper", "postscreen"),
            *("dnsblog", "tlsproxy", "anvil", "scache", "master", "postfix-script", ""),
        )
    ),
)
# Hostile tags must not fill the memory.
_MOST_PROGRAMS_KNOWN = 4096

_SERVICE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)

# Other programs on a mail's way: the tag, and the pattern, which is in a file of its own; without
# it the lines are kept plain.  A line that the pattern does not match is no fault either, since
# these programs also write of other things than mail.
NEIGHBOURS: Final[Mapping[str, str]] = {
    "amavis": "AMAVIS",
    "dovecot": "DOVECOT",
    "opendkim": "OPENDKIM",
    "opendmarc": "OPENDMARC",
    "policyd-spf": "POLICYD_SPF",
    # The one in Perl, as its documentation names it in master.cf.
    "postfix/policy-spf": "POLICYD_SPF",
    "postgrey": "POSTGREY",
    "rspamd": "RSPAMD",
}


@dataclass(slots=True)
class Event:
    """One line as facts.

    ``fields`` has declared names only (see mailingest.postfix.fields).  ``service`` is the Postfix
    daemon, "" if the program is not Postfix; ``instance`` is its Postfix instance.  ``queue_id``
    is None for NOQUEUE, for lines without one, and for other programs, which do not say whose it
    is.  ``nomatch`` is the tag that says what did not match, "" if all did.  ``id`` is that of its
    document, "" as long as it has none.
    """

    seconds: int
    hostname: str
    instance: str
    service: str
    queue_id: str | None
    nomatch: str
    fields: dict[str, Any]
    id: str = ""


@dataclass(frozen=True, slots=True)
class _Program:
    """How to read the lines of a tag.

    ``service`` is "" if only the text tells it; ``nomatch_tag`` is "" for all but Postfix.
    """

    instance: str
    service: str
    matchers: Sequence[tuple[str, Matcher]]
    nomatch_tag: str
    success_tag: str = POSTFIX_SUCCESS


class EventParser:
    """Makes events of records; raises UsageError at once if a pattern is wrong.

    Users may have fields of their own, and programs: the tag, and the name of its pattern.
    ``patterns`` are the names of all that lines are matched against.
    """

    def __init__(
        self,
        definitions: Iterable[Definition],
        *,
        own_fields: Sequence[Field] = (),
        own_programs: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        definitions = list(definitions)
        library = Library(
            definitions,
            {**CONVERTERS, **own_converters(own_fields)},
            omitted=_OMITTED,
            declared={*NAMES, *(field.name for field in own_fields)},
        )
        defined = {one.name for one in definitions}
        _check_programs(own_programs, defined)
        programs = {**NEIGHBOURS, **own_programs}
        neighbours = defined.intersection(programs.values())
        guessed = {pattern for _, pattern in _GUESSED}
        self.patterns = frozenset({*PROGRAMS.values(), *guessed, _NOMATCH, *neighbours})
        names = sorted(self.patterns)
        matchers = dict(zip(names, library.compile(f"%{{{name}}}" for name in names), strict=True))
        self._matchers = {service: matchers[name] for service, name in PROGRAMS.items()}
        self._guessed = [(service, matchers[pattern]) for service, pattern in _GUESSED]
        self._nomatch = matchers[_NOMATCH]
        self._neighbours = {
            tag: _neighbour(tag, matchers[name])
            for tag, name in programs.items()
            if name in neighbours
        }
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
            matched = self._match(program, record.text, fields)
            if matched is not None:
                service = matched
            elif program.nomatch_tag:
                nomatch = program.nomatch_tag
                tags.append(nomatch)
                self._nomatch.match(record.text, fields)
        queue_id = fields.get("postfix_queueid") if program.nomatch_tag else None
        return Event(
            record.moment.seconds,
            record.hostname,
            program.instance,
            service,
            None if queue_id == NOQUEUE else queue_id,
            nomatch,
            fields,
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

    def _program(self, tag: str) -> _Program:
        if tag in self._neighbours:
            return self._neighbours[tag]
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
        matchers = [(service, self._matchers[service])] if service else self._guessed
        return _Program(instance, service, matchers, _nomatch_tag(service or "postfix"))


def _check_programs(programs: Mapping[str, str], defined: Collection[str]) -> None:
    for tag, name in programs.items():
        place = f"grok.programs: {tag!r}"
        if name not in defined:
            raise UsageError(f"{place}: there is no pattern {name}: define it in a pattern file")
        if tag.startswith("postfix") and tag.rpartition("/")[2] in {*PROGRAMS, "postfix"}:
            raise UsageError(f"{place}: that is Postfix: give its patterns another text instead")


def _neighbour(tag: str, matcher: Matcher) -> _Program:
    name = tag.rpartition("/")[2]
    return _Program("", "", (("", matcher),), "", f"_grok_{name}_success")


def _delivery_agent(fields: dict[str, Any]) -> str:
    """Who wrote a delivery line whose tag was cut, as far as the relay tells."""
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
    if record.repeated:
        fields["syslog_repeated"] = record.repeated
    if record.msgid:
        fields["syslog_msgid"] = record.msgid
    if record.structured_data:
        fields["syslog_structured_data"] = record.structured_data
    if record.raw is not None:
        fields["raw"] = record.raw
