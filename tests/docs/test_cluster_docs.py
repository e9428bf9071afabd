"""The roles in docs/cluster.md are enough for what they are there for."""

import asyncio
import json
import re
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from elasticsearch import AsyncElasticsearch

from mailingest.commands import retention, setup
from mailingest.commands.trace import Options
from mailingest.commands.trace import run as trace
from mailingest.config import Settings
from mailingest.errors import UsageError
from mailingest.trace.questions import Question
from mailingest.wiring import build_store
from tests.support.elastic import asking, document, searched
from tests.support.servers import SearchServer
from tests.support.servers.security import PASSWORD

TEXT = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text("utf-8")
JSON = {"content-type": "application/json", "accept": "application/json"}
WRITE, MANAGE, READ = ROLES = ("mailingest_write", "mailingest_manage", "mailingest_read")

# A trace finds it as soon as the server has refreshed its index.
REMOVED = {
    "host": "mx1",
    "program": "postfix/qmgr",
    "message": "4cXyZ1: removed",
    "postfix_queueid": "4cXyZ1",
}

Request = tuple[str, dict[str, Any]]


def requests(product: str) -> list[Request]:
    """Path and body of those that are shown for Elasticsearch or OpenSearch."""
    _, _, section = TEXT.partition(f"\nFor {product}, ")
    block = section.partition("```http\n")[2].partition("```")[0]
    return [
        (path, json.loads(body))
        for path, body in re.findall(r"^PUT (\S+)\n(\{.*?^\})$", block, re.MULTILINE | re.DOTALL)
    ]


async def log_in(client: AsyncElasticsearch, server: SearchServer, role: str) -> dict[str, str]:
    """Make a user of one of the roles; gives the settings to log in."""
    if server.kind.name == "elasticsearch":
        # The tests' server has no users but those of its files; an API key has a role as well.
        bodies = {path.rpartition("/")[2]: body for path, body in requests("Elasticsearch")}
        made = await client.security.create_api_key(
            name=role, role_descriptors={role: bodies[role]}
        )
        return {"api_key": f"{made['id']}:{made['api_key']}"}
    *roles, (user_path, user) = requests("OpenSearch")
    for path, body in roles:
        await client.perform_request("PUT", path, headers=JSON, body=body)
    name = f"{role}-{uuid4().hex[:8]}"
    path = user_path.replace("/mailingest", f"/{name}")
    user = {**user, "password": PASSWORD, "opendistro_security_roles": [role]}
    await client.perform_request("PUT", path, headers=JSON, body=user)
    return {"username": name, "password": PASSWORD}


async def write(settings: Settings) -> None:
    writer = build_store(settings).writer()
    try:
        await writer.open()
        old = document(settings.index.prefix, 1, "2026.01.01", **REMOVED)
        new = document(settings.index.prefix, 2, "2026.11.24", **REMOVED)
        assert (await writer.write([old, new])).stored == 2
    finally:
        await writer.close()


async def manage(settings: Settings) -> None:
    await asyncio.to_thread(setup.run, settings)
    await asyncio.to_thread(retention.run, settings, dry_run=False, today=date(2026, 11, 24))


async def read(settings: Settings) -> None:
    question = Question(queue_id="4cXyZ1", since="2026-01-01", until="2026-12-31")
    await asyncio.to_thread(trace, settings, question, Options())


DEEDS = {WRITE: write, MANAGE: manage, READ: read}


async def test_each_role_may_do_its_work_and_no_others(
    secured_server: SearchServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prefix = f"mail-{uuid4().hex[:8]}"

    def settings(login: dict[str, str]) -> Settings:
        made = secured_server.certificates
        section = {"hosts": [secured_server.url], "ca_certs": made.authority, "replicas": 0}
        return Settings.model_validate(
            {
                "elasticsearch": section | login,
                "index": {"prefix": prefix},
                "retention": {"days": 30},
                "state": {"directory": tmp_path},
            }
        )

    async with asking(secured_server) as client:
        logins = {role: settings(await log_in(client, secured_server, role)) for role in ROLES}
        await write(logins[WRITE])
        await manage(logins[MANAGE])
        index = await client.indices.get(index=f"{prefix}-*")
        assert list(index.body) == [f"{prefix}-2026.11.24"]
        await read(logins[READ])
        # What is asked when a day cannot be read takes no more.
        out = capsys.readouterr().out
        await client.indices.close(index=f"{prefix}-2026.11.24")
        await read(logins[READ])
        assert f"{prefix}-2026.11.24 cannot be read: it is closed" in capsys.readouterr().err
        await client.indices.open(index=f"{prefix}-2026.11.24")
        await searched(client, f"{prefix}-2026.11.24", size=0)
    refused: list[tuple[str, str]] = [
        (WRITE, READ),
        (READ, WRITE),
        (READ, MANAGE),
        (MANAGE, READ),
    ]
    for role, deed in refused:
        with pytest.raises(UsageError, match="denies access"):
            await DEEDS[deed](logins[role])
    assert "mailingest retention" in out
    assert "no advice" not in out


async def test_the_component_template_that_is_shown_shapes_the_indices(
    search_server: SearchServer,
) -> None:
    prefix = f"mail-{uuid4().hex[:8]}"
    _, _, section = TEXT.partition("PUT /_component_template/mail@custom\n")
    body = json.loads(section.partition("```")[0])
    settings = Settings.model_validate(
        {"elasticsearch": {"hosts": [search_server.url]}, "index": {"prefix": prefix}}
    )
    async with asking(search_server) as client:
        await client.cluster.put_component_template(name=f"{prefix}@custom", **body)
        await asyncio.to_thread(setup.run, settings)
        made = (await client.indices.simulate_index_template(name=f"{prefix}-2026.11.24"))[
            "template"
        ]
    index = made["settings"]["index"]
    assert (index["refresh_interval"], index["codec"]) == ("30s", "default")
    assert index["default_pipeline"] == "mail-site"
    assert index["routing"]["allocation"]["require"] == {"box": "hot"}
    assert list(made["aliases"]) == ["post"]
    assert made["mappings"]["properties"]["site"] == {"type": "keyword"}


@pytest.mark.parametrize("product", ["Elasticsearch", "OpenSearch"])
def test_the_user_that_is_shown_has_all_roles(product: str) -> None:
    *roles, (_, user) = requests(product)
    assert tuple(path.rpartition("/")[2] for path, _ in roles) == ROLES
    key = "roles" if product == "Elasticsearch" else "opendistro_security_roles"
    assert tuple(user[key]) == ROLES
