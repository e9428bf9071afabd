"""Type and charset of a record's lines <-> its metadata."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from mailingest.spool.sources import Sources, to_metadata
from mailingest.syslog.sources import TYPE_NAME, Source

DEFAULT = Source("mail", "auto")


def read(metadata: bytes, *types: str) -> tuple[Source, list[dict[str, Any]]]:
    """The source, and what the log says; it is asked for twice."""
    sources = Sources(DEFAULT, types)
    with capture_logs() as log:
        first = sources.of(metadata)
        assert sources.of(metadata) is first
    return first, [dict(row) for row in log]


@given(st.from_regex(TYPE_NAME, fullmatch=True), st.sampled_from(["auto", "iso8859-15", "koi8-r"]))
def test_what_is_written_down_is_read_again(name: str, charset: str) -> None:
    source = Source(name, charset)
    assert read(to_metadata(source), name) == (source, [])


def test_records_of_earlier_versions_are_from_the_default_source() -> None:
    assert read(b"", "mail") == (DEFAULT, [])


def test_a_type_that_is_no_longer_set_is_kept_and_told_once() -> None:
    source, log = read(to_metadata(Source("mbox", "utf-8")), "mail")
    assert source == Source("mbox", "utf-8")
    [row] = log
    assert (row["log_level"], row["type"]) == ("warning", "mbox")


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param(b"\x02auto\0mail", id="of a later version"),
        pytest.param(b"\x01auto", id="without a type"),
        pytest.param(b"\x01auto\0", id="an empty type"),
        pytest.param(b"\x01auto\0mail\0more", id="more than there is"),
        pytest.param(b"\x01no-such-codec\0mail", id="a charset that this Python does not have"),
        pytest.param(b"\x01auto\0../mail", id="a type that is no name of a file"),
        pytest.param(b"\x01auto\0m\xe4il", id="not ASCII"),
        pytest.param(b"\xff" * 300, id="anything"),
    ],
)
def test_what_is_not_understood_is_filed_as_if_nothing_was_set_and_told(metadata: bytes) -> None:
    source, log = read(metadata, "mail")
    assert source == DEFAULT
    [row] = log
    assert row["log_level"] == "error"
    assert len(row["metadata"]) < 1000
