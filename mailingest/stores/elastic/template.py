"""The index template on the server: what of it is mailingest's, and what is left to others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from elasticsearch import AsyncElasticsearch

from mailingest.stores.elastic.lifecycle import with_lifecycle

TEMPLATE_PRIORITY: Final = 200
"""Above the 100 that Elastic's own templates have, plus the length of the index pattern.

A server refuses two templates of one priority whose patterns overlap, as ``mail-*`` and
``mail-test-*`` do; so the longer one goes first.
"""


@dataclass(frozen=True, slots=True)
class IndexTemplate:
    """A composable index template: ``body`` has ``settings``, ``mappings`` and ``aliases``."""

    name: str
    patterns: Sequence[str]
    body: Mapping[str, Any]

    @property
    def priority(self) -> int:
        return TEMPLATE_PRIORITY + len(self.patterns[0])

    def request(self, lifecycle: Mapping[str, Any]) -> dict[str, Any]:
        """The body of ``PUT _index_template``; ``lifecycle`` is for ``index.lifecycle``."""
        return {
            "index_patterns": list(self.patterns),
            "priority": self.priority,
            "template": with_lifecycle(self.body, lifecycle),
        }


async def read_template(client: AsyncElasticsearch, name: str) -> dict[str, Any]:
    """The index template of this name that the server has; empty if there is none."""
    answer = await client.options(ignore_status=404).indices.get_index_template(name=name)
    for found in answer.body.get("index_templates", []):
        return cast(dict[str, Any], found["index_template"])
    return {}


def lifecycle_of(template: Mapping[str, Any]) -> dict[str, Any]:
    """What an index template of a server has below ``index.lifecycle``."""
    index = template.get("template", {}).get("settings", {}).get("index", {})
    return dict(index.get("lifecycle", {}))


async def put_template(client: AsyncElasticsearch, template: IndexTemplate) -> None:
    """Put an index template, and keep the policy that the server's names."""
    lifecycle = lifecycle_of(await read_template(client, template.name))
    await client.indices.put_index_template(name=template.name, **template.request(lifecycle))
