"""Tokens of scripts: a file of names and hashes, and Bearer headers checked against it.

A token has 256 random bits, so that one round of a hash is enough, and nobody guesses it.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mailingest.errors import UsageError
from mailingest.postfix.mail_domains import MailDomains
from mailingest.web.hash_files import NAME, read_hashes

_PREFIX: Final = "mailingest_"
_BYTES: Final = 32
_HASH: Final = re.compile(r"sha256\$([0-9a-f]{64})")
# RFC 6750, 2.1; what is longer is none of ours.
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,200}=*)", re.IGNORECASE)
_FORM: Final = (
    "must be name:hash, or name:hash:domains; make the line with `mailingest web-token`; a name "
    "may be there once"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A line of the file; ``domains`` are those whose mail is seen, None is all."""

    name: str
    digest: str
    domains: MailDomains | None = None

    def line(self) -> str:
        """The line as `read_tokens` reads it."""
        domains = "" if self.domains is None else f":{self.domains}"
        return f"{self.name}:sha256${self.digest}{domains}"


class Tokens:
    """The tokens of a file."""

    def __init__(self, tokens: Collection[Token]) -> None:
        self._tokens = tuple(tokens)

    def of(self, secret: str) -> Token | None:
        """The token of a secret, None if there is no such one."""
        digest = _digest(secret)
        found = [one for one in self._tokens if hmac.compare_digest(one.digest, digest)]
        return found[0] if found else None


def read_bearer(authorization: str) -> str | None:
    """The secret of an Authorization header (RFC 6750), None if it has none."""
    match = _BEARER.fullmatch(authorization.strip())
    return match[1] if match is not None else None


def is_bearer(authorization: str) -> bool:
    """Whether a header is about a token, right or wrong."""
    return authorization.lstrip()[:7].lower() in ("bearer", "bearer ")


def read_tokens(path: Path) -> list[Token]:
    """The tokens of a file; raises UsageError, naming the line that is wrong."""
    found: dict[str, Token] = {}
    for line in read_hashes(path, "web.tokens_file", _HASH, _FORM):
        if line.name in found:
            raise UsageError(f"{line.place}: {_FORM}")
        found[line.name] = Token(line.name, line.hashed[1], line.domains)
    return list(found.values())


def create(path: Path, name: str, domains: Collection[str]) -> str:
    """Add a token to a file, which is made if need be, and give its secret.

    It is nowhere but in what is given.  Raises UsageError.
    """
    if NAME.fullmatch(name) is None:
        raise UsageError(f"web-token: {name!r} is no name: it has no space, no colon, at most 64")
    known = read_tokens(path) if path.exists() else []
    if any(one.name == name for one in known):
        raise UsageError(
            f"web-token: there is a token {name}: revoke it first, or take another name"
        )
    try:
        bound = MailDomains.read(domains) if domains else None
    except ValueError as error:
        raise UsageError(f"web-token: --domain {error}") from None
    secret = _PREFIX + secrets.token_urlsafe(_BYTES)
    _write(path, [*known, Token(name, _digest(secret), bound)])
    return secret


def revoke(path: Path, name: str) -> None:
    """Take a token out of a file; raises UsageError."""
    known = read_tokens(path)
    left = [one for one in known if one.name != name]
    if len(left) == len(known):
        raise UsageError(f"web-token: there is no token {name} in {path}")
    _write(path, left)


def _write(path: Path, tokens: Collection[Token]) -> None:
    """Replace the file in one step; its owner and rights stay, a new one is for its owner alone."""
    aside = path.with_name(f"{path.name}.new")
    try:
        aside.unlink(missing_ok=True)
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            if path.exists():
                status = path.stat()
                os.fchmod(file.fileno(), status.st_mode & 0o777)
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
            file.writelines(f"{one.line()}\n" for one in tokens)
        aside.replace(path)
    except OSError as error:
        raise UsageError(f"web.tokens_file: cannot write {path}: {error.strerror}") from None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
