"""The overview: which time is asked for, and counts -> what the template and JSON show; pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from math import ceil
from typing import Any, Final
from urllib.parse import urlencode

from markupsafe import Markup

from mailingest.escaping import escape_terminal
from mailingest.postfix.outcome import BUCKET_SECONDS, Outcome
from mailingest.postfix.reasons import literal
from mailingest.stores.counts import Counts, TimeBuckets
from mailingest.stores.protocol import Span
from mailingest.trace.answer import iso
from mailingest.trace.times import FORMS
from mailingest.web.charts import Chart, Series, bar, columns, lines, number
from mailingest.web.questions import WrongQuestion, read_moment
from mailingest.web.texts import Texts

SPANS: Final[Mapping[str, timedelta]] = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
"""The times that a link leads to; the first one is shown if none is asked for."""

_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
_STEPS: Final = (BUCKET_SECONDS, _HOUR // 2, _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY)
_MOST_STEPS: Final = 60
# Before syslog there is nothing to be seen, and a picture of millennia helps nobody.
_MOST_DAYS: Final = 3660

# What came to the door, and what became of what was let in; a step's parts are piled up.
_ARRIVALS: Final[Mapping[str, tuple[Outcome, ...]]] = {
    "received": ("received",),
    "rejected": ("rejected",),
}
_DELIVERIES: Final[Mapping[str, tuple[Outcome, ...]]] = {
    "sent": ("sent",),
    "deferred": ("deferred",),
    "bounced": ("bounced", "expired"),
    "discarded": ("discarded",),
}
_TRIED: Final[tuple[Outcome, ...]] = ("sent", "deferred", "bounced")
# Each table of reasons, and the verdict that a search for mails with one of them asks for.  Of a
# mail that was deferred anything may have become.
_REASONS: Final[Mapping[str, tuple[Outcome, ...]]] = {
    "deferred": ("deferred",),
    "bounced": ("bounced", "expired"),
    "rejected": ("rejected",),
}
_VERDICTS: Final[Mapping[Outcome, str]] = {
    "bounced": "bounced",
    "expired": "expired",
    "rejected": "rejected",
}
_TOP: Final = 10
# A longer text finds no more.
_LONGEST_SEARCH: Final = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """The time that is asked for, as it was typed and as time buckets."""

    span: str
    since: str
    until: str
    buckets: TimeBuckets

    @property
    def query(self) -> dict[str, str]:
        """The same as a query."""
        if self.span:
            return {"span": self.span}
        typed = {"since": self.since, "until": self.until}
        return {name: value for name, value in typed.items() if value}


def read_asked(query: Mapping[str, str], *, now: datetime, zone: tzinfo) -> Asked:
    """Read the query of a page; raises WrongQuestion for a time that makes no sense."""
    since, until = query.get("since", "").strip()[:100], query.get("until", "").strip()[:100]
    span = query.get("span", "").strip()
    if not (since or until):
        span = span or next(iter(SPANS))
        if span not in SPANS:
            raise WrongQuestion("wrong_span", spans=", ".join(SPANS))
        return Asked(span, "", "", _time_buckets(now - SPANS[span], now, zone))
    last = read_moment(until, now=now, zone=zone) if until else now
    try:
        first = (
            read_moment(since, now=now, zone=zone) if since else last - next(iter(SPANS.values()))
        )
    except OverflowError:
        raise WrongQuestion("wrong_time", text=until, forms=FORMS) from None
    if last <= first:
        raise WrongQuestion("wrong_order")
    if last - first > timedelta(days=_MOST_DAYS):
        raise WrongQuestion("too_many_days", most=_MOST_DAYS)
    return Asked("", since, until, _time_buckets(first, last, zone))


def _time_buckets(first: datetime, last: datetime, zone: tzinfo) -> TimeBuckets:
    """So many steps that all of the time is in them, with round local times as their beginnings."""
    begin, end = int(first.timestamp()), ceil(last.timestamp())
    length = (last - first).total_seconds() / _MOST_STEPS
    seconds = next((step for step in _STEPS if step >= length), ceil(length / _DAY) * _DAY)
    offset = int((last.astimezone(zone).utcoffset() or timedelta()).total_seconds())
    offset -= offset % BUCKET_SECONDS
    start = (begin + offset) // seconds * seconds - offset
    return TimeBuckets(start, seconds, ceil((end - start) / seconds))


@dataclass(frozen=True, slots=True)
class Overview:
    """Counts as one reader sees them: language, zone, and what is masked."""

    counts: Counts
    texts: Texts
    zone: tzinfo
    mask: Callable[[str], str]

    def page(self) -> dict[str, Any]:
        """All that the template fills in."""
        counts = self.counts
        tried = counts.total("sent", "deferred", "bounced")
        asked = counts.total("received", "rejected")
        return {
            "figures": [
                ("received", number(counts.total("received")), ""),
                ("sent", number(counts.total("sent")), self._size(counts.sent_bytes)),
                ("deferred", number(counts.total("deferred")),
                 self._share(counts.total("deferred"), tried)),
                ("bounced", number(counts.total("bounced", "expired")),
                 self._share(counts.total("bounced"), tried)),
                ("rejected", number(counts.total("rejected")),
                 self._share(counts.total("rejected"), asked)),
            ],
            "passed_on": number(counts.total("passed_on")),
            "discarded": number(counts.total("discarded")),
            "charts": [
                (self.texts(f"chart_{name}"), Markup(draw(chart)), self._table(chart))  # noqa: S704 - SVG of our own, its texts are escaped
                for name, draw, chart in self._charts()
            ],
            "reasons": [
                (name, self.texts(f"reasons_{name}"), self._reasons(outcomes))
                for name, outcomes in _REASONS.items()
            ],
            "is_partial": counts.is_partial,
            "is_empty": not any(map(any, counts.volume.values())),
            "notes": len(counts.notes),
        }  # fmt: skip

    def _charts(self) -> list[tuple[str, Callable[[Chart], str], Chart]]:
        texts = self.texts
        arrivals = self._chart("arrivals", self._piles(_ARRIVALS))
        deliveries = self._chart("deliveries", self._piles(_DELIVERIES))
        volume = self.counts.volume
        tried = [sum(values) for values in zip(*(volume[one] for one in _TRIED), strict=True)]
        doors = [sum(pair) for pair in zip(volume["received"], volume["rejected"], strict=True)]
        rates = [
            Series("deferred", texts("rate_deferred"), _shares(volume["deferred"], tried)),
            Series("bounced", texts("rate_bounced"), _shares(volume["bounced"], tried)),
            Series("rejected", texts("rate_rejected"), _shares(volume["rejected"], doors)),
        ]
        return [
            ("arrivals", columns, arrivals),
            ("deliveries", columns, deliveries),
            ("rates", lines, self._chart("rates", rates, unit=" %")),
        ]

    def _chart(self, name: str, series: Sequence[Series], unit: str = "") -> Chart:
        buckets = self.counts.buckets
        title = self.texts(f"chart_{name}")
        description = self.texts(
            "chart_about",
            names=", ".join(one.name for one in series),
            first=self.time(buckets.start),
            last=self.time(buckets.end),
        )
        steps = [
            self._label(buckets.start + step * buckets.seconds) for step in range(buckets.count)
        ]
        return Chart(title, description, steps, series, unit)

    def _piles(self, kinds: Mapping[str, tuple[Outcome, ...]]) -> list[Series]:
        volume = self.counts.volume
        return [
            Series(
                kind,
                self.texts(f"kind_{kind}"),
                [sum(values) for values in zip(*(volume[one] for one in outcomes), strict=True)],
            )
            for kind, outcomes in kinds.items()
        ]

    def _table(self, chart: Chart) -> dict[str, Any]:
        """The numbers of a picture as text; steps in which nothing happened are left out."""
        rows = zip(chart.steps, *(one.values for one in chart.series), strict=True)
        return {
            "heads": [one.name for one in chart.series],
            "rows": [
                (
                    step,
                    ["–" if value is None else f"{number(value)}{chart.unit}" for value in values],
                )
                for step, *values in rows
                if any(values)
            ],
        }

    def _reasons(self, outcomes: tuple[Outcome, ...]) -> dict[str, Any]:
        counts = self.counts
        top = counts.top(outcomes)[:_TOP]
        rest = counts.total(*outcomes) - sum(count for _, _, count in top)
        longest = max([*(count for _, _, count in top), rest, 1])
        rows = [
            {
                "text": escape_terminal(self.mask(reason)),
                "count": number(count),
                "bar": Markup(bar(count / longest)),  # noqa: S704 - numbers only
                "link": self._link(outcome, reason),
            }
            for outcome, reason, count in top
        ]
        if rest > 0:
            rows.append(
                {
                    "text": self.texts("other_reasons"),
                    "count": number(rest),
                    "bar": Markup(bar(rest / longest)),  # noqa: S704 - numbers only
                    "link": "",
                }
            )
        return {"rows": rows}

    def _link(self, outcome: Outcome, reason: str) -> str:
        """The search for mails with a reason; "" if too little of it stands in the lines."""
        text = literal(reason)[:_LONGEST_SEARCH].strip()
        if not text or outcome == "expired":
            text = ""
        verdict = _VERDICTS.get(outcome, "")
        if not text and outcome != "expired":
            return ""
        buckets = self.counts.buckets
        query = {
            "text": text,
            "status": verdict,
            "since": iso(buckets.since),
            "until": iso(buckets.until),
            "lang": self.texts.language,
        }
        return ".?" + urlencode({name: value for name, value in query.items() if value})

    def json(self, span: Span | None) -> dict[str, Any]:
        """The object for scripts; times are in UTC."""
        counts = self.counts
        return {
            "since": iso(counts.buckets.since),
            "until": iso(counts.buckets.until),
            "step_seconds": counts.buckets.seconds,
            "counts": counts.volume,
            "sent_bytes": counts.sent_bytes,
            "reasons": {
                outcome: [
                    {"reason": self.mask(reason), "count": count}
                    for reason, count in found.most_common()
                ]
                for outcome, found in counts.reasons.items()
                if found
            },
            "is_partial": counts.is_partial,
            "is_whole": not counts.notes,
            "logs_first": iso(span.first) if span else None,
            "logs_last": iso(span.last) if span else None,
        }

    def time(self, second: int) -> str:
        """A time to the minute, for people."""
        return f"{datetime.fromtimestamp(second, UTC).astimezone(self.zone):%Y-%m-%d %H:%M %Z}"

    def _label(self, second: int) -> str:
        local = datetime.fromtimestamp(second, UTC).astimezone(self.zone)
        if self.counts.buckets.seconds >= _DAY:
            return f"{local:%Y-%m-%d}"
        return f"{local:%m-%d %H:%M}"

    def _size(self, octets: int) -> str:
        size = float(octets)
        for unit in ("B", "kB", "MB", "GB"):
            if size < 1000:
                return f"{size:.3g}\u202f{unit}"
            size /= 1000
        return f"{size:,.1f}\u202fTB"

    def _share(self, part: int, whole: int) -> str:
        return f"{part * 100 / whole:.1f}\u202f%" if whole else ""


def _shares(parts: Sequence[int], wholes: Sequence[int]) -> list[float | None]:
    return [
        round(part * 100 / whole, 1) if whole else None
        for part, whole in zip(parts, wholes, strict=True)
    ]
