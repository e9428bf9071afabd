"""Of a block, no document may be passed over that has what is asked for."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.postfix.names import NOQUEUE, QUEUE_ID, RECIPIENT
from mailingest.stores.sqlite.keys import by_values, keys_of, meeting, substring_of_key
from mailingest.stores.sqlite.prefilter import Sought, lines_with

# What folds to ASCII and is none; what JSON escapes; and what is near a text in a line.
_TEXTS = st.text(alphabet='aAkK\N{KELVIN SIGN}sßſé"\\\n\t @', max_size=4)
_FIELDS = st.fixed_dictionaries({}, optional={QUEUE_ID: _TEXTS, RECIPIENT: _TEXTS})


@given(st.lists(_FIELDS, min_size=1, max_size=6))
def test_each_document_is_among_those_that_may_have_one_of_its_keys(
    documents: list[dict[str, str]],
) -> None:
    text = b"\n".join(map(orjson.dumps, documents))
    for place, fields in enumerate(documents):
        for key in keys_of(fields):
            lines = dict(lines_with(text, Sought([substring_of_key(key)])))
            assert lines[place] == orjson.dumps(fields)


@pytest.mark.parametrize(
    ("recipient", "asked"),
    [
        pytest.param("Anna@Example.COM", "anna@example.com", id="case"),
        pytest.param("Anna@\N{KELVIN SIGN}.example", "anna@k.example", id="folds to ASCII"),
        pytest.param('"a\\"b"@example.com', '"a\\"b"@example.com', id="escaped in JSON"),
    ],
)
def test_only_lines_that_may_have_it_are_given(recipient: str, asked: str) -> None:
    others = [{RECIPIENT: "other@elsewhere.example"}] * 3
    text = b"\n".join(map(orjson.dumps, [*others, {RECIPIENT: recipient}, *others]))
    [lookup] = [by_values(RECIPIENT, [asked])]
    [(place, line)] = lines_with(text, Sought([substring_of_key((lookup.kind, asked))]))
    assert place == len(others)
    assert meeting([lookup])(orjson.loads(line))


def test_what_stands_for_a_missing_queue_id_is_in_no_line() -> None:
    key = (0, NOQUEUE)
    assert len(list(lines_with(b"{}\n{}", Sought([substring_of_key(key)])))) == 2
