"""Recipients of a mail under one queue ID -> those of it under the next one.

Pure.  Nothing names them both, so addresses are compared: the one that the mail was passed on for
is the recipient there, or the one before an alias there.  A filter may have put an extension into
the address, or taken it away (recipient_delimiter).
"""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final, NamedTuple


class Recipient(NamedTuple):
    """A recipient, and the address before an alias that leads to it; None is not known."""

    address: str | None
    original: str | None = None

    @property
    def origin(self) -> str:
        """The address that the mail came in for."""
        return (self.original or self.address or "").lower()

    @property
    def final(self) -> str:
        return (self.address or "").lower()


@dataclass(frozen=True, slots=True)
class Shares:
    """For each recipient, which ones it became, by their numbers; and those that joined."""

    of_each: list[list[int]]
    joined: list[int] = field(default_factory=list)


_DELIMITERS: Final = "+-"
_DELIMITER: Final = re.compile(r"(?<=.)[+-]", re.DOTALL)

_KeyOf = Callable[[str], str]
_Address = Callable[[Recipient], str]


def share_out(
    before: Sequence[Recipient], after: Sequence[Recipient], *, is_complete: bool
) -> Shares:
    """Which recipients became which.

    ``is_complete`` says whether all of those after are known: then the only one that is left there
    is the only one that is left here, whatever its address has become.
    """
    of_each: list[list[int]] = [[] for _ in before]
    left = set(range(len(after)))
    for address, key_of in _COMPARISONS:
        found: set[int] = set()
        by_key: dict[str, list[int]] = defaultdict(list)
        for number in sorted(left):
            by_key[key_of(address(after[number]))].append(number)
        for shares, recipient in zip(of_each, before, strict=True):
            if not shares and recipient.final:
                near = by_key.get(key_of(recipient.final), ())
                shares += [one for one in near if _is_same(recipient.final, address(after[one]))]
                found |= set(shares)
        left -= found
    empty = [shares for shares in of_each if not shares]
    if is_complete and len(empty) == len(left) == 1:
        empty[0] += left
        left = set()
    return Shares(of_each, sorted(left))


def _whole(address: str) -> str:
    return address


def _stem(address: str) -> str:
    """An address without what may be an extension."""
    local, at, domain = address.rpartition("@")
    return f"{_DELIMITER.split(local, maxsplit=1)[0]}{at}{domain}"


# An address may be there for itself and by way of an alias: the one that it came in for counts.
_COMPARISONS: Final[Sequence[tuple[_Address, _KeyOf]]] = (
    (attrgetter("origin"), _whole),
    (attrgetter("final"), _whole),
    (attrgetter("origin"), _stem),
    (attrgetter("final"), _stem),
)


def _is_same(one: str, other: str) -> bool:
    """Whether two addresses are one, or differ by an extension only, or by what it is."""
    local, at, domain = one.rpartition("@")
    other_local, _, other_domain = other.rpartition("@")
    if one == other:
        return True
    if not at or domain != other_domain:
        return False
    if local.partition("+")[0] == other_local.partition("+")[0]:
        return True
    short, long = sorted((local, other_local), key=len)
    return bool(short) and long.startswith(short) and long[len(short)] in _DELIMITERS
