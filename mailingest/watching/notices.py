"""What needs a postmaster's look, from when on, and what to do about it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

Kind = Literal["host_silent", "clock_off", "unmatched_new", "relay_defers", "account_jump"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

MEANINGS: Final[dict[Kind, str]] = {
    "host_silent": "a host that used to log is silent",
    "clock_off": "a host's clock is off",
    "unmatched_new": "lines of a new shape are not understood",
    "relay_defers": "a relay that took mail defers everything",
    "account_jump": "an account sends far more than it ever did",
}
HINTS: Final[dict[Kind, str]] = {
    "host_silent": "look whether Postfix and rsyslog run there, and whether their lines reach this "
    "machine; if the host was taken out of service, the notice goes within twelve days",
    "clock_off": "set the clock there (NTP), or its zone in syslog.host_timezones",
    "unmatched_new": "was Postfix upgraded? `mailingest parse --unmatched FILE` shows the lines; "
    "upgrade mailingest, or add a pattern of your own (docs/patterns.md)",
    "relay_defers": "look at the reason on the overview page or with `mailingest trace --status "
    "pending`, then at the relay; the mail waits in Postfix's queue (`postqueue -p`)",
    "account_jump": "if its owner knows nothing of it, the password is stolen: lock the account, "
    "hold its mail (`postsuper -h`), and see with `mailingest trace --sasl-user` what went out",
}

# Of a text that comes from lines; made-up names must not fill a screen either.
LONGEST_SUBJECT: Final = 200
# RFC 1035, 2.3.4; a line may say anything.
LONGEST_HOST: Final = 255
MOST_OF_A_KIND: Final = 50


@dataclass(frozen=True, slots=True)
class Notice:
    """Something is odd about a ``subject`` (a host, relay, account or daemon) since a time.

    ``since`` is in seconds since 1970; ``detail`` says it in figures.
    """

    kind: Kind
    subject: str
    since: float
    detail: str

    @property
    def hint(self) -> str:
        """What to do."""
        return HINTS[self.kind]


class NoticeBoard:
    """The notices of now, and which began or ended since the last look at them.

    ``begun`` counts those of each kind since the start; the longest-standing ones of a kind are
    kept when there are too many.
    """

    def __init__(self) -> None:
        self.begun: Counter[Kind] = Counter()
        self._current: dict[tuple[Kind, str], Notice] = {}
        self._changes: list[tuple[Notice, bool]] = []

    @property
    def current(self) -> list[Notice]:
        """The notices of now, the newest last."""
        return sorted(self._current.values(), key=lambda one: one.since)

    def count(self, kind: Kind) -> int:
        """How many of a kind there are now."""
        return sum(one == kind for one, _ in self._current)

    def update(self, notices: Iterable[Notice]) -> None:
        """These are the notices of now."""
        by_kind: dict[Kind, list[Notice]] = {}
        for notice in notices:
            by_kind.setdefault(notice.kind, []).append(notice)
        found: dict[tuple[Kind, str], Notice] = {}
        for kind, ones in by_kind.items():
            for notice in sorted(ones, key=lambda one: one.since)[:MOST_OF_A_KIND]:
                found[kind, notice.subject] = notice
        for key, notice in found.items():
            if key not in self._current:
                self.begun[notice.kind] += 1
                self._changes.append((notice, True))
        self._changes += [
            (notice, False) for key, notice in self._current.items() if key not in found
        ]
        self._current = found

    def take(self) -> list[tuple[Notice, bool]]:
        """Those that began (true) or ended (false) since the last call."""
        changes, self._changes = self._changes, []
        return changes
