"""The queue-ID map: what is known of a mail is written into its delivery events."""

import gc
import tracemalloc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.config import Settings
from mailingest.postfix.enrichment import (
    CORRELATION_NOMATCH,
    LIFETIME,
    LINGER,
    MOST_WAITING,
    WAIT,
    QueueMap,
)
from mailingest.postfix.event import Event
from mailingest.postfix.parser import EventParser
from mailingest.syslog.records import Record
from mailingest.syslog.timestamps import moment_of
from mailingest.wiring import read_definitions

START = 1_795_500_000.0
LATER = 3600.0
QUEUE_ID = "4AB12CD34"

CLIENT = "smtpd: Q: client=mail.example.org[192.0.2.5], sasl_method=PLAIN, sasl_username=ann"
UID = "pickup: Q: uid=1000 from=<ann>"
MESSAGE_ID = "cleanup: Q: message-id=<1@example.org>"
ACTIVE = "qmgr: Q: from=<ann@example.org>, size=1234, nrcpt=2 (queue active)"
ATTEMPT = "to=<bob@example.net>, relay=R, delay=1, delays=0/0/0.5/0.5, dsn=2.0.0, status"
SENT = f"smtp: Q: {ATTEMPT}=sent (250 2.0.0 Ok: queued as 4cbdb56t4MzPjfw)"
DEFERRED = f"smtp: Q: {ATTEMPT}=deferred (connect to R: Connection timed out)"
REMOVED = "qmgr: Q: removed"

Fields = dict[str, Any]

ENVELOPE: Fields = {"postfix_from": "ann@example.org", "postfix_size": 1234, "postfix_nrcpt": 2}
OF_CLIENT: Fields = {
    "postfix_client_hostname": "mail.example.org",
    "postfix_client_ip": "192.0.2.5",
    "postfix_sasl_username": "ann",
}
OF_UID: Fields = {"postfix_uid": 1000}
OF_MESSAGE_ID: Fields = {"postfix_message-id": "1@example.org"}
FACTS = (*ENVELOPE, *OF_CLIENT, *OF_UID, *OF_MESSAGE_ID)


@cache
def parser() -> EventParser:
    return EventParser(read_definitions(Settings()))


def event_of(
    line: str, host: str = "mx1", instance: str = "postfix", queue_id: str = QUEUE_ID
) -> Event:
    service, _, text = line.partition(": ")
    text = text.replace("Q: ", f"{queue_id}: ", 1)
    record = Record(moment_of(START), host, f"{instance}/{service}", "1", text, text)
    event = parser().parse(record)
    assert not event.nomatch, line
    return event


class Feed:
    """A queue-ID map that is fed lines; times are seconds after START."""

    def __init__(self, **options: Any) -> None:
        self.queue_map = QueueMap(**options)

    def __call__(self, *lines: str, at: float = 0.0, **key: str) -> list[Fields]:
        """Feed lines of one queue ID; the fields of the events that come out."""
        ready: list[Event] = []
        for line in lines:
            ready += self.queue_map.feed(event_of(line, **key), START + at)
        return [event.fields for event in ready]

    def tick(self, at: float) -> list[Fields]:
        return [event.fields for event in self.queue_map.tick(START + at)]

    def delivery(
        self,
        *,
        at: float = 0.0,
        host: str = "mx1",
        instance: str = "postfix",
        queue_id: str = QUEUE_ID,
    ) -> Fields:
        """What a delivery line is given, with the tag if that was nothing."""
        event = event_of(SENT, host, instance, queue_id)
        own = {**event.fields, "tags": list(event.fields["tags"])}
        ready = [*self.queue_map.feed(event, START + at)]
        ready = ready or self.queue_map.flush()
        assert ready == [event]
        return {name: value for name, value in event.fields.items() if own.get(name) != value}


@pytest.fixture
def feed() -> Feed:
    return Feed()


