"""A line that is read by parts is read as if it had been looked at closely: the differential."""

import gzip
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.syslog.header import RecordDecoder
from mailingest.syslog.timestamps import Clock
from mailingest.syslog.usual_lines import UsualLines
from tests.support.wrapping import WRAPPINGS

DATA = Path(__file__).parents[1] / "data"
GOLDENS = Path(__file__).parents[1] / "goldens"
BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
REFERENCE = datetime(2026, 11, 25, tzinfo=UTC).timestamp()
# Within the hour that Berlin has twice, at the change of years, and on the day after a leap day.
REFERENCES = [
    REFERENCE,
    datetime(2026, 10, 25, 0, 45, tzinfo=UTC).timestamp(),
    datetime(2026, 10, 25, 1, 20, tzinfo=UTC).timestamp(),
    datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC).timestamp(),
    datetime(2028, 3, 1, tzinfo=UTC).timestamp(),
]
MSG = "4F2A11E0ABC: removed"


def decoder(**clock: object) -> RecordDecoder:
    settings: dict[str, object] = {"zone": BERLIN, "in_order": True} | clock
    return RecordDecoder(Clock(**settings))  # type: ignore[arg-type]


def corpora() -> Iterator[tuple[str, list[bytes]]]:
    for path in sorted((DATA / "scenarios").glob("*.gz")):
        yield path.name, gzip.decompress(path.read_bytes()).split(b"\n")
    for path in sorted(GOLDENS.glob("*.log")):
        yield path.name, path.read_bytes().split(b"\n")
    for path in sorted((DATA / "field-cases").glob("*.jsonl")):
        cases = map(json.loads, path.read_text("utf-8").splitlines())
        yield path.name, [line.encode() for case in cases for line in case["lines"]]
    line = f"Nov 24 15:41:13 mx1 postfix/qmgr[318]: {MSG}"
    yield "wrapped", [form(line, 2026).encode() for form in WRAPPINGS]


CORPORA = dict(corpora())


@pytest.mark.parametrize("in_order", [True, False], ids=["a file", "live"])
@pytest.mark.parametrize("corpus", CORPORA)
def test_a_corpus_is_read_as_by_a_closer_look(corpus: str, in_order: bool) -> None:
    by_parts, closely = decoder(in_order=in_order), decoder(in_order=in_order)
    for line in CORPORA[corpus]:
        for form in (line, b"<22>" + line, line + b"\r\n"):
            assert by_parts.decode(form, reference=REFERENCE) == closely.decode_closely(
                form, reference=REFERENCE
            )


@pytest.mark.parametrize("corpus", ["mail.log.gz", "mail.rfc5424.log.gz"])
def test_the_lines_of_a_log_are_read_by_parts(corpus: str) -> None:
    """Else the differential would say nothing."""
    usual = UsualLines(Clock(UTC, in_order=True))
    lines = [line.decode("iso-8859-1") for line in CORPORA[corpus] if line]
    by_parts = [line for line in lines if usual.read(line, REFERENCE)]
    assert len(by_parts) > 0.95 * len(lines)


STAMPS = [
    *("Nov 24 15:41:13", "Nov 24 15:41:14", "Nov 24 15:41:60", "Nov 24 15:41:61"),
    *("Nov  4 01:02:03", "Nov 4 01:02:03", "Nov 04 01:02:03", "Nov 31 01:02:03"),
    *("Oct 25 02:30:00", "Oct 25 02:59:59", "Oct 25 01:59:59", "Oct 25 03:00:00"),
    *("Mar 29 02:30:00", "Dec 31 23:59:59", "Jan  1 00:00:00", "Feb 29 12:00:00"),
    *("2026-11-24T15:41:13.813636+01:00", "2026-11-24T15:41:13Z", "2026-11-24T15:41:13"),
    *("2026-11-24T15:41:13,5+0100", "2026-11-24T15:41:60.1234567890Z", "2026-02-30T00:00:00Z"),
    *("2026-10-25T02:30:00", "2026-11-24T15:41:13.813636+24:00", f"2026-11-24T{'1' * 41}"),
    *("nov 24 15:41:13", "Nov +4 15:41:13", "Nov 24 15:41:1a", "Nov\u00a024 15:41:13"),
]
FRONTS = ["", "<22>", "<22>", "<20>", "<0>", "<022>", "<191>", "<192>", "<1000>", "<>", "<22>1 "]
HOSTS = ["mx1", "mx2", "mx1.example.com", "192.0.2.1", "2001:db8::1", "ALERT", "2026", "mail.info"]
TAGS = [
    *("postfix/qmgr[318]", "postfix/qmgr[319]", "postfix/qmgr", "postfix/qmgr[3:8]", "mx1"),
    *("postfix-out/submission/smtpd[9]", "postfix[7]", "dovecot", "docker/mail[812]", "1/x[2]"),
    *("postfix@-.service[5]", "postfix/qmgr[318][4]", "postfix/qmgr[3 8]", "postfix/qmgr[]", "a:b"),
]
TEXTS = [
    *(MSG, "", " ", f" {MSG}", f"[ID 197553 mail.info] {MSG}", "removed: twice: over", "lost: x"),
    *(f"message repeated 2 times: [ {MSG}]", "last message repeated 3 times", "maps lookup"),
    *(
        f"Nov 24 15:41:13 mx1 postfix/qmgr[318]: {MSG}",
        "info postfix/qmgr[318]: x",
        "{}",
        "\ufeffx",
    ),
    *("from=<müller@example.com>", "mx1 postfix/qmgr[318]: x"),
]
ENDS = ["", "\n", "\r\n", "\0", " \n"]

