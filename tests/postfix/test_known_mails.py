"""The memory of the queue-ID map is bounded in bytes, and hosts share it fairly."""

import gc
import tracemalloc
from collections.abc import Iterable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.postfix.enrichment import QueueMap
from mailingest.postfix.event import Event
from mailingest.postfix.known_mails import EnrichmentCounters, KnownMail, KnownMails
from mailingest.syslog.peers import HOSTS_EXCEEDED

NOW = 1.0


def active(host: str, queue_id: str, sender: str = "ann@example.org", tag: str = "") -> Event:
    fields = {"postfix_from": sender, "postfix_size": 1, "postfix_nrcpt": 1, "tags": [tag]}
    return Event(0, host, "postfix", "qmgr", queue_id, "", fields)


def delivery(host: str, queue_id: str, message: str = "") -> Event:
    fields = {"postfix_to": "bob@example.net", "postfix_status": "sent", "tags": []}
    return Event(0, host, "postfix", "smtp", queue_id, "", {**fields, "message": message})


def knows(queue_map: QueueMap, host: str, queue_id: str) -> bool:
    [event] = queue_map.feed(delivery(host, queue_id), NOW)
    return "postfix_from" in event.fields


def feed(queue_map: QueueMap, events: Iterable[Event]) -> None:
    for event in events:
        queue_map.feed(event, NOW)


def test_a_flood_under_one_name_evicts_no_mail_of_another() -> None:
    queue_map = QueueMap(wait=0, capacity=1000)
    feed(queue_map, (active("mx1", f"AAAAA{number:03X}") for number in range(200)))
    feed(queue_map, (active("flood", f"BBB{number:05X}") for number in range(5000)))
    assert len(queue_map) == 1000
    assert all(knows(queue_map, "mx1", f"AAAAA{number:03X}") for number in range(200))
    assert queue_map.counters.entries_evicted == 4200


def test_made_up_host_names_of_a_peer_take_the_room_of_one_host() -> None:
    queue_map = QueueMap(wait=0, capacity=1000)
    feed(queue_map, (active("mx1", f"AAAAA{number:03X}") for number in range(400)))
    made_up = (active(f"h{number}", "BBBBBBB1", tag=HOSTS_EXCEEDED) for number in range(5000))
    feed(queue_map, made_up)
    assert all(knows(queue_map, "mx1", f"AAAAA{number:03X}") for number in range(400))


def test_long_facts_of_one_host_are_bounded_by_bytes() -> None:
    queue_map = QueueMap(wait=0, max_bytes=1024 * 1024)
    feed(queue_map, (active("mx1", f"AAAAA{number:03X}") for number in range(100)))
    long = "x" * 1000
    feed(
        queue_map,
        (active("flood", f"BBB{number:05X}", f"{number}{long}") for number in range(5000)),
    )
    assert queue_map.size_bytes <= 1024 * 1024
    assert all(knows(queue_map, "mx1", f"AAAAA{number:03X}") for number in range(100))
    assert not knows(queue_map, "flood", "BBB00000")
    assert knows(queue_map, "flood", f"BBB{4999:05X}")


@pytest.mark.parametrize("field", ["postfix_from", "postfix_message-id"])
def test_a_fact_that_no_mail_can_have_is_not_kept(field: str) -> None:
    queue_map = QueueMap(wait=0)
    for size, known in ((1024, True), (1025, False)):
        fields = {field: "x" * size, "postfix_size": 1, "postfix_nrcpt": 1, "tags": []}
        service = "qmgr" if field == "postfix_from" else "cleanup"
        queue_id = f"AAAA{size:05X}"
        queue_map.feed(Event(0, "mx1", "postfix", service, queue_id, "", fields), NOW)
        [event] = queue_map.feed(delivery("mx1", queue_id), NOW)
        assert (field in event.fields) is known
    assert queue_map.counters.facts_too_long == 1


def test_a_key_that_no_mail_can_have_is_not_kept() -> None:
    queue_map = QueueMap(wait=0)
    feed(queue_map, [active("h" * 600, "AAAAAAA1")])
    assert len(queue_map) == 0
    assert queue_map.counters.facts_too_long == 1


