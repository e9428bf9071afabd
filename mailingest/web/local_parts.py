"""The names in an address: its local part, and what others have written into that; pure.

A local part may hold another address: a mailing list's (VERP), a forwarder's (SRS), a signed
sender's (BATV), a route (RFC 5321, Appendix C and 2.3.11).  It may have an extension, and a login a
domain before it.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

# Local parts that a forwarder or a sender's server has made: nothing else in them is a name.
_MADE: Final = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        # SRS0=HHH=TT=domain=local, SRS1=HHH=forwarder==HHH=TT=domain=local
        r"srs0[=+-][^=]*=[^=]*=[^=]*=(.+)",
        r"srs1[=+-][^=]*=[^=]*=[=+-]?[^=]*=[^=]*=[^=]*=(.+)",
        # prvs=TAG=local, prvs=local=TAG, btv1==TAG==local
        r"(?:prvs|btv1)={1,2}[^=]*={1,2}(.+)",
        r"(?:prvs|btv1)={1,2}([^=]+)=.*",
    )
)
# Each finds the name of somebody within a local part.  An address in it has `=` for `@`.
_WITHIN: Final = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        # list-owner+local=domain@list
        r"(.+)=[^=]*",
        # local%domain@relay, domain!local, DOMAIN\local, @relay:local, "local@domain"@gateway
        r"([^%]+)%.*",
        r".*!([^!]+)",
        r".*\\([^\\]+)",
        r"@[^:]*:(.+)",
        r"(.+)@[^@]*",
    )
)
# recipient_delimiter of Postfix is one of these, mostly; qmail has -.
_EXTENSION: Final = "+"
_DASH: Final = "-"
# A part that is shorter, or has no letter, is rather a word or a number.
_SHORTEST_PART: Final = 3
_SHORTEST_NUMBER: Final = 6
# Of a single letter all is shown anyway.
_SHORTEST: Final = 2
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
# Of names within names; what somebody sends may have no end of them.
_MOST_NAMES: Final = 64


def names_of(addresses: Iterable[str]) -> set[str]:
    """All names in addresses and logins, with and without quotes; domains are none."""
    names: set[str] = set()
    for address in addresses:
        names |= _names_of(address)
    return names


def _names_of(address: str) -> set[str]:
    local = _local_part(address.strip().removeprefix("<").removesuffix(">"))
    found: dict[str, None] = {}
    to_do = [local, _unquoted(local)]
    while to_do and len(found) < _MOST_NAMES:
        name = to_do.pop(0)
        if len(name) >= _SHORTEST and name not in found:
            found[name] = None
            to_do += islice(_parts(name), _MOST_NAMES)
    return set(found)


def _local_part(address: str) -> str:
    """What is before the last @ that is not quoted; all of a login without one."""
    if address.startswith("@") and ":" in address:
        address = address.partition(":")[2]
    local, at, _ = address.rpartition("@")
    return local if at else address


def _unquoted(local: str) -> str:
    """The local part that a quoted one stands for (RFC 5321, 4.1.2: Quoted-string)."""
    match = _QUOTED.fullmatch(local)
    return _ESCAPED.sub(r"\1", match[1]) if match is not None else local


def _parts(name: str) -> Iterator[str]:
    made = [match[1] for pattern in _MADE if (match := pattern.fullmatch(name)) is not None]
    for part in made or _written(name):
        # Or else a number: a status, or a part of a version.
        if any(map(str.isalpha, part)) or len(part) >= _SHORTEST_NUMBER:
            yield part


def _written(name: str) -> Iterator[str]:
    for pattern in _WITHIN:
        if (match := pattern.fullmatch(name)) is not None:
            yield _unquoted(match[1])
            if "=" in name:
                # A list's own name, and a dash, may be before it.
                yield from _ends(match[1])
    if _EXTENSION in name:
        base, *extensions = name.split(_EXTENSION)
        yield base
        yield from filter(_is_telling, extensions)
    base = name.partition(_DASH)[0]
    if "=" not in name and _is_telling(base):
        yield base


def _is_telling(part: str) -> bool:
    return len(part) >= _SHORTEST_PART and any(map(str.isalpha, part))


def _ends(text: str) -> Iterator[str]:
    for match in re.finditer(r"[+-]", text):
        yield text[match.end() :]
