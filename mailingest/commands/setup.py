"""What a cluster needs: index template and lifecycle policy, shown or put there.

Reads what the server has, compares it with what it should have, and sends no other requests than
those that change something.
"""

import asyncio
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson
from elasticsearch import ApiError, AsyncElasticsearch, TransportError

from mailingest.config import Settings
from mailingest.errors import UsageError
from mailingest.stores.elastic.bulk import error_type
from mailingest.stores.elastic.lifecycle import (
    ilm_policy,
    ilm_settings,
    ism_policy,
    plain_policy,
    plain_template,
    policy_name,
)
from mailingest.stores.elastic.writer import (
    ElasticWriter,
    IndexTemplate,
    explain,
    lifecycle_of,
    present_template,
    refusal_reason,
)
from mailingest.wiring import build_elasticsearch, index_template_of

Show = Literal["requests", "diff"]

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
    """A request, and what it changes: ``present`` is what the server has, None if nothing.

    ``present`` and ``wanted`` are in a form that can be compared.
    """

    what: str
    method: str
    path: str
    body: Mapping[str, Any]
    present: Mapping[str, Any] | None
    wanted: Mapping[str, Any]

    @property
    def state(self) -> Literal["new", "changed", "unchanged"]:
        if self.present is None:
            return "new"
        return "unchanged" if self.present == self.wanted else "changed"


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in their order, and what the operator should know."""

    steps: Sequence[Step]
    notes: Sequence[str]


def run(settings: Settings, show: Show | None = None) -> None:
    """Set the cluster up, or show what that would do; prints.

    Raises UsageError or StoreUnavailable; a second run changes nothing.
    """
    if not settings.elasticsearch.hosts:
        print(
            "nothing to set up: only Elasticsearch and OpenSearch need it, see elasticsearch.hosts"
        )
        return
    asyncio.run(_run(settings, show))


async def _run(settings: Settings, show: Show | None) -> None:
    output = build_elasticsearch(settings, None)
    try:
        await output.open()
        plan = await make_plan(output, settings)
        for step in plan.steps:
            if show == "requests":
                print(_request(step))
            elif show == "diff":
                print(_difference(step), end="")
            else:
                if step.state != "unchanged":
                    await output.client.perform_request(
                        step.method, step.path, headers=_JSON, body=step.body
                    )
                print(f"{step.what}: {step.state}")
    except (ApiError, TransportError) as error:
        raise explain(error, _PRIVILEGES) from error
    finally:
        await output.close()
    for note in plan.notes:
        print(f"note: {note}")


async def make_plan(output: ElasticWriter, settings: Settings) -> Plan:
    """What it takes for the server to be as the settings say; only reads there."""
    client = output.client
    is_opensearch = output.server is not None and output.server.kind == "opensearch"
    prefix = settings.index.prefix
    template = index_template_of(settings)
    days = settings.retention.days
    policy: Step | None = None
    notes: list[str] = []
    if days is None:
        notes.append("retention.days is not set: no policy is made, and one that is there stays")
    elif is_opensearch:
        policy = await _ism_step(client, prefix, days, template.priority)
    else:
        policy = await _ilm_step(client, prefix, days)
    if days is not None and policy is None:
        missing = "OpenSearch has no ISM" if is_opensearch else "Elasticsearch has no ILM"
        notes.append(
            f"this {missing}: have `mailingest retention` run daily "
            "(systemd/mailingest-retention.timer)"
        )
    elif policy is not None and policy.state == "new":
        notes.append("the policy holds for new indices; `mailingest retention` deletes older ones")
    elif policy is not None and policy.state == "changed" and is_opensearch:
        notes.append(
            "indices keep the version of the policy that they have begun with (ISM, "
            "_plugins/_ism/change_policy); `mailingest retention` deletes them in time as well"
        )
    in_template = await _template_step(
        client, template, ilm_settings(prefix) if policy is not None and not is_opensearch else None
    )
    return Plan([step for step in (policy, in_template) if step is not None], notes)


async def _template_step(
    client: AsyncElasticsearch, template: IndexTemplate, lifecycle: dict[str, Any] | None
) -> Step:
    present = await present_template(client, template.name)
    # Without a policy of ours, the template keeps the one that an operator has named there.
    body = template.request(lifecycle_of(present) if lifecycle is None else lifecycle)
    return Step(
        f"index template {template.name}",
        "PUT",
        f"/_index_template/{template.name}",
        body,
        plain_template(present) if present else None,
        plain_template(body),
    )


async def _ilm_step(client: AsyncElasticsearch, prefix: str, days: int) -> Step | None:
    name = policy_name(prefix)
    path = f"/_ilm/policy/{name}"
    answer = await _get(client, path)
    if answer is None:
        return None
    body = ilm_policy(days)
    present = answer.get(name, {}).get("policy")
    return Step(
        f"lifecycle policy {name} (ILM)",
        "PUT",
        path,
        body,
        plain_policy(present) if present else None,
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
    present = answer.get("policy")
    # A policy is only replaced by someone who has seen its present version.
    version = (
        f"?if_seq_no={answer['_seq_no']}&if_primary_term={answer['_primary_term']}"
        if present
        else ""
    )
    return Step(
        f"lifecycle policy {name} (ISM)",
        "PUT",
        path + version,
        body,
        plain_policy(present) if present else None,
        plain_policy(body["policy"]),
    )


def _request(step: Step) -> str:
    if step.state == "unchanged":
        return f"# {step.what}: unchanged, no request\n"
    body = orjson.dumps(step.body, option=orjson.OPT_INDENT_2).decode()
    return f"# {step.what}: {step.state}\n{step.method} {step.path}\n{body}\n"


def _difference(step: Step) -> str:
    if step.state == "unchanged":
        return f"{step.what}: unchanged\n"
    present = _lines(step.present) if step.present is not None else []
    return "".join(
        difflib.unified_diff(
            present, _lines(step.wanted), f"{step.what}: server", f"{step.what}: wanted"
        )
    )


def _lines(value: object) -> list[str]:
    option = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    return [f"{line}\n" for line in orjson.dumps(value, option=option).decode().splitlines()]


async def _get(client: AsyncElasticsearch, path: str) -> dict[str, Any] | None:
    """What is at a path, empty if there is nothing; None if the server does not know the path."""
    asking = client.options(ignore_status=(404, *_NO_HANDLER))
    try:
        answer = await asking.perform_request("GET", path, headers=_JSON)
    except ApiError as error:
        if error.status_code == 403 and _READS_A_DOCUMENT in refusal_reason(error):
            return None
        raise
    status, body = answer.meta.status, answer.body
    if not isinstance(body, Mapping):
        raise UsageError(f"what answers to GET {path} is no JSON: check for a proxy in between")
    if status in _NO_HANDLER or error_type(body.get("error")) == "index_not_found_exception":
        return None
    return {} if status == 404 else dict(body)
