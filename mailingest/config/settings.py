"""All sections -> the settings of a run, with the environment before the file."""

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
    Grok,
    Index,
    Inputs,
    Log,
    Ndjson,
    Retention,
    Spool,
    Sqlite,
    State,
    Syslog,
    Web,
)

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
    def _one_store(self) -> "Settings":
        stores = {
            "sqlite.directory": self.sqlite.directory,
            "ndjson.path": self.ndjson.path,
            "elasticsearch.hosts": self.elasticsearch.hosts,
        }
        given = [key for key, value in stores.items() if value]
        if len(given) > 1:
            raise ValueError(f"there can be one store: set one of {', '.join(given)}")
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
