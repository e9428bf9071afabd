"""The rule of the life of a queue ID, and that a trace and the live map come to the same by it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailingest.postfix.enrichment import QueueMap
from mailingest.postfix.interpretation import interpret
from mailingest.postfix.lifecycle import step_of
from mailingest.trace.gathering import gather
from mailingest.wiring import build_decoder, build_parser
from tests.support.logs import REFERENCE, SETTINGS, lines_of

SESSION = "from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<pc>"
DELIVERY = "relay=none, delay=1, delays=0/0/1/0, dsn=4.0.0, status="


def events_of(lines: list[bytes]) -> list[Any]:
    decoder, parser = build_decoder(SETTINGS, live=False), build_parser(SETTINGS)
    events = [parser.parse(decoder.decode(line, reference=REFERENCE)) for line in lines]
    for event in events:
        interpret(event)
    return events


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("smtpd: AAAAAA1: client=pc[192.0.2.7]", "accepted"),
        ("submission/smtpd: AAAAAA1: client=pc[192.0.2.7], sasl_username=ann", "accepted"),
        ("smtpd: NOQUEUE: client=pc[192.0.2.7]", None),
        (f"smtpd: AAAAAA1: reject: RCPT from pc[192.0.2.7]: 550 5.1.1 no; {SESSION}", None),
        ("smtpd: connect from pc[192.0.2.7]", None),
        ("pickup: AAAAAA1: uid=1000 from=<ann>", "submitted"),
        ("cleanup: AAAAAA1: message-id=<1@example.org>", "identified"),
        ("cleanup: AAAAAA1: resent-message-id=<1@example.org>", None),
        (
            f"cleanup: AAAAAA1: milter-reject: END-OF-MESSAGE from p[::1]: 5.7.1 x; {SESSION}",
            "rejected",
        ),
        (f"cleanup: AAAAAA1: reject: header Subject: x from local; {SESSION}: no", "rejected"),
        (f"cleanup: AAAAAA1: discard: body x from local; {SESSION}: no", "discarded"),
        (f"cleanup: AAAAAA1: hold: header Subject: x from local; {SESSION}: why", "held"),
        (f"cleanup: AAAAAA1: warning: header Subject: x from local; {SESSION}: why", None),
        ("cleanup: AAAAAA1: removed (canceled)", "canceled"),
        ("cleanup: AAAAAA1: canceled", "canceled"),
        ("cleanup: AAAAAA1: removed (discarded)", "discarded"),
        ("qmgr: AAAAAA1: from=<a@example.org>, size=1, nrcpt=1 (queue active)", "activated"),
        ("oqmgr: AAAAAA1: from=<a@example.org>, size=1, nrcpt=1 (queue active)", "activated"),
        ("qmgr: AAAAAA1: from=<a@example.org>, status=expired, returned to sender", "expired"),
        (f"qmgr: AAAAAA1: to=<b@example.net>, {DELIVERY}deferred (busy)", "delivery"),
        ("qmgr: AAAAAA1: removed", "removed"),
        ("nqmgr: AAAAAA1: removed", "removed"),
        ("qmgr: AAAAAA1: skipped, still being delivered", None),
        (f"smtp: AAAAAA1: to=<b@example.net>, {DELIVERY}deferred (busy)", "delivery"),
        ("bounce: AAAAAA1: sender non-delivery notification: BBBBBB2", None),
        (
            'qmgr: warning: saving corrupt file "AAAAAA1" from queue "active" to queue "corrupt"',
            "corrupt",
        ),
        (
            'smtp: warning: AAAAAA1: saving corrupt file "AAAAAA1" from queue "active" to queue '
            '"corrupt"',
            "corrupt",
        ),
        ('smtp: warning: AAAAAA1: moved to queue "corrupt", or so it says', None),
        ("postsuper: AAAAAA1: removed", "deleted"),
        ("postsuper: AAAAAA1: requeued", "requeued"),
        ("postsuper: AAAAAA1: placed on hold", "held"),
        ("postsuper: AAAAAA1: released from hold", "released"),
    ],
)
def test_what_a_line_does_to_its_queue_id(line: str, step: str | None) -> None:
    [event] = events_of(lines_of(f"24T10:00:00 mx1 postfix/{line}"))
    assert step_of(event.service, event.fields) == step


STEPS = [
    "smtpd: Q: client=one[192.0.2.1]",
    "smtpd: Q: client=two[192.0.2.2]",
    "pickup: Q: uid=1000 from=<ann>",
    "cleanup: Q: message-id=<1@example.org>",
    "cleanup: Q: message-id=<2@example.org>",
    "qmgr: Q: from=<ann@example.org>, size=1, nrcpt=1 (queue active)",
    "qmgr: Q: from=<bob@example.org>, size=2, nrcpt=1 (queue active)",
    "qmgr: Q: removed",
    "postsuper: Q: requeued",
    f"cleanup: Q: reject: header Subject: x from local; {SESSION}: no",
]
FACTS = {
    "client_hostname": "postfix_client_hostname",
    "uid": "postfix_uid",
    "message_id": "postfix_message-id",
    "active_sender": "postfix_from",
}


@settings(max_examples=500)
@given(
    st.sampled_from(STEPS[:7]),
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 4)), max_size=14),
)
def test_a_trace_and_the_live_map_tell_the_same_mails_apart(
    first: str, steps: list[tuple[str, int]]
) -> None:
    second, log = 0, ""
    for number, (text, pause) in enumerate([(first, 0), *steps]):
        second += pause
        stamp = f"24T10:{second // 60:02}:{second % 60:02}"
        log += f"{stamp} mx1 postfix/{text.replace('Q', 'AAAAAA1')}\n"
        log += f"{stamp} mx1 postfix/smtp: AAAAAA1: to=<{number}>, {DELIVERY}deferred (busy)\n"
    events = events_of(lines_of(log))
    # Before the map writes what it knows into them: a trace finds it out by itself.
    facts = gather([dict(event.fields) for event in events])
    by_recipient = {
        attempt.recipient: queue for queue in facts.queues for attempt in queue.attempts
    }
    queue_map = QueueMap(wait=0.0)
    seen: dict[str, dict[str, Any]] = {}
    last: dict[int, str] = {}
    for event in events:
        [ready] = queue_map.feed(event, float(event.seconds))
        if "postfix_status" in ready.fields:
            recipient = ready.fields["postfix_to"]
            seen[recipient] = {name: ready.fields.get(field) for name, field in FACTS.items()}
            last[id(by_recipient[recipient])] = recipient
    # What the map knew at the last delivery of a mail is what the trace knows of it in the end.
    for queue in facts.queues:
        recipient = last.get(id(queue))
        if recipient is not None:
            assert seen[recipient] == {name: getattr(queue, name) for name in FACTS}
