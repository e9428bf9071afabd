"""Syslog headers as they are really written, and anything else that may come instead."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.syslog.header import (
    CHARSET_MISMATCH,
    HEADER_NOMATCH,
    PROGRAM_NOMATCH,
    TIME_NOMATCH,
    RecordDecoder,
)
from mailingest.syslog.levels import is_level
from mailingest.syslog.records import REPEATED, Record
from mailingest.syslog.timestamps import Clock, Moment, moment_of

BERLIN = ZoneInfo("Europe/Berlin")
REFERENCE = datetime(2026, 11, 25, tzinfo=UTC).timestamp()
NOW = moment_of(REFERENCE)
PEER = "192.0.2.7"
MSG = "4F2A11E0ABC: removed"


def decode(payload: bytes, charset: str = "auto") -> Record:
    decoder = RecordDecoder(Clock(BERLIN, in_order=False), charset=charset)
    return decoder.decode(payload, reference=REFERENCE, peer=PEER)


def at(text: str) -> Moment:
    return Moment(int(datetime.fromisoformat(text).timestamp()), text)


LEGACY = at("2026-11-24T14:41:13.000Z")
MICROSECONDS = at("2026-11-24T15:41:13.813636Z")


def record(moment: Moment = LEGACY, /, **values: object) -> Record:
    """A record of qmgr's line, with some values replaced; `text` follows `msg`."""
    known: dict[str, object] = {
        "hostname": "mx1",
        "program": "postfix/qmgr",
        "procid": "318",
        "msg": MSG,
    }
    known |= values
    known.setdefault("text", known["msg"])
    return Record(moment, **known)  # type: ignore[arg-type]


