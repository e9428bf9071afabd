"""Who may send: networks -> a fast answer for each address."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

# An answer is remembered, since senders are few; made-up ones must not fill the memory.
_MOST_ADDRESSES: Final = 4096


class AllowedSenders:
    """The addresses of some networks, or all if there are no networks."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network] = ()) -> None:
        self._networks = tuple(networks)
        self._known: dict[str, bool] = {}

    def __contains__(self, address: str) -> bool:
        if not self._networks:
            return True
        known = self._known.get(address)
        if known is None:
            parsed = ip_address(address)
            known = any(parsed in network for network in self._networks)
            if len(self._known) >= _MOST_ADDRESSES:
                self._known.clear()
            self._known[address] = known
        return known
