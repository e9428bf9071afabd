"""The core as a whole: bytes in, documents out, nothing lost on the way."""

import gzip
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailingest.config import Settings
from mailingest.documents import ACKNOWLEDGED, Document, DocumentMaker
from mailingest.pipeline import FrameBlock, Pipeline
from mailingest.postfix.enrichment import WAIT, QueueMap
from mailingest.postfix.event import Event
from mailingest.postfix.names import RECEIVED_SIZE
from mailingest.postfix.parser import EventParser
from mailingest.postfix.selection import is_of_a_mail
from mailingest.syslog.arrival import TIME_IMPLAUSIBLE, BelievedTimes
from mailingest.syslog.header import HEADER_NOMATCH, TIME_NOMATCH
from mailingest.syslog.peers import PEER_UNKNOWN
from mailingest.syslog.sources import Source
from mailingest.wiring import build_decoder, read_definitions

DATA = Path(__file__).parent / "data"
START = 1_795_500_000.0  # 2026-11-24 06:00:00 UTC
SETTINGS = Settings.model_validate({"syslog": {"timezone": "UTC"}})


@cache
def parser() -> EventParser:
    return EventParser(read_definitions(SETTINGS))


def pipeline(*, live: bool, wait: float = WAIT) -> Pipeline:
    decoder = build_decoder(SETTINGS, live=live)
    return Pipeline(decoder, parser(), QueueMap(wait=wait), DocumentMaker("mail"), live=live)


def line(service: str, text: str, second: int = 0, queue_id: str = "4AB12CD34") -> bytes:
    stamp = f"Nov 24 06:{second // 60:02d}:{second % 60:02d}"
    return f"{stamp} mx1 postfix/{service}[7]: {queue_id}: {text}".encode()


ACTIVE = "from=<ann@example.org>, size=1234, nrcpt=1 (queue active)"
SENT = (
    "to=<bob@example.net>, relay=mx.example.net[192.0.2.9]:25, delay=1, delays=0/0/0.5/0.5, "
    "dsn=2.0.0, status=sent (250 2.0.0 Ok)"
)
MAIL = [
    line("smtpd", "client=mail.example.org[192.0.2.5]"),
    line("cleanup", "message-id=<1@example.org>", 1),
    line("qmgr", ACTIVE, 1),
    line("smtp", SENT, 2),
    line("smtp", SENT, 2),
    line("qmgr", "removed", 2),
    line("smtp", SENT, 3, "4AB12CD35"),
    line("qmgr", ACTIVE, 4, "4AB12CD35"),
    line("lmtp", SENT, 4, "4AB12CD36"),
    b"Nov 24 06:00:20 mx1 dovecot: imap(b\xf6b): Logged out",
    b"<22>1 2026-11-24T06:00:20Z mx1 postfix/qmgr 7 - - 4AB12CD34: skipped, still being delivered",
]
FRAMES = st.one_of(
    st.sampled_from([*MAIL, b"", b" \t ", b"\0", b"\r\n", b"no header"]),
    st.binary(max_size=60),
    st.binary(max_size=20).map(lambda octets: MAIL[3] + octets),
    st.binary(max_size=20).map(lambda octets: b"<22>Nov 24 06:00:00 mx1 postfix/qmgr: " + octets),
)


def feed(core: Pipeline, frames: Iterable[bytes], *, now: float = START) -> list[Document]:
    """The documents of frames that come one a second."""
    return [
        document
        for second, frame in enumerate(frames)
        for document in core.feed(frame, now + second, "192.0.2.1")
    ]


def replay(core: Pipeline, frames: Iterable[bytes]) -> list[Document]:
    """The documents of frames that lie in a file."""
    mtime = START + 3600
    return [document for frame in frames for document in core.feed(frame, mtime)]


def assert_nothing_is_lost(core: Pipeline, frames: int, documents: int) -> None:
    counters = core.counters
    assert counters.frames == frames
    assert counters.documents == documents
    assert counters.frames == counters.frames_empty + counters.documents + core.queue_map.waiting


@given(st.lists(FRAMES, max_size=30), st.booleans(), st.sampled_from([0.0, WAIT]))
def test_each_frame_is_empty_or_becomes_one_document(
    frames: list[bytes], live: bool, wait: float
) -> None:
    core = pipeline(live=live, wait=wait)
    documents = len(feed(core, frames))
    assert_nothing_is_lost(core, len(frames), documents)
    documents += len(core.tick(START + len(frames)))
    assert_nothing_is_lost(core, len(frames), documents)
    documents += len(core.flush())
    assert_nothing_is_lost(core, len(frames), documents)
    assert core.queue_map.waiting == 0
    assert core.counters.frames_empty == sum(not frame.strip() for frame in frames)


