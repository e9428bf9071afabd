"""Searching whole blocks finds the same lines as looking at each line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.stores.logfiles.prefilter import SubstringPrefilter, plain_part

TEXTS = st.text(alphabet="aB1@.-[ ", min_size=1, max_size=4)
WORDS = [f"word{number}x" for number in range(40)]


@given(
    lines=st.lists(st.text(alphabet="aAbB1@.-[ \xe4", max_size=10), max_size=8),
    texts=st.lists(TEXTS, max_size=4),
)
def test_lines_are_those_that_have_one_of_the_texts(lines: list[str], texts: list[str]) -> None:
    block = "".join(f"{line}\n" for line in lines).encode("iso-8859-1").lower()
    found = SubstringPrefilter(map(plain_part, texts)).lines(block)
    assert [block[start:end].decode("iso-8859-1") for start, end in found] == [
        line.lower() for line in lines if any(text.lower() in line.lower() for text in texts)
    ]


@given(st.lists(st.lists(st.sampled_from([*WORDS, "other", "WORD3X"]), max_size=3), max_size=8))
def test_many_texts_find_the_lines_that_have_one_as_a_word(lines: list[list[str]]) -> None:
    block = "".join(f"[{','.join(words)}]: \n" for words in lines).encode().lower()
    found = SubstringPrefilter(map(plain_part, WORDS)).lines(block)
    assert [block[start:end] for start, end in found] == [
        f"[{','.join(words)}]: ".lower().encode()
        for words in lines
        if any(word.lower() in WORDS for word in words)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bob@Example.net", b"bob@example.net"),
        ("grün@example.net", b"n@example.net"),
        ("a\x00bc", b"bc"),
        ("Ωλ", b""),
        ("", b""),
    ],
)
def test_what_is_the_same_in_each_charset_is_searched_for(text: str, expected: bytes) -> None:
    assert plain_part(text) == expected


def test_an_empty_text_is_in_every_line() -> None:
    assert SubstringPrefilter([b""]).lines(b"ab\n\nc\n") == [(0, 2), (3, 3), (4, 5)]
