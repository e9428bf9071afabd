"""Numbers as people read them, with thin no-break spaces, which every language reads; pure."""

from math import floor

from rich import filesize

_THIN = "\u202f"


def number(value: float) -> str:
    """A number with at most one decimal, its thousands apart."""
    shown = f"{value:,.0f}" if value == floor(value) else f"{value:,.1f}"
    return shown.replace(",", _THIN)


def size(count: int) -> str:
    """A number of bytes, in units of 1000."""
    return filesize.decimal(count).replace(" ", _THIN)


def share(part: int, whole: int) -> str:
    """A part of a whole in percent; "" of nothing."""
    return f"{part * 100 / whole:.1f}{_THIN}%" if whole else ""
