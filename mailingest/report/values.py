"""A report -> the JSON object of it, for scripts; pure."""

from datetime import UTC, datetime
from math import isinf
from typing import Any, Final

from mailingest.report.report import PERCENTILES, Report
from mailingest.stores.breakdown import COLUMNS, DIMENSIONS, TIMED, Figures
from mailingest.stores.gaps import wholeness

_MOST_WARNINGS: Final = 100


def values(report: Report) -> dict[str, Any]:
    """The object; times are in UTC, delays in seconds, and None is not known."""
    counts, names = report.counts, report.breakdown
    total = counts.total
    return {
        "since": _iso(counts.buckets.since),
        "until": _iso(counts.buckets.until),
        "totals": {
            "received": total("received"),
            "received_bytes": report.received_bytes,
            "delivered": total("sent"),
            "delivered_bytes": counts.sent_bytes,
            "forwarded": names.forwarded,
            "filtered": report.filtered,
            "deferred": total("deferred"),
            "bounced": total("bounced"),
            "expired": total("expired"),
            "discarded": total("discarded"),
            "rejected": total("rejected"),
            "reject_warnings": names.reject_warnings,
            "held": names.held,
        },
        "step_seconds": counts.buckets.seconds,
        "counts": counts.volume,
        "names": {
            dimension: [
                {"name": name, **figures_of(figures, has_delays=dimension in TIMED)}
                for name, figures in report.top(dimension)
            ]
            for dimension in DIMENSIONS
        },
        "short_by": {dimension: names.short_by[dimension] for dimension in DIMENSIONS},
        "tls": [
            {"protocol": protocol or None, "delivered": count}
            for protocol, count in sorted(names.tls.items(), key=lambda one: (-one[1], one[0]))
        ],
        "reasons": {
            outcome: [
                {"reason": reason, "count": count} for _, reason, count in counts.top([outcome])
            ]
            for outcome, found in counts.reasons.items()
            if found
        },
        "warnings": [
            {"warning": text or None, "count": count}
            for text, count in sorted(names.warnings.items(), key=lambda one: (-one[1], one[0]))
        ][:_MOST_WARNINGS],
        **wholeness(report.why),
    }


def figures_of(figures: Figures, *, has_delays: bool) -> dict[str, Any]:
    """The numbers of a name; a percentile is the bound in seconds that so many are below."""
    shown: dict[str, Any] = {column: getattr(figures, column) for column in COLUMNS}
    shown["bytes"] = figures.bytes
    if has_delays:
        shown["delays"] = {
            f"p{percent}": None
            if (bound := figures.percentile(percent)) is None or isinf(bound)
            else bound
            for percent in PERCENTILES
        }
    return shown


def _iso(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
