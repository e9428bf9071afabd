"""The index template on the server: what of it is mailingest's, and what is left to others.

It is composed, the later part going before the earlier one, of the settings that an operator may
well want otherwise (the component template ``PREFIX@mailingest``), of the operator's own
(``PREFIX@custom``, if there is one), and of what mailingest relies on: mappings and analysis.

Sources: `PUT _index_template`, `PUT _component_template` and "Settings and mappings of composable
templates" of the Elasticsearch reference; OpenSearch does the same.  `_meta` is for users' notes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from elasticsearch import AsyncElasticsearch

from mailingest.errors import UsageError
from mailingest.stores.elastic.advice import Layout
from mailingest.stores.elastic.lifecycle import plain_template, with_lifecycle
from mailingest.stores.elastic.steps import Step

TEMPLATE_PRIORITY: Final = 200
"""Above the 100 that Elastic's own templates have, plus the length of the index pattern.

A server refuses two templates of one priority whose patterns overlap, as ``mail-*`` and
``mail-test-*`` do; so the longer one goes first.
"""

_MANAGED_BY: Final = "mailingest"
# What every version has called the analyzers and normalizers of its template.
_OWN_ANALYSIS: Final = re.compile(r"index\.analysis\.\w+\.mailingest_")


@dataclass(frozen=True, slots=True)
class IndexTemplate:
    """A composable index template: ``body`` has ``settings``, ``mappings`` and ``aliases``."""

    name: str
    patterns: Sequence[str]
    body: Mapping[str, Any]

    @property
    def priority(self) -> int:
        return TEMPLATE_PRIORITY + len(self.patterns[0])

    @property
    def component(self) -> str:
        """The component template of the settings that others may override."""
        return f"{self.name}@mailingest"

    @property
    def custom(self) -> str:
        """The operator's component template; mailingest never writes it."""
        return f"{self.name}@custom"

    def component_request(self, lifecycle: Mapping[str, Any]) -> dict[str, Any]:
        """The body of ``PUT _component_template``; ``lifecycle`` is for ``index.lifecycle``."""
        settings = self.body.get("settings", {})
        defaults = {name: value for name, value in settings.items() if name != "analysis"}
        return {"template": with_lifecycle({"settings": defaults}, lifecycle), "_meta": self._meta}

    def request(self, *, with_custom: bool) -> dict[str, Any]:
        """The body of ``PUT _index_template``."""
        settings = self.body.get("settings", {})
        fixed = {name: value for name, value in settings.items() if name == "analysis"}
        return {
            "index_patterns": list(self.patterns),
            "priority": self.priority,
            "composed_of": [self.component, *([self.custom] if with_custom else [])],
            "template": {**self.body, "settings": fixed},
            "_meta": self._meta,
        }

    @property
    def _meta(self) -> dict[str, str]:
        return {
            "managed_by": _MANAGED_BY,
            "description": f"overwritten by mailingest: own settings belong into {self.custom}",
        }


@dataclass(frozen=True, slots=True)
class OnServer:
    """What the server has of an index template; what is empty is not there."""

    template: Mapping[str, Any]
    component: Mapping[str, Any]
    custom: Mapping[str, Any] | None

    @property
    def is_foreign(self) -> bool:
        """Whether somebody else has made the template of this name.

        Those of earlier versions of mailingest do not say whose they are.
        """
        if not self.template:
            return False
        maker = (self.template.get("_meta") or {}).get("managed_by")
        if maker is not None:
            return bool(maker != _MANAGED_BY)
        settings = plain_template(self.template).get("settings", {})
        return not any(_OWN_ANALYSIS.match(name) for name in settings)

    def layout(self, template: IndexTemplate, days: int | None) -> Layout:
        """How new days are laid out with the operator's settings, which go before mailingest's."""
        settings = {
            name.removeprefix("index."): value
            for one in (template.component_request({}), self.custom or {})
            for name, value in plain_template(one).get("settings", {}).items()
        }
        expand = settings.get("auto_expand_replicas", "false")
        replicas = int(settings.get("number_of_replicas", 1)) if expand == "false" else None
        return Layout(int(settings.get("number_of_shards", 1)), replicas, days)

    @property
    def lifecycle(self) -> dict[str, Any]:
        """What is below ``index.lifecycle``; earlier versions had it in the template itself."""
        for one in (self.component, self.template):
            if lifecycle := _index_settings(one).get("lifecycle"):
                return dict(lifecycle)
        return {}


async def read_template(client: AsyncElasticsearch, template: IndexTemplate) -> OnServer:
    """What the server has of a template."""
    lenient = client.options(ignore_status=404)
    answer = await lenient.indices.get_index_template(name=template.name)
    found = answer.body.get("index_templates", [])
    answer = await lenient.cluster.get_component_template(name=f"{template.name}@*")
    components = {
        one["name"]: one["component_template"] for one in answer.body.get("component_templates", [])
    }
    return OnServer(
        cast(dict[str, Any], found[0]["index_template"] if found else {}),
        components.get(template.component, {}),
        components.get(template.custom),
    )


def template_steps(
    template: IndexTemplate, there: OnServer, lifecycle: Mapping[str, Any] | None
) -> list[Step]:
    """What it takes for the server to have the template.

    Without a ``lifecycle`` of mailingest's, the one that an operator has named there is kept.
    """
    component = template.component_request(there.lifecycle if lifecycle is None else lifecycle)
    body = template.request(with_custom=there.custom is not None)
    return [
        Step(
            f"component template {template.component}",
            "PUT",
            f"/_component_template/{template.component}",
            component,
            plain_template(there.component) if there.component else None,
            plain_template(component),
        ),
        Step(
            f"index template {template.name}",
            "PUT",
            f"/_index_template/{template.name}",
            body,
            plain_template(there.template) if there.template else None,
            plain_template(body),
        ),
    ]


def foreign(template: IndexTemplate) -> UsageError:
    """The error that somebody else's template has the name of mailingest's."""
    return UsageError(
        f"index template {template.name} on the server was not made by mailingest, which leaves it "
        f"alone: `mailingest setup --force` replaces it (its settings may go into the component "
        f"template {template.custom} first); or save it there under another name, or set "
        "index.prefix"
    )


async def put_template(client: AsyncElasticsearch, template: IndexTemplate) -> list[Step]:
    """Put an index template, and keep the policy that the server's names; gives the changes.

    Raises UsageError if the template of this name is somebody else's.
    """
    there = await read_template(client, template)
    if there.is_foreign:
        raise foreign(template)
    steps = [step for step in template_steps(template, there, None) if step.state != "unchanged"]
    for step in steps:
        await step.send(client)
    return steps


def _index_settings(template: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of a template as a server gives them back, which is below ``index``."""
    settings = template.get("template", {}).get("settings", {})
    return cast(Mapping[str, Any], settings.get("index", {}))
