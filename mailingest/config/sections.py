"""The sections of the settings; the only place for defaults."""

import os
from pathlib import Path
from typing import Any, Literal, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from mailingest.config.places import default_state_directory
from mailingest.config.values import (
    AbsolutePath,
    BrokerAddress,
    CertificateName,
    Charset,
    Days,
    Duration,
    Fingerprint,
    JournalMatch,
    MailDomain,
    Network,
    OwnFields,
    Port,
    Server,
    ServerName,
    Since,
    Size,
    TopicName,
    TypeName,
    WholeDays,
    Zone,
)
from mailingest.postfix.fields import Field as EventField
from mailingest.syslog.sources import DEFAULT_TYPE


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _meant(cls, given: Any, info: ValidationInfo) -> Any:
        """Take what can only mean one thing, and refuse what pydantic takes for another one.

        A text or table in place of a list is a list of it.  To Python, true is the number 1.
        """
        kind = cls.model_fields[str(info.field_name)].annotation
        if get_origin(kind) is tuple and isinstance(given, str | dict):
            if isinstance(given, str) and given.lstrip().startswith(("[", "{")):
                raise ValueError("must be JSON in the environment, and a list in the file")
            return (given,)
        if isinstance(given, bool) and kind in (int, float, str):
            raise PydanticCustomError("bool_given", "")
        return given


class Listener(_Section):
    """What every input may say of its lines."""

    type: TypeName | None = Field(
        None, description="type of its events, which names the index; not set: `index.prefix`"
    )
    charset: Charset | None = Field(
        None, description="charset of its lines; not set: `syslog.charset`"
    )


class UdpListener(Listener):
    """A UDP socket for syslog; rsyslog sends to it with `@host:port`."""

    host: str = Field("127.0.0.1", description="address or name to listen on; `::` is everywhere")
    port: Port = Field(5000, description="port to listen on; 0 takes a free one")
    receive_buffer: Size = Field(
        4 * 1024 * 1024, ge=4096, le=1024**3, description="receive buffer asked of the kernel"
    )
    allow: tuple[Network, ...] = Field(
        (), description="networks that may send, such as 192.0.2.0/24; none: everybody"
    )
    rate_limit: float | None = Field(
        None, gt=0, description="lines a second of one sender; more are dropped"
    )
    rate_burst: int | None = Field(
        None, ge=1, description="lines that it may send at once; not set: those of ten seconds"
    )


class Tls(_Section):
    """TLS, as its server."""

    certificate: Path = Field(
        description="file with the certificate, and those between it and its authority (PEM); a "
        "bare name is a systemd credential"
    )
    key: Path = Field(description="file with its key (PEM); a bare name is a systemd credential")
    client_ca: Path | None = Field(
        None,
        description="file with the authorities whose certificates senders must show (PEM); not "
        "set: they need none",
    )
    allow_names: tuple[CertificateName, ...] = Field(
        (),
        description="DNS names of certificates, or their SHA-256 fingerprints, that may send; "
        "none: all that client_ca has signed",
    )

    @model_validator(mode="after")
    def _names_need_certificates(self) -> "Tls":
        if self.allow_names and self.client_ca is None:
            raise ValueError("allow_names needs client_ca: nobody else shows a certificate")
        return self


class StreamListener(Listener):
    """What every listener over TCP has."""

    host: str = Field("127.0.0.1", description="address or name to listen on; `::` is everywhere")
    port: Port = Field(5000, description="port to listen on; 0 takes a free one")
    max_connections: int = Field(1000, ge=1, description="connections at a time")
    idle_timeout: Duration | None = Field(
        None, gt=0, description="time without a byte after which a connection is closed"
    )
    allow: tuple[Network, ...] = Field(
        (), description="networks that may connect, such as 192.0.2.0/24; none: everybody"
    )
    rate_limit: float | None = Field(
        None, gt=0, description="lines a second of one sender, after which it has to wait"
    )
    rate_burst: int | None = Field(
        None, ge=1, description="lines that it may send at once; not set: those of ten seconds"
    )
    tls: Tls | None = Field(None, description="TLS; not set: none")


class TcpListener(StreamListener):
    """A TCP socket for syslog; rsyslog sends to it with `@@host:port`."""


class RelpListener(StreamListener):
    """A TCP socket for RELP; rsyslog sends to it with `omrelp`."""

    port: Port = Field(2514, description="port to listen on; 0 takes a free one")


class LumberjackListener(StreamListener):
    """A TCP socket for Lumberjack 2; Filebeat sends to it with `output.logstash`."""

    port: Port = Field(5044, description="port to listen on; 0 takes a free one")


