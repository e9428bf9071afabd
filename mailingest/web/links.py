"""The links between the pages, which all keep what their reader has chosen; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import urlencode

# A question is in the link to a mail twice encoded, and a request line has 8 KiB at most.
_LONGEST_QUESTION: Final = 2000
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Links:
    """Builds the links of a page for its reader; empty values of a query are left out.

    ``language`` and ``tz``, the name of a time zone or "" for the server's, go along with each.
    ``question`` is the query of the search that a mail was found by, which all links to that mail
    and between its parts take along in ``back``.
    """

    language: str
    tz: str = ""
    question: Mapping[str, str] = field(default_factory=dict)

    @property
    def manner(self) -> dict[str, str]:
        """The part of a query that says how a page is to be shown, also for hidden fields."""
        return _given({"lang": self.language, "tz": self.tz})

    def to(self, path: str, query: Mapping[str, str] = _NOTHING) -> str:
        """The link to a page."""
        # A zone that is none is not handed on.
        asked = {name: value for name, value in query.items() if name not in ("lang", "tz")}
        return _joined(path, {**asked, **self.manner})

    @property
    def back(self) -> str:
        """The way from a mail back to the search, with its question."""
        return self.to("./", self.question)

    def to_mail(
        self, permalink: str, query: Mapping[str, str] = _NOTHING, *, anchor: str = ""
    ) -> str:
        """The link to a mail, or with ``query`` to a part of it; "" if it has no permalink."""
        if not permalink:
            return ""
        link = _joined(permalink, self.of_mail(query))
        return f"{link}#{anchor}" if anchor else link

    def of_mail(self, query: Mapping[str, str]) -> dict[str, str]:
        """The query of such a link, behind the permalink, and the hidden fields of a form."""
        question = urlencode(_given(self.question))
        back = question if len(question) <= _LONGEST_QUESTION else ""
        return _given({**query, **self.manner, "back": back})


def _given(query: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in query.items() if value}


def _joined(path: str, query: Mapping[str, str]) -> str:
    return f"{path}{'&' if '?' in path else '?'}{urlencode(_given(query))}"
