"""Documents of other programs and of earlier versions, as this version would have stored them."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from mailingest.postfix.parser import EventParser
from mailingest.postfix.rereading import Rereader, typed
from mailingest.wiring import build_parser
from tests.support.logs import SETTINGS, as_stored_before, documents_of, lines_of
from tests.support.logstash import logstash_documents

# Long lines are log lines.
# ruff: noqa: E501

LOG = """
24T10:00:00.100 mx1 postfix/smtpd[11]: 4bXyK1gQmWz1Bcd: client=PC.example.com[192.0.2.7]
24T10:00:00.300 mx1 postfix/qmgr[13]: 4bXyK1gQmWz1Bcd: from=<Ann.Smith@Example.com>, size=500, nrcpt=1 (queue active)
24T10:00:01.000 mx1 postfix/smtp[14]: 4bXyK1gQmWz1Bcd: to=<Bob@mail.example.net>, orig_to=<robert@example.org>, relay=mx.example.net[198.51.100.9]:25, delay=1.5, delays=0/0/0/1.5, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as REMOTE77)
24T10:00:02.000 mx1 postfix/smtp[14]: 4bXyK1gQmWz1Bce: to=<b@example.net>, relay=none, delay=1, delays=0/0/0/1, dsn=4.0.0, status=deferred (host mx.example.net[198.51.100.9] said: 450 4.2.0 Greylisted)
24T10:00:03.000 mx1 dovecot: lmtp(john@example.com)<1><qYyyBMsl9FRuZQAAA15QOA>: msgid=<one@example.com>: saved mail to INBOX
24T10:00:04.000 mx1 cron[9]: hello
"""


@pytest.fixture
def reread() -> Rereader:
    return Rereader(lambda: build_parser(SETTINGS))


# What is known of the queue ID, and stands in no line of it alone.
ADDED = {"postfix_client_hostname", "postfix_client_ip", "postfix_received_size"}


def own() -> list[dict[str, Any]]:
    return [orjson.loads(document.body) for document in documents_of(lines_of(LOG))]


@pytest.mark.parametrize("variant", ["plain", "ecs", "numbers", "unsplit", "whole line"])
def test_what_logstash_stored_has_all_that_is_in_its_line(reread: Rereader, variant: Any) -> None:
    for stored, expected in zip(logstash_documents(lines_of(LOG), variant), own(), strict=True):
        read = reread.read(stored)
        # What other lines of its queue ID say was added to ours as it came.
        alone = {name: value for name, value in expected.items() if name in read}
        assert read.items() >= alone.items()
        assert {*expected} - {*read} <= ADDED


def test_what_an_earlier_version_stored_is_completed(reread: Rereader) -> None:
    for document in own():
        assert reread.read(as_stored_before(document)) == document


def test_what_this_version_stored_is_not_read_again() -> None:
    def no_parser() -> EventParser:
        raise AssertionError("nothing has to be parsed")

    for document in own():
        if "program_kind" in document:
            assert Rereader(no_parser).read(document) is document


def test_without_its_line_a_document_has_its_fields(reread: Rereader) -> None:
    [stored] = logstash_documents(lines_of(LOG)[2:3])
    for message in (None, "something else"):
        read = reread.read({**stored, "message": message})
        assert read["postfix_delay"] == 1.5
        assert read["postfix_remote_queueid"] == "REMOTE77"
        assert (read["outcome"], read["service"]) == ("sent", "smtp")


def test_a_document_without_a_time_is_no_event(reread: Rereader) -> None:
    assert reread.read({"program": "postfix/qmgr", "message": "AAAAAA1: removed"}) == {
        "program": "postfix/qmgr",
        "message": "AAAAAA1: removed",
    }


def test_a_tag_in_the_text_is_no_header(reread: Rereader) -> None:
    """What a client says is never taken for the line."""
    text = "warning: hello postfix/smtpd[11]: AAAAAA1: client=evil[192.0.2.66]"
    [stored] = logstash_documents([f"2026-11-24T10:00:00Z mx1 postfix/smtpd[11]: {text}".encode()])
    read = reread.read(stored)
    assert read["message"] == text
    assert "postfix_queueid" not in read


@pytest.mark.parametrize(
    ("stored", "fields"),
    [
        pytest.param({"postfix_size": "500"}, {"postfix_size": 500}, id="a number as text"),
        pytest.param({"postfix_size": 500.0}, {"postfix_size": 500}, id="a fraction"),
        pytest.param({"postfix_delay": "0.15"}, {"postfix_delay": 0.15}, id="a fraction as text"),
        pytest.param({"postfix_delay": 1}, {"postfix_delay": 1.0}, id="a whole number"),
        pytest.param({"postfix_size": "many"}, {}, id="no number"),
        pytest.param({"postfix_size": None}, {}, id="nothing"),
        pytest.param({"postfix_size": {"bytes": 1}}, {}, id="an object"),
        pytest.param({"pid": 11}, {"pid": "11"}, id="a text as number"),
        pytest.param({"postfix_to": ["a@b", "c@d"]}, {"postfix_to": "a@b"}, id="a key twice"),
        pytest.param({"postfix_to": []}, {}, id="a key without a value"),
        pytest.param({"postfix_client_ip": "unknown"}, {}, id="no address"),
        pytest.param({"host": "mx1"}, {"host": "mx1"}, id="a host"),
        pytest.param({"host": {"name": "mx1"}}, {"host": "mx1"}, id="a host of ECS"),
        pytest.param({"host": {"hostname": "mx1"}}, {"host": "mx1"}, id="of its syslog"),
        pytest.param({"host": {"ip": "192.0.2.1"}}, {}, id="a host without a name"),
        pytest.param({"host": ["mx1"]}, {"host": "mx1"}, id="a host in a list"),
        pytest.param({"tags": "one"}, {"tags": ["one"]}, id="a single tag"),
        pytest.param({"tags": [1]}, {"tags": ["1"]}, id="a tag that is a number"),
        pytest.param(
            {"@timestamp": 1_795_514_400_500},
            {"@timestamp": "2026-11-24T10:00:00.500Z"},
            id="a time in milliseconds",
        ),
        pytest.param(
            {"@timestamp": "2026-11-24T11:00:00+01:00"},
            {"@timestamp": "2026-11-24T10:00:00.000Z"},
            id="a time in another zone",
        ),
        pytest.param(
            {"@timestamp": "2026-11-24T10:00:00"},
            {"@timestamp": "2026-11-24T10:00:00.000Z"},
            id="a time without a zone",
        ),
        pytest.param({"@timestamp": "yesterday"}, {}, id="no time"),
        pytest.param({"@version": "1"}, {"@version": "1"}, id="a field of its own"),
    ],
)
def test_values_have_their_types(stored: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    assert typed(stored) == fields
    assert [type(value) for value in typed(stored).values()] == [
        type(value) for value in fields.values()
    ]
