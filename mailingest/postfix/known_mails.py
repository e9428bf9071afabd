"""What is known of mails, by host and queue ID, in bounded memory that the hosts share fairly.

Where there is no room any more, the host that takes most of it loses a mail: whoever floods under
one name cannot make another host's mail forgotten.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import nlargest
from itertools import islice, takewhile
from typing import Final

# A mail with its key, without the texts that are only its own; as CPython 3.11 allocates them.
_ENTRY_BYTES: Final = 310
_HOST_BYTES: Final = 1000
# After so many, the host that takes most is looked for again.
_EVICTIONS: Final = 1000
# For one line; more are to go only when the bounds were changed, and then with each line some more.
_MOST_EVICTIONS: Final = 1000
# The share of the room that is made when there is none: to find what is first in a dict takes as
# long as what was before it and has gone, until the dict is made anew.
_EVICTED_SHARE: Final = 1024
# Seconds.  A mail that is moved to the end leaves a hole in the dict until then, so it is not moved
# for each of its first lines: the order is by such spans of time.
_SPAN: Final = 60.0


@dataclass(slots=True)
class EnrichmentCounters:
    """What happened to mails and delivery events since the start."""

    entries_evicted: int = 0
    entries_expired: int = 0
    facts_too_long: int = 0
    deliveries_enriched: int = 0
    deliveries_unmatched: int = 0


# What `KnownMail` notes of itself.
_HAS_SENDER: Final = 1
_HAS_MESSAGE_ID: Final = 2
_IS_RECEIVED: Final = 4


class KnownMail:
    """What is known of a mail, and when a line last began or ended it, in seconds since 1970.

    A busy site has a hundred thousand, so the texts that are only its own are one: a string has
    fifty bytes beside its text.
    """

    __slots__ = (
        "_marks",
        "_sender_length",
        "_texts",
        "client_hostname",
        "client_ip",
        "nrcpt",
        "sasl_username",
        "size",
        "snapshot",
        "touched",
        "uid",
    )

    def __init__(
        self,
        touched: float,
        sender: str | None = None,
        size: int | None = None,
        nrcpt: int | None = None,
        message_id: str | None = None,
        client_hostname: str | None = None,
        client_ip: str | None = None,
        sasl_username: str | None = None,
        uid: int | None = None,
        is_received: bool = False,
    ) -> None:
        self.touched = touched
        self.size = size
        self.nrcpt = nrcpt
        self.client_hostname = client_hostname
        self.client_ip = client_ip
        self.sasl_username = sasl_username
        self.uid = uid
        self.snapshot = 0
        """The number of the snapshot that it was made after; see `KnownMails.writable`."""
        self._texts = ""
        self._sender_length = 0
        self._marks = _IS_RECEIVED if is_received else 0
        if sender is not None:
            self.sender = sender
        if message_id is not None:
            self.message_id = message_id

    @property
    def sender(self) -> str | None:
        """Only qmgr's word is kept as the sender."""
        return self._texts[: self._sender_length] if self._marks & _HAS_SENDER else None

    @sender.setter
    def sender(self, text: str) -> None:
        self._texts = text + self._texts[self._sender_length :]
        self._sender_length = len(text)
        self._marks |= _HAS_SENDER

    @property
    def has_sender(self) -> bool:
        """Whether a sender is known, be it the empty one."""
        return bool(self._marks & _HAS_SENDER)

    @property
    def active_sender(self) -> str | None:
        """For the rule of `mailingest.postfix.lifecycle`; pickup's is none of these."""
        return self.sender

    @property
    def message_id(self) -> str | None:
        """The first one that was logged."""
        return self._texts[self._sender_length :] if self._marks & _HAS_MESSAGE_ID else None

    @message_id.setter
    def message_id(self, text: str) -> None:
        self._texts = self._texts[: self._sender_length] + text
        self._marks |= _HAS_MESSAGE_ID

    @property
    def is_received(self) -> bool:
        """Whether it counts as received."""
        return bool(self._marks & _IS_RECEIVED)

    def mark_received(self) -> None:
        """It does."""
        self._marks |= _IS_RECEIVED

    def copy(self, snapshot: int) -> "KnownMail":
        """The same as it is known now, made after another snapshot."""
        other = KnownMail(
            self.touched,
            self.sender,
            self.size,
            self.nrcpt,
            self.message_id,
            self.client_hostname,
            self.client_ip,
            self.sasl_username,
            self.uid,
        )
        other.snapshot, other._marks = snapshot, self._marks
        return other

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        return _ENTRY_BYTES + len(self._texts)


class _Host:
    """The mails of a host.

    In both parts, those that were touched first are at the beginning, by spans of `_SPAN`.
    """

    __slots__ = ("live", "over", "size_bytes")

    def __init__(self) -> None:
        self.live: dict[str, KnownMail] = {}
        self.over: dict[str, KnownMail] = {}
        self.size_bytes = _HOST_BYTES


