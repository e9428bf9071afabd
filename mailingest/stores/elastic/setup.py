"""What a cluster needs: index template and lifecycle policy, shown or put there.

Reads what the server has, compares it with what it should have, and sends no other requests than
those that change something.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson
from elasticsearch import ApiError, AsyncElasticsearch

from mailingest.errors import UsageError
from mailingest.stores.elastic.connection import ElasticConnection
from mailingest.stores.elastic.errors import refusal_reason
from mailingest.stores.elastic.lifecycle import (
    ilm_policy,
    ilm_settings,
    ism_policy,
    plain_policy,
    plain_template,
    policy_name,
)
from mailingest.stores.elastic.refusals import error_type
from mailingest.stores.elastic.template import IndexTemplate, lifecycle_of, read_template
from mailingest.stores.protocol import Show

_JSON: Final = {"accept": "application/json", "content-type": "application/json"}
# What a server answers to a path that it has no handler for: OpenSearch without ISM says 400, a
# path with other methods 405, a serverless project 410.
_NO_HANDLER: Final = (400, 405, 410)
# 7.10 without ILM takes the path for that of a document in an index `_ilm`: there is none, or the
# user may not look.
_READS_A_DOCUMENT: Final = "indices:data/read/get"
_PRIVILEGES: Final = (
    "monitor, manage_index_templates and manage_ilm on the cluster (OpenSearch: cluster_monitor, "
    "cluster_manage_index_templates and cluster:admin/opendistro/ism/policy/*)"
)


@dataclass(frozen=True, slots=True)
class Step:
    """A request, and what it changes: ``current`` is what the server has, None if nothing.

    ``current`` and ``wanted`` are in a form that can be compared.
    """

    what: str
    method: str
    path: str
    body: Mapping[str, Any]
    current: Mapping[str, Any] | None
    wanted: Mapping[str, Any]

    @property
    def state(self) -> Literal["new", "changed", "unchanged"]:
        if self.current is None:
            return "new"
        return "unchanged" if self.current == self.wanted else "changed"

    def request(self) -> str:
        """The request as text, as the consoles of Kibana and OpenSearch Dashboards take it."""
        if self.state == "unchanged":
            return f"# {self.what}: unchanged, no request\n"
        body = orjson.dumps(self.body, option=orjson.OPT_INDENT_2).decode()
        return f"# {self.what}: {self.state}\n{self.method} {self.path}\n{body}\n"

    def difference(self) -> str:
        """What would change on the server, as a unified diff."""
        if self.state == "unchanged":
            return f"{self.what}: unchanged"
        current = _lines(self.current) if self.current is not None else []
        return "\n".join(
            difflib.unified_diff(
                current,
                _lines(self.wanted),
                f"{self.what}: server",
                f"{self.what}: wanted",
                lineterm="",
            )
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in their order, and what the operator should know."""

    steps: Sequence[Step]
    notes: Sequence[str]


async def set_up(
    connection: ElasticConnection,
    prefix: str,
    template: IndexTemplate,
    days: int | None,
    show: Show | None,
    report: Callable[[str], None],
) -> None:
    """Set the cluster up, or show what that would do; a second run changes nothing.

    Raises UsageError or StoreUnavailable.
    """
    async with connection.opened(_PRIVILEGES) as client:
        plan = await _plan(connection, client, prefix, template, days)
        for step in plan.steps:
            if show == "requests":
                report(step.request())
            elif show == "diff":
                report(step.difference())
            else:
                if step.state != "unchanged":
                    await client.perform_request(
                        step.method, step.path, headers=_JSON, body=step.body
                    )
                report(f"{step.what}: {step.state}")
    for note in plan.notes:
        report(f"note: {note}")


