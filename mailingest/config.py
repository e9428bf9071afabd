"""One TOML file and the environment -> Settings; the only place for defaults.

Loading reads files and the environment, and has no other effect.  All mistakes are reported at
once, each with its place and what is allowed.
"""

import codecs
import difflib
import importlib.resources
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from mailingest.errors import UsageError
from mailingest.postfix.fields import NAMES

SYSTEM_CONFIG = Path("/etc/mailingest/mailingest.toml")
ENV_PREFIX = "MAILINGEST_"
ENV_CONFIG = "MAILINGEST_CONFIG"
_NESTED = "__"
_SECRETS = tuple(
    ("elasticsearch", name) for name in ("hosts", "password", "api_key", "bearer_token")
)

_OWN_FIELD = re.compile(r"@?[A-Za-z_][\w-]*(?:\.[\w@-]+)*", re.ASCII)

# ASCII that some codecs take for more: the first of these is ASCII in no codec that has escapes
# (idna, unicode_escape, utf-7 ...), whose text may be what no JSON can hold.
_ASCII = (rb"xn--mxa.\u0041+AEE-", bytes(range(128)))


def _zone(name: str) -> str:
    load_zone(name)
    return name


def _charset(name: str) -> str:
    if name == "auto":
        return name
    try:
        known = codecs.lookup(name).name
        has_ascii = all(octets.decode(known) == octets.decode("ascii") for octets in _ASCII)
    except (LookupError, ValueError):
        has_ascii = False
    if not has_ascii:
        raise ValueError("must be `auto` or a charset that contains ASCII, such as iso-8859-1")
    return known


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


