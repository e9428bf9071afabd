"""Message templates: variables are placeholders, what the program wrote stays."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.grok.message_templates import TemplateCount, TemplateCounter, message_template


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("4F2A11E0ABC: removed", "ID: removed", id="a short queue ID"),
        pytest.param("4DnpgZ4fYLzKq1w: removed", "ID: removed", id="a long queue ID"),
        pytest.param("FACADE: removed", "ID: removed", id="a short queue ID without a digit"),
        pytest.param("bcdfghjklmzBCD: removed", "ID: removed", id="a long one without a digit"),
        pytest.param("NOQUEUE: reject", "NOQUEUE: reject", id="no queue ID"),
        pytest.param("to=<a@b.example>, x=<>", "to=<...>, x=<...>", id="angle brackets"),
        pytest.param("from john@b.example:", "from ADDRESS:", id="a bare address"),
        pytest.param("user \"John Doe\" 'x y'", "user \"...\" '...'", id="quotes"),
        pytest.param("it doesn't, isn't it", "it doesn't, isn't it", id="apostrophes"),
        pytest.param("mx.example.net[192.0.2.5]:25", "HOST[...]:NUMBER", id="host and port"),
        pytest.param("unknown[unknown]", "unknown[...]", id="an unknown host"),
        pytest.param("host mx.example. at", "host HOST. at", id="a host with a last dot"),
        pytest.param("192.0.2.5: bad", "IP: bad", id="IPv4"),
        pytest.param("to 2001:db8::25: bad", "to IP: bad", id="IPv6 before a colon"),
        pytest.param("to 2001:db8:: fe80::1%eth0", "to IP ...", id="IPv6 with a zone, a list"),
        pytest.param("at 07:00:15 for 3.5", "at NUMBER for NUMBER", id="times and numbers"),
        pytest.param("delays=0.1/0/1.5/2", "delays=NUMBER", id="several numbers in one"),
        pytest.param("open /etc/postfix/main.cf: no", "open PATH: no", id="a path"),
        pytest.param("cipher TLS_AES_256 (256/256 bits)", "cipher ID (...)", id="parentheses"),
        pytest.param("for a@b.c, d@e.f, g@h.i.", "for ADDRESS ....", id="a list of any length"),
        pytest.param("(unclosed [and <so", "(unclosed [and <so", id="brackets that do not end"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_what_differs_is_a_placeholder(text: str, expected: str) -> None:
    assert message_template(text) == expected


@given(first=st.integers(0), second=st.integers(0))
def test_numbers_make_no_other_template(first: int, second: int) -> None:
    assert message_template(f"took {first} of 7 s") == message_template(f"took {second} of 7 s")


@given(st.text())
def test_any_text_has_a_template_that_is_not_much_longer(text: str) -> None:
    assert len(message_template(text)) <= 8 * len(text) + 4


def test_the_rest_of_a_long_text_does_not_count() -> None:
    assert message_template("a" * 5000) == message_template("a" * 6000) == "a" * 1000 + " ..."


def test_groups_are_counted_the_most_frequent_first() -> None:
    counter = TemplateCounter()
    for program, text in [("smtp", "a 1"), ("smtpd", "b 1"), ("smtpd", "a 1"), ("smtpd", "b 2")]:
        counter.add(program, text)

    assert list(counter.counts()) == [
        TemplateCount("smtpd", "b NUMBER", 2, "b 1"),
        TemplateCount("smtp", "a NUMBER", 1, "a 1"),
        TemplateCount("smtpd", "a NUMBER", 1, "a 1"),
    ]
    assert counter.other == 0


def test_memory_is_bounded_by_the_number_of_templates_and_the_length_of_examples() -> None:
    counter = TemplateCounter(most=2)
    for letter in "aeiaeo":
        counter.add("smtp", letter * 5000)

    assert [(group.count, len(group.example)) for group in counter.counts()] == [(2, 1000)] * 2
    assert counter.other == 2


def test_all_placeholders_differ_from_what_is_written() -> None:
    words = {"ADDRESS", "HOST", "ID", "IP", "NUMBER", "PATH"}
    text = 'x@y a.b a1 ::1 5 /x "q" [r] (s) <t>'

    assert set(re.findall(r"[A-Z]+", message_template(text))) == words
