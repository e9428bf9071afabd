"""Who may ask: logins, trusted proxies, and how often."""

import asyncio
import hashlib
import threading
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mailingest.config import Settings
from mailingest.errors import UsageError
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.web.access import Access
from mailingest.web.server import access_of
from mailingest.web.users import Users, hash_password
from tests.web import serving
from tests.web.serving import Page

pytestmark = pytest.mark.usefixtures("cheap_hashes")


async def served(directory: Path, access: Access) -> AsyncIterator[Page]:
    """The pages over a store that is empty."""
    async for page in serving.served(SqliteReader(directory, "mail"), access):
        yield page


def basic(name: str, password: str) -> dict[str, str]:
    """The header of a login."""
    return {"Authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


async def test_users_have_to_log_in(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(f"ann:{hash_password('s3cret')}\n")
    async for page in served(tmp_path, Access(users=Users(tmp_path / "users"))):
        assert (await page.get(""))[0] == 401
        for password, status in (("wrong", 401), ("s3cret", 200)):
            assert (await page.get("", headers=basic("ann", password)))[0] == status


async def test_passwords_cannot_be_guessed_for_long(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(f"ann:{hash_password('s3cret')}\n")
    async for page in served(tmp_path, Access(users=Users(tmp_path / "users"))):
        statuses = [(await page.get("", headers=basic("ann", "wrong")))[0] for _ in range(30)]
        assert statuses[:20] == [401] * 20
        assert statuses[-1] == 429
        assert (await page.get("static/style.css"))[0] == 200


async def test_a_proxy_names_the_user_if_it_is_trusted(tmp_path: Path) -> None:
    header = {"X-Remote-User": "ann"}
    trusted = Access(proxy_header="X-Remote-User", proxies=frozenset({"127.0.0.1"}))
    async for page in served(tmp_path, trusted):
        assert (await page.get("", headers=header))[0] == 200
        assert (await page.get(""))[0] == 401
    async for page in served(tmp_path, Access(proxy_header="X-Remote-User")):
        assert (await page.get("", headers=header))[0] == 401


async def test_too_many_questions_are_put_off(tmp_path: Path) -> None:
    async for page in served(tmp_path, Access(questions_a_minute=2)):
        assert [(await page.get(""))[0] for _ in range(3)] == [200, 200, 429]


def test_others_may_only_reach_it_with_a_login() -> None:
    with pytest.raises(UsageError, match=r"web.host: 0.0.0.0 can be reached by others"):
        access_of(Settings.model_validate({"web": {"host": "0.0.0.0"}}))


class HeldScrypt:
    """scrypt that begins, and goes on only when it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self._lock = threading.Lock()
        self._may_go_on = threading.Event()
        self._scrypt = hashlib.scrypt

    def __call__(self, password: bytes, **cost: Any) -> bytes:
        assert threading.current_thread() is not threading.main_thread(), "the event loop waits"
        with self._lock:
            self.begun += 1
        self._may_go_on.wait()
        return self._scrypt(password, **cost)

    def let_go(self) -> None:
        self._may_go_on.set()


async def test_others_are_answered_while_passwords_are_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "users").write_text(f"ann:{hash_password('s3cret')}\n")
    async for page in served(tmp_path, Access(users=Users(tmp_path / "users"))):
        assert (await page.get("", headers=basic("ann", "s3cret")))[0] == 200
        page.session.cookie_jar.clear()
        scrypt = HeldScrypt()
        monkeypatch.setattr("mailingest.web.users.hashlib.scrypt", scrypt)
        try:
            logins = [
                asyncio.create_task(page.get("", headers=basic(name, "wrong")))
                for name in ("bob", "ann", "carla")
                for _ in range(5)
            ]
            while scrypt.begun < 2 and not any(one.done() for one in logins):
                await asyncio.sleep(0.01)
            assert (await page.get("static/style.css"))[0] == 200
            assert scrypt.begun == 2
            # The store is asked in threads, too.
            assert (await page.get("?to=bob", headers=basic("ann", "s3cret")))[0] == 200
            assert scrypt.begun == 2
            assert not [one for one in logins if one.done()]
        finally:
            scrypt.let_go()
        assert [status for status, _ in await asyncio.gather(*logins)] == [401] * 15


async def test_logins_at_the_same_time_are_not_more_guesses(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(f"ann:{hash_password('s3cret')}\n")
    async for page in served(tmp_path, Access(users=Users(tmp_path / "users"))):
        login = basic("ann", "wrong")
        answers = await asyncio.gather(*(page.get("", headers=login) for _ in range(60)))
        statuses = [status for status, _ in answers]
        assert (statuses.count(401), statuses.count(429)) == (20, 40)


async def test_right_passwords_are_not_counted(tmp_path: Path) -> None:
    users = "".join(f"ann{number}:{hash_password('s3cret')}\n" for number in range(25))
    (tmp_path / "users").write_text(users)
    async for page in served(tmp_path, Access(users=Users(tmp_path / "users"))):
        logins = [basic(f"ann{number}", "s3cret") for number in range(25)]
        assert [(await page.get("", headers=login))[0] for login in logins] == [200] * 25


def test_a_password_file_beside_a_proxy_s_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(f"ann:{hash_password('s3cret')}\n")
    web = {"users_file": tmp_path / "users", "proxy_header": "X-Remote-User"}
    with pytest.raises(UsageError, match=r"web\.users_file and web\.proxy_header are both set"):
        access_of(Settings.model_validate({"web": web}))
    for name, value in web.items():
        access = access_of(Settings.model_validate({"web": {name: value}}))
        assert (access.users is None, access.proxy_header is None) == (
            name == "proxy_header",
            name == "users_file",
        )