RFC3164 = [
    pytest.param(
        b"<22>Nov 24 15:41:13 mx1 postfix/qmgr[318]: 4F2A11E0ABC: removed",
        record(pri=22),
        id="as rsyslog forwards it",
    ),
    pytest.param(
        b"Nov 24 15:41:13 mx1 postfix/qmgr[318]: 4F2A11E0ABC: removed\n",
        record(),
        id="as it stands in a file, without PRI",
    ),
    pytest.param(
        b"<22>Nov  4 15:41:13 mx1 postfix/qmgr[318]: 4F2A11E0ABC: removed",
        record(at("2026-11-04T14:41:13.000Z"), pri=22),
        id="a one-digit day after two blanks",
    ),
    pytest.param(
        b"<22>Nov 4 15:41:13 mx1 postfix/qmgr[318]: 4F2A11E0ABC: removed",
        record(at("2026-11-04T14:41:13.000Z"), pri=22),
        id="a one-digit day after one blank",
    ),
    pytest.param(
        b"<22>Nov 24 15:41:13 postfix/qmgr[318]: 4F2A11E0ABC: removed",
        record(pri=22, hostname=PEER),
        id="as Postfix itself sends it, without host: the peer is the host",
    ),
    pytest.param(
        b"<22>Nov 24 15:41:13 2001:db8::25 postfix/qmgr[318]: 4F2A11E0ABC: removed",
        record(pri=22, hostname="2001:db8::25"),
        id="an IPv6 address for a host",
    ),
    pytest.param(
        b"<22>Nov 24 15:41:13 mx1.example.org postfix/submission/smtpd[318]: connect from a[1::2]",
        record(
            pri=22,
            hostname="mx1.example.org",
            program="postfix/submission/smtpd",
            msg="connect from a[1::2]",
        ),
        id="a service of its own name",
    ),
    pytest.param(
        b"<22>Nov 24 15:41:13 mx1 postfix/qmgr[318]:4F2A11E0ABC: removed\r\n\0",
        record(pri=22),
        id="no blank after the tag, and every trailer there is",
    ),
    pytest.param(
        b"<22>Nov 24 15:41:13 mx1 postfix/qmgr[318]:   4F2A11E0ABC: removed",
        record(pri=22),
        id="more than one blank after the tag",
    ),
    pytest.param(
        b"<28>Nov 24 15:41:13 mx1 spamd: server started",
        record(pri=28, program="spamd", procid="", msg="server started"),
        id="no process id",
    ),
    pytest.param(
        b"<0>Nov 24 15:41:13 mx1 postfix/qmgr[318]: 4F2A11E0ABC: removed",
        record(pri=0),
        id="the lowest PRI",
    ),
    pytest.param(
        b"<191>Nov 24 15:41:13 mx1 postfix/qmgr[318]: 4F2A11E0ABC: removed",
        record(pri=191),
        id="the highest PRI",
    ),
    pytest.param(
        b"<22>Nov 24 15:41:13 mx1 postfix/qmgr[318]: two\nlines\n",
        record(pri=22, msg="two\nlines"),
        id="a line feed inside the text",
    ),
]
RFC3339 = [
    pytest.param(
        b"2026-11-24T15:41:13.813636+00:00 mx1 postfix/qmgr[318]: 4F2A11E0ABC: removed",
        record(MICROSECONDS),
        id="a file of Debian 12",
    ),
    pytest.param(
        b"2026-11-24T16:41:13.813636+01:00 mx1 postfix/qmgr[318]: 4F2A11E0ABC: removed",
        record(MICROSECONDS),
        id="another zone",
    ),
    pytest.param(
        b"<22>2026-11-24T15:41:13.813636Z mx1 postfix/qmgr[318]: 4F2A11E0ABC: removed",
        record(MICROSECONDS, pri=22),
        id="forwarded, with PRI (RSYSLOG_ForwardFormat)",
    ),
    pytest.param(
        b"2026-11-24T15:41:13 mx1 postfix/qmgr[318]: 4F2A11E0ABC: removed",
        record(LEGACY),
        id="no offset: the set zone",
    ),
]
STRUCTURED = '[origin@32473 ip="192.0.2.1" x="a \\"b\\" \\\\ \\] c"][empty@1]'
RFC5424 = [
    pytest.param(
        b"<22>1 2026-11-24T15:41:13.813636+00:00 mx1 postfix/qmgr 318 - - 4F2A11E0ABC: removed",
        record(MICROSECONDS, pri=22),
        id="plain",
    ),
    pytest.param(
        b"<22>1 2026-11-24T15:41:13.813636+00:00 mx1 postfix/qmgr 318 - -  4F2A11E0ABC: removed\n",
        record(MICROSECONDS, pri=22),
        id="as rsyslog forwards it, with two blanks",
    ),
    pytest.param(
        b"<22>1 2026-11-24T15:41:13.813636Z mx1 postfix/qmgr 318 ID47 "
        + STRUCTURED.encode()
        + b" 4F2A11E0ABC: removed",
        record(MICROSECONDS, pri=22, msgid="ID47", structured_data=STRUCTURED),
        id="message id and structured data",
    ),
    pytest.param(
        b"<22>1 2026-11-24T15:41:13.813636Z mx1 postfix/qmgr 318 - [a@1] "
        b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe",
        record(MICROSECONDS, pri=22, structured_data="[a@1]", msg="Grüße"),
        id="a byte order mark",
    ),
    pytest.param(
        b"<22>1 - mx1 postfix/qmgr 318 - - 4F2A11E0ABC: removed",
        record(NOW, pri=22),
        id="no time",
    ),
]
WITHOUT_PROGRAM = [
    pytest.param(
        b"<13>Nov 24 15:41:13 mx1 a text without a tag: really",
        record(pri=13, program="", procid="", msg="a text without a tag: really"),
        id="no tag",
    ),
    pytest.param(
        b"<13>Nov 24 15:41:13 mx1 ",
        record(pri=13, program="", procid="", msg=""),
        id="no text",
    ),
    pytest.param(
        b"<13>Nov 24 15:41:13 mx1 kernel panic: not syncing",
        record(pri=13, program="", procid="", msg="kernel panic: not syncing"),
        id="two words and a colon",
    ),
    pytest.param(
        b"<22>1 - - - - - -",
        record(NOW, pri=22, hostname=PEER, program="", procid="", msg=""),
        id="nothing but NIL",
    ),
    pytest.param(
        b"<22>1 2026-11-24T14:41:13Z mx1 - - - - no app-name",
        record(pri=22, program="", procid="", msg="no app-name"),
        id="no app-name",
    ),
]
REPETITIONS = [
    pytest.param(
        b"<22>Nov 24 15:41:13 mx1 postfix/smtpd[318]: "
        b"message repeated 4 times: [ connect from unknown[127.0.0.80]]",
        record(
            pri=22,
            program="postfix/smtpd",
            msg="message repeated 4 times: [ connect from unknown[127.0.0.80]]",
            text="connect from unknown[127.0.0.80]",
            repeated=4,
        ),
        id="rsyslog's wrapper",
    ),
    pytest.param(
        b"<22>1 2026-11-24T15:41:13.813636Z mx1 postfix/smtpd 318 - -  "
        b"message repeated 2 times: [connect from unknown[127.0.0.80]]",
        record(
            MICROSECONDS,
            pri=22,
            program="postfix/smtpd",
            msg="message repeated 2 times: [connect from unknown[127.0.0.80]]",
            text="connect from unknown[127.0.0.80]",
            repeated=2,
        ),
        id="rsyslog's wrapper in RFC 5424",
    ),
    pytest.param(
        b"Nov 24 15:41:13 mx1 last message repeated 3 times",
        record(
            program="",
            procid="",
            msg="last message repeated 3 times",
            text="",
            repeated=3,
            problems=(REPEATED,),
        ),
        id="sysklogd's words, which do not say what is repeated",
    ),
    pytest.param(
        b"Nov 24 15:41:13 mx1 postfix/smtpd[318]: warning: message repeated 4 times: [ x]",
        record(program="postfix/smtpd", msg="warning: message repeated 4 times: [ x]"),
        id="a text that only talks about it",
    ),
]


