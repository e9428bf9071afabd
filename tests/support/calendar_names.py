"""Writes ``mailingest/syslog/calendar_names.py``: ``python -m tests.support.calendar_names``.

The names are CLDR's, as Babel has them.  They are written down since Babel, asked for all
languages, takes a second and 160 MB.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from textwrap import wrap
from typing import Final

from babel import Locale
from babel.localedata import locale_identifiers

import mailingest.syslog

FILE: Final = Path(mailingest.syslog.__file__).with_name("calendar_names.py")

_TOP: Final = '''\
"""Months and weekdays in all languages: `python -m tests.support.calendar_names` makes it of CLDR.

The names are full and short ones, within a date and alone, in lower case and without a full stop
at the end.
"""

# ruff: noqa: E501

from typing import Final

# January first; those of a month are separated by blanks.
_NAMES: Final = (
'''
_END: Final = ''')


def _months() -> dict[str, tuple[int, ...]]:
    months: dict[str, tuple[int, ...]] = {}
    for month, names in enumerate(_NAMES, 1):
        for name in names.split():
            months[name] = (*months.get(name, ()), month)
    return months


MONTHS: Final = _months()
"""What a name stands for, from 1 on: `lis` is October in Croatian, and November in Polish."""

_WEEKDAYS: Final = (
'''
_LAST: Final = """\
)

WEEKDAYS: Final = frozenset(_WEEKDAYS.split())
"""
# One language may have a short name that in most others is another month's.
_FEW: Final = 4
_CONTEXTS: Final = ("format", "stand-alone")
_WIDTHS: Final = ("abbreviated", "wide")


def module() -> str:
    """The whole text of the file."""
    languages: dict[str, Counter[int]] = defaultdict(Counter)
    for name, month in _names():
        languages[name][month] += 1
    rows = []
    for month in range(1, 13):
        names = (
            name for name, count in languages.items() if count[month] * _FEW > max(count.values())
        )
        rows.append("    " + "\n    ".join(_texts(names)) + ",\n")
    weekdays = "".join(f"    {text}\n" for text in _texts(_weekdays()))
    return _TOP + "".join(rows) + _END + weekdays + _LAST


def _texts(names: Iterable[str]) -> list[str]:
    """Literals of the names, one for each line."""
    lines = wrap(" ".join(sorted(set(names))), 84, break_on_hyphens=False)
    return [f'"{line} "' for line in lines[:-1]] + [f'"{lines[-1]}"']


def _names() -> Iterator[tuple[str, int]]:
    """Each name of a month and its number, once for each language."""
    for locale in _locales():
        found = set()
        for context, width in product(_CONTEXTS, _WIDTHS):
            for month, name in locale.months[context][width].items():
                if _is_word(word := _word(name)):
                    found.add((word, month))
        yield from found


def _weekdays() -> Iterator[str]:
    for locale in _locales():
        for context, width in product(_CONTEXTS, _WIDTHS):
            yield from filter(_is_word, map(_word, locale.days[context][width].values()))


def _locales() -> Iterator[Locale]:
    # What a country changes is of no use without knowing the country.
    return (Locale.parse(name) for name in locale_identifiers() if "_" not in name)


def _word(name: str) -> str:
    return name.casefold().rstrip(".")


def _is_word(name: str) -> bool:
    """A time stamp is read by its blanks, and numbers are no names."""
    return not name.isdigit() and not any(one.isspace() or one in '":[]<>' for one in name)


if __name__ == "__main__":
    FILE.write_text(module(), "utf-8")
