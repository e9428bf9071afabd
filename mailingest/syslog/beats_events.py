"""An event of Filebeat (JSON) -> the frame that is kept of it.

Filebeat says of each line some kilobyte of things that are the same for all of them: agent,
operating system, addresses.  Kept is what `mailingest.syslog.structured_lines` reads, and the
line's place in its file, which tells it from the next line that is the same.
"""

from typing import Any, Final

import orjson

from mailingest.syslog.framing import MAX_FRAME_OCTETS

# Of a text in JSON: a control character has six bytes.  Names and times are short.
_MAX_TEXT: Final = 32 * 1024
_MAX_NAME: Final = 1024
_TIME: Final = b'{"@timestamp":'


def kept_of_event(data: bytes) -> tuple[bytes, bool]:
    """The frame of an event, and whether its text was cut.

    What is no such event, or has no text, is kept as it is, up to the size of a frame.
    """
    try:
        event = orjson.loads(data)
    except ValueError:
        event = None
    text = event.get("message") if isinstance(event, dict) else None
    if not isinstance(text, str) or not text:
        return data[:MAX_FRAME_OCTETS], len(data) > MAX_FRAME_OCTETS
    kept: dict[str, Any] = {}
    # First, for `place_of`.
    if time := _name(event.get("@timestamp")):
        kept["@timestamp"] = time
    kept["message"] = text[:_MAX_TEXT]
    host = event.get("host")
    # Events of Filebeat before 6.3 have a text here.
    names = {"name": host} if isinstance(host, str) else _part(host, "name", "hostname")
    if names:
        kept["host"] = names
    log = event.get("log")
    place: dict[str, Any] = _part(log, "offset")
    if path := _part(log.get("file") if isinstance(log, dict) else None, "path", "inode"):
        place["file"] = path
    if place:
        kept["log"] = place
    # A copy: what orjson gives has some 4 KiB of memory, however short it is.
    frame = bytes(memoryview(orjson.dumps(kept))[:MAX_FRAME_OCTETS])
    return frame, len(text) > _MAX_TEXT


def place_of(frame: bytes) -> bytes | None:
    """The line of a frame and its place in its file, None if that is not in it.

    They are the same, and no other line's, whenever a shipper reads its file again.
    """
    if frame.startswith(_TIME) and b'"log":{"offset":' in frame:
        return frame[frame.index(b",", len(_TIME)) :]
    return None


def _part(values: object, *keys: str) -> dict[str, Any]:
    """Those keys of an object that have a short text or a number."""
    if not isinstance(values, dict):
        return {}
    return {key: name for key in keys if (name := _name(values.get(key))) is not None}


def _name(value: object) -> str | int | None:
    if isinstance(value, str) and 0 < len(value) <= _MAX_NAME:
        return value
    return value if isinstance(value, int) and not isinstance(value, bool) else None