@given(st.lists(FRAMES, max_size=30), st.booleans())
def test_the_same_frames_give_the_same_documents(frames: list[bytes], live: bool) -> None:
    first, second = pipeline(live=live), pipeline(live=live)
    assert feed(first, frames) + first.flush() == feed(second, frames) + second.flush()


@given(st.lists(FRAMES, max_size=30))
def test_ids_of_a_batch_differ(frames: list[bytes]) -> None:
    core = pipeline(live=True)
    documents = feed(core, frames) + core.flush()
    assert len({(one.index, one.id) for one in documents}) == len(documents)


@given(st.lists(FRAMES, max_size=30), st.data(), st.booleans())
@example([b"Nov 24 06:00:00 mx1 x: y", b"no header"], None, False)
def test_a_restart_in_the_middle_gives_the_same_documents(
    frames: list[bytes], data: st.DataObject | None, live: bool
) -> None:
    cut = data.draw(st.integers(0, len(frames))) if data else 1
    whole = pipeline(live=live)
    before, after = pipeline(live=live), pipeline(live=live)
    expected = feed(whole, frames[:cut]) + whole.flush()
    expected += feed(whole, frames[cut:], now=START + cut) + whole.flush()
    documents = feed(before, frames[:cut]) + before.flush()
    after.restore(list(before.snapshot()))
    documents += feed(after, frames[cut:], now=START + cut) + after.flush()
    assert documents == expected


def test_a_mail_that_came_in_before_a_restart_has_the_size_that_was_received() -> None:
    lines = [
        b"2026-11-24T06:00:00Z mx1 postfix/smtpd[1]: 4AB12CD34: client=c[192.0.2.1]",
        b"2026-11-24T06:00:01Z mx1 postfix/qmgr[2]: 4AB12CD34: from=<a@example.org>, size=7,"
        b" nrcpt=1 (queue active)",
    ]
    before, after = pipeline(live=True), pipeline(live=True)
    feed(before, lines[:1])
    after.restore(list(before.snapshot()))
    [active] = feed(after, lines[1:])
    assert active.fields[RECEIVED_SIZE] == 7


@given(st.lists(FRAMES, max_size=30), st.data())
def test_lines_that_come_again_from_a_snapshot_on_have_the_ids_that_they_had(
    frames: list[bytes], data: st.DataObject
) -> None:
    # Also if events waited when it was taken: they are out, and not fed again.
    cut = data.draw(st.integers(0, len(frames)))
    before, after = pipeline(live=True), pipeline(live=True)
    made = feed(before, frames[:cut])
    rows = list(before.snapshot())
    made += feed(before, frames[cut:]) + before.flush()
    after.restore(rows)
    again = feed(after, frames[cut:]) + after.flush()
    assert {one.id for one in again} <= {one.id for one in made}
    assert len({one.id for one in made}) == len(made)
    assert len({one.id for one in again}) == len(again)


def core(*, live: bool, wanted: Callable[[Event], bool] | None) -> Pipeline:
    return Pipeline(
        build_decoder(SETTINGS, live=live),
        parser(),
        QueueMap(wait=WAIT),
        DocumentMaker("mail"),
        live=live,
        wanted=wanted,
        believed=BelievedTimes(days_behind=1),
    )


@given(frames=st.lists(FRAMES, max_size=12), only_deliveries=st.booleans())
@example(frames=MAIL, only_deliveries=False)
@example(frames=MAIL, only_deliveries=True)
def test_lines_that_come_together_have_the_bodies_of_lines_that_come_alone(
    frames: list[bytes], only_deliveries: bool
) -> None:
    wanted = is_of_a_mail if only_deliveries else None
    together, alone = (core(live=False, wanted=wanted) for _ in range(2))
    bodies = together.bodies(frames, START)

    assert bodies == [one.body for frame in frames for one in alone.feed(frame, START)]
    assert together.counters == alone.counters


records = st.tuples(
    st.lists(FRAMES, min_size=1, max_size=6),
    st.sampled_from(["", "192.0.2.1", "192.0.2.2"]),
    st.sampled_from([0, 7, 8, ACKNOWLEDGED + 9, ACKNOWLEDGED + 10]),
    st.sampled_from([0.0, 0.1, 3.0, 90_000.0]),
)


