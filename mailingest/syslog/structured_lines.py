"""A line that is a JSON object -> what it says of a log message: text, program, host and time.

Objects come from Docker, `journalctl -o json` and shippers of logs (Filebeat, Fluentd, Fluent Bit,
Logstash, rsyslog, syslog-ng, Vector, Graylog's GELF, Loki, cloud services).  They differ in the
names of keys; no name of a field is made of these.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from mailingest.syslog.apple_logs import POSTFIX_PATH
from mailingest.syslog.stamps import Stamp, epoch_stamp, read_stamp

# Each first where it stands for the message's own value, not for that of the machine that ships it.
_TEXTS: Final = (
    *("MESSAGE", "message", "short_message", "msg", "log", "line", "textPayload", "MSG"),
    *("full_message", "@message", "_raw", "raw", "rawmsg", "body", "content", "text"),
    *("original", "SyslogMessage", "Message", "Body", "stringValue", "event"),
    "eventMessage",
)
_PROGRAMS: Final = (
    *("SYSLOG_IDENTIFIER", "syslogtag", "PROGRAM", "program", "ident", "appname", "app-name"),
    *("app_name", "APP-NAME", "syslog_program", "SourceName", "_SourceName", "application_name"),
    *("_application_name", "_program", "identifier", "process_name", "programname", "tag"),
    *(
        "log.syslog.appname",
        "syslog.appname",
        "attributes.syslog.appname",
        "process.name",
        "ProcessName",
        "process",
    ),
)
_PROCIDS: Final = (
    *("SYSLOG_PID", "PID", "pid", "procid", "PROCID", "syslog_pid", "ProcessID", "_ProcessID"),
    "processID",
    *("process_id", "_process_id", "log.syslog.procid", "syslog.procid", "process.pid", "_PID"),
)
_HOSTS: Final = (
    *("_HOSTNAME", "logsource", "syslog_hostname", "log.syslog.hostname", "HOST", "hostname"),
    *("HOSTNAME", "Hostname", "syslog.hostname", "host", "host.name", "host.hostname"),
    *("Computer", "_sourcehost", "source"),
)
_TIMES: Final = (
    *("_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP", "timereported", "syslog_timestamp"),
    *("ISODATE", "timestamp", "TIMESTAMP", "@timestamp", "time", "EventTime", "DATE", "date", "ts"),
    *("dt", "TimeGenerated", "_time"),
)
# What the line is in, of services that put their own keys around it.
_WRAPPED: Final = (
    *("jsonPayload", "_source", "record", "fields", "attributes", "result", "map", "message"),
    *("body", "event", "data"),
)
# Integers are seconds, or their thousandths, millionths or milliardths.
_UNITS: Final = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
_HIGHEST_FACILITY: Final = 23
_HIGHEST_SEVERITY: Final = 7
_MOST_LEVELS: Final = 3


@dataclass(frozen=True, slots=True)
class StructuredLine:
    """A log message as an object says it; what it does not say is empty or None."""

    text: str
    tag: str
    procid: str
    host: str
    stamp: Stamp | None
    pri: int | None


def read_object(line: str) -> StructuredLine | None:
    """The message of a line that is a JSON object; None if it is none, or without a text."""
    try:
        return read_values(orjson.loads(line))
    except ValueError:
        return None


def read_values(values: Any) -> StructuredLine | None:
    """The message that the values of an object say; None if they do not have any."""
    for _ in range(_MOST_LEVELS):
        if not isinstance(values, dict):
            return None
        text = _first(values, _TEXTS)
        if text is not None:
            return StructuredLine(
                text,
                _first(values, _PROGRAMS) or _program_of_path(values),
                _first(values, _PROCIDS) or "",
                _host(values),
                _stamp(values),
                _pri(values),
            )
        values = next((values[key] for key in _WRAPPED if isinstance(values.get(key), dict)), None)
    return None


def _program_of_path(values: Mapping[str, Any]) -> str:
    """The tag of a process of macOS, "" if there is none."""
    path = _text(values.get("processImagePath")) or ""
    directory, _, name = path.rpartition("/")
    return f"postfix/{name}" if f"{directory}/" == POSTFIX_PATH else name


def _first(values: Mapping[str, Any], keys: Iterable[str]) -> str | None:
    for key in keys:
        text = _text(_value(values, key))
        if text:
            return text
    return None


def _host(values: Mapping[str, Any]) -> str:
    host = _first(values, _HOSTS) or ""
    # Fluentd's `source` is the container's stream.
    return "" if host in ("stdout", "stderr") or " " in host else host


def _value(values: Mapping[str, Any], key: str) -> Any:
    """The value of a key, also where dots in it stand for objects within objects."""
    if key in values or "." not in key:
        return values.get(key)
    inner: Any = values
    for part in key.split("."):
        inner = inner.get(part) if isinstance(inner, dict) else None
    return inner


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value.rstrip("\r\n\0 ")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    # journalctl writes what is not UTF-8 as a list of bytes.
    if isinstance(value, list) and value and all(_is_byte(one) for one in value):
        data = bytes(value)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("iso-8859-1")
    return None


def _is_byte(value: object) -> bool:
    return isinstance(value, int) and 0 <= value <= 255


def _stamp(values: Mapping[str, Any]) -> Stamp | None:
    for key in _TIMES:
        value = values.get(key)
        if isinstance(value, str):
            value = value.strip()
            # The journal's times are integers, written as texts.
            if value.isdecimal() and value.isascii() and len(value) < 20:
                value = int(value)
            elif (stamp := read_stamp(value)) is not None:
                return stamp
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
            return _numeric(value)
    return None


def _numeric(value: float) -> Stamp | None:
    unit = next((unit for least, unit in _UNITS if value >= least), 1.0)
    return epoch_stamp(value / unit)


def _pri(values: Mapping[str, Any]) -> int | None:
    """PRI of the journal's two numbers, or of one."""
    facility, severity = _number(values.get("SYSLOG_FACILITY")), _number(values.get("PRIORITY"))
    if facility is None or severity is None:
        pri = _number(values.get("pri"))
        return pri if pri is not None and pri <= _HIGHEST_FACILITY * 8 + 7 else None
    if facility <= _HIGHEST_FACILITY and severity <= _HIGHEST_SEVERITY:
        return facility * 8 + severity
    return None


def _number(value: object) -> int | None:
    text = str(value)
    return int(text) if len(text) < 4 and text.isascii() and text.isdecimal() else None