@pytest.mark.parametrize(("payload", "expected"), RFC3164 + RFC3339 + RFC5424 + REPETITIONS)
def test_a_header(payload: bytes, expected: Record) -> None:
    assert decode(payload) == expected


@pytest.mark.parametrize(("payload", "expected"), WITHOUT_PROGRAM)
def test_a_line_without_a_program_says_so_and_keeps_its_bytes(
    payload: bytes, expected: Record
) -> None:
    expected.problems = (PROGRAM_NOMATCH,)
    expected.raw = payload

    assert decode(payload) == expected


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0\n", id="nothing but trailers"),
        pytest.param(bytes(range(256)), id="every byte there is"),
        pytest.param(b"\x80\x04\x95\x1c\x00\x00\x00", id="binary"),
        pytest.param(b"hello", id="a text"),
        pytest.param(b"<22>", id="only PRI"),
        pytest.param(b"<192>Nov 24 15:41:13 mx1 a: b", id="PRI is too high"),
        pytest.param(b"<192>1 - - - - - - text", id="PRI is too high, RFC 5424"),
        pytest.param(b"<022>Foo 24 15:41:13 mx1 a: b", id="no such month"),
        pytest.param(b"<22>Feb 30 15:41:13 mx1 a: b", id="no such day"),
        pytest.param(b"<22>1 - mx1 a 1 - [unclosed text", id="structured data without end"),
        pytest.param(b"<22>1 - mx1 a 1 - -text", id="a text grown together with its header"),
        pytest.param(b"<22>1 - mx1 a", id="half a header"),
    ],
)
def test_what_has_no_header_is_kept_whole_and_says_so(payload: bytes) -> None:
    found = decode(payload)
    text = payload.decode("iso-8859-1").rstrip("\r\n\0")

    assert found == Record(NOW, PEER, "", "", text, text, problems=(HEADER_NOMATCH,), raw=payload)


def test_an_unreadable_time_of_rfc_5424_is_told_and_its_bytes_are_kept() -> None:
    payload = b"<22>1 2026-02-30T15:41:13Z mx1 postfix/qmgr 318 - - 4F2A11E0ABC: removed"

    assert decode(payload) == record(NOW, pri=22, problems=(TIME_NOMATCH,), raw=payload)


HEADER = b"<22>Nov 24 15:41:13 mx1 postfix/qmgr[318]: "


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        pytest.param("auto", "Grüße 日本".encode(), "Grüße 日本", id="auto: UTF-8"),
        pytest.param("auto", b"Gr\xfc\xdfe", "Grüße", id="auto: ISO-8859-1"),
        pytest.param("auto", b"caf\xe9 \xc3\xa9", "café Ã©", id="auto: one wrong byte decides"),
        pytest.param("auto", b"\xed\xa0\x80", "í\xa0\x80", id="auto: surrogates are not UTF-8"),
        pytest.param("auto", b"\x80\x9f\xff", "\x80\x9f\xff", id="auto: no byte is refused"),
        pytest.param("iso-8859-1", "ü".encode(), "Ã¼", id="ISO-8859-1 is taken at its word"),
        pytest.param("utf-8", "ü".encode(), "ü", id="UTF-8"),
        pytest.param("iso-8859-15", b"\xa4", "€", id="ISO-8859-15"),
        pytest.param(
            "iso-8859-1", b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe", "ï»¿GrÃ¼Ã\x9fe", id="no mark in 3164"
        ),
    ],
)
def test_a_charset(charset: str, data: bytes, text: str) -> None:
    assert decode(HEADER + data, charset) == record(pri=22, msg=text)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param(b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe", "Grüße", id="then UTF-8"),
        pytest.param(b"\xef\xbb\xbfGr\xfc\xdfe", "Grüße", id="but then ISO-8859-1"),
    ],
)
@pytest.mark.parametrize("charset", ["auto", "iso-8859-1"])
def test_a_byte_order_mark_in_rfc_5424_stands_above_the_charset(
    data: bytes, text: str, charset: str
) -> None:
    payload = b"<22>1 - mx1 postfix/qmgr 318 - - " + data

    assert decode(payload, charset) == record(NOW, pri=22, msg=text)