class Journald(Listener):
    """The systemd journal of this machine, read by journalctl."""

    enabled: bool = Field(False, description="true reads it")
    since: Since = Field(
        "now",
        description="what the first start reads: from `now` on, `all`, or the time before now; "
        "later starts go on where the last one was",
    )
    matches: tuple[JournalMatch, ...] = Field(
        ("SYSLOG_FACILITY=2",),
        description="which entries, as arguments of journalctl; facility 2 is mail",
    )


class FollowedFiles(Listener):
    """Log files that are read as they are written, through their rotation."""

    path: AbsolutePath = Field(description="path, or a pattern with * and ?")
    start: Literal["end", "beginning"] = Field(
        "end",
        description="where the first start begins in a file that is there; later starts go on "
        "where the last one was",
    )


class Inputs(_Section):
    """Where syslog comes in."""

    udp: tuple[UdpListener, ...] = Field((UdpListener(),), description="UDP listeners")
    tcp: tuple[TcpListener, ...] = Field((TcpListener(),), description="TCP listeners")
    relp: tuple[RelpListener, ...] = Field((), description="RELP listeners")
    lumberjack: tuple[LumberjackListener, ...] = Field((), description="Lumberjack listeners")
    journald: Journald = Field(Journald(), description="the journal of this machine")
    file: tuple[FollowedFiles, ...] = Field((), description="log files that are followed")
    max_hosts_per_peer: int = Field(
        5000, ge=1, description="host names under which a peer may send before lines are tagged"
    )

    @property
    def streams(self) -> list[tuple[str, StreamListener]]:
        """All listeners over TCP, each with the name of its list."""
        lists: dict[str, tuple[StreamListener, ...]] = {
            "tcp": self.tcp,
            "relp": self.relp,
            "lumberjack": self.lumberjack,
        }
        return [(name, one) for name, listeners in lists.items() for one in listeners]


class Syslog(_Section):
    """How syslog lines are read."""

    charset: Charset = Field(
        "auto", description="`auto` is UTF-8 where valid and ISO-8859-1 otherwise, or a charset"
    )
    timezone: Zone = Field(
        "local", description="zone of time stamps without one: an IANA name, or `local`"
    )
    host_timezones: dict[str, Zone] = Field({}, description="zone by hostname of the sender")
    max_days_ahead: Days = Field(
        3.0,
        ge=0.1,
        le=36_500,
        description="a line that is dated further ahead is filed under its arrival",
    )
    max_days_behind: Days | None = Field(
        None,
        ge=0.1,
        le=36_500,
        description="the same for a line that is older when it comes in; not set: "
        "retention.days, or 366",
    )


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

    allow_slow_patterns: bool = Field(
        False,
        description="true starts with patterns of these directories that are slow with ReDoS "
        "payloads",
    )

    @property
    def declared_fields(self) -> list[EventField]:
        """The further fields, as an event and an index template have them."""
        return [
            EventField(name, kind, "declared in the configuration", "")
            for name, kind in self.fields.items()
        ]


class Correlation(_Section):
    """How long and how many queue IDs are remembered."""

    max_queue_ids: int = Field(750_000, ge=1000, description="queue IDs at a time, 500 bytes each")
    max_bytes: Size = Field(
        512 * 1024 * 1024, ge=1024 * 1024, description="memory that they may take, by all hosts"
    )
    lifetime_days: Days = Field(
        6.0, gt=0, description="how long; more than Postfix's maximal_queue_lifetime"
    )


class Index(_Section):
    """How documents are filed."""

    prefix: TypeName = Field(
        DEFAULT_TYPE,
        description="type of inputs that set none; daily indices are TYPE-YYYY.MM.dd",
    )
    events: Literal["all", "deliveries"] = Field(
        "all", description="`all`, or `deliveries`: only what tracing a mail needs"
    )


class Retention(_Section):
    """How long documents are kept."""

    days: WholeDays | None = Field(
        None, ge=1, le=36_500, description="days that are kept, today included; not set: for ever"
    )


class EventType(_Section):
    """A type besides that of `index.prefix`: those that inputs name need no table of their own."""

    retention_days: WholeDays | None = Field(
        None, ge=1, le=36_500, description="days that are kept; not set: `retention.days`"
    )


class Batch(_Section):
    """When documents are written."""

    max_documents: int = Field(1000, ge=1, le=100_000, description="documents in a batch")
    max_bytes: Size = Field(4 * 1024 * 1024, ge=1024, description="size of a batch")
    max_age: Duration = Field(1.0, gt=0, le=60, description="time that a document waits for more")
    capacity: int = Field(20_000, ge=1000, description="documents kept in memory at most")


