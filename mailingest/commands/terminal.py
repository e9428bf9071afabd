"""What the terminal that output goes to can show: colours, and how wide it is."""

import os
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from typing import Final, TextIO

# Where a line begins that goes on with the one above.
_HANGING: Final = " " * 12
# A narrower window would break every word.
_NARROWEST: Final = 40


def shows_colours(out: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether output may have colours: on terminals, unless somebody wants it otherwise.

    NO_COLOR (no-color.org) and FORCE_COLOR (force-color.org) hold if they are not empty, NO_COLOR
    before the other one.
    """
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return out.isatty() and environment.get("TERM") != "dumb"


def width_of(out: TextIO) -> int | None:
    """The columns of a terminal (COLUMNS if that is set), None for a file or a pipe."""
    if not out.isatty():
        return None
    return max(shutil.get_terminal_size().columns, _NARROWEST)


def hanging(text: str, width: int | None) -> Iterator[str]:
    """A text in lines of at most ``width`` columns, of which all but the first are indented."""
    if width is None or len(text) <= width:
        yield text
        return
    yield from textwrap.wrap(
        text,
        width,
        subsequent_indent=_HANGING,
        drop_whitespace=True,
        replace_whitespace=False,
        break_on_hyphens=False,
    )
