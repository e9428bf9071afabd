"""What an edge says of a line, against what one process makes of the same lines."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from mailingest.config import Settings
from mailingest.documents import Document
from mailingest.forwarding.lines import ENCODING
from mailingest.pipeline import FrameBlock, Pipeline
from mailingest.wiring import build_pipeline
from tests.support.site import LIFE

NOW = 1_795_537_282.5

EDGE = Settings.model_validate({"kafka": {"servers": ["kafka1.example.net:9092"]}})
BY_QUEUE_ID = Settings.model_validate(
    {"kafka": {"servers": ["kafka1.example.net:9092"], "key": "queue_id"}}
)

LINES = [line.encode() for line in LIFE]
frames = st.lists(st.sampled_from([*LINES, b"<22>" + LINES[0]]) | st.binary(max_size=60))


def edge(settings: Settings = EDGE) -> Pipeline:
    return build_pipeline(settings, live=True)


def made(pipeline: Pipeline, *lines: bytes, peer: str = "192.0.2.7") -> list[Document]:
    block = FrameBlock(lines, NOW, peer)
    documents = [*pipeline.feed_all(block), *pipeline.flush()]
    block.check()
    return documents


@given(frames)
def test_each_line_has_the_id_that_one_process_gives_it(lines: list[bytes]) -> None:
    whole = made(build_pipeline(Settings(), live=True), *lines)
    passed_on = made(edge(), *lines)
    assert sorted(one.id for one in passed_on) == sorted(one.id for one in whole)
    times = {one.id: one.fields["@timestamp"] for one in whole}
    assert {one.id: one.fields["@timestamp"] for one in passed_on} == times


@given(st.binary(min_size=1))
def test_each_byte_of_a_line_can_be_had_again(line: bytes) -> None:
    for one in made(edge(), line):
        record = orjson.loads(one.body)
        assert record["line"].encode(record.get("encoding", "utf-8")) == line
        assert record["id"] == one.id
        assert record.get("encoding") in (None, ENCODING)


def test_a_record_says_whence_and_when_a_line_came() -> None:
    (document,) = made(edge(), b"<22>Nov 24 15:41:22 mx1 postfix/qmgr[550]: 652D1A4A862: removed")
    record = orjson.loads(document.body)
    assert record["received_at"] == NOW
    assert record["peer"] == "192.0.2.7"
    assert record["host"] == "mx1"
    assert record["type"] == "mail"
    assert record["charset"] == "auto"


def test_all_lines_of_a_host_have_one_key() -> None:
    assert {one.fields["key"] for one in made(edge(), *LINES)} == {"mx1"}


def test_all_lines_of_a_queue_id_have_one_key() -> None:
    warning = b"Nov 24 15:41:22 mx1 postfix/smtp[914]: warning: 652D1A4A862: queue file size limit"
    other = b"Nov 24 15:41:22 mx1 postfix/smtpd[867]: connect from pc1.example.com[192.0.2.7]"
    long = b"Nov 24 15:41:22 mx1 postfix/qmgr[550]: 4QBBCD1234z5Q: removed"
    keys = [one.fields["key"] for one in made(edge(BY_QUEUE_ID), *LINES, warning, other, long)]
    assert set(keys[: len(LINES) + 1]) == {"mx1 652D1A4A862"}
    assert keys[len(LINES) + 1 :] == ["mx1 postfix/smtpd 867", "mx1 4QBBCD1234z5Q"]


def test_what_has_no_header_is_counted_and_passed_on() -> None:
    pipeline = edge()
    (document,) = made(pipeline, b"no header at all")
    assert orjson.loads(document.body)["line"] == "no header at all"
    assert pipeline.counters.unmatched == {"_syslog_header_nomatch": 1}


def test_ids_go_on_after_a_restart() -> None:
    """A line that comes twice in a second is told apart by how often it was there before."""
    before, after = edge(), edge()
    first = made(before, LINES[4])
    after.restore(list(before.snapshot()))
    again = made(after, LINES[4])
    whole = made(build_pipeline(Settings(), live=True), LINES[4], LINES[4])
    assert [one.id for one in (*first, *again)] == [one.id for one in whole]
