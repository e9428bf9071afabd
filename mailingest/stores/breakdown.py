"""Documents -> who sent what to whom, how long it took and what else a report says; pure.

Counted are lines, by their outcome (see `mailingest.postfix.outcome`), one by one: so that it is
the same whether a store keeps parts of it, reads its documents, or files are read.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Any, Final, Literal, get_args

from mailingest.postfix.completion import completed
from mailingest.postfix.names import (
    ACTION,
    CLIENT_IP,
    DELAY,
    FORWARDED_QUEUE_ID,
    MESSAGE,
    MESSAGE_LEVEL,
    MILTER_RESULT,
    OUTCOME,
    RECEIVED_SIZE,
    RECIPIENT,
    RELAY_HOSTNAME,
    SASL_USERNAME,
    SENDER,
    SERVICE,
    SIZE,
    TLS_VERSION,
)
from mailingest.postfix.outcome import Outcome
from mailingest.postfix.reasons import reason
from mailingest.stores.gaps import Gap

Dimension = Literal[
    "sender",
    "sender_domain",
    "sasl_user",
    "recipient",
    "recipient_domain",
    "client",
    "relay",
    "host",
]
"""By what names are counted."""
DIMENSIONS: Final[tuple[Dimension, ...]] = get_args(Dimension)

FIELDS_OF_NAMES: Final[Mapping[Dimension, str]] = {
    "sender": SENDER,
    "sender_domain": SENDER,
    "sasl_user": SASL_USERNAME,
    "recipient": RECIPIENT,
    "recipient_domain": RECIPIENT,
    "client": CLIENT_IP,
    "relay": RELAY_HOSTNAME,
    "host": "host",
}
"""The field that has the name; of the domains it is what comes after the last ``@``."""
DOMAINS: Final[frozenset[Dimension]] = frozenset({"sender_domain", "recipient_domain"})
ADDRESSES: Final[frozenset[Dimension]] = DOMAINS | {"sender", "recipient"}
"""These are in lower case; all others are as they stand in the line."""
TIMED: Final[frozenset[Dimension]] = frozenset({"recipient_domain", "relay"})
"""Those whose delays are counted."""

Column = Literal["sent", "deferred", "bounced", "discarded", "rejected"]
COLUMNS: Final[tuple[Column, ...]] = get_args(Column)
COLUMN_OF: Final[Mapping[Outcome, Column]] = {
    "sent": "sent",
    "deferred": "deferred",
    "bounced": "bounced",
    "expired": "bounced",
    "discarded": "discarded",
    "rejected": "rejected",
}
"""What lines count as that name somebody; others say nothing of what became of a mail."""

DELAY_BOUNDS: Final = (0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 86_400)
"""Seconds: delays that are less than the first are counted together, and so on."""

LONGEST_NAME: Final = 320
"""Characters of a name that is counted (RFC 5321, 4.5.3.1: local part, @ and domain)."""
MOST_NAMES: Final = 10_000
"""Names of a kind that are counted at once; beyond twice as many, the rarer ones are dropped."""
MOST_WARNINGS: Final = 500

LEVELS: Final = frozenset({"warning", "error", "fatal", "panic"})
"""The values of `postfix_message_level` of a warning."""


@dataclass(slots=True)
class Figures:
    """What became of mails with a name; ``bytes`` are those of what was sent.

    ``delays`` has the numbers of what was sent, by `DELAY_BOUNDS`; it is empty where none is
    counted.
    """

    sent: int = 0
    deferred: int = 0
    bounced: int = 0
    discarded: int = 0
    rejected: int = 0
    bytes: int = 0
    delays: list[int] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All lines."""
        return self.sent + self.deferred + self.bounced + self.discarded + self.rejected

    @property
    def attempts(self) -> int:
        """The attempts to deliver, of which shares are told."""
        return self.sent + self.deferred + self.bounced

    def add(self, column: Column, count: int = 1) -> None:
        """Count lines."""
        setattr(self, column, getattr(self, column) + count)

    def add_delay(self, bucket: int, count: int = 1) -> None:
        """Count deliveries that took as long as the bucket says."""
        if not self.delays:
            self.delays = [0] * (len(DELAY_BOUNDS) + 1)
        self.delays[bucket] += count

    def merge(self, other: "Figures") -> None:
        """Add those of the same name."""
        for column in COLUMNS:
            self.add(column, getattr(other, column))
        self.bytes += other.bytes
        for bucket, count in enumerate(other.delays):
            self.add_delay(bucket, count)

    def percentile(self, percent: int) -> float | None:
        """The least of `DELAY_BOUNDS`, in seconds, that so many percent of the delays are below.

        None if there are no delays; infinite if it is greater than all bounds.
        """
        left = -(-sum(self.delays) * percent // 100)
        for bucket, count in enumerate(self.delays):
            left -= count
            if left <= 0 < count:
                return DELAY_BOUNDS[bucket] if bucket < len(DELAY_BOUNDS) else float("inf")
        return None

    def row(self) -> list[int]:
        """All numbers, for `of_row`."""
        return [*(getattr(self, column) for column in COLUMNS), self.bytes, *self.delays]

    @classmethod
    def of_row(cls, row: Sequence[int]) -> "Figures":
        """The figures of a `row`."""
        sent, deferred, bounced, discarded, rejected, size, *delays = row
        return cls(sent, deferred, bounced, discarded, rejected, size, delays)


@dataclass(slots=True)
class Breakdown:
    """What happened in a time, by name, and what is told apart from outcomes.

    ``short_by`` says by how much the numbers of a name of that kind may be too small, since rarer
    names were dropped.  ``received`` are mails that were received and got into the queue, and their
    size; where lines of earlier versions are counted, it is too small.  ``forwarded`` are
    deliveries to another address by local(8).  ``tls`` has deliveries over the network by TLS
    protocol, "" for none.  ``gaps`` are what could not be read.
    """

    names: dict[Dimension, dict[str, Figures]] = field(default_factory=dict)
    short_by: Counter[Dimension] = field(default_factory=Counter)
    received: int = 0
    received_bytes: int = 0
    forwarded: int = 0
    held: int = 0
    reject_warnings: int = 0
    tls: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    gaps: Sequence[Gap] = ()

    def __post_init__(self) -> None:
        for dimension in DIMENSIONS:
            self.names.setdefault(dimension, {})

    def add(self, document: Mapping[str, Any]) -> None:
        """Count a document, also one that an earlier version made."""
        fields = completed(document)
        outcome: Outcome | None = fields.get(OUTCOME)
        if outcome is not None:
            self._add_outcome(outcome, fields)
        elif RECEIVED_SIZE in fields:
            self.received += 1
            self.received_bytes += fields[RECEIVED_SIZE]
        elif fields.get(MESSAGE_LEVEL) in LEVELS:
            self.warnings[warning_of(fields)] += 1
            if len(self.warnings) > 2 * MOST_WARNINGS:
                self._drop_warnings()
        elif _is_held(fields):
            self.held += 1
        elif fields.get(ACTION) == "reject_warning":
            self.reject_warnings += 1

    def merge(self, other: "Breakdown") -> None:
        """Add those of another time."""
        for dimension, found in other.names.items():
            names = self.names[dimension]
            for name, figures in found.items():
                names.setdefault(name, Figures()).merge(figures)
            self._bound(dimension)
        self.short_by.update(other.short_by)
        self.received += other.received
        self.received_bytes += other.received_bytes
        self.forwarded += other.forwarded
        self.held += other.held
        self.reject_warnings += other.reject_warnings
        self.tls.update(other.tls)
        self.warnings.update(other.warnings)
        self._drop_warnings()

    def top(self, dimension: Dimension, count: int) -> list[tuple[str, Figures]]:
        """The names with the most lines, the most first."""
        found = self.names[dimension].items()
        return sorted(found, key=lambda one: (-one[1].total, one[0]))[:count]

    def keep(self, count: int) -> None:
        """Drop all but the ``count`` most frequent names of each kind."""
        for dimension in DIMENSIONS:
            self._drop_names(dimension, count)

    def _add_outcome(self, outcome: Outcome, fields: Mapping[str, Any]) -> None:
        if outcome == "passed_on":
            self.forwarded += FORWARDED_QUEUE_ID in fields
            return
        column = COLUMN_OF.get(outcome)
        if column is None:
            return
        size = fields.get(SIZE, 0) if outcome == "sent" else 0
        delay = fields.get(DELAY) if outcome == "sent" else None
        if outcome == "sent" and RELAY_HOSTNAME in fields:
            self.tls[fields.get(TLS_VERSION, "")] += 1
        for dimension in DIMENSIONS:
            name = name_of(dimension, fields)
            if name is None:
                continue
            names = self.names[dimension]
            figures = names.get(name)
            if figures is None:
                figures = names[name] = Figures()
                if len(names) > 2 * MOST_NAMES:
                    self._bound(dimension)
            figures.add(column)
            figures.bytes += size
            if delay is not None and dimension in TIMED:
                figures.add_delay(bisect_right(DELAY_BOUNDS, delay))

    def _bound(self, dimension: Dimension) -> None:
        if len(self.names[dimension]) > 2 * MOST_NAMES:
            self._drop_names(dimension, MOST_NAMES)

    def _drop_names(self, dimension: Dimension, count: int) -> None:
        names = self.names[dimension]
        if len(names) <= count:
            return
        kept = nlargest(count + 1, names.items(), key=lambda one: one[1].total)
        # No name that was dropped had more.
        self.short_by[dimension] += kept.pop()[1].total
        self.names[dimension] = dict(kept)

    def _drop_warnings(self) -> None:
        """Count the rarer ones together."""
        if len(self.warnings) <= MOST_WARNINGS:
            return
        kept = Counter(dict(self.warnings.most_common(MOST_WARNINGS)))
        kept[""] += self.warnings.total() - kept.total()
        self.warnings = kept


def name_of(dimension: Dimension, fields: Mapping[str, Any]) -> str | None:
    """The name by which a document is counted, None if it has none, or one that is too long."""
    name: str | None = fields.get(FIELDS_OF_NAMES[dimension])
    if name is None or len(name) > LONGEST_NAME:
        return None
    if dimension in ADDRESSES:
        name = name.lower()
    return name.rpartition("@")[2] if dimension in DOMAINS else name


def warning_of(fields: Mapping[str, Any]) -> str:
    """The daemon that warned, the level, and the text without what differs from line to line."""
    text = reason(str(fields.get(MESSAGE) or fields.get("message", "")))
    return f"{fields.get(SERVICE, '')} {fields[MESSAGE_LEVEL]}: {text}"


def breakdown_of(documents: Iterable[Mapping[str, Any]]) -> Breakdown:
    """Count documents."""
    found = Breakdown()
    for document in documents:
        found.add(document)
    return found


def _is_held(fields: Mapping[str, Any]) -> bool:
    return any(str(fields.get(name, "")).endswith("hold") for name in (ACTION, MILTER_RESULT))