UNKNOWN: Fields = {"tags": ["_grok_postfix_success", CORRELATION_NOMATCH]}


@pytest.mark.parametrize(
    "service",
    [
        *("smtp", "lmtp", "local", "virtual", "pipe", "error", "retry", "discard"),
        *("relay/smtp", "dovecot-sieve", "qmgr", "cleanup"),
    ],
)
def test_a_delivery_line_of_any_agent_gets_all_that_is_known(feed: Feed, service: str) -> None:
    feed(CLIENT, MESSAGE_ID, ACTIVE)
    (fields,) = feed(f"{service}: Q: {ATTEMPT}=sent (delivered)")
    assert fields.items() >= {**ENVELOPE, **OF_CLIENT, **OF_MESSAGE_ID}.items()
    assert CORRELATION_NOMATCH not in fields["tags"]
    assert feed.queue_map.counters.deliveries_enriched == 1


@pytest.mark.parametrize(
    ("lines", "known"),
    [
        pytest.param([ACTIVE], ENVELOPE, id="qmgr tells sender, size and recipients"),
        pytest.param([CLIENT, ACTIVE], ENVELOPE | OF_CLIENT, id="smtpd tells the client"),
        pytest.param([UID, ACTIVE], ENVELOPE | OF_UID, id="pickup tells the user id"),
        pytest.param(
            [MESSAGE_ID, ACTIVE], ENVELOPE | OF_MESSAGE_ID, id="cleanup tells the message-id"
        ),
        pytest.param(
            [ACTIVE.replace("ann@example.org", "")],
            ENVELOPE | {"postfix_from": ""},
            id="the empty sender of a bounce is a sender",
        ),
        pytest.param(
            [CLIENT, MESSAGE_ID, "cleanup: Q: message-id=<2@example.org>", ACTIVE],
            ENVELOPE | OF_CLIENT | OF_MESSAGE_ID,
            id="the first of two message-ids counts",
        ),
        pytest.param(
            [CLIENT, "smtpd: Q: lost connection after DATA from other[192.0.2.66]", ACTIVE],
            ENVELOPE | OF_CLIENT,
            id="a lost connection is no new client",
        ),
        pytest.param(
            [
                CLIENT,
                "smtpd: Q: reject: RCPT from other[192.0.2.66]: 550 5.1.1 <c@example.net>: "
                "Recipient address rejected: User unknown; from=<x@example.org> "
                "to=<c@example.net> proto=ESMTP helo=<h>",
                ACTIVE,
            ],
            ENVELOPE | OF_CLIENT,
            id="a recipient that is rejected tells nothing of the mail",
        ),
    ],
)
def test_each_daemon_tells_what_it_knows(feed: Feed, lines: list[str], known: Fields) -> None:
    feed(*lines)
    assert feed.delivery() == known


def test_a_delivery_event_keeps_its_own_values(feed: Feed) -> None:
    feed(CLIENT, ACTIVE)
    event = event_of(SENT)
    event.fields["postfix_from"] = "own@example.org"
    feed.queue_map.feed(event, START)
    assert event.fields["postfix_from"] == "own@example.org"
    assert event.fields["postfix_size"] == 1234


@pytest.mark.parametrize(
    ("host", "instance", "queue_id"),
    [
        pytest.param("mx2", "postfix", QUEUE_ID, id="another host"),
        pytest.param("mx1", "postfix-internal", QUEUE_ID, id="another instance"),
        pytest.param("mx1", "postfix", "4AB12CD35", id="another queue ID"),
    ],
)
def test_a_queue_id_is_known_by_host_and_instance(
    feed: Feed, host: str, instance: str, queue_id: str
) -> None:
    feed(CLIENT, MESSAGE_ID, ACTIVE)
    assert feed.delivery(host=host, instance=instance, queue_id=queue_id) == UNKNOWN
    assert feed.delivery() == ENVELOPE | OF_CLIENT | OF_MESSAGE_ID


