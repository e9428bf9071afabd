"""Settings: what can be set, its defaults, and how a file and the environment are read."""

from mailingest.config.loading import load
from mailingest.config.places import (
    SERVICE_STATE,
    cannot_read,
    credential,
    data_directory,
    default_state_directory,
    read_secret,
)
from mailingest.config.sections import (
    Elasticsearch,
    FollowedFiles,
    Journald,
    Kafka,
    Listener,
    Log,
    Spool,
    State,
    StreamListener,
    Tls,
    UdpListener,
    VictoriaLogs,
)
from mailingest.config.settings import Settings
from mailingest.config.values import load_zone

__all__ = [
    "SERVICE_STATE",
    "Elasticsearch",
    "FollowedFiles",
    "Journald",
    "Kafka",
    "Listener",
    "Log",
    "Settings",
    "Spool",
    "State",
    "StreamListener",
    "Tls",
    "UdpListener",
    "VictoriaLogs",
    "cannot_read",
    "credential",
    "data_directory",
    "default_state_directory",
    "load",
    "load_zone",
    "read_secret",
]
