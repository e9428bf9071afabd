"""Documents -> VictoriaLogs: lines of JSON, each stored once, and none lost with the server.

The server has no ids, and it answers before anything is on its disk.  So what is to be sent is
looked up there first, by id; and what was sent is kept until the server has it on its disk
(`mailingest.stores.victorialogs.sent`), and sent again if it has lost it.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from mailingest.documents import Document
from mailingest.errors import MailingestError, UsageError
from mailingest.logs.logger import log
from mailingest.stores.days import type_of
from mailingest.stores.protocol import Rejection, WriteResult
from mailingest.stores.victorialogs import logsql
from mailingest.stores.victorialogs.connection import Connection, Refusal, compressed
from mailingest.stores.victorialogs.rows import BATCH, ID, PLACE, TYPE, encode
from mailingest.stores.victorialogs.sent import Request, Unconfirmed
from mailingest.stores.victorialogs.server import Limits
from mailingest.stores.victorialogs.streams import Streams

REQUEST_BYTES: Final = 4_000_000
"""Bytes of lines at which a request is full; a tenth of that when it is compressed."""
VISIBLE_SECONDS: Final = 2.0
"""After that, what the server has taken can be found: it gathers lines for a second."""
ROW_BYTES: Final = 2_000_000
"""The server leaves out larger ones, whatever is set there."""
MOST_TRIES: Final = 5
"""How often lines of a request are sent that the server does not keep."""

# Documents that lie further apart are looked up by themselves: each look-up reads its span.
_GAP_SECONDS: Final = 600
_OVERHEAD: Final = 1000  # bytes of a query beside its ids
_CONFIRMED_AT_ONCE: Final = 300

_Key = tuple[str, str]


@dataclass(slots=True)
class _Pending:
    """A document to send; ``seconds`` are of its time, since 1970."""

    document: Document
    key: _Key
    seconds: int


class VictoriaLogsWriter:
    """Writes documents over a connection, which it opens and closes.

    One batch is written at a time.  ``clock`` does not jump; ``now`` is in seconds since 1970.
    """

    def __init__(
        self,
        connection: Connection,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.connection = connection
        self._clock = clock
        self._now = now
        self._unconfirmed = Unconfirmed()
        self._turn = asyncio.Lock()
        self._streams = Streams()
        self._batch = 0
        self._visible_at = 0.0
        self._is_open = False

    async def open(self) -> None:
        """See whether the server answers, and what it takes; may be repeated.

        Raises UsageError for what only the operator can fix, else StoreUnavailable.
        """
        await self.connection.open()
        await self.connection.limits()
        await self.connection.table("_time:1s | stats count() n")
        await self._make_visible()
        self._is_open = True

    async def write(self, batch: Sequence[Document]) -> WriteResult:
        """Store a batch; raises StoreUnavailable, or UsageError, if nothing was decided.

        A document whose time the server does not keep is rejected: it would drop it without a word.
        """
        async with self._turn:
            limits = await self.connection.limits()
            await self._confirm(limits)
            result = WriteResult()
            left = self._acceptable(batch, limits, result)
            fresh = await self._without_duplicates(left, limits, result)
            try:
                for part, stream_fields in self._streams.sorted(fresh, lambda one: one.document):
                    await self._send(part, stream_fields, limits, result, fresh)
            except MailingestError as error:
                sent = result.stored + len(result.rejected)
                if not sent:
                    raise
                result.retry = [one.document for one in fresh]
                result.why = error
            return result

    async def sync(self) -> None:
        """Wait until all that was stored is on the server's disk; raises StoreUnavailable.

        It takes some seconds: the server writes what it has in memory now and then.
        """
        wanted = {request.batch for request in self._unconfirmed}
        while wanted:
            async with self._turn:
                limits = await self.connection.limits()
                await self._confirm(limits)
                waiting = [one for one in self._unconfirmed if one.batch in wanted]
            wanted = {one.batch for one in waiting}
            if waiting:
                ready_at = min(one.sent_at for one in waiting) + limits.is_durable_after
                await asyncio.sleep(max(0.1, ready_at - self._clock()))

    async def reopen(self) -> None:
        """Nothing to do: there is no file that log rotation could move away."""

    async def close(self) -> None:
        """Close the connection."""
        await self.connection.close()

    # What is sent

    def _acceptable(
        self, batch: Sequence[Document], limits: Limits, result: WriteResult
    ) -> list[_Pending]:
        """The documents whose time the server keeps; the others are rejected."""
        now = self._now()
        left = []
        for document in batch:
            seconds = int(datetime.fromisoformat(document.fields["@timestamp"]).timestamp())
            if (why := limits.takes(seconds, now)) is not None:
                result.rejected.append(Rejection(document, why))
            else:
                key = (type_of(document.index), document.id)
                left.append(_Pending(document, key, seconds))
        return left

    async def _without_duplicates(
        self, documents: Sequence[_Pending], limits: Limits, result: WriteResult
    ) -> list[_Pending]:
        """Those that are not there; the others count as stored."""
        first = {one.key: one for one in reversed(documents)}
        asked = [one for key, one in first.items() if key not in self._unconfirmed]
        there = await self._stored(asked, limits) if asked else set()
        fresh = [
            one
            for one in documents
            if first[one.key] is one and one.key not in self._unconfirmed and one.key not in there
        ]
        result.duplicates = len(documents) - len(fresh)
        result.stored = result.duplicates
        return fresh

    async def _stored(self, documents: Collection[_Pending], limits: Limits) -> set[_Key]:
        """The types and ids of these documents that the server has."""
        await self._wait_until_visible()
        found: set[_Key] = set()
        for name, span in _spans(documents):
            times = _within(span[0].seconds, span[-1].seconds)
            base = logsql.all_of([times, logsql.equals(TYPE, name)])
            # Where there is nothing, as in a first replay, it is said without a look at ids.
            [row] = await self.connection.table(f"{base} | stats count() n")
            if row["n"] == "0":
                continue
            ids = [one.key[1] for one in span]
            for part in logsql.in_parts(ids, limits.query_bytes - _OVERHEAD):
                query = f"{logsql.all_of([base, logsql.among(ID, part)])} | fields {ID}"
                found.update([(name, row[ID]) for row in await self.connection.table(query)])
        return found

    async def _send(
        self,
        part: list[_Pending],
        stream_fields: str,
        limits: Limits,
        result: WriteResult,
        left: list[_Pending],
    ) -> None:
        """Send documents, in several requests if need be; what is decided is not ``left``."""
        batch = self._next_batch(len(part))
        lines: list[bytes] = []
        sent: list[_Pending] = []
        most = min(limits.line_bytes, ROW_BYTES)
        rest: list[_Pending] = []
        size = 0
        for number, one in enumerate(part):
            line = encode(one.document, batch, len(lines))
            if len(line) >= most:
                reason = f"longer than the server takes (-insert.maxLineSizeBytes={most})"
                result.rejected.append(Rejection(one.document, reason))
                left.remove(one)
                continue
            if size + len(line) > REQUEST_BYTES and lines:
                rest = part[number:]
                break
            lines.append(line)
            sent.append(one)
            size += len(line) + 1
        if sent:
            await self._post(sent, lines, batch, stream_fields, limits, result, left)
        if rest:
            await self._send(rest, stream_fields, limits, result, left)

    async def _post(
        self,
        sent: list[_Pending],
        lines: list[bytes],
        batch: int,
        stream_fields: str,
        limits: Limits,
        result: WriteResult,
        left: list[_Pending],
    ) -> None:
        body = compressed(b"\n".join(lines) + b"\n")
        seconds = [one.seconds for one in sent]
        request = Request(
            batch,
            body,
            tuple(one.key for one in sent),
            min(seconds),
            max(seconds),
            self._clock(),
            stream_fields,
        )
        try:
            await self._insert(request)
        except Refusal as error:
            if error.status != 413:
                raise
            if len(sent) == 1:
                result.rejected.append(Rejection(sent[0].document, str(error)))
                left.remove(sent[0])
                return
            middle = len(sent) // 2
            await self._send(sent[:middle], stream_fields, limits, result, left)
            await self._send(sent[middle:], stream_fields, limits, result, left)
            return
        self._unconfirmed.add(replace(request, sent_at=self._clock()))
        result.stored += len(sent)
        done = {id(one) for one in sent}
        left[:] = [one for one in left if id(one) not in done]

    async def _insert(self, request: Request) -> None:
        parameters = {"_stream_fields": request.stream_fields}
        try:
            await self.connection.post("/insert/jsonline", request.body, parameters)
        except (MailingestError, asyncio.CancelledError):
            # The server may have taken it all the same.
            self._visible_at = self._clock() + VISIBLE_SECONDS
            raise

    def _next_batch(self, size: int) -> int:
        """A number that is greater than all before, by microseconds: a place may be added."""
        self._batch = max(self._batch, time.time_ns() // 1000)
        batch = self._batch
        self._batch += size
        return batch

    # What became of it

    async def _make_visible(self) -> None:
        """Have the server let all be found that it has taken so far."""
        try:
            await self.connection.text("/internal/force_flush")
        except UsageError:
            # It needs a right of its own, and a cluster does not know it.
            self._visible_at = self._clock() + VISIBLE_SECONDS

    async def _wait_until_visible(self) -> None:
        seconds = self._visible_at - self._clock()
        if seconds > 0:
            await asyncio.sleep(seconds)

    async def _confirm(self, limits: Limits) -> None:
        """Ask for the requests that should be on the disk by now; send again what is lost."""
        while True:
            due = self._unconfirmed.sent_before(self._clock() - limits.is_durable_after)
            for start in range(0, len(due), _CONFIRMED_AT_ONCE):
                await self._confirm_some(due[start : start + _CONFIRMED_AT_ONCE])
            last = self._unconfirmed.last
            if not self._unconfirmed.is_full or last is None:
                return
            await asyncio.sleep(1.0)

    async def _confirm_some(self, requests: Sequence[Request]) -> None:
        since = min(one.since for one in requests)
        until = max(one.until for one in requests)
        batches = logsql.among(BATCH, [str(one.batch) for one in requests])
        query = f"{logsql.all_of([_within(since, until), batches])} | stats by ({BATCH}) "
        rows = await self.connection.table(f"{query}count_uniq({PLACE}) n")
        counts = {int(row[BATCH]): int(row["n"]) for row in rows}
        for request in requests:
            if counts.get(request.batch, 0) >= len(request.keys):
                self._unconfirmed.remove(request)
            else:
                await self._send_again(request)

    async def _send_again(self, request: Request) -> None:
        """Send what is missing of a request, as it was."""
        base = logsql.all_of(
            [_within(request.since, request.until), logsql.equals(BATCH, str(request.batch))]
        )
        rows = await self.connection.table(f"{base} | fields {PLACE}")
        missing = set(range(len(request.keys))) - {int(row[PLACE]) for row in rows}
        if not missing:
            self._unconfirmed.remove(request)
            return
        if request.tries >= MOST_TRIES:
            log.error("the server does not keep lines that it has taken", documents=len(missing))
            self._unconfirmed.remove(request)
            return
        log.warning("sent again what the server had lost", documents=len(missing))
        await self._insert(replace(request, body=compressed(request.lines(missing))))
        self._unconfirmed.remove(request)
        self._unconfirmed.add(replace(request, sent_at=self._clock(), tries=request.tries + 1))


def _spans(documents: Collection[_Pending]) -> Iterator[tuple[str, list[_Pending]]]:
    """The documents by type, in lists of which each is of a short time."""
    by_type: dict[str, list[_Pending]] = defaultdict(list)
    for one in documents:
        by_type[one.key[0]].append(one)
    for name, several in by_type.items():
        several.sort(key=lambda one: one.seconds)
        start = 0
        for place, (before, after) in enumerate(pairwise(several), 1):
            if after.seconds - before.seconds > _GAP_SECONDS:
                yield name, several[start:place]
                start = place
        yield name, several[start:]


def _within(first: int, last: int) -> str:
    since, until = (datetime.fromtimestamp(one, UTC) for one in (first, last + 1))
    return logsql.all_of(logsql.within(since, until))
