"""Lines of real and of made-up logs: the fast matchers find what plain regular expressions find.

The same values in the same order, and the same that do not fit their type; also when a text comes
again, and when it is another one by a few characters.
"""

import gzip
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.generate import generate
from mailingest.grok.definitions import parse_definitions
from mailingest.grok.library import Library
from mailingest.grok.matcher import Value
from mailingest.postfix.fields import CONVERTERS
from mailingest.postfix.programs import COMPANIONS, PROGRAMS, postfix_program
from mailingest.syslog.header import RecordDecoder
from mailingest.syslog.timestamps import Clock
from tests.support.plain_grok import PlainGrok

TESTS = Path(__file__).parents[1]
SHIPPED = [
    definition
    for path in sorted((TESTS.parent / "patterns").glob("*.grok"))
    for definition in parse_definitions(path.name, path.read_text("utf-8"))
]
OMITTED = ("postfix_keyvalue_data", "postfix_command_counter_data")
NAMES = sorted({*PROGRAMS.values(), *(one.pattern for one in COMPANIONS.values())})
LIBRARY = Library(SHIPPED, CONVERTERS, omitted=OMITTED, recurring=OMITTED[1:])
FAST = dict(zip(NAMES, LIBRARY.compile(f"%{{{name}}}" for name in NAMES), strict=True))
PLAIN = {
    name: PlainGrok({one.name: one.pattern for one in SHIPPED}, f"%{{{name}}}") for name in NAMES
}


def lines() -> Iterator[bytes]:
    """Of goldens, a lab's log and the cases of others; and made-up ones."""
    for golden in sorted((TESTS / "goldens").glob("*.log")):
        yield from golden.read_bytes().splitlines()
    for log in sorted((TESTS / "data" / "scenarios").glob("*.gz")):
        yield from gzip.decompress(log.read_bytes()).splitlines()
    for cases in sorted((TESTS / "data" / "field-cases").glob("*.jsonl")):
        for case in map(orjson.loads, cases.read_bytes().splitlines()):
            yield from (line.encode() for line in case.get("lines", ()))
    yield from generate(3_000, seed=7)


def texts() -> Iterator[tuple[str, str]]:
    """The pattern that a line is for, and the line's text, each once."""
    decoder = RecordDecoder(Clock(UTC, in_order=True))
    for line in lines():
        record = decoder.decode(line, reference=1_795_534_873.0)
        tag = record.program
        companion = COMPANIONS.get(tag) or COMPANIONS.get(tag.rpartition("/")[2])
        program = postfix_program(tag)
        if companion is not None:
            yield companion.pattern, record.text
        elif program is not None:
            yield PROGRAMS.get(program.service, PROGRAMS[""]), record.text


TEXTS = list(dict.fromkeys(texts()))


def fast(name: str, text: str) -> tuple[list[tuple[str, Value]], tuple[str, ...]] | None:
    fields: dict[str, Value] = {}
    unfit = FAST[name].match(text, fields)
    return None if unfit is None else (_ordered(fields), tuple(unfit))


def plain(name: str, text: str) -> tuple[list[tuple[str, Value]], tuple[str, ...]] | None:
    found = PLAIN[name].values(text, CONVERTERS, OMITTED)
    return None if found is None else (_ordered(found[0]), found[1])


def _ordered(fields: dict[str, Value]) -> list[tuple[str, Value]]:
    """In their order, but the queue ID, which stands last where the line begins with it."""
    return sorted(fields.items(), key=lambda one: one[0] == "postfix_queueid")


def test_lines_of_logs_give_the_same_also_when_they_come_again() -> None:
    assert len(TEXTS) > 3000
    for name, text in TEXTS:
        expected = plain(name, text)
        assert fast(name, text) == expected
        assert fast(name, text) == expected


@st.composite
def changed(draw: st.DrawFn) -> tuple[str, str]:
    """A line with a part taken out, doubled, or put in from another one."""
    name, text = draw(st.sampled_from(TEXTS))
    _, other = draw(st.sampled_from(TEXTS))
    begin, end = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
    piece = draw(
        st.sampled_from(["", text[begin:end] * 2, other[begin:end], other[end:], "9" * 20])
        | st.text(max_size=2)
    )
    return name, text[:begin] + piece + text[end:]


@given(changed())
def test_lines_that_differ_a_little_give_the_same(line: tuple[str, str]) -> None:
    assert fast(*line) == plain(*line)


@pytest.mark.parametrize("counters", ["ehlo=1 mail=1/2 commands=2/3", "ehlo=99999999999999999999"])
def test_counters_that_come_again_give_the_same(counters: str) -> None:
    for client in ("a[192.0.2.1]", "b[unknown]:25", "c[192.0.2.300]"):
        text = f"disconnect from {client} {counters}"
        assert fast("POSTFIX_SMTPD", text) == plain("POSTFIX_SMTPD", text)
