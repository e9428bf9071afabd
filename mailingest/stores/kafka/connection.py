"""The connection to a cluster of Kafka: where it is, who logs in and how, and what is wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from mailingest.config import Kafka, cannot_read, credential, read_secret
from mailingest.errors import MailingestError, StoreUnavailable, UsageError

# A login that is refused is no answer: it is looked after each second.
_ASK_SECONDS: Final = 1.0
_ASKED: Final = 10
_NOT_ALLOWED: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
    }
)
_REFUSED: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._SSL,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
    }
)
_MISSING: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    }
)


@dataclass(slots=True)
class Trouble:
    """What the client has told last of a connection: an answer that never comes does not say it."""

    error: KafkaError | None = None

    @property
    def is_refusal(self) -> bool:
        """Whether to ask again is of no use."""
        return self.error is not None and self.error.code() in _REFUSED

    def note(self, error: KafkaError) -> None:
        """Take what the client tells; what is surely the cause is kept before a mere "down"."""
        if not self.is_refusal:
            self.error = error


def client_options(settings: Kafka, trouble: Trouble) -> dict[str, Any]:
    """What each client of librdkafka wants to know; raises UsageError if a secret cannot be read.

    Secrets and files are read at each call, so that they may be renewed.
    """
    options: dict[str, Any] = {
        "bootstrap.servers": ",".join(settings.servers),
        "client.id": "mailingest",
        "security.protocol": _protocol(settings),
        "socket.keepalive.enable": True,
        "error_cb": trouble.note,
        # What it writes on standard error is told by the callback.
        "log_level": 0,
    }
    if settings.username is not None:
        password = read_secret(settings.password, settings.password_file, "kafka.password_file")
        options |= {
            "sasl.mechanism": settings.sasl_mechanism,
            "sasl.username": settings.username,
            "sasl.password": password or "",
        }
    files = {
        "ssl.ca.location": settings.ca_certs,
        "ssl.certificate.location": settings.client_cert,
        "ssl.key.location": settings.client_key or settings.client_cert,
    }
    for option, file in files.items():
        if file is not None:
            place = credential(file)
            try:
                place.open("rb").close()
            except OSError as error:
                raise UsageError(f"kafka: {cannot_read(place, error)}") from None
            options[option] = str(place)
    return options


def _protocol(settings: Kafka) -> str:
    return f"{'SASL_' if settings.username else ''}{'SSL' if settings.tls else 'PLAINTEXT'}"


Client = TypeVar("Client", AdminClient, Producer)


def made(client: Callable[[dict[str, Any]], Client], options: dict[str, Any]) -> Client:
    """A client; raises UsageError if librdkafka cannot do what the options say."""
    try:
        return client(options)
    except KafkaException as error:
        raise UsageError(f"kafka: {_text(error.args[0])}") from None


def partitions(settings: Kafka, trouble: Trouble) -> int:
    """How many partitions the topic has; raises UsageError or StoreUnavailable."""
    topics = _topics(settings, made(AdminClient, client_options(settings, trouble)), trouble)
    topic = topics.get(settings.topic)
    if topic is None:
        raise missing(settings)
    if topic.error is not None:
        raise explained(settings, topic.error)
    return len(topic.partitions)


def _topics(settings: Kafka, admin: AdminClient, trouble: Trouble) -> dict[str, Any]:
    """What the cluster knows of its topics, by name."""
    asked = 0
    while True:
        asked += 1
        try:
            # Asked for by name, a broker may make one, with one partition.
            return admin.list_topics(timeout=_ASK_SECONDS).topics
        except KafkaException as error:
            # Why there is no connection is told by the callback only.
            admin.poll(0)
            if asked == _ASKED or trouble.is_refusal:
                raise explained(settings, trouble.error or error.args[0]) from None


def missing(settings: Kafka) -> UsageError:
    """That there is no such topic."""
    return UsageError(
        f"kafka.topic: there is no topic {settings.topic}: make it with `mailingest setup`, or as "
        "your cluster makes topics"
    )


def explained(settings: Kafka, error: KafkaError) -> MailingestError:
    """The error of a client or broker, as one of ours."""
    where, code = ", ".join(settings.servers), error.code()
    if code in _MISSING:
        return missing(settings)
    if code in _REFUSED:
        return UsageError(
            f"kafka: {where} refuses the connection: check username, password_file and "
            f"sasl_mechanism, tls and ca_certs: {_text(error)}"
        )
    if code in _NOT_ALLOWED:
        return UsageError(
            f"kafka: {where} lets this user not write to the topic {settings.topic}: give it the "
            f"operations Write and Describe: {_text(error)}"
        )
    return StoreUnavailable(f"kafka: {where}: {_text(error)}")


def _text(error: KafkaError) -> str:
    return " ".join(error.str().split())
