"""Blocks of lines with any header become blocks of lines with the usual one."""

import json
from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st

from mailingest.stores.logfiles.canonical import CanonicalLines
from mailingest.syslog.header import RecordDecoder
from mailingest.syslog.timestamps import Clock
from tests.support.wrapping import WRAPPINGS, export

REFERENCE = 1_795_600_000.0
USUAL = [
    b"Nov 24 15:41:22 mx1 postfix/smtp[551]: 8B1C5A4B9D1: removed",
    b"<22>2026-11-24T15:41:22.5+01:00 mx1.example.com postfix/smtpd[1]: connect from a[192.0.2.1]",
    b"<22>1 2026-11-24T15:41:22Z mx1 postfix/smtp 551 - - 8B1C5A4B9D1: removed",
    b"<22>1 2026-11-24T15:41:22Z mx1 postfix 551 - -  8B1C5A4B9D1: removed",
    b"Nov 24 15:41:22 mx1 dovecot: lmtp(7): Connect from local",
    b"Nov 24 15:41:22 mx1 amavis[7]: (00007-01) Passed CLEAN",
]


def decoder() -> RecordDecoder:
    return RecordDecoder(Clock(UTC, in_order=True))


def canonical() -> CanonicalLines:
    return CanonicalLines(decoder(), "auto", REFERENCE)


def test_usual_lines_are_left_as_they_are_and_not_even_decoded() -> None:
    lines = CanonicalLines(None, "auto", REFERENCE)  # type: ignore[arg-type]
    block = b"".join(line + b"\n" for line in USUAL)
    assert lines.block(block) == block
    assert (lines.lines, lines.unread) == (len(USUAL), 0)


FORMS = [one for one in WRAPPINGS if one is not export]
unusual = st.builds(
    lambda wrapping, line: wrapping(line, 2026).encode(),
    st.sampled_from(FORMS),
    st.sampled_from([USUAL[0].decode(), USUAL[4].decode(), USUAL[5].decode()]),
)
unread = st.sampled_from([b"text", b"Nov 24 15:41:22 mx1 no program", b"{}", b"\xff\xfe"])


@given(st.lists(st.sampled_from(USUAL) | unusual | unread | st.sampled_from([b"", b"  "])))
def test_a_block_says_the_same_with_usual_headers(lines: list[bytes]) -> None:
    read = canonical()
    block = read.block(b"".join(line + b"\n" for line in lines))
    made = block.split(b"\n")[:-1]
    assert len(made) == len(lines)
    for before, after in zip(lines, made, strict=True):
        old, new = (decoder().decode(line, reference=REFERENCE) for line in (before, after))
        assert (old.moment, old.hostname, old.program, old.procid, old.msg, old.pri) == (
            *(new.moment, new.hostname, new.program, new.procid, new.msg, new.pri),
        )
    assert read.unread == sum(
        line in (b"text", b"Nov 24 15:41:22 mx1 no program", b"{}", b"\xff\xfe") for line in lines
    )
    assert read.lines == sum(bool(line) for line in lines)


def test_a_line_feed_within_a_text_does_not_cut_the_line() -> None:
    line = json.dumps({"message": "a\nb", "program": "postfix/smtp", "host": "mx1"}).encode()
    assert canonical().block(line + b"\n").count(b"\n") == 1
