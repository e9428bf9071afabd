"""The forms that other systems give to the lines of a log, each of which has an RFC 3164 header."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

_LINE: Final = re.compile(
    r"(\w{3} [ \d]\d [\d:]{8}) (\S+) ([^\[:]+)(?:\[(\d+)\])?: ?(.*)", re.DOTALL
)
# What Docker's encoder escapes, beside what JSON wants.
_ESCAPED: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def _stamp(line: str, year: int) -> datetime:
    return datetime.strptime(f"{year} {line[:15]}", "%Y %b %d %H:%M:%S").replace(tzinfo=UTC)


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, separators=(",", ":"))


def docker_json(line: str, year: int) -> str:
    """Docker's json-file driver."""
    written = f"{_stamp(line, year):%Y-%m-%dT%H:%M:%S}.523456789Z"
    text = _json({"log": f"{line}\n", "stream": "stdout", "time": written})
    return "".join(_ESCAPED.get(one, one) for one in text)


def compose(line: str, year: int) -> str:
    """`docker compose logs`, in colour."""
    del year
    return f"\x1b[36mmail-1  |\x1b[0m {line}"


def cri(line: str, year: int) -> str:
    """A container's log on a node of Kubernetes."""
    return f"{_stamp(line, year):%Y-%m-%dT%H:%M:%S}.523456789Z stdout F {line}"


def docker_syslog(line: str, year: int) -> str:
    """Docker's syslog driver, as rsyslog writes it."""
    return f"{_stamp(line, year):%b %e %H:%M:%S} dockerhost docker/mail[812]: {line}"


def docker_rfc5424(line: str, year: int) -> str:
    """Docker's syslog driver with `syslog-format=rfc5424`."""
    written = f"{_stamp(line, year):%Y-%m-%dT%H:%M:%S}.523456Z"
    return f"<30>1 {written} dockerhost mail 812 mail - {line}"


def journal(line: str, year: int) -> str:
    """`journalctl -o json`."""
    match = _LINE.fullmatch(line)
    assert match is not None, line
    _, host, tag, pid, msg = match.groups()
    microseconds = int(_stamp(line, year).timestamp()) * 1_000_000
    values = {
        "__REALTIME_TIMESTAMP": str(microseconds),
        "_HOSTNAME": host,
        "SYSLOG_IDENTIFIER": tag,
        "SYSLOG_PID": pid,
        "SYSLOG_FACILITY": "2",
        "PRIORITY": "6",
        "MESSAGE": msg,
    }
    return _json({key: value for key, value in values.items() if value is not None})


def export(line: str, year: int) -> str:
    """`journalctl -o export`."""
    values = json.loads(journal(line, year))
    return "\n".join(
        [f"__CURSOR=s={year}", *(f"{key}={value}" for key, value in values.items()), ""]
    )


def iso(line: str, year: int) -> str:
    """The default of files since Debian 12."""
    return f"{_stamp(line, year):%Y-%m-%dT%H:%M:%S}+00:00{line[15:]}"


def relayed(line: str, year: int) -> str:
    """A header in a header, with a level before the tag."""
    host, _, rest = line[16:].partition(" ")
    return f"{_stamp(line, year):%Y-%m-%dT%H:%M:%S}Z loghost {line[:15]} {host} mail.info {rest}"


Wrapping = Callable[[str, int], str]
"""Makes a line of a line and the year that its time stamp is of."""

WRAPPINGS: Final[tuple[Wrapping, ...]] = (
    *(docker_json, compose, cri, docker_syslog, docker_rfc5424),
    *(journal, export, iso, relayed),
)
