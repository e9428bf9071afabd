"""Lines through the whole core: each becomes one document, of declared fields of their types."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from functools import cache
from ipaddress import ip_address
from typing import Any, Final

import orjson

from benchmarks.fuzz.choices import Choices
from benchmarks.fuzz.lines import bounded_time, known_lines, lengthened
from mailingest.config import Settings
from mailingest.documents import Document, DocumentMaker
from mailingest.pipeline import Pipeline
from mailingest.postfix.enrichment import QueueMap
from mailingest.postfix.fields import FIELDS
from mailingest.postfix.parser import EventParser
from mailingest.postfix.programs import COMPANIONS, PROGRAMS
from mailingest.postfix.selection import is_of_a_mail
from mailingest.syslog.header import RecordDecoder
from mailingest.syslog.timestamps import Clock
from mailingest.wiring import build_parser

_NOW: Final = 1_795_000_000.0
_LIVE, _SELECTS, _LENGTHENED = 1, 2, 4
_PEERS: Final = ("", "192.0.2.1")
# A line may be written short: a byte for the header, which no text begins with in UTF-8, the text.
_TAGS: Final = (*sorted(f"postfix/{name}" for name in PROGRAMS), "postfix", *sorted(COMPANIONS))
_FIRST_TAG: Final = 0x80
_USUAL: Final = re.compile(rb"\S+ +\d+ [\d:]{8} \S+ ([\w/-]+)\[\d+\]: (.*)", re.DOTALL)
_ADDRESS: Final = re.compile(rb"\[[0-9.]+\]")
_NUMBER: Final = re.compile(rb"=[0-9.]+")

_TYPES: Final = {field.name: field.type for field in FIELDS}
_INDEX: Final = re.compile(r"mail-\d{4}\.\d\d\.\d\d")
_ID: Final = re.compile(r"[\w-]{20}", re.ASCII)
_LARGEST_LONG: Final = (1 << 63) - 1


def check(data: bytes) -> Iterable[str]:
    choices = Choices(data)
    flags = choices.byte()
    peer = choices.one_of(_PEERS)
    place = (choices.byte(), choices.byte()) if flags & _LENGTHENED else None
    frames = [_frame(line) for line in choices.rest().split(b"\n")]
    if place:
        frames[-1] = lengthened(frames[-1], *place)
    pipeline = _pipeline(is_live=bool(flags & _LIVE), selects=bool(flags & _SELECTS))
    documents = []
    for number, frame in enumerate(frames):
        with bounded_time():
            documents += pipeline.feed(frame, _NOW + number, peer)
    _restart(pipeline)
    documents += pipeline.flush()
    counters = pipeline.counters
    assert counters.frames == len(frames)
    assert counters.documents == len(documents)
    assert counters.frames == (
        counters.frames_empty + counters.documents + counters.documents_left_out
    )
    assert len({one.id for one in documents}) == len(documents)
    return [word for one in documents for word in _check_document(one)]


def seeds() -> Iterator[bytes]:
    for number, lines in enumerate(known_lines()):
        flags = number % 4
        yield bytes([flags, 0]) + b"\n".join(map(_short, lines))
        yield bytes([flags, 1]) + lines[0]
        # Values that do not fit their fields.
        yield bytes([flags, 0]) + _ADDRESS.sub(b"[fe80::1%eth0]", _short(lines[-1]))
        value = (b"=nan", b"=-1", b"=99999999999999999999", b"=1e999")[number // 4 % 4]
        yield bytes([flags, 0]) + _NUMBER.sub(value, _short(lines[-1]))


@cache
def _parser() -> EventParser:
    return build_parser(Settings())


def _pipeline(*, is_live: bool, selects: bool) -> Pipeline:
    return Pipeline(
        RecordDecoder(Clock(UTC, {}, in_order=not is_live)),
        _parser(),
        QueueMap(),
        DocumentMaker("mail"),
        live=is_live,
        wanted=is_of_a_mail if selects else None,
    )


def _restart(pipeline: Pipeline) -> None:
    """Whatever the lines were, what is known of them survives a restart."""
    other = _pipeline(is_live=True, selects=False)
    other.restore(list(pipeline.snapshot()))
    assert len(other.queue_map) == len(pipeline.queue_map)


def _frame(line: bytes) -> bytes:
    if not line or line[0] < _FIRST_TAG:
        return line
    tag = _TAGS[(line[0] - _FIRST_TAG) % len(_TAGS)]
    return b"<22>Nov 24 15:41:13 mx1 %b[318]: %b" % (tag.encode(), line[1:])


def _short(line: bytes) -> bytes:
    usual = _USUAL.fullmatch(line)
    if usual is None or (tag := usual[1].decode()) not in _TAGS:
        return line
    return bytes([_FIRST_TAG + _TAGS.index(tag)]) + usual[2]


def _check_document(document: Document) -> Iterator[str]:
    assert _INDEX.fullmatch(document.index), document.index
    assert _ID.fullmatch(document.id), document.id
    body = orjson.loads(document.body)
    assert body.keys() == document.fields.keys()
    _check_fields(body)
    # Not what is made of a name in the line: there is always another one.
    yield from body
    yield from ("unfit " + one.partition("=")[0] for one in body.get("unfit", ()))
    service = body.get("service", "")
    yield f"{service if service in PROGRAMS else 'other'} {body.get('outcome')}"
    yield from (tag for tag in body["tags"] if service in PROGRAMS or "_nomatch" not in tag)


def _check_fields(body: Mapping[str, Any]) -> None:
    for name, value in body.items():
        assert name in _TYPES, f"not declared: {name}"
        values = value if isinstance(value, list) else [value]
        assert all(_fits(name, one) for one in values), f"{name} is {value!r}"


def _fits(name: str, value: object) -> bool:
    match _TYPES[name]:
        case "integer":
            return isinstance(value, int) and abs(value) <= _LARGEST_LONG
        case "float":
            return isinstance(value, int | float) and math.isfinite(value)
        case "ip":
            return isinstance(value, str) and bool(ip_address(value))
        case _:
            return isinstance(value, str)
