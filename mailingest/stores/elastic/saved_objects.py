"""The saved objects for Kibana and OpenSearch Dashboards, for the prefix that is set."""

from typing import Any

import orjson

from mailingest.config import data_directory

# In the shipped file, ids and titles have the default prefix in these places.
_ID = "mail-"
_TITLE = "[mail]"


def saved_objects(prefix: str) -> bytes:
    """The objects as their import takes them, one JSON object a line."""
    text = (data_directory("config") / "saved-objects.ndjson").read_text("utf-8")
    lines = [orjson.dumps(_named(orjson.loads(line), prefix)) for line in text.splitlines()]
    return b"".join(line + b"\n" for line in lines)


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
