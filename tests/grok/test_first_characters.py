"""What a match can begin with, against an engine that can be asked for partial matches."""

import re

import pytest
import regex
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mailingest.config import Settings
from mailingest.grok.first_characters import first_characters
from mailingest.grok.library import Library
from mailingest.grok.matcher import ASCII
from mailingest.grok.oniguruma import FLAGS
from mailingest.wiring import read_definitions


def by_partial_matches(expression: str) -> frozenset[str]:
    probe = regex.compile(expression, regex.ASCII | regex.DOTALL | regex.MULTILINE)
    return frozenset(one for one in ASCII if probe.fullmatch(one, partial=True))


def test_of_each_shipped_pattern_they_are_those_of_its_partial_matches() -> None:
    library = Library(read_definitions(Settings()), {})
    expressions = {pattern.pattern for _, pattern in library.alternatives()}

    assert len(expressions) > 200
    for expression in expressions:
        found, partial = first_characters(expression), by_partial_matches(expression)
        # `regex` takes the part of a lookahead that it has seen for enough; here all of it counts.
        if expression.startswith("(?="):
            assert found <= partial, expression
        else:
            assert found == partial, expression


@pytest.mark.parametrize(
    ("expression", "characters"),
    [
        pytest.param("abc", "a", id="a character"),
        pytest.param("a?b*c", "abc", id="what may be missing"),
        pytest.param("a{0,2}+b{,3}?c{0}d{2}e", "abcd", id="counted, none among the counts"),
        pytest.param("(?:a|b?|(c))d", "abcd", id="alternatives in groups, one of them empty"),
        pytest.param(r"(?P<g1>[]a]|\U00000062|[^\x00-y{-\x7f])", "]abz", id="sets and escapes"),
        pytest.param("(?i:k(?-i:b))|", "kK", id="case"),
        pytest.param("(?i:(?-i:k))", "k", id="case again"),
        pytest.param("^(?>a++)$", "a", id="the ends of a line"),
        pytest.param("(?![a-y])[a-z]", "abcdefghijklmnopqrstuvwxyz", id="not ahead: too many"),
        pytest.param("(?<!x)(?<=y)a", "a", id="behind"),
        pytest.param("(?=[ab])(?=[bc])[a-c]?d?", "b", id="ahead"),
        pytest.param("((?=b))?a", "a", id="ahead, or not"),
        pytest.param("(?:(?=b)|(?=c))[a-d]", "bc", id="ahead in alternatives"),
        pytest.param("é|a", "a", id="beyond ASCII"),
        pytest.param("", "", id="nothing"),
        pytest.param("[z-a]b", "".join(ASCII), id="a wrong set: said by who compiles it"),
    ],
)
def test_they_are_read_from_the_text(expression: str, characters: str) -> None:
    assert first_characters(f"(?:{expression})") == set(characters)


_ATOMS = st.sampled_from(
    [*("a", "b", ".", r"\.", r"\w", r"\S", r"\U00000061", "[ab]", "[^a]", "[]b]", "^", "$", r"\b")]
)
_REPEATED = st.sampled_from(["", "", "?", "*", "+", "?+", "*?", "{0,2}", "{,2}", "{1,2}", "{2}"])
_GROUPS = st.sampled_from(["(", "(?:", "(?P<g1>", "(?>", "(?=", "(?!", "(?i:"])


def _within(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    branch = st.lists(inner, max_size=3).map("".join)
    group = st.tuples(_GROUPS, st.lists(branch, min_size=1, max_size=3).map("|".join))
    return st.tuples(group, _REPEATED).map(lambda one: f"{one[0][0]}{one[0][1]}){one[1]}")


EXPRESSIONS = st.recursive(st.tuples(_ATOMS, _REPEATED).map("".join), _within, max_leaves=8)


@given(st.lists(EXPRESSIONS, max_size=4).map("".join), st.text("abAB.\n -", max_size=4))
@example("(?:(?=b)a?)*b", "b")
@example("(?=(?:a|b?))c", "c")
def test_no_match_begins_with_another(expression: str, text: str) -> None:
    try:
        match = re.compile(expression, FLAGS).fullmatch(text)
    except re.error:
        assume(False)
    assert match is None or text[:1] in {"", *first_characters(expression)}
