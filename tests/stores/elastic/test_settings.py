"""The settings of Elasticsearch: what is refused, and what reaches the connection."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mailingest.config import Settings
from mailingest.errors import UsageError
from mailingest.wiring import build_store
from tests.stores.elastic.canned import Canned

SECRET = "correct-horse-battery"


def settings(**section: Any) -> Settings:
    return Settings.model_validate({"elasticsearch": section, "index": {"prefix": "mail"}})


@pytest.mark.parametrize(
    ("section", "hint"),
    [
        (
            {"bearer_token": SECRET, "bearer_token_file": "token"},
            "set bearer_token or bearer_token_file, not both",
        ),
        ({"username": "ann", "bearer_token": SECRET}, "set username or bearer_token, not both"),
        ({"api_key": SECRET, "bearer_token_file": "t"}, "set api_key or bearer_token, not both"),
        (
            {"username": "ann", "api_key": SECRET, "bearer_token": SECRET},
            "set username or api_key or bearer_token, not all",
        ),
        ({"ca_certs": "ca", "fingerprint": "0" * 64}, "set ca_certs or fingerprint, not both"),
        ({"ca_certs": "ca", "verify_certs": False}, "verify_certs = false trusts all: take out"),
        ({"fingerprint": "0" * 64, "verify_certs": False}, "verify_certs = false trusts all"),
        ({"client_key": "key"}, "a client_key needs a client_cert: set client_cert"),
        ({"fingerprint": "00:11"}, "must be a SHA-256 fingerprint, 64 hexadecimal digits"),
        ({"fingerprint": "sha256/" + "0" * 57}, "must be a SHA-256 fingerprint"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    section: dict[str, Any], hint: str
) -> None:
    with pytest.raises(ValidationError, match=re.escape(hint)):
        settings(**section)


def test_a_fingerprint_may_be_written_as_openssl_prints_it() -> None:
    printed = ":".join(["0A"] * 32)
    assert settings(fingerprint=printed).elasticsearch.fingerprint == "0a" * 32


def test_secrets_are_not_shown() -> None:
    assert SECRET not in repr(settings(bearer_token=SECRET))


def test_a_certificate_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^elasticsearch\.client_cert: cannot use .*/none\.pem: "):
        build_store(
            settings(hosts=["https://127.0.0.1:9"], client_cert=tmp_path / "none.pem")
        ).writer()


async def test_a_token_is_read_from_its_file_at_each_opening(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    put = (200, {"acknowledged": True})
    answers: list[tuple[int, object]] = [(404, {}), (404, {}), put, put]
    # Other templates are looked at once.
    canned = Canned(answers=[*answers, (200, {}), (200, {}), *answers])
    async with canned.running() as url:
        writer = build_store(settings(hosts=[url], bearer_token_file=token, compress=True)).writer()
        await writer.open()
        token.write_text("second\n")
        await writer.open()
        await writer.close()

    sent = [head.split("authorization: ")[1].split("\r")[0] for head in canned.requests]
    assert sent == ["bearer first"] * 7 + ["bearer second"] * 4
    assert "content-encoding: gzip" in canned.requests[3]
