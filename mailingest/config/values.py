"""What single values of settings may be: zones, charsets, addresses of servers, names of fields."""

import codecs
import os
import re
from datetime import UTC, tzinfo
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from mailingest.config.host_names import address_name, host_name
from mailingest.config.quantities import read_days, read_seconds, read_size, read_whole_days
from mailingest.postfix.fields import NAMES
from mailingest.postfix.mail_domains import MailDomains
from mailingest.syslog.sources import TYPE_NAME

_DNS_NAME = re.compile(r"(?:\*\.)?[\w-]+(?:\.[\w-]+)*", re.ASCII)
_JOURNAL_MATCH = re.compile(r"[A-Z0-9_]{1,64}=[^\0\n]{0,1000}")
_TOPIC_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}", re.ASCII)
_OWN_FIELD = re.compile(r"@?[A-Za-z_][\w-]*(?:\.[\w@-]+)*", re.ASCII)

# ASCII that some codecs take for more: the first of these is ASCII in no codec that has escapes
# (idna, unicode_escape, utf-7 ...), whose text may be what no JSON can hold.
_ASCII = (rb"xn--mxa.\u0041+AEE-", bytes(range(128)))


def load_zone(name: str) -> tzinfo:
    """The zone of an IANA name, or the system's for `local`; raises ValueError."""
    try:
        if name != "local":
            return ZoneInfo(name)
        # tzset(3): a name or a file, with or without a colon before it; no file is UTC.
        given = os.environ.get("TZ", "").lstrip(":") or "/etc/localtime"
        if not given.startswith("/"):
            return ZoneInfo(given)
        with Path(given).open("rb") as file:
            return ZoneInfo.from_file(file, key="local")
    except FileNotFoundError:
        return UTC
    except (OSError, ValueError, LookupError) as error:
        raise ValueError("must be `local` or an IANA name such as Europe/Berlin") from error


def _zone(name: str) -> str:
    load_zone(name)
    return name


def charset_name(name: str) -> str:
    """The codec of a charset, `auto` as it is; raises ValueError."""
    if name == "auto":
        return name
    try:
        known = codecs.lookup(name).name
        has_ascii = all(text.decode(known) == text.decode("ascii") for text in _ASCII)
    except (LookupError, ValueError):
        has_ascii = False
    if not has_ascii:
        raise ValueError("must be `auto` or a charset that contains ASCII, such as iso-8859-1")
    return known


def _type_name(name: str) -> str:
    if TYPE_NAME.fullmatch(name) is None:
        raise ValueError(
            "must be a name such as mbox: lower-case letters, digits, _ and -, of which the first "
            "is a letter or a digit, at most 64"
        )
    return name


def _since(value: Any) -> Any:
    if value in ("now", "all"):
        return value
    try:
        return read_seconds(value)
    except ValueError as error:
        raise ValueError(f"must be `now` or `all`, or it {error}") from None