@given(
    received=st.lists(records, max_size=4),
    live=st.booleans(),
    only_deliveries=st.booleans(),
    restart=st.integers(0, 4),
)
@example([(MAIL, "192.0.2.1", 7, 0.0), (MAIL, "192.0.2.1", 8, 1.0)], True, False, 1)
@example([(MAIL, "192.0.2.1", 7, 90_000.0)], True, False, 1)
@example([(MAIL, "", 0, 0.0), (MAIL, "", 0, 0.0)], False, True, 1)
def test_lines_that_come_together_give_the_documents_of_lines_that_come_alone(
    received: list[tuple[list[bytes], str, int, float]],
    live: bool,
    only_deliveries: bool,
    restart: int,
) -> None:
    """With their ids, what is counted, what is known afterwards, and what of it waits."""
    wanted = is_of_a_mail if only_deliveries else None
    together, alone = (core(live=live, wanted=wanted) for _ in range(2))
    now = START
    for number, (frames, peer, stream, seconds) in enumerate(received):
        now += seconds
        block = FrameBlock(frames, now, peer, stream)
        for one in (together, alone):
            one.queue_map.mark = number
        documents = together.feed_all(block)
        assert not block.failed
        assert documents == [
            document for frame in frames for document in alone.feed(frame, now, peer, stream)
        ]
        assert together.queue_map.held_since == alone.queue_map.held_since
        assert list(together.snapshot()) == list(alone.snapshot())
        assert list(together.watch.snapshot()) == list(alone.watch.snapshot())
        assert together.counters == alone.counters
        if number == restart:
            rows = list(together.snapshot())
            assert together.flush() == alone.flush()
            together, alone = (core(live=live, wanted=wanted) for _ in range(2))
            together.restore(rows)
            alone.restore(rows)
    assert together.flush() == alone.flush()


def test_the_lines_of_a_log_are_the_same_in_blocks_of_any_size() -> None:
    log = gzip.decompress((DATA / "scenarios" / "mail.log.gz").read_bytes()).splitlines()
    one_by_one, in_blocks, as_bodies = (pipeline(live=False) for _ in range(3))
    expected = [one for text in log for one in one_by_one.feed(text, START)]
    blocks = [log[at : at + 400] for at in range(0, len(log), 400)]

    documents = [one for block in blocks for one in in_blocks.feed_all(FrameBlock(block, START))]
    assert documents == expected
    assert [body for block in blocks for body in as_bodies.bodies(block, START)] == [
        one.body for one in expected
    ]
    assert in_blocks.counters == as_bodies.counters == one_by_one.counters


class Cell:
    """Keeps all that is noted in it."""

    def __init__(self) -> None:
        self.noted: list[int] = []

    def __setitem__(self, place: int, number: int, /) -> None:
        assert place == 0
        self.noted.append(number)


def test_a_line_that_fails_is_named_and_fails_no_other() -> None:
    error = RuntimeError("a fault")
    cell = Cell()
    seen: list[int] = []

    def wanted(event: Event) -> bool:
        seen.append(cell.noted[-1])
        if event.service == "cleanup":
            raise error
        return True

    block = FrameBlock([b"", *MAIL], START, cell=cell, first=100)
    faulty = core(live=True, wanted=wanted)
    documents = faulty.feed_all(block)
    assert [one.fields["program"] for one in documents[:2]] == ["postfix/smtpd", "postfix/qmgr"]
    assert len(documents) + faulty.queue_map.waiting == len(MAIL) - 1
    assert block.failed == [(2, error)]
    assert seen == list(range(101, 101 + len(MAIL)))
    assert set(cell.noted) == {0, *range(100, 101 + len(MAIL))}
    *of_documents, after = cell.noted[-len(documents) - 1 :]
    assert of_documents == sorted(of_documents)
    assert (of_documents[0], of_documents[-1], after) == (101, 100 + len(MAIL), 0)
    with pytest.raises(RuntimeError, match="a fault"):
        core(live=True, wanted=wanted).feed(MAIL[1], START)


