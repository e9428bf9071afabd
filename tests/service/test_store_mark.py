"""When a reload opens the store anew: other settings of it, or another secret in the same file."""

from pathlib import Path
from typing import Any

import pytest

from mailingest.config import Settings
from mailingest.service.changing import store_mark

SECTIONS: dict[str, dict[str, Any]] = {
    "elasticsearch": {"hosts": ["https://es1.example.net:9200"], "username": "mailingest"},
    "victorialogs": {"url": "https://logs.example.net:9428", "username": "mailingest"},
    "kafka": {"servers": ["kafka1.example.net:9092"], "username": "mailingest"},
}


def settings(section: str, secret: Path, **more: object) -> Settings:
    values = {**SECTIONS[section], "password_file": str(secret), **more}
    return Settings.model_validate({section: values})


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text("one")
    return file


@pytest.mark.parametrize("section", SECTIONS)
def test_other_settings_of_the_store(section: str, secret: Path) -> None:
    before = store_mark(settings(section, secret))
    assert store_mark(settings(section, secret)) == before
    assert store_mark(settings(section, secret, timeout=7)) != before


@pytest.mark.parametrize("section", SECTIONS)
def test_another_secret_in_the_same_file(section: str, secret: Path) -> None:
    before = store_mark(settings(section, secret))
    secret.write_text("another")
    assert store_mark(settings(section, secret)) != before


def test_each_file_of_a_section_is_looked_at(tmp_path: Path) -> None:
    """A section that gets another file of secrets or certificates has to be in this list."""
    for section in SECTIONS:
        for name in type(getattr(Settings(), section)).model_fields:
            if not name.endswith(("_file", "_certs", "_cert", "_key")) or name == "api_key":
                continue
            if name == "verify_certs":
                continue
            file = tmp_path / f"{section}-{name}"
            file.write_text("one")
            given = {key: value for key, value in SECTIONS[section].items() if key != "username"}
            whole = Settings.model_validate({section: given})
            changed = getattr(whole, section).model_copy(update={name: file})
            whole = whole.model_copy(update={section: changed})
            before = store_mark(whole)
            file.write_text("another")
            assert store_mark(whole) != before, f"{section}.{name}"
