"""Text for people: log content is hostile, and a terminal takes some of it for commands.

Control characters, those that turn the direction of text round, and those that nobody sees are
shown as escapes.
"""

import re
import unicodedata

_HIDDEN = re.compile(r"[^\n -~]")
# Blanks of all kinds only move what follows; lines and paragraphs have categories of their own.
_BLANK = "Zs"


def clean(text: object) -> str:
    """Text that does nothing to a terminal but show itself."""
    shown = str(text)
    if shown.isascii() and shown.isprintable():
        return shown
    return "".join(
        character
        if character.isprintable() or unicodedata.category(character) == _BLANK
        else character.encode("unicode_escape").decode("ascii")
        for character in shown
    )


def clean_lines(text: str) -> str:
    """The same for text of several lines, which stay apart."""
    return "\n".join(map(clean, text.split("\n")))


def clean_json(json: bytes) -> str:
    """JSON that means the same, in which all but its own line ends is printable."""
    return _HIDDEN.sub(_json_escape, json.decode())


def _json_escape(match: re.Match[str]) -> str:
    if match[0].isprintable():
        return match[0]
    units = match[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