def test_events_that_wait_are_bounded_by_bytes() -> None:
    queue_map = QueueMap()
    ready: list[Event] = []
    for number in range(800):
        ready += queue_map.feed(delivery("mx1", f"AAAAA{number:03X}", "x" * 60_000), NOW)
    # 64 MiB, of which each takes 120,000 bytes.
    assert queue_map.waiting == 560
    assert len(ready) == 240
    assert len(queue_map.flush()) == 560
    assert queue_map.feed(delivery("mx1", "AAAAA001", "x"), NOW) == ()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["begin", "end", "update", "forget"]),
            st.sampled_from(["mx1", "mx2", "mx3"]),
            st.integers(0, 5),
            st.integers(1, 40),
        ),
        max_size=60,
    )
)
def test_its_counts_are_those_of_what_it_has(
    steps: list[tuple[str, str, int, int]],
) -> None:
    mails = KnownMails(7, 7 * 410, EnrichmentCounters())
    for time, (step, host, number, size) in enumerate(steps):
        mail = KnownMail(float(time), sender="x" * size)
        known, is_over = mails.get(host, f"Q{number}")
        if step == "forget":
            mails.forget(live=time - 20, over=time - 10)
        elif step == "begin":
            mails.begin(host, f"Q{number}", mail)
        elif step == "end":
            mails.end(host, f"Q{number}", mail)
        elif known is not None:
            grown = mail.size_bytes - known.size_bytes
            mails.update(host, f"Q{number}", mail, grown, float(time), is_over=is_over)
        rows = [(host, mail) for host, _, some in mails.rows() for _, mail in some]
        assert len(mails) == len(rows) <= 7
        sizes = sum(mail.size_bytes for _, mail in rows)
        assert mails.size_bytes == sizes + 1000 * len({host for host, _ in rows})
        assert mails.size_bytes <= 7 * 410


def test_a_snapshot_of_the_first_version_is_restored() -> None:
    queue_map = QueueMap(wait=0)
    names = ["postfix_from", "postfix_size", "postfix_nrcpt", "postfix_message-id"]
    names += ["postfix_client_hostname", "postfix_client_ip", "postfix_sasl_username"]
    facts = ["ann@example.org", 1, 1, None, None, None, None, None]
    rows = [["mx1 postfix AAAAAAA1", False, NOW, *facts], ["mx1 postfix B1", True, NOW, *facts]]
    queue_map.restore([orjson.dumps([*names, "postfix_uid"]), orjson.dumps(rows)])
    assert knows(queue_map, "mx1", "AAAAAAA1")
    assert queue_map.size_bytes == 2 * (310 + len("ann@example.org")) + 1000
    again = QueueMap(wait=0)
    again.restore(list(queue_map.snapshot()))
    assert list(again.snapshot()) == list(queue_map.snapshot())


# Also such as look like a part of another key.
NAMES = st.sampled_from(["mx1", "postfix", "postfix-out", "mx1.postfix"])


@given(st.sets(st.tuples(NAMES, NAMES, st.sampled_from(["", HOSTS_EXCEEDED]))))
def test_each_mail_is_known_after_a_restart_and_no_other(mails: set[tuple[str, str, str]]) -> None:
    queue_map = QueueMap(wait=0)
    for host, instance, tag in mails:
        event = active(host, "AAAAAAA1", f"{host}.{instance}.{tag}@example.org", tag)
        event.instance = instance
        queue_map.feed(event, NOW)
    again = QueueMap(wait=0)
    again.restore(list(queue_map.snapshot()))
    assert len(again) == len(queue_map) == len(mails)
    assert list(again.snapshot()) == list(queue_map.snapshot())
    for host, instance, tag in mails:
        sent = delivery(host, "AAAAAAA1")
        sent.instance = instance
        sent.fields["tags"].append(tag)
        again.feed(sent, NOW)
        assert sent.fields["postfix_from"] == f"{host}.{instance}.{tag}@example.org"


@given(st.lists(st.tuples(st.booleans(), st.text(max_size=3)), max_size=6))
def test_sender_and_message_id_are_what_was_said_last_of_each(said: list[tuple[bool, str]]) -> None:
    mail = KnownMail(NOW)
    last: dict[bool, str] = {}
    for is_sender, text in said:
        last[is_sender] = text
        if is_sender:
            mail.sender = text
        else:
            mail.message_id = text
        assert mail.has_sender == (True in last)
        assert (mail.sender, mail.message_id) == (last.get(True), last.get(False))
        copy = mail.copy(7)
        assert (copy.sender, copy.message_id, copy.snapshot) == (mail.sender, mail.message_id, 7)


def identified(host: str, queue_id: str, message_id: str) -> Event:
    fields = {"postfix_message-id": message_id, "tags": []}
    return Event(0, host, "postfix", "cleanup", queue_id, "", fields)


@pytest.mark.parametrize("length", [20, 900])
def test_what_it_counts_is_what_it_takes_to_a_fifth(length: int) -> None:
    queue_map = QueueMap(wait=0)
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(3000):
            queue_id, text = f"4jdd7k{number:05}z1Z8t", f"{number:05}" + "x" * length
            queue_map.feed(identified("mx1", queue_id, f"<{text}>"), NOW + number)
            queue_map.feed(active("mx1", queue_id, f"{text}@example.org"), NOW + number)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.8 < taken / queue_map.size_bytes < 1.2