class KnownMails:
    """The mails of all hosts, at most ``most`` and about ``most_bytes``.

    A mail is ``live`` until it ends, and ``over`` then.
    """

    def __init__(self, most: int, most_bytes: int, counters: EnrichmentCounters) -> None:
        """``counters`` are told of live mails that had to go."""
        self.size_bytes = 0
        self._counters = counters
        self.most = most
        self.most_bytes = most_bytes
        self._count = 0
        self._snapshot = 0
        self._hosts: dict[str, _Host] = {}
        # The largest one, the size of the second at that time, and for how long it counts as such.
        self._found: tuple[str, int, int] = ("", 0, 0)

    def __len__(self) -> int:
        return self._count

    def limit(self, most: int, most_bytes: int) -> None:
        """Keep to other bounds, as soon as further mails come."""
        self.most, self.most_bytes = most, most_bytes

    def get(self, host: str, key: str) -> tuple[KnownMail | None, bool]:
        """The mail that has a queue ID, or had it last, and whether it is over."""
        mails = self._hosts.get(host)
        if mails is None:
            return None, False
        mail = mails.live.get(key)
        return (mail, False) if mail is not None else (mails.over.get(key), True)

    def begin(self, host: str, key: str, mail: KnownMail) -> None:
        """Take a mail that begins now, in place of what is known under the queue ID."""
        self._put(host, key, mail, is_over=False)

    def writable(self, mail: KnownMail) -> KnownMail:
        """A mail to write into, and to hand back: a snapshot that is being taken keeps the old one.

        It is a copy if there was a snapshot since the mail was made.
        """
        return mail if mail.snapshot == self._snapshot else mail.copy(self._snapshot)

    def update(
        self, host: str, key: str, mail: KnownMail, grown: int, now: float, *, is_over: bool
    ) -> None:
        """Take a mail again that has ``grown`` by some bytes, and is touched now.

        The end of one that is over does not move, though a line came after it.
        """
        mails = self._hosts[host]
        part = mails.over if is_over else mails.live
        if not is_over:
            if now // _SPAN != mail.touched // _SPAN:
                del part[key]
            mail.touched = now
        part[key] = mail
        if grown:
            self._grow(mails, grown)
            if self.size_bytes > self.most_bytes or self._count > self.most:
                self._evict()

    def end(self, host: str, key: str, mail: KnownMail) -> None:
        """Take a mail that ended now, in place of what is known under the queue ID."""
        self._put(host, key, mail, is_over=True)

    def forget(self, *, live: float, over: float) -> None:
        """Drop mails that were touched last at these times or before."""
        for name, mails in list(self._hosts.items()):
            self._drop_until(mails, mails.over, over)
            self._counters.entries_expired += self._drop_until(mails, mails.live, live)
            self._forget_if_empty(name, mails)

    def rows(self) -> Iterator[tuple[str, bool, list[tuple[str, KnownMail]]]]:
        """All mails at the time of the call: host, whether they are over, key and mail each."""
        self._snapshot += 1
        parts = [
            (name, mails is one.over, list(mails.items()))
            for name, one in self._hosts.items()
            for mails in (one.live, one.over)
        ]
        return iter(parts)

    def restore(self, host: str, mails: Iterable[tuple[str, KnownMail]], *, is_over: bool) -> None:
        """Take mails of `rows`, as they were."""
        for key, mail in mails:
            self._put(host, key, mail, is_over=is_over)

    def _put(self, host: str, key: str, mail: KnownMail, *, is_over: bool) -> None:
        mails = self._hosts.get(host)
        if mails is None:
            mails = self._hosts[host] = _Host()
            self.size_bytes += _HOST_BYTES
        mail.snapshot = self._snapshot
        known = mails.live.pop(key, None) or mails.over.pop(key, None)
        (mails.over if is_over else mails.live)[key] = mail
        if known is None:
            self._count += 1
            self._grow(mails, mail.size_bytes)
        elif known is not mail:
            self._grow(mails, mail.size_bytes - known.size_bytes)
        if self.size_bytes > self.most_bytes or self._count > self.most:
            self._evict()

    def _pop(self, mails: _Host, part: dict[str, KnownMail], key: str) -> None:
        mail = part.pop(key)
        self._count -= 1
        self._grow(mails, -mail.size_bytes)

    def _grow(self, mails: _Host, by: int) -> None:
        mails.size_bytes += by
        self.size_bytes += by

    def _drop_until(self, mails: _Host, part: dict[str, KnownMail], until: float) -> int:
        # With each second of the lines, and nearly always in vain.
        if not part or next(iter(part.values())).touched > until:
            return 0
        keys = [key for key, _ in takewhile(lambda one: one[1].touched <= until, part.items())]
        for key in keys:
            self._pop(mails, part, key)
        return len(keys)

    def _forget_if_empty(self, name: str, mails: _Host) -> None:
        if not mails.live and not mails.over:
            del self._hosts[name]
            self.size_bytes -= mails.size_bytes

    def _evict(self) -> None:
        """Make room: there is none."""
        most_bytes = self.most_bytes - self.most_bytes // _EVICTED_SHARE
        most = self.most - self.most // _EVICTED_SHARE
        firsts: dict[tuple[str, bool], Iterator[str]] = {}
        for _ in range(_MOST_EVICTIONS):
            if not self._count or (self.size_bytes <= most_bytes and self._count <= most):
                return
            name, mails = self._largest()
            part = mails.over or mails.live
            is_live = part is mails.live
            self._counters.entries_evicted += is_live
            keys = firsts.get((name, is_live))
            if keys is None:
                keys = firsts[name, is_live] = iter(list(islice(part, _MOST_EVICTIONS)))
            self._pop(mails, part, next(keys))
            self._forget_if_empty(name, mails)

    def _largest(self) -> tuple[str, _Host]:
        """The host that takes most of the memory; it is looked for now and then only."""
        name, second, left = self._found
        mails = self._hosts.get(name)
        if mails is None or mails.size_bytes < second or not left:
            sizes = nlargest(2, ((one.size_bytes, host) for host, one in self._hosts.items()))
            name, second, left = sizes[0][1], sizes[-1][0], _EVICTIONS
        self._found = (name, second, left - 1)
        return name, self._hosts[name]