def test_a_line_that_fails_alone_is_named() -> None:
    error = RuntimeError("a fault")
    cell = Cell()

    def wanted(_: Event) -> bool:
        assert cell.noted == [7]
        raise error

    block = FrameBlock([MAIL[0]], START, cell=cell, first=7)
    assert core(live=True, wanted=wanted).feed_all(block) == []
    assert block.failed == [(0, error)]
    assert cell.noted == [7, 0]


def test_live_and_replay_give_the_same_documents() -> None:
    live, later = pipeline(live=True), pipeline(live=False)
    received = feed(live, MAIL) + live.flush()
    replayed = replay(later, MAIL) + later.flush()
    assert len(received) == len(MAIL)
    by_id = {document.id: document for document in received}
    assert len(by_id) == len(MAIL)
    assert {document.id: document.fields for document in replayed} == {
        # A file has no peer.
        document.id: {k: v for k, v in document.fields.items() if k != "syslog_peer"}
        for document in received
    }


def test_a_snapshot_has_the_peers_of_hosts_and_one_of_an_earlier_version_may_have_none() -> None:
    before = pipeline(live=True)
    feed(before, MAIL)
    *rows, _ = before.snapshot()
    ends = [place for place, row in enumerate(rows) if row == b"--"]
    for kept, tags in ((rows, 1), (rows[: ends[-1]], 0)):
        after = pipeline(live=True)
        after.restore(
            [*kept, blake2b(b"".join(r + b"\n" for r in kept), digest_size=16).hexdigest().encode()]
        )
        (document,) = after.feed(line("cleanup", "message-id=<2@x>", 9), START + 9, "192.0.2.66")
        assert document.fields["tags"].count(PEER_UNKNOWN) == tags
        assert len(after.queue_map) == len(before.queue_map)


def test_a_replay_tells_the_time_by_its_lines() -> None:
    core = pipeline(live=False)
    frames = [
        line("smtp", SENT, 0),
        line("qmgr", "skipped, still being delivered", 1),
        line("qmgr", "skipped, still being delivered", 2),
    ]
    assert [len(replay(core, [frame])) for frame in frames] == [0, 1, 2]


def test_a_line_without_a_time_has_that_of_the_line_before() -> None:
    core = pipeline(live=False)
    frames = [
        b"first",
        line("qmgr", "removed", 5),
        b"second",
        b"<22>1 rubbish mx1 postfix/qmgr 7 - - 4AB12CD34: removed",
        b"third",
    ]
    documents = replay(core, frames)
    times = [one.fields["@timestamp"] for one in documents]
    assert times == ["2026-11-24T07:00:00.000Z"] + ["2026-11-24T06:00:05.000Z"] * 4
    assert TIME_NOMATCH in documents[3].fields["tags"]


def test_live_a_line_without_a_time_has_that_of_its_arrival() -> None:
    (document,) = pipeline(live=True).feed(b"no header", START + 0.25, "192.0.2.1")
    assert document.fields["@timestamp"] == "2026-11-24T06:00:00.250Z"
    assert document.fields["host"] == "192.0.2.1"


def stamped(stamp: str, text: str = "removed") -> bytes:
    return f"<22>1 {stamp} mx1 postfix/qmgr 7 - - 4AB12CD34: {text}".encode()


@pytest.mark.parametrize(
    ("stamp", "is_believed"),
    [
        ("2026-11-24T06:00:00.5Z", True),
        ("2026-11-27T05:59:59Z", True),
        ("2026-11-27T06:00:01Z", False),
        ("2029-08-20T00:00:00Z", False),
        ("9999-12-31T23:59:59.999Z", False),
        ("2025-11-23T06:00:01Z", True),
        ("2025-11-23T05:59:59Z", False),
        ("1970-01-01T00:00:00Z", False),
    ],
)
def test_live_a_time_that_cannot_be_believed_is_kept_in_a_field(
    stamp: str, is_believed: bool
) -> None:
    core = pipeline(live=True)
    (document,) = core.feed(stamped(stamp), START, "192.0.2.1")
    assert core.counters.filed_by_arrival == (not is_believed)
    assert (TIME_IMPLAUSIBLE in document.fields["tags"]) is not is_believed
    if is_believed:
        assert "syslog_timestamp" not in document.fields
        assert document.index == f"mail-{stamp[:10].replace('-', '.')}"
    else:
        assert document.fields["syslog_timestamp"][:19] == stamp[:19]
        assert document.fields["@timestamp"] == "2026-11-24T06:00:00.000Z"
        assert (document.index, document.seconds) == ("mail-2026.11.24", int(START))


