"""Compiled patterns at work: order, first characters, heads; the rest is in test_grok.py."""

import re

import pytest

from mailingest.grok.matcher import ASCII, Head, Leaf, Matcher, Searcher, Value

ANY = frozenset(ASCII)


def leaf(pattern: str, *names: str, first: frozenset[str] = ANY) -> Leaf:
    return Leaf(re.compile(pattern), names, {"n": int}, first)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        pytest.param("ax", {"x": "x"}, id="the first that matches"),
        pytest.param("bx", {"y": "bx"}, id="a later one"),
        pytest.param("é", {"y": "é"}, id="beyond ASCII, all are tried"),
        pytest.param("b7", {"y": "b7"}, id="one that cannot begin so is not tried"),
    ],
)
def test_candidates_are_tried_in_order_by_first_character(
    text: str, fields: dict[str, Value]
) -> None:
    candidates = [
        leaf("a(x)", "x", first=frozenset("a")),
        leaf("b(7)", "x", first=frozenset("c")),
        leaf("(.+)", "y"),
    ]
    captured: dict[str, Value] = {}

    assert Matcher(candidates).match(text, captured) == ()
    assert captured == fields


def test_a_head_is_matched_once_for_all_that_may_follow() -> None:
    tails = [leaf("a(.)", "x"), leaf("b(.)", "x")]
    matcher = Matcher([Head((re.compile("([A-F]+): "), frozenset("ABCDEF")), tails)])
    captured: dict[str, Value] = {}

    assert matcher.match("FACADE: b1", captured) == ()
    assert captured == {"postfix_queueid": "FACADE", "x": "1"}
    assert matcher.match("FACADE: c1", captured) is None
    assert matcher.match("FACADE", captured) is None


def test_a_value_that_does_not_fit_is_told() -> None:
    captured: dict[str, Value] = {}

    assert Matcher([leaf("(.)(.)", "n", "x")]).match("ab", captured) == ("n=a",)
    assert captured == {"x": "b"}


def test_a_searcher_gives_texts_and_leaves_out_what_took_no_part() -> None:
    searcher = Searcher(re.compile("(a)|(7)"), ["x", "n"])

    assert searcher.search("-7a") == {"n": "7"}
    assert searcher.search("b") is None
