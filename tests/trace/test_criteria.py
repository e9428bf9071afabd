"""What a user types finds what the user means."""

from datetime import UTC, datetime

import pytest

from mailingest.stores.criteria import Criteria, address_term, id_term, text_term
from mailingest.trace.criteria import meets
from tests.support.logs import stories_of

LOG = """
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7]
24T10:00:00 mx1 postfix/cleanup: AAAAAA1: message-id=<One.1@example.com>
24T10:00:01 mx1 postfix/qmgr: AAAAAA1: from=<Ann.Smith@Example.com>, size=500, nrcpt=1 (queue active)
24T10:00:02 mx1 postfix/smtp: AAAAAA1: to=<Bob@mail.example.net>, orig_to=<bob@example.org>, relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as REMOTE77)
24T10:00:03 mx1 postfix/qmgr: AAAAAA1: removed
"""  # noqa: E501


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 24, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("criteria", "is_met"),
    [
        pytest.param(Criteria(), True, id="nothing is asked"),
        pytest.param(Criteria(sender=address_term("ann.smith@example.COM")), True, id="sender"),
        pytest.param(Criteria(sender=address_term("<Ann.Smith@example.com>")), True, id="in <>"),
        pytest.param(Criteria(sender=address_term("smith@example.com")), False, id="end of it"),
        pytest.param(Criteria(sender=address_term("smith")), True, id="part of the sender"),
        pytest.param(Criteria(sender=address_term("<>")), False, id="not a bounce"),
        pytest.param(Criteria(recipient=address_term("bob@example.org")), True, id="original"),
        pytest.param(Criteria(recipient=address_term("@mail.example.net")), True, id="domain"),
        pytest.param(Criteria(recipient=address_term("@example.net")), False, id="no subdomain"),
        pytest.param(Criteria(recipient=address_term("bob@")), True, id="local part"),
        pytest.param(Criteria(recipient=address_term("ob@")), False, id="end of the local part"),
        pytest.param(Criteria(recipient=address_term("example.net")), True, id="part of domain"),
        pytest.param(Criteria(queue_id="AAAAAA1"), True, id="our queue ID"),
        pytest.param(Criteria(queue_id="REMOTE77"), True, id="the partner's queue ID"),
        pytest.param(Criteria(queue_id="aaaaaa1"), False, id="queue IDs differ by case"),
        pytest.param(Criteria(message_id=id_term("<one.1@example.com>")), True, id="message-id"),
        pytest.param(Criteria(client=text_term("192.0.2.7")), True, id="client address"),
        pytest.param(Criteria(client=text_term("PC.example")), True, id="client name"),
        pytest.param(Criteria(relay=text_term("mx.example.net")), True, id="relay"),
        pytest.param(Criteria(text=text_term("QUEUED AS")), True, id="text of any line"),
        pytest.param(Criteria(host=text_term("mx2")), False, id="another host"),
        pytest.param(Criteria(verdicts=frozenset({"handed_over"})), True, id="verdict"),
        pytest.param(Criteria(verdicts=frozenset({"bounced"})), False, id="another verdict"),
        pytest.param(Criteria(since=at(9), until=at(11)), True, id="in the span"),
        pytest.param(Criteria(since=at(11)), False, id="before the span"),
        pytest.param(Criteria(until=at(10)), False, id="after the span"),
        pytest.param(
            Criteria(sender=address_term("ann.smith@example.com"), recipient=address_term("eve@")),
            False,
            id="all criteria have to hold",
        ),
    ],
)
def test_a_story_meets_criteria(criteria: Criteria, is_met: bool) -> None:
    [story] = stories_of(LOG)
    assert meets(criteria, story) is is_met