def test_the_daemons_of_a_submission_service_are_of_the_same_instance(feed: Feed) -> None:
    feed("submission/" + CLIENT, ACTIVE)
    assert feed.delivery() == ENVELOPE | OF_CLIENT


def test_noqueue_is_no_queue_id(feed: Feed) -> None:
    session = "smtpd: NOQUEUE: client=mail.example.org[192.0.2.5]"
    reject = (
        "smtpd: NOQUEUE: reject: RCPT from mail.example.org[192.0.2.5]: 450 4.7.1 <b@example.net>: "
        "Recipient address rejected: Greylisted; from=<a@example.org> to=<b@example.net> "
        "proto=ESMTP helo=<mail.example.org>"
    )
    for line in (session, reject):
        event = event_of(line)
        before = dict(event.fields)
        assert feed.queue_map.feed(event, START) == (event,)
        assert event.fields == before
    assert len(feed.queue_map) == 0


ENDS = [
    pytest.param(REMOVED, id="qmgr: removed"),
    pytest.param("cleanup: Q: removed (canceled)", id="cleanup: removed (canceled)"),
    pytest.param("cleanup: Q: removed (discarded)", id="cleanup: removed (discarded)"),
    pytest.param("cleanup: Q: canceled", id="cleanup: canceled"),
    pytest.param(
        "cleanup: Q: reject: header Subject: x; y from unknown[192.0.2.5]; from=<a@example.org> "
        "to=<b@example.net> proto=ESMTP helo=<h>: 5.7.1 no",
        id="reject by a header check",
    ),
    pytest.param(
        "cleanup: Q: discard: body x from local; from=<a@example.org>", id="discard by a body check"
    ),
    pytest.param(
        "cleanup: Q: milter-reject: END-OF-MESSAGE from h[192.0.2.5]: 5.7.1 Spam; "
        "from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<h>",
        id="reject by a milter",
    ),
    pytest.param(
        "cleanup: Q: milter-discard: END-OF-MESSAGE from h[192.0.2.5]: milter triggers DISCARD "
        "action; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<h>",
        id="discard by a milter",
    ),
    pytest.param(
        "cleanup: Q: milter-header-reject: header X: y from h[192.0.2.5]; from=<a@example.org> "
        "to=<b@example.net> proto=ESMTP helo=<h>: no",
        id="reject by a header check after the milters",
    ),
    pytest.param("postsuper: Q: removed", id="postsuper: removed"),
    pytest.param("postsuper: Q: requeued", id="postsuper: requeued, under another queue ID"),
]


@pytest.mark.parametrize("line", ENDS)
def test_a_mail_that_is_over_lingers_and_is_forgotten(feed: Feed, line: str) -> None:
    feed(CLIENT, MESSAGE_ID, ACTIVE)
    feed(line, at=LATER)
    feed.tick(LATER + LINGER - 1)
    assert feed.delivery(at=LATER + LINGER - 1) == ENVELOPE | OF_CLIENT | OF_MESSAGE_ID
    feed.tick(LATER + LINGER)
    assert len(feed.queue_map) == 0
    assert feed.queue_map.counters.entries_expired == 0
    assert feed.delivery(at=LATER + LINGER) == UNKNOWN


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(DEFERRED, id="deferred"),
        pytest.param("qmgr: Q: skipped, still being delivered", id="skipped"),
        pytest.param("qmgr: Q: from=<ann@example.org>, status=expired, returned to sender", id="x"),
        pytest.param("bounce: Q: sender delay notification: 4AB12CD39", id="delay notification"),
        pytest.param("postsuper: Q: placed on hold", id="held by an operator"),
        pytest.param("postsuper: Q: released from hold", id="released by an operator"),
        pytest.param("postsuper: Q: expired", id="expired by an operator: removed comes later"),
        pytest.param(
            "cleanup: Q: milter-hold: END-OF-MESSAGE from h[192.0.2.5]: milter triggers HOLD "
            "action; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<h>",
            id="held by a milter",
        ),
        pytest.param(
            "cleanup: Q: warning: header Subject: removed (x) from local; from=<a@example.org>",
            id="a warning of a header check",
        ),
        pytest.param(
            "smtpd: Q: lost connection after END-OF-MESSAGE from mail.example.org[192.0.2.5]",
            id="a client that is gone after its mail was taken",
        ),
        pytest.param("smtp: warning: Q: removed", id="a warning"),
    ],
)
def test_a_mail_that_is_not_over_is_remembered(feed: Feed, line: str) -> None:
    feed(CLIENT, MESSAGE_ID, ACTIVE, line)
    feed.tick(LATER)
    assert feed.delivery(at=LATER) == ENVELOPE | OF_CLIENT | OF_MESSAGE_ID


