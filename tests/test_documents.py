"""Documents: ids that are the same for the same line, the index of the day, the JSON body."""

import base64
import json
import tracemalloc
from collections.abc import Iterable
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.config import Settings
from mailingest.documents import Document, DocumentMaker
from mailingest.postfix.event import Event
from mailingest.postfix.parser import EventParser
from mailingest.syslog.header import RecordDecoder
from mailingest.syslog.records import Record
from mailingest.syslog.timestamps import Moment
from mailingest.wiring import build_decoder, read_definitions

REFERENCE = 1_795_550_000.0  # 2026-11-24 19:53:20 UTC
MOMENT = Moment(1_795_500_000, "2026-11-24T06:00:00.000Z")


@cache
def parts() -> tuple[RecordDecoder, EventParser]:
    settings = Settings.model_validate({"syslog": {"timezone": "Europe/Berlin"}})
    return build_decoder(settings, live=True), EventParser(read_definitions(settings))


def event_of(line: bytes | str) -> Event:
    decoder, parser = parts()
    payload = line.encode() if isinstance(line, str) else line
    return parser.parse(decoder.decode(payload, reference=REFERENCE, peer="192.0.2.1"))


def event(
    text: str = "4AB12CD34: removed",
    moment: Moment = MOMENT,
    pid: str = "7",
    event_type: str = "mail",
) -> Event:
    return parts()[1].parse(Record(moment, "mx1", "postfix/qmgr", pid, text, text), event_type)


def make(*lines: bytes | str) -> list[Document]:
    maker = DocumentMaker("mail")
    return [maker.make(event_of(line)) for line in lines]


def ids(maker: DocumentMaker, events: Iterable[Event]) -> list[str]:
    return [maker.make(one).id for one in events]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("<22>Nov 24 07:00:00 mx1 postfix/qmgr[7]: 4AB12CD34: removed", id="with PRI"),
        pytest.param("<22>Nov 24 07:00:00 mx1 postfix/qmgr[7]: 4AB12CD34: removed\n", id="with LF"),
        pytest.param(
            "2026-11-24T07:00:00+01:00 mx1 postfix/qmgr[7]: 4AB12CD34: removed", id="to the second"
        ),
        pytest.param(
            "2026-11-24T07:00:00.123456+01:00 mx1 postfix/qmgr[7]: 4AB12CD34: removed",
            id="to the microsecond",
        ),
        pytest.param(
            "<22>2026-11-24T06:00:00.999Z mx1 postfix/qmgr[7]: 4AB12CD34: removed",
            id="in UTC, with PRI",
        ),
        pytest.param(
            "<22>1 2026-11-24T06:00:00.5Z mx1 postfix/qmgr 7 - - 4AB12CD34: removed", id="RFC 5424"
        ),
    ],
)
def test_a_line_has_the_same_id_however_it_is_written(line: str) -> None:
    plain, other = make("Nov 24 07:00:00 mx1 postfix/qmgr[7]: 4AB12CD34: removed")[0], make(line)[0]
    assert other.id == plain.id
    assert other.index == plain.index == "mail-2026.11.24"
    assert other.seconds == plain.seconds == MOMENT.seconds


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("Nov 24 07:00:01 mx1 postfix/qmgr[7]: 4AB12CD34: removed", id="time"),
        pytest.param("Nov 24 07:00:00 mx2 postfix/qmgr[7]: 4AB12CD34: removed", id="host"),
        pytest.param("Nov 24 07:00:00 mx1 postfix/smtp[7]: 4AB12CD34: removed", id="program"),
        pytest.param("Nov 24 07:00:00 mx1 postfix/qmgr[8]: 4AB12CD34: removed", id="process id"),
        pytest.param("Nov 24 07:00:00 mx1 postfix/qmgr: 4AB12CD34: removed", id="no process id"),
        pytest.param("Nov 24 07:00:00 mx1 postfix/qmgr[7]: 4AB12CD35: removed", id="text"),
    ],
)
def test_another_line_has_another_id(line: str) -> None:
    plain = make("Nov 24 07:00:00 mx1 postfix/qmgr[7]: 4AB12CD34: removed")[0]
    assert make(line)[0].id != plain.id


