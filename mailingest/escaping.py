"""Terminal escaping: log content is untrusted, and a terminal executes parts of it as commands.

Control characters, bidirectional controls and invisible characters are shown as escapes.
"""

import re
import unicodedata

_HIDDEN = re.compile(r"[^\n -~]")
# Space separators are harmless; line and paragraph separators are other categories (Zl, Zp).
_SPACE_SEPARATOR = "Zs"


def escape_terminal(text: object) -> str:
    """A value as text that a terminal does nothing with but display it."""
    shown = str(text)
    if shown.isascii() and shown.isprintable():
        return shown
    return "".join(
        character
        if character.isprintable() or unicodedata.category(character) == _SPACE_SEPARATOR
        else character.encode("unicode_escape").decode("ascii")
        for character in shown
    )


def escape_terminal_lines(text: str) -> str:
    """The same for text of several lines, whose line feeds are kept."""
    return "\n".join(map(escape_terminal, text.split("\n")))


def escape_terminal_json(json: bytes) -> str:
    """Equivalent JSON in which every character but line feeds is printable."""
    return _HIDDEN.sub(_json_escape, json.decode())


def _json_escape(match: re.Match[str]) -> str:
    if match[0].isprintable():
        return match[0]
    units = match[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
