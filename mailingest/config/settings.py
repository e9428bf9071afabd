"""All sections -> the settings of a run, with the environment before the file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from mailingest.config.sections import (
    Batch,
    Correlation,
    Elasticsearch,
    EventType,
    Grok,
    Index,
    Inputs,
    Kafka,
    Listener,
    Log,
    Metrics,
    Ndjson,
    Retention,
    Spool,
    Sqlite,
    State,
    Syslog,
    Trace,
    VictoriaLogs,
    Web,
)
from mailingest.config.values import Duration, TypeName, charset_name
from mailingest.errors import UsageError
from mailingest.syslog.sources import Source

# Where the index template of a type begins to match: at the century of a day.
_CENTURIES = ("-19", "-20")

ENV_PREFIX = "MAILINGEST_"
NESTED = "__"
"""Between the names of a section and a key in a variable: MAILINGEST_BATCH__MAX_AGE."""


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=NESTED,
    )

    inputs: Inputs = Inputs()
    syslog: Syslog = Syslog()
    grok: Grok = Grok()
    correlation: Correlation = Correlation()
    index: Index = Index()
    types: dict[TypeName, EventType] = Field({}, description="further types, by name")
    retention: Retention = Retention()
    batch: Batch = Batch()
    sqlite: Sqlite = Sqlite()
    ndjson: Ndjson = Ndjson()
    elasticsearch: Elasticsearch = Elasticsearch()
    victorialogs: VictoriaLogs = VictoriaLogs()
    kafka: Kafka = Kafka()
    state: State = Field(default_factory=State)
    spool: Spool = Spool()
    trace: Trace = Trace()
    web: Web = Web()
    metrics: Metrics = Metrics()
    log: Log = Log()
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="processes that work on the lines that `run` receives; 1: one that does all",
    )
    shutdown_timeout: Duration = Field(
        30.0, gt=0, description="time for storing what is in the spool at the end"
    )

    @model_validator(mode="after")
    def _one_store(self) -> "Settings":
        stores = {
            "sqlite.directory": self.sqlite.directory,
            "ndjson.path": self.ndjson.path,
            "elasticsearch.hosts": self.elasticsearch.hosts,
            "victorialogs.url": self.victorialogs.url,
            "kafka.servers": self.kafka.servers,
        }
        given = [key for key, value in stores.items() if value]
        if len(given) > 1:
            raise ValueError(f"there can be one store: set one of {', '.join(given)}")
        return self

    @model_validator(mode="after")
    def _one_process_where_several_cannot(self) -> "Settings":
        if self.workers > 1 and self.kafka.servers:
            raise ValueError("workers: lines for a topic are not parsed here: one process does it")
        if self.workers > 1 and self.ndjson.path == "-":
            raise ValueError(
                "workers: several cannot write to a pipe: set ndjson.path to a file, or workers = 1"
            )
        return self

    @model_validator(mode="after")
    def _types_apart(self) -> "Settings":
        """A day of one type must not look like one of another: `mail-20-2026.11.24`."""
        places = {name: place for place, name in reversed([*self._named_types()])}
        for name, place in places.items():
            for other in places:
                if name.startswith(tuple(other + century for century in _CENTURIES)):
                    raise ValueError(
                        f"{place}: days of the type {name} would be taken for days of the type "
                        f"{other} ({places[other]}): take another name"
                    )
        return self

    def _named_types(self) -> Iterator[tuple[str, str]]:
        """Each setting that names a type, and the type; that of `index.prefix` comes first."""
        yield "index.prefix", self.index.prefix
        inputs: dict[str, Sequence[Listener]] = {
            "udp": self.inputs.udp,
            "tcp": self.inputs.tcp,
            "relp": self.inputs.relp,
            "lumberjack": self.inputs.lumberjack,
            "file": self.inputs.file,
        }
        for protocol, listeners in inputs.items():
            for number, one in enumerate(listeners):
                if one.type is not None:
                    yield f"inputs.{protocol}.{number}.type", one.type
        if self.inputs.journald.type is not None:
            yield "inputs.journald.type", self.inputs.journald.type
        for name in self.types:
            yield f"types.{name}", name

    @property
    def type_names(self) -> tuple[str, ...]:
        """All types that there are; the first is that of inputs that set none."""
        return tuple(dict.fromkeys(name for _, name in self._named_types()))

    @property
    def retention_days(self) -> dict[str, int | None]:
        """How many days of each type are kept, None for all."""
        own = {name: one.retention_days for name, one in self.types.items()}
        return {name: own.get(name) or self.retention.days for name in self.type_names}

    @property
    def default_source(self) -> Source:
        """The source of lines whose input sets nothing."""
        return Source(self.index.prefix, self.syslog.charset)

    def source_of(self, listener: Listener) -> Source:
        """The source of the lines of a listener."""
        name, charset = self.default_source
        return Source(listener.type or name, listener.charset or charset)

    def only_type(self, name: str) -> str:
        """The name of a type that there is; raises UsageError for another one."""
        if name not in self.type_names:
            raise UsageError(
                f"--type {name}: there is no such type; there are {', '.join(self.type_names)}: "
                "name it in [types] of the configuration"
            )
        return name

    def for_source(self, name: str | None, charset: str | None) -> "Settings":
        """The settings of a run whose lines are all of a type and in a charset; None: as set.

        Raises UsageError if there is no such type or charset.
        """
        try:
            known = self.syslog.charset if charset is None else charset_name(charset)
        except ValueError as error:
            raise UsageError(f"--charset {charset}: {error}") from None
        prefix = self.index.prefix if name is None else self.only_type(name)
        return self.model_copy(
            update={
                "index": self.index.model_copy(update={"prefix": prefix}),
                "syslog": self.syslog.model_copy(update={"charset": known}),
            }
        )

    @property
    def store_kind(self) -> str:
        """The section of the store that is set."""
        if self.elasticsearch.hosts:
            return "elasticsearch"
        if self.victorialogs.url is not None:
            return "victorialogs"
        if self.kafka.servers:
            return "kafka"
        return "sqlite" if self.ndjson.path is None else "ndjson"

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