def test_an_end_without_beginning_is_no_entry(feed: Feed) -> None:
    feed(REMOVED)
    assert len(feed.queue_map) == 0


# Two mails under one queue ID: lines of the first, of the second, and what is known of the second.
OTHER_ACTIVE = "qmgr: Q: from=<eve@example.com>, size=9, nrcpt=1 (queue active)"
OTHER: Fields = {"postfix_from": "eve@example.com", "postfix_size": 9, "postfix_nrcpt": 1}
OTHER_MESSAGE_ID = "cleanup: Q: message-id=<2@example.com>"
OF_OTHER_MESSAGE_ID: Fields = {"postfix_message-id": "2@example.com"}
OTHER_CLIENT = "smtpd: Q: client=other.example[198.51.100.7]"
OF_OTHER_CLIENT: Fields = {
    "postfix_client_hostname": "other.example",
    "postfix_client_ip": "198.51.100.7",
}
OTHER_UID = "pickup: Q: uid=1001 from=<eve>"
OF_OTHER_UID: Fields = {"postfix_uid": 1001}
REUSES = [
    pytest.param(
        [CLIENT, MESSAGE_ID, ACTIVE],
        [OTHER_CLIENT, OTHER_MESSAGE_ID, OTHER_ACTIVE],
        OTHER | OF_OTHER_CLIENT | OF_OTHER_MESSAGE_ID,
        id="a new client=",
    ),
    pytest.param(
        [UID, MESSAGE_ID, ACTIVE],
        [OTHER_CLIENT, OTHER_ACTIVE],
        OTHER | OF_OTHER_CLIENT,
        id="a new client= after a uid=",
    ),
    pytest.param(
        [CLIENT, MESSAGE_ID, ACTIVE],
        [UID, OTHER_MESSAGE_ID, OTHER_ACTIVE],
        OTHER | OF_UID | OF_OTHER_MESSAGE_ID,
        id="a new uid=",
    ),
    pytest.param(
        [CLIENT, MESSAGE_ID, ACTIVE],
        [OTHER_MESSAGE_ID, OTHER_ACTIVE],
        OTHER | OF_OTHER_MESSAGE_ID,
        id="a new message-id=, as of a bounce",
    ),
    pytest.param(
        [CLIENT, ACTIVE],
        [OTHER_MESSAGE_ID, OTHER_ACTIVE],
        OTHER | OF_OTHER_MESSAGE_ID,
        id="a new message-id= where none was known",
    ),
    pytest.param(
        [CLIENT, MESSAGE_ID],
        [OTHER_MESSAGE_ID, OTHER_ACTIVE],
        OTHER | OF_OTHER_MESSAGE_ID,
        id="a new message-id= after a mail that never came to the queue",
    ),
    pytest.param(
        [CLIENT, MESSAGE_ID, ACTIVE], [OTHER_ACTIVE], OTHER, id="a new queue active alone"
    ),
]


