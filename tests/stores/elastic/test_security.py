"""TLS and logins of the Elasticsearch and OpenSearch writer, on secured servers."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from mailingest.errors import StoreUnavailable, UsageError
from mailingest.stores.elastic.connection import Login
from mailingest.stores.elastic.tls import Tls
from tests.support.elastic import asking, document, opened, stored, template_for, writer_to
from tests.support.fronting import behind
from tests.support.lab.polling import PATIENCE
from tests.support.servers import (
    SECURED_ELASTICSEARCH,
    SECURED_KINDS,
    SECURED_OPENSEARCH,
    Kind,
    SearchServer,
)
from tests.support.servers.security import ADMIN, GUEST, PASSWORD, WRITER, web_token


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take longer for a handshake than an operator wants to wait."""
    monkeypatch.setattr("mailingest.stores.elastic.tls.HANDSHAKE_SECONDS", PATIENCE)


@pytest.fixture
def prefix() -> str:
    """An index prefix that no other test uses, as the server is shared."""
    return f"mail-{uuid4().hex[:8]}"


async def test_the_privileges_that_the_message_names_are_enough(
    secured_server: SearchServer, prefix: str
) -> None:
    async with opened(secured_server, user=WRITER, template=template_for(prefix)) as writer:
        await writer.open()
        result = await writer.write([document(prefix, 1), document(prefix, 2)])
        again = await writer.write([document(prefix, 2)])

    assert (result.stored, result.rejected, result.retry) == (2, [], [])
    assert (again.stored, again.duplicates) == (1, 1)
    async with asking(secured_server) as client:
        index = f"{prefix}-2026.03.01"
        assert await stored(client, prefix) == {index: [document(prefix, n).id for n in (1, 2)]}


Make = Callable[[SearchServer], dict[str, Any]]


def login(**options: str) -> Make:
    return lambda _: {"login": partial(Login, **options)}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            login(user=ADMIN, password="wrong"),
            "refuses the login: check username and password_file",
            id="wrong password",
        ),
        pytest.param(
            login(user="nobody", password=PASSWORD), "refuses the login", id="no such user"
        ),
        pytest.param(login(), "refuses the login", id="no login"),
        pytest.param(login(api_key="id:wrong"), "refuses the login", id="wrong API key"),
        pytest.param(login(bearer_token="a.b.c"), "refuses the login", id="wrong token"),
        pytest.param(
            login(user=GUEST, password=PASSWORD),
            "denies access: give the user's role monitor and manage_index_templates on the cluster",
            id="too few privileges",
        ),
        pytest.param(
            lambda server: {"tls": Tls(ca_certs=server.certificates.stranger)},
            "certificate is not trusted: set ca_certs to the PEM file of the authority",
            id="wrong authority",
        ),
        pytest.param(
            lambda _: {"tls": Tls()}, "certificate is not trusted: set ca_certs", id="no authority"
        ),
        pytest.param(
            lambda server: {"tls": Tls(fingerprint="0" * 64)},
            "has another certificate than fingerprint says",
            id="wrong fingerprint",
        ),
    ],
)
async def test_what_the_operator_has_to_fix_is_said_in_one_line(
    secured_server: SearchServer, make: Make, message: str
) -> None:
    writer = writer_to(secured_server, **make(secured_server))
    with pytest.raises(UsageError) as caught:
        await writer.open()
    await writer.close()

    shown = str(caught.value)
    assert message in shown
    assert "\n" not in shown
    assert PASSWORD not in shown


@pytest.mark.parametrize(
    ("certificate", "message"),
    [
        pytest.param("expired", "certificate has expired: renew it there", id="expired"),
        pytest.param(
            "elsewhere",
            "certificate is for another name: write the one that it has in hosts",
            id="another host's",
        ),
    ],
)
async def test_a_certificate_that_is_not_right_is_named_with_a_hint(
    secured_server: SearchServer, certificate: str, message: str
) -> None:
    certificates = secured_server.certificates
    with behind(secured_server, getattr(certificates, certificate)) as front:
        writer = writer_to(front.url, tls=Tls(ca_certs=certificates.authority))
        with pytest.raises(UsageError, match=message):
            await writer.open()
        await writer.close()


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda made: Tls(ca_certs=made.authority), id="authority"),
        pytest.param(
            lambda made: Tls(fingerprint=plain(made.fingerprint(made.server))), id="fingerprint"
        ),
        pytest.param(
            lambda made: Tls(fingerprint=plain(made.fingerprint(made.authority))),
            id="fingerprint of the authority",
        ),
        pytest.param(lambda _: Tls(verify=False), id="unverified"),
    ],
)
async def test_a_server_is_trusted_in_several_ways(
    secured_server: SearchServer, make: Callable[[Any], Tls], prefix: str
) -> None:
    tls = make(secured_server.certificates)
    async with opened(secured_server, tls=tls, template=template_for(prefix)) as writer:
        assert (await writer.write([document(prefix, 1)])).stored == 1


