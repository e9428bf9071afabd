"""Every word of the pages, in English and German, by subject."""

from collections.abc import Mapping
from typing import Final

from mailingest.web.texts import answers, common, errors, mail, overview, search, verdicts

LANGUAGES: Final = ("en", "de")

SUBJECTS: Final = (common, search, answers, mail, verdicts, overview, errors)
"""Each has ``TEXTS``: a key, and its words in the order of `LANGUAGES`."""

_TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    key: words for subject in SUBJECTS for key, words in subject.TEXTS.items()
}


class Texts:
    """The words of one language; `texts("key", name=value)` fills in values."""

    def __init__(self, language: str) -> None:
        self.language = language if language in LANGUAGES else LANGUAGES[0]
        self.other = LANGUAGES[1 - LANGUAGES.index(self.language)]
        self._place = LANGUAGES.index(self.language)

    def __call__(self, key: str, **values: object) -> str:
        return _TEXTS[key][self._place].format(**values) if values else _TEXTS[key][self._place]
