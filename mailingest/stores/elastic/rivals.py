"""Index templates of others whose patterns match mailingest's indices as well.

A new index is made by the matching template of the highest priority, and by that alone; legacy
templates only count where no other matches (`PUT _index_template`, `PUT _template` in the
Elasticsearch reference; OpenSearch does the same).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from elasticsearch import AsyncElasticsearch

from mailingest.stores.elastic.steps import NO_HANDLER
from mailingest.stores.elastic.template import IndexTemplate

# The mappings would be some hundred KB.
_COMPOSABLE: Final = (
    "index_templates.name",
    "index_templates.index_template.index_patterns",
    "index_templates.index_template.priority",
)


@dataclass(frozen=True, slots=True)
class Rivals:
    """What is known of the templates of a server, by name."""

    composable: Mapping[str, Mapping[str, Any]]
    legacy: Mapping[str, Mapping[str, Any]]

    def lines(self, template: IndexTemplate, day: date) -> list[str]:
        """What concerns the index of a day."""
        winner = self.winner(template, day)
        return [*([winner] if winner else []), *self.ignored(template, day)]

    def winner(self, template: IndexTemplate, day: date) -> str | None:
        """A line about the template that goes before mailingest's; None if there is none."""
        index = _index(template, day)
        others = {
            name: int(one.get("priority", 0))
            for name, one in self.composable.items()
            if name != template.name and _matches(one, index)
        }
        first = max(others, key=others.__getitem__, default="")
        if not first or others[first] <= template.priority:
            return None
        patterns = ", ".join(self.composable[first]["index_patterns"])
        return (
            f"index template {first} (patterns {patterns}) has priority {others[first]} and goes "
            f"before mailingest's {template.name} with {template.priority}, so new indices such as "
            f"{index} are mapped as it says: give it narrower patterns or a priority below "
            f"{template.priority}"
        )

    def ignored(self, template: IndexTemplate, day: date) -> list[str]:
        """A line about each legacy template that would shape the index without mailingest's."""
        index = _index(template, day)
        return [
            f"legacy template {name} (patterns {', '.join(one['index_patterns'])}) makes no new "
            f"index such as {index}: index template {template.name} goes before it.  What you need "
            f"of it belongs into the component template {template.custom}"
            for name, one in sorted(self.legacy.items())
            if _matches(one, index)
        ]


async def read_rivals(client: AsyncElasticsearch) -> Rivals:
    """All templates that the server has; only reads there."""
    answer = await client.indices.get_index_template(filter_path=list(_COMPOSABLE))
    composable = {
        one["name"]: one["index_template"] for one in answer.body.get("index_templates", [])
    }
    # A server without legacy templates does not know the path.
    lenient = client.options(ignore_status=NO_HANDLER)
    answer = await lenient.indices.get_template(filter_path="*.index_patterns")
    return Rivals(composable, answer.body if answer.meta.status == 200 else {})


def _index(template: IndexTemplate, day: date) -> str:
    return f"{template.name}-{day:%Y.%m.%d}"


def _matches(template: Mapping[str, Any], index: str) -> bool:
    """Whether a pattern of the template matches; `*` is the only wildcard.

    >>> _matches({"index_patterns": ["x", "mail-*.30"]}, "mail-2026.11.30")
    True
    >>> _matches({"index_patterns": ["mail-[0-9]*", "mail-?"]}, "mail-2026.11.30")
    False
    """
    return any(
        re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), index)
        for pattern in template["index_patterns"]
    )
