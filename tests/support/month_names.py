"""Writes ``mailingest/syslog/month_names.py``: ``python -m tests.support.month_names``.

The names are CLDR's, as Babel has them.  They are written down since Babel, asked for all
languages, takes a second and 160 MB.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from textwrap import wrap
from typing import Final

from babel import Locale
from babel.localedata import locale_identifiers

import mailingest.syslog

FILE: Final = Path(mailingest.syslog.__file__).with_name("month_names.py")

_TOP: Final = '''\
"""The months' names in all languages: `python -m tests.support.month_names` makes it of the CLDR.

They are full and short names, within a date and alone, in lower case and without a full stop at
the end.
"""

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
'''
# One language may have a short name that in most others is another month's.
_FEW: Final = 4


def module() -> str:
    """The whole text of the file."""
    languages: dict[str, Counter[int]] = defaultdict(Counter)
    for name, month in _names():
        languages[name][month] += 1
    rows = []
    for month in range(1, 13):
        names = [
            name for name, count in languages.items() if count[month] * _FEW > max(count.values())
        ]
        lines = wrap(" ".join(sorted(names)), 90, break_on_hyphens=False)
        texts = [f'"{line} "' for line in lines[:-1]] + [f'"{lines[-1]}"']
        rows.append("    " + "\n    ".join(texts) + ",\n")
    return _TOP + "".join(rows) + _END


def _names() -> Iterator[tuple[str, int]]:
    """Each name and its month, once for each language."""
    for identifier in locale_identifiers():
        # What a country changes is of no use without knowing the country.
        if "_" in identifier:
            continue
        months = Locale.parse(identifier).months
        found = set()
        for context, width in product(("format", "stand-alone"), ("abbreviated", "wide")):
            for month, name in months[context][width].items():
                word = name.casefold().rstrip(".")
                # A time stamp is read by its blanks, and numbers are no names.
                if not any(one.isspace() or one in '":[]<>' for one in word) and not word.isdigit():
                    found.add((word, month))
        yield from found


if __name__ == "__main__":
    FILE.write_text(module(), "utf-8")
