"""Lines spread over workers: what all make of their lines is what one makes of all lines."""

import gzip
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.generate import generate
from mailingest.config import Settings
from mailingest.documents import Document, DocumentMaker
from mailingest.pipeline import FrameBlock, Pipeline
from mailingest.postfix.enrichment import QueueMap
from mailingest.postfix.parser import EventParser
from mailingest.postfix.spreading import (
    ReplayShare,
    ServiceShare,
    Share,
    Spreader,
    worker_of_line,
    worker_of_mail,
)
from mailingest.syslog.peers import Peers
from mailingest.syslog.records import Record
from mailingest.syslog.timestamps import moment_of
from mailingest.wiring import build_decoder, build_parser

SCENARIOS = Path(__file__).parents[1] / "data" / "scenarios"
REFERENCE = 1_795_600_000.0
SETTINGS = Settings.model_validate({"syslog": {"timezone": "UTC"}})
MOST_MAILS = 1_000

Stored = tuple[str, str, bytes]


@cache
def recorded(name: str) -> Sequence[bytes]:
    return gzip.decompress((SCENARIOS / name).read_bytes()).splitlines()


@cache
def parser() -> EventParser:
    return build_parser(SETTINGS)


def pipeline(share: Share | None = None) -> Pipeline:
    decoder = build_decoder(SETTINGS, live=False)
    return Pipeline(decoder, parser(), QueueMap(), DocumentMaker("mail"), live=False, share=share)


def of_workers(number: int) -> list[Pipeline]:
    return [pipeline(ReplayShare(one, number, MOST_MAILS)) for one in range(number)]


def stored(documents: Sequence[Document]) -> list[Stored]:
    return sorted((one.index, one.id, one.body) for one in documents)


def fed(one: Pipeline, lines: Sequence[bytes], lines_a_block: int = 400) -> list[Document]:
    """What is made of the lines of a file."""
    one.begin_file()
    documents: list[Document] = []
    for start in range(0, len(lines), lines_a_block):
        block = FrameBlock(lines[start : start + lines_a_block], REFERENCE)
        documents += one.feed_all(block)
        block.check()
    return [*documents, *one.flush()]


def counted(pipelines: Sequence[Pipeline]) -> dict[str, int]:
    names = ("frames", "frames_empty", "documents", "documents_left_out")
    counters = [one.counters for one in pipelines]
    counts = {name: sum(getattr(one, name) for one in counters) for name in names}
    for name in ("deliveries_enriched", "deliveries_unmatched"):
        counts[name] = sum(getattr(one.queue_map.counters, name) for one in pipelines)
    return counts


def check_same(lines: Sequence[bytes], workers: int, lines_a_block: int = 400) -> None:
    alone = pipeline()
    expected = stored(fed(alone, lines, lines_a_block))
    shares = of_workers(workers)
    found = [one for share in shares for one in fed(share, lines, lines_a_block)]
    assert stored(found) == expected
    assert counted(shares) == counted([alone])
    outcomes = [one.counters.outcomes for one in shares]
    keys = {key for one in outcomes for key in one}
    assert {
        key: sum(one.get(key, 0) for one in outcomes) for key in keys
    } == alone.counters.outcomes


@pytest.mark.parametrize("name", ["mail.log.gz", "mail.rfc5424.log.gz"])
def test_of_a_recorded_log_all_make_what_one_makes(name: str) -> None:
    check_same(recorded(name), 3)


@pytest.mark.parametrize("style", ["traditional", "iso"])
def test_of_much_traffic_all_make_what_one_makes(style: str) -> None:
    lines = [line.rstrip(b"\n") for line in generate(6_000, 7, style=style)]
    check_same(lines, 2)


def test_what_is_held_goes_out_when_the_lines_of_others_show_that_it_is_late() -> None:
    """A delivery line came so long before qmgr's that it is told without what that says."""
    lines = [
        line.encode()
        for line in (
            "2026-11-24T06:00:00Z mx1 postfix/smtp[1]: " + DELIVERY.format(q="4AB12CD34"),
            "2026-11-24T06:00:03Z mx1 postfix/smtpd[2]: connect from c[192.0.2.1]",
            "2026-11-24T06:00:03Z mx1 postfix/qmgr[3]: 4AB12CD34: from=<ann@example.org>, size=1,"
            " nrcpt=1 (queue active)",
        )
    ]
    check_same(lines, 2)
    [late] = [one for one in fed(of_workers(2)[0], lines) if "postfix_to" in one.fields]
    assert "postfix_from" not in late.fields


