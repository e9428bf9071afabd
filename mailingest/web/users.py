"""Users of the pages: a file of names and password hashes, and Basic logins checked against it."""

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import BasicAuth

from mailingest.postfix.mail_domains import MailDomains
from mailingest.web.hash_files import NAME, read_hashes

# scrypt with 16 MB and some 0.25 s of a core (RFC 7914; OWASP's least advice is N=2^14, r=8, p=5).
_COST = {"n": 2**14, "r": 8, "p": 5}
_MOST_MEMORY = 64 * 1024 * 1024
_HASH = re.compile(r"scrypt\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)")
_FORM = "must be name:hash, or name:hash:domains; make the line with `mailingest web-user`"
# Hexadecimal digits of what makes the token of a browser its own.
_NONCE_LENGTH = 32
# A right password is not hashed again for this time; a wrong one always is.
_REMEMBERED_SECONDS = 300.0


def hash_password(password: str) -> str:
    """The second half of a line in the users file."""
    salt = secrets.token_bytes(16)
    return f"scrypt${_encode(salt)}${_encode(_derive(password, salt))}"


@dataclass(frozen=True, slots=True)
class Login:
    """What somebody claims to be, and the proof."""

    name: str
    password: str = field(repr=False)


def read_login(authorization: str) -> Login | None:
    """The Basic login of an Authorization header (RFC 7617), None if that has no valid one."""
    try:
        decoded = BasicAuth.decode(authorization, encoding="utf-8")
    except ValueError:
        return None
    # No user has a name of another form, and what is counted by name has to be short.
    if NAME.fullmatch(decoded.login) is None:
        return None
    return Login(decoded.login, decoded.password)


class Users:
    """Names and password hashes from a file of lines ``name:scrypt$salt$hash[:domain,…]``.

    ``domains`` are those that the mail of which a user sees, by user; who is not there sees all.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises UsageError for a file that cannot be read, naming the line that is wrong."""
        self._clock = clock
        self._hashes: dict[str, tuple[bytes, bytes]] = {}
        self.domains: dict[str, MailDomains] = {}
        self._remembered: dict[str, tuple[bytes, float]] = {}
        for line in read_hashes(path, "web.users_file", _HASH, _FORM):
            self._hashes[line.name] = (_decode(line.hashed[1]), _decode(line.hashed[2]))
            if line.domains is not None:
                self.domains[line.name] = line.domains

    def remembers(self, login: Login) -> bool:
        """Whether this password was found right a short time ago; costs nothing."""
        digest, until = self._remembered.get(login.name, (b"", 0.0))
        return until > self._clock() and hmac.compare_digest(digest, _digest(login))

    def has(self, name: str) -> bool:
        """Whether there is such a user."""
        return name in self._hashes

    def new_device(self, name: str) -> str:
        """A token that says that a browser has logged in as this user; see `knows_device`."""
        nonce = secrets.token_hex(16)
        return f"{nonce}.{self._device_digest(name, nonce)}"

    def knows_device(self, name: str, token: str) -> bool:
        """Whether the token was made for this user, whose password is still the same."""
        nonce, _, digest = token.partition(".")
        if not (self.has(name) and len(nonce) == _NONCE_LENGTH and token.isascii()):
            return False
        return hmac.compare_digest(digest, self._device_digest(name, nonce))

    def _device_digest(self, name: str, nonce: str) -> str:
        salt, derived = self._hashes[name]
        return hmac.new(salt + derived, f"device {name} {nonce}".encode(), "sha256").hexdigest()

    def verify(self, login: Login) -> bool:
        """Whether the password is that of the user; costs memory and time, so call it in a thread.

        An unknown name costs as much as a known one.
        """
        salt, expected = self._hashes.get(login.name, (b"\0" * 16, b""))
        if not hmac.compare_digest(_derive(login.password, salt), expected):
            return False
        self._remembered[login.name] = (_digest(login), self._clock() + _REMEMBERED_SECONDS)
        return True


def _digest(login: Login) -> bytes:
    return hashlib.sha256(f"{login.name}:{login.password}".encode()).digest()


def _derive(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=_COST["n"], r=_COST["r"], p=_COST["p"], maxmem=_MOST_MEMORY
    )


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _decode(text: str) -> bytes:
    return base64.b64decode(text)