class Sqlite(_Section):
    """The embedded store, used if no other store is set."""

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
    timeout: Duration = Field(60.0, gt=0, description="time for a request")
    shards: int = Field(1, ge=1, le=100, description="shards of each day; 10 to 50 GB a shard")
    replicas: int = Field(1, ge=0, le=10, description="copies of each shard")

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> "Elasticsearch":
        if self.password and self.password_file:
            raise ValueError("set password or password_file, not both")
        if self.api_key and self.api_key_file:
            raise ValueError("set api_key or api_key_file, not both")
        if self.bearer_token and self.bearer_token_file:
            raise ValueError("set bearer_token or bearer_token_file, not both")
        if (self.password or self.password_file) and not self.username:
            raise ValueError("a password needs a username: set username")
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
        for_tls = {
            name: getattr(self, name)
            for name in ("ca_certs", "fingerprint", "client_cert", "client_key")
        }
        given = [name for name, value in for_tls.items() if value]
        if given and any(url.startswith("http://") for url in self.hosts):
            raise ValueError(
                f"set https:// in hosts, or take out {', '.join(given)}: http:// has no "
                "certificates"
            )
        if not self.verify_certs and (self.ca_certs or self.fingerprint):
            raise ValueError("verify_certs = false trusts all: take out ca_certs and fingerprint")
        if self.client_key and not self.client_cert:
            raise ValueError("a client_key needs a client_cert: set client_cert")
        return self


class VictoriaLogs(_Section):
    """VictoriaLogs."""

    url: Server | None = Field(None, description="URL, such as http://logs.example.net:9428")
    username: str | None = Field(None, description="user name")
    password: SecretStr | None = Field(None, description="password; better in password_file")
    password_file: Path | None = Field(
        None, description="file with the password; a bare name is a systemd credential"
    )
    bearer_token: SecretStr | None = Field(None, description="token; better in bearer_token_file")
    bearer_token_file: Path | None = Field(
        None, description="file with the token; a bare name is a systemd credential"
    )
    ca_certs: Path | None = Field(None, description="file with the certificates to trust (PEM)")
    verify_certs: bool = Field(True, description="false trusts any certificate")
    account_id: int = Field(0, ge=0, lt=2**32, description="account of the tenant")
    project_id: int = Field(0, ge=0, lt=2**32, description="project of the tenant")
    timeout: Duration = Field(60.0, gt=0, description="time for a request")

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> "VictoriaLogs":
        if self.password and self.password_file:
            raise ValueError("set password or password_file, not both")
        if self.bearer_token and self.bearer_token_file:
            raise ValueError("set bearer_token or bearer_token_file, not both")
        if (self.password or self.password_file) and not self.username:
            raise ValueError("a password needs a username: set username")
        if self.username and (self.bearer_token or self.bearer_token_file):
            raise ValueError("set username or bearer_token, not both")
        return self

    @model_validator(mode="after")
    def _trust(self) -> "VictoriaLogs":
        if self.ca_certs and (self.url or "").startswith("http://"):
            raise ValueError("set https:// in url, or take out ca_certs: http:// has none")
        if not self.verify_certs and self.ca_certs:
            raise ValueError("verify_certs = false trusts all: take out ca_certs")
        return self