@pytest.mark.parametrize("end", [[REMOVED], []], ids=["removed", "removed was lost"])
@pytest.mark.parametrize(("first", "second", "known"), REUSES)
def test_a_queue_id_that_is_used_again_starts_afresh(
    feed: Feed, first: list[str], second: list[str], known: Fields, end: list[str]
) -> None:
    feed(*first, *end)
    feed(*second, at=LINGER - 10)
    assert feed.delivery(at=LINGER - 10) == known


@pytest.mark.parametrize(
    ("first", "second", "known"),
    [
        reuse
        for reuse in REUSES
        if "alone" not in str(reuse.id) and "none was known" not in str(reuse.id)
    ],
)
def test_a_queue_id_may_be_used_again_at_once(
    feed: Feed, first: list[str], second: list[str], known: Fields
) -> None:
    feed(*first, REMOVED, *second)
    assert feed.delivery() == known


@pytest.mark.parametrize(
    ("first", "second", "known"),
    [
        (CLIENT, OTHER_CLIENT, OF_OTHER_CLIENT),
        (UID, OTHER_CLIENT, OF_OTHER_CLIENT),
        (CLIENT, UID, OF_UID),
        (UID, OTHER_UID, OF_OTHER_UID),
    ],
)
def test_another_beginning_is_of_another_mail_even_at_once(
    feed: Feed, first: str, second: str, known: Fields
) -> None:
    feed(first, MESSAGE_ID, second, ACTIVE)
    assert feed.delivery() == ENVELOPE | known


@pytest.mark.parametrize(("line", "known"), [(CLIENT, OF_CLIENT), (UID, OF_UID)])
def test_a_beginning_that_comes_twice_is_of_the_same_mail(
    feed: Feed, line: str, known: Fields
) -> None:
    feed(line, MESSAGE_ID, line, ACTIVE)
    assert feed.delivery() == ENVELOPE | known | OF_MESSAGE_ID


def test_a_beginning_that_its_end_has_overtaken_is_of_the_same_mail(feed: Feed) -> None:
    feed(ACTIVE, REMOVED, CLIENT, MESSAGE_ID)
    assert feed.delivery() == ENVELOPE | OF_CLIENT | OF_MESSAGE_ID


def test_the_same_sender_may_use_a_queue_id_again(feed: Feed) -> None:
    feed(CLIENT, MESSAGE_ID, ACTIVE, REMOVED)
    feed(ACTIVE, at=LINGER - 10)
    assert feed.delivery(at=LINGER - 10) == ENVELOPE


def test_deferred_mail_keeps_its_facts_over_all_its_attempts(feed: Feed) -> None:
    feed(CLIENT, MESSAGE_ID, ACTIVE, DEFERRED)
    known = ENVELOPE | OF_CLIENT | OF_MESSAGE_ID
    for day in range(1, 30):
        at = day * 86_400.0
        feed.tick(at)
        feed(ACTIVE.replace("nrcpt=2", "nrcpt=1"), at=at)
        assert feed.delivery(at=at) == known | {"postfix_nrcpt": 1}


def test_a_mail_that_is_not_heard_of_is_forgotten_after_its_lifetime(feed: Feed) -> None:
    feed(ACTIVE)
    feed.tick(LIFETIME - 1)
    assert len(feed.queue_map) == 1
    feed.tick(LIFETIME)
    assert len(feed.queue_map) == 0
    assert feed.queue_map.counters.entries_expired == 1


def test_the_entry_that_was_not_touched_for_the_longest_time_goes_first() -> None:
    feed = Feed(capacity=2)
    feed(ACTIVE, queue_id="4AB12CD31")
    feed(ACTIVE, queue_id="4AB12CD32")
    feed(ACTIVE, queue_id="4AB12CD31", at=61)
    feed(ACTIVE, queue_id="4AB12CD33", at=61)
    assert len(feed.queue_map) == 2
    assert feed.queue_map.counters.entries_evicted == 1
    assert feed.delivery(queue_id="4AB12CD31") == ENVELOPE
    assert feed.delivery(queue_id="4AB12CD32") == UNKNOWN
    assert feed.delivery(queue_id="4AB12CD33") == ENVELOPE


