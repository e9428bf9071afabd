"""A frame's header, with whatever is around it: any bytes become a record, and no byte is lost."""

from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import UTC, datetime
from typing import Final

from benchmarks.fuzz.choices import Choices
from benchmarks.fuzz.lines import bounded_time, known_lines, lengthened
from mailingest.syslog.header import RecordDecoder
from mailingest.syslog.records import REPEATED, Record
from mailingest.syslog.timestamps import Clock
from tests.support.wrapping import WRAPPINGS

_NOW: Final = 1_795_000_000.0
_CHARSETS: Final = ("auto", "utf-8", "iso-8859-1", "ascii")
_PEERS: Final = ("", "192.0.2.1", "2001:db8::1")
_HIGHEST_PRI: Final = 191
# Each byte is a character of it.
_ANY: Final = "iso-8859-1"
_CODECS: Final = ("utf-8", _ANY)
_IN_ORDER, _LENGTHENED = 1, 2


def check(data: bytes) -> Iterable[str]:
    choices = Choices(data)
    charset, peer = choices.one_of(_CHARSETS), choices.one_of(_PEERS)
    flags = choices.byte()
    place = (choices.byte(), choices.byte()) if flags & _LENGTHENED else None
    payload = choices.rest()
    if place:
        payload = lengthened(payload, *place)
    decoder = RecordDecoder(Clock(UTC, {}, in_order=bool(flags & _IN_ORDER)), charset=charset)
    with bounded_time():
        record = decoder.decode(payload, reference=_NOW, peer=peer)
    _check_record(record)
    if record.problems and record.problems != (REPEATED,):
        assert record.raw == payload
    else:
        assert record.raw is None
        payload.decode(_ANY if charset == "auto" else charset)
        # An object's text has escapes.
        assert b"{" in payload or any(
            record.msg.encode(one, "replace") in payload for one in _CODECS
        )
    if not flags & _IN_ORDER:
        # What the decoder remembers of a host and a tag changes nothing.
        assert decoder.decode(payload, reference=_NOW, peer=peer) == record
    return [
        f"{charset} {record.problems}",
        *(f.name for f in fields(record) if getattr(record, f.name)),
    ]


def seeds() -> Iterator[bytes]:
    for number, lines in enumerate(known_lines()):
        yield bytes([0, number % 3, number % 2]) + lines[0]
    line = "Nov 24 15:41:13 mx1 postfix/qmgr[318]: 4F2A11E0ABC: removed"
    for form in WRAPPINGS:
        yield bytes(3) + form(line, 2026).encode()
    yield bytes(3) + line.encode("utf-16")
    yield bytes([1, 0, 2, 20, 4]) + line.encode()


def _check_record(record: Record) -> None:
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, str):
            value.encode()  # nothing that JSON cannot have
    assert record.pri is None or 0 <= record.pri <= _HIGHEST_PRI
    assert record.repeated >= 0
    moment = datetime.fromisoformat(record.moment.text)
    assert moment.timestamp() // 1 == record.moment.seconds
    assert record.moment.text.endswith("Z")
