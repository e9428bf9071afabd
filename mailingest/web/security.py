"""Who may ask, and how often."""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

from mailingest.errors import UsageError

# scrypt at some 16 MB and 50 ms (RFC 7914; OWASP's smallest advice is N=2^14, r=8, p=5).
_COST = {"n": 2**14, "r": 8, "p": 5}
_MOST_MEMORY = 64 * 1024 * 1024
_HASH = re.compile(r"scrypt\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)")
_NAME = re.compile(r"[^\s:]{1,64}")
# A right password is not hashed again for so long; a wrong one always is.
_REMEMBERED_SECONDS = 300.0
# Peers that are counted at a time.
_MOST_PEERS = 10_000

# Everything comes from this server; the picture is part of the page.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def hash_password(password: str) -> str:
    """A line's second half in the users file."""
    salt = secrets.token_bytes(16)
    return f"scrypt${_encode(salt)}${_encode(_derive(password, salt))}"


class Users:
    """Names and password hashes from a file of lines ``name:scrypt$salt$hash``."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises UsageError for a file that cannot be read, naming the line that is wrong."""
        self._clock = clock
        self._hashes: dict[str, tuple[bytes, bytes]] = {}
        self._remembered: dict[str, tuple[bytes, float]] = {}
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise UsageError(f"web.users_file: cannot read {path}: {reason}") from None
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            name, _, hashed = line.strip().partition(":")
            match = _HASH.fullmatch(hashed)
            if _NAME.fullmatch(name) is None or match is None:
                raise UsageError(
                    f"{path}:{number}: must be name:hash; make the line with `mailingest web-user`"
                )
            self._hashes[name] = (_decode(match[1]), _decode(match[2]))

    def check(self, authorization: str) -> str | None:
        """The user of a Basic Authorization header (RFC 7617), None if it is not right."""
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeError):
            return None
        if not colon:
            return None
        digest = hashlib.sha256(encoded.encode()).digest()
        known, until = self._remembered.get(name, (b"", 0.0))
        if until > self._clock() and hmac.compare_digest(known, digest):
            return name
        # An unknown name costs as much time as a known one.
        salt, expected = self._hashes.get(name, (b"\0" * 16, b""))
        if not hmac.compare_digest(_derive(password, salt), expected):
            return None
        self._remembered[name] = (digest, self._clock() + _REMEMBERED_SECONDS)
        return name


class RateLimit:
    """So many questions a minute for each peer, in bursts of as many."""

    def __init__(self, a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_minute = a_minute
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, peer: str) -> bool:
        """Count a question; False if it is one too many."""
        left = self._now_left(peer)
        is_allowed = left >= 1
        self._left.pop(peer, None)
        self._left[peer] = (left - 1 if is_allowed else left, self._clock())
        if len(self._left) > _MOST_PEERS:
            self._left.popitem(last=False)
        return is_allowed

    def is_spent(self, peer: str) -> bool:
        """Whether the next one would be one too many; it is not counted."""
        return self._now_left(peer) < 1

    def _now_left(self, peer: str) -> float:
        now = self._clock()
        left, since = self._left.get(peer, (float(self._a_minute), now))
        return min(self._a_minute, left + (now - since) * self._a_minute / 60)


def _derive(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=_COST["n"], r=_COST["r"], p=_COST["p"], maxmem=_MOST_MEMORY
    )


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _decode(text: str) -> bytes:
    return base64.b64decode(text)