def _absolute_path(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise ValueError("must be an absolute path, such as /var/log/mail.log")
    return path


def _journal_match(match: str) -> str:
    if match != "+" and _JOURNAL_MATCH.fullmatch(match) is None:
        raise ValueError(
            "must be FIELD=value as journalctl takes it, such as SYSLOG_FACILITY=2 or "
            "_SYSTEMD_UNIT=dovecot.service, or + between two of them"
        )
    return match


def _network(text: Any) -> Any:
    """The network of a text; an address stands for itself, and bits of a host are no mistake."""
    try:
        return ip_network(text, strict=False)
    except (ValueError, TypeError):
        raise ValueError("must be an address or a network, such as 192.0.2.0/24") from None


def _server(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and parts.hostname and parts.port
    except ValueError:
        is_whole = None
    if not is_whole:
        raise ValueError("must be a URL with a port, such as https://es1.example.net:9200")
    if parts.username or parts.password:
        raise ValueError("must not hold a user name: set username and password_file")
    return url


def _broker_address(text: str) -> str:
    """As `host_name` writes it, with its port."""
    name, _, port = text.rpartition(":")
    found = host_name(name)
    if found is None or not port.isdecimal() or not 0 < int(port) <= 65_535:
        raise ValueError("must be a name or address with a port, such as kafka1.example.net:9092")
    return f"[{found}]:{port}" if ":" in found else f"{found}:{port}"


def _topic_name(name: str) -> str:
    """Apache Kafka: org.apache.kafka.common.internals.Topic."""
    if _TOPIC_NAME.fullmatch(name) is None or name in (".", ".."):
        raise ValueError("must have 1 to 249 letters, digits, dots, dashes and underscores")
    return name


def _server_name(name: str) -> str:
    """As `host_name` writes it."""
    found = address_name(name.removeprefix("[").removesuffix("]"))
    if found is None and ":" not in name:
        found = host_name(name)
    if found is None:
        raise ValueError(
            "must be a name or an address as a browser shows it, without http:// and without a "
            "port, such as trace.example.net"
        )
    return found


def _mail_domain(text: str) -> str:
    if text != "*":
        MailDomains.read([text])
    return text


def _fingerprint(digest: str) -> str:
    """Without the colons and capitals that ``openssl`` prints."""
    plain = digest.replace(":", "").lower()
    if not re.fullmatch("[0-9a-f]{64}", plain):
        raise ValueError("must be a SHA-256 fingerprint, 64 hexadecimal digits")
    return plain


def _certificate_name(name: str) -> str:
    """A DNS name, or a fingerprint as `_fingerprint` writes it."""
    plain = name.lower().removeprefix("sha256:").replace(":", "")
    if re.fullmatch("[0-9a-f]{64}", plain):
        return plain
    if _DNS_NAME.fullmatch(name) is None:
        raise ValueError(
            "must be a DNS name such as mx1.example.net or *.example.net, or the SHA-256 "
            "fingerprint of a certificate"
        )
    return name.lower()


def _own_fields(fields: dict[str, str]) -> dict[str, str]:
    for name in fields:
        if _OWN_FIELD.fullmatch(name) is None:
            raise ValueError(f"{name}: a name has letters, digits, _, - and dots between")
        if name in NAMES:
            raise ValueError(f"{name}: there is such a field already: take another name")
        parent = name.rpartition(".")[0]
        while parent:
            if parent in NAMES or parent in fields:
                raise ValueError(f"{name}: {parent} is a field, and can have no parts")
            parent = parent.rpartition(".")[0]
    return fields


OwnFields = Annotated[
    dict[str, Literal["keyword", "text", "integer", "float", "ip"]], AfterValidator(_own_fields)
]
Size = Annotated[int, BeforeValidator(read_size)]
"""Bytes."""
Duration = Annotated[float, BeforeValidator(read_seconds)]
"""Seconds."""
Days = Annotated[float, BeforeValidator(read_days)]
WholeDays = Annotated[int, BeforeValidator(read_whole_days)]
ServerName = Annotated[str, AfterValidator(_server_name)]
MailDomain = Annotated[str, AfterValidator(_mail_domain)]
"""As `MailDomains.read` takes it, or ``*`` for all."""
CertificateName = Annotated[str, AfterValidator(_certificate_name)]
Server = Annotated[str, AfterValidator(_server)]
BrokerAddress = Annotated[str, AfterValidator(_broker_address)]
TopicName = Annotated[str, AfterValidator(_topic_name)]
Fingerprint = Annotated[str, AfterValidator(_fingerprint)]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
Zone = Annotated[str, AfterValidator(_zone)]
Charset = Annotated[str, AfterValidator(charset_name)]
TypeName = Annotated[str, AfterValidator(_type_name)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Since = Annotated[Literal["now", "all"] | float, BeforeValidator(_since)]
"""From now on, all that there is, or seconds before now."""
AbsolutePath = Annotated[str, AfterValidator(_absolute_path)]
"""A path, or a pattern for paths."""
JournalMatch = Annotated[str, AfterValidator(_journal_match)]
