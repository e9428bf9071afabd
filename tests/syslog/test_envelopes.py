"""What stands around a line is taken off, in bounded work, and nothing else is.

The forms that systems really write are cases in ``tests/data/field-cases/headers.jsonl``.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.syslog import envelopes
from mailingest.syslog.envelopes import Peeled, peel
from mailingest.syslog.header import RecordDecoder
from mailingest.syslog.records import Record
from mailingest.syslog.timestamps import Clock
from tests.support.wrapping import WRAPPINGS, Wrapping, export

REFERENCE = datetime(2026, 11, 25, tzinfo=UTC).timestamp()
LINE = "Nov 24 15:41:22 mx1 postfix/smtp[551]: 8B1C5A4B9D1: removed"


def decode(line: str, peer: str = "") -> Record:
    decoder = RecordDecoder(Clock(UTC, in_order=False))
    return decoder.decode(line.encode(), reference=REFERENCE, peer=peer)


ONE_LINE = [wrapping for wrapping in WRAPPINGS if wrapping is not export]
wrappings = st.lists(st.sampled_from(ONE_LINE), max_size=3)


@given(wrappings)
def test_layers_come_off_in_any_order(layers: list[Wrapping]) -> None:
    # What a relay writes has to have a header; only the innermost one has it for certain.
    line = LINE
    for wrapping in layers:
        if line.startswith("Nov "):
            line = wrapping(line, 2026)
    found = decode(line)
    assert (found.hostname, found.program, found.procid, found.msg) == (
        *("mx1", "postfix/smtp", "551", "8B1C5A4B9D1: removed"),
    )
    assert found.moment.seconds == int(datetime(2026, 11, 24, 15, 41, 22, tzinfo=UTC).timestamp())
    assert found.problems == ()


WRAPPERS: dict[str, Callable[[str], str]] = {
    "json": lambda line: json.dumps({"log": line}),
    "cri": lambda line: f"2026-11-24T15:41:23Z stdout F {line}",
    "compose": lambda line: f"mail-1  | {line}",
    "driver": lambda line: f"<30>Nov 24 15:41:23 dockerhost docker/mail[8]: {line}",
    "rfc5424": lambda line: f"<30>1 2026-11-24T15:41:23Z dockerhost mail 8 - - {line}",
    "relay": lambda line: f"2026-11-24T15:41:23Z loghost {line}",
}


@given(st.lists(st.sampled_from(sorted(WRAPPERS)), max_size=6))
def test_wrappers_around_wrappers_come_off(layers: list[str]) -> None:
    line = LINE
    for layer in layers:
        line = WRAPPERS[layer](line)
    assert decode(line).text == "8B1C5A4B9D1: removed", line


def test_a_wrapper_without_an_end_is_no_line() -> None:
    line = LINE
    for _ in range(20):
        line = WRAPPERS["json"](line)
    assert peel(line) is None


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "[info] ",
            "mail.info: ",
            "Nov 24 15:41:22 ",
            "mx1 ",
            "mail-1  | ",
            "17:",
            "a.b:",
            "x/y[1]: ",
        ),
        *("<22>", "1 2026-11-24T15:41:22Z a b 1 - - ", '{"log":"', "\ufeff", "\x1b[0m", "[", " "),
        *("2026-11-24T15:41:22Z stdout F ", "[pod/a/b] ", "info: ", "w w 2026-", "@cee: {"),
    ],
)
def test_the_work_is_bounded(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    peel_once = envelopes._peel

    def counted(text: str, depth: int) -> Peeled | None:
        nonlocal calls
        calls += 1
        return peel_once(text, depth)

    monkeypatch.setattr(envelopes, "_peel", counted)
    for other in ("", "[info] ", "mail.info: ", "mx1 "):
        calls = 0
        peel((unit + other) * 2000)
        assert calls < 1000


FRAGMENTS = st.sampled_from(
    [
        *(
            "Nov 24 15:41:22 ",
            "2026-11-24T15:41:22Z ",
            "mx1 ",
            "postfix/smtp[1]: ",
            "mail.info ",
            "<22>",
        ),
        *(
            "1 ",
            "- ",
            '{"log": "',
            '"}',
            "mail-1  | ",
            "[",
            "]",
            ":",
            " ",
            "stdout F ",
            "\x1b[0m",
            "ID",
        ),
        *(
            "Okt 15 10:00:00 ",
            "@4000000067",
            "1795534882.1 ",
            "[ID 1 mail.info] ",
            "\ufeff",
            "é",
            "\n",
        ),
    ]
)


@given(st.lists(FRAGMENTS | st.text(max_size=4), max_size=12).map("".join))
def test_no_line_raises(line: str) -> None:
    record = decode(line, "192.0.2.1")
    assert record.moment.text.endswith("Z")
    assert bool(record.program) == (
        not any(
            problem.endswith(("header_nomatch", "program_nomatch")) for problem in record.problems
        )
        and "_syslog_repeated" not in record.problems
    )


# They are of whoever showed the line.
COLOURS = re.compile(r"\x1b\[[\d;]*[mK]")
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Z"]), max_size=40)


@given(
    before=texts.filter(lambda text: "message repeated " not in text),
    wrapper=st.sampled_from(ONE_LINE),
)
def test_a_line_within_a_text_of_postfix_stays_there(before: str, wrapper: Wrapping) -> None:
    said = f"{before} said: {wrapper(LINE, 2026)}".lstrip()
    record = decode(f"Nov 24 15:41:22 mx2 postfix/smtpd[7]: {said}")
    msg = COLOURS.sub("", said)
    if not msg.startswith("[ID"):
        assert (record.hostname, record.procid, record.msg) == ("mx2", "7", msg)
        assert record.relay == ""


def test_the_peer_is_the_host_of_a_line_without_one() -> None:
    line: dict[str, Any] = {"log": "Nov 24 15:41:22 postfix/smtp[551]: text"}
    assert decode(json.dumps(line), "192.0.2.1").hostname == "192.0.2.1"


def test_a_full_time_around_a_line_tells_its_year() -> None:
    line = {"log": LINE, "time": "2019-11-24T15:41:23.5Z"}
    assert decode(json.dumps(line)).moment.text == "2019-11-24T15:41:22.000Z"
    new_year = {"log": LINE.replace("Nov 24", "Dec 31"), "time": "2020-01-01T00:00:01Z"}
    assert decode(json.dumps(new_year)).moment.text == "2019-12-31T15:41:22.000Z"
