"""What Grafana's published library (grafana-foundation-sdk) says of a dashboard."""

import json
from collections.abc import Iterator
from enum import Enum
from typing import Any, get_type_hints

from grafana_foundation_sdk import models
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig
from pydantic import ConfigDict, TypeAdapter


def dropped(given: Any, taken: Any, place: str = "") -> Iterator[str]:
    """What the library does not know, or knows otherwise: it writes back what it has read."""
    match given, taken:
        case dict(), dict():
            for name, value in given.items():
                if name not in taken:
                    yield f"{place}/{name}"
                else:
                    yield from dropped(value, taken[name], f"{place}/{name}")
        case list(), list() if len(given) == len(taken):
            for index, (one, other) in enumerate(zip(given, taken, strict=True)):
                yield from dropped(one, other, f"{place}/{index}")
        case _ if given != taken:
            yield place


def mistyped(thing: Any, place: str = "") -> Iterator[str]:
    """Attributes of the library's objects whose values are not of the declared type."""
    if isinstance(thing, list):
        for index, one in enumerate(thing):
            yield from mistyped(one, f"{place}/{index}")
    if isinstance(thing, Enum) or not type(thing).__module__.startswith(f"{models.__name__}."):
        return
    for name, hint in get_type_hints(type(thing)).items():
        value = getattr(thing, name)
        if name == "transformations" and value is not None:
            value = [DataTransformerConfig.from_json(one) for one in value]  # left as it is
        adapter = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
        try:
            # An enumeration is given by its value, as in JSON, where a tuple is a list.
            if isinstance(value, (str, int)):
                adapter.validate_json(json.dumps(value), strict=True)
            else:
                adapter.validate_python(value, strict=True)
        except ValueError as error:
            yield f"{place}/{name}: {error}"
        yield from mistyped(value, f"{place}/{name}")