class Kafka(_Section):
    """A topic that lines go to as they came, for workers on other machines to parse."""

    servers: tuple[BrokerAddress, ...] = Field(
        (), description="some of the brokers, as name:port; the client finds the others"
    )
    topic: TopicName = Field("mail-lines", description="topic of the lines")
    key: Literal["host", "queue_id"] = Field(
        "host", description="what is never spread over partitions: lines of a host, or a queue ID"
    )
    compression: Literal["off", "gzip", "snappy", "lz4", "zstd"] = Field(
        "zstd", description="compression of records"
    )
    tls: bool = Field(False, description="true encrypts the connections")
    ca_certs: Path | None = Field(None, description="file with the certificates to trust (PEM)")
    client_cert: Path | None = Field(None, description="file with the own certificate (PEM)")
    client_key: Path | None = Field(
        None, description="file with its key (PEM), if it is not in client_cert"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="how a username logs in"
    )
    username: str | None = Field(None, description="user name")
    password: SecretStr | None = Field(None, description="password; better in password_file")
    password_file: Path | None = Field(
        None, description="file with the password; a bare name is a systemd credential"
    )
    timeout: Duration = Field(
        60.0, ge=1.0, description="time that brokers may take to confirm a line"
    )
    partitions: int = Field(
        12, ge=1, le=10_000, description="partitions of a topic that `mailingest setup` makes"
    )
    replication: int = Field(3, ge=1, le=100, description="brokers that have each of them")

    @model_validator(mode="after")
    def _fits(self) -> "Kafka":
        if self.password and self.password_file:
            raise ValueError("set password or password_file, not both")
        has_password = self.password is not None or self.password_file is not None
        if has_password != (self.username is not None):
            raise ValueError("username and password go together: set password_file, or neither")
        if self.username and self.sasl_mechanism == "PLAIN" and not self.tls:
            raise ValueError("PLAIN sends the password as it is: set tls = true")
        for_tls = {name: getattr(self, name) for name in ("ca_certs", "client_cert", "client_key")}
        given = [name for name, file in for_tls.items() if file]
        if given and not self.tls:
            raise ValueError(f"set tls = true, or take out {', '.join(given)}")
        if self.client_key and not self.client_cert:
            raise ValueError("a client_key needs a client_cert: set client_cert")
        return self


class State(_Section):
    """What is kept from one run to the next."""

    directory: Path = Field(
        default_factory=lambda: default_state_directory(os.environ),
        description="directory; default is $STATE_DIRECTORY, the service's, or the user's own",
    )
    snapshot_interval: Duration = Field(
        60.0, gt=0, description="time between snapshots of the queue IDs"
    )
    max_dead_letter_bytes: Size = Field(
        256 * 1024 * 1024,
        ge=1024,
        description="size of the dead letters; when they are full, further ones wait",
    )


class Spool(_Section):
    """What was received and is not stored yet, on disk below the state directory."""

    max_bytes: Size = Field(
        4 * 1024**3, ge=16 * 1024**2, description="size on disk while the store is down or slow"
    )
    sync: Literal["never", "interval", "always"] = Field(
        "interval",
        description="when it is synced to the disk, for a power failure: `never`, each "
        "`sync_interval`, or `always`, before a TCP sender learns that its lines are accepted",
    )
    sync_interval: Duration = Field(1.0, gt=0, le=3600, description="time between syncs")


class Web(_Section):
    """The trace page."""

    host: str = Field("127.0.0.1", description="address or name to listen on")
    port: Port = Field(8025, description="port to listen on; 0 takes a free one")
    users_file: Path | None = Field(
        None,
        description="file of lines name:hash, made by `mailingest web-user`; a bare name is a "
        "systemd credential",
    )
    tokens_file: Path | None = Field(
        None,
        description="file of the tokens of scripts, made by `mailingest web-token`; a bare name is "
        "a systemd credential",
    )
    proxy_header: str | None = Field(
        None, description="header in which a trusted proxy names the user"
    )
    proxies: tuple[str, ...] = Field(
        ("127.0.0.1", "::1"), description="addresses of the proxies that are trusted"
    )
    server_names: tuple[ServerName, ...] = Field(
        (), description="names that the page is reached under, beside localhost and `host`"
    )
    domains: dict[str, tuple[MailDomain, ...]] = Field(
        {},
        description="by user, the domains whose mail they see: only mails from and to them; the "
        "user `*` is all who are not named, the domain `*` all domains",
    )
    mask_local_parts: bool = Field(
        False, description="true shows addresses as a***@example.net only"
    )
    questions_a_minute: int = Field(60, ge=1, description="requests a minute and user")
    question_seconds: Duration = Field(
        20.0,
        gt=0,
        le=3600,
        description="time after which a question is answered with what was found until then",
    )


class Trace(_Section):
    """What the answers about mails say beside the logs."""

    explanations: tuple[AbsolutePath, ...] = Field(
        (), description="files with explanations of replies, asked before those that are shipped"
    )


class Metrics(_Section):
    """Metrics for Prometheus, and whether the daemon is alive and ready, over HTTP."""

    host: str = Field("127.0.0.1", description="address or name to listen on")
    port: Port | None = Field(
        None, description="port to listen on, 0 takes a free one; not set: no metrics"
    )
    server_names: tuple[ServerName, ...] = Field(
        (), description="names that it is reached under, beside localhost, addresses and `host`"
    )


class Log(_Section):
    """mailingest's own log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level")
    format: Literal["auto", "text", "json"] = Field(
        "auto", description="`auto` is text on a terminal and JSON elsewhere"
    )
    report_interval: Duration = Field(
        60.0, gt=0, description="time between reports of the counters"
    )
