"""Settings become the parts that they describe."""

import os
from pathlib import Path
from typing import Any

import pytest

from mailingest.config import Settings
from mailingest.core.correlation import LIFETIME
from mailingest.errors import UsageError
from mailingest.outputs.elastic import ElasticOutput
from mailingest.outputs.ndjson import NdjsonOutput
from mailingest.outputs.sqlite import SqliteOutput
from mailingest.wiring import (
    build_output,
    build_pipeline,
    data_directory,
    first_time,
    read_definitions,
)

NOW = 1_795_500_000.0  # 2026-11-24 06:00:00 UTC
SENT = "to=<bob@example.net>, relay=none, delay=1, delays=0/0/0.5/0.5, dsn=2.0.0, status=sent (ok)"


def settings(**sections: Any) -> Settings:
    return Settings.model_validate(sections)


def line(text: str, host: str = "mx1", service: str = "qmgr") -> bytes:
    return f"Nov 24 07:00:00 {host} postfix/{service}[7]: 4AB12CD34: {text}".encode()


@pytest.mark.parametrize(
    ("name", "file"), [("patterns", "postfix.grok"), ("config", "mailingest.toml")]
)
def test_the_data_is_found(name: str, file: str) -> None:
    assert (data_directory(name) / file).is_file()


def test_later_patterns_replace_shipped_ones_by_name(tmp_path: Path) -> None:
    (tmp_path / "own").write_text(
        r"POSTFIX_QMGR_REMOVED %{POSTFIX_QUEUEID:postfix_queueid}: (?<postfix_message>gone)" + "\n"
    )
    (tmp_path / ".own.swp").write_bytes(b"\xff\0 what an editor leaves")
    (tmp_path / "sub").mkdir()
    pipeline = build_pipeline(settings(grok={"patterns_dirs": [tmp_path]}), live=True)
    gone, removed = (pipeline.feed(line(text), NOW)[0].fields for text in ("gone", "removed"))
    assert gone["postfix_message"] == "gone"
    assert removed["tags"] == ["_grok_postfix_qmgr_nomatch"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param(
            "own", b"A \xff\n", "{file}: the patterns are not UTF-8: convert the file", id="latin1"
        ),
        pytest.param("own", b"POSTFIX_QMGR (\n", "{file}:1: ", id="no regular expression"),
        pytest.param("own", b"POSTFIX_QMGR %{NOWHERE}\n", "{file}:1: ", id="no such pattern"),
    ],
)
def test_a_pattern_that_is_wrong_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        build_pipeline(settings(grok={"patterns_dirs": [tmp_path]}), live=True)
    assert str(caught.value).startswith(message.format(file=file))
    assert "\n" not in str(caught.value)


def test_a_directory_of_patterns_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        list(read_definitions(settings(grok={"patterns_dirs": [tmp_path / "none"]})))
    assert str(caught.value) == (
        f"grok.patterns_dirs: cannot read {tmp_path / 'none'}: No such file or directory"
    )


@pytest.mark.parametrize(
    ("host", "time"),
    [("mx1", "2026-11-24T06:00:00.000Z"), ("mx2", "2026-11-24T12:00:00.000Z")],
    ids=["the zone of all", "the zone of a host"],
)
def test_zones_are_those_of_the_settings(host: str, time: str) -> None:
    syslog = {"timezone": "Europe/Berlin", "host_timezones": {"mx2": "America/New_York"}}
    pipeline = build_pipeline(settings(syslog=syslog), live=True)
    (document,) = pipeline.feed(line("removed", host), NOW)
    assert document.fields["@timestamp"] == time


@pytest.mark.parametrize("charset", ["utf-8", "iso8859-1", "koi8-r"])
def test_the_charset_is_that_of_the_settings(charset: str) -> None:
    pipeline = build_pipeline(settings(syslog={"charset": charset}), live=True)
    text = "Grüße".encode()
    (document,) = pipeline.feed(b"Nov 24 07:00:00 mx1 x: " + text, NOW)
    assert document.fields["message"] == text.decode(charset)


def test_the_prefix_of_indices_is_that_of_the_settings() -> None:
    pipeline = build_pipeline(settings(index={"prefix": "post"}), live=True)
    (document,) = pipeline.feed(line("removed"), NOW)
    assert document.index == "post-2026.11.24"


def test_queue_ids_are_bounded_by_the_settings() -> None:
    correlation = {"max_queue_ids": 1000, "lifetime_days": 1}
    pipeline = build_pipeline(settings(correlation=correlation), live=True)
    for number in range(1100):
        text = line(f"from=<{number}@example.org>, size=1, nrcpt=1 (queue active)")
        pipeline.feed(text.replace(b"4AB12CD34", b"4AB12%04X" % number), NOW)
    assert len(pipeline.queue_map) == 1000
    pipeline.tick(NOW + 86_400)
    assert len(pipeline.queue_map) == 0


def test_the_default_lifetime_is_that_of_the_queue_map() -> None:
    assert settings().correlation.lifetime_days * 86_400 == LIFETIME


@pytest.mark.parametrize(("wait", "documents"), [(0.0, 1), (2.0, 0)])
def test_delivery_lines_wait_as_long_as_told(wait: float, documents: int) -> None:
    pipeline = build_pipeline(settings(), live=True, wait=wait)
    assert len(pipeline.feed(line(SENT, service="smtp"), NOW)) == documents


def test_the_time_of_a_line_is_read_for_putting_files_in_order() -> None:
    read = first_time(settings(syslog={"timezone": "Europe/Berlin"}))
    assert read(line("removed"), NOW) == NOW
    assert read(line("removed"), NOW - 3 * 86_400) == NOW - 365 * 86_400
    assert read(b"no header", NOW) is None


@pytest.mark.parametrize(
    ("sections", "kind"),
    [
        pytest.param({}, SqliteOutput, id="SQLite if nothing is set"),
        pytest.param({"sqlite": {"directory": "/mail"}}, SqliteOutput, id="SQLite"),
        pytest.param({"ndjson": {"path": "-"}}, NdjsonOutput, id="NDJSON on standard output"),
        pytest.param({"ndjson": {"path": "/mail.ndjson"}}, NdjsonOutput, id="NDJSON"),
        pytest.param(
            {"elasticsearch": {"hosts": ["http://127.0.0.1:9"]}}, ElasticOutput, id="Elasticsearch"
        ),
    ],
)
def test_the_output_is_the_one_that_is_set(sections: dict[str, Any], kind: type) -> None:
    assert isinstance(build_output(settings(**sections)), kind)


@pytest.mark.parametrize("key", ["password_file", "api_key_file"])
def test_a_secret_that_cannot_be_read_is_named(tmp_path: Path, key: str) -> None:
    section: dict[str, Any] = {"hosts": ["http://127.0.0.1:9"], key: tmp_path / "none"}
    if key == "password_file":
        section["username"] = "ann"
    with pytest.raises(UsageError, match=rf"^elasticsearch\.{key}: cannot read .*/none: No such"):
        build_output(settings(elasticsearch=section))


async def test_the_default_output_writes_below_the_state(tmp_path: Path) -> None:
    output = build_output(settings(state={"directory": tmp_path}))
    (document,) = build_pipeline(settings(), live=True).feed(line("removed"), NOW)
    await output.open()
    await output.write([document])
    await output.close()
    assert f"{document.index}.sqlite" in os.listdir(tmp_path / "mail")