def test_a_mail_that_is_over_makes_room_for_one_that_is_not() -> None:
    feed = Feed(capacity=2)
    feed(ACTIVE, queue_id="4AB12CD31")
    feed(ACTIVE, REMOVED, queue_id="4AB12CD32")
    feed(ACTIVE, queue_id="4AB12CD33")
    assert feed.queue_map.counters.entries_evicted == 0
    assert feed.delivery(queue_id="4AB12CD31") == ENVELOPE


def test_a_delivery_line_waits_for_its_qmgr_line(feed: Feed) -> None:
    feed(CLIENT, MESSAGE_ID)
    assert feed(SENT) == []
    assert feed(DEFERRED, at=1) == []
    assert feed(SENT, queue_id="4AB12CD35") == []
    assert feed.queue_map.waiting == 3
    assert feed.tick(WAIT - 0.1) == []
    active, first, second = feed(ACTIVE, at=WAIT - 0.1)
    assert "postfix_status" not in active
    assert [first["postfix_status"], second["postfix_status"]] == ["sent", "deferred"]
    for fields in (first, second):
        assert fields.items() >= {**ENVELOPE, **OF_CLIENT, **OF_MESSAGE_ID}.items()
        assert CORRELATION_NOMATCH not in fields["tags"]
    assert feed.queue_map.waiting == 1
    assert feed.queue_map.counters.deliveries_enriched == 2


def test_a_qmgr_line_that_never_comes_is_not_waited_for_long(feed: Feed) -> None:
    feed(CLIENT)
    feed(SENT)
    assert feed.tick(WAIT - 0.1) == []
    (fields,) = feed.tick(WAIT)
    assert fields.items() >= OF_CLIENT.items()
    assert fields["tags"][-1] == CORRELATION_NOMATCH
    assert feed.queue_map.waiting == 0
    assert feed.queue_map.counters.deliveries_unmatched == 1


def test_nothing_waits_without_a_time_to_wait() -> None:
    feed = Feed(wait=0)
    (fields,) = feed(SENT)
    assert fields["tags"][-1] == CORRELATION_NOMATCH
    assert feed.queue_map.waiting == 0


def test_only_so_many_events_wait(feed: Feed) -> None:
    event = event_of(SENT)
    for _ in range(MOST_WAITING):
        assert feed.queue_map.feed(event, START) == ()
    (fields,) = feed(SENT)
    assert fields["tags"][-1] == CORRELATION_NOMATCH
    assert len(feed.queue_map.flush()) == MOST_WAITING
    assert feed(SENT) == []


def test_nothing_waits_longer_because_the_clock_was_set_back(feed: Feed) -> None:
    feed(SENT, at=LATER)
    (fields,) = feed.tick(0)
    assert fields["tags"][-1] == CORRELATION_NOMATCH


def test_what_was_learnt_before_the_clock_was_set_back_stays(feed: Feed) -> None:
    feed(CLIENT, MESSAGE_ID, ACTIVE, at=LATER)
    feed.tick(0)
    assert feed.delivery(at=1) == ENVELOPE | OF_CLIENT | OF_MESSAGE_ID


@pytest.mark.parametrize("order", list(permutations([CLIENT, MESSAGE_ID, ACTIVE, SENT])))
def test_lines_of_one_moment_may_come_in_any_order(feed: Feed, order: Sequence[str]) -> None:
    sent = [fields for line in order for fields in feed(line) if "postfix_status" in fields]
    assert [fields.items() >= ENVELOPE.items() for fields in sent] == [True]
    assert feed.delivery() == ENVELOPE | OF_CLIENT | OF_MESSAGE_ID


