"""Another configuration for the service that runs: all of it is tried, then all of it is taken.

What takes long, or may fail, is done beside the service, which goes on with the old one.  The
change itself is one step of the event loop, between two records of the spool: no frame is read half
by the old patterns and half by the new.  What is known of queue IDs, the events that are held,
counters and receipts stay.

After a crash the lines behind the last snapshot are read again, by the configuration of then.
Their ids are the same, unless the time of a line without a zone is read differently; so a snapshot
is taken at once, and that can only be until what is under way is stored.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Final

from mailingest.config import Settings, credential
from mailingest.config.differences import differences
from mailingest.errors import MailingestError, StoreUnavailable, UsageError
from mailingest.grok.definitions import Definition
from mailingest.logs.configuration import configure
from mailingest.logs.logger import log
from mailingest.pipeline import Pipeline
from mailingest.service.descriptors import within_limits
from mailingest.service.intake import plan_inputs
from mailingest.service.listeners import Change
from mailingest.service.parts import Parts
from mailingest.service.snapshots import Snapshots
from mailingest.spool.sources import Sources
from mailingest.stores.protocol import Store, Writer
from mailingest.stores.threads import in_thread
from mailingest.wiring import SECONDS_OF_A_DAY, build_pipeline, build_store, read_definitions

# A store that does not answer: systemctl waits for 90 s by itself.
_OPEN_SECONDS: Final = 60.0

# What the daemon does not take from a reload, and when it counts.
_ELSEWHERE: Final = {
    "metrics.": " (after a restart)",
    "web.": " (with SIGHUP to `mailingest web`)",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a reload: refused for a reason, or done with these changes."""

    refused: str | None = None
    changes: Sequence[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What the new settings describe, all of it ready to be used."""

    settings: Settings
    definitions: Sequence[Definition]
    pipeline: Pipeline
    store: Store
    store_mark: object
    writer: Writer | None
    listeners: Change


class Reloader:
    """Reads the configuration again, with ``read``, and has the parts go on with it.

    ``settings`` are those in force.
    """

    def __init__(
        self, settings: Settings, parts: Parts, snapshots: Snapshots, read: Callable[[], Settings]
    ) -> None:
        self.settings = settings
        self._parts = parts
        self._snapshots = snapshots
        self._read = read
        self._definitions: Sequence[Definition] = tuple(read_definitions(settings))
        self._store_mark = store_mark(settings)
        self._one_at_a_time = asyncio.Lock()
        self._is_over = False

    def stop(self) -> None:
        """Refuse whatever comes now: the service is about to end."""
        self._is_over = True

    async def reload(self) -> Outcome:
        """Take the configuration of now, or refuse it; either is logged."""
        async with self._one_at_a_time:
            try:
                candidate = await self._prepare()
                # Nothing is awaited from here on.
            except MailingestError as error:
                log.error(
                    "the configuration is refused, and the one before stays in force",
                    reason=str(error),
                )
                return Outcome(refused=str(error))
            changes = [
                line + next((hint for key, hint in _ELSEWHERE.items() if line.startswith(key)), "")
                for line in differences(self.settings, candidate.settings)
            ]
            if candidate.definitions != self._definitions:
                changes.append("patterns: the files have changed")
            if candidate.writer is not None and candidate.settings == self.settings:
                changes.append("store: its credentials or certificates have changed")
            self._change(candidate)
            log.info("the configuration is read again", changes=changes)
            return Outcome(changes=changes)

    async def _prepare(self) -> _Candidate:
        settings = await in_thread(self._read)
        if settings.state.directory != self.settings.state.directory:
            raise UsageError(
                f"state.directory: {self.settings.state.directory} is in use, and cannot be "
                "changed without a restart"
            )
        if "kafka" in {settings.store_kind, self.settings.store_kind} and (
            settings.store_kind != self.settings.store_kind
        ):
            # What is on its way would be lines for a store, or documents for workers.
            raise UsageError("kafka.servers: a store is not changed for a topic without a restart")
        settings = within_limits(settings)
        definitions, pipeline, store, mark = await in_thread(lambda: _built(settings))
        writer = None if mark == self._store_mark else await _opened(store)
        try:
            if self._is_over:
                raise UsageError("the service is stopping")
            listeners = self._parts.listeners.prepare(plan_inputs(settings, self._parts.intake))
        except UsageError:
            if writer is not None:
                await writer.close()
            raise
        return _Candidate(settings, definitions, pipeline, store, mark, writer, listeners)

    def _change(self, candidate: _Candidate) -> None:
        """Nothing of this can fail, and nothing waits: no frame comes in between."""
        parts, settings = self._parts, candidate.settings
        configure(settings.log)
        parts.intake.syncs_first = settings.spool.sync == "always"
        parts.listeners.change(candidate.listeners)
        parts.spool.limit(settings.spool.max_bytes)
        parts.processor.sources = Sources(settings.default_source, settings.type_names)
        parts.pipeline.read_like(candidate.pipeline)
        parts.pipeline.queue_map.limit(
            capacity=settings.correlation.max_queue_ids,
            max_bytes=settings.correlation.max_bytes,
            lifetime=settings.correlation.lifetime_days * SECONDS_OF_A_DAY,
        )
        parts.pipeline.peers.most_hosts = settings.inputs.max_hosts_per_peer
        if candidate.writer is not None:
            parts.writer.replace(candidate.writer, candidate.store.in_flight)
        parts.batcher.limit(
            max_documents=settings.batch.max_documents,
            max_bytes=settings.batch.max_bytes,
            max_age=settings.batch.max_age,
            capacity=settings.batch.capacity,
            in_flight=candidate.store.in_flight,
            keep_trying=candidate.store.keep_trying,
        )
        parts.dead_letters.max_bytes = settings.state.max_dead_letter_bytes
        self.settings = settings
        self._definitions = candidate.definitions
        self._store_mark = candidate.store_mark
        self._snapshots.hurry()


def _built(settings: Settings) -> tuple[tuple[Definition, ...], Pipeline, Store, object]:
    return (
        tuple(read_definitions(settings)),
        build_pipeline(settings, live=True),
        build_store(settings),
        store_mark(settings),
    )


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
