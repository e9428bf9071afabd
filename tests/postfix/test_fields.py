"""The declared fields and the conversion of their values."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.grok.definitions import parse_definitions
from mailingest.grok.library import Library
from mailingest.grok.matcher import Value
from mailingest.postfix.fields import (
    CONVERTERS,
    FIELDS,
    NAMES,
    Field,
    FieldType,
    own_converters,
)

PATTERNS = Path(__file__).parents[2] / "patterns"

INTEGER, FLOAT, IP = "postfix_size", "postfix_delay", "postfix_client_ip"


def test_no_field_is_declared_twice() -> None:
    assert len(NAMES) == len(FIELDS)


def test_every_field_says_what_it_means() -> None:
    assert [field.name for field in FIELDS if not field.meaning] == []


def test_all_that_the_shipped_patterns_capture_is_declared_or_split_into_what_is() -> None:
    definitions = (
        definition
        for path in sorted(PATTERNS.glob("*.grok"))
        for definition in parse_definitions(path.name, path.read_text("utf-8"))
    )
    library = Library(definitions, {})

    assert set(library.fields) - NAMES == {"postfix_keyvalue_data", "postfix_command_counter_data"}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        pytest.param(INTEGER, "0", 0, id="zero"),
        pytest.param(INTEGER, "007", 7, id="leading zeros"),
        pytest.param(INTEGER, "9" * 18, 10**18 - 1, id="the largest integer that surely fits"),
        pytest.param(FLOAT, "0.08", 0.08, id="a fraction"),
        pytest.param(FLOAT, "63495", 63495.0, id="a whole number is a float too"),
        pytest.param(IP, "192.0.2.5", "192.0.2.5", id="IPv4"),
        pytest.param(IP, "2001:db8::25", "2001:db8::25", id="IPv6"),
        pytest.param(IP, "::ffff:192.0.2.5", "::ffff:192.0.2.5", id="IPv4 in IPv6"),
    ],
)
def test_a_value_that_fits(name: str, text: str, value: Value) -> None:
    converted = CONVERTERS[name](text)

    assert (converted, type(converted)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(pytest.param(INTEGER, text, id=f"no integer: {text!r}") for text in ("", "-1", "1.5")),
        *(pytest.param(INTEGER, text, id=f"only for Python: {text!r}") for text in ("1_0", " 1")),
        pytest.param(INTEGER, "٣", id="a digit of another script"),
        pytest.param(INTEGER, "9" * 19, id="larger than a long may be"),
        pytest.param(INTEGER, "9" * 5000, id="larger than Python converts"),
        *(
            pytest.param(FLOAT, text, id=f"no number: {text!r}")
            for text in ("", ".", "1.2.3", "-1")
        ),
        *(pytest.param(FLOAT, text, id=f"not in JSON: {text!r}") for text in ("nan", "inf", "1e9")),
        pytest.param(FLOAT, "٣.٣", id="a number of another script"),
        pytest.param(FLOAT, "9" * 400, id="a number beyond all floats"),
        pytest.param(IP, "unknown", id="no address"),
        pytest.param(IP, "192.0.2", id="half an address"),
        pytest.param(IP, "192.0.2.256", id="an octet that is too large"),
        pytest.param(IP, "fe80::1%eth0", id="an address with a zone"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(name: str, text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the matcher asks for no more than that
        CONVERTERS[name](text)


@given(
    name=st.sampled_from(sorted(CONVERTERS)), text=st.text() | st.from_regex(r"\A[0-9a-f:.%-]*\Z")
)
def test_a_value_fits_or_is_refused(name: str, text: str) -> None:
    try:
        value = CONVERTERS[name](text)
    except ValueError:
        return
    assert isinstance(value, str | int | float)


@pytest.mark.parametrize(
    ("type", "text", "value"),
    [
        pytest.param("integer", "-7", -7, id="an integer below zero"),
        pytest.param("integer", "7", 7, id="an integer"),
        pytest.param("float", "-1.5", -1.5, id="a float below zero"),
        pytest.param("ip", "::1", "::1", id="an address"),
    ],
)
def test_users_own_fields_are_converted_by_their_type(
    type: FieldType, text: str, value: Value
) -> None:
    converters = own_converters([Field("mine", type, "", ""), Field("words", "text", "", "")])

    assert set(converters) == {"mine"}
    assert converters["mine"](text) == value
    with pytest.raises(ValueError):  # noqa: PT011 - the matcher asks for no more than that
        converters["mine"]("--7")