async def test_a_pinned_authority_vouches_for_names_and_a_pinned_certificate_for_itself(
    secured_server: SearchServer,
) -> None:
    made = secured_server.certificates
    with behind(secured_server, made.elsewhere) as front:
        pinned = Tls(fingerprint=plain(made.fingerprint(made.elsewhere)))
        async with opened(front.url, tls=pinned, login=partial(Login, ADMIN, PASSWORD)) as writer:
            assert writer.connection.server is not None
        other = writer_to(front.url, tls=Tls(fingerprint=plain(made.fingerprint(made.authority))))
        with pytest.raises(UsageError, match="certificate is for another name"):
            await other.open()
        await other.close()


def plain(fingerprint: str) -> str:
    return fingerprint.replace(":", "").lower()


async def test_https_to_a_server_without_tls_is_refused_with_a_hint(
    search_server: SearchServer,
) -> None:
    writer = writer_to(search_server.url.replace("http:", "https:"))
    with pytest.raises(UsageError, match="does not speak TLS: write http:// in hosts"):
        await writer.open()
    await writer.close()


async def test_http_to_a_server_with_tls_names_the_scheme(secured_server: SearchServer) -> None:
    writer = writer_to(secured_server.url.replace("https:", "http:"))
    with pytest.raises(StoreUnavailable, match="address and scheme in hosts"):
        await writer.open()
    await writer.close()


@pytest.mark.servers
@pytest.mark.parametrize("kind", SECURED_KINDS, ids=str)
async def test_a_server_that_wants_a_certificate_of_its_clients_gets_it(kind: Kind) -> None:
    with SearchServer(kind, client_certificate=True) as server:
        made = server.certificates
        own: dict[str, Any] = {
            "client_cert": made.client,
            "client_key": made.client.with_suffix(".key"),
        }
        without = writer_to(server)
        with pytest.raises(
            UsageError, match="refuses this client: set client_cert and client_key to a certificate"
        ):
            await without.open()
        await without.close()
        async with opened(server, tls=Tls(ca_certs=made.authority, **own)) as writer:
            assert (await writer.write([document("mail-own", 1)])).stored == 1
        pinned = Tls(fingerprint=plain(made.fingerprint(made.server)), **own)
        async with opened(server, tls=pinned) as writer:
            assert (await writer.write([document("mail-own", 1)])).duplicates == 1


@pytest.mark.servers
async def test_an_api_key_logs_in_to_elasticsearch(
    search_servers: Callable[[Kind], SearchServer], prefix: str
) -> None:
    server = search_servers(SECURED_ELASTICSEARCH)
    async with asking(server) as client:
        made = await client.security.create_api_key(name=prefix)
    key = Login(api_key=f"{made['id']}:{made['api_key']}")
    async with opened(server, login=lambda: key, template=template_for(prefix)) as writer:
        assert (await writer.write([document(prefix, 1)])).stored == 1


@pytest.mark.servers
@pytest.mark.parametrize("kind", SECURED_KINDS, ids=str)
async def test_a_bearer_token_logs_in(
    kind: Kind, search_servers: Callable[[Kind], SearchServer], prefix: str
) -> None:
    server = search_servers(kind)
    if kind == SECURED_OPENSEARCH:
        token = web_token(WRITER)
    else:
        async with asking(server) as client:
            answer = await client.security.get_token(
                grant_type="password", username=WRITER, password=PASSWORD
            )
        token = answer["access_token"]
    bearer = Login(bearer_token=token)
    async with opened(server, login=lambda: bearer, template=template_for(prefix)) as writer:
        assert (await writer.write([document(prefix, 1)])).stored == 1


async def test_proxies_of_the_environment_divert_nothing(
    secured_server: SearchServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    made = secured_server.certificates
    tls = Tls(fingerprint=plain(made.fingerprint(made.server)))
    async with opened(secured_server, tls=tls, template=template_for(prefix)) as writer:
        assert (await writer.write([document(prefix, 1)])).stored == 1
