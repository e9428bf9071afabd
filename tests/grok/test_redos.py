"""ReDoS payloads are made for what can be slow: where it is, and of what it takes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.grok.oniguruma import FLAGS
from mailingest.grok.redos import Payload, payloads


def made(pattern: str) -> list[Payload]:
    return list(payloads(re.compile(pattern, FLAGS)))


def test_a_payload_is_as_long_as_wanted_and_shows_how_it_is_made() -> None:
    payload = Payload("to=<", "ab", "\0")

    assert payload.text(5) == "to=<ababab\0"
    assert str(payload) == r"'to=<' + 'ab' * n + '\x00'"
    assert str(Payload("", "a", "")) == "'a' * n"


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        pytest.param("(a+)+b", "aaaaa", id="a repetition in a repetition"),
        pytest.param("x=<(a|aa)+>", "x=<aaaaa", id="behind what leads to it"),
        pytest.param(r"\s*\s*x", "    ", id="two that take the same"),
        pytest.param("(?:foo|bar)*!", "barbarbarbar", id="each way through a repetition"),
        pytest.param(".*, .*, .*x", ", , , , ", id="what separates it from the next one"),
        pytest.param(".*, .*, .*x", ", , x, , x, , x, , x", id="all that follows"),
        pytest.param("(?=a*b)c", "aaaa", id="in a look-ahead"),
        pytest.param("(?>(?:ab)*)c", "abababab", id="in an atomic group"),
        pytest.param("[^a]*a[^b]*", "1111", id="what a set does not name"),
        pytest.param(r"\d{3}-[A-Z]{20,}", "111-" + "A" * 24, id="behind counts"),
        pytest.param("é*ü", "éééé", id="beyond ASCII"),
        pytest.param(r"a(?:b|c)\w*", "abaaaa", id="through the first of alternatives"),
        pytest.param("(?:ab){3}c*d", "abababcccc", id="behind a counted group"),
    ],
)
def test_payloads_lead_to_each_repetition_and_repeat_what_it_takes(pattern: str, text: str) -> None:
    assert text in [one.prefix + one.repeated * 4 for one in made(pattern)]


@pytest.mark.parametrize("pattern", ["abc", "a?b{2,9}", "(?:a|b)c", ""])
def test_what_cannot_be_long_has_no_payload(pattern: str) -> None:
    assert made(pattern) == []


def test_each_repetition_is_ended_with_what_it_does_not_take() -> None:
    ends = {payload.suffix for payload in made("[a-c]*")}

    assert "" in ends
    assert ends - {""}
    assert not [end for end in ends - {""} if re.fullmatch("[a-c]*", end)]


def test_counts_do_not_fill_the_memory() -> None:
    longest = max(len(payload.prefix) for payload in made("(?:(?:a{60000}){60000}){60000}b*c"))

    assert longest <= 1000


PARTS = ["a", "[ab]", r"\w", ".", "(?:a|bc)", "a{2}", "[^a]", r"\.", "a+", "b*?", "(?>a*)", "c*+"]


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=5).map("".join))
def test_a_sample_is_found_for_any_pattern(pattern: str) -> None:
    whole = re.compile(f"(?:{pattern})d+", FLAGS)

    # Without an ambiguity that a possessive part decides otherwise, what leads to `d+` matches.
    if not re.search(r"\*\+|\?>", pattern):
        assert any(whole.fullmatch(one.prefix + "d") for one in payloads(whole))