def test_bytes_that_are_not_in_the_set_charset_are_kept_under_a_tag() -> None:
    payload = HEADER + b"Gr\xfc\xdfe"

    assert decode(payload, "utf-8") == record(
        pri=22, msg="Grüße", problems=(CHARSET_MISMATCH,), raw=payload
    )


def test_both_problems_of_a_line_are_told() -> None:
    assert decode(b"Gr\xfc\xdfe", "utf-8").problems == (HEADER_NOMATCH, CHARSET_MISMATCH)


LINES = [
    payload
    for case in RFC3164 + RFC3339 + RFC5424 + WITHOUT_PROGRAM + REPETITIONS
    if isinstance(payload := case.values[0], bytes)
]
charsets = st.sampled_from(["auto", "utf-8", "iso-8859-1", "cp1252"])


@st.composite
def damaged_lines(draw: st.DrawFn) -> bytes:
    """A line with a few bytes cut out, put in or replaced."""
    line = bytearray(draw(st.sampled_from(LINES)))
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(line)))
        end = draw(st.integers(begin, min(begin + 5, len(line))))
        line[begin:end] = draw(st.binary(max_size=5) | st.sampled_from([b" ", b": ", b"[", b"-"]))
    return bytes(line)


@given(payload=st.binary() | damaged_lines(), charset=charsets)
def test_no_bytes_raise_and_none_are_lost(payload: bytes, charset: str) -> None:
    found = decode(payload, charset)

    wrong = set(found.problems) - {REPEATED}
    assert found.raw == (payload if wrong else None)
    assert 0 <= (found.pri or 0) <= 191
    assert found.moment.text.endswith("Z")


# "-" stands for nothing in RFC 5424; control characters before a tag are a terminal's colours.
tokens = st.text(
    st.characters(
        codec="utf-8", exclude_characters=" :[]", min_codepoint=33, exclude_categories=["Cc", "Cs"]
    ),
    min_size=1,
).filter(lambda text: text != "-")
messages = st.text(st.characters(codec="utf-8")).map(lambda text: text.strip(" \r\n\0\ufeff"))


@given(
    # A word such as ALERT is a level.
    hostname=tokens.filter(lambda text: not is_level(text)),
    # A comma or a blank, of whatever script, may stand between host and tag.
    program=tokens.filter(lambda text: not text.startswith(",") and not text[0].isspace()),
    procid=st.from_regex(r"\A[0-9]{1,7}\Z"),
    msg=messages.filter(
        lambda text: "message repeated " not in text and not text.startswith("\xef\xbb\xbf")
    ),
    header=st.sampled_from(
        [
            "<22>Nov 24 15:41:13 {} {}[{}]: ",
            "Nov 24 15:41:13 {} {}[{}]: ",
            "2026-11-24T14:41:13Z {} {}[{}]: ",
            "<22>2026-11-24T15:41:13+01:00 {} {}[{}]: ",
            "<22>1 2026-11-24T15:41:13+01:00 {} {} {} - - ",
            '<22>1 2026-11-24T15:41:13+01:00 {} {} {} - [x@1 a="b\\]"] \ufeff',
        ]
    ),
)
def test_what_is_put_into_a_header_comes_out_of_it(
    hostname: str, program: str, procid: str, msg: str, header: str
) -> None:
    found = decode((header.format(hostname, program, procid) + msg).encode())

    assert found.moment == LEGACY
    assert (found.hostname, found.program, found.procid, found.msg) == (
        *(hostname, program, procid, msg),
    )


@pytest.mark.parametrize(
    ("line", "program", "msg"),
    [
        (
            "<22>Nov 24 15:41:15 mx1 postfix-internal/postfix-script[ starting the mail system",
            "postfix-internal/postfix-script",
            "starting the mail system",
        ),
        (
            "<22>Nov 24 15:41:15 mx1 postfix-internal/submission/smtp connect from a[192.0.2.1]",
            "postfix-internal",
            "connect from a[192.0.2.1]",
        ),
        ("<22>Nov 24 15:41:15 mx1 no tag at all", "", "no tag at all"),
    ],
)
def test_a_tag_that_rsyslog_cut_to_32_characters_is_known(
    line: str, program: str, msg: str
) -> None:
    record = RecordDecoder(Clock(UTC, in_order=False)).decode(
        line.encode(), reference=datetime(2026, 11, 24, 16, tzinfo=UTC).timestamp()
    )
    assert (record.program, record.procid, record.msg) == (program, "", msg)
