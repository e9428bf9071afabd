"""A report -> headings and tables of texts, which every form of it writes; pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isinf
from typing import Final

from rich import filesize

from mailingest.postfix.outcome import Outcome
from mailingest.report.report import FEWEST, PERCENTILES, TOP, Report
from mailingest.stores.breakdown import Dimension
from mailingest.stores.gaps import summed

NAMES: Final[dict[Dimension, str]] = {
    "sender": "Senders",
    "sender_domain": "Domains of senders",
    "sasl_user": "Users who logged in",
    "recipient": "Recipients",
    "recipient_domain": "Domains of recipients",
    "client": "Clients",
    "relay": "Next servers",
    "host": "Hosts",
}
_REASONS: Final[dict[str, tuple[Outcome, ...]]] = {
    "Why mail was deferred": ("deferred",),
    "Why mail bounced or expired": ("bounced", "expired"),
    "Why mail was rejected": ("rejected",),
}
_WARNINGS: Final = 20
# More than two days are told day by day.
_MOST_HOURS: Final = 49


@dataclass(frozen=True, slots=True)
class Table:
    """``heads`` are the names of the columns, "" for none; the last column may be long.

    With ``is_named`` the first column is a name, and all others are numbers; else only the last one
    is no number.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    is_named: bool = True


def title(report: Report) -> str:
    """One line that says of what and of when it is."""
    buckets, zone = report.counts.buckets, report.zone
    first, last = buckets.since.astimezone(zone), buckets.until.astimezone(zone)
    return f"Mail from {first:%a %Y-%m-%d %H:%M} to {last:%a %Y-%m-%d %H:%M %Z}, {report.source}"


def warnings(report: Report) -> list[str]:
    """What a reader has to know first."""
    return [f"Not whole: {gap.text}" for gap in summed(list(report.why))]


def tables(report: Report) -> list[Table]:
    """All parts that have something, in their order."""
    parts = [
        _totals(report),
        _volume(report),
        *(_top(report, dimension) for dimension in NAMES),
        _slowest(report, "recipient_domain", "Slow domains"),
        _slowest(report, "relay", "Slow servers"),
        _tls(report),
        *_reasons(report),
        _warnings(report),
    ]
    return [part for part in parts if part.rows]


def _totals(report: Report) -> Table:
    total, names = report.counts.total, report.breakdown
    received = report.received_bytes
    size = "of a size that is not known" if received is None else f"of {_size(received)}"
    rows = [
        ("received", _number(total("received")), f"mails {size}"),
        ("delivered", _number(total("sent")), f"recipients, {_size(report.counts.sent_bytes)}"),
        ("forwarded", _number(names.forwarded), "recipients, by local(8) to other addresses"),
        ("filtered", _number(report.filtered), "recipients, to a filter on the machine"),
        ("deferred", _number(total("deferred")), "attempts, which are made again"),
        ("bounced", _number(total("bounced")), "recipients"),
        ("expired", _number(total("expired")), "mails that were given up"),
        ("discarded", _number(total("discarded")), "mails or recipients, thrown away"),
        ("rejected", _number(total("rejected")), "attempts of clients"),
        ("warned", _number(names.reject_warnings), "that would have been rejected"),
        ("held", _number(names.held), "mails put on hold"),
    ]
    return Table("Totals", ("", "", ""), rows, is_named=True)


def _volume(report: Report) -> Table:
    buckets = report.counts.buckets
    is_daily = buckets.count * buckets.seconds > _MOST_HOURS * 3600
    form = "%a %Y-%m-%d" if is_daily else "%a %d %H:00 %Z"
    sums: dict[str, list[int]] = {}
    columns: Sequence[tuple[Outcome, ...]] = (
        ("received",),
        ("sent",),
        ("deferred",),
        ("bounced", "expired"),
        ("rejected",),
    )
    for place in range(buckets.count):
        start = datetime.fromtimestamp(buckets.start + place * buckets.seconds, UTC)
        # With its zone, the hour that there is twice in autumn is two.
        label = f"{start.astimezone(report.zone):{form}}"
        row = sums.setdefault(label, [0] * len(columns))
        for column, outcomes in enumerate(columns):
            row[column] += sum(report.counts.volume[one][place] for one in outcomes)
    heads = ("", "received", "delivered", "deferred", "bounced", "rejected")
    rows = [(label, *map(_number, row)) for label, row in sums.items()]
    return Table("By day" if is_daily else "By hour", heads, rows)


def _top(report: Report, dimension: Dimension) -> Table:
    heads = ("", "delivered", "deferred", "bounced", "rejected", "bytes")
    rows = [
        (
            named(dimension, name),
            _number(figures.sent),
            _with_share(figures.deferred, figures.attempts),
            _with_share(figures.bounced, figures.attempts),
            _number(figures.rejected),
            _size(figures.bytes) if figures.bytes else "",
        )
        for name, figures in report.top(dimension)
    ]
    short_by = report.breakdown.short_by[dimension]
    note = f"Each number may be short by up to {_number(short_by)}." if short_by else ""
    more = len(report.breakdown.names[dimension]) > TOP
    return Table(f"{NAMES[dimension]}{f', the first {TOP}' if more else ''}", heads, rows, note)


def _slowest(report: Report, dimension: Dimension, title: str) -> Table:
    heads = ("", "delivered", *(f"{percent} % in" for percent in PERCENTILES))
    rows = [
        (
            name,
            _number(sum(figures.delays)),
            *(duration(figures.percentile(percent)) for percent in PERCENTILES),
        )
        for name, figures in report.slowest(dimension)
    ]
    return Table(title, heads, rows, f"With at least {FEWEST} deliveries." if rows else "")


def _tls(report: Report) -> Table:
    found = report.breakdown.tls
    rows = [
        (protocol or "without TLS", _with_share(count, found.total()))
        for protocol, count in sorted(found.items(), key=lambda one: (-one[1], one[0]))
    ]
    return Table("How deliveries to other servers were encrypted", ("", "delivered"), rows)


def _reasons(report: Report) -> Iterator[Table]:
    for name, outcomes in _REASONS.items():
        top = report.counts.top(outcomes)[:TOP]
        rest = report.counts.total(*outcomes) - sum(count for _, _, count in top)
        rows = [(_number(count), text) for _, text, count in top]
        if rest > 0:
            rows.append((_number(rest), "other reasons, or none"))
        yield Table(name, ("", ""), rows, is_named=False)


def _warnings(report: Report) -> Table:
    found = report.breakdown.warnings
    top = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    top = [one for one in top if one[0]][:_WARNINGS]
    rows = [(_number(count), text) for text, count in top]
    if (rest := found.total() - sum(count for _, count in top)) > 0:
        rows.append((_number(rest), "other warnings"))
    return Table("Warnings", ("", ""), rows, is_named=False)


def named(dimension: Dimension, name: str) -> str:
    """A name for people: the sender of a notice has none."""
    if name:
        return name
    return "<>" if dimension in ("sender", "sender_domain") else "(none)"


def duration(seconds: float | None) -> str:
    """A bound of a delay, for people."""
    if seconds is None:
        return ""
    if isinf(seconds):
        return "> 1 d"
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"< {seconds // length:.0f} {unit}"
    return f"< {seconds:g} s"


def _with_share(part: int, whole: int) -> str:
    share = f" ({part * 100 / whole:.0f} %)" if whole >= FEWEST and part else ""
    return f"{_number(part)}{share}"


def _number(value: int) -> str:
    return f"{value:,}"


def _size(count: int) -> str:
    return filesize.decimal(count)
