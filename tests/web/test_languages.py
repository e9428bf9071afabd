"""The language that a browser asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.web.languages import preferred_language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("fr,de;q=0.5", "de"),
        ("en-GB", "en"),
        ("fr", "en"),
        ("", "en"),
        (";;;,,,", "en"),
        pytest.param("en;q=0.5,de;q=0.9", "de", id="the greatest weight, not the first"),
        pytest.param("en;q=0.999,de", "de", id="no weight is 1"),
        pytest.param("de,en", "de", id="of equal weights the first"),
        pytest.param("en,de", "en", id="of equal weights the first, the other way round"),
        pytest.param("de-AT;q=0.3,en;q=0.2", "de", id="a region asks for its language"),
        pytest.param("en;q=0,de;q=0.001", "de", id="weight 0 is a refusal"),
        pytest.param("en;q=0", "de", id="refused, and nothing else named"),
        pytest.param("en;q=0,de;q=0", "en", id="all are refused"),
        pytest.param("de-DE,de;q=0", "en", id="a language is refused, its region asked for"),
        pytest.param("*", "en", id="any language"),
        pytest.param("en;q=0.2,*", "de", id="any other language"),
        pytest.param("*;q=0.5,de;q=0.1", "en", id="any other language, which is better"),
        pytest.param("fr,*;q=0.1,en;q=0", "de", id="any language but one"),
        pytest.param("*;q=0,de;q=0.1", "de", id="no other language"),
        pytest.param("DE ; Q=1.000 , en", "de", id="blanks and case"),
        pytest.param("de;q=2,en;q=0.1", "en", id="a weight that is not valid"),
        pytest.param("deutsch-ist-gut,de-x", "de", id="a prefix is not a language"),
    ],
)
def test_the_language_of_a_reader(header: str, language: str) -> None:
    assert preferred_language(header, ("en", "de")) == language


@given(st.text())
def test_any_header_has_a_language(header: str) -> None:
    assert preferred_language(header, ("en", "de")) in ("en", "de")