def test_a_line_is_judged_by_its_own_arrival_whenever_it_is_processed() -> None:
    core = pipeline(live=True)
    of_the_spool = core.feed(stamped("2026-11-24T06:00:00Z"), START + 1)
    later = core.feed(stamped("2028-11-24T06:00:00Z"), START + 2 * 365.25 * 86_400)
    assert core.counters.filed_by_arrival == 0
    assert [one.index for one in (*of_the_spool, *later)] == ["mail-2026.11.24", "mail-2028.11.24"]


def test_a_line_that_is_sent_again_has_its_id_again_though_it_arrives_later() -> None:
    first, again = (
        pipeline(live=True).feed(stamped("2029-08-20T00:00:00Z"), arrival)[0]
        for arrival in (START, START + 5)
    )
    assert first.id == again.id
    assert first.fields["@timestamp"] != again.fields["@timestamp"]


def test_a_replay_believes_any_time() -> None:
    core = pipeline(live=False)
    documents = [*core.feed(stamped("1999-01-01T00:00:00Z"), START)]
    documents += core.feed(stamped("2126-11-24T06:00:00Z"), START)
    assert [one.index for one in documents] == ["mail-1999.01.01", "mail-2126.11.24"]
    assert core.counters.filed_by_arrival == 0


def test_a_line_from_the_future_does_not_make_a_replay_forget() -> None:
    core = pipeline(live=False)
    odd = b"2126-11-24T06:00:00Z mx9 postfix/qmgr[7]: 4AB12CD39: removed"
    documents = replay(core, [line("qmgr", ACTIVE), odd, line("smtp", SENT, 1)])
    assert documents[2].fields["postfix_from"] == "ann@example.org"
    assert documents[1].index == "mail-2126.11.24"


def test_live_it_is_noticed_how_hosts_send() -> None:
    live, later = pipeline(live=True), pipeline(live=False)
    cut = b"<22>1 2026-11-24T15:41:13Z mx1 postfix 9 - - 4F2A11E0ABC: removed"
    ahead = b"<22>1 2026-11-24T15:41:13Z mx2 postfix/qmgr 9 - - 4F2A11E0ABC: removed"
    dated = datetime(2026, 11, 24, 15, 41, 13, tzinfo=UTC).timestamp()
    for core in (live, later):
        core.feed(cut, dated)
        for _ in range(3):
            core.feed(ahead, dated - 7200)
        core.feed(b"no header", dated)
    assert [(one.host, one.kind) for one in live.senders.take()] == [
        ("mx1", "tags_cut"),
        ("mx2", "clock_off"),
    ]
    assert later.senders.take() == []


def test_time_passes_while_no_frame_comes() -> None:
    core = pipeline(live=True)
    assert core.feed(line("smtp", SENT), START) == []
    assert core.tick(START + 1) == []
    (document,) = core.tick(START + WAIT)
    assert document.fields["postfix_status"] == "sent"
    assert core.counters.documents == 1


def test_time_passes_while_frames_come() -> None:
    core = pipeline(live=True)
    core.feed(line("smtp", SENT), START)
    documents = core.feed(line("qmgr", "skipped, still being delivered", 5), START + 5)
    assert ["postfix_status" in one.fields for one in documents] == [True, False]


@pytest.mark.parametrize("live", [True, False])
def test_a_line_tells_nothing_about_what_waited_long_enough_before_it(live: bool) -> None:
    frames = [line("smtp", SENT), line("qmgr", ACTIVE, 5)]
    one_by_one = pipeline(live=live)
    documents = [
        each
        for frame, now in zip(frames, (START, START + 5), strict=True)
        for each in one_by_one.feed(frame, now)
    ]
    assert [each.fields.get("postfix_from") for each in documents] == [None, "ann@example.org"]
    if not live:
        in_a_block = pipeline(live=False).feed_all(FrameBlock(frames, START + 5))
        assert [each.id for each in in_a_block] == [each.id for each in documents]
        assert [each.body for each in in_a_block] == [each.body for each in documents]


def test_lines_that_match_nothing_are_counted_by_their_tag() -> None:
    core = pipeline(live=True)
    feed(core, [b"no header", b"none either", line("qmgr", "gobbledygook"), *MAIL])
    assert core.counters.unmatched == {HEADER_NOMATCH: 2, "_grok_postfix_qmgr_nomatch": 1}


