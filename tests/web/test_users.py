"""Logins against a file of users."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from mailingest.errors import UsageError
from mailingest.web.users import Login, Users, hash_password, read_login
from tests.web.clock import Clock


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.fixture
def users_file(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_text(f"# help desk\n\nann:{hash_password('s3cret:ü')}\n")
    return path


@pytest.mark.parametrize(
    ("header", "user"),
    [
        pytest.param(basic("ann", "s3cret:ü"), "ann", id="the right password"),
        pytest.param(basic("ann", "S3cret:ü"), None, id="a wrong password"),
        pytest.param(basic("bob", "s3cret:ü"), None, id="an unknown name"),
        pytest.param("", None, id="no header"),
        pytest.param("Bearer abc", None, id="another scheme"),
        pytest.param("Basic %%%", None, id="no base64"),
        pytest.param("Basic " + base64.b64encode(b"ann").decode(), None, id="no colon"),
        pytest.param("Basic " + base64.b64encode(b"\xff:\xff").decode(), None, id="no UTF-8"),
    ],
)
def test_a_login(users_file: Path, header: str, user: str | None) -> None:
    login = read_login(header)
    is_right = login is not None and Users(users_file).verify(login)
    assert (login.name if login is not None and is_right else None) == user


def test_a_right_password_is_remembered_for_a_while_and_a_wrong_one_is_not(
    users_file: Path,
) -> None:
    clock = Clock()
    users = Users(users_file, clock)
    right, wrong = Login("ann", "s3cret:ü"), Login("ann", "other")
    for is_known in (False, True):
        assert (users.remembers(right), users.remembers(wrong)) == (is_known, False)
        assert (users.verify(right), users.verify(wrong)) == (True, False)
    clock.now += 301
    assert not users.remembers(right)
    assert users.verify(right)


def test_an_unknown_name_costs_as_much_as_a_known_one(
    users_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[object] = []
    scrypt = hashlib.scrypt

    def counted(password: bytes, **cost: Any) -> bytes:
        hashed.append({name: cost[name] for name in ("n", "r", "p")})
        return scrypt(password, **cost)

    monkeypatch.setattr("mailingest.web.users.hashlib.scrypt", counted)
    users = Users(users_file)
    assert not users.verify(Login("ann", "wrong"))
    assert not users.verify(Login("nobody", "wrong"))
    assert hashed == [{"n": 2**14, "r": 8, "p": 5}] * 2


def test_a_hash_does_not_show_the_password_and_is_never_the_same() -> None:
    first, second = hash_password("s3cret"), hash_password("s3cret")
    assert first != second
    assert "s3cret" not in first
    assert "s3cret" not in repr(Login("ann", "s3cret"))


@pytest.mark.parametrize("line", ["ann", "ann:plain", ":scrypt$YQ==$YQ==", "a b:scrypt$YQ==$YQ=="])
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "users").write_text(f"# users\n{line}\n")
    with pytest.raises(UsageError, match=r"users:2: must be name:hash"):
        Users(tmp_path / "users")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"web.users_file: cannot read .*No such file"):
        Users(tmp_path / "users")