def test_a_qmgr_line_that_the_end_has_overtaken_is_of_the_same_mail(feed: Feed) -> None:
    feed(CLIENT, MESSAGE_ID)
    assert feed(SENT, REMOVED)[0]["postfix_message"] == "removed"
    _, fields = feed(ACTIVE, at=0.5)
    assert fields.items() >= {**ENVELOPE, **OF_CLIENT, **OF_MESSAGE_ID}.items()
    feed.tick(LINGER)
    assert len(feed.queue_map) == 0


@dataclass(frozen=True)
class Line:
    """A line of a queue ID of a host and an instance."""

    text: str
    key: tuple[str, str, str]

    def event(self) -> Event:
        return event_of(self.text, *self.key)


KEYS = st.tuples(
    st.sampled_from(["mx1", "mx2"]),
    st.sampled_from(["postfix", "postfix-internal"]),
    st.sampled_from(["4AB12CD31", "4AB12CD32", "4cbdb56t4MzPjfw"]),
)


@st.composite
def mails(draw: st.DrawFn, number: int) -> list[str]:
    """The lines of a mail in their order; some of them may be lost."""
    sender = draw(st.sampled_from(["", f"sender{number}@example.org"]))
    lines = [
        draw(st.sampled_from([CLIENT, OTHER_CLIENT, UID, ""])),
        f"cleanup: Q: message-id=<{number}@example.org>",
    ]
    for _ in range(draw(st.integers(0, 2))):
        lines.append(f"qmgr: Q: from=<{sender}>, size={number}, nrcpt=1 (queue active)")
        lines += draw(st.lists(st.sampled_from([SENT, DEFERRED]), max_size=2))
    lines.append(draw(st.sampled_from([REMOVED, "cleanup: Q: removed (canceled)", ""])))
    lost = draw(st.sets(st.integers(0, len(lines) - 1), max_size=1))
    return [line for index, line in enumerate(lines) if line and index not in lost]


@st.composite
def interleavings(draw: st.DrawFn) -> list[tuple[float, Line]]:
    """Lines of several queue IDs, each used once or twice, with the time at which they come."""
    lives = []
    for key in draw(st.lists(KEYS, min_size=1, max_size=4, unique=True)):
        texts = [text for number in range(draw(st.integers(1, 2))) for text in draw(mails(number))]
        lives.append([Line(text, key) for text in texts])
    turns = [number for number, lines in enumerate(lives) for _ in lines]
    rests = [iter(lines) for lines in lives]
    now = START
    timed = []
    for number in draw(st.permutations(turns)):
        now += draw(st.sampled_from([0.0, 0.1, 1.0, 3.0, 70.0]))
        timed.append((now, next(rests[number])))
    return timed


def enriched(queue_map: QueueMap, lines: Iterable[tuple[float, Line]]) -> list[tuple[Line, Fields]]:
    """The fields of each line's event after all lines, in the order in which the lines came."""
    events: list[tuple[Line, Event]] = []
    out: list[Event] = []
    for now, line in lines:
        out += queue_map.tick(now)
        event = line.event()
        events.append((line, event))
        out += queue_map.feed(event, now)
    out += queue_map.flush()
    assert sorted(map(id, out)) == sorted(id(event) for _, event in events)
    return [(line, event.fields) for line, event in events]


@given(interleavings(), st.sampled_from([0.0, WAIT]))
def test_any_interleaving_of_queue_ids_gives_the_same_enrichment(
    lines: list[tuple[float, Line]], wait: float
) -> None:
    together = enriched(QueueMap(wait=wait), lines)
    for key in {line.key for _, line in lines}:
        alone = enriched(QueueMap(wait=wait), [one for one in lines if one[1].key == key])
        assert alone == [one for one in together if one[0].key == key]


@given(interleavings(), st.data())
def test_a_map_goes_on_as_before_from_its_snapshot(
    lines: list[tuple[float, Line]], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(lines)))
    first = QueueMap()
    enriched(first, lines[:cut])
    second = QueueMap()
    second.restore(list(first.snapshot()))
    assert len(second) == len(first)
    assert list(second.snapshot()) == list(first.snapshot())
    assert enriched(second, lines[cut:]) == enriched(first, lines[cut:])


