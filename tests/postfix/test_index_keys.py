"""What lines are looked up by."""

from typing import Any

import pytest

from mailingest.postfix.index_keys import is_of_session, linked_queue_id
from tests.support.logs import events_of


def fields(tag: str, text: str) -> dict[str, Any]:
    [event] = events_of(f"24T10:00:00 mx1 {tag}: {text}")
    return dict(event)


@pytest.mark.parametrize(
    ("tag", "text", "queue_id"),
    [
        pytest.param(
            "postfix/smtp",
            "AAAAAA1: to=<b@example.net>, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/1, "
            "dsn=2.0.0, status=sent (250 Ok: queued as BBBBBB2)",
            "BBBBBB2",
            id="handed over",
        ),
        pytest.param(
            "postfix/local",
            "AAAAAA1: to=<b@example.net>, relay=local, delay=1, delays=0/0/0/1, dsn=2.0.0, "
            "status=sent (forwarded as BBBBBB2)",
            "BBBBBB2",
            id="forwarded",
        ),
        pytest.param(
            "postfix/bounce",
            "AAAAAA1: sender non-delivery notification: BBBBBB2",
            "BBBBBB2",
            id="notification",
        ),
        pytest.param(
            "postfix/smtpd",
            "AAAAAA1: client=localhost[127.0.0.1], orig_queue_id=BBBBBB2, "
            "orig_client=pc[192.0.2.7]",
            "BBBBBB2",
            id="behind a filter",
        ),
        pytest.param(
            "postfix/pickup", "AAAAAA1: uid=0 from=<root> orig_id=BBBBBB2", "BBBBBB2", id="requeued"
        ),
        pytest.param("postfix/qmgr", "AAAAAA1: removed", None, id="no other queue ID"),
    ],
)
def test_a_line_may_name_another_queue_id(tag: str, text: str, queue_id: str | None) -> None:
    assert linked_queue_id(fields(tag, text)) == queue_id


@pytest.mark.parametrize(
    ("text", "is_of_one"),
    [
        ("connect from pc.example.com[192.0.2.7]", True),
        ("disconnect from unknown[unknown] ehlo=1 commands=1", True),
        ("lost connection after DATA from pc[192.0.2.7]", True),
        ("AAAAAA1: client=pc[192.0.2.7]", False),
        ("NOQUEUE: hold: RCPT from pc[192.0.2.7]: <a@example.com>: why; from=<> to=<b@x>", True),
        ("NOQUEUE: reject: RCPT from pc[192.0.2.7]: 550 <b@x>: no; from=<> to=<b@x>", False),
        ("warning: hostname pc does not resolve to address 192.0.2.7", False),
    ],
)
def test_a_line_may_be_about_a_session(text: str, is_of_one: bool) -> None:
    assert is_of_session(fields("postfix/smtpd", text)) is is_of_one
