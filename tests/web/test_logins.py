"""Guessing of passwords is slow, and keeps nobody else out."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.web import logins
from mailingest.web.access import Access
from mailingest.web.logins import network_of
from mailingest.web.users import Users, hash_password
from tests.web import serving
from tests.web.serving import Page

pytestmark = pytest.mark.usefixtures("cheap_hashes")


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    lines = [f"{name}:{hash_password('s3cret')}\n" for name in ("ann", "bob")]
    (tmp_path / "users").write_text("".join(lines))
    access = Access(users=Users(tmp_path / "users"))
    async for one in serving.served(SqliteReader(tmp_path, "mail"), access):
        yield one


async def log_in(page: Page, name: str, password: str, *, cookie: str = "") -> tuple[int, str]:
    """Status and cookie of an answer to a browser that has no other cookies."""
    page.session.cookie_jar.clear()
    headers = {"Authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}
    if cookie:
        headers["Cookie"] = cookie
    async with page.session.get(page.url, headers=headers) as response:
        return response.status, response.headers.get("Set-Cookie", "")


async def test_an_outsider_behind_the_same_proxy_locks_out_no_other_account(page: Page) -> None:
    statuses = [(await log_in(page, "ann", f"guess{number}"))[0] for number in range(30)]
    assert statuses == [401] * 20 + [429] * 10
    for number in range(21):
        await log_in(page, "nobody", f"guess{number}")
    assert (await log_in(page, "bob", "s3cret"))[0] == 200


async def test_a_browser_that_has_logged_in_before_is_not_locked_out(page: Page) -> None:
    status, cookie = await log_in(page, "ann", "s3cret")
    assert status == 200
    assert {"HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))
    for number in range(30):
        await log_in(page, "ann", f"guess{number}")
    assert (await log_in(page, "ann", "s3cret"))[0] == 429, "nothing tells it from a guess"
    device = cookie.partition(";")[0]
    status, again = await log_in(page, "ann", "s3cret", cookie=device)
    assert (status, again) == (200, "")


async def test_a_browser_that_has_logged_in_before_has_no_more_tries(page: Page) -> None:
    _, cookie = await log_in(page, "ann", "s3cret")
    device = cookie.partition(";")[0]
    statuses = [(await log_in(page, "ann", "guess", cookie=device))[0] for _ in range(30)]
    assert statuses == [401] * 20 + [429] * 10
    assert (await log_in(page, "ann", "s3cret"))[0] == 200, "tries of others are others"


@pytest.mark.parametrize("made_up", ["mailingest-device=x", "mailingest-device=" + "0" * 32 + ".x"])
async def test_a_cookie_that_is_made_up_or_of_another_account_gives_no_tries(
    page: Page, made_up: str
) -> None:
    _, cookie = await log_in(page, "bob", "s3cret")
    for number in range(20):
        await log_in(page, "ann", f"guess{number}")
    for device in (made_up, cookie.partition(";")[0], "mailingest-device=\xe4.\xe4"):
        assert (await log_in(page, "ann", "guess", cookie=device))[0] == 429


async def test_a_cookie_lets_nobody_in(page: Page) -> None:
    _, cookie = await log_in(page, "ann", "s3cret")
    headers = {"Cookie": cookie.partition(";")[0]}
    async with page.session.get(page.url, headers=headers) as response:
        assert response.status == 401


async def test_a_crowd_of_guesses_for_one_account_is_in_the_way_of_none_other(page: Page) -> None:
    """Its passwords are hashed one after the other, so that another account's turn comes."""
    crowd = [asyncio.create_task(log_in(page, f"nobody{n}", "guess")) for n in range(16)]
    await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)
    assert (await log_in(page, "bob", "s3cret"))[0] == 200
    assert sum(not one.done() for one in crowd) > 8
    assert {status for status, _ in await asyncio.gather(*crowd)} == {401}


async def test_those_that_wait_are_bounded(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "_MOST_WAITING", 3)
    crowd = [log_in(page, f"nobody{number}", "guess") for number in range(10)]
    statuses = [status for status, _ in await asyncio.gather(*crowd)]
    assert set(statuses) == {401, 429}


def test_a_new_password_makes_the_cookies_of_the_old_one_useless(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(f"ann:{hash_password('s3cret')}\n")
    users = Users(tmp_path / "users")
    device = users.new_device("ann")
    assert users.knows_device("ann", device)
    assert Users(tmp_path / "users").knows_device("ann", device), "also after a restart"
    assert not users.knows_device("nobody", device)
    (tmp_path / "users").write_text(f"ann:{hash_password('s3cret')}\n")
    assert not Users(tmp_path / "users").knows_device("ann", device)


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_what_counts_as_one_address(peer: str, network: str) -> None:
    assert network_of(peer) == network
