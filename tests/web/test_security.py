"""Who may ask, and how often."""

import base64
from pathlib import Path

import pytest

from mailingest.errors import UsageError
from mailingest.web.security import RateLimit, Users, hash_password


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


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
    assert Users(users_file).check(header) == user


def test_a_right_password_is_remembered_and_a_wrong_one_is_not(users_file: Path) -> None:
    clock = Clock()
    users = Users(users_file, clock)
    for _ in range(2):
        assert users.check(basic("ann", "s3cret:ü")) == "ann"
        assert users.check(basic("ann", "other")) is None
    clock.now += 301
    assert users.check(basic("ann", "s3cret:ü")) == "ann"


def test_a_hash_tells_nothing_and_is_never_the_same() -> None:
    first, second = hash_password("s3cret"), hash_password("s3cret")
    assert first != second
    assert "s3cret" not in first


@pytest.mark.parametrize("line", ["ann", "ann:plain", ":scrypt$YQ==$YQ==", "a b:scrypt$YQ==$YQ=="])
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "users").write_text(f"# users\n{line}\n")
    with pytest.raises(UsageError, match=r"users:2: must be name:hash"):
        Users(tmp_path / "users")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"web.users_file: cannot read .*No such file"):
        Users(tmp_path / "users")


def test_questions_are_limited_for_each_peer_and_allowed_again_later() -> None:
    clock = Clock()
    limit = RateLimit(60, clock)
    assert [limit.allows("a") for _ in range(61)] == [True] * 60 + [False]
    assert limit.allows("b")
    clock.now += 1.0
    assert [limit.allows("a") for _ in range(2)] == [True, False]


def test_peers_that_are_counted_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailingest.web.security._MOST_PEERS", 2)
    limit = RateLimit(1, Clock())
    assert all(limit.allows(peer) for peer in "abc")
    # The oldest was forgotten, the newest was not.
    assert [limit.allows(peer) for peer in "ca"] == [False, True]
