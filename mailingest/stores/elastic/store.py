"""Elasticsearch or OpenSearch as a store: its parts, as the settings say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import ClassVar

from mailingest.config import Elasticsearch, read_secret
from mailingest.errors import UsageError
from mailingest.postfix.fields import Field
from mailingest.postfix.parser import EventParser
from mailingest.postfix.rereading import Rereader
from mailingest.stores.elastic.connection import ElasticConnection, Login
from mailingest.stores.elastic.errors import block_of
from mailingest.stores.elastic.lifecycle import index_patterns
from mailingest.stores.elastic.reader import ElasticReader
from mailingest.stores.elastic.refusals import PRIVILEGES
from mailingest.stores.elastic.retention import delete_indices
from mailingest.stores.elastic.rivals import read_rivals
from mailingest.stores.elastic.schema import index_template
from mailingest.stores.elastic.setup import set_up
from mailingest.stores.elastic.template import IndexTemplate, foreign, read_template
from mailingest.stores.elastic.tls import Tls
from mailingest.stores.elastic.writer import ElasticWriter
from mailingest.stores.protocol import Expired, Progress, Show, no_progress


@dataclass(frozen=True, slots=True)
class ElasticStore:
    """Daily indices ``TYPE-YYYY.MM.dd``; ``fields`` are declared by users besides the built-in.

    ``parser`` reads the lines of documents that another program or an earlier version stored.

    Its methods raise UsageError if a secret or a certificate cannot be read.
    """

    settings: Elasticsearch
    types: Sequence[str]
    parser: Callable[[], EventParser]
    fields: Sequence[Field] = ()

    # Two bulk requests under way keep the server busy while the next batch is made.
    in_flight: ClassVar[int] = 2
    # A server may be set right while lines wait in the spool.
    keep_trying: ClassVar[bool] = True
    day_units: ClassVar[str] = "indices"

    def writer(self) -> ElasticWriter:
        return ElasticWriter(
            self.connection(), *map(self.template, self.types), template_of=self.template
        )

    def reader(self, progress: Progress = no_progress) -> ElasticReader:
        """A reader; ``progress`` hears nothing, since the server says nothing."""
        return ElasticReader(self.connection(), self.types, Rereader(self.parser).read)

    async def check(self, warn: Callable[[str], None]) -> str:
        """Only reads there: what is missing, the writer makes when it opens."""
        templates = list(map(self.template, self.types))
        async with self.connection().opened(PRIVILEGES) as client:
            for template in templates:
                if (await read_template(client, template)).is_foreign:
                    raise foreign(template)
            settings = await client.cluster.get_settings(filter_path="*.cluster.blocks")
            if (fix := block_of(settings.body)) is not None:
                raise UsageError(fix)
            rivals, today = await read_rivals(client), datetime.now(UTC).date()
            for template in templates:
                for line in rivals.lines(template, today):
                    warn(line)
        return f"{', '.join(self.settings.hosts)} answers"

    async def delete_old(
        self,
        days: Mapping[str, int],
        *,
        today: date,
        dry_run: bool,
        report: Callable[[Expired], None],
    ) -> None:
        for name, kept in days.items():
            await delete_indices(
                self.connection(), name, kept, today=today, dry_run=dry_run, report=report
            )

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
        for name, kept in days.items():
            template = self.template(name)
            await set_up(self.connection(), name, template, kept, show, report, force=force)

    def connection(self) -> ElasticConnection:
        """A connection that is not open yet."""
        settings = self.settings
        return ElasticConnection(
            settings.hosts,
            login=lambda: _login(settings),
            tls=Tls(
                ca_certs=settings.ca_certs,
                fingerprint=settings.fingerprint,
                client_cert=settings.client_cert,
                client_key=settings.client_key,
                verify=settings.verify_certs,
            ),
            compress=settings.compress,
            timeout=settings.timeout,
        )

    def template(self, name: str) -> IndexTemplate:
        """The template of the daily indices of a type."""
        settings = self.settings
        body = index_template(shards=settings.shards, replicas=settings.replicas, own=self.fields)
        return IndexTemplate(name, index_patterns(name), body)


def _login(settings: Elasticsearch) -> Login:
    def secret(name: str) -> str | None:
        value, file = getattr(settings, name), getattr(settings, f"{name}_file")
        return read_secret(value, file, f"elasticsearch.{name}_file")

    return Login(settings.username, secret("password"), secret("api_key"), secret("bearer_token"))