async def _plan(
    connection: ElasticConnection,
    client: AsyncElasticsearch,
    prefix: str,
    template: IndexTemplate,
    days: int | None,
) -> Plan:
    """What it takes for the server to be as the settings say; only reads there."""
    is_opensearch = connection.server is not None and connection.server.kind == "opensearch"
    policy: Step | None = None
    if days is not None and is_opensearch:
        policy = await _ism_step(client, prefix, days, template.priority)
    elif days is not None:
        policy = await _ilm_step(client, prefix, days)
    has_ilm = policy is not None and not is_opensearch
    in_template = await _template_step(client, template, ilm_settings(prefix) if has_ilm else None)
    return Plan(
        [step for step in (policy, in_template) if step is not None],
        list(_notes(policy, days, is_opensearch=is_opensearch)),
    )


def _notes(policy: Step | None, days: int | None, *, is_opensearch: bool) -> Sequence[str]:
    if days is None:
        return ["retention.days is not set: no policy is made, and one that is there stays"]
    if policy is None:
        missing = "OpenSearch has no ISM" if is_opensearch else "Elasticsearch has no ILM"
        return [
            f"this {missing}: have `mailingest retention` run daily "
            "(systemd/mailingest-retention.timer)"
        ]
    if policy.state == "new":
        return ["the policy holds for new indices; `mailingest retention` deletes older ones"]
    if policy.state == "changed" and is_opensearch:
        return [
            "indices keep the version of the policy that they have begun with (ISM, "
            "_plugins/_ism/change_policy); `mailingest retention` deletes them in time as well"
        ]
    return []


async def _template_step(
    client: AsyncElasticsearch, template: IndexTemplate, lifecycle: dict[str, Any] | None
) -> Step:
    current = await read_template(client, template.name)
    # Without a policy of mailingest's, the template keeps the one that an operator has named there.
    body = template.request(lifecycle_of(current) if lifecycle is None else lifecycle)
    return Step(
        f"index template {template.name}",
        "PUT",
        f"/_index_template/{template.name}",
        body,
        plain_template(current) if current else None,
        plain_template(body),
    )


async def _ilm_step(client: AsyncElasticsearch, prefix: str, days: int) -> Step | None:
    name = policy_name(prefix)
    path = f"/_ilm/policy/{name}"
    answer = await _get(client, path)
    if answer is None:
        return None
    body = ilm_policy(days)
    current = answer.get(name, {}).get("policy")
    return Step(
        f"lifecycle policy {name} (ILM)",
        "PUT",
        path,
        body,
        plain_policy(current) if current else None,
        plain_policy(body["policy"]),
    )


async def _ism_step(
    client: AsyncElasticsearch, prefix: str, days: int, priority: int
) -> Step | None:
    name = policy_name(prefix)
    path = f"/_plugins/_ism/policies/{name}"
    answer = await _get(client, path)
    if answer is None:
        return None
    body = ism_policy(prefix, days, priority=priority)
    current = answer.get("policy")
    # A policy is only replaced by someone who has seen its current version.
    version = (
        f"?if_seq_no={answer['_seq_no']}&if_primary_term={answer['_primary_term']}"
        if current
        else ""
    )
    return Step(
        f"lifecycle policy {name} (ISM)",
        "PUT",
        path + version,
        body,
        plain_policy(current) if current else None,
        plain_policy(body["policy"]),
    )


def _lines(value: object) -> list[str]:
    option = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    return orjson.dumps(value, option=option).decode().splitlines()


async def _get(client: AsyncElasticsearch, path: str) -> dict[str, Any] | None:
    """What is at a path, empty if there is nothing; None if the server does not know the path."""
    lenient = client.options(ignore_status=(404, *_NO_HANDLER))
    try:
        answer = await lenient.perform_request("GET", path, headers=_JSON)
    except ApiError as error:
        if error.status_code == 403 and _READS_A_DOCUMENT in refusal_reason(error):
            return None
        raise
    status, body = answer.meta.status, answer.body
    if not isinstance(body, Mapping):
        raise UsageError(f"the answer to GET {path} is not JSON: check for a proxy in between")
    if status in _NO_HANDLER or error_type(body.get("error")) == "index_not_found_exception":
        return None
    return {} if status == 404 else dict(body)
