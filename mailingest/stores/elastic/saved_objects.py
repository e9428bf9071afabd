"""The saved objects for Kibana and OpenSearch Dashboards, for the prefix that is set."""

import sys
from pathlib import Path
from typing import Any

import orjson

from mailingest.config import data_directory
from mailingest.errors import UsageError

# In the shipped file, ids and titles have the default prefix in these places.
_ID = "mail-"
_TITLE = "[mail]"


def write(prefix: str, place: str) -> None:
    """Write the objects to a file, or to standard output if ``place`` is `-`.

    Raises UsageError if the file cannot be written.
    """
    text = (data_directory("config") / "saved-objects.ndjson").read_text("utf-8")
    lines = [orjson.dumps(_named(orjson.loads(line), prefix)) for line in text.splitlines()]
    content = b"".join(line + b"\n" for line in lines)
    if place == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        Path(place).write_bytes(content)
    except OSError as error:
        raise UsageError(f"--saved-objects: cannot write {place}: {error.strerror}") from None


def _named(value: Any, prefix: str) -> Any:
    """An object, or a part of one, for another prefix."""
    match value:
        case dict():
            named = {name: _named(inner, prefix) for name, inner in value.items()}
            if "type" in value and "id" in value:
                named["id"] = f"{prefix}-{value['id'].removeprefix(_ID)}"
            if value.get("type") == "index-pattern" and "attributes" in value:
                named["attributes"]["title"] = f"{prefix}-*"
            return named
        case list():
            return [_named(inner, prefix) for inner in value]
        case str():
            return value.replace(_TITLE, f"[{prefix}]")
        case _:
            return value