def _fingerprint(digest: str) -> str:
    """Colons and capitals, as ``openssl`` prints it, are for people only."""
    plain = digest.replace(":", "").lower()
    if not re.fullmatch("[0-9a-f]{64}", plain):
        raise ValueError("must be a SHA-256 fingerprint, 64 hexadecimal digits")
    return plain


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
Server = Annotated[str, AfterValidator(_server)]
Fingerprint = Annotated[str, AfterValidator(_fingerprint)]
Zone = Annotated[str, AfterValidator(_zone)]
Charset = Annotated[str, AfterValidator(_charset)]
Port = Annotated[int, Field(ge=0, le=65_535)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UdpListener(_Section):
    """A UDP socket for syslog; rsyslog sends to it with `@host:port`."""

    host: str = Field("127.0.0.1", description="address or name to listen on; `::` is everywhere")
    port: Port = Field(5000, description="port to listen on; 0 takes a free one")
    receive_buffer: int = Field(
        4 * 1024 * 1024, ge=4096, description="receive buffer asked of the kernel, bytes"
    )


class TcpListener(_Section):
    """A TCP socket for syslog; rsyslog sends to it with `@@host:port`."""

    host: str = Field("127.0.0.1", description="address or name to listen on; `::` is everywhere")
    port: Port = Field(5000, description="port to listen on; 0 takes a free one")
    max_connections: int = Field(1000, ge=1, description="connections at a time")
    idle_timeout: float | None = Field(
        None, gt=0, description="seconds without a byte after which a connection is closed"
    )


class Inputs(_Section):
    """Where syslog comes in."""

    udp: tuple[UdpListener, ...] = Field((UdpListener(),), description="UDP listeners")
    tcp: tuple[TcpListener, ...] = Field((TcpListener(),), description="TCP listeners")


class Syslog(_Section):
    """How syslog lines are read."""

    charset: Charset = Field(
        "auto", description="`auto` is UTF-8 where valid and ISO-8859-1 otherwise, or a charset"
    )
    timezone: Zone = Field(
        "local", description="zone of time stamps without one: an IANA name, or `local`"
    )
    host_timezones: dict[str, Zone] = Field({}, description="zone by hostname of the sender")


class Grok(_Section):
    """Which patterns are used."""

    patterns_dirs: tuple[Path, ...] = Field(
        (), description="directories of further pattern files, later ones override by name"
    )
    fields: OwnFields = Field(
        {}, description="type by name of further fields: keyword, text, integer, float or ip"
    )
    programs: dict[str, str] = Field(
        {}, description="pattern by syslog tag of further programs, which are not Postfix"
    )


class Correlation(_Section):
    """How long and how many queue IDs are remembered."""

    max_queue_ids: int = Field(750_000, ge=1000, description="queue IDs at a time, 700 bytes each")
    lifetime_days: float = Field(
        6.0, gt=0, description="days; more than Postfix's maximal_queue_lifetime"
    )


class Index(_Section):
    """How documents are filed."""

    prefix: str = Field(
        "mail",
        pattern=r"^[a-z][a-z0-9_-]{0,63}$",
        description="daily indices are PREFIX-YYYY.MM.dd",
    )
    events: Literal["all", "deliveries"] = Field(
        "all", description="`all`, or `deliveries`: only what tracing a mail needs"
    )


class Retention(_Section):
    """How long documents are kept."""

    days: int | None = Field(
        None, ge=1, le=36_500, description="days that are kept, today included; not set: for ever"
    )


class Batch(_Section):
    """When documents are written."""

    max_documents: int = Field(1000, ge=1, le=100_000, description="documents in a batch")
    max_bytes: int = Field(4 * 1024 * 1024, ge=1024, description="bytes in a batch")
    max_age: float = Field(1.0, gt=0, le=60, description="seconds that a document waits for more")
    capacity: int = Field(20_000, ge=1000, description="documents kept in memory at most")


class Sqlite(_Section):
    """The embedded store, used if no other output is set."""

    directory: Path | None = Field(None, description="directory; default is `mail` below the state")


class Ndjson(_Section):
    """Documents as lines of JSON."""

    path: str | None = Field(None, description="file to append to, or `-` for standard output")


class Elasticsearch(_Section):
    """Elasticsearch or OpenSearch."""

    hosts: tuple[Server, ...] = Field((), description="URLs, such as https://es1.example.net:9200")
    username: str | None = Field(None, description="user name")
    password: SecretStr | None = Field(None, description="password; better in password_file")
    password_file: Path | None = Field(
        None, description="file with the password; a bare name is a systemd credential"
    )
    api_key: SecretStr | None = Field(None, description="API key; better in api_key_file")
    api_key_file: Path | None = Field(
        None, description="file with the API key; a bare name is a systemd credential"
    )
    bearer_token: SecretStr | None = Field(None, description="token; better in bearer_token_file")
    bearer_token_file: Path | None = Field(
        None, description="file with the token; a bare name is a systemd credential"
    )
    ca_certs: Path | None = Field(None, description="file with the certificates to trust (PEM)")
    fingerprint: Fingerprint | None = Field(
        None, description="SHA-256 of the one certificate to trust, the server's or its authority's"
    )
    verify_certs: bool = Field(True, description="false trusts any certificate")
    client_cert: Path | None = Field(None, description="file with the own certificate (PEM)")
    client_key: Path | None = Field(
        None, description="file with its key (PEM), if it is not in client_cert"
    )
    compress: bool = Field(False, description="true sends requests compressed (gzip)")
    timeout: float = Field(60.0, gt=0, description="seconds for a request")
    replicas: int = Field(1, ge=0, le=10, description="copies of each index in the template")

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> "Elasticsearch":
        if self.password and self.password_file:
            raise ValueError("set password or password_file, not both")
        if self.api_key and self.api_key_file:
            raise ValueError("set api_key or api_key_file, not both")
        if self.bearer_token and self.bearer_token_file:
            raise ValueError("set bearer_token or bearer_token_file, not both")
        if (self.password or self.password_file) and not self.username:
            raise ValueError("a password needs a username")
        ways = {
            "username": self.username,
            "api_key": self.api_key or self.api_key_file,
            "bearer_token": self.bearer_token or self.bearer_token_file,
        }
        given = [name for name, value in ways.items() if value]
        if len(given) > 1:
            raise ValueError(
                f"set {' or '.join(given)}, not {'both' if len(given) == 2 else 'all'}"
            )
        return self

    @model_validator(mode="after")
    def _one_way_to_trust(self) -> "Elasticsearch":
        if self.ca_certs and self.fingerprint:
            raise ValueError("set ca_certs or fingerprint, not both")
        if not self.verify_certs and (self.ca_certs or self.fingerprint):
            raise ValueError("verify_certs = false trusts all: take out ca_certs and fingerprint")
        if self.client_key and not self.client_cert:
            raise ValueError("a client_key needs a client_cert")
        return self


class State(_Section):
    """What is kept from one run to the next."""

    directory: Path = Field(
        default_factory=lambda: default_state_directory(os.environ),
        description="directory; default is $STATE_DIRECTORY (systemd) or the user's own",
    )
    snapshot_interval: float = Field(
        60.0, gt=0, description="seconds between snapshots of the queue IDs"
    )
    max_dead_letter_bytes: int = Field(
        256 * 1024 * 1024, ge=1024, description="bytes of rejected documents that are kept"
    )


class Spool(_Section):
    """What was received and is not stored yet, on disk below the state directory."""

    max_bytes: int = Field(
        4 * 1024**3, ge=16 * 1024**2, description="bytes kept while the store is down or slow"
    )


class Web(_Section):
    """The trace page."""

    host: str = Field("127.0.0.1", description="address or name to listen on")
    port: Port = Field(8025, description="port to listen on; 0 takes a free one")
    users_file: Path | None = Field(
        None,
        description="file of lines name:hash, made by `mailingest web-user`; a bare name is a "
        "systemd credential",
    )
    proxy_header: str | None = Field(
        None, description="header in which a trusted proxy names the user"
    )
    proxies: tuple[str, ...] = Field(
        ("127.0.0.1", "::1"), description="addresses of the proxies that are trusted"
    )
    mask_local_parts: bool = Field(
        False, description="true shows addresses as a***@example.net only"
    )
    questions_a_minute: int = Field(60, ge=1, description="requests a minute and user")


class Log(_Section):
    """mailingest's own log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level")
    format: Literal["auto", "text", "json"] = Field(
        "auto", description="`auto` is text on a terminal and JSON elsewhere"
    )
    report_interval: float = Field(
        60.0, gt=0, description="seconds between reports of the counters"
    )


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=_NESTED,
    )

    inputs: Inputs = Inputs()
    syslog: Syslog = Syslog()
    grok: Grok = Grok()
    correlation: Correlation = Correlation()
    index: Index = Index()
    retention: Retention = Retention()
    batch: Batch = Batch()
    sqlite: Sqlite = Sqlite()
    ndjson: Ndjson = Ndjson()
    elasticsearch: Elasticsearch = Elasticsearch()
    state: State = Field(default_factory=State)
    spool: Spool = Spool()
    web: Web = Web()
    log: Log = Log()
    shutdown_timeout: float = Field(
        30.0, gt=0, description="seconds for storing what is in the spool at the end"
    )

    @model_validator(mode="after")
    def _one_output(self) -> "Settings":
        outputs = {
            "sqlite.directory": self.sqlite.directory,
            "ndjson.path": self.ndjson.path,
            "elasticsearch.hosts": self.elasticsearch.hosts,
        }
        given = [key for key, value in outputs.items() if value]
        if len(given) > 1:
            raise ValueError(f"there can be one output: set one of {', '.join(given)}")
        return self

    @property
    def sqlite_directory(self) -> Path:
        return self.sqlite.directory or self.state.directory / "mail"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before the file, which load() hands in as arguments."""
        return _Environment(settings_cls), init_settings


class _Environment(EnvSettingsSource):
    """The environment, where what should be JSON and is not stays as it is.

    Settings then complain of it together with all other mistakes.
    """

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


def default_state_directory(environment: Mapping[str, str]) -> Path:
    """systemd's StateDirectory=, or the XDG state directory of the user; raises UsageError."""
    # systemd separates several directories with colons.
    if given := environment.get("STATE_DIRECTORY", "").split(":")[0]:
        return Path(given)
    try:
        base = environment.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
    except RuntimeError:
        raise UsageError("state.directory: this user has no home directory: set it") from None
    return Path(base) / "mailingest"


def data_directory(name: str) -> Path:
    """`patterns` or `config`: inside the installed package, or beside it in a source tree."""
    package = Path(str(importlib.resources.files("mailingest")))
    installed = package / "data" / name
    return installed if installed.is_dir() else package.parent / name


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


def load(path: Path | None) -> Settings:
    """Settings of a file and the environment; raises UsageError, one line for each mistake.

    ``path`` None stands for the file named by $MAILINGEST_CONFIG, or else the system's file if
    there is one, or else the defaults.
    """
    if path is None and (named := os.environ.get(ENV_CONFIG)):
        path = Path(named)
    file = path or SYSTEM_CONFIG
    content = _read(file, may_be_missing=path is None)
    mistakes = [*_unknown_variables(os.environ)]
    try:
        settings = Settings(**content)
    except ValidationError as error:
        details = error.errors(include_url=False)
        # What is not in the environment is in the file, if there is one.
        source = file if content else None
        mistakes += [_describe(detail, source, os.environ) for detail in details]
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return settings


def read_secret(value: SecretStr | None, file: Path | None, key: str) -> str | None:
    """A secret given as it is or by a file; a bare file name is a systemd credential."""
    if file is None:
        return value.get_secret_value() if value else None
    file = credential(file)
    try:
        secret = file.read_text("utf-8").strip()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"{key}: cannot read {file}: {reason}") from None
    if not secret:
        raise UsageError(f"{key}: {file} is empty")
    return secret