def test_what_waits_when_its_queue_id_begins_anew_is_told_as_by_one() -> None:
    """No line comes in between that would let the time pass."""
    others = ["2026-11-24T06:00:00Z mx1 postfix/smtpd[2]: connect from c[192.0.2.1]"] * 10
    lines = [
        line.encode()
        for line in (
            *others[:5],
            "2026-11-24T06:00:00Z mx1 postfix/smtp[1]: " + DELIVERY.format(q="4AB12CD34"),
            "2026-11-24T06:00:00Z mx1 postfix/qmgr[3]: 4AB12CD34: removed",
            *others,
            "2026-11-24T06:01:10Z mx1 postfix/smtpd[4]: 4AB12CD34: client=d[192.0.2.2]",
        )
    ]
    for workers in (2, 3):
        for lines_a_block in (1, 400):
            check_same(lines, workers, lines_a_block)


def test_the_workers_have_about_as_much_to_do() -> None:
    """Of 20 smtpd processes, one writes a tenth of all lines."""
    decoder = build_decoder(SETTINGS, live=False)
    spreader = Spreader(3, MOST_MAILS)
    places: Counter[int] = Counter()
    for line in generate(10_000, 8):
        one = decoder.decode(line.rstrip(b"\n"), reference=REFERENCE)
        places[spreader.worker_of(one, float(one.moment.seconds))] += 1
    assert min(places.values()) > 0.9 * places.total() / 3


# Small logs with all that lines of several queue IDs and processes have to do with each other.

HOSTS = ("mx1", "mx2")
QUEUE_IDS = ("4AB12CD34", "4AB12CD35", "4cbdb56t4MzPjfw")
CLIENT = "mail.example.org[192.0.2.{n}]"
DELIVERY = (
    "{q}: to=<bob@example.net>, relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1,"
    " dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4AB12CD36)"
)
TEXTS = (
    ("postfix/smtpd[{p}]", "connect from " + CLIENT),
    ("postfix/smtpd[{p}]", "{q}: client=" + CLIENT),
    ("postfix/smtpd[{p}]", "NOQUEUE: reject: RCPT from " + CLIENT + ": 550 5.1.1 <a@b>: no; "
     "from=<x@y> to=<a@b> proto=ESMTP helo=<h>"),
    ("postfix/smtpd[{p}]", "disconnect from " + CLIENT),
    ("postfix/pickup[9]", "{q}: uid=1000 from=<ann>"),
    ("postfix/cleanup[8]", "{q}: message-id=<{n}@example.org>"),
    ("postfix/qmgr[7]", "{q}: from=<ann@example.org>, size=1234, nrcpt=2 (queue active)"),
    ("postfix/smtp[{p}]", DELIVERY),
    ("postfix/smtp[{p}]", "message repeated 2 times: [ " + DELIVERY + "]"),
    ("postfix/smtp[{p}]", "Trusted TLS connection established to mx.example.net[198.51.100.9]:25: "
     "TLSv1.{n} with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"),
    ("postfix/smtp[{p}]", "warning: {q}: nothing that anybody knows"),
    ("postfix/qmgr[7]", "{q}: removed"),
    ("postfix/postsuper[6]", "{q}: removed"),
    ("postfix[{p}]", DELIVERY),
    ("postfix[{p}]", "{q}: client=" + CLIENT),
    ("postfix/postscreen[5]", "CONNECT from [192.0.2.{n}]:4321 to [192.0.2.9]:25"),
    ("opendkim[4]", "{q}: DKIM-Signature field added (s=mail, d=example.org)"),
    ("dovecot", "imap-login: Login: user=<ann>, method=PLAIN, rip=192.0.2.{n}"),
)  # fmt: skip


