"""Oniguruma translation: the result matches the same, or the pattern is refused."""

import re
import string
import unicodedata

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from mailingest.grok.oniguruma import (
    FLAGS,
    NotTranslatable,
    compile_plain,
    split_alternatives,
    translate,
    with_atomic_groups,
)


def found(pattern: str, text: str) -> list[str]:
    return [match[0] for match in re.finditer(translate(pattern), text, FLAGS)]


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        pytest.param(r"\h+", "xCafe9g", ["Cafe9"], id="a hexadecimal digit"),
        pytest.param(r"\H+", "xCafe9gé", ["x", "gé"], id="no hexadecimal digit"),
        pytest.param(r"[\h_]+", "xC_9g", ["C_9"], id="a hexadecimal digit in a set"),
        pytest.param(r"[\H9]+", "xC9a-é", ["x", "9", "-é"], id="no hexadecimal digit in a set"),
        pytest.param(r"\Aa|\za", "aa\na", ["a"], id="begin and end of the text"),
        pytest.param(r"a\z", "a\na", ["a"], id="the very end"),
        pytest.param(r"a\Z", "a\na\n", ["a"], id="the end, or a line feed before it"),
        pytest.param(r"^a$", "a\nba\na", ["a", "a"], id="begin and end of a line"),
        pytest.param(
            r"\R", "a\r\nb\nc\rd\u2028", ["\r\n", "\n", "\r", "\u2028"], id="a line break"
        ),
        pytest.param(r"\w+", "aé_1", ["a", "_1"], id="a word character is ASCII"),
        pytest.param(r"\d\s", "1 ٣\u00a01\u00a0", ["1 "], id="so are digits and blanks"),
        pytest.param(r"\e\[", "\x1b[", ["\x1b["], id="an escape character"),
        pytest.param(r"\x41\xe9\x9\x{20ac}", "Aé\t€", ["Aé\t€"], id="numbers of characters"),
        pytest.param(r"\u00e9\u{1F600}\011", "é😀\t", ["é😀\t"], id="Unicode and octal"),
        pytest.param(r"[\x41-\x43\x{20ac}]+", "ABCD€", ["ABC", "€"], id="numbers in a set"),
        pytest.param(
            r"(a(?i)b|c)D",
            "aBD aCD ABD aBd",
            ["aBD", "aCD"],
            id="a flag holds to the end of its group, alternatives included",
        ),
        pytest.param(r"(?i:a)b", "Ab AB", ["Ab"], id="a flag for a group"),
        pytest.param(r"(?i)a(?-i)b", "Ab AB", ["Ab"], id="a flag switched off"),
        pytest.param(r"a.b", "a\nb", ["a\nb"], id="a dot is any character, by default"),
        pytest.param(r"(?-m:a.b)", "a\nb acb", ["acb"], id="but not with Ruby's m switched off"),
        pytest.param(r"(?m)a.b", "a\nb", ["a\nb"], id="Ruby's m"),
        pytest.param(r"a(?#b\)(|)c", "ac", ["ac"], id="a comment"),
        pytest.param(r"a++ab|a?+b|a*+c", "aab aac", ["ab", "aac"], id="possessive"),
        pytest.param(r"(?>a|ab)c", "abc ac", ["ac"], id="atomic"),
        pytest.param(r"(?<!a)b(?=c)(?!cd)", "bcd abc bce", ["b"], id="looking around"),
        pytest.param(r"a{2}a{,1}a{1,}", "aaaa", ["aaaa"], id="counts"),
        pytest.param(r"a{1,3}?", "aaa", ["a", "a", "a"], id="a lazy count"),
        pytest.param(
            r"x?*y|(?:ab)+{2}c|[d]{2}{2}",
            "xxy ababc dddd",
            ["xxy", "ababc", "dddd"],
            id="repetitions of repetitions",
        ),
        pytest.param(r"a+(?#b)*(c(?i)d)?*e", "aaCDE aacDe", ["aacDe"], id="the same with groups"),
        pytest.param(r"a{x}{", "a{x}{", ["a{x}{"], id="braces that are none"),
        pytest.param(r"[]a]+", "]a[", ["]a"], id="a bracket that comes first"),
        pytest.param(r"[^]a]+", "]a[b", ["[b"], id="a bracket that comes first but for ^"),
        pytest.param(r"[a[0-9]_]+", "a1_-", ["a1_"], id="a set in a set"),
        pytest.param(
            r"[[[:digit:]]x]+", "1x-", ["1x"], id="a bracket expression in a set in a set"
        ),
        pytest.param(r"[\w-.]+", "a-.b/", ["a-.b"], id="a minus behind a set is a minus"),
        pytest.param(r"[[0-9]-x]+", "1-x/", ["1-x"], id="also behind a set in a set"),
        pytest.param(r"[a-c-e]+", "abd-e", ["ab", "-e"], id="a minus behind a range is a minus"),
        pytest.param(r"[a-\d]+", "a-1b", ["a-1"], id="a minus before a set is a minus"),
        pytest.param(r"[--/]+", "-./0", ["-./"], id="a range from minus"),
        pytest.param(r"[+--]+", "+,-.", ["+,-"], id="a range to minus"),
        pytest.param(r"[-a]+[a-]+", "-a-a", ["-a-a"], id="a minus at an end"),
        pytest.param(r"[a||~~&b]+", "a|~&b", ["a|~&b"], id="signs that are operators elsewhere"),
        pytest.param(r"[\]\\\-\^]+", "]\\-^", ["]\\-^"], id="escapes in a set"),
        pytest.param(r"[\t\b]+", "\t\b", ["\t\b"], id="control characters in a set"),
        pytest.param(r"\/\-\"\#\ ", '/-"# ', ['/-"# '], id="escapes that are not needed"),
    ],
)
def test_what_is_translated_matches_the_same(pattern: str, text: str, matches: list[str]) -> None:
    assert found(pattern, text) == matches


