"""Lines -> the same without addresses that whoever asks is not to see.  Pure.

What may be seen is listed; every other address is taken out, known or not, plain or encoded, and so
is a name without a domain that a field of the line says is a recipient or a login.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from mailingest.postfix.mail_domains import MailDomains
from mailingest.postfix.names import (
    MESSAGE,
    ORIGINAL_RECIPIENT,
    RECIPIENT,
    SASL_SENDER,
    SASL_USERNAME,
    SENDER,
)
from mailingest.stores.events import StoredEvent

HIDDEN: Final = "[…]"
"""What stands in place of what is not shown."""

# What identifies a line, and says nothing of anybody.
_FRAME: Final = ("_id", "_position", "@timestamp", "type", "host", "program", "pid")
_NAMES: Final = (RECIPIENT, ORIGINAL_RECIPIENT, SENDER, SASL_USERNAME, SASL_SENDER)
# An @, as it is or as URLs, quoted-printable, xtext (RFC 3461), HTML and strings have it.
_AT: Final = re.compile(
    r"@|%(?:25)*40|(?<=\w)[=+]40(?=[\w-]+\.[a-z])|&#(?:64|x40);|&commat;|\\(?:x40|u0040|100)",
    re.IGNORECASE,
)
# The first alternative is bounded, the second ends at the next bracket, the third begins where a
# word does: each takes time in proportion to the text.
_PIECE: Final = re.compile(
    r"""
      "(?:[^"\\<>]|\\.){0,512}"[^\s<>"(),;\[\]]*
    | <[^<>]*>?
    | [^\s<>"(),;\[\]]+
    """,
    re.VERBOSE,
)
_KEY: Final = re.compile(
    r"(?:(?:orig_to|to|from|user|sasl_username|sasl_sender|(?:resent-)?message-id|msgid|helo)="
    r"|mailto:|rfc822[;:])",
    re.IGNORECASE,
)
_LOGIN: Final = re.compile(r"\b(sasl_(?:username|sender)=)([^\s,;]+)", re.IGNORECASE)
_AROUND: Final = ".,:;!?'\"`*{}"


@dataclass(frozen=True, slots=True)
class Redaction:
    """What may be seen: addresses and Message-IDs in lower case, and all addresses of domains."""

    domains: MailDomains
    shown: Collection[str] = field(default_factory=frozenset)

    def shows(self, address: object) -> bool:
        """Whether an address or a login may be seen; what is none, and the empty one, may be."""
        if not address:
            return True
        return str(address).lower() in self.shown or self.domains.covers(address)

    def shows_line(self, event: StoredEvent) -> bool:
        """Whether there is nothing in a line that may not be seen."""
        return all(map(self.shows, map(event.get, _NAMES))) and self.text(
            str(event.get("message", ""))
        ) == event.get("message", "")

    def line(self, event: StoredEvent) -> StoredEvent:
        """A line without what may not be seen."""
        hidden = frozenset(
            str(event[name]).lower() for name in _NAMES if not self.shows(event.get(name))
        )
        return {
            name: value if name in _FRAME else self._value(value, hidden)
            for name, value in event.items()
            if not (name in _NAMES and str(value).lower() in hidden)
        }

    def text(self, text: str, hidden: Collection[str] = ()) -> str:
        """Text without addresses that may not be seen, and without the ``hidden`` names."""

        def seen(match: re.Match[str]) -> str:
            return self._piece(match[0], hidden)

        if hidden or _AT.search(text):
            text = _PIECE.sub(seen, text)
        return _LOGIN.sub(self._login, text)

    def _value(self, value: Any, hidden: Collection[str]) -> Any:
        if isinstance(value, str):
            return self.text(value, hidden)
        if isinstance(value, list):
            return [self._value(one, hidden) for one in value]
        if isinstance(value, dict):
            return {key: self._value(one, hidden) for key, one in value.items()}
        return value

    def _piece(self, piece: str, hidden: Collection[str]) -> str:
        if piece.startswith("<"):
            inner = piece[1:].removesuffix(">")
            return piece if self._is_shown(inner, hidden) else f"<{HIDDEN}>"
        if self._is_shown(piece, hidden):
            return piece
        key = _KEY.match(piece)
        return f"{key[0] if key else ''}{HIDDEN}"

    def _is_shown(self, piece: str, hidden: Collection[str]) -> bool:
        readings = {piece.lower(), piece.lower().strip(_AROUND), _bare(piece).lower()}
        if not readings.isdisjoint(hidden):
            return False
        return _AT.search(piece) is None or any(map(self._is_address_shown, readings))

    def _is_address_shown(self, address: str) -> bool:
        if address in self.shown:
            return True
        # Another address may be within a local part: a list's (VERP), a forwarder's (SRS).
        is_one = len(_AT.findall(address)) == 1 and "=" not in address
        return is_one and self.domains.covers(address)

    def _login(self, match: re.Match[str]) -> str:
        return match[0] if self.shows(match[2]) else f"{match[1]}{HIDDEN}"


def without_content(event: StoredEvent) -> StoredEvent:
    """Only that there was a line, when and where."""
    kept = {name: event[name] for name in _FRAME if name in event}
    return {**kept, "message": HIDDEN, MESSAGE: HIDDEN}


def _bare(piece: str) -> str:
    """What is behind a key such as ``to=``."""
    match = _KEY.match(piece)
    return piece[match.end() :].strip(_AROUND) if match is not None else piece
