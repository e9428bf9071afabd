"""Files with a line for each name: what it is known by, hashed, and the domains it is bound to."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from mailingest.config import cannot_read
from mailingest.errors import UsageError
from mailingest.postfix.mail_domains import MailDomains

NAME: Final = re.compile(r"[^\s:]{1,64}")


class HashLine(NamedTuple):
    """A line ``name:hash`` or ``name:hash:domains``.

    ``place`` is where it stands, ``hashed`` the match of the hash, and without ``domains`` the name
    is bound to none.
    """

    place: str
    name: str
    hashed: re.Match[str]
    domains: MailDomains | None


def read_hashes(path: Path, key: str, pattern: re.Pattern[str], form: str) -> Iterator[HashLine]:
    """The lines of the file that the setting ``key`` names, but for empty ones and comments.

    A hash is a match of ``pattern``.  Raises UsageError, naming the line that is wrong and the
    ``form`` that it has to have.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{key}: {cannot_read(path, error)}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.strip().partition(":")
        hashed, is_bound, domains = rest.partition(":")
        match, place = pattern.fullmatch(hashed), f"{path}:{number}"
        if NAME.fullmatch(name) is None or match is None:
            raise UsageError(f"{place}: {form}")
        try:
            bound = MailDomains.read(domains.split(",")) if is_bound else None
        except ValueError as error:
            raise UsageError(f"{place}: {error}") from None
        yield HashLine(place, name, match, bound)