@st.composite
def logs(draw: st.DrawFn) -> list[bytes]:
    """Lines that come in any order, their hosts' clocks apart, some twice and some unreadable."""
    lines: list[bytes] = []
    seconds = 0
    for _ in range(draw(st.integers(1, 40))):
        seconds += draw(st.sampled_from((0, 0, 0, 1, 1, 2, 4, 70)))
        tag, text = draw(st.sampled_from(TEXTS))
        host = draw(st.sampled_from(HOSTS))
        values = {
            "q": draw(st.sampled_from(QUEUE_IDS)),
            "p": draw(st.sampled_from((77, 78))),
            "n": draw(st.sampled_from((2, 3))),
        }
        skew = 3600 if host == "mx2" and draw(st.booleans()) else 0
        time = moment_of(REFERENCE - 100_000 + seconds + skew).text
        line = f"{time} {host} {tag}: {text}".format(**values)
        match draw(st.sampled_from(("plain",) * 8 + ("twice", "wrapped", "untimed", "blank"))):
            case "twice":
                lines.append(line.encode())
            case "wrapped":
                line = f"<22>{time} relay mx-container[1]: {line}"
            case "untimed":
                line = f"no time and no {tag}"
            case "blank":
                line = "  "
        lines.append(line.encode())
    return lines


@given(logs(), st.integers(2, 4), st.sampled_from((1, 3, 400)))
def test_of_any_lines_all_make_what_one_makes(
    lines: list[bytes], workers: int, lines_a_block: int
) -> None:
    check_same(lines, workers, lines_a_block)


@given(logs(), st.integers(0, 40))
def test_a_worker_goes_on_from_a_snapshot_as_if_nothing_had_been(
    lines: list[bytes], place: int
) -> None:
    one, other = of_workers(2)[1], of_workers(2)[1]
    fed(one, lines[:place], 1)
    other.restore(list(one.snapshot()))
    expected = [document.id for document in fed(one, lines[place:], 1)]
    assert [document.id for document in fed(other, lines[place:], 1)] == expected


# The service

RECEIVED_AT = REFERENCE - 100_000


def service_pipeline(share: Share | None = None) -> Pipeline:
    decoder = build_decoder(SETTINGS, live=True)
    peers = Peers(most_hosts=1)
    return Pipeline(
        decoder, parser(), QueueMap(), DocumentMaker("mail"), live=True, peers=peers, share=share
    )


def service_pipelines(number: int) -> list[Pipeline]:
    return [service_pipeline(ServiceShare(one, number)) for one in range(number)]


Received = tuple[float, str, int, list[bytes]]


def received(one: Pipeline, batches: Sequence[Received]) -> list[Document]:
    """What is made of lines that come in."""
    documents: list[Document] = []
    for at, peer, stream, lines in batches:
        block = FrameBlock(lines, at, peer, stream)
        documents += one.feed_all(block)
        block.check()
    return [*documents, *one.flush()]


def check_same_in_service(batches: Sequence[Received], workers: int) -> None:
    alone, shares = service_pipeline(), service_pipelines(workers)
    expected = stored(received(alone, batches))
    assert stored([one for share in shares for one in received(share, batches)]) == expected
    assert counted(shares) == counted([alone])
    for share in shares:
        # What concerns hosts and peers, each of them knows.
        assert list(share.peers.snapshot()) == list(alone.peers.snapshot())
        assert share.peers.lines_exceeded == alone.peers.lines_exceeded
        assert share.watch.hosts.last_line == alone.watch.hosts.last_line
        assert share.counters.late == alone.counters.late


@st.composite
def arrivals(draw: st.DrawFn) -> list[Received]:
    """Lines in batches, from peers that send for several hosts."""
    lines, at = draw(logs()), RECEIVED_AT
    batches: list[Received] = []
    while lines:
        count = draw(st.integers(1, 8))
        some, lines = lines[:count], lines[count:]
        at += draw(st.sampled_from((0.0, 0.2, 1.0, 2.5, 90.0)))
        peer = draw(st.sampled_from(("", "192.0.2.77", "192.0.2.78")))
        batches.append((at, peer, draw(st.integers(0, 2)), some))
    return batches


@given(arrivals(), st.integers(2, 4))
def test_of_lines_that_come_in_all_make_what_one_makes(
    batches: list[Received], workers: int
) -> None:
    check_same_in_service(batches, workers)


def test_of_a_log_that_comes_in_all_make_what_one_makes() -> None:
    lines = recorded("mail.log.gz")
    batches = [
        (RECEIVED_AT + start / 100, f"192.0.2.{start % 3}", 1, list(lines[start : start + 50]))
        for start in range(0, len(lines), 50)
    ]
    check_same_in_service(batches, 3)


