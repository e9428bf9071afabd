"""Documents -> Elasticsearch or OpenSearch: index template at the start, then bulk requests."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final, cast

from elasticsearch import ApiError, AsyncElasticsearch, TransportError

from mailingest.documents import Document
from mailingest.errors import MailingestError
from mailingest.logs.logger import log
from mailingest.stores.days import type_of
from mailingest.stores.elastic.bulk import BulkOutcome, cut, encode, sort_response
from mailingest.stores.elastic.connection import ElasticConnection
from mailingest.stores.elastic.errors import error_object, explain, explained, refusal_of
from mailingest.stores.elastic.refusals import PRIVILEGES, Refused, Sent, held_line
from mailingest.stores.elastic.rivals import read_rivals
from mailingest.stores.elastic.template import IndexTemplate, put_template
from mailingest.stores.protocol import Rejection, WriteResult

BULK_ANSWER: Final = ("errors", "items.*.status", "items.*.error")
"""The parts of a bulk answer that are read: a tenth of the whole."""


class ElasticWriter:
    """Writes documents over a connection, which it opens and closes.

    The ``templates`` of the types that are expected are put there at the start.  ``template_of``
    makes that of any other, such as of lines that waited in the spool while the settings were
    changed: it is put there before the first document.  Without, the server's stay as they are.
    """

    def __init__(
        self,
        connection: ElasticConnection,
        *templates: IndexTemplate,
        template_of: Callable[[str], IndexTemplate] | None = None,
    ) -> None:
        self.connection = connection
        self._templates = {one.name: one for one in templates}
        self._template_of = template_of
        self._types = _types(templates[0]) if templates else {}
        self._refused = Refused()
        self._told: set[str] = set()

    async def open(self) -> None:
        """Recognise the server and put the index template there; may be repeated.

        A template that is there already is not put again, one that somebody else has made stays
        (UsageError), and the lifecycle policy that it names is left to ``mailingest setup``.
        Repeated after an outage, this makes good one that is gone, and takes renewed secrets and
        certificates.  Raises UsageError for what only the operator can fix, here or on the
        server, else StoreUnavailable.
        """
        with explained(PRIVILEGES):
            await self.connection.open()
            for template in self._templates.values():
                await self._put_template(template)

    async def _put_template(self, template: IndexTemplate) -> None:
        client = self.connection.client
        for step in await put_template(client, template):
            log.info("put on the server", what=step.what, state=step.state)
        if template.name not in self._told:
            self._told.add(template.name)
            rivals = await read_rivals(client)
            if winner := rivals.winner(template, datetime.now(UTC).date()):
                log.warning("new indices are not mapped as mailingest needs", reason=winner)

    async def write(self, batch: Sequence[Document]) -> WriteResult:
        """Store a batch; raises StoreUnavailable if the store takes no document of it now.

        It is UsageError if only the operator can fix that.
        A request that the server will not take as a whole is halved, as often as it takes to
        find the one document at fault.
        """
        client = self.connection.client
        await self._prepare(batch)
        result = WriteResult()
        postponed: list[tuple[Document, MailingestError]] = []
        parts = deque(cut(batch))
        while parts:
            part = parts.popleft()
            sent = self._refused.sending()
            try:
                outcome = sort_response(part, await _bulk(client, part))
            except MailingestError as error:
                postponed += [(document, error) for document in chain(part, *parts)]
                break
            except ApiError as error:
                if len(part) > 1:
                    middle = len(part) // 2
                    parts.extendleft((part[middle:], part[:middle]))
                    continue
                outcome = BulkOutcome(refused=[(part[0], refusal_of(error, part[0].index))])
                self._account(outcome, sent, result, postponed)
                if result.held and result.held[-1].document is part[0]:
                    # It is no fault of this one document, so the others need not be asked for.
                    why = result.held[-1].reason
                    result.held += [Rejection(document, why) for document in chain(*parts)]
                    break
            else:
                self._account(outcome, sent, result, postponed)
        if postponed and len(postponed) == len(batch):
            raise postponed[0][1]
        result.retry = [document for document, _ in postponed]
        result.why = postponed[0][1] if postponed else None
        return result

    def _account(
        self,
        outcome: BulkOutcome,
        sent: Sent,
        result: WriteResult,
        postponed: list[tuple[Document, MailingestError]],
    ) -> None:
        """Add what an answer says to the result of a batch."""
        result.stored += len(outcome.stored)
        result.duplicates += outcome.duplicates
        for document, refusal in outcome.refused:
            if refusal.fault == "document":
                self._refused.add(document, refusal)
        self._refused.are_stored(outcome.stored, sent)
        for document, refusal in outcome.refused:
            if refusal.fault == "index":
                result.held.append(Rejection(document, refusal.line))
            elif refusal.fault != "document":
                postponed.append((document, refusal.error()))
            elif self._refused.is_held(document, refusal, sent):
                why = held_line(document.index, refusal, self._types)
                result.held.append(Rejection(document, why))
            else:
                result.rejected.append(Rejection(document, refusal.said))

    async def sync(self) -> None:
        """Nothing to do: the server syncs before it answers (index.translog.durability)."""

    async def reopen(self) -> None:
        """Nothing to do: there is no file that log rotation could move away."""

    async def close(self) -> None:
        """Close the connection."""
        await self.connection.close()

    async def _prepare(self, batch: Sequence[Document]) -> None:
        """Put the templates of types that were not expected."""
        if self._template_of is None:
            return
        new = {type_of(index) for index in {one.index for one in batch}} - self._templates.keys()
        for name in sorted(new):
            template = self._template_of(name)
            with explained(PRIVILEGES):
                await self._put_template(template)
            self._templates[name] = template


def _types(template: IndexTemplate) -> dict[str, str]:
    """The types of the fields, by name."""
    fields = template.body.get("mappings", {}).get("properties", {})
    return {name: mapping.get("type", "object") for name, mapping in fields.items()}


async def _bulk(client: AsyncElasticsearch, part: Sequence[Document]) -> Mapping[str, Any]:
    """The answer to one request; raises ApiError for a request that may do in halves."""
    # The client passes bytes on as they are; its signature knows only mappings.
    operations = cast(Any, encode(part))
    try:
        answer = await client.bulk(operations=operations, filter_path=BULK_ANSWER)
    except ApiError as error:
        if error.status_code == 413 or (error.status_code == 400 and error_object(error)):
            raise
        raise explain(error, PRIVILEGES) from error
    except TransportError as error:
        raise explain(error, PRIVILEGES) from error
    return cast(Mapping[str, Any], answer.body)
