"""What becomes of lines when VictoriaLogs, or the way to it, fails: real faults, each line once."""

import asyncio
import gzip
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web

from mailingest.config import VictoriaLogs
from mailingest.documents import Document
from mailingest.errors import StoreUnavailable, UsageError
from mailingest.stores.counts import TimeBuckets
from mailingest.stores.criteria import Criteria
from mailingest.stores.opening import opened
from mailingest.stores.protocol import Expired
from mailingest.stores.victorialogs import sent, streams
from mailingest.stores.victorialogs.connection import Connection, Login
from mailingest.stores.victorialogs.rows import BATCH
from mailingest.stores.victorialogs.server import Limits, limits_of
from mailingest.stores.victorialogs.store import VictoriaLogsStore
from mailingest.stores.victorialogs.writer import VictoriaLogsWriter
from tests.support.documents import MIDNIGHT, document
from tests.support.lab.polling import PATIENCE
from tests.support.ports import free_port
from tests.support.servers.victorialogs import VictoriaLogsServer
from tests.support.victorialogs import make_visible, stored

pytestmark = pytest.mark.servers


def store_of(url: str, *types: str, **options: Any) -> VictoriaLogsStore:
    return VictoriaLogsStore(VictoriaLogs(url=url, timeout=PATIENCE, **options), types or ("mail",))


def lines(prefix: str, count: int, first: int = 0) -> list[Document]:
    return [
        document(
            number, prefix=prefix, host="mx1", program="postfix/smtp", message=f"line {number}"
        )
        for number in range(first, first + count)
    ]


async def numbers(store: VictoriaLogsStore, name: str) -> Counter[int]:
    """How often each line is there."""
    return Counter(one["number"] for one in await stored(store, name))


def once(count: int) -> Counter[int]:
    return Counter(range(count))


@pytest.fixture
def name() -> str:
    return f"mail-{uuid4().hex[:8]}"


@pytest.fixture
def own_server() -> Iterator[VictoriaLogsServer]:
    """A server that may be killed."""
    with VictoriaLogsServer() as server:
        yield server


