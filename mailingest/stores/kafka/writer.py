"""Lines -> records of a topic, each once the brokers have it.

The client numbers the records of a connection (an idempotent producer, KIP-98), so that what it
sends again is not there twice.  After an outage that took longer than ``kafka.timeout``, or after a
crash, a batch is sent again by the batcher, and may be there twice: the ids are the same then, and
workers store one document.

What a key keeps together comes in its order: batches are sent one after the other.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer

from mailingest.config import Kafka
from mailingest.documents import Document
from mailingest.errors import MailingestError, StoreUnavailable
from mailingest.stores.kafka.connection import (
    Trouble,
    client_options,
    explained,
    made,
    partitions,
)
from mailingest.stores.protocol import Rejection, WriteResult
from mailingest.stores.threads import in_thread

# What a broker takes of no line, whoever sends it.
_REFUSALS: Final = frozenset(
    {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD, KafkaError.INVALID_MSG}
)
_POLL_SECONDS: Final = 0.1


class KafkaWriter:
    """Sends the body of each document as a record, under the document's key."""

    def __init__(self, settings: Kafka) -> None:
        self._settings = settings
        self._trouble = Trouble()
        self._producer: Producer | None = None
        self._is_closing = False
        # The client's own threads send; this one waits for what they tell.
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kafka-writer")

    async def open(self) -> None:
        """Connect, and look whether the topic is there; raises UsageError or StoreUnavailable."""
        await in_thread(self._open, executor=self._executor)

    async def write(self, batch: Sequence[Document]) -> WriteResult:
        """Send a batch, and wait until the brokers have it."""
        return await in_thread(lambda: self._write(batch), self._interrupt, self._executor)

    async def sync(self) -> None:
        """Nothing to wait for: the brokers that have to keep a record have confirmed it."""

    async def reopen(self) -> None:
        """Nothing to leave."""

    async def close(self) -> None:
        """Leave the cluster; what was not confirmed is not waited for."""
        self._is_closing = True
        await asyncio.to_thread(self._executor.shutdown)
        self._forget()

    def _interrupt(self) -> None:
        self._is_closing = True

    def _open(self) -> None:
        self._trouble.error = None
        partitions(self._settings, self._trouble)
        if self._producer is None:
            self._producer = made(
                Producer,
                {
                    **client_options(self._settings, self._trouble),
                    "enable.idempotence": True,
                    "partitioner": "murmur2_random",
                    "compression.type": self._settings.compression.replace("off", "none"),
                    "linger.ms": 5,
                    "message.timeout.ms": round(self._settings.timeout * 1000),
                    "queue.buffering.max.messages": 1_000_000,
                },
            )

    def _forget(self) -> None:
        if self._producer is not None:
            self._producer.purge()
            self._producer = None

    def _write(self, batch: Sequence[Document]) -> WriteResult:
        producer = self._producer
        if producer is None:
            raise StoreUnavailable("the connection to kafka is not open yet")
        sent = _Sent(batch)
        try:
            self._send(producer, sent, range(len(batch)))
            # The brokers look at a whole batch of the client's: for one that is too large, they
            # refuse its neighbours as well.
            for place in sent.too_large() if len(batch) > 1 else ():
                self._send(producer, sent, [place])
        except KafkaException as error:
            raise explained(self._settings, error.args[0]) from None
        finally:
            if sent.left or sent.is_fatal:
                # What it still has is sent again, by another one.
                self._forget()
        return self._result(batch, sent)

    def _send(self, producer: Producer, sent: "_Sent", places: Sequence[int]) -> None:
        """Send some documents of a batch, and wait until each is confirmed or refused."""
        sent.left = len(places)
        for place in places:
            self._hand_over(producer, sent, place)
        while sent.left:
            producer.poll(_POLL_SECONDS)
            if self._is_closing:
                raise StoreUnavailable("kafka: closed before the brokers had all")

    def _hand_over(self, producer: Producer, sent: "_Sent", place: int) -> None:
        document = sent.batch[place]
        while True:
            try:
                producer.produce(
                    self._settings.topic,
                    document.body,
                    document.fields["key"].encode("utf-8", "surrogateescape"),
                    timestamp=round(document.fields["received_at"] * 1000),
                    on_delivery=lambda error, _: sent.note(place, error),
                )
                return
            except BufferError:
                producer.poll(_POLL_SECONDS)
            except KafkaException as error:
                if error.args[0].code() not in _REFUSALS:
                    raise
                # It is not even taken by the client.
                sent.note(place, error.args[0])
                return

    def _result(self, batch: Sequence[Document], sent: "_Sent") -> WriteResult:
        result, first = WriteResult(), None
        for document, error in zip(batch, sent.errors, strict=True):
            if error is None:
                result.stored += 1
            elif error.code() in _REFUSALS:
                result.rejected.append(Rejection(document, self._refusal(error)))
            else:
                first = first or error
                result.retry.append(document)
        if first is None:
            return result
        why = self._why(first)
        if len(result.retry) == len(batch):
            raise why
        result.why = why
        return result

    def _refusal(self, error: KafkaError) -> str:
        if error.code() != KafkaError.MSG_SIZE_TOO_LARGE:
            return error.str()
        return f"{error.str()}: raise max.message.bytes of the topic {self._settings.topic}"

    def _why(self, error: KafkaError) -> MailingestError:
        if error.code() == KafkaError._MSG_TIMED_OUT and self._trouble.error is not None:
            error = self._trouble.error
        return explained(self._settings, error)


class _Sent:
    """What became of each record of a batch."""

    def __init__(self, batch: Sequence[Document]) -> None:
        self.batch = batch
        self.errors: list[KafkaError | None] = [None] * len(batch)
        self.left = 0
        self.is_fatal = False

    def too_large(self) -> list[int]:
        """The places of those that were refused for a size, their own or a neighbour's."""
        return [
            place
            for place, error in enumerate(self.errors)
            if error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE
        ]

    def note(self, place: int, error: KafkaError | None) -> None:
        self.errors[place] = error
        self.left -= 1
        if error is not None and error.fatal():
            self.is_fatal = True
