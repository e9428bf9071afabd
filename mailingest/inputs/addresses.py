"""Addresses as they are shown."""


def address_text(host: str, port: int) -> str:
    """``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def peer_text(address: str) -> str:
    """The peer's IP address; an IPv4 peer of a dual-stack IPv6 socket is shown as IPv4.

    The interface of a link-local address (``fe80::1%eth0``) is left out: no store takes it for part
    of an address.
    """
    if "%" in address:
        address = address.partition("%")[0]
    return address.removeprefix("::ffff:") if "." in address else address
