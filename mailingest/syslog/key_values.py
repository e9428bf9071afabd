"""Pairs of keys and values in a line -> values, as an object has them: logfmt, Fluent Bit.  Pure.

logfmt is what programs in Go write: ``ts=2026-11-24T15:41:22Z level=info msg="…"``.  Fluent Bit's
output ``stdout`` writes ``[0] tail.0: [[1700000000.0, {}], {"log"=>"…"}]``.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

_MOST_PAIRS: Final = 64
_PAIR = re.compile(r'([A-Za-z_@][\w.@/-]{0,63})=(?:("(?>(?:[^"\\]++|\\.)*)")|([^\s"]*+))(?: +|\Z)')
_FLUENT_BIT = re.compile(
    r"\[\d{1,9}\] \S{1,255}: \[(?:\[(\d{1,10}(?:\.\d{1,9})?), \{[^{}]{0,2048}\}\]"
    r"|(\d{1,10}(?:\.\d{1,9})?)), (\{.*\})\]",
    re.DOTALL | re.ASCII,
)
# Strings are to stay as they are.
_TOKEN = re.compile(r'"(?>(?:[^"\\]++|\\.)*)"|=>', re.DOTALL)


def read_pairs(line: str) -> Mapping[str, Any] | None:
    """The values of a line that is nothing but pairs; None if it is not.

    >>> read_pairs('level=info msg="4F2A11E0ABC: removed"')
    {'level': 'info', 'msg': '4F2A11E0ABC: removed'}
    >>> read_pairs("4F2A11E0ABC: removed")
    """
    values: dict[str, str] = {}
    at = 0
    while at < len(line):
        match = _PAIR.match(line, at)
        if match is None or len(values) >= _MOST_PAIRS:
            return None
        key, quoted, plain = match.groups()
        values.setdefault(key, plain if quoted is None else _string(quoted))
        at = match.end()
    return values or None


def read_fluent_bit(line: str) -> Mapping[str, Any] | None:
    """The values of a line of Fluent Bit's output; None if it is none.

    >>> read_fluent_bit('[0] tail.0: [[1700000000.5, {}], {"log"=>"a=>b"}]')
    {'log': 'a=>b', 'timestamp': 1700000000.5}
    """
    match = _FLUENT_BIT.fullmatch(line)
    if match is None:
        return None
    time = match[1] or match[2]
    try:
        values = orjson.loads(_TOKEN.sub(lambda one: ":" if one[0] == "=>" else one[0], match[3]))
    except ValueError:
        return None
    return {**values, "timestamp": values.get("timestamp", float(time))}


def _string(quoted: str) -> str:
    try:
        return str(orjson.loads(quoted))
    except ValueError:
        return quoted[1:-1]
