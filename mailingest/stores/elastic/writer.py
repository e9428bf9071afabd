"""Documents -> Elasticsearch or OpenSearch: index template at the start, then bulk requests."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, cast

from elasticsearch import ApiError, AsyncElasticsearch, TransportError

from mailingest.documents import Document
from mailingest.errors import MailingestError, StoreUnavailable
from mailingest.stores.days import type_of
from mailingest.stores.elastic.bulk import cut, encode, sort_response
from mailingest.stores.elastic.connection import ElasticConnection
from mailingest.stores.elastic.errors import error_object, explain, explained, refusal_reason
from mailingest.stores.elastic.template import IndexTemplate, put_template
from mailingest.stores.protocol import Rejection, WriteResult

BULK_ANSWER: Final = ("errors", "items.*.status", "items.*.error")
"""The parts of a bulk answer that are read: a tenth of the whole."""

PRIVILEGES: Final = (
    "monitor and manage_index_templates on the cluster, create_doc and create_index on the indices "
    "(OpenSearch: cluster_monitor, cluster_manage_index_templates and indices:data/write/bulk, "
    "write and create_index)"
)
"""What writing takes; tests log in with no more than that."""


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

    async def open(self) -> None:
        """Recognise the server and put the index template there; may be repeated.

        Putting the template that it has already changes nothing on the server, and the
        lifecycle policy that its template names is left to ``mailingest setup``.  Repeated
        after an outage, this makes good one that is gone, and takes renewed secrets and
        certificates.  Raises UsageError for what only the operator can fix, here or on the
        server, else StoreUnavailable.
        """
        with explained(PRIVILEGES):
            await self.connection.open()
            for template in self._templates.values():
                await put_template(self.connection.client, template)

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
            try:
                answer = await _bulk(client, part)
                outcome = sort_response(part, answer)
            except MailingestError as error:
                postponed += [(document, error) for document in chain(part, *parts)]
                break
            except ApiError as error:
                if len(part) == 1:
                    result.rejected.append(Rejection(part[0], refusal_reason(error)))
                else:
                    middle = len(part) // 2
                    parts.extendleft((part[middle:], part[:middle]))
                continue
            result.stored += outcome.created + outcome.duplicates
            result.duplicates += outcome.duplicates
            result.rejected += [Rejection(document, why) for document, why in outcome.rejected]
            postponed += [
                (document, StoreUnavailable(f"the store takes no document: {why}"))
                for document, why in outcome.retry
            ]
        if postponed and len(postponed) == len(batch):
            raise postponed[0][1]
        result.retry = [document for document, _ in postponed]
        return result

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
                await put_template(self.connection.client, template)
            self._templates[name] = template


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
