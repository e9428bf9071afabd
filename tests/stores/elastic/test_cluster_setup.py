"""Setup, check and the daemon's writer on clusters as they are found: real servers with settings of
their operators, templates of others, and blocks."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
import structlog
from elasticsearch import AsyncElasticsearch

from mailingest.config import Settings
from mailingest.documents import Document
from mailingest.errors import UsageError
from mailingest.stores.elastic.advice import Figures
from mailingest.stores.elastic.figures import read_figures
from mailingest.stores.elastic.lifecycle import index_patterns
from mailingest.stores.elastic.schema import index_template
from mailingest.stores.elastic.store import ElasticStore
from mailingest.stores.opening import opened
from mailingest.stores.protocol import Show
from mailingest.wiring import build_store
from tests.support.days import on_one_day
from tests.support.elastic import asking, cluster_setting, state_version
from tests.support.lab.polling import PATIENCE
from tests.support.servers import SearchServer
from tests.support.servers.security import PASSWORD, WRITER

Logged = list[MutableMapping[str, Any]]
JSON = {"content-type": "application/json", "accept": "application/json"}


class Site:
    """mailingest at a cluster that others use as well."""

    def __init__(self, server: SearchServer, **section: Any) -> None:
        self.prefix = f"mail-{uuid4().hex[:8]}"
        self.settings = Settings.model_validate(
            {
                "elasticsearch": {"hosts": [server.url], "replicas": 0, **section},
                "index": {"prefix": self.prefix},
            }
        )
        store = build_store(self.settings)
        assert isinstance(store, ElasticStore)
        self.store = store

    async def set_up(
        self, show: Show | None = None, *, days: int | None = None, force: bool = False
    ) -> list[str]:
        lines: list[str] = []
        await self.store.set_up({self.prefix: days}, show, lines.append, force=force)
        return lines

    async def check(self) -> list[str]:
        warnings: list[str] = []
        assert (await self.store.check(warnings.append)).endswith(" answers")
        return warnings

    async def store_one(self, day: str) -> str:
        """What the daemon does at its start, and with the first document of a day."""
        index = f"{self.prefix}-{day}"
        async with opened(self.store.writer()) as writer:
            result = await writer.write([Document(index, "1", b'{"host":"mx1"}', 0, {})])
            assert (result.stored, result.rejected, result.retry) == (1, [], [])
        return index

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What it says to who types it."""
        settings = {
            "MAILINGEST_INDEX__PREFIX": self.prefix,
            "MAILINGEST_ELASTICSEARCH__HOSTS": json.dumps(self.settings.elasticsearch.hosts),
            "MAILINGEST_ELASTICSEARCH__REPLICAS": "0",
        }
        return subprocess.run(
            [sys.executable, "-m", "mailingest", *arguments],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    async def templates(self, client: AsyncElasticsearch) -> Mapping[str, Any]:
        """All that the server has below these names."""
        lenient = client.options(ignore_status=404)
        indices = await lenient.indices.get_index_template(name=f"{self.prefix}*")
        components = await lenient.cluster.get_component_template(name=f"{self.prefix}*")
        return {**indices.body, **components.body}


def put_earlier_template(prefix: str, **settings: object) -> dict[str, Any]:
    """The index template that earlier versions put there, as arguments of the client."""
    body = index_template(replicas=0)
    body["settings"]["index"] |= settings
    return {
        "name": prefix,
        "index_patterns": list(index_patterns(prefix)),
        "priority": 200 + len(index_patterns(prefix)[0]),
        "template": body,
    }


async def test_the_operators_component_survives_and_reaches_new_indices(
    search_server: SearchServer,
) -> None:
    site = Site(search_server)
    index_settings = {
        "number_of_shards": 2,
        "refresh_interval": "31s",
        "codec": "default",
        "default_pipeline": "_none",
        "routing.allocation.exclude._name": "nobody",
    }
    own = {
        "settings": {"index": index_settings},
        "aliases": {f"{site.prefix}-all": {}},
        # Ours goes first where both name a field: questions rely on it.
        "mappings": {
            "dynamic": True,
            "properties": {"site": {"type": "keyword"}, "postfix_to": {"type": "keyword"}},
        },
    }
    async with asking(search_server) as client:
        before = await site.store_one("2026.03.01")
        await client.cluster.put_component_template(name=f"{site.prefix}@custom", template=own)
        assert (await site.set_up())[:2] == [
            f"component template {site.prefix}@mailingest: unchanged",
            f"index template {site.prefix}: changed",
        ]
        kept = await site.templates(client)
        day = await site.store_one("2026.03.02")
        assert [line.partition(": ")[2] for line in (await site.set_up("diff"))[:2]] == [
            "unchanged"
        ] * 2
        assert await site.templates(client) == kept
        # What is changed there later needs nothing of mailingest.
        index_settings["refresh_interval"] = "47s"
        await client.cluster.put_component_template(name=f"{site.prefix}@custom", template=own)
        later = await site.store_one("2026.03.03")
        made = (await client.indices.get(index=f"{site.prefix}-*")).body
    assert [
        made[name]["settings"]["index"]["refresh_interval"] for name in (before, day, later)
    ] == [
        "5s",
        "31s",
        "47s",
    ]
    settings = made[day]["settings"]["index"]
    assert settings["number_of_shards"] == "2"
    assert settings["number_of_replicas"] == "0"
    assert settings["codec"] == "default"
    assert settings["default_pipeline"] == "_none"
    assert settings["routing"]["allocation"]["exclude"] == {"_name": "nobody"}
    assert made[before]["settings"]["index"]["codec"] == "best_compression"
    assert list(made[day]["aliases"]) == [f"{site.prefix}-all"]
    mappings = made[day]["mappings"]
    assert mappings["properties"].pop("site") == {"type": "keyword"}
    assert mappings == made[before]["mappings"]


async def test_a_component_that_does_not_go_with_the_mappings_is_named(
    search_server: SearchServer,
) -> None:
    site = Site(search_server)
    own = {"mappings": {"properties": {"host": {"properties": {"name": {"type": "keyword"}}}}}}
    async with asking(search_server) as client:
        await client.cluster.put_component_template(name=f"{site.prefix}@custom", template=own)
    for deed in (site.set_up, lambda: site.store_one("2026.03.01")):
        with pytest.raises(UsageError, match="PREFIX@custom does not go together") as caught:
            await deed()
        assert f"{site.prefix}@custom" in str(caught.value)
        assert "[host]" in str(caught.value)


async def test_a_template_of_the_same_priority_is_named(search_server: SearchServer) -> None:
    site = Site(search_server)
    async with asking(search_server) as client:
        await client.indices.put_index_template(
            name=f"zz-{site.prefix}",
            index_patterns=[f"{site.prefix}-*"],
            priority=site.store.template(site.prefix).priority,
            template={},
        )
        with pytest.raises(UsageError, match="same priority: give it another one") as caught:
            await site.set_up()
        await client.indices.delete_index_template(name=f"zz-{site.prefix}")
    assert f"zz-{site.prefix}" in str(caught.value)


async def test_a_template_of_an_earlier_version_is_taken_over(search_server: SearchServer) -> None:
    site = Site(search_server)
    async with asking(search_server) as client:
        await client.indices.put_index_template(**put_earlier_template(site.prefix))
        before = await site.templates(client)
        assert await site.check() == []
        assert await site.templates(client) == before
        await site.store_one("2026.03.01")
        after = await site.templates(client)
        resolved = await client.indices.simulate_index_template(name=f"{site.prefix}-2026.03.01")
    [template] = after["index_templates"]
    assert template["index_template"]["composed_of"] == [f"{site.prefix}@mailingest"]
    assert template["index_template"]["_meta"]["managed_by"] == "mailingest"
    was = before["index_templates"][0]["index_template"]["template"]
    assert resolved["template"]["settings"] == was["settings"]
    assert resolved["template"]["mappings"]["properties"] == was["mappings"]["properties"]
    assert {line.rpartition(" ")[2] for line in (await site.set_up())[:2]} == {"unchanged"}


async def test_somebody_elses_template_is_replaced_when_that_is_asked_for_and_never_before(
    search_server: SearchServer,
) -> None:
    site = Site(search_server)
    name = f"index template {site.prefix} on the server was not made by mailingest"
    async with asking(search_server) as client:
        await client.indices.put_index_template(
            name=site.prefix,
            index_patterns=[f"{site.prefix}-*"],
            priority=100,
            template={"mappings": {"properties": {"postfix_to": {"type": "keyword"}}}},
            meta={"managed_by": "ann"},
        )
        legacy = {"index_patterns": [f"{site.prefix}-*"], "order": 1}
        await client.perform_request("PUT", f"/_template/{site.prefix}", headers=JSON, body=legacy)
        before = await site.templates(client)
        for deed in (site.set_up, site.check, lambda: site.store_one("2026.03.01")):
            with pytest.raises(UsageError, match=name) as caught:
                await deed()
            assert "`mailingest setup --force` replaces it" in str(caught.value)
            assert f"component template {site.prefix}@custom" in str(caught.value)
        shown = await site.set_up("diff")
        assert any(line.startswith(f"note: {name}") for line in shown)
        assert (
            '-      "managed_by": "ann"'
            in shown[1].replace("    ", "      ").replace("        ", "      ")
            or '"ann"' in shown[1]
        )
        assert await site.templates(client) == before
        assert not await client.indices.exists(index=f"{site.prefix}-2026.03.01")

        # The server warns of the legacy template in a header.
        done = await asyncio.to_thread(site.command, "setup", "--force")
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert lines[:2] == [
            f"component template {site.prefix}@mailingest: new",
            f"index template {site.prefix}: changed",
        ]
        assert not any(line.startswith(f"note: {name}") for line in lines)
        assert any(line.startswith(f"note: legacy template {site.prefix} (") for line in lines)

        await client.indices.delete_template(name=site.prefix)
        await site.store_one("2026.03.01")
        [template] = (await site.templates(client))["index_templates"]
    assert template["index_template"]["_meta"]["managed_by"] == "mailingest"


async def test_templates_of_others_that_match_are_told(search_server: SearchServer) -> None:
    site = Site(search_server)
    other, legacy = f"zz-{site.prefix}", f"logstash-{site.prefix}"
    async with asking(search_server) as client:

        async def told(day: date) -> tuple[str, Mapping[str, Any], list[str], list[str], Logged]:
            index = f"{site.prefix}-{day:%Y.%m.%d}"
            simulated = await client.indices.simulate_index_template(name=index)
            warnings, notes = await site.check(), await site.set_up()
            with structlog.testing.capture_logs() as logged:
                await site.store_one("2026.03.01")
            return index, simulated.body, warnings, notes, logged

        await site.set_up()
        assert await site.check() == []
        # Both were made after mailingest's, and before the daemon starts again.
        await client.indices.put_index_template(
            name=other, index_patterns=[f"{site.prefix}-*"], priority=5000, template={}
        )
        await client.perform_request(
            "PUT",
            f"/_template/{legacy}",
            headers=JSON,
            body={"index_patterns": [f"{site.prefix}*"]},
        )
        try:
            today, simulated, warnings, notes, logged = await on_one_day(told)
        finally:
            await client.indices.delete_index_template(name=other)
            await client.indices.delete_template(name=legacy)
    assert {one["name"] for one in simulated["overlapping"]} == {site.prefix, legacy}
    winner, ignored = warnings
    assert winner.startswith(
        f"index template {other} (patterns {site.prefix}-*) has priority 5000 and goes before "
        f"mailingest's {site.prefix} with "
    )
    assert f"new indices such as {today} are mapped as it says" in winner
    assert ignored.startswith(f"legacy template {legacy} (patterns {site.prefix}*) makes no new")
    assert [f"note: {line}" for line in warnings] == [
        line for line in notes if " template " in line and line.startswith("note: ")
    ]
    assert [one for one in logged if one["log_level"] == "warning"] == [
        {
            "event": "new indices are not mapped as mailingest needs",
            "log_level": "warning",
            "reason": winner,
        }
    ]


async def test_a_check_changes_nothing(search_server: SearchServer) -> None:
    async with asking(search_server) as client:
        new, changed = Site(search_server), Site(search_server)
        await changed.set_up()
        changed.store = replace(
            changed.store, settings=Site(search_server, shards=3).store.settings
        )
        for site in (new, changed):
            before = await site.templates(client)
            version = await state_version(client)
            assert await site.check() == []
            assert await state_version(client) == version
            assert await site.templates(client) == before


READS = ["indices:admin/index_template/get", "cluster:admin/component_template/get"]


async def test_a_user_who_may_only_read_can_check(secured_server: SearchServer) -> None:
    name = f"reader-{uuid4().hex[:8]}"
    async with asking(secured_server) as client:
        if secured_server.kind.name == "elasticsearch":
            role = {"cluster": ["monitor", *READS, "indices:admin/template/get"]}
            made = await client.security.create_api_key(name=name, role_descriptors={name: role})
            login = {"api_key": f"{made['id']}:{made['api_key']}"}
        else:
            path = "/_plugins/_security/api"
            rights = ["cluster_monitor", *READS, "indices:admin/template/get"]
            for kind, body in (
                ("roles", {"cluster_permissions": rights}),
                ("internalusers", {"password": PASSWORD, "opendistro_security_roles": [name]}),
            ):
                await client.perform_request(
                    "PUT", f"{path}/{kind}/{name}", headers=JSON, body=body
                )
            login = {"username": name, "password": PASSWORD}
        authority = secured_server.certificates.authority
        site = Site(secured_server, ca_certs=authority, **login)
        before = await site.templates(client)
        assert await site.check() == []
        with pytest.raises(UsageError, match="denies access: give the user's role"):
            await site.set_up()
        assert await site.templates(client) == before
        # Who may write everything that is needed, and not look at what there is, gets no advice.
        writer = Site(secured_server, ca_certs=authority, username=WRITER, password=PASSWORD)
        await writer.store_one("2026.03.01")
        assert "note: no advice about shards" in "\n".join(await writer.set_up())


@pytest.mark.parametrize(
    ("block", "fix"),
    [
        pytest.param(
            "cluster.blocks.read_only",
            "the whole cluster is read-only: set cluster.blocks.read_only to null",
            id="read-only",
        ),
        pytest.param(
            "cluster.blocks.read_only_allow_delete",
            "free disk space, then set cluster.blocks.read_only_allow_delete to null",
            id="read-only, and deleting allowed",
        ),
    ],
)
async def test_a_cluster_that_is_read_only_is_not_a_missing_privilege(
    search_server: SearchServer, block: str, fix: str
) -> None:
    new, known = Site(search_server), Site(search_server)
    await known.set_up()
    async with asking(search_server) as client, cluster_setting(client, block, value=True):
        for deed in (new.set_up, new.check, known.check, lambda: new.store_one("2026.03.01")):
            with pytest.raises(UsageError) as caught:
                await deed()
            assert fix in str(caught.value)
            assert "role" not in str(caught.value)
        # What is there already needs no request that changes anything.
        assert ": unchanged" in (await known.set_up())[0]
        async with opened(known.store.writer()):
            pass


async def test_advice_comes_from_the_nodes_and_days_that_are_there(
    search_server: SearchServer,
) -> None:
    site = Site(search_server, replicas=1, shards=2)
    async with asking(search_server) as client:
        connection = site.store.connection()

        async def advised(today: date) -> tuple[Figures, list[str]]:
            lenient = client.options(ignore_status=404)
            await lenient.indices.delete(
                index=f"{site.prefix}-{today - timedelta(days=3):%Y.%m.%d}"
            )
            for ago in range(3):
                await site.store_one(f"{today - timedelta(days=ago):%Y.%m.%d}")
            async with connection.opened("all"):
                figures = await read_figures(connection, site.prefix, today)
            return figures, await site.set_up(days=3)

        await client.indices.create(index=f"{site.prefix}-archive")
        figures, notes = await on_one_day(advised)
        health = await client.cluster.health()
    assert figures.data_nodes == 1
    assert figures.heap_bytes is not None
    assert 0.2 < figures.heap_bytes / 2**30 < 0.3
    assert figures.max_shards_per_node == 1000
    assert figures.shards == health["active_shards"] + health["unassigned_shards"]
    assert figures.day_shards == 3 * 2 * 2
    assert len(figures.day_bytes) == 2
    assert all(size > 0 for size in figures.day_bytes)
    assert "note: 1 data node and 1 replica: indices stay yellow; set replicas = 0" in notes
    assert any(
        "the last 2 days have up to 0.0 GB in 2 shards" in line and "set shards = 1" in line
        for line in notes
    )
    assert any(" of heap on 1 data node are enough for 4 (20 a GB)" in line for line in notes)
