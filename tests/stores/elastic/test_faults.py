"""The Elasticsearch and OpenSearch writer on answers that no healthy server gives."""

import pytest

from mailingest.errors import MailingestError, StoreUnavailable, UsageError
from mailingest.stores.elastic.connection import ElasticConnection, Login
from mailingest.stores.elastic.template import IndexTemplate
from mailingest.stores.elastic.writer import ElasticWriter
from tests.stores.elastic.canned import ELASTIC_9, OPENSEARCH, Canned
from tests.support.elastic import document, opened

SECRET = "correct-horse-battery"
SECURITY = {"error": {"type": "security_exception", "reason": "action is unauthorized"}}


@pytest.mark.parametrize(
    ("greeting", "error", "message"),
    [
        pytest.param(
            (401, "Unauthorized"),
            UsageError,
            "refuses the login: check username and password_file, api_key_file or",
            id="a wrong password",
        ),
        pytest.param(
            (403, SECURITY),
            UsageError,
            "give the user's role monitor and manage_index_templates",
            id="a missing privilege",
        ),
        pytest.param(
            (404, "<h1>Not Found</h1>"),
            UsageError,
            "404 <h1>Not Found</h1>; check hosts",
            id="a wrong address",
        ),
        pytest.param(
            (200, "<h1>Welcome</h1>"),
            UsageError,
            "neither Elasticsearch nor OpenSearch",
            id="a web server",
        ),
        pytest.param(
            (200, {"version": {"number": "6.8.23"}}),
            UsageError,
            "Elasticsearch 6.8.23 is too old",
            id="an old server",
        ),
        pytest.param(
            (503, "OpenSearch Security not initialized."),
            StoreUnavailable,
            "is not ready: 503 OpenSearch Security not initialized.",
            id="a server that has just started",
        ),
        pytest.param(
            (200, b"what?"),
            StoreUnavailable,
            "the answer is not JSON: check for a proxy",
            id="another protocol",
        ),
        pytest.param(
            (502, "<h1>Bad Gateway</h1>"),
            StoreUnavailable,
            "is not ready: 502",
            id="a proxy whose server is down",
        ),
        pytest.param(
            (429, {"error": {"type": "circuit_breaking_exception", "reason": "Data too large"}}),
            StoreUnavailable,
            "429 circuit_breaking_exception: Data too large",
            id="a server out of memory",
        ),
    ],
)
async def test_a_failed_opening_says_in_one_line_what_to_do(
    greeting: tuple[int, object], error: type[MailingestError], message: str
) -> None:
    async with Canned(greeting).running() as url:
        connection = ElasticConnection([url], login=lambda: Login("mail", SECRET))
        writer = ElasticWriter(connection)
        with pytest.raises(error) as caught:
            await writer.open()

    shown = str(caught.value)
    assert message in shown
    assert "\n" not in shown
    assert SECRET not in shown + repr(caught.value) + repr(connection) + repr(writer)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param((429, {"error": {"type": "busy"}}), StoreUnavailable, id="too many requests"),
        pytest.param((503, {"error": {"type": "no_master"}}), StoreUnavailable, id="no master"),
        pytest.param((502, "<h1>Bad Gateway</h1>"), StoreUnavailable, id="a proxy alone"),
        pytest.param((401, "Unauthorized"), UsageError, id="a password that was changed"),
        pytest.param((403, SECURITY), UsageError, id="a privilege that was taken away"),
        pytest.param((400, "<h1>Bad Request</h1>"), UsageError, id="a proxy that is puzzled"),
        pytest.param(
            (200, {"errors": False, "items": []}),
            StoreUnavailable,
            id="an answer that does not fit",
        ),
    ],
)
async def test_a_fault_of_the_whole_request_leaves_the_batch_for_later(
    answer: tuple[int, object], error: type[MailingestError]
) -> None:
    async with Canned(answers=[answer]).running() as url, opened(url) as writer:
        with pytest.raises(error):
            await writer.write([document("mail", 1), document("mail", 2)])


async def test_what_was_stored_before_the_outage_is_reported_and_the_rest_is_for_later() -> None:
    batch = [document("mail", number, message="x" * 600_000) for number in range(3)]
    canned = Canned(
        answers=[
            (200, {"errors": False, "items": [{"create": {"status": 201}}]}),
            (503, {"error": {"type": "no_master", "reason": ""}}),
        ]
    )
    async with canned.running() as url, opened(url) as writer:
        result = await writer.write(batch)

    assert (result.stored, result.rejected, result.retry) == (1, [], batch[1:])


async def test_a_proxy_that_takes_away_the_product_header_is_named() -> None:
    # Elasticsearch 9 sends it, and the client insists on it.
    async with Canned((200, ELASTIC_9), [(200, {})]).running() as url:
        template = IndexTemplate("mail", ("mail-*",), {})
        with pytest.raises(UsageError, match="the server is not Elasticsearch"):
            async with opened(url, template=template):
                pass


