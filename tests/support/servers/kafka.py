"""A real Kafka broker for tests, from the jars that Maven Central has."""

import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.cimpl import NewTopic

from tests.support.lab.polling import PATIENCE
from tests.support.ports import free_port
from tests.support.servers import HERE, command, fetch_jars
from tests.support.servers.certificates import make_certificates
from tests.support.servers.process import ServerProblem, ServerProcess

RELEASE: Final = "kafka-3.9.1"
USER: Final = "edge"
PASSWORD: Final = "a-secret"
_JAVA: Final = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_LOG_LEVEL: Final = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
_ASK_SECONDS: Final = 5.0


def fetch() -> Path:
    """The folder with the broker's jars."""
    pom = HERE / f"pom-{RELEASE}.xml"
    return fetch_jars(RELEASE, pom, pom.read_bytes())


class Broker(ServerProcess):
    """One broker on 127.0.0.1, which is its own controller; its data live as long as the context.

    It listens for clients at two ports: as it comes, and with TLS and a login (`USER`, `PASSWORD`).
    ``settings`` are added to its properties.  ``start``, ``stop`` and ``kill`` may be called in
    turn: data and ports stay the same.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(RELEASE)
        self.port, self.secured_port, controller = free_port(), free_port(), free_port()
        self.certificates = make_certificates(self.home)
        server = self.certificates.server
        store = self.home / "keystore.pem"
        store.write_bytes(server.with_suffix(".key").read_bytes() + server.read_bytes())
        self._properties = self.home / "server.properties"
        clients = f"CLIENTS://127.0.0.1:{self.port},SECURED://127.0.0.1:{self.secured_port}"
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"{clients},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": clients,
            "listener.security.protocol.map": "CLIENTS:PLAINTEXT,SECURED:SASL_SSL,"
            "CONTROLLER:PLAINTEXT",
            "listener.name.secured.ssl.keystore.type": "PEM",
            "listener.name.secured.ssl.keystore.location": str(store),
            "listener.name.secured.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.secured.plain.sasl.jaas.config": "org.apache.kafka.common.security."
            f'plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
            "inter.broker.listener.name": "CLIENTS",
            "log.dirs": str(self.home / "data"),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "1",
            # One that was killed is known as up for so long, and its next start waits for that.
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            "group.initial.rebalance.delay.ms": "0",
            "auto.create.topics.enable": "false",
            **(settings or {}),
        }
        self._properties.write_text("".join(f"{key}={text}\n" for key, text in properties.items()))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def secured_address(self) -> str:
        return f"127.0.0.1:{self.secured_port}"

    def begin(self) -> None:
        """Start the broker, which will be ready later."""
        if not (self.home / "data").exists():
            identity = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            self._run_tool("kafka.tools.StorageTool", "format", f"--cluster-id={identity}")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java(), "kafka.Kafka", str(self._properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.home,
            )

    def make_topic(self, name: str, partitions: int, **config: str) -> None:
        """Make a topic, and wait until it can be written to."""
        topic = NewTopic(name, partitions, 1, config=config)
        # The answer comes through the client, which ends with the last reference to it.
        admin = self._admin()
        admin.create_topics([topic], operation_timeout=PATIENCE)[name].result(PATIENCE)

    def limit_size(self, topic: str, most_bytes: int) -> None:
        """Let a topic take records up to a size."""
        entry = ConfigEntry(
            "max.message.bytes",
            str(most_bytes),
            incremental_operation=AlterConfigOpType.SET,
        )
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
        admin = self._admin()
        admin.incremental_alter_configs([resource])[resource].result(PATIENCE)

    def records(self, topic: str) -> "Iterator[Message[bytes, bytes]]":
        """All records of a topic from its beginning, as they come; raises TimeoutError.

        It does so when none has come for `PATIENCE`.
        """
        consumer = Consumer(
            {
                "bootstrap.servers": self.address,
                "group.id": "tests",
                "enable.auto.commit": False,
                "log_level": 0,
            }
        )
        # Without the protocol of groups, which takes seconds.
        partitions = consumer.list_topics(topic, PATIENCE).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        try:
            while (message := consumer.poll(PATIENCE)) is not None:
                if message.error() is None:
                    yield message
            raise TimeoutError(f"waited {PATIENCE:g} s in vain for more records of {topic}")
        finally:
            consumer.close()

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.address, "log_level": 0})

    def _java(self) -> list[str]:
        return [command("java"), *_JAVA, _LOG_LEVEL, "-cp", f"{fetch()}/*"]

    def _run_tool(self, name: str, *arguments: str) -> None:
        tool = subprocess.run(
            [*self._java(), name, *arguments, "-c", str(self._properties)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if tool.returncode != 0:
            raise ServerProblem(f"{name} ended with {tool.returncode}:\n{tool.stdout}")

    def _answers(self) -> bool:
        try:
            return bool(self._admin().list_topics(timeout=_ASK_SECONDS).brokers)
        except KafkaException:
            return False
