"""Setup: exact requests on a server that records them, and on real ones without ILM and ISM."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import pytest
from aiohttp import web

from mailingest.commands.setup import run, write_grafana, write_saved_objects
from mailingest.config import Settings
from mailingest.documents import Document
from mailingest.errors import UsageError
from mailingest.stores.elastic.grafana import grafana_dashboard
from mailingest.stores.elastic.lifecycle import ilm_policy, ism_policy
from mailingest.stores.elastic.saved_objects import saved_objects
from mailingest.stores.elastic.schema import index_template
from mailingest.stores.protocol import Show
from mailingest.wiring import build_store
from tests.support.elastic import asking, searched
from tests.support.servers import SearchServer

ILM = "/_ilm/policy/mail-retention"
ISM = "/_plugins/_ism/policies/mail-retention"
TEMPLATE = "/_index_template/mail"
COMPONENT = "/_component_template/mail@mailingest"
CUSTOM = "/_component_template/mail@custom"
COMPONENTS = "/_component_template/mail@*"
NOT_THERE = {
    ILM: {
        "type": "resource_not_found_exception",
        "reason": "Lifecycle policy not found: mail-retention",
    },
    ISM: {"type": "status_exception", "reason": "Policy not found"},
    TEMPLATE: {
        "type": "resource_not_found_exception",
        "reason": "index template matching [mail] not found",
    },
}
LIFECYCLE = {"name": "mail-retention", "parse_origination_date": True}


# A cluster of one node, to which nothing has to be said.
FIGURES: dict[str, Any] = {
    "/_index_template": {},
    "/_template": {},
    "/_nodes/jvm": {
        "nodes": {"a": {"roles": ["data"], "jvm": {"mem": {"heap_max_in_bytes": 2**32}}}}
    },
    "/_cluster/health": {
        "status": "green",
        "active_shards": 2,
        "initializing_shards": 0,
        "unassigned_shards": 0,
    },
    "/_cluster/settings": {"defaults": {"cluster": {"max_shards_per_node": "1000"}}},
    "/_cat/indices/mail-*": [],
}


@dataclass
class Cluster:
    """Answers as the API documentation of ILM, ISM and index templates has it, and remembers."""

    kind: Literal["elasticsearch", "opensearch"]
    status: int = 200
    """What every path but `GET /` is answered with, if it is not 200."""
    changes: list[tuple[str, str, Any]] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    stored: dict[str, Any] = field(default_factory=dict)
    version: int = 6

    async def answer(self, request: web.Request) -> web.Response:
        headers = {"x-elastic-product": "Elasticsearch"}
        path = request.path
        if path == "/":
            version = {"number": "8.19.0" if self.kind == "elasticsearch" else "2.19.4"}
            if self.kind == "opensearch":
                version["distribution"] = "opensearch"
            return web.json_response({"version": version}, headers=headers)
        if self.status != 200:
            error = {"error": {"type": "security_exception", "reason": "unauthorized"}}
            return web.json_response(error, status=self.status, headers=headers)
        # Those of another type are the same.
        as_of_mail = path.replace("mbox", "mail")
        if as_of_mail in FIGURES:
            return web.json_response(FIGURES[as_of_mail], headers=headers)
        policy = ILM if self.kind == "elasticsearch" else ISM
        assert as_of_mail in (policy, TEMPLATE, COMPONENT, COMPONENTS), path
        if request.method == "PUT":
            body = await request.json()
            self.changes.append(("PUT", request.path_qs, body))
            self.stored[path] = body
            self.version += 1
            return web.json_response({"acknowledged": True}, headers=headers)
        assert request.method == "GET"
        self.reads.append(path)
        if as_of_mail == COMPONENTS:
            components = [
                {"name": one.rpartition("/")[2], "component_template": self.stored[one]}
                for one in (COMPONENT, CUSTOM)
                if one in self.stored
            ]
            return web.json_response({"component_templates": components}, headers=headers)
        if path not in self.stored:
            error = {"error": NOT_THERE[as_of_mail]}
            return web.json_response(error, status=404, headers=headers)
        return web.json_response(self._given_back(path), headers=headers)

    def _given_back(self, path: str) -> dict[str, Any]:
        body = self.stored[path]
        if path == ILM:
            meta = {"version": 1, "modified_date": "2026-11-24T06:00:00.000Z"}
            return {"mail-retention": {**meta, **body, "in_use_by": {"indices": []}}}
        if path == ISM:
            added = {"policy_id": "mail-retention", "schema_version": 21, "last_updated_time": 1}
            return {
                "_id": "mail-retention",
                "_version": 1,
                "_seq_no": self.version,
                "_primary_term": 2,
                "policy": {**added, "error_notification": None, **body["policy"]},
            }
        return {"index_templates": [{"name": "mail", "index_template": body}]}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def settings_for(url: str, days: int | None = 30, prefix: str = "mail") -> Settings:
    return Settings.model_validate(
        {
            "elasticsearch": {"hosts": [url], "replicas": 0},
            "index": {"prefix": prefix},
            "retention": {"days": days},
        }
    )


async def setup(settings: Settings, show: Show | None = None) -> None:
    await asyncio.to_thread(run, settings, show)


META = {
    "managed_by": "mailingest",
    "description": "overwritten by mailingest: own settings belong into mail@custom",
}


def component_body(lifecycle: dict[str, Any] | None, replicas: int = 0) -> dict[str, Any]:
    """What an operator's own component template goes before."""
    settings = {
        "number_of_shards": 1,
        "number_of_replicas": replicas,
        "refresh_interval": "5s",
        "codec": "best_compression",
        **({"lifecycle": lifecycle} if lifecycle else {}),
    }
    return {"template": {"settings": {"index": settings}}, "_meta": META}