async def test_halves_are_sent_in_order() -> None:
    batch = [document("mail", number) for number in range(2)]
    number_error = {"status": 400, "error": {"type": "first", "reason": ""}}
    canned = Canned(
        answers=[
            (413, "<h1>Request Entity Too Large</h1>"),
            (200, {"errors": True, "items": [{"create": number_error}]}),
            (200, {"errors": False, "items": [{"create": {"status": 201}}]}),
        ]
    )
    async with canned.running() as url, opened(url) as writer:
        result = await writer.write(batch)

    assert [one.document for one in result.rejected] == batch[:1]
    assert (result.stored, result.retry) == (1, [])


@pytest.mark.parametrize(
    ("greeting", "accepted"),
    [
        pytest.param(OPENSEARCH, "accept: application/json\r", id="plain to a bridged server"),
        pytest.param(ELASTIC_9, "compatible-with=9", id="its own to a native server"),
    ],
)
async def test_each_server_gets_the_media_types_that_it_knows(
    greeting: object, accepted: str
) -> None:
    created = (200, {"errors": False, "items": [{"create": {"status": 201}}]})
    canned = Canned((200, greeting), [created], headers="x-elastic-product: Elasticsearch\r\n")
    async with canned.running() as url, opened(url) as writer:
        result = await writer.write([document("mail", 1)])

    assert result.stored == 1
    first, bulk = canned.requests
    assert "accept: application/json\r" in first
    assert accepted in bulk
    assert "x-ndjson" in bulk


@pytest.mark.parametrize(
    ("login", "sent"),
    [
        pytest.param(Login("ann", SECRET), "basic yw5uomnvcnjly3qtag9yc2utymf0dgvyeq==", id="name"),
        pytest.param(Login(api_key="aWQ6a2V5"), "apikey awq6a2v5", id="encoded key"),
        pytest.param(Login(api_key="id:key"), "apikey awq6a2v5", id="id and key"),
        pytest.param(Login(bearer_token="A.b.c"), "bearer a.b.c", id="token"),
    ],
)
async def test_a_login_is_in_every_request_and_never_shown(login: Login, sent: str) -> None:
    created = (200, {"errors": False, "items": [{"create": {"status": 201}}]})
    canned = Canned(answers=[created])
    async with canned.running() as url, opened(url, login=lambda: login) as writer:
        await writer.write([document("mail", 1)])
        assert repr(login) == f"Login(user={login.user!r})"

    assert all(f"authorization: {sent}\r" in head for head in canned.requests)
    assert len(canned.requests) == 2


async def test_opening_again_takes_a_renewed_password() -> None:
    passwords = iter(("checked at the start", "old", "new"))
    created = (200, {"errors": False, "items": [{"create": {"status": 201}}]})
    canned = Canned(answers=[(401, "Unauthorized"), created])
    async with (
        canned.running() as url,
        opened(url, login=lambda: Login("ann", next(passwords))) as writer,
    ):
        with pytest.raises(UsageError, match="refuses the login"):
            await writer.write([document("mail", 1)])
        await writer.open()
        assert (await writer.write([document("mail", 1)])).stored == 1

    sent = [head.split("authorization: basic ")[1].split()[0] for head in canned.requests]
    old, new = ("yw5uom9sza==", "yw5uom5ldw==")
    assert sent == [old, old, new]


async def test_compressed_requests_are_said_to_be() -> None:
    created = (200, {"errors": False, "items": [{"create": {"status": 201}}]})
    canned = Canned(answers=[created])
    async with canned.running() as url, opened(url, compress=True) as writer:
        await writer.write([document("mail", 1)])

    assert "content-encoding: gzip\r" in canned.requests[1]


async def test_proxies_of_the_environment_divert_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    created = (200, {"errors": False, "items": [{"create": {"status": 201}}]})
    async with Canned(answers=[created]).running() as url, opened(url) as writer:
        assert (await writer.write([document("mail", 1)])).stored == 1


async def test_the_second_host_is_tried_when_the_first_is_down() -> None:
    created = (200, {"errors": False, "items": [{"create": {"status": 201}}]})
    canned = Canned(answers=[created])
    async with canned.running() as url, opened("http://127.0.0.1:9", url) as writer:
        assert (await writer.write([document("mail", 1)])).stored == 1


@pytest.mark.parametrize(
    ("host", "message"),
    [
        pytest.param("127.0.0.1:9200", "scheme", id="no scheme"),
        pytest.param("http://127.0.0.1", "port", id="no port"),
    ],
)
async def test_hosts_that_cannot_work_are_refused(host: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        await ElasticConnection([host]).open()
