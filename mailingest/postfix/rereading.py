"""A stored document of another program or an earlier version -> the event that it would be here.

Pure.  Logstash with the same patterns leaves all values as texts, the host perhaps as an object
(ECS), and nothing that is computed from a line.  The line itself is in ``message``: it is read
again, and what the document has besides (from other lines of its queue ID) is kept, typed.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from mailingest.postfix.completion import completed
from mailingest.postfix.fields import CONVERTERS, FIELDS, FieldType
from mailingest.postfix.interpretation import interpret
from mailingest.postfix.names import PROGRAM_KIND, STATUS
from mailingest.postfix.parser import EventParser
from mailingest.postfix.replies import add_links
from mailingest.syslog.records import Record
from mailingest.syslog.timestamps import Moment, moment_of

_TYPES: Final[Mapping[str, FieldType]] = {field.name: field.type for field in FIELDS}
_LISTS: Final = ("tags", "unfit")
# ECS has the name in `host.name`, its syslog in `host.hostname`.
_HOST_NAMES: Final = ("name", "hostname")
# What stands before the tag: priority, time (RFC 3164, or ISO 8601) and host.
_HEADER: Final = re.compile(
    r"(?:<\d{1,3}>(?:1 )?)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+) \S+ ",
    re.ASCII,
)
# What the document says of itself, whatever its line says.
_OF_DOCUMENT: Final[tuple[str, ...]] = ("@timestamp", "type")


class Rereader:
    """Reads documents again; ``parser`` is asked for when there is one that needs it."""

    def __init__(self, parser: Callable[[], EventParser]) -> None:
        self._parser = parser

    def read(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """The fields as this version stores them; those of its own documents come back as is.

        A document that has no time has no ``@timestamp``.
        """
        if PROGRAM_KIND in document:
            return document
        fields = typed(document)
        if "@timestamp" not in fields:
            return fields
        if fields.get("program") and fields.get("message"):
            record = _record(fields)
            fields["message"] = record.msg
            event = self._parser().parse(record)
            if not event.nomatch:
                interpret(event)
                own = {name: fields[name] for name in _OF_DOCUMENT if name in fields}
                return {**fields, **event.fields, **own}
        if fields.get(STATUS) == "sent":
            add_links(fields)
        return completed(fields)


def _record(fields: Mapping[str, Any]) -> Record:
    program, pid, message = fields["program"], fields.get("pid", ""), fields["message"]
    # Some keep the line as it came, with its header.
    header, tag, text = message.partition(f"{program}[{pid}]: " if pid else f"{program}: ")
    if not tag or _HEADER.fullmatch(header) is None:
        text = message
    moment = Moment(0, fields["@timestamp"])
    return Record(moment, fields.get("host", ""), program, pid, text, text)


def typed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with the types that are declared for them; what does not fit is left out."""
    fields: dict[str, Any] = {}
    for name, value in document.items():
        if name == "@timestamp":
            value = _time(value)
        elif name == "host":
            value = _host(value)
        elif name in _LISTS:
            value = [str(one) for one in (value if isinstance(value, list) else [value])]
        elif name in _TYPES:
            value = _typed(name, value)
        if value is not None:
            fields[name] = value
    return fields


def _typed(name: str, value: Any) -> Any:
    if isinstance(value, list):
        # A key that came twice.
        value = value[0] if value else None
    if value is None or isinstance(value, dict):
        return None
    convert = CONVERTERS.get(name)
    if convert is None:
        return value if isinstance(value, str) else str(value)
    if not isinstance(value, str) and _TYPES[name] in ("integer", "float"):
        return int(value) if _TYPES[name] == "integer" else float(value)
    try:
        return convert(str(value))
    except ValueError:
        return None


def _time(value: Any) -> str | None:
    """The time as ISO 8601 in UTC: of a text, or of milliseconds since 1970."""
    try:
        if isinstance(value, int | float):
            return moment_of(value / 1000).text
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return value if str(value).endswith("Z") else moment_of(time.timestamp()).text


def _host(value: Any) -> str | None:
    if isinstance(value, Mapping):
        return next((_host(value[name]) for name in _HOST_NAMES if name in value), None)
    if isinstance(value, list):
        return _host(value[0]) if value else None
    return str(value) if value else None
