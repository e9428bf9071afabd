"""Counts -> what the overview's template and its JSON show; pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from mailingest.escaping import escape_terminal
from mailingest.postfix.outcome import Outcome
from mailingest.postfix.reasons import literal
from mailingest.report.report import FEWEST
from mailingest.report.values import figures_of
from mailingest.stores.breakdown import DIMENSIONS, TIMED, Breakdown
from mailingest.stores.counts import Counts
from mailingest.stores.gaps import Gap, merged, wholeness
from mailingest.stores.protocol import Span
from mailingest.trace.answer import iso
from mailingest.web.charts import Chart, ChartDrawing, Series, line_chart, stacked_columns
from mailingest.web.gaps import for_reader, status_of
from mailingest.web.links import Links
from mailingest.web.numbers import number, share, size
from mailingest.web.overview_names import Names, Shown
from mailingest.web.period import DAY
from mailingest.web.questions import typed_time
from mailingest.web.texts import Texts

# What came in by SMTP or was refused, and what became of what was accepted.
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
_ATTEMPTS: Final[tuple[Outcome, ...]] = ("sent", "deferred", "bounced")
# The verdicts of the mails that a number is about, "" for any.  Of a mail that was deferred
# anything may have become but that it was refused.
_OF_ATTEMPTS: Final = "delivered,handed_over,pending,bounced,expired,deleted,held,discarded"
_STATUS: Final[Mapping[str, str]] = {
    "received": "",
    "sent": "delivered,handed_over",
    "deferred": _OF_ATTEMPTS,
    "bounced": "bounced,expired",
    "rejected": "rejected",
}
_CHARTS: Final[Mapping[str, str]] = {"arrivals": "", "deliveries": _OF_ATTEMPTS, "rates": ""}
# Each table of reasons, and the verdict that a search for mails with one of them asks for.
_REASONS: Final[Mapping[str, tuple[Outcome, ...]]] = {
    "deferred": ("deferred",),
    "bounced": ("bounced", "expired"),
    "rejected": ("rejected",),
}
_VERDICTS: Final[Mapping[Outcome, str]] = {
    "deferred": _OF_ATTEMPTS,
    "bounced": "bounced",
    "expired": "expired",
    "rejected": "rejected",
}
_TOP: Final = 10
# A longer text finds no more.
_LONGEST_SEARCH: Final = 100
# Percent of the width; a shorter bar could not be seen.
_SHORTEST_BAR: Final = 0.6


@dataclass(frozen=True, slots=True)
class Table:
    """A chart as text: ``heads`` are the names of the columns, each row begins with a time, and
    ends with the search for its mails.
    """

    heads: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str], str]]


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """A reason; ``bar`` is a width in percent, ``link`` a search or ""."""

    text: str
    count: str
    bar: float
    link: str


@dataclass(frozen=True, slots=True)
class Overview:
    """Counts as one reader sees them: language, zone, and what is masked.

    ``type`` is that of the events that were counted, "" for all.  ``links`` lead to the mails.
    """

    counts: Counts
    breakdown: Breakdown
    texts: Texts
    zone: tzinfo
    mask: Callable[[str], str]
    shown: Shown
    links: Links
    type: str = ""

    def page(self) -> dict[str, Any]:
        """All that the template fills in."""
        counts = self.counts
        return {
            "figures": self._figures(),
            "passed_on": number(counts.total("passed_on")),
            "charts": [
                (chart.title, draw(chart), self._table(chart)) for draw, chart in self._charts()
            ],
            "reasons": [
                (name, self.texts(f"reasons_{name}"), self._reasons(outcomes))
                for name, outcomes in _REASONS.items()
            ],
            "names": Names(self.breakdown, self.texts, self.shown, self._search).tables(),
            "is_empty": self.is_empty,
        }

    @property
    def is_empty(self) -> bool:
        """Whether nothing was counted."""
        return not any(map(any, self.counts.volume.values()))

    @property
    def why(self) -> list[Gap]:
        """Why the counts are not whole, in words of the page."""
        return for_reader(self._gaps, self.texts)

    @property
    def _gaps(self) -> Sequence[Gap]:
        return merged(self.counts.why, self.breakdown.gaps)

    @property
    def status(self) -> int:
        """The status of the page and of its JSON."""
        return status_of(self._gaps, is_empty=self.is_empty)

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
            "names": {
                dimension: [
                    {
                        "name": self.shown(dimension, name),
                        **figures_of(figures, has_delays=dimension in TIMED),
                    }
                    for name, figures in self.breakdown.top(dimension, _TOP)
                ]
                for dimension in DIMENSIONS
            },
            **wholeness(self.why),
            "logs_first": iso(span.first) if span else None,
            "logs_last": iso(span.last) if span else None,
        }

    def time(self, second: int) -> str:
        """A time to the minute, for people."""
        return f"{self._local(second):{self.texts('date')} %H:%M %Z}"

    def _figures(self) -> list[tuple[str, str, str, str]]:
        """Kind, number, what it means (a size, or a share of a whole), and the search for them."""
        total = self.counts.total
        attempts = total(*_ATTEMPTS)
        arrivals = total("received", "rejected")
        bounced = total("bounced", "expired")
        figures = [
            ("received", total("received"), ""),
            ("sent", total("sent"), size(self.counts.sent_bytes)),
            ("deferred", total("deferred"), _share(total("deferred"), attempts)),
            ("bounced", bounced, _share(total("bounced"), attempts)),
            ("rejected", total("rejected"), _share(total("rejected"), arrivals)),
        ]
        return [
            (kind, number(count), detail, self._search(status=_STATUS[kind]) if count else "")
            for kind, count, detail in figures
        ]

    def _charts(self) -> list[tuple[Callable[[Chart], ChartDrawing], Chart]]:
        texts = self.texts
        attempts = self._sums(_ATTEMPTS)
        arrivals = self._sums(("received", "rejected"))
        volume = self.counts.volume
        rates = [
            Series("deferred", texts("rate_deferred"), _shares(volume["deferred"], attempts)),
            Series("bounced", texts("rate_bounced"), _shares(volume["bounced"], attempts)),
            Series("rejected", texts("rate_rejected"), _shares(volume["rejected"], arrivals)),
        ]
        return [
            (stacked_columns, self._chart("arrivals", self._series(_ARRIVALS))),
            (stacked_columns, self._chart("deliveries", self._series(_DELIVERIES))),
            (line_chart, self._chart("rates", rates, unit=" %")),
        ]

    def _chart(self, name: str, series: Sequence[Series], unit: str = "") -> Chart:
        buckets = self.counts.buckets
        description = self.texts(
            "chart_about",
            names=", ".join(one.name for one in series),
            first=self.time(buckets.start),
            last=self.time(buckets.end),
        )
        starts = range(buckets.start, buckets.end, buckets.seconds)
        labels = list(map(self._label, starts))
        links = [self._search(start, status=_CHARTS[name]) for start in starts]
        return Chart(self.texts(f"chart_{name}"), description, labels, series, unit, links)

    def _series(self, kinds: Mapping[str, tuple[Outcome, ...]]) -> list[Series]:
        return [
            Series(kind, self.texts(f"kind_{kind}"), self._sums(outcomes))
            for kind, outcomes in kinds.items()
        ]

    def _sums(self, outcomes: Sequence[Outcome]) -> list[int]:
        """The lines of all these outcomes, by bucket."""
        volume = self.counts.volume
        return [sum(values) for values in zip(*(volume[one] for one in outcomes), strict=True)]

    def _table(self, chart: Chart) -> Table:
        """The numbers of a chart; buckets in which nothing happened are left out."""
        values = (one.values for one in chart.series)
        rows = zip(chart.buckets, chart.links, *values, strict=True)
        return Table(
            [one.name for one in chart.series],
            [
                (
                    bucket,
                    ["–" if value is None else f"{number(value)}{chart.unit}" for value in values],
                    link,
                )
                for bucket, link, *values in rows
                if any(values)
            ],
        )

    def _reasons(self, outcomes: tuple[Outcome, ...]) -> list[ReasonRow]:
        counts = self.counts
        top = counts.top(outcomes)[:_TOP]
        rest = counts.total(*outcomes) - sum(count for _, _, count in top)
        longest = max([*(count for _, _, count in top), rest, 1])

        def row(text: str, count: int, link: str) -> ReasonRow:
            bar = round(max(count * 100 / longest, _SHORTEST_BAR), 1)
            return ReasonRow(text, number(count), bar, link)

        rows = [
            row(escape_terminal(self.mask(reason)), count, self._link(outcome, reason))
            for outcome, reason, count in top
        ]
        return [*rows, row(self.texts("other_reasons"), rest, "")] if rest > 0 else rows

    def _link(self, outcome: Outcome, reason: str) -> str:
        """The search for mails with a reason; "" if too little of it stands in the lines."""
        # The reason of what expired is the status itself, which the verdict finds.
        text = "" if outcome == "expired" else literal(self.mask(reason))[:_LONGEST_SEARCH].strip()
        if not text and outcome != "expired":
            return ""
        return self._search(text=text, status=_VERDICTS[outcome])

    def _search(self, start: int | None = None, **fields: str) -> str:
        """The search for mails of the time that is shown, or of the bucket that begins then."""
        buckets = self.counts.buckets
        since, until = buckets.since, buckets.until
        if start is not None:
            since = datetime.fromtimestamp(start, UTC)
            until = datetime.fromtimestamp(start + buckets.seconds, UTC)
        query = {
            **fields,
            "since": self._typed(since),
            "until": self._typed(until),
            "type": self.type,
        }
        return self.links.to(".", query)

    def _typed(self, time: datetime) -> str:
        return typed_time(time, self.zone, self.texts("date"))

    def _label(self, second: int) -> str:
        local = self._local(second)
        weekday = self.texts("weekdays").split()[local.weekday()]
        is_day = self.counts.buckets.seconds >= DAY
        day = self.texts("date") if is_day else f"{self.texts('day')} %H:%M"
        return f"{weekday} {local:{day}}"

    def _local(self, second: int) -> datetime:
        return datetime.fromtimestamp(second, UTC).astimezone(self.zone)


def _share(part: int, whole: int) -> str:
    """A share, where there is enough to say one."""
    return share(part, whole) if whole >= FEWEST else ""


def _shares(parts: Sequence[int], wholes: Sequence[int]) -> list[float | None]:
    return [
        round(part * 100 / whole, 1) if whole >= FEWEST else None
        for part, whole in zip(parts, wholes, strict=True)
    ]
