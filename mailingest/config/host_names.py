"""The host of a URL or of a Host header, in one form; pure."""

import ipaddress
import re
from typing import Final

# host and port of RFC 3986, 3.2.2 and 3.2.3, as far as browsers write them: a name in ASCII, or an
# address.  Digits and dots that are no address are no name either (127.1, 0x7f.1).
_AUTHORITY: Final = re.compile(
    r"(?:\[(?P<ipv6>[0-9a-f:.]{2,45})\]|(?P<name>[a-z0-9_.-]{1,254}))(?::[0-9]{0,5})?",
    re.IGNORECASE | re.ASCII,
)
_NUMBER: Final = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)", re.ASCII)


def host_name(authority: str) -> str | None:
    """The host of ``host[:port]`` in lower case; None if that is none.

    An IPv6 address is in its shortest form and without brackets, an IPv4 address within one is
    that IPv4 address, and a dot at the end of a name, which says that it is whole, is left out.
    """
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        return None
    if match["ipv6"] is not None:
        return address_name(match["ipv6"])
    name = match["name"].lower().removesuffix(".")
    labels = name.split(".")
    if not all(0 < len(label) <= 63 for label in labels):
        return None
    if _NUMBER.fullmatch(labels[-1]):
        # WHATWG URL, "ends in a number": browsers take it for an address.
        return address_name(name)
    return name


def address_name(address: str) -> str | None:
    """An IP address as `host_name` writes it; None if it is none."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if parsed.version == 6 else None
    return str(mapped or parsed)