class Proxy:
    """Passes requests on to a server; it can lose answers, or answer itself."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.loses = 0
        self.status = 0
        self.largest = 1 << 30
        self.cuts_answers = False
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        # The body has to arrive as it was sent.
        runner = web.AppRunner(app, auto_decompress=False)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import ClientSession

        body = await request.read()
        if request.path.startswith("/insert"):
            self.headers.append(dict(request.headers))
            self.bodies.append(body)
            if len(gzip.decompress(body)) > self.largest:
                return web.Response(status=413)
        if self.status:
            return web.Response(status=self.status, text="no")
        async with (
            ClientSession() as session,
            session.request(
                request.method,
                f"{self._url}{request.rel_url}",
                data=body,
                headers={
                    key: value
                    for key, value in request.headers.items()
                    if key.lower() not in ("host", "content-length")
                },
            ) as answer,
        ):
            content = await answer.read()
            if request.path.startswith("/insert") and self.loses:
                self.loses -= 1
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            if request.path.startswith("/select") and self.cuts_answers:
                response = web.StreamResponse()
                response.enable_chunked_encoding()
                await response.prepare(request)
                await response.write(content[: len(content) // 2])
                assert request.transport is not None
                request.transport.abort()
                return response
            return web.Response(body=content, status=answer.status)


async def test_a_batch_of_which_the_answer_was_lost_is_looked_up_and_not_sent_again(
    victorialogs_server: VictoriaLogsServer, name: str
) -> None:
    proxy = Proxy(victorialogs_server.url)
    batch = lines(name, 100)
    async with proxy.running() as url:
        store = store_of(url, name)
        async with opened(store.writer()) as writer:
            proxy.loses = 1
            with pytest.raises(StoreUnavailable):
                await writer.write(batch)
            result = await writer.write(batch)
            assert (result.stored, result.duplicates) == (100, 100)
            assert len(proxy.bodies) == 1
        assert await numbers(store, name) == once(100)


async def test_of_a_batch_that_was_stored_in_part_only_the_rest_is_sent(
    victorialogs_server: VictoriaLogsServer, name: str
) -> None:
    store = store_of(victorialogs_server.url, name)
    for batch in (lines(name, 60), lines(name, 100)):
        # Another process each time, as after a crash.
        async with opened(store.writer()) as writer:
            result = await writer.write(batch)
    assert (result.stored, result.duplicates) == (100, 60)
    assert await numbers(store, name) == once(100)


async def test_what_a_killed_server_had_in_memory_only_is_sent_again(
    own_server: VictoriaLogsServer, name: str
) -> None:
    store = store_of(own_server.url, name)
    async with opened(store.writer()) as writer:
        assert (await writer.write(lines(name, 2000))).stored == 2000
        own_server.kill()
        own_server.start()
        there = await numbers(store, name)
        assert len(there) < 2000, "the server kept all of it: this test shows nothing"
        await writer.open()
        await writer.sync()
        assert await numbers(store, name) == once(2000)
        assert (await writer.write(lines(name, 2001))).duplicates == 2000
    assert await numbers(store, name) == once(2001)


async def test_what_was_synced_outlives_a_kill_of_both(
    own_server: VictoriaLogsServer, name: str
) -> None:
    store = store_of(own_server.url, name)
    async with opened(store.writer()) as writer:
        await writer.write(lines(name, 500))
        await writer.sync()
    own_server.kill()
    own_server.start()
    assert await numbers(store, name) == once(500)


async def test_a_server_that_is_away_decides_nothing(name: str) -> None:
    store = store_of(f"http://127.0.0.1:{free_port()}", name)
    writer = store.writer()
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await writer.open()
    await writer.close()
    reader = store.reader()
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await reader.find(Criteria(), 10)
    await reader.close()


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (401, UsageError, "refuses the login"),
        (403, UsageError, "denies access"),
        (404, UsageError, "is not a VictoriaLogs server"),
        (302, UsageError, "is not a VictoriaLogs server"),
        (400, UsageError, "refuses the request"),
        (429, StoreUnavailable, "is not ready"),
        (503, StoreUnavailable, "is not ready"),
    ],
)
async def test_refusals_are_told_apart_and_no_answer_says_no_such_mail(
    victorialogs_server: VictoriaLogsServer,
    name: str,
    status: int,
    error: type[Exception],
    said: str,
) -> None:
    proxy = Proxy(victorialogs_server.url)
    async with proxy.running() as url:
        store = store_of(url, name)
        reader = store.reader()
        async with opened(store.writer()) as writer:
            assert (await writer.write(lines(name, 10))).stored == 10
            proxy.status = status
            with pytest.raises(error, match=said):
                await writer.write(lines(name, 20))
            with pytest.raises(error, match=said):
                await reader.find(Criteria(), 10)
            with pytest.raises(error, match=said):
                await reader.counts(TimeBuckets(MIDNIGHT, 3600, 1))
            proxy.status = 0
            assert (await writer.write(lines(name, 20))).duplicates == 10
        await reader.close()
    assert await numbers(store_of(victorialogs_server.url), name) == once(20)


async def test_an_answer_that_is_cut_off_is_none(
    victorialogs_server: VictoriaLogsServer, name: str
) -> None:
    proxy = Proxy(victorialogs_server.url)
    async with proxy.running() as url:
        store = store_of(url, name)
        async with opened(store.writer()) as writer:
            await writer.write(lines(name, 10))
        proxy.cuts_answers = True
        reader = store.reader()
        for question in (reader.span(), reader.of_mails(["AAAAAA1"], [], None, None, 10)):
            with pytest.raises(StoreUnavailable):
                await question
        await reader.close()


async def test_a_request_that_is_too_large_is_halved_and_one_line_is_a_dead_letter(
    victorialogs_server: VictoriaLogsServer, name: str
) -> None:
    proxy = Proxy(victorialogs_server.url)
    proxy.largest = 2000
    batch = [*lines(name, 20), document(20, prefix=name, message="x" * 3000)]
    async with proxy.running() as url:
        store = store_of(url, name)
        async with opened(store.writer()) as writer:
            result = await writer.write(batch)
    assert (result.stored, result.retry) == (20, [])
    assert [one.document.id for one in result.rejected] == [batch[20].id]
    assert await numbers(store_of(victorialogs_server.url), name) == once(20)


async def test_a_line_that_the_server_would_leave_out_is_rejected(
    victorialogs_server: VictoriaLogsServer, name: str
) -> None:
    store = store_of(victorialogs_server.url, name)
    long = document(1, prefix=name, message="x" * 300_000)
    async with opened(store.writer()) as writer:
        result = await writer.write([*lines(name, 1), long])
    assert result.stored == 1
    [rejected] = result.rejected
    assert (rejected.document, "-insert.maxLineSizeBytes" in rejected.reason) == (long, True)
    assert await numbers(store, name) == once(1)


async def test_late_lines_that_the_server_would_drop_are_rejected_with_its_retention(
    name: str,
) -> None:
    now = datetime.now(UTC)
    days = [f"{now - timedelta(days=ago):%Y.%m.%d}" for ago in (0, 5, 40, -4)]
    with VictoriaLogsServer("-retentionPeriod=30d", "-futureRetention=2d") as server:
        store = store_of(server.url, name)
        batch = [document(number, day=day, prefix=name) for number, day in enumerate(days)]
        async with opened(store.writer()) as writer:
            result = await writer.write(batch)
        assert result.stored == 2
        assert [(one.document.id, one.reason) for one in result.rejected] == [
            (batch[2].id, "older than the server keeps (-retentionPeriod=30d)"),
            (batch[3].id, "further ahead than the server takes (-futureRetention)"),
        ]
        assert await numbers(store, name) == once(2)
        warnings: list[str] = []
        checked = VictoriaLogsStore(store.settings, [name], {name: 90})
        assert "keeps events for 30d" in await checked.check(warnings.append)
        assert warnings == [
            f"{name}: 90 days are to be kept, and the server deletes events after 30d: start it "
            "with -retentionPeriod=90d"
        ]
        shown: list[str] = []
        await checked.set_up({name: 10}, None, shown.append)
        assert shown[0].startswith("nothing to set up: ")
        assert "or with -delete.enable" in shown[1]
        deleted: list[Expired] = []
        # The server does it by itself.
        today = now.date()
        await store.delete_old({name: 30}, today=today, dry_run=False, report=deleted.append)
        assert deleted == []
        with pytest.raises(UsageError, match=r"keeps events for 30d .*-delete\.enable"):
            await store.delete_old({name: 3}, today=today, dry_run=False, report=deleted.append)


async def stored_twice(url: str) -> VictoriaLogsStore:
    """A store of 20 events, of which some are there twice."""
    while True:
        name = f"mail-{uuid4().hex[:8]}"
        store = store_of(url, name)
        batch = [
            document(
                number,
                prefix=name,
                postfix_queueid=f"AAAAA{number:02X}",
                outcome="sent",
                postfix_reason="ok",
                postfix_size=100,
                postfix_to="Bob@Example.net",
                postfix_delay=0.3,
                program_kind="postfix",
                host="mx1",
                program="postfix/smtp",
            )
            for number in range(20)
        ]
        first, second = store.writer(), store.writer()
        async with opened(first), opened(second):
            await first.write(batch)
            # What has just been taken cannot be found yet.
            second._visible_at = 0.0
            await second.write(batch[:7])
        # On a slow machine the second one may have found them.
        if (await numbers(store, name)).total() > 20:
            return store


async def test_events_that_are_there_twice_are_one_in_answers_and_counts(
    victorialogs_server: VictoriaLogsServer,
) -> None:
    """Two writers at once that know nothing of each other, as two replays of a log."""
    store = await stored_twice(victorialogs_server.url)
    reader = store.reader()
    found = await reader.find(Criteria(), 100)
    assert len(found.events) == 20
    cut = await reader.find(Criteria(), 19)
    assert (len(cut.events), cut.is_cut) == (19, True)
    buckets = TimeBuckets(MIDNIGHT, 600, 2)
    for _ in range(2):  # what is remembered is no other answer
        counts = await reader.counts(buckets)
        assert (counts.total("sent"), counts.sent_bytes) == (20, 2000)
        assert counts.reasons["sent"] == Counter({"ok": 20})
        by_name = await reader.breakdown(buckets)
        for dimension, key in (("recipient", "bob@example.net"), ("host", "mx1")):
            figures = by_name.names[dimension][key]  # type: ignore[index]
            assert (figures.sent, figures.bytes) == (20, 2000)
        assert sum(by_name.names["recipient_domain"]["example.net"].delays) == 20
    await reader.close()


async def test_no_sender_fills_the_register_of_streams(
    victorialogs_server: VictoriaLogsServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_STREAMS", 10)
    store = store_of(victorialogs_server.url, name)
    batch = [
        document(number, prefix=name, host=f"host{number}", program="x", message="m")
        for number in range(50)
    ]
    async with opened(store.writer()) as writer:
        assert isinstance(writer, VictoriaLogsWriter)
        await writer.write(batch)
        await make_visible(writer.connection)
        rows = await writer.connection.table(
            f'"event_type":="{name}" | stats by (_stream_id) count() n'
        )
    assert len(rows) == 11
    assert await numbers(store, name) == once(50)


async def test_logins_tenants_and_compression_reach_the_server(
    victorialogs_server: VictoriaLogsServer, name: str
) -> None:
    proxy = Proxy(victorialogs_server.url)
    async with proxy.running() as url:
        for first, login, header in (
            (0, {"username": "ann", "password": "ü"}, "Basic YW5uOsO8"),
            (200, {"bearer_token": "secret"}, "Bearer secret"),
        ):
            store = store_of(url, name, account_id=7, project_id=9, **login)
            async with opened(store.writer()) as writer:
                await writer.write(lines(name, 200, first))
            said = proxy.headers[-1]
            assert (said["Authorization"], said["AccountID"], said["ProjectID"]) == (
                header,
                "7",
                "9",
            )
            assert said["Content-Encoding"] == "gzip"
            assert len(proxy.bodies[-1]) * 5 < len(gzip.decompress(proxy.bodies[-1]))
    assert await numbers(store_of(victorialogs_server.url, name), name) == Counter()
    of_tenant = store_of(victorialogs_server.url, name, account_id=7, project_id=9)
    assert await numbers(of_tenant, name) == once(400)


async def test_a_secured_server_wants_a_login(name: str) -> None:
    flags = ("-httpAuth.username=ann", "-httpAuth.password=secret")
    with VictoriaLogsServer(*flags) as server:
        with pytest.raises(UsageError, match="refuses the login"):
            await store_of(server.url, name).check(print)
        store = store_of(server.url, name, username="ann", password="secret")
        assert (await store.check(print)).endswith(" answers")
        async with opened(store.writer()) as writer:
            assert (await writer.write(lines(name, 5))).stored == 5
            await writer.sync()
        assert await numbers(store, name) == once(5)


async def test_a_full_buffer_of_what_is_not_safe_yet_makes_the_writer_wait(
    victorialogs_server: VictoriaLogsServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sent, "MOST_BYTES", 10)
    store = store_of(victorialogs_server.url, name)
    async with opened(store.writer()) as writer:
        assert isinstance(writer, VictoriaLogsWriter)
        for first in (0, 10):
            await writer.write(lines(name, 10, first))
            assert len(writer._unconfirmed) == 1, "no more than the last one is kept"
    assert await numbers(store, name) == once(20)


async def test_a_server_that_is_frozen_is_waited_for_and_stores_once(
    own_server: VictoriaLogsServer, name: str
) -> None:
    store = store_of(own_server.url, name)
    short = VictoriaLogsWriter(Connection(own_server.url, timeout=0.5))
    async with opened(short) as writer:
        with own_server.frozen(), pytest.raises(StoreUnavailable, match=r"in time|reached"):
            await writer.write(lines(name, 50))
        async with asyncio.timeout(PATIENCE):
            result = await writer.write(lines(name, 50))
    assert result.stored == 50
    assert (await numbers(store, name)).keys() == once(50).keys()


def test_limits_are_read_from_the_flags() -> None:
    assert limits_of("") == Limits()
    assert not Limits().is_known
    known = limits_of(
        '-retentionPeriod="90d"\n-search.maxQueryLen="1MiB"\n-inmemoryDataFlushInterval="10s"\n'
        '-maxBackfillAge="3d"\n-delete.enable="true"\n'
    )
    assert (known.retention, known.query_bytes, known.behind) == (90 * 86_400, 2**20, 259_200)
    assert (known.is_durable_after, known.can_delete, known.is_known) == (22.0, True, True)
    now = 100 * 86_400
    assert known.takes(now - 86_400, now) is None
    assert known.takes(now - 4 * 86_400, now) == "older than the server takes (-maxBackfillAge)"
    assert Limits().takes(0, now) is None


def test_a_login_keeps_its_secrets_to_itself() -> None:
    assert "hunter2" not in repr(Login("ann", "hunter2", "hunter2"))


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"victorialogs\.ca_certs: cannot use .*No such file"):
        Connection("https://127.0.0.1:1", ca_certs=tmp_path / "none.pem")
    (tmp_path / "bad.pem").write_text("x")
    with pytest.raises(UsageError, match="no certificate in PEM form"):
        Connection("https://127.0.0.1:1", ca_certs=tmp_path / "bad.pem")


async def test_the_order_of_requests_is_told_by_numbers_that_grow(
    victorialogs_server: VictoriaLogsServer, name: str
) -> None:
    async with opened(store_of(victorialogs_server.url, name).writer()) as writer:
        assert isinstance(writer, VictoriaLogsWriter)
        for first in (0, 1000):
            await writer.write(lines(name, 1000, first))
        await make_visible(writer.connection)
        rows = await writer.connection.table(
            f'"event_type":="{name}" | stats by ({BATCH}) min(number) first | sort by (first)'
        )
    batches = [int(row[BATCH]) for row in rows]
    assert batches == sorted(batches)
    assert batches[1] - batches[0] >= 1000


async def test_texts_and_fractions_that_look_like_numbers_stay_as_they_are(
    victorialogs_server: VictoriaLogsServer, name: str
) -> None:
    """A column with nothing else becomes one of numbers there, if it has more than eight."""
    texts = [f"{one / 10:.2f}" for one in range(30)]
    fractions = [one / 100 for one in range(30)]
    documents = [
        document(
            number,
            prefix=name,
            host="mx1",
            program="postfix/smtp",
            message=text,
            postfix_queueid=text,
            postfix_delay=fraction,
        )
        for number, (text, fraction) in enumerate(zip(texts, fractions, strict=True))
    ]
    store = store_of(victorialogs_server.url, name)
    async with opened(store.writer()) as writer:
        assert (await writer.write(documents)).stored == len(documents)
    found = sorted(await stored(store, name), key=lambda one: one["number"])
    assert [one["message"] for one in found] == texts
    assert [one["postfix_queueid"] for one in found] == texts
    assert [repr(one["postfix_delay"]) for one in found] == [repr(one) for one in fractions]
    reader = store.reader()
    try:
        [one] = (await reader.of_mails(["2.10"], [], None, None, 10)).events
        assert one["message"] == "2.10"
    finally:
        await reader.close()
