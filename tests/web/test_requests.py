"""Requests as bytes: the names they are for, who they are from, and what no browser would send."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailingest.httpd.hosts import served_names
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.web.access import Access
from mailingest.web.users import Users, hash_password
from tests.web import serving
from tests.web.serving import Page

PROXY = Access(proxy_header="X-Remote-User", proxies=frozenset({"127.0.0.1"}))
NAMED = Access(names=served_names("127.0.0.1", ["trace.example.net"]))


async def served(directory: Path, access: Access) -> AsyncIterator[Page]:
    async for page in serving.served(SqliteReader(directory, "mail"), access):
        yield page


async def answer(page: Page, *lines: str) -> tuple[int, str]:
    """Status and text of the answer to a request of these lines."""
    _, _, port = page.url.rstrip("/").rpartition(":")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    try:
        request = "\r\n".join([*lines, "Connection: close", "", ""])
        writer.write(request.encode("latin-1"))
        text = (await reader.read()).decode()
    finally:
        writer.close()
    found = re.match(r"HTTP/1\.[01] (\d{3})", text)
    assert found is not None, text
    return int(found[1]), text


GET = "GET /search.json?to=bob HTTP/1.1"


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        pytest.param([GET, "Host: localhost"], 200, id="this machine"),
        pytest.param([GET, "Host: LOCALHOST.:8025"], 200, id="written in another way"),
        pytest.param([GET, "Host: [::1]:8025"], 200, id="IPv6"),
        pytest.param([GET, "Host: evil.example"], 421, id="a name of somebody else"),
        pytest.param([GET, "Host: evil.example:8025"], 421, id="and a port"),
        pytest.param([GET, "Host: localhost.evil.example"], 421, id="a name that begins like it"),
        pytest.param([GET, "Host: evil-localhost"], 421, id="a name that ends like it"),
        pytest.param([GET, "Host: 192.0.2.1"], 421, id="another address"),
        pytest.param(
            [GET, "Host: evil.example", "X-Forwarded-Host: localhost"], 421, id="X-Forwarded-Host"
        ),
        pytest.param([GET, "Host: evil.example", "Forwarded: host=localhost"], 421, id="Forwarded"),
        pytest.param(
            [GET, "Host: localhost", "X-Forwarded-Host: evil.example"], 200, id="not believed"
        ),
        pytest.param([GET], 400, id="no Host"),
        pytest.param([GET, "Host:"], 400, id="an empty Host"),
        pytest.param(["GET / HTTP/1.0"], 400, id="no Host in HTTP/1.0"),
        pytest.param([GET, "Host: localhost", "host: evil.example"], 400, id="two"),
        pytest.param([GET, "Host: evil.example", "Host: localhost"], 400, id="two, the other way"),
        pytest.param([GET, "Host: localhost, evil.example"], 400, id="a list"),
        pytest.param([GET, "Host: local\xe4"], 400, id="not ASCII"),
        pytest.param(
            ["GET http://evil.example/ HTTP/1.1", "Host: localhost"], 400, id="a URL, another name"
        ),
        pytest.param(
            ["GET http://localhost/ HTTP/1.1", "Host: evil.example"], 400, id="a Host of another"
        ),
        pytest.param(
            ["GET http://evil.example/ HTTP/1.1", "Host: evil.example"], 421, id="both another"
        ),
        pytest.param(
            ["GET http://localhost/ HTTP/1.1", "Host: localhost"], 200, id="a URL, the same name"
        ),
        pytest.param(["CONNECT evil.example:80 HTTP/1.1", "Host: localhost"], 400, id="CONNECT"),
        pytest.param(["HEAD / HTTP/1.1", "Host: evil.example"], 421, id="HEAD"),
        pytest.param(
            ["GET /no/such/page HTTP/1.1", "Host: evil.example"], 421, id="whatever the path"
        ),
        pytest.param(
            ["GET /static/style.css HTTP/1.1", "Host: evil.example"], 200, id="the style sheet"
        ),
    ],
)
async def test_only_names_of_this_machine_are_answered(
    tmp_path: Path, lines: list[str], status: int
) -> None:
    async for page in served(tmp_path, Access()):
        got, text = await answer(page, *lines)
        assert got == status
        if status == 421 and not lines[0].startswith("HEAD"):
            assert "web.server_names" in text
        assert "evil.example" not in text


@pytest.mark.parametrize(
    ("host", "status"),
    [("trace.example.net", 200), ("TRACE.example.net:443", 200), ("other.example.net", 421)],
)
async def test_names_that_are_configured_are_answered(
    tmp_path: Path, host: str, status: int
) -> None:
    async for page in served(tmp_path, NAMED):
        assert (await answer(page, GET, f"Host: {host}"))[0] == status


async def test_a_password_needs_no_name(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(f"ann:{hash_password('s3cret')}\n")
    async for page in served(tmp_path, Access(users=Users(tmp_path / "users"))):
        assert (await answer(page, GET, "Host: trace.example.net"))[0] == 401
        assert (await answer(page, GET, "Host: a", "Host: b"))[0] == 400


async def test_a_name_without_a_password_is_not_enough_behind_a_proxy(tmp_path: Path) -> None:
    """A page of somebody else may set the header that a proxy sets."""
    async for page in served(tmp_path, PROXY):
        user = "X-Remote-User: ann"
        assert (await answer(page, GET, "Host: evil.example", user))[0] == 421
        assert (await answer(page, GET, "Host: localhost", user))[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param(["X-Remote-User: ann"], 200, id="one"),
        pytest.param(["x-remote-user: ann"], 200, id="in lower case"),
        pytest.param(["X-Remote-User: Ann Lee"], 200, id="two words"),
        pytest.param(["X-Remote-User: ann@example.net"], 200, id="an address"),
        pytest.param([], 401, id="none"),
        pytest.param(["X-Remote-User:"], 401, id="an empty one"),
        pytest.param(["X-Remote-User: ann", "X-Remote-User: root"], 403, id="two"),
        pytest.param(["X-Remote-User: ann", "X-Remote-User: ann"], 403, id="the same twice"),
        pytest.param(["X-Remote-User: ann", "x-ReMoTe-uSeR: root"], 403, id="in another case"),
        pytest.param(["X-Remote-User: ann", "X_Remote_User: root"], 403, id="with underscores"),
        pytest.param(["X-Remote-User: ann", "X-Remote_User: root"], 403, id="with one underscore"),
        pytest.param(["X_Remote_User: root"], 403, id="only with underscores"),
        pytest.param(["X-Remote-User:", "X-Remote-User: root"], 403, id="an empty one, and one"),
        pytest.param(["X-Remote-User: root, ann"], 403, id="a list"),
        pytest.param(["X-Remote-User: ,ann"], 403, id="a list of one"),
        pytest.param(["X-Remote-User: " + "a" * 300], 403, id="too long"),
        pytest.param(["X-Remote-User: ann\xff\xfe"], 403, id="not UTF-8"),
        pytest.param(["X-Remote-User: ann\x9b2J"], 403, id="a control character"),
        pytest.param(["X-Remote-User: ann", "X-Remote-User2: root"], 200, id="another header"),
    ],
)
async def test_a_proxy_names_one_user(tmp_path: Path, headers: list[str], status: int) -> None:
    async for page in served(tmp_path, PROXY):
        got, text = await answer(page, GET, "Host: localhost", *headers)
        assert got == status
        assert ("web.proxy_header" in text) == (status == 403)


@pytest.mark.parametrize(
    ("site", "to", "status"),
    [
        pytest.param("none", "document", 200, id="typed in"),
        pytest.param("same-origin", "document", 200, id="the page's own link"),
        pytest.param("cross-site", "document", 200, id="a link of somebody else"),
        pytest.param("cross-site", "image", 403, id="a picture of somebody else"),
        pytest.param("cross-site", "iframe", 403, id="a frame of somebody else"),
        pytest.param("same-site", "empty", 403, id="a script of a neighbour"),
    ],
)
async def test_pages_of_others_ask_nothing_unseen(
    tmp_path: Path, site: str, to: str, status: int
) -> None:
    async for page in served(tmp_path, Access()):
        headers = [f"Sec-Fetch-Site: {site}", f"Sec-Fetch-Dest: {to}"]
        assert (await answer(page, GET, "Host: localhost", *headers))[0] == status


BODY = "Content-Length: 5"


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([GET, "Host: localhost", BODY, "Transfer-Encoding: chunked"], id="two ends"),
        pytest.param([GET, "Host: localhost", BODY, "Content-Length: 6"], id="two lengths"),
        pytest.param([GET, "Host: localhost", "Content-Length: -1"], id="less than nothing"),
        pytest.param([GET, "Host: localhost", "Transfer-Encoding: xchunked"], id="another end"),
        pytest.param([GET, "Host: localhost", "X: a", " b"], id="a header of two lines"),
        pytest.param([GET, "Host : localhost"], id="a space before the colon"),
        pytest.param([GET + "\nHost: localhost"], id="a line feed alone"),
        pytest.param(["GET /?to=" + "a" * 9000 + " HTTP/1.1", "Host: localhost"], id="a long path"),
        pytest.param([GET, "Host: localhost", "X: " + "a" * 9000], id="a long header"),
        pytest.param([GET, "Host: localhost", *["X: a"] * 3000], id="many headers"),
        pytest.param(["GET /\xff HTTP/1.1", "Host: localhost"], id="a path that is not ASCII"),
    ],
)
async def test_what_proxies_read_in_two_ways_or_never_ends_is_refused(
    tmp_path: Path, lines: list[str]
) -> None:
    async for page in served(tmp_path, Access()):
        status, text = await answer(page, *lines)
        assert status == 400
        assert "text/html" not in text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
async def test_nothing_can_be_changed(tmp_path: Path, method: str) -> None:
    async for page in served(tmp_path, Access()):
        assert (await answer(page, f"{method} / HTTP/1.1", "Host: localhost"))[0] == 405


@pytest.mark.parametrize(
    "path", ["/?lang=%0d%0aSet-Cookie:%20x=1", "/%0d%0aSet-Cookie:%20x=1", "//evil.example/"]
)
async def test_no_header_comes_of_a_path(tmp_path: Path, path: str) -> None:
    async for page in served(tmp_path, Access()):
        _, text = await answer(page, f"GET {path} HTTP/1.1", "Host: localhost")
        head, _, body = text.partition("\r\n\r\n")
        assert not re.search(r"(?im)^(?:set-cookie|location|content-disposition):", head)
        assert "\nServer: mailingest\r" in head
        assert "evil.example" not in body
