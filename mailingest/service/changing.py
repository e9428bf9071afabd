"""Other settings for what works on lines: all of it is tried beside it, then taken in one step."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from mailingest.config import Settings, credential
from mailingest.errors import MailingestError, StoreUnavailable
from mailingest.grok.definitions import Definition
from mailingest.pipeline import Pipeline
from mailingest.service.parts import Processing
from mailingest.spool.sources import Sources
from mailingest.stores.protocol import Store, Writer
from mailingest.stores.threads import in_thread
from mailingest.wiring import (
    SECONDS_OF_A_DAY,
    build_pipeline,
    build_store,
    read_definitions,
)

if TYPE_CHECKING:
    from mailingest.postfix.spreading import Share

# A store that does not answer: systemctl waits for 90 s by itself.
_OPEN_SECONDS: Final = 60.0


class Prepared(Protocol):
    """What the new settings describe, all of it ready to be used."""

    @property
    def patterns_changed(self) -> bool:
        """Whether the files of patterns have."""

    @property
    def store_changed(self) -> bool:
        """Whether the store is another one, or has other credentials."""

    def change(self) -> None:
        """Go on with it; nothing of this can fail, and nothing waits."""

    async def give_up(self) -> None:
        """Close what was opened for it."""


class Prepares(Protocol):
    """Makes ready what other settings describe; raises MailingestError."""

    async def __call__(self, settings: Settings, /) -> Prepared: ...


@dataclass(frozen=True, slots=True)
class _Candidate:
    """See `Prepared`."""

    settings: Settings
    definitions: Sequence[Definition]
    pipeline: Pipeline
    store: Store
    store_mark: object
    writer: Writer | None
    patterns_changed: bool
    take: Callable[["_Candidate"], None]

    @property
    def store_changed(self) -> bool:
        return self.writer is not None

    def change(self) -> None:
        self.take(self)

    async def give_up(self) -> None:
        if self.writer is not None:
            await self.writer.close()


class Changing:
    """Prepares other settings for what works on lines here, which goes on with the old ones.

    ``hurry`` has a snapshot taken soon.  Several workers have a ``share`` each.
    """

    def __init__(
        self,
        settings: Settings,
        processing: Processing,
        hurry: Callable[[], None],
        share: "Share | None" = None,
    ) -> None:
        self._processing = processing
        self._hurry = hurry
        self._share = share
        self._definitions: Sequence[Definition] = tuple(read_definitions(settings))
        self._store_mark = store_mark(settings)

    async def prepare(self, settings: Settings) -> Prepared:
        """Make ready what these settings describe; raises UsageError and StoreUnavailable."""
        definitions, pipeline, store, mark = await in_thread(lambda: self._built(settings))
        writer = None if mark == self._store_mark else await _opened(store)
        patterns_changed = definitions != self._definitions
        return _Candidate(
            settings, definitions, pipeline, store, mark, writer, patterns_changed, self._take
        )

    def _built(self, settings: Settings) -> tuple[tuple[Definition, ...], Pipeline, Store, object]:
        return (
            tuple(read_definitions(settings)),
            build_pipeline(settings, live=True, share=self._share),
            build_store(settings),
            store_mark(settings),
        )

    def _take(self, candidate: _Candidate) -> None:
        processing, settings = self._processing, candidate.settings
        workers = 1 if self._share is None else self._share.of
        processing.processor.sources = Sources(settings.default_source, settings.type_names)
        processing.pipeline.read_like(candidate.pipeline)
        processing.pipeline.queue_map.limit(
            capacity=settings.correlation.max_queue_ids // workers,
            max_bytes=settings.correlation.max_bytes // workers,
            lifetime=settings.correlation.lifetime_days * SECONDS_OF_A_DAY,
        )
        processing.pipeline.peers.most_hosts = settings.inputs.max_hosts_per_peer
        if candidate.writer is not None:
            processing.writer.replace(candidate.writer, candidate.store.in_flight)
        processing.batcher.limit(
            max_documents=settings.batch.max_documents,
            max_bytes=settings.batch.max_bytes,
            max_age=settings.batch.max_age,
            capacity=settings.batch.capacity,
            in_flight=candidate.store.in_flight,
            keep_trying=candidate.store.keep_trying,
        )
        processing.dead_letters.max_bytes = settings.state.max_dead_letter_bytes
        self._definitions = candidate.definitions
        self._store_mark = candidate.store_mark
        self._hurry()


async def _opened(store: Store) -> Writer:
    """A writer that is open; raises UsageError or StoreUnavailable."""
    writer = store.writer()
    try:
        async with asyncio.timeout(_OPEN_SECONDS):
            await writer.open()
    except (MailingestError, TimeoutError) as error:
        await writer.close()
        if isinstance(error, TimeoutError):
            raise StoreUnavailable(f"the store did not answer in {_OPEN_SECONDS:g} s") from None
        raise
    return writer


def store_mark(settings: Settings) -> object:
    """What is another one if the store has to be opened anew: its settings and their files."""
    elastic, victoria, kafka = settings.elasticsearch, settings.victorialogs, settings.kafka
    files = {
        "elasticsearch": (
            elastic.password_file,
            elastic.api_key_file,
            elastic.bearer_token_file,
            elastic.ca_certs,
            elastic.client_cert,
            elastic.client_key,
        ),
        "victorialogs": (victoria.password_file, victoria.bearer_token_file, victoria.ca_certs),
        "kafka": (kafka.password_file, kafka.ca_certs, kafka.client_cert, kafka.client_key),
    }
    return (
        elastic,
        victoria,
        kafka,
        settings.ndjson,
        settings.sqlite_directory,
        settings.type_names,
        settings.grok.fields,
        [_digest(file) for file in files.get(settings.store_kind, ()) if file is not None],
    )


def _digest(file: Path) -> bytes | None:
    try:
        return blake2b(credential(file).read_bytes()).digest()
    except OSError:
        return None  # whoever opens the store says so