def template_body(*components: str) -> dict[str, Any]:
    """What mailingest relies on: mappings and analysis."""
    body = index_template(replicas=0)
    del body["settings"]["index"]
    return {
        "index_patterns": ["mail-19*.*.*", "mail-20*.*.*"],
        "priority": 200 + len("mail-19*.*.*"),
        "composed_of": ["mail@mailingest", *components],
        "template": body,
        "_meta": META,
    }


def earlier_body(prefix: str = "mail", replicas: int = 0, **lifecycle: str) -> dict[str, Any]:
    """What earlier versions put there, without a word about who did."""
    body = index_template(replicas=replicas)
    body["settings"]["index"] |= {"lifecycle": lifecycle} if lifecycle else {}
    return {
        "index_patterns": [f"{prefix}-19*.*.*", f"{prefix}-20*.*.*"],
        "priority": 200 + len(f"{prefix}-19*.*.*"),
        "template": body,
    }


PRIORITY = 212
EXPECTED: dict[str, list[tuple[str, str, Any]]] = {
    "elasticsearch": [
        ("PUT", ILM, ilm_policy(30)),
        ("PUT", COMPONENT, component_body(LIFECYCLE)),
        ("PUT", TEMPLATE, template_body()),
    ],
    "opensearch": [
        ("PUT", ISM, ism_policy("mail", 30, priority=PRIORITY)),
        ("PUT", COMPONENT, component_body(None)),
        ("PUT", TEMPLATE, template_body()),
    ],
}
KINDS = pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])


