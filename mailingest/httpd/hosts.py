"""The names under which the pages are asked for, and those under which they may be; pure.

A web page of somebody else can make a name of its own lead to this machine (DNS rebinding), and
then read what is served here.  The browser tells that name in the Host header, so where there is no
password to ask for, only names that are known are answered.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from mailingest.config.host_names import address_name, host_name

_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# Addresses to listen on that stand for all there are; a browser sends them to this machine.
_ANY: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104


def served_names(listening: str, configured: Iterable[str] = ()) -> frozenset[str]:
    """The names of this machine, the one that is listened on, and those that are configured.

    These are in the form of `host_name` already.
    """
    own = address_name(listening) or host_name(listening)
    return _LOCAL.union(configured, {own} - _ANY if own is not None else ())


def asked_name(headers: Sequence[str], target: str | None) -> str | None:
    """The name that a request is for; None if it is not valid, or if it says two.

    ``headers`` are the values of its Host headers, of which there has to be one (RFC 9112, 3.2).
    ``target`` is host and port of a request line with a whole URL, which count then (3.2.2).  What
    is before this server may have looked at the other ones, so the host has to be the same.
    """
    if len(headers) != 1:
        return None
    name = host_name(headers[0])
    return name if target is None or name == host_name(target) else None
