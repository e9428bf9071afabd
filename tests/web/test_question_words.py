"""A question in words: each field that asks for something, once, in the reader's language."""

from zoneinfo import ZoneInfo

import pytest

from mailingest.web.question_words import in_words
from mailingest.web.questions import FIELDS
from mailingest.web.texts import Texts

BERLIN = ZoneInfo("Europe/Berlin")


def words(language: str = "en", **given: str) -> str:
    form = {**dict.fromkeys(FIELDS, ""), **given}
    return " · ".join(f"{name}: {value}" for name, value in in_words(form, Texts(language), BERLIN))


@pytest.mark.parametrize(
    ("given", "english", "german"),
    [
        (
            {"to": "bob@example.net", "span": "2d"},
            "Recipient: bob@example.net · Time: 2 days",
            "Empfänger: bob@example.net · Zeit: 2 Tage",
        ),
        (
            {"status": "bounced,pending", "order": "oldest", "tz": "UTC"},
            "Time: any time · Verdict: Bounced, Pending",
            "Zeit: beliebig · Ergebnis: Unzustellbar, In Zustellung",
        ),
        (
            {"since": "2026-11-24T10:00:00.000Z", "until_at": "2026-11-24T12:30:05"},
            "Time: 2026-11-24 11:00 to 2026-11-24 12:30:05",
            "Zeit: 24.11.2026 11:00 bis 24.11.2026 12:30:05",
        ),
        (
            {"since": "gestern", "status": "lost"},
            "Time: since gestern · Verdict: lost",
            "Zeit: seit gestern · Ergebnis: lost",
        ),
        ({"text": "a\u202eb"}, "Time: any time · Text in a log line: a\\u202eb", ""),
    ],
)
def test_a_question_is_put_into_words(given: dict[str, str], english: str, german: str) -> None:
    assert words("en", **given) == english
    assert not german or words("de", **given) == german


def test_no_field_is_left_out() -> None:
    manner = {"order", "tz"}
    for name in set(FIELDS) - manner - {"span"}:
        assert "2031" in words(**{name: "2031"}), name