CATEGORIES = {
    "alnum": ("L", "M", "Nd"),
    "alpha": ("L", "M"),
    "digit": ("Nd",),
    "lower": ("Ll",),
    "upper": ("Lu",),
    "word": ("L", "M", "Nd", "Pc"),
    "cntrl": ("C",),
}
ASCII_ONES = {
    "blank": " \t",
    "graph": string.digits + string.ascii_letters + string.punctuation,
    "print": string.digits + string.ascii_letters + string.punctuation + " ",
    "punct": string.punctuation,
    "space": string.whitespace,
    "xdigit": string.hexdigits,
    "ascii": "".join(map(chr, range(128))),
}


# The first time that a name comes, all of Unicode is looked through.
@settings(deadline=None)
@given(name=st.sampled_from(list(CATEGORIES)), character=st.characters())
def test_a_bracket_expression_is_made_of_categories(name: str, character: str) -> None:
    is_in = unicodedata.category(character).startswith(CATEGORIES[name])

    assert bool(found(f"[[:{name}:]]", character)) == is_in
    assert bool(found(f"[[:^{name}:]]", character)) != is_in
    assert bool(found(f"[^[:{name}:]]", character)) != is_in


@pytest.mark.parametrize("name", ASCII_ONES)
def test_a_bracket_expression_is_that_of_posix_in_ascii(name: str) -> None:
    everything = "".join(map(chr, range(128)))

    assert set("".join(found(f"[[:{name}:]]", everything))) == set(ASCII_ONES[name])