rfc5424_lines = st.builds(
    lambda *parts: "{}{} {} {} {} {} {} {}{}".format(*parts),
    st.sampled_from(["<22>1 ", "<22>1 ", "<20>1 ", "<192>1 ", "<022>1 ", "<22>2 ", "1 "]),
    st.sampled_from([*STAMPS[16:], "-"]),
    st.sampled_from([*HOSTS, "-"]),
    st.sampled_from([*TAGS, "postfix/qmgr", "postfix", "-"]),
    st.sampled_from(["318", "319", "-"]),
    st.sampled_from(["-", "-", "ID47"]),
    st.sampled_from(["-", "-", '[x@1 a="b"]']),
    st.sampled_from([*TEXTS, *(f" {text}" for text in TEXTS), "\xef\xbb\xbfx", "- - x"]),
    st.sampled_from(ENDS),
)
plain_lines = st.builds(
    lambda *parts: "{}{} {} {}: {}{}".format(*parts),
    *map(st.sampled_from, (FRONTS, STAMPS, HOSTS, TAGS, TEXTS, ENDS)),
)


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A line, at times with one character of its header replaced, left out or put in."""
    line = draw(plain_lines | rfc5424_lines)
    if draw(st.booleans()):
        at = draw(st.integers(0, min(60, len(line))))
        end = at + draw(st.integers(0, 1))
        new = draw(
            st.sampled_from(["", " ", ":", "[", "]", "<", ">", "0", "9", "A", "é", "\0", "T"])
        )
        line = f"{line[:at]}{new}{line[end:]}"
    return line.encode(draw(st.sampled_from(["utf-8", "iso-8859-1"])), "replace")


@st.composite
def groups(draw: st.DrawFn) -> Sequence[bytes]:
    """Lines that come together, of which some are the same but for one part."""
    drawn = draw(st.lists(lines(), min_size=1, max_size=4))
    return [draw(st.sampled_from(drawn)) for _ in range(draw(st.integers(1, 6)))]


@given(
    read=st.lists(st.tuples(groups(), st.sampled_from(REFERENCES)), min_size=1, max_size=4),
    zone=st.sampled_from([BERLIN, ZoneInfo("UTC"), LORD_HOWE]),
    zones=st.sampled_from([{}, {"mx2": ZoneInfo("America/New_York")}]),
    in_order=st.booleans(),
    charset=st.sampled_from(["auto", "utf-8", "iso-8859-1", "ascii"]),
    new_file=st.booleans(),
)
def test_any_lines_are_read_as_by_a_closer_look(
    read: Sequence[tuple[Sequence[bytes], float]],
    zone: ZoneInfo,
    zones: dict[str, ZoneInfo],
    in_order: bool,
    charset: str,
    new_file: bool,
) -> None:
    by_parts, closely = (decoder(zone=zone, host_zones=zones, in_order=in_order) for _ in range(2))
    by_parts.charset = closely.charset = charset
    for some, reference in read:
        spans = [one.begin_file() for one in (by_parts, closely)] if new_file else [None, None]
        for line in some:
            found = by_parts.decode(line, reference=reference, peer="192.0.2.7")
            assert found == closely.decode_closely(line, reference=reference, peer="192.0.2.7")
        assert spans[0] == spans[1]


def test_two_hosts_with_the_same_stamp_have_their_own_zones() -> None:
    one = decoder(host_zones={"mx2": ZoneInfo("America/New_York")})
    here, there, again = (
        one.decode(f"Nov 24 15:41:13 {host} postfix/qmgr[1]: x".encode(), reference=REFERENCE)
        for host in ("mx1", "mx2", "mx1")
    )
    assert here.moment.text == again.moment.text == "2026-11-24T14:41:13.000Z"
    assert there.moment.text == "2026-11-24T20:41:13.000Z"


def test_what_is_kept_of_made_up_tags_is_bounded() -> None:
    usual = UsualLines(Clock(UTC, in_order=True))
    kept = []
    for number in range(9000):
        usual.read(f"Nov 24 15:41:13 mx1 postfix/x[{number}]: {MSG}", REFERENCE)
        kept.append(len(usual))
    assert max(kept) == 8192
    usual.read(f"Nov 24 15:41:13 mx1 postfix/{'x' * 200}[1]: {MSG}", REFERENCE)
    assert len(usual) == kept[-1]
