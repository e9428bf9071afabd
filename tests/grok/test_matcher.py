"""Matching compiled patterns: order, first characters, queue IDs; see also test_library.py."""

import re

import pytest

from mailingest.grok.matcher import (
    ASCII,
    Alternative,
    GrokSearch,
    Matcher,
    QueueIdPrefix,
    QueueIds,
    Value,
)

ANY = frozenset(ASCII)


def alternative(pattern: str, *names: str, first: frozenset[str] = ANY) -> Alternative:
    return Alternative(re.compile(pattern), names, {"n": int}, first)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        pytest.param("ax", {"x": "x"}, id="the first that matches"),
        pytest.param("bx", {"y": "bx"}, id="a later one"),
        pytest.param("é", {"y": "é"}, id="beyond ASCII, all are tried"),
        pytest.param("b7", {"y": "b7"}, id="one that cannot begin so is not tried"),
    ],
)
def test_branches_are_tried_in_order_by_first_character(
    text: str, fields: dict[str, Value]
) -> None:
    branches = [
        alternative("a(x)", "x", first=frozenset("a")),
        alternative("b(7)", "x", first=frozenset("c")),
        alternative("(.+)", "y"),
    ]
    captured: dict[str, Value] = {}

    assert Matcher(lambda: branches).match(text, captured) == ()
    assert captured == fields


def test_a_queue_id_is_matched_once_for_all_that_may_follow() -> None:
    following = [alternative("a(.)", "x"), alternative("b(.)", "x")]
    queue_ids = QueueIds(re.compile("([A-F]+): "), frozenset("ABCDEF"))
    matcher = Matcher(lambda: [QueueIdPrefix(queue_ids, following)])
    captured: dict[str, Value] = {}

    assert matcher.match("FACADE: b1", captured) == ()
    assert captured == {"postfix_queueid": "FACADE", "x": "1"}
    assert matcher.match("FACADE: c1", captured) is None
    assert matcher.match("FACADE", captured) is None


def test_a_value_that_does_not_fit_is_reported() -> None:
    captured: dict[str, Value] = {}

    assert Matcher(lambda: [alternative("(.)(.)", "n", "x")]).match("ab", captured) == ("n=a",)
    assert captured == {"x": "b"}


def test_a_search_gives_texts_and_leaves_out_what_took_no_part() -> None:
    search = GrokSearch(re.compile("(a)|(7)"), ["x", "n"])

    assert search.search("-7a") == {"n": "7"}
    assert search.search("b") is None
