"""Recipients of a mail under one queue ID -> those of it under the next one.

Pure.  Nothing names them both, so addresses are compared: the one that the mail was passed on for
is the recipient there, or the one before an alias there.  A filter may have put an extension into
the address, or taken it away (recipient_delimiter).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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

_Same = Callable[[Recipient, Recipient], bool]
# An address may be there for itself and by way of an alias: the one that it came in for counts.
_COMPARISONS: Final[Sequence[_Same]] = (
    lambda before, after: after.origin == before.final,
    lambda before, after: after.final == before.final,
    lambda before, after: _is_extended(before.final, after.origin),
    lambda before, after: _is_extended(before.final, after.final),
)


def share_out(
    before: Sequence[Recipient], after: Sequence[Recipient], *, is_complete: bool
) -> Shares:
    """Which recipients became which.

    ``is_complete`` says whether all of those after are known: then the only one that is left there
    is the only one that is left here, whatever its address has become.
    """
    of_each: list[list[int]] = [[] for _ in before]
    left = set(range(len(after)))
    for is_same in _COMPARISONS:
        found: set[int] = set()
        for shares, recipient in zip(of_each, before, strict=True):
            if not shares and recipient.final:
                shares += [one for one in sorted(left) if is_same(recipient, after[one])]
                found |= set(shares)
        left -= found
    empty = [shares for shares in of_each if not shares]
    if is_complete and len(empty) == len(left) == 1:
        empty[0] += left
        left = set()
    return Shares(of_each, sorted(left))


def _is_extended(one: str, other: str) -> bool:
    """Whether two addresses differ by an extension only, or by what it is."""
    local, at, domain = one.rpartition("@")
    other_local, other_at, other_domain = other.rpartition("@")
    if not at or not other_at or domain != other_domain:
        return False
    if local.partition("+")[0] == other_local.partition("+")[0]:
        return True
    short, long = sorted((local, other_local), key=len)
    return bool(short) and long.startswith(short) and long[len(short)] in _DELIMITERS
