"""A breakdown by name -> the tables of the overview; each name leads to its mails.  Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from mailingest.escaping import escape_terminal
from mailingest.report.report import FEWEST, PERCENTILES, slowest
from mailingest.report.tables import duration
from mailingest.stores.breakdown import ADDRESSES, DOMAINS, Breakdown, Dimension, Figures
from mailingest.web.host_names import masked_host, words_of
from mailingest.web.masking import masked_address
from mailingest.web.numbers import number, share, size
from mailingest.web.texts import Texts

_TOP: Final = 10
# The field of the search form that a name is asked for by.
_ASKED_BY: Final[dict[Dimension, str]] = {
    "sender": "from",
    "sender_domain": "from",
    "sasl_user": "sasl_user",
    "recipient": "to",
    "recipient_domain": "to",
    "client": "client",
    "relay": "relay",
    "host": "host",
}
_PERSONAL: Final[frozenset[Dimension]] = frozenset({"sender", "recipient", "sasl_user"})
_SLOW: Final[tuple[Dimension, ...]] = ("recipient_domain", "relay")

Shown = Callable[[Dimension, str], str]
"""What a reader may see of a name that was counted."""

Search = Callable[..., str]
"""The address of a search by fields of the form, in the time that is shown."""


def as_counted(dimension: Dimension, name: str) -> str:
    """The name itself, for readers from whom nobody is hidden."""
    return name


def masked_names(breakdown: Breakdown) -> Shown:
    """What others see of names that were counted.

    An address without a domain is counted as a domain, which is then the name of somebody.  Servers
    of others may be called after people who are counted.
    """
    people = chain.from_iterable(breakdown.names[one] for one in _PERSONAL)
    words = words_of(people)

    def shown(dimension: Dimension, name: str) -> str:
        if dimension in _PERSONAL or (dimension in DOMAINS and "." not in name):
            return masked_address(name)
        return masked_host(name, words) if dimension == "relay" else name

    return shown


@dataclass(frozen=True, slots=True)
class NameRow:
    """A name, the search for its mails or "", and a cell for each column."""

    name: str
    link: str
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class NameTable:
    """``heads`` are the names of the columns behind the name; ``note`` is "" or a remark."""

    title: str
    heads: Sequence[str]
    rows: Sequence[NameRow]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """A breakdown as one reader sees it."""

    breakdown: Breakdown
    texts: Texts
    shown: Shown
    search: Search

    def tables(self) -> list[NameTable]:
        """All that have something."""
        every = [*map(self._top, _ASKED_BY), *map(self._slow, _SLOW)]
        return [table for table in every if table.rows]

    def _top(self, dimension: Dimension) -> NameTable:
        texts = self.texts
        rows = [
            self._row(dimension, name, self._cells(figures))
            for name, figures in self.breakdown.top(dimension, _TOP)
        ]
        heads = [texts(f"kind_{kind}") for kind in ("sent", "deferred", "bounced", "rejected")]
        short_by = self.breakdown.short_by[dimension]
        note = texts("short_by", count=number(short_by)) if short_by else ""
        return NameTable(texts(f"top_{dimension}"), [*heads, texts("volume")], rows, note)

    def _slow(self, dimension: Dimension) -> NameTable:
        texts = self.texts
        rows = [
            self._row(
                dimension,
                name,
                [
                    number(sum(figures.delays)),
                    *(duration(figures.percentile(percent)) for percent in PERCENTILES),
                ],
            )
            for name, figures in slowest(self.breakdown, dimension)
        ]
        heads = [texts("kind_sent"), *(f"{percent} %" for percent in PERCENTILES)]
        note = texts("slow_note", fewest=FEWEST)
        return NameTable(texts(f"slow_{dimension}"), heads, rows, note)

    def _cells(self, figures: Figures) -> list[str]:
        attempts = figures.attempts
        return [
            number(figures.sent),
            _with_share(figures.deferred, attempts),
            _with_share(figures.bounced, attempts),
            number(figures.rejected),
            size(figures.bytes) if figures.bytes else "",
        ]

    def _row(self, dimension: Dimension, name: str, cells: Sequence[str]) -> NameRow:
        shown = self.shown(dimension, name)
        # Whoever sees half of a name may not ask for the whole of it.
        asked = {_ASKED_BY[dimension]: _asked(dimension, name)} if shown == name else {}
        link = self.search(**asked) if asked else ""
        nobody = "<>" if dimension in ADDRESSES else "–"
        return NameRow(escape_terminal(shown) or nobody, link, cells)


def _asked(dimension: Dimension, name: str) -> str:
    if dimension in ("sender_domain", "recipient_domain") and name:
        return f"@{name}"
    return name or "<>"


def _with_share(part: int, attempts: int) -> str:
    told = f" · {share(part, attempts)}" if part and attempts >= FEWEST else ""
    return f"{number(part)}{told}"
