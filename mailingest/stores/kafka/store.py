"""A topic as a store: written for workers to read, and not read here."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Final, NoReturn

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from mailingest.config import Kafka
from mailingest.errors import UsageError
from mailingest.stores.kafka.connection import (
    Trouble,
    client_options,
    explained,
    made,
    missing,
    partitions,
)
from mailingest.stores.kafka.writer import KafkaWriter
from mailingest.stores.protocol import Expired, Progress, Show, no_progress

_SET_UP_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class KafkaStore:
    """The topic that is set."""

    settings: Kafka

    # What a key keeps together stays in its order; the client has many records under way.
    in_flight: ClassVar[int] = 1
    keep_trying: ClassVar[bool] = True
    day_units: ClassVar[str] = "segments of the topic"

    def writer(self) -> KafkaWriter:
        # A secret that cannot be read is an error of the start.
        client_options(self.settings, Trouble())
        return KafkaWriter(self.settings)

    def reader(self, progress: Progress = no_progress) -> NoReturn:
        raise UsageError(
            "kafka.servers: this is an edge, and a topic cannot be searched: ask where the workers "
            "store, or name log files with --file"
        )

    async def check(self, warn: Callable[[str], None]) -> str:
        found, topic = await asyncio.to_thread(self._partitions), self.settings.topic
        if found == 1:
            warn(
                f"kafka.topic: {topic} has one partition, for one worker: give it several times as "
                "many as there will be workers"
            )
        return f"{', '.join(self.settings.servers)} answers; {topic} has partitions: {found}"

    async def delete_old(
        self,
        days: Mapping[str, int],
        *,
        today: date,
        dry_run: bool,
        report: Callable[[Expired], None],
    ) -> None:
        raise UsageError("retention: the topic's own retention.ms says how long lines are kept")

    async def keep_house(self) -> None:
        """Nothing to do."""

    async def set_up(
        self,
        days: Mapping[str, int | None],
        show: Show | None,
        report: Callable[[str], None],
        *,
        force: bool = False,
    ) -> None:
        topic = self.settings.topic
        try:
            found = await asyncio.to_thread(self._partitions)
        except UsageError as error:
            if str(error) != str(missing(self.settings)):
                raise
        else:
            report(f"topic {topic} is there, with partitions: {found}; nothing is changed")
            return
        if show is None:
            await asyncio.to_thread(self._make)
        settings = self.settings
        verb = "made" if show is None else "would be made"
        report(
            f"topic {topic} {verb}, with partitions: {settings.partitions}, each on brokers: "
            f"{settings.replication}"
        )

    def _partitions(self) -> int:
        return partitions(self.settings, Trouble())

    def _make(self) -> None:
        settings = self.settings
        admin = made(AdminClient, client_options(settings, Trouble()))
        topic = NewTopic(settings.topic, settings.partitions, settings.replication)
        future = admin.create_topics([topic], operation_timeout=_SET_UP_SECONDS)[settings.topic]
        try:
            future.result(2 * _SET_UP_SECONDS)
        except KafkaException as error:
            raise explained(settings, error.args[0]) from None
