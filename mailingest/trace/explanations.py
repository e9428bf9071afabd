"""Replies of mail servers -> what they mean to people, and what to do; pure.

What is known is data: ``config/explanations.toml``, and files of an operator's own.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

Language = Literal["en", "de"]

# RFC 3463, section 2: class "." subject "." detail; a success needs no words.
_CODE: Final = re.compile(r"(?<![\d.])[45](\.\d{1,3}\.\d{1,3})(?![\d.])", re.ASCII)
# Of these, nothing has to be explained.
_WELL: Final = frozenset({"delivered", "handed_over", "probe"})
_REMEMBERED: Final = 1024


class Explanation(NamedTuple):
    """What a reply means, and what to do about it: a sentence each."""

    means: str
    advice: str

    def __str__(self) -> str:
        return f"{self.means} {self.advice}"


class Rule(NamedTuple):
    """Replies of one kind, and their explanation in each language; English is never missing.

    ``code`` is an enhanced status code in which x is any number, ``text`` are texts of which the
    reply has one, ``relay`` domains of the server that replied.  All that is given has to hold.
    """

    code: str | None
    text: Sequence[str]
    relay: Sequence[str]
    words: Mapping[str, Explanation]


class _Prepared(NamedTuple):
    code: re.Pattern[str] | None
    texts: Sequence[str]
    domains: Sequence[str]
    rule: Rule

    def fits(self, reply: str, code: str, server: str) -> bool:
        """Whether a reply is of this kind; it and the server's name are in lower case."""
        return (
            (self.code is None or self.code.fullmatch(code) is not None)
            and (not self.texts or any(text in reply for text in self.texts))
            and (not self.domains or f".{server}".endswith(tuple(self.domains)))
        )


class Explanations:
    """Explains replies by the first of the rules that fits."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = [
            _Prepared(
                None if rule.code is None else _pattern(rule.code),
                [text.lower() for text in rule.text if text],
                [f".{domain.lower().lstrip('.')}" for domain in rule.relay],
                rule,
            )
            for rule in rules
        ]
        self._found = lru_cache(_REMEMBERED)(self._look)

    def __len__(self) -> int:
        """How many kinds of replies are known."""
        return len(self._rules)

    def of(self, row: Mapping[str, Any], language: str = "en") -> Explanation | None:
        """What the last reply means for a mail that did not come through; None if nobody knows.

        ``row`` has the keys verdict, reply, dsn and relay of `mailingest.trace.answer`.
        """
        if row["verdict"] in _WELL:
            return None
        found = self._found(row["reply"] or "", row["dsn"] or "", row["relay"] or "")
        if found is None:
            return None
        return found.words.get(language) or found.words["en"]

    def json(self, row: Mapping[str, Any], language: str = "en") -> dict[str, str] | None:
        """The same as the object ``explanation`` of an answer for scripts."""
        found = self.of(row, language)
        return None if found is None else found._asdict()

    def _look(self, reply: str, dsn: str, relay: str) -> Rule | None:
        code = dsn if _CODE.fullmatch(dsn) else ""
        if not code and (named := _CODE.search(reply)) is not None:
            code = named[0]
        if (not code and not reply) or dsn.startswith("2."):
            return None
        server = relay.partition("[")[0].lower()
        lowered = reply.lower()
        fits = (one.rule for one in self._rules if one.fits(lowered, code, server))
        return next(fits, None)


def _pattern(code: str) -> re.Pattern[str]:
    parts = (r"\d+" if part == "x" else part for part in code.split("."))
    return re.compile(r"\.".join(parts), re.ASCII)
