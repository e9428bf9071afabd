"""What a cluster needs: index template and lifecycle policy, shown or put there; and advice.

Reads what the server has, compares it with what it should have, and sends no other requests than
those that change something.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from elasticsearch import ApiError, AsyncElasticsearch

from mailingest.errors import UsageError
from mailingest.stores.elastic.advice import advise
from mailingest.stores.elastic.connection import ElasticConnection
from mailingest.stores.elastic.errors import refusal_reason
from mailingest.stores.elastic.figures import read_figures
from mailingest.stores.elastic.lifecycle import (
    ilm_policy,
    ilm_settings,
    ism_policy,
    plain_policy,
    policy_name,
)
from mailingest.stores.elastic.refusals import error_type
from mailingest.stores.elastic.rivals import read_rivals
from mailingest.stores.elastic.steps import JSON, NO_HANDLER, Step
from mailingest.stores.elastic.template import (
    IndexTemplate,
    OnServer,
    foreign,
    read_template,
    template_steps,
)
from mailingest.stores.protocol import Show

# 7.10 without ILM takes the path for that of a document in an index `_ilm`: there is none, or the
# user may not look.
_READS_A_DOCUMENT: Final = "indices:data/read/get"
_PRIVILEGES: Final = (
    "monitor, manage_index_templates and manage_ilm on the cluster (OpenSearch: cluster_monitor, "
    "cluster_manage_index_templates and cluster:admin/opendistro/ism/policy/*)"
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
    *,
    force: bool,
) -> None:
    """Set the cluster up, or show what that would do; a second run changes nothing.

    A template of that name that somebody else has made is only replaced with ``force``.
    Raises UsageError or StoreUnavailable.
    """
    async with connection.opened(_PRIVILEGES) as client:
        there = await read_template(client, template)
        refused = foreign(template) if there.is_foreign and not force else None
        if refused is not None and show is None:
            raise refused
        plan = await _plan(connection, client, prefix, template, there, days)
        for step in plan.steps:
            if show == "requests":
                report(step.request())
            elif show == "diff":
                report(step.difference())
            else:
                await step.send(client)
                report(f"{step.what}: {step.state}")
    for note in (*([refused] if refused else []), *plan.notes):
        report(f"note: {note}")


async def _plan(
    connection: ElasticConnection,
    client: AsyncElasticsearch,
    prefix: str,
    template: IndexTemplate,
    there: OnServer,
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
    lifecycle = ilm_settings(prefix) if has_ilm else None
    return Plan(
        [*([policy] if policy else []), *template_steps(template, there, lifecycle)],
        [
            *_about_policy(policy, days, is_opensearch=is_opensearch),
            *(await read_rivals(client)).lines(template, datetime.now(UTC).date()),
            *await _about_sizes(connection, template, there, days),
        ],
    )


async def _about_sizes(
    connection: ElasticConnection, template: IndexTemplate, there: OnServer, days: int | None
) -> Sequence[str]:
    """Advice, if the user may see what it is made from."""
    try:
        figures = await read_figures(connection, template.name, datetime.now(UTC).date())
    except ApiError as error:
        if error.status_code != 403:
            raise
        return [
            "no advice about shards and replicas: that takes monitor on the cluster and on the "
            f"indices ({refusal_reason(error)})"
        ]
    return advise(figures, there.layout(template, days))


def _about_policy(policy: Step | None, days: int | None, *, is_opensearch: bool) -> Sequence[str]:
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


async def _get(client: AsyncElasticsearch, path: str) -> dict[str, Any] | None:
    """What is at a path, empty if there is nothing; None if the server does not know the path."""
    lenient = client.options(ignore_status=(404, *NO_HANDLER))
    try:
        answer = await lenient.perform_request("GET", path, headers=JSON)
    except ApiError as error:
        if error.status_code == 403 and _READS_A_DOCUMENT in refusal_reason(error):
            return None
        raise
    status, body = answer.meta.status, answer.body
    if not isinstance(body, Mapping):
        raise UsageError(f"the answer to GET {path} is not JSON: check for a proxy in between")
    if status in NO_HANDLER or error_type(body.get("error")) == "index_not_found_exception":
        return None
    return {} if status == 404 else dict(body)
