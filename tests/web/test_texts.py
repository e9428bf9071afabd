"""The pages speak English and German."""

import re
from pathlib import Path
from typing import get_args

import pytest

import mailingest
from mailingest.stores.gaps import GapCode
from mailingest.trace.notes import TEXTS, NoteCode
from mailingest.trace.story import Verdict
from mailingest.web.texts import _TEXTS, SUBJECTS, Texts


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_verdict_has_a_word_and_a_meaning(language: str) -> None:
    texts = Texts(language)
    for verdict in get_args(Verdict):
        assert texts(f"verdict_{verdict}")
        assert texts(f"meaning_{verdict}")


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_reason_why_an_answer_is_not_whole_has_words(language: str) -> None:
    texts = Texts(language)
    assert all(texts(f"why_{code}") for code in get_args(GapCode))


@pytest.mark.parametrize("code", get_args(NoteCode))
def test_every_note_has_words_and_the_same_values_in_each_form(code: NoteCode) -> None:
    forms = (TEXTS[code], *(Texts(language)(f"note_{code}") for language in ("en", "de")))
    assert all(forms)
    assert len({frozenset(re.findall(r"\{(\w+)\}", form)) for form in forms}) == 1


def test_every_text_is_translated() -> None:
    # Names, forms and figures of speech that are the same in both.
    same = {"live", "message_id"}
    assert {key for key, (english, german) in _TEXTS.items() if english == german} == same


def test_no_template_has_words_of_one_language() -> None:
    room = Path(mailingest.__file__).parent / "web" / "templates"
    words: set[str] = set()
    for path in room.glob("*.html"):
        text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", path.read_text("utf-8"), flags=re.S)
        words |= set(re.findall(r"[^\W\d_]{2,}", re.sub(r"<[^>]*>|&\w+;", " ", text)))
    # Names of formats.
    assert words == {"CSV", "JSON", "Lines"}


def test_no_key_is_in_two_subjects() -> None:
    assert sum(len(subject.TEXTS) for subject in SUBJECTS) == len(_TEXTS)


def test_no_text_is_left_over() -> None:
    room = Path(mailingest.__file__).parent
    sources = [*room.rglob("*.py"), *room.glob("web/templates/*.html")]
    source = "\n".join(
        one.read_text("utf-8") for one in sources if "/web/texts" not in one.as_posix()
    )
    named = set(re.findall(r'"(\w+)"', source))
    # Those of which the rest is filled in.
    begun = tuple(re.findall(r'f?"(\w+_)(?:\{|" ~)', source))
    assert {key for key in _TEXTS if key not in named and not key.startswith(begun)} == set()


def test_an_unknown_language_is_english() -> None:
    assert (Texts("xx").language, Texts("xx").other) == ("en", "de")
    assert Texts("de").other == "en"
