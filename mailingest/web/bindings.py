"""Which users, and which scripts, see the mail of some domains only.  Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mailingest.errors import UsageError
from mailingest.postfix.mail_domains import MailDomains
from mailingest.trace.visibility import Visibility

EVERYBODY: Final = "*"
"""As the name of a user: all who are not named.  As a domain: all of them."""


@dataclass(frozen=True, slots=True)
class Bindings:
    """By user, the domains whose mail they see; None is all.  Of names, case makes no difference.

    A proxy may let somebody in under their name in any case.
    """

    by_user: Mapping[str, MailDomains | None] = field(default_factory=dict)

    @classmethod
    def read(cls, given: Mapping[str, tuple[str, ...]]) -> "Bindings":
        """The bindings of `web.domains`, whose domains are right; raises UsageError."""
        by_user: dict[str, MailDomains | None] = {}
        for user, domains in given.items():
            if user.casefold() in by_user:
                raise UsageError(f"web.domains.{user}: is there twice, since case is not looked at")
            by_user[user.casefold()] = None if EVERYBODY in domains else MailDomains.read(domains)
        return cls(by_user)

    def with_users(self, others: Mapping[str, MailDomains]) -> "Bindings":
        """These and those of the users file; raises UsageError if a user is in both."""
        for user in others:
            if user.casefold() in self.by_user:
                raise UsageError(
                    f"web.domains.{user}: the line of web.users_file says which domains as well: "
                    "take out one of them"
                )
        folded = {user.casefold(): domains for user, domains in others.items()}
        return Bindings({**self.by_user, **folded})

    def of(self, user: str) -> Visibility | None:
        """What a user sees; None is everything."""
        domains = self.by_user.get(user.casefold(), self.by_user.get(EVERYBODY))
        return Visibility(domains) if domains is not None else None