@given(arrivals())
def test_a_worker_without_its_snapshot_works_on_the_same_lines(batches: list[Received]) -> None:
    """What it does not know is missing in its documents, but none of them is."""
    half = len(batches) // 2
    alone, informed, anew = service_pipeline(), *service_pipelines(2)
    for one in (alone, informed):
        received(one, batches[:half])
    frames = sum(len(lines) for _, _, _, lines in batches[half:])
    before = informed.counters.frames
    received(informed, batches[half:])
    received(anew, batches[half:])
    assert informed.counters.frames - before + anew.counters.frames == frames


def test_the_workers_of_the_service_have_about_as_much_to_do() -> None:
    decoder = build_decoder(SETTINGS, live=False)
    for workers in (2, 3, 4, 7):
        places = Counter(
            worker_of_line(decoder.decode(line.rstrip(b"\n"), reference=REFERENCE), workers)
            for line in generate(10_000, 8)
        )
        assert min(places[one] for one in range(workers)) > 0.75 * places.total() / workers


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_a_mail_is_where_the_map_of_queue_ids_says(workers: int) -> None:
    """So a map can be given to another number of workers."""
    for number in range(20):
        queue_id = f"4AB12C{number:05X}"
        for tag, instance in (("postfix/qmgr", "postfix"), ("postfix-out/qmgr", "postfix-out")):
            places = {
                worker_of_line(record(text.format(q=queue_id), tag), workers) for _, text in MAIL
            }
            assert places == {worker_of_mail(f"mx1 {instance} {queue_id}", workers)}


# What belongs together


def record(text: str, tag: str = "postfix/smtpd", pid: str = "77", host: str = "mx1") -> Record:
    return Record(moment_of(REFERENCE), host, tag, pid, text, text)


MAIL = (
    ("postfix/cleanup", "{q}: message-id=<1@example.org>"),
    ("postfix/qmgr", "{q}: from=<ann@example.org>, size=1, nrcpt=1 (queue active)"),
    ("postfix/smtp", "{q}: to=<bob@example.net>, relay=none, delay=1, dsn=4.0.0, status=deferred"),
    ("postfix/bounce", "{q}: sender non-delivery notification: 4AB12CD36"),
    ("postfix/qmgr", "warning: {q}: something"),
    ("postfix/qmgr", "{q}: removed"),
)


def places_of(spreader: Spreader, queue_id: str, lines: Sequence[tuple[str, str]]) -> set[int]:
    """Where lines of a mail go."""
    return {
        spreader.worker_of(record(text.format(q=queue_id), tag, "5"), REFERENCE)
        for tag, text in lines
    }


def busy_spreader(number: int) -> Spreader:
    """One of 8 workers, so many of which have had a line."""
    spreader = Spreader(8, MOST_MAILS)
    for client in range(number):
        spreader.worker_of(record(f"connect from c[192.0.3.{client}]"), REFERENCE)
    return spreader


SESSION = (
    "connect from c[192.0.2.1]",
    "NOQUEUE: reject: RCPT from c[192.0.2.1]: 550 no [192.0.2.9]",
    "{q}: client=c[192.0.2.1]",
    "lost connection after DATA from c[192.0.2.1]",
    "disconnect from c[192.0.2.1]",
)


@pytest.mark.parametrize("number", range(8))
def test_a_mail_is_where_its_session_is(number: int) -> None:
    spreader = busy_spreader(number)
    places = {spreader.worker_of(record(SESSION[0], pid="9"), REFERENCE)}
    for other in range(3):
        spreader.worker_of(record("connect from c[192.0.2.1]", pid=f"1{other}"), REFERENCE)
    for text in SESSION:
        places.add(spreader.worker_of(record(text.format(q="4AB12CD34"), pid="9"), REFERENCE))
    places |= places_of(spreader, "4AB12CD34", MAIL)
    # UDP may bring a line after the end.
    places |= places_of(spreader, "4AB12CD34", MAIL[2:3])
    assert places == {number}


@pytest.mark.parametrize("number", range(8))
def test_a_mail_stays_where_its_first_line_went(number: int) -> None:
    """Whatever order rsyslog gave the lines."""
    spreader = busy_spreader(number)
    assert places_of(spreader, "4AB12CD34", MAIL[:1]) == {number}
    other = record("connect from d[192.0.2.2]", pid="9")
    assert spreader.worker_of(other, REFERENCE) != number
    late = record("4AB12CD34: client=d[192.0.2.2]", pid="9")
    assert spreader.worker_of(late, REFERENCE) == number
    assert places_of(spreader, "4AB12CD34", MAIL) == {number}


