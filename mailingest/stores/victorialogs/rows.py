r"""Documents <-> what VictoriaLogs keeps: fields that are all texts, and none that is empty.

Beside its own fields, a document has these there:

- ``event_id`` and ``event_type``: its id, and the type that names its index;
- ``event_batch`` and ``event_place``: the request that it came with, and its place in there, which
  tell the order of what was written;
- ``event_json``: the names of fields that were no text, an empty one or one like a number, and are
  kept as JSON; those of fractions have ``=`` behind them;
- ``FIELD.lower`` of what is asked for in any case of letters, where it is in another one, and
  ``FIELD.domain`` of addresses.

``message`` is `_msg`, as the server calls it, and ``@timestamp`` is `_time`.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

import orjson

from mailingest.documents import Document
from mailingest.postfix.names import ORIGINAL_RECIPIENT, RECIPIENT, SENDER
from mailingest.stores.criteria import FIELDS_OF
from mailingest.stores.days import type_of
from mailingest.stores.events import StoredEvent
from mailingest.stores.victorialogs import logsql

ID: Final = "event_id"
TYPE: Final = "event_type"
BATCH: Final = "event_batch"
PLACE: Final = "event_place"
AS_JSON: Final = "event_json"
TIME: Final = "_time"
TEXT: Final = "_msg"

FOLDED: Final = frozenset(
    name for names in FIELDS_OF.values() for name in names if name != "message"
)
"""Fields that are asked for in any case of letters."""
ADDRESSES: Final = frozenset({SENDER, RECIPIENT, ORIGINAL_RECIPIENT})

_NAMES: Final = {"message": TEXT, "@timestamp": TIME}
_OWN: Final = frozenset({ID, TYPE, BATCH, PLACE, AS_JSON, TIME, "_stream", "_stream_id"})
# A document without a text: the server would put a sentence in its place.
_NO_TEXT: Final = "-"
# Behind the name of a field whose value is one, in the list of those that are JSON.
_FRACTION: Final = "="
# What a decimal number has at most that the server's arithmetic does not change for good.
_DIGITS: Final = ".15g"
_EMPTY: Final = '""'
# As `mailingest.syslog.timestamps` writes times: of microseconds, zeros are left out.
_USUAL_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:\d{3}(?<!000))?Z", re.ASCII
)


def lower_of(field: str) -> str:
    """The field that has the same in lower case, where that is another text."""
    return f"{field}.lower"


def domain_of(field: str) -> str:
    """The field that has the domain of an address, in lower case."""
    return f"{field}.domain"


def encode(document: Document, batch: int, place: int) -> bytes:
    """A line of the request; ``place`` is less than a million."""
    row: dict[str, str] = {}
    as_json: list[str] = []
    for name, value in document.fields.items():
        if type(value) is str and value:
            text = row[name] = logsql.kept(value)
            if text is not value:
                as_json.append(name)
        else:
            as_json.append(name + _FRACTION if type(value) is float else name)
            row[name] = _json(value)
            continue
        if name in FOLDED:
            folded = value.lower()
            if folded != value:
                row[lower_of(name)] = folded
            if name in ADDRESSES and "@" in folded:
                row[domain_of(name)] = logsql.kept(folded.rpartition("@")[2]) or _EMPTY
    row[TEXT] = row.pop("message", _NO_TEXT)
    if "message" not in document.fields:
        as_json.append(f"-{TEXT}")
    time = row["@timestamp"]
    row[TIME] = time
    if _USUAL_TIME.fullmatch(time):
        del row["@timestamp"]
    row[TYPE] = type_of(document.index)
    row[ID] = document.id
    row[BATCH] = str(batch)
    row[PLACE] = str(place)
    if as_json:
        row[AS_JSON] = " ".join(as_json)
    return orjson.dumps(row)


def decode(row: Mapping[str, str]) -> StoredEvent:
    """An event of an answer's line; ``_position`` grows as lines are written."""
    as_json = row.get(AS_JSON, "").split()
    event: dict[str, Any] = {"@timestamp": usual_time(row[TIME])}
    for name, value in row.items():
        if name in _OWN or _is_derived(name):
            continue
        if name == TEXT:
            name = "message"
            if f"-{TEXT}" in as_json:
                continue
        if name + _FRACTION in as_json:
            event[name] = float(format(float(value), _DIGITS))
        else:
            event[name] = orjson.loads(value) if name in as_json else value
    event["_id"] = row[ID]
    event["_position"] = int(row[BATCH]) + int(row[PLACE])
    return event


def usual_time(time: str) -> str:
    """The time as documents have it; the server leaves out zeros at its end.

    >>> usual_time("2026-11-24T10:00:00Z"), usual_time("2026-11-24T10:00:00.1205Z")
    ('2026-11-24T10:00:00.000Z', '2026-11-24T10:00:00.120500Z')
    """
    seconds, _, fraction = time.removesuffix("Z").partition(".")
    return f"{seconds}.{fraction.ljust(3 if len(fraction) <= 3 else 6, '0')}Z"


def _is_derived(name: str) -> bool:
    field, dot, kind = name.rpartition(".")
    return bool(dot) and field in FOLDED and kind in ("lower", "domain")


def _json(value: object) -> str:
    if isinstance(value, bytes):
        value = b64encode(value).decode("ascii")
    return orjson.dumps(value).decode()