def credential(file: Path) -> Path:
    """Where a file is that may be a systemd credential (LoadCredential=): a bare name is one."""
    if file.parent == Path() and (credentials := os.environ.get("CREDENTIALS_DIRECTORY")):
        return Path(credentials) / file
    return file


def _read(path: Path, *, may_be_missing: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        if may_be_missing and isinstance(error, FileNotFoundError):
            return {}
        raise UsageError(f"{path}: cannot read the configuration: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeError) as error:
        raise UsageError(f"{path}: not TOML: {error}") from None


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """pydantic-settings ignores a variable that no setting has; but it is a misspelt one."""
    known = [ENV_PREFIX + name.upper() for name in Settings.model_fields]
    for variable in environment:
        name = variable.upper()
        if not name.startswith(ENV_PREFIX) or name == ENV_CONFIG:
            continue
        if name.split(_NESTED)[0] not in known:
            yield f"environment: {variable}: no such setting{_did_you_mean(name, known)}"


def _describe(detail: ErrorDetails, path: Path | None, environment: Mapping[str, str]) -> str:
    loc = detail["loc"]
    given = detail["input"]
    message = detail["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if detail["type"] == "extra_forbidden":
        known = _known_keys(loc[:-1])
        guess = _did_you_mean(str(loc[-1]), known)
        message = f"no such setting{guess}; there are {', '.join(known)}"
    elif loc and not isinstance(given, dict | BaseModel | SecretStr) and not _is_secret(loc):
        message = f"{given!r}: {message}"
    # A mistake in several settings has no place of its own.
    return ": ".join([*_place(loc, path, environment), message]) if loc else message


def _place(
    loc: Sequence[int | str], path: Path | None, environment: Mapping[str, str]
) -> list[str]:
    key = ".".join(map(str, loc))
    variables = {name.upper() for name in environment}
    for end in range(len(loc), 0, -1):
        variable = ENV_PREFIX + _NESTED.join(map(str, loc[:end])).upper()
        if variable in variables:
            return ["environment", variable, key] if end < len(loc) else ["environment", variable]
    return [str(path), key] if path else [key]


def _is_secret(loc: Sequence[int | str]) -> bool:
    """Whether a value may hold a secret, be it at the wrong place."""
    return loc == ("elasticsearch",) or loc[:2] in _SECRETS


def _known_keys(loc: Sequence[int | str]) -> list[str]:
    model: Any = Settings
    for name in loc:
        if isinstance(name, str):
            annotation = model.model_fields[name].annotation
            # Of tuple[UdpListener, ...], the listener.
            model = next(iter(get_args(annotation)), annotation)
    return list(model.model_fields)


def _did_you_mean(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f", did you mean {close[0]}?" if close else ""