def test_an_id_is_the_same_in_all_versions() -> None:
    # Or else a replay would store again what an earlier version has stored.
    (document,) = make("Nov 24 07:00:00 mx1 postfix/qmgr[7]: 4AB12CD34: removed")
    assert document.id == "awUn4CbD5z6vB0Zq5NgX"


def test_an_id_begins_with_the_time() -> None:
    identity = base64.urlsafe_b64decode(DocumentMaker("mail").make(event()).id)
    assert int.from_bytes(identity[:4]) == MOMENT.seconds


def test_identical_lines_of_a_second_have_ids_of_their_own_in_the_same_order() -> None:
    events = [event() for _ in range(3)] + [event("4AB12CD35: removed")] + [event()]
    first = ids(DocumentMaker("mail"), events)
    assert len(set(first)) == 5
    assert ids(DocumentMaker("mail"), events) == first


LINES = st.tuples(st.sampled_from("abc"), st.integers(0, 3))


@given(st.lists(LINES, max_size=20), st.data())
def test_ids_are_the_same_with_and_without_a_restart(
    lines: list[tuple[str, int]], data: st.DataObject
) -> None:
    events = [(event(text), stream) for text, stream in lines]

    def ids(maker: DocumentMaker, some: Iterable[tuple[Event, int]]) -> list[str]:
        return [maker.identify(*one) for one in some]

    whole = ids(DocumentMaker("mail"), events)
    if len({stream for _, stream in lines}) == 1:
        assert len(set(whole)) == len(whole)
    cut = data.draw(st.integers(0, len(events)))
    before, after = DocumentMaker("mail"), DocumentMaker("mail")
    first = ids(before, events[:cut])
    after.restore(list(before.snapshot()))
    assert first + ids(after, events[cut:]) == whole


def test_what_is_sent_again_over_a_new_connection_has_the_ids_that_it_had() -> None:
    maker = DocumentMaker("mail")
    removed, other = event(), event("4AB12CD35: removed")
    first = [maker.identify(one, 1) for one in (removed, removed, other)]
    again = [maker.identify(one, 2) for one in (removed, removed, other)]
    assert again == first
    assert len(set(first)) == 3
    assert maker.identify(removed, 2) not in first


def test_lines_that_several_connections_bring_in_turn_are_counted_once() -> None:
    maker = DocumentMaker("mail")
    assert len({maker.identify(event(), stream) for stream in (1, 2, 1, 2, 0)}) == 1


def test_a_snapshot_is_of_the_time_of_its_call() -> None:
    maker = DocumentMaker("mail")
    ids(maker, [event(str(number)) for number in range(1500)])
    at_once = list(maker.snapshot())
    later = maker.snapshot()
    ids(maker, [event(str(number)) for number in range(3000)])
    assert list(later) == at_once


def test_a_snapshot_has_only_the_last_lines() -> None:
    maker = DocumentMaker("mail")
    # The snapshot has 20,000: all but the first.
    ids(maker, [event("a"), *(event(str(number)) for number in range(19_999)), event("d")])
    again = DocumentMaker("mail")
    again.restore(list(maker.snapshot()))
    anew = ids(DocumentMaker("mail"), [event(text) for text in "ad"])
    assert ids(again, [event("a")]) == anew[:1]
    third = ids(again, [event("d")])
    assert third == ids(maker, [event("d")])
    assert third != anew[1:]


def test_identical_lines_are_told_apart_however_many_lie_between_them_in_a_second() -> None:
    maker = DocumentMaker("mail")
    first = maker.make(event()).id
    between = event()
    for number in range(60_000):
        between.fields["message"] = str(number)
        maker.make(between)
    assert maker.make(event()).id != first


def test_only_so_many_lines_are_remembered() -> None:
    maker = DocumentMaker("mail")
    first = maker.make(event()).id
    between = event()
    # Two generations of 65,536 lines.
    for number in range(131_072):
        between.fields["message"] = str(number)
        maker.identify(between)
    assert maker.make(event()).id == first