@given(st.text(alphabet=string.printable + "é€", min_size=1), st.characters())
def test_a_set_of_escaped_characters_is_just_those(members: str, other: str) -> None:
    escaped = "".join(f"\\{c}" if not c.isalnum() and c.isascii() else c for c in members)
    pattern = f"[{escaped}]"

    assert all(found(pattern, c) == [c] for c in members)
    assert bool(found(pattern, other)) == (other in members)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        pytest.param(r"\p{Alpha}", r"\p{Alpha} is not supported: write [[:alpha:]]", id="property"),
        pytest.param(r"[\P{L}]", r"\P{L} is not supported: write", id="a property in a set"),
        pytest.param(r"(a)\1", r"back references (\1) are not supported: write", id="by number"),
        pytest.param(r"\k'x'", r"back references (\k'x') are not supported: write", id="by name"),
        pytest.param(r"\g<x>", r"calls of groups (\g<x>) are not supported: make", id="a call"),
        pytest.param(r"\Ga", r"\G is not supported: a text is matched once", id="the last end"),
        pytest.param(r"a\Kb", r"\K is not supported: write (?<=...)", id="keep"),
        pytest.param(r"\X", r"\X is not supported: write", id="a grapheme"),
        pytest.param(r"\cA", r"\c is not supported: write the character as \xHH", id="control"),
        pytest.param(r"\M-a", r"\M is not supported: write the character as \xHH", id="meta"),
        pytest.param(r"\q", r"\q is not known: leave the backslash out", id="a letter"),
        pytest.param(r"[\R]", r"\R is not known: leave the backslash out", id="a letter in a set"),
        pytest.param(r"\x", r"\x is not a character: write \xHH", id="a number without digits"),
        pytest.param(r"\u{110000}", r"\u{110000} is not a character", id="too large a number"),
        pytest.param("(?~a)", "groups as (?~a...) are not supported", id="an absence"),
        pytest.param("(?(1)a|b)", "groups as (?(1...) are not supported", id="a condition"),
        pytest.param("(?P=x)", "groups as (?P=...) are not supported", id="Python's reference"),
        pytest.param("(?x) a", "the flag x in (?x) is not supported: write", id="extended"),
        pytest.param("(?s:a)", "the flag s in (?s: is not supported", id="not a flag of Ruby"),
        pytest.param("(?i-x)a", "the flag x in (?i-x) is not supported", id="one of several flags"),
        pytest.param("a{2,3}+", "a{2,3}+ is (?:a{2,3})+ in Ruby, not so elsewhere", id="counts +"),
        pytest.param("a{2}?", "a{2}? is (?:a{2})? in Ruby, not so elsewhere", id="a count ?"),
        pytest.param("[a&&b]", "sets that are cut (&&) are not supported: write", id="cut sets"),
        pytest.param("[a[^b]]", "[^...] in a set is not supported: write", id="negation in a set"),
        pytest.param("[[:letter:]]", "[:letter:] is not known: there are alnum, ", id="a name"),
        pytest.param("[%{INT}]", "%{INT} stands in brackets: a pattern cannot", id="a reference"),
        pytest.param("[a", "a set has no end: close it with ], or write \\[", id="no bracket"),
        pytest.param("[]", "a set has no end: close it with ], or write \\[", id="an empty set"),
    ],
)
def test_what_has_no_equivalent_is_refused_with_a_hint(pattern: str, message: str) -> None:
    with pytest.raises(NotTranslatable) as refused:
        translate(pattern)

    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("pattern", "translated"),
    [
        pytest.param("(?<a-b>x)", "(?<a-b>x)", id="angle brackets"),
        pytest.param("(?'a'x)", "(?<a>x)", id="apostrophes"),
        pytest.param("(?P<a>x)", "(?<a>x)", id="as Python has it"),
        pytest.param("(?<[a][b]>x)", "(?<[a][b]>x)", id="a path"),
        pytest.param("%{A:[b][c]:int}[x]", "%{A:[b][c]:int}[x]", id="a reference is left alone"),
    ],
)
def test_names_of_groups_are_kept(pattern: str, translated: str) -> None:
    assert translate(pattern) == translated


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        pytest.param("a|*", r"nothing to repeat: write \*, \+ or \? for the", id="no more than *"),
        pytest.param(
            "(?<=a*)b", "look-behind requires fixed-width pattern: give", id="look-behind"
        ),
        pytest.param("(a", "missing )", id="a parenthesis"),
        pytest.param("a)", "unbalanced parenthesis", id="a parenthesis too many"),
        pytest.param("a{99999999999}", "the repetition number is too large", id="a large number"),
    ],
)
def test_what_does_not_compile_is_reported(pattern: str, message: str) -> None:
    with pytest.raises(NotTranslatable) as refused:
        compile_plain(translate(pattern))

    assert str(refused.value).startswith(message)


def test_only_groups_with_a_number_capture_unless_they_are_omitted() -> None:
    pattern = compile_plain("(a)(?P<g0>b)(?P<g1>c)(?P<g0>d)", omitted=["1"])

    assert pattern.groupindex == {"g0_1": 1, "g0_2": 2}
    assert pattern.fullmatch("abcd")


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        pytest.param("a|b", ["a", "b"], id="two"),
        pytest.param("(a|b)|[|]|\\|", ["(a|b)", "[|]", "\\|"], id="groups, sets and escapes"),
        pytest.param("", [""], id="none"),
    ],
)
def test_alternatives_are_split_at_the_top_level(pattern: str, parts: list[str]) -> None:
    assert split_alternatives(pattern) == parts


@pytest.mark.parametrize(
    ("pattern", "rewritten"),
    [
        ("a++", "a++"),
        ("(?:a)*+b", "(?>(?:a)*)b"),
        ("(?P<g1_1>a|b)?+", "(?>(?P<g1_1>a|b)?)"),
        ("((?:a)++b){1,3}+c", "(?>((?>(?:a)+)b){1,3})c"),
        (r"[)*+](\)++)\)*+", r"[)*+](\)++)\)*+"),
        ("(?:a)(?:b)*+", "(?:a)(?>(?:b)*)"),
        ("(?:a)+b++", "(?:a)+b++"),
    ],
)
def test_a_possessive_group_becomes_an_atomic_one(pattern: str, rewritten: str) -> None:
    assert with_atomic_groups(pattern) == rewritten


@given(st.text(alphabet="a,b", max_size=12))
def test_an_atomic_group_matches_as_a_possessive_one(text: str) -> None:
    # The engine of `regex` has no such fault in any version.
    pattern = "(a++(?:,a++)*+)(,?b)*+"
    expected = regex.match(pattern, text)
    found = re.match(with_atomic_groups(pattern), text)
    assert (found and found.span()) == (expected and expected.span())


def test_a_compiled_pattern_gives_back_what_a_failed_repetition_took() -> None:
    found = compile_plain("(?P<g1>a++(?:,a++)*+), b").fullmatch("a,a, b")
    assert found is not None
    assert found.groups() == ("a,a",)