def test_the_next_mail_under_a_queue_id_is_where_its_session_is() -> None:
    spreader = busy_spreader(0)
    accepted = record("4AB12CD34: client=c[192.0.2.1]", pid="9")
    assert spreader.worker_of(accepted, REFERENCE) == 0
    assert places_of(spreader, "4AB12CD34", MAIL) == {0}
    again = record("4AB12CD34: client=d[192.0.2.2]", pid="9")
    assert spreader.worker_of(again, REFERENCE + 60.0) == 1
    assert places_of(spreader, "4AB12CD34", MAIL) == {1}


def test_clients_of_postscreen_are_spread() -> None:
    """It is one process for all of them."""
    spreader = Spreader(2, MOST_MAILS)
    found = {
        n: {
            spreader.worker_of(record(text, "postfix/postscreen", "5"), REFERENCE)
            for text in (f"CONNECT from [192.0.2.{n}]:4 to [192.0.2.1]:25", f"PASS [192.0.2.{n}]:4")
        }
        for n in range(10)
    }
    assert all(len(places) == 1 for places in found.values())
    assert set().union(*found.values()) == {0, 1}


def test_lines_about_tls_sessions_with_relays_are_for_all() -> None:
    share = ReplayShare(0, 2, MOST_MAILS)
    text = "Trusted TLS connection established to mx.example.net[198.51.100.9]:25: TLSv1.3 with"
    assert share.hears_of(record(text, "postfix/smtp"))
    assert not share.hears_of(record("connect from c[192.0.2.1]"))
    assert not share.hears_of(record(f"4AB12CD34: {text}", "postfix/smtp"))
    assert not share.hears_of(record(text, "dovecot"))


def test_what_it_remembers_is_bounded() -> None:
    spreader = Spreader(2, MOST_MAILS)
    for number in range(4 * MOST_MAILS):
        places_of(spreader, f"4AB12C{number:05X}", MAIL[:1])
        spreader.worker_of(record("text", f"postfix/{number}/smtpd"), REFERENCE)
    rows = list(spreader.snapshot())
    assert int(rows[1]) * 500 <= 2 * MOST_MAILS


def test_a_mail_that_is_tried_again_is_not_forgotten() -> None:
    """Others come and go meanwhile; all in all more than there is room for."""
    spreader = busy_spreader(0)
    for number in range(4 * MOST_MAILS):
        if not number % (MOST_MAILS // 2):
            assert places_of(spreader, "4AB12CD34", MAIL[1:2]) == {0}
        places_of(spreader, f"4AB12C{number:05X}", MAIL[:1])


def test_a_snapshot_has_all_that_it_knows() -> None:
    spreader, again = Spreader(8, MOST_MAILS), Spreader(8, MOST_MAILS)
    lines = [record(f"4AB12C{n:05X}: client=c[192.0.2.1]", pid=f"{n}") for n in range(700)]
    lines += [record(f"4AB12C{n:05X}: removed", "postfix/qmgr") for n in range(100)]
    for line in lines:
        spreader.worker_of(line, REFERENCE)
    again.restore(list(spreader.snapshot()))
    later = [
        *(record("disconnect from c[192.0.2.1]", pid=f"{n}") for n in range(800)),
        *(record(f"4AB12C{n:05X}: text", "postfix/qmgr") for n in range(800)),
    ]
    assert [again.worker_of(line, REFERENCE) for line in later] == [
        spreader.worker_of(line, REFERENCE) for line in later
    ]
    assert list(again.snapshot()) == list(spreader.snapshot())


def test_a_snapshot_that_is_cut_is_refused() -> None:
    spreader = Spreader(2, MOST_MAILS)
    spreader.worker_of(record("4AB12CD34: client=c[192.0.2.1]"), REFERENCE)
    rows = list(spreader.snapshot())
    share = ReplayShare(0, 2, MOST_MAILS)
    before = share.spreader
    for end in range(len(rows)):
        with pytest.raises(ValueError, match=r"zero-length|unexpected"):
            share.restore(rows[:end])
    assert share.spreader is before