@pytest.mark.parametrize(
    ("stamp", "index"),
    [
        pytest.param("2026-11-24T00:59:59+01:00", "mail-2026.11.23", id="the evening before"),
        pytest.param("2026-11-24T01:00:00+01:00", "mail-2026.11.24", id="midnight in UTC"),
        pytest.param("2026-12-31T23:30:00-01:00", "mail-2027.01.01", id="New Year in UTC"),
        pytest.param("Nov 24 00:30:00", "mail-2026.11.23", id="traditional, zone from settings"),
    ],
)
def test_the_index_is_that_of_the_events_own_day_in_utc(stamp: str, index: str) -> None:
    (document,) = make(f"{stamp} mx1 postfix/qmgr[7]: 4AB12CD34: removed")
    assert document.index == index
    assert document.fields["@timestamp"][:10] == index[5:].replace(".", "-")


def test_the_index_changes_with_each_line_and_has_the_type() -> None:
    maker = DocumentMaker("mail")
    made = [
        maker.make(event(moment=Moment(0, f"{day}T12:00:00.000Z"), event_type=event_type))
        for day, event_type in [
            ("2026-11-23", "mail"),
            ("2026-11-23", "mail-test"),
            ("2026-11-24", "mail-test"),
            ("2026-11-24", "mail"),
            ("2026-11-23", "mail"),
        ]
    ]
    assert [one.index for one in made] == [
        "mail-2026.11.23",
        "mail-test-2026.11.23",
        "mail-test-2026.11.24",
        "mail-2026.11.24",
        "mail-2026.11.23",
    ]
    assert all(one.index.startswith(f"{one.fields['type']}-2026") for one in made)


def test_what_a_line_says_does_not_name_the_index() -> None:
    """A pattern of a site's own may capture any field that is known."""
    captured = event()
    captured.fields["type"] = "../../etc/cron.d/x"
    assert DocumentMaker("mail").make(captured).index == "mail-2026.11.24"


def test_a_line_of_two_types_has_in_each_the_id_of_a_replay_of_that_type_alone() -> None:
    maker = DocumentMaker("mail")
    both = [event(event_type=one) for one in ("mail", "mbox", "mail", "mbox")]
    first, first_again, second, second_again = ids(maker, both)
    assert (first, second) == (first_again, second_again)
    for event_type in ("mail", "mbox"):
        alone = ids(DocumentMaker(event_type), [event(event_type=event_type) for _ in range(2)])
        assert alone == [first, second]


def test_identical_lines_of_a_type_are_counted_on_after_a_restart() -> None:
    maker, again = DocumentMaker("mail"), DocumentMaker("mail")
    first = ids(maker, [event(event_type="mbox")])
    again.restore(maker.snapshot())
    assert ids(again, [event(event_type="mail")]) == first
    assert ids(again, [event(event_type="mbox")]) != first


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(
            b"Nov 24 07:00:00 mx1 postfix/smtp[7]: 4AB12CD34: to=<b@example.net>, relay=none, "
            b"delay=1.5, delays=0/0/1/0.5, dsn=4.4.1, status=deferred (timed out)",
            id="numbers stay numbers",
        ),
        pytest.param(b"Nov 24 07:00:00 mx1 dovecot: Gr\xfc\xdfe", id="ISO-8859-1"),
        pytest.param("Nov 24 07:00:00 mx1 dovecot: Grüße 💌".encode(), id="UTF-8"),
        pytest.param(b'Nov 24 07:00:00 mx1 x: "\\ \x00\x01\x7f', id="what JSON has to escape"),
    ],
)
def test_the_body_is_the_fields_as_json(line: bytes) -> None:
    (document,) = make(line)
    assert json.loads(document.body) == document.fields
    assert b"\n" not in document.body


def test_a_body_takes_no_more_memory_than_it_has_bytes() -> None:
    maker, one = DocumentMaker("mail"), event()
    tracemalloc.start()
    try:
        bodies = [maker.make(one).body for _ in range(500)]
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Beside it there are the object's own 33 bytes, its place in the list, and what ids leave.
    assert taken < sum(map(len, bodies)) + 500 * 500


def test_raw_bytes_are_base64_in_the_body() -> None:
    (document,) = make(b"no header \xff\n")
    assert base64.b64decode(json.loads(document.body)["raw"]) == b"no header \xff\n"
    assert document.fields["raw"] == b"no header \xff\n"


def test_what_no_json_has_is_refused() -> None:
    odd = event()
    odd.fields["message"] = "x"
    odd.fields["odd"] = object()
    with pytest.raises(TypeError):
        DocumentMaker("mail").make(odd)
