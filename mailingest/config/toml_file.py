"""A file of settings, read; what keeps it from being read is said in a line, with the fix."""

import grp
import os
import pwd
import re
import stat
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from mailingest.errors import UsageError

_AT: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)\Z")
_LONGEST_LINE: Final = 80
# What stands in a line that TOML does not take, and what was meant.
_HINTS: Final = (
    (
        re.compile(r"=\s*(?:True|False|[Yy]es|[Nn]o|[Oo]n|[Oo]ff|TRUE|FALSE)\b"),
        "write true or false",
    ),
    (re.compile(r"[\w.-]+\s*:\s"), "write key = value, with an equals sign"),
    (re.compile(r"[\w.-]+\s*=\s*'?[^\s\"'\[{\d+-]"), 'texts need quotes: key = "value"'),
    (re.compile(r"[\w.-]+\s*=\s*\d[\w.:/ ]*[a-zA-Z.:/]"), 'write it in quotes: key = "value"'),
    (re.compile(r"[\w.-]+\s*=\s*(?:#|\Z)"), "the value is missing"),
    (re.compile(r"\s*\[.*[^\]]\s*\Z"), "a table is written [name]"),
)
_TWICE: Final = ("Cannot overwrite", "Cannot declare", "Cannot mutate", "Duplicate")


def read_toml(path: Path, *, may_be_missing: bool) -> tuple[str, dict[str, Any]]:
    """The text and what it says; raises UsageError."""
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        if may_be_missing and isinstance(error, FileNotFoundError):
            return "", {}
        raise UsageError(f"{path}: cannot read the configuration: {_why(path, error)}") from None
    text = _decoded(path, content)
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(_syntax(path, text, str(error))) from None
    except (ValueError, RecursionError):
        raise UsageError(f"{path}: not TOML: a number or a nesting is too large") from None


def _why(path: Path, error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        return "there is no such file: correct its name"
    if isinstance(error, IsADirectoryError):
        return f"it is a directory: name the file in it, such as {path / 'mailingest.toml'}"
    if isinstance(error, FileNotFoundError):
        return "there is no such file: correct its name, or make it (`mailingest config`)"
    if isinstance(error, PermissionError):
        return f"{error.strerror}: {_permissions(path)}"
    return str(error.strerror)


def _permissions(path: Path) -> str:
    """Whose the file is, who asks, and what would let him read it."""
    me = _name(pwd.getpwuid, os.geteuid())
    try:
        found = path.stat()
    except OSError:
        return f"the user {me} may not search the directory {path.parent}: chmod o+x {path.parent}"
    group = _name(grp.getgrgid, found.st_gid)
    return (
        f"it belongs to {_name(pwd.getpwuid, found.st_uid)}, group {group}, mode "
        f"{stat.S_IMODE(found.st_mode):04o}, and this is the user {me}: let its group read it "
        f"(chmod g+r {path}) and be in that group, or run this as root"
    )


def _name(of: Any, number: int) -> str:
    try:
        return str(of(number)[0])
    except KeyError:
        return str(number)


def _decoded(path: Path, content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UsageError(f"{path}: it is UTF-16: save it as UTF-8 (iconv -f utf-16 -t utf-8)")
    try:
        # What Windows' editors put before UTF-8 is no part of the text.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{path}:{line}: it is not UTF-8: save it as UTF-8 (from ISO-8859-1: "
            f"iconv -f iso-8859-1 -t utf-8)"
        ) from None


def _syntax(path: Path, text: str, reason: str) -> str:
    match = _AT.search(reason)
    lines = text.splitlines()
    reason = reason[: match.start()] if match else reason
    number = int(match[1]) if match and match[1] else len(lines)
    # A text without its end is noticed in the next line, or at the end of all.
    line = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    if reason.startswith(_TWICE):
        hint = "this key or table stands twice: leave one of them, and write [[...]] for a list"
    else:
        hint = _hint(line)
    # A line with a secret must not get into a log.
    shown = f" in `{line[:_LONGEST_LINE]}`" if line and "=" not in line else ""
    key = line.partition("=")[0].strip() if "=" in line else ""
    place = f" of {key}" if re.fullmatch(r"[\w.\"-]{1,60}", key) else ""
    return f"{path}:{number}: not TOML: {reason}{shown}{place}: {hint}"


def _hint(line: str) -> str:
    hints: Iterable[str] = (
        hint
        for pattern, hint in _HINTS
        if pattern.match(line) or (hint.startswith("write true") and pattern.search(line))
    )
    return next(iter(hints), "correct this line, or the one before it")
