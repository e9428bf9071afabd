"""Names of people in names of hosts that are counted, such as ``ann-laptop.dyn.example.net``; pure.

The overview shows no mail in whose addresses such names would be known, so that they are those of
all who are counted.
"""

import re
from collections.abc import Iterable
from functools import partial
from typing import Final

from mailingest.web.known_names import OF_SERVICES, first_letter

_WORD: Final = re.compile(r"[a-z]{3,}", re.ASCII)
# The last labels of a name are a domain, which stays, like that of an address.
_OF_DOMAIN: Final = 2


def words_of(addresses: Iterable[str]) -> frozenset[str]:
    """The words in the local parts of addresses, and in logins, that may be names of people."""
    locals_of = (address.lower().rpartition("@") for address in addresses)
    words = {
        word for local, at, login in locals_of for word in _WORD.findall(local if at else login)
    }
    return frozenset(words - OF_SERVICES)


def masked_host(host: str, words: frozenset[str]) -> str:
    """The name of a host with the first letter of each of these words in its place.

    >>> masked_host("ann-laptop2.dyn.ann.example", frozenset({"ann"}))
    'a***-laptop2.dyn.ann.example'
    """
    labels = host.split(".")
    own = ".".join(labels[:-_OF_DOMAIN])
    return re.sub(r"[a-zA-Z]+", partial(_masked, words), own) + host[len(own) :]


def _masked(words: frozenset[str], match: re.Match[str]) -> str:
    return first_letter(match[0]) if match[0].lower() in words else match[0]