def test_tags_that_a_sender_makes_up_do_not_fill_the_memory() -> None:
    core = pipeline(live=True)
    count = 1000
    feed(core, [line(f"made-up-{number}", "gobbledygook") for number in range(count)])
    assert len(core.counters.unmatched) < 150
    assert sum(core.counters.unmatched.values()) == count
    assert core.counters.unmatched["other"] == count - 100


def whole_snapshot() -> list[bytes]:
    core = pipeline(live=True)
    feed(core, MAIL)
    return list(core.snapshot())


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([], id="empty"),
        pytest.param([b"rubbish"], id="rubbish"),
        pytest.param(whole_snapshot()[:-1], id="without its end"),
        pytest.param(whole_snapshot()[1:], id="without its beginning"),
        pytest.param(whole_snapshot()[-1:], id="only the end"),
        pytest.param([*whole_snapshot()[:2], *whole_snapshot()[3:]], id="without a row"),
        pytest.param([*whole_snapshot(), b""], id="with a row too many"),
        pytest.param(
            [row.replace(b"4AB12CD35", b"4AB12CD37") for row in whole_snapshot()], id="changed"
        ),
        pytest.param(
            [b'{"mailingest_queue_map":1}', b"0", b"--"], id="of another version, with no proof"
        ),
    ],
)
def test_a_damaged_snapshot_is_refused_and_nothing_of_it_taken(rows: list[bytes]) -> None:
    core = pipeline(live=True)
    empty = list(core.snapshot())
    with pytest.raises(ValueError, match=r"."):
        core.restore(rows)
    assert list(core.snapshot()) == empty


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(b"[[7, 0, 1]]", id="a number for an id"),
        pytest.param(b'[["AAAA", 0]]', id="an occurrence without its count"),
        pytest.param(b"7", id="a number for a list"),
        pytest.param(b"--", id="a part more"),
    ],
)
def test_a_snapshot_whose_last_part_is_of_another_version_is_refused_whole(row: bytes) -> None:
    core = pipeline(live=True)
    feed(core, MAIL)
    *rows, _ = core.snapshot()
    # The part of the document maker is the third one.
    _, before, behind = (place for place, one in enumerate(rows) if one == b"--")
    rows[before + 1 : behind] = [row]
    checksum = blake2b(b"".join(one + b"\n" for one in rows), digest_size=16).hexdigest()
    rows.append(checksum.encode())
    after = pipeline(live=True)
    empty = list(after.snapshot())
    with pytest.raises(ValueError, match=r"."):
        after.restore(rows)
    assert list(after.snapshot()) == empty


@given(st.data())
def test_a_snapshot_with_one_octet_changed_is_refused(data: st.DataObject) -> None:
    whole = b"\n".join(whole_snapshot())
    place = data.draw(st.integers(0, len(whole) - 1))
    octet = data.draw(st.integers(0, 255).filter(lambda one: one != whole[place]))
    changed = whole[:place] + bytes([octet]) + whole[place + 1 :]
    with pytest.raises(ValueError, match=r"."):
        pipeline(live=True).restore(changed.splitlines())


def test_a_snapshot_of_nothing_is_a_snapshot() -> None:
    pipeline(live=True).restore(pipeline(live=True).snapshot())


def test_type_and_charset_are_those_of_the_source_that_frames_come_from() -> None:
    core = pipeline(live=True)
    filters, delivery = b"Nov 24 06:00:00 mx1 myfilter: 100 \xa4", line("smtp", SENT)
    first = feed(core, [filters])
    core.use(Source("mbox", "iso-8859-15"))
    second = feed(core, [filters, delivery])
    unread = core.unread(filters, START, "192.0.2.1", 0)
    core.use(Source("mail"))
    # What waited for the line about its sender is of the type that it came in as.
    active, waited = feed(core, [line("qmgr", ACTIVE)])
    assert waited.fields["postfix_from"] == "ann@example.org"
    assert [
        (one.index, one.fields["type"], one.fields["message"])
        for one in (*first, *second, unread, waited, active)
    ] == [
        ("mail-2026.11.24", "mail", "100 ¤"),
        ("mbox-2026.11.24", "mbox", "100 €"),
        ("mbox-2026.11.24", "mbox", filters.decode("iso-8859-1")),
        ("mbox-2026.11.24", "mbox", f"4AB12CD34: {SENT}"),
        ("mail-2026.11.24", "mail", f"4AB12CD34: {ACTIVE}"),
    ]