def test_a_snapshot_of_other_facts_is_refused(feed: Feed) -> None:
    feed(ACTIVE)
    _, *rows = feed.queue_map.snapshot()
    other = QueueMap()
    with pytest.raises(ValueError, match="version"):
        other.restore([b'["postfix_from"]', *rows])
    assert len(other) == 0


def test_a_snapshot_that_is_larger_than_the_map_loses_the_oldest(feed: Feed) -> None:
    for number in range(1, 4):
        feed(ACTIVE, queue_id=f"4AB12CD3{number}")
    small = Feed(capacity=2)
    small.queue_map.restore(feed.queue_map.snapshot())
    assert len(small.queue_map) == 2
    assert small.delivery(queue_id="4AB12CD31") == UNKNOWN
    assert small.delivery(queue_id="4AB12CD33") == ENVELOPE


@given(interleavings(), st.data())
def test_a_snapshot_is_of_the_time_of_its_call_whatever_is_fed_while_it_is_taken(
    lines: list[tuple[float, Line]], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(lines)))
    queue_map = QueueMap()
    enriched(queue_map, lines[:cut])
    at_once = list(queue_map.snapshot())
    later = queue_map.snapshot()
    enriched(queue_map, lines[cut:])
    queue_map.tick(START + LINGER * 2)
    assert list(later) == at_once


def test_the_mark_of_the_first_event_that_waits_is_known_until_it_is_out(feed: Feed) -> None:
    queue_map = feed.queue_map
    assert queue_map.held_since is None
    for mark, queue_id in ((100, "4AB12CD31"), (200, "4AB12CD32"), (300, "4AB12CD31")):
        queue_map.mark = mark
        feed(SENT, queue_id=queue_id)
        assert queue_map.held_since == 100
    queue_map.mark = 400
    feed(ACTIVE, queue_id="4AB12CD31")
    assert queue_map.held_since == 200
    feed(SENT, queue_id="4AB12CD33")
    assert queue_map.held_since == 200
    feed(ACTIVE, queue_id="4AB12CD32")
    assert queue_map.held_since == 400
    assert len(queue_map.flush()) == 1
    assert queue_map.held_since is None


@given(interleavings())
def test_the_mark_is_that_of_the_first_event_that_waits_whatever_comes(
    lines: list[tuple[float, Line]],
) -> None:
    queue_map = QueueMap()
    held: dict[int, int] = {}  # by event: its mark
    for mark, (now, line) in enumerate(lines):
        queue_map.mark = mark
        event = line.event()
        held[id(event)] = mark
        for ready in [*queue_map.feed(event, now), *queue_map.tick(now)]:
            del held[id(ready)]
        assert queue_map.held_since == min(held.values(), default=None)
    assert queue_map.waiting == len(held)


def test_an_entry_takes_no_more_memory_than_documented(feed: Feed) -> None:
    count = 20_000
    hold = event_of(ACTIVE)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(count):
            hold.queue_id = f"4cbdb5{number:04x}zMzPjfw"
            hold.fields["postfix_from"] = f"some.sender.{number}@mail.example.org"
            hold.fields["postfix_size"] = 100_000 + number
            feed.queue_map.feed(hold, START + number)
            message = {"postfix_message-id": f"20261124.{number:020d}.mail@mail.example.org"}
            feed.queue_map.feed(
                Event(0, "mx1", "postfix", "cleanup", hold.queue_id, "", message), START + number
            )
            client = {
                "postfix_client_hostname": f"host{number}.example.org",
                "postfix_client_ip": "::1",
            }
            feed.queue_map.feed(
                Event(0, "mx1", "postfix", "smtpd", hold.queue_id, "", client), START + number
            )
        hold.fields.clear()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(feed.queue_map) == count
    assert 300 < (after - before) / count < 480
