"""Names that are known, in text: they are found in whatever form they stand, and masked; pure."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from mailingest.web.local_parts import names_of
from mailingest.web.readings import Reading, fold, readings

# Services have these names rather than people, and as words they are in most lines.
OF_SERVICES: Final = frozenset(
    {"mail", "mx", "smtp", "lmtp", "postfix", "dovecot", "localhost", "local", "virtual", "relay"}
)
"""What no name of somebody is taken for."""

_NO_LETTERS_OF_HOSTS: Final = re.compile(r"[._]")

# The shortest name has so many characters.
_BEGINNING: Final = 2


class KnownNames:
    """The names in addresses and logins; see `mailingest.web.local_parts`."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self._letters = {
            form: first_letter(name)
            for name in names_of(addresses)
            for form in _forms(name)
            if len(form) > 1 and form not in OF_SERVICES
        }
        # A mail may name thousands, of whom a text names a few: beginnings are searched for.
        lengths: dict[str, set[int]] = defaultdict(set)
        for form in self._letters:
            lengths[form[:_BEGINNING]].add(len(form))
        self._lengths = dict(lengths)

    def masked(self, text: str) -> str:
        """The text with the first letter of each name in its place.

        A name is one where no letter or digit is beside it; host names and numbers in text would
        be full of them otherwise.
        """
        spans = sorted(self._spans(text))
        if not spans:
            return text
        pieces: list[str] = []
        end = 0
        for start, minus_end, letter in spans:
            # What overlaps goes with the one that begins first.
            if start >= end:
                # In the case of the text, where its first letter stands for itself.
                own = first_letter(text[start : start + 1])
                pieces += [text[end:start], own if own.lower() == letter.lower() else letter]
            end = max(end, -minus_end)
        return "".join([*pieces, text[end:]])

    def _spans(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Where names stand; the end is negative, for the longest one to come first."""
        for reading in readings(text):
            for beginning, lengths in self._lengths.items():
                for form, start, end in self._found(reading, beginning, lengths):
                    yield start, -end, self._letters[form]

    def _found(
        self, reading: Reading, beginning: str, lengths: Iterable[int]
    ) -> Iterator[tuple[str, int, int]]:
        """The forms with a beginning, and where they stand in the text that is read."""
        text = reading.text
        start = text.find(beginning)
        while start >= 0:
            for length in lengths:
                end = start + length
                form = text[start:end]
                if form in self._letters and end <= len(text) and _is_whole(text, start, end):
                    yield (form, *reading.span(start, end))
            start = text.find(beginning, start + 1)


def first_letter(local: str) -> str:
    """What is shown of a local part."""
    first = next((character for character in local if character.isalnum()), "")
    return f"{first}***"


def _forms(name: str) -> Iterator[str]:
    """A name as it may be read, folded."""
    yield fold(name)
    # As a label of a host's name.
    yield fold(_NO_LETTERS_OF_HOSTS.sub("-", name))
    if not name.isascii():
        # Postfix writes ? for what it cannot print, for an octet or a character.
        octets = name.encode("utf-8", "replace")
        yield fold("".join(chr(one) if one < 128 else "?" for one in octets))
        yield fold("".join(one if one.isascii() else "?" for one in name))
        # UTF-8 that was taken for ISO-8859-1.
        yield fold(octets.decode("latin-1"))


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether no letter or digit is beside one of what stands there."""
    return not (text[start - 1 : start].isalnum() and text[start].isalnum()) and not (
        text[end : end + 1].isalnum() and text[end - 1].isalnum()
    )