@KINDS
async def test_policy_and_template_are_put_and_a_second_run_changes_nothing(
    kind: Literal["elasticsearch", "opensearch"], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = Cluster(kind)
    async with cluster.running() as url:
        await setup(settings_for(url))
        first = capsys.readouterr().out
        assert cluster.changes == EXPECTED[kind]
        await setup(settings_for(url))

    assert cluster.changes == EXPECTED[kind]
    assert first.splitlines() == [
        f"lifecycle policy mail-retention ({'ILM' if kind == 'elasticsearch' else 'ISM'}): new",
        "component template mail@mailingest: new",
        "index template mail: new",
        "note: the policy holds for new indices; `mailingest retention` deletes older ones",
    ]
    assert capsys.readouterr().out.count(": unchanged") == 3


@KINDS
async def test_each_type_has_a_policy_and_a_template_of_its_own(
    kind: Literal["elasticsearch", "opensearch"],
) -> None:
    cluster = Cluster(kind)
    async with cluster.running() as url:
        values = settings_for(url).model_dump(exclude_unset=True)
        types = {"mbox": {"retention_days": 7}}
        await setup(Settings.model_validate({**values, "types": types}))

    text = re.sub(r"\bmail\b", "mbox", json.dumps(EXPECTED[kind]))
    of_mbox = [tuple(one) for one in json.loads(re.sub(r"\b30( days|d)\b", r"7\1", text))]
    assert cluster.changes == [*EXPECTED[kind], *of_mbox]


@KINDS
async def test_a_dry_run_shows_the_very_requests_and_sends_none(
    kind: Literal["elasticsearch", "opensearch"], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = Cluster(kind)
    async with cluster.running() as url:
        await setup(settings_for(url), "requests")

    assert cluster.changes == []
    shown: list[tuple[str, str, Any]] = []
    for part in capsys.readouterr().out.split("# ")[1:]:
        _, _, request = part.partition("\n")
        head, _, body = request.partition("\n")
        method, path = head.split(" ")
        shown.append((method, path, json.loads(body.partition("\nnote: ")[0])))
    assert shown == EXPECTED[kind]


async def test_a_changed_policy_for_opensearch_names_the_version_that_it_replaces(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster = Cluster("opensearch")
    async with cluster.running() as url:
        await setup(settings_for(url, 30))
        seen = cluster.version
        cluster.changes.clear()
        await setup(settings_for(url, 7))

    path = f"{ISM}?if_seq_no={seen}&if_primary_term=2"
    assert cluster.changes == [("PUT", path, ism_policy("mail", 7, priority=PRIORITY))]
    assert "_plugins/_ism/change_policy" in capsys.readouterr().out


async def test_a_diff_shows_the_lines_that_change_and_changes_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster = Cluster("elasticsearch")
    async with cluster.running() as url:
        await setup(settings_for(url, 30))
        cluster.changes.clear()
        capsys.readouterr()
        await setup(settings_for(url, 7), "diff")

    assert cluster.changes == []
    lines = capsys.readouterr().out.splitlines()
    changed = [line.split() for line in lines if line[:2] in ("- ", "+ ")]
    assert changed == [["-", '"min_age":', '"30d"'], ["+", '"min_age":', '"7d"']]
    assert "index template mail: unchanged" in lines


async def test_without_days_no_policy_is_made_and_the_one_that_is_there_stays(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster = Cluster("elasticsearch")
    cluster.stored[TEMPLATE] = template_body()
    cluster.stored[COMPONENT] = component_body({"name": "company-30d"})
    async with cluster.running() as url:
        await setup(settings_for(url, None))

    assert cluster.changes == []
    assert cluster.reads == [TEMPLATE, COMPONENTS]
    assert "retention.days is not set: no policy is made" in capsys.readouterr().out


async def test_the_daemon_keeps_the_policy_in_the_template_that_setup_has_put() -> None:
    cluster = Cluster("elasticsearch")
    async with cluster.running() as url:
        await setup(settings_for(url))
        writer = build_store(settings_for(url)).writer()
        await writer.open()
        await writer.close()

    assert cluster.changes == EXPECTED["elasticsearch"]


async def test_the_policy_in_the_template_of_an_earlier_version_is_kept() -> None:
    cluster = Cluster("elasticsearch")
    cluster.stored[TEMPLATE] = earlier_body(name="company-30d")
    async with cluster.running() as url:
        writer = build_store(settings_for(url)).writer()
        await writer.open()
        await writer.close()

    assert cluster.changes == [
        ("PUT", COMPONENT, component_body({"name": "company-30d"})),
        ("PUT", TEMPLATE, template_body()),
    ]


async def test_a_missing_privilege_is_named() -> None:
    async with Cluster("elasticsearch", status=403).running() as url:
        with pytest.raises(UsageError, match=r"give the user's role monitor, .* manage_ilm on"):
            await setup(settings_for(url))


def test_sqlite_needs_no_setup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(Settings.model_validate({"sqlite": {"directory": tmp_path}}))
    assert capsys.readouterr().out.startswith("nothing to set up")


def test_dashboards_are_written_to_a_file_whatever_the_store(tmp_path: Path) -> None:
    settings = Settings.model_validate({"index": {"prefix": "post"}})
    write_saved_objects(settings, str(tmp_path / "out.ndjson"))
    assert (tmp_path / "out.ndjson").read_bytes() == saved_objects("post")
    write_grafana(settings, str(tmp_path / "out.json"))
    assert (tmp_path / "out.json").read_bytes() == grafana_dashboard("post")


def test_dashboards_are_written_to_standard_output(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    write_saved_objects(Settings(), "-")
    assert capfdbinary.readouterr().out == saved_objects("mail")


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write .* No such file"):
        write_saved_objects(Settings(), str(tmp_path / "none" / "out.ndjson"))


# ---- on real servers, which have neither ILM nor ISM


@pytest.fixture
def prefix() -> str:
    return f"mail-{uuid4().hex[:8]}"


async def test_a_server_without_lifecycles_gets_its_template_and_the_hint(
    search_server: SearchServer, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(search_server.url, 30, prefix)
    await setup(settings)
    shown = capsys.readouterr().out.splitlines()
    await setup(settings)

    name = "OpenSearch has no ISM" if search_server.kind.name == "opensearch" else "has no ILM"
    assert shown[:2] == [
        f"component template {prefix}@mailingest: new",
        f"index template {prefix}: new",
    ]
    assert name in shown[2]
    assert "have `mailingest retention` run daily" in shown[2]
    assert capsys.readouterr().out.splitlines() == [
        f"component template {prefix}@mailingest: unchanged",
        f"index template {prefix}: unchanged",
        *shown[2:],
    ]


async def test_what_an_operator_has_changed_is_shown_and_put_right(
    search_server: SearchServer, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(search_server.url, None, prefix)
    await setup(settings)
    async with asking(search_server) as client:
        await client.cluster.put_component_template(
            name=f"{prefix}@mailingest",
            meta={**META, "description": META["description"].replace("mail@", f"{prefix}@")},
            template=component_body(None, replicas=3)["template"],
        )
    capsys.readouterr()
    await setup(settings, "diff")
    shown = capsys.readouterr().out.splitlines()
    assert [line.split() for line in shown if line[:2] in ("- ", "+ ")] == [
        ["-", '"index.number_of_replicas":', '"3",'],
        ["+", '"index.number_of_replicas":', '"0",'],
    ]
    await setup(settings)
    assert f"component template {prefix}@mailingest: changed" in capsys.readouterr().out
    await setup(settings)
    assert ": unchanged" in capsys.readouterr().out


async def test_addresses_are_grouped_by_domain_and_foreign_indices_are_left_alone(
    search_server: SearchServer, prefix: str
) -> None:
    await setup(settings_for(search_server.url, None, prefix))
    addresses = ["Ann@Example.ORG", "bob@example.org", '"a@b"@example.net', "", "MAILER-DAEMON"]
    writer = build_store(settings_for(search_server.url, None, prefix)).writer()
    await writer.open()
    try:
        result = await writer.write(
            [
                Document(
                    f"{prefix}-2026.11.24",
                    str(number),
                    json.dumps({"postfix_from": address}).encode(),
                    0,
                    {},
                )
                for number, address in enumerate(addresses)
            ]
        )
    finally:
        await writer.close()
    assert result.stored == len(addresses)
    async with asking(search_server) as client:
        answer = await searched(
            client,
            f"{prefix}-*",
            size=0,
            aggs={"domains": {"terms": {"field": "postfix_from.domain"}}},
        )
        buckets = answer["aggregations"]["domains"]["buckets"]
        assert {one["key"]: one["doc_count"] for one in buckets} == {
            "example.org": 2,
            "example.net": 1,
            "": 1,
            "mailer-daemon": 1,
        }
        await client.indices.create(index=f"{prefix}-archive")
        made = await client.indices.get_mapping(index=f"{prefix}-archive")
        assert made[f"{prefix}-archive"]["mappings"] == {}
