"""mailingest's own log: text on a terminal, JSON lines elsewhere."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from mailingest.config import Log
from mailingest.logs.configuration import configure
from mailingest.logs.limit import log_limit


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = structlog.get_config()
    level = logging.getLogger("elastic_transport").level
    handlers = list(logging.getLogger().handlers)
    log_limit.report(at_the_end=True)
    yield
    logging.getLogger().handlers = handlers
    structlog.configure(**before)
    logging.getLogger("elastic_transport").setLevel(level)


def logged(capsys: pytest.CaptureFixture[str], **settings: Any) -> str:
    """What an error and an exception look like."""
    configure(Log(**settings))
    log = structlog.get_logger("test")
    log.debug("quiet")
    log.info("counters", frames=3, unmatched={"a": 1})
    try:
        raise ValueError("reason")
    except ValueError:
        log.exception("unexpected")
    out, err = capsys.readouterr()
    assert out == ""
    return err


@pytest.mark.parametrize("form", ["auto", "json"])
def test_elsewhere_than_on_a_terminal_lines_are_json(
    capsys: pytest.CaptureFixture[str], form: str
) -> None:
    info, error = map(json.loads, logged(capsys, format=form).splitlines())
    assert info["event"] == "counters"
    assert info["level"] == "info"
    assert (info["frames"], info["unmatched"]) == (3, {"a": 1})
    assert info["timestamp"].endswith("Z")
    assert error["level"] == "error"
    assert "ValueError: reason" in error["exception"]


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    text = logged(capsys, format="text")
    assert "counters" in text
    assert re.search("^ +frames +3$", text, re.MULTILINE)
    assert "ValueError" in text
    assert "\x1b" not in text
    assert not text.startswith("{")


def test_text_from_elsewhere_does_nothing_to_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    untrusted = "\x1b]0;owned\x07 \x9b2J \u202etxt.exe \x7f\r\nforged"
    configure(Log(format="text"))
    log = structlog.get_logger("test")
    log.error("document rejected", reason=untrusted, id="\x1b[2J")
    try:
        raise ValueError(untrusted)
    except ValueError:
        log.exception("unexpected")
    lines = capsys.readouterr().err.split("\n")
    assert [line for line in lines if not line.isprintable()] == []
    assert r"id='\x1b[2J'" in lines[0]
    assert r"reason='\x1b]0;owned\x07 \x9b2J \u202etxt.exe \x7f\r\nforged'" in lines[0]
    assert "ValueError: " in "\n".join(lines[1:])


def test_auto_is_text_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    text = logged(capsys)
    assert "counters" in text
    assert "\x1b" in text


@pytest.mark.parametrize(
    ("level", "events"),
    [
        ("debug", ["quiet", "counters", "unexpected"]),
        ("info", ["counters", "unexpected"]),
        ("error", ["unexpected"]),
    ],
)
def test_the_level_is_the_least_that_is_shown(
    capsys: pytest.CaptureFixture[str], level: str, events: list[str]
) -> None:
    lines = logged(capsys, level=level, format="json").splitlines()
    assert [json.loads(line)["event"] for line in lines] == events


def test_the_requests_of_the_elasticsearch_client_are_not_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(Log())
    logging.getLogger("elastic_transport.transport").warning("POST / [status:429]")
    assert capsys.readouterr() == ("", "")


def test_what_libraries_log_goes_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Log(format="text"))
    for number in range(30):
        try:
            raise ValueError("\x1b[2J")
        except ValueError:
            logging.getLogger("asyncio").exception("handshake of %s\n\x1b[2J failed", number)
        logging.getLogger("asyncio").info("nobody needs to know")
    log_limit.report(at_the_end=True)
    lines = capsys.readouterr().err.split("\n")
    assert [line for line in lines if not line.isprintable()] == []
    logged_lines = [line for line in lines if "logged by asyncio" in line]
    assert len(logged_lines) == 11
    assert r"handshake of 0\n\x1b[2J failed" in logged_lines[0]
    assert "count=20" in logged_lines[-1]
