"""Who mails whom: the domains, hosts, people and queue IDs of a made-up site.

Domains, clients and users are drawn by Zipf's law, as in real traffic: a few come again and again,
most are seen once or twice.  Local parts of foreign addresses and message-ids are mostly unique.
Every name lies under ``example`` (RFC 2606); every address is from the documentation ranges
(RFC 5737, RFC 3849), single home lines from the range for benchmarks (RFC 2544).
"""

from collections.abc import Sequence
from random import Random
from typing import Final, TypeVar

from mailingest.postfix.queue_times import BASE_52

Item = TypeVar("Item")

LOCAL_DOMAIN: Final = "example.com"
_LOCAL_DOMAINS: Final = (LOCAL_DOMAIN, "sales.example.com", "lists.example.com", "example.org")
_DOCUMENTATION_NETS: Final = ("192.0.2", "198.51.100", "203.0.113")
_DOMAINS: Final = 3_000
_USERS: Final = 8_000
_FIRST: Final = (
    "anna ben carla david emil franziska georg hanna ivan julia karl lena marco nina olaf petra "
    "quentin rosa stefan tina ulrich vera walter xenia yannick zoe"
)
_LAST: Final = (
    "adler bauer conrad dietz ernst fuchs gruber huber ivanova jansen keller lang maier neumann "
    "obrien pfeifer quast richter schmidt thoma ullrich vogel wagner xu young zimmermann"
)
_SYLLABLES: Final = "ba cor den fi gra hol ix jan kem lu mer nos or pel qui rad sol tur vex wil"
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

# Postfix writes long queue IDs in base 52, and the inode in base 51 after a "z".
_PAIRS52: Final = [a + b for a in BASE_52 for b in BASE_52]
_PAIRS51: Final = [a + b for a in BASE_52[:51] for b in BASE_52[:51]]
_FIRST_INODE: Final = 0xA40000
_INODES: Final = 0x40000


def _zipf(items: Sequence[Item], slots: int = 16_384, exponent: float = 1.05) -> list[Item]:
    """A table that holds each item about as often as Zipf's law says: a draw is one index."""
    weights = [1 / rank**exponent for rank in range(1, len(items) + 1)]
    scale = slots / sum(weights)
    table: list[Item] = []
    owed = 0.0
    for item, weight in zip(items, weights, strict=True):
        owed += weight * scale
        while len(table) < owed:
            table.append(item)
    return table


class Population:
    """Draws names, addresses and identifiers; the same ``random`` gives the same sequence."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._first = _FIRST.split()
        self._last = _LAST.split()
        self._syllables = _SYLLABLES.split()
        domains = [self._domain_name(number) for number in range(_DOMAINS)]
        self._domains = _zipf(domains)
        self._users = _zipf([self._user_name(number) for number in range(_USERS)])
        self._clients = _zipf([client for name in domains for client in self._hosts_of(name)])
        self._inode = 0
        self._second = -1
        self._second52 = ""

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items, all equally likely."""
        return items[int(self._random.random() * len(items))]

    def _domain_name(self, number: int) -> str:
        stem = "".join(self.pick(self._syllables) for _ in range(2 + number % 3))
        return f"{stem}{number if number % 4 else ''}.{self.pick(('example', 'example.net'))}"

    def _user_name(self, number: int) -> str:
        name = f"{self.pick(self._first)}.{self.pick(self._last)}{number if number > 500 else ''}"
        return f"{name}@{_LOCAL_DOMAINS[number % len(_LOCAL_DOMAINS)]}"

    def _hosts_of(self, domain: str) -> list[str]:
        names = [self.pick(("mail", "mx", "smtp", "out", "relay"))]
        names += [
            f"mail-{self.pick('abcdef')}{number}-out"
            for number in range(int(self._random.random() * 4))
        ]
        return [f"{name}.{domain}[{self._server_address()}]" for name in names]

    def _server_address(self) -> str:
        number = int(self._random.random() * 254) + 1
        if self._random.random() < 0.2:
            return f"2001:db8:{int(self._random.random() * 65536):x}::{number:x}"
        return f"{self.pick(_DOCUMENTATION_NETS)}.{number}"

    def token(self, length: int) -> str:
        """Letters and digits, as in mail ids."""
        return "".join(self._random.choices(_LETTERS, k=length))

    def domain(self) -> str:
        """A foreign domain."""
        return self._domains[int(self._random.random() * len(self._domains))]

    def user(self) -> str:
        """An address of the site's own."""
        return self._users[int(self._random.random() * len(self._users))]

    def stranger(self, domain: str) -> str:
        """A foreign address, seldom seen twice."""
        random = self._random.random
        number = int(random() * 1e6)
        kind = random()
        if kind < 0.2:
            user = self.user().replace("@", "=")
            return f"bounces+{number}-{int(random() * 65536):04x}-{user}@em.{domain}"
        if kind < 0.3:
            return f"{self.pick(('info', 'newsletter', 'noreply', 'billing'))}@{domain}"
        return f"{self.pick(self._first)}.{self.pick(self._last)}{number}@{domain}"

    def client(self) -> str:
        """A mail server as Postfix names it, ``name[address]``."""
        return self._clients[int(self._random.random() * len(self._clients))]

    def bot(self) -> str:
        """A machine that should not send mail, without or with a dial-in name."""
        number = int(self._random.random() * 131_072)
        address = f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
        if self._random.random() < 0.7:
            return f"unknown[{address}]"
        return f"dsl-{address.replace('.', '-')}.pool.{self.domain()}[{address}]"

    def _next_inode(self) -> int:
        self._inode = (self._inode + 1) % _INODES
        return _FIRST_INODE + self._inode

    def short_id(self, time: float) -> str:
        """Microseconds of the second and inode, both in hexadecimal."""
        return f"{int(time % 1 * 1e6):05X}{self._next_inode():X}"

    def long_id(self, time: float) -> str:
        """Six digits of seconds, four of microseconds, ``z`` and the inode."""
        second = int(time)
        if second != self._second:
            high, low = divmod(second, 2704)
            self._second = second
            self._second52 = _PAIRS52[high // 2704] + _PAIRS52[high % 2704] + _PAIRS52[low]
        micro = int(time % 1 * 1e6)
        inode = self._next_inode()
        high, low = divmod(inode, 2601)
        tail = (_PAIRS51[high // 2601] + _PAIRS51[high % 2601] + _PAIRS51[low]).lstrip("0")
        return f"{self._second52}{_PAIRS52[micro // 2704]}{_PAIRS52[micro % 2704]}z{tail}"
