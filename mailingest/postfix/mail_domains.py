"""Which addresses are of some domains; pure.

A domain is compared as DNS does it: in lower case, and in ASCII (UTS 46, RFC 5891), however a line
has it.  ``*.example.org`` stands for all domains below ``example.org``, not for that one itself.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import idna

_BELOW: Final = "*."
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_LONGEST: Final = 253


@dataclass(frozen=True, slots=True)
class MailDomains:
    """Some domains; ``names`` and those ``below`` others, in ASCII and lower case."""

    names: frozenset[str] = frozenset()
    below: frozenset[str] = frozenset()

    @classmethod
    def read(cls, texts: Iterable[str]) -> "MailDomains":
        """The domains that are written so; raises ValueError, which says what is wrong."""
        names: set[str] = set()
        below: set[str] = set()
        for text in texts:
            written = text.strip()
            (below if written.startswith(_BELOW) else names).add(_read(written))
        return cls(frozenset(names), frozenset(below))

    def covers(self, address: object) -> bool:
        """Whether an address, or a login, has one of the domains; one without a domain has none."""
        if not isinstance(address, str):
            return False
        domain = domain_of(address)
        if not domain:
            return False
        if domain in self.names:
            return True
        labels = domain.split(".")
        return any(".".join(labels[first:]) in self.below for first in range(1, len(labels)))

    def endings(self) -> list[str]:
        """What an address of them ends with in lower case, in each form that a line may have."""
        found = [f"@{form}" for name in sorted(self.names) for form in _forms(name)]
        return [*found, *(f".{form}" for name in sorted(self.below) for form in _forms(name))]

    def __str__(self) -> str:
        return ",".join([*sorted(self.names), *(f"{_BELOW}{one}" for one in sorted(self.below))])


@lru_cache(maxsize=4096)
def domain_of(address: str) -> str:
    """The domain of an address in ASCII and lower case; "" if it has none."""
    _, at, domain = address.strip().removeprefix("<").removesuffix(">").rpartition("@")
    return _ascii(domain) if at else ""


def _ascii(domain: str) -> str:
    plain = domain.lower().removesuffix(".")
    if plain.isascii():
        return plain
    try:
        return idna.encode(plain, uts46=True).decode("ascii")
    except idna.IDNAError:
        # What DNS has no name for is only equal to itself.
        return plain


def _read(text: str) -> str:
    name = _ascii(text.removeprefix(_BELOW))
    labels = name.split(".")
    if len(name) > _LONGEST or len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError(
            f"{text!r} is no mail domain: write example.org, or *.example.org for all below it"
        )
    return name


def _forms(name: str) -> Iterator[str]:
    yield name
    try:
        written = idna.decode(name)
    except idna.IDNAError:
        return
    if written != name:
        yield written
