"""The daemon before a secured cluster: what it refuses, what it waits for, and what it says."""

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from elasticsearch import AsyncElasticsearch

from mailingest.commands import setup
from mailingest.config import load
from mailingest.delivery.outages import LOG_INTERVAL
from mailingest.spool.status import spool_status
from tests.support.elastic import asking, stored
from tests.support.fronting import behind
from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import until
from tests.support.servers import SECURED_ELASTICSEARCH, Kind, SearchServer
from tests.support.servers.security import PASSWORD, WRITER
from tests.support.site import Site

LINE = "Nov 24 15:41:22 mx1 postfix/qmgr[550]: 652D1A4A86{}: removed"


class SecuredSite(Site):
    """Settings for a daemon that logs in with a password, and the files that they name."""

    def __init__(self, server: SearchServer, directory: Path, url: str) -> None:
        self.prefix = f"mail-{uuid4().hex[:8]}"
        self.password = directory / "password"
        self.authority = directory / "authority.pem"
        self.password.write_text(PASSWORD)
        shutil.copy(server.certificates.authority, self.authority)
        super().__init__(
            directory,
            f"""
[index]
prefix = "{self.prefix}"
[batch]
max_age = 0.1
[elasticsearch]
hosts = ["{url}"]
username = "{WRITER}"
password_file = "{self.password}"
ca_certs = "{self.authority}"
replicas = 0
""",
        )

    async def is_stored(self, client: AsyncElasticsearch, count: int) -> None:
        """Wait until N documents are in the store."""

        async def all_are_there() -> bool:
            return sum(map(len, (await stored(client, self.prefix)).values())) >= count

        await until(all_are_there, f"{count} documents are stored")


def rows(log: Path) -> list[dict[str, Any]]:
    # What is behind the last line feed may be half a line.
    lines = log.read_text().split("\n")[:-1]
    return [json.loads(line) for line in lines if line.startswith("{")]


async def logged(log: Path, hint: str) -> None:
    """Wait until the log says, as an error, what to do."""
    await until(
        lambda: any(row["level"] == "error" and hint in row.get("reason", "") for row in rows(log)),
        f"the log says: {hint}",
    )


@pytest.mark.parametrize(
    ("fault", "hint"),
    [
        pytest.param(
            "password", "refuses the login: check username and password_file", id="wrong password"
        ),
        pytest.param(
            "authority",
            "is not trusted: set ca_certs to the PEM file of the authority",
            id="wrong authority",
        ),
        pytest.param(
            "expired", "certificate has expired: renew it there", id="expired certificate"
        ),
        pytest.param(
            "template",
            "was not made by mailingest, which leaves it alone: `mailingest setup --force`",
            id="an index template of others",
        ),
    ],
)
async def test_the_daemon_takes_lines_in_and_says_what_to_do_until_it_is_set_right(
    secured_server: SearchServer, fault: str, hint: str, tmp_path: Path
) -> None:
    made = secured_server.certificates
    async with AsyncExitStack() as stack:
        url = secured_server.url
        if fault == "expired":
            front = stack.enter_context(behind(secured_server, made.expired))
            url = front.url
        site = SecuredSite(secured_server, tmp_path, url)
        if fault == "password":
            site.password.write_text("wrong")
        if fault == "authority":
            shutil.copy(made.stranger, site.authority)
        client = await stack.enter_async_context(asking(secured_server))
        if fault == "template":
            await client.indices.put_index_template(
                name=site.prefix, index_patterns=[f"{site.prefix}-*"], template={}
            )
        began = time.monotonic()
        daemon = stack.enter_context(Daemon(site.config))
        await asyncio.to_thread(site.hand_over, LINE.format(1))
        await logged(daemon.log, hint)
        await asyncio.to_thread(site.hand_over, LINE.format(2))
        assert spool_status(load(site.config)).frames_kept == 2

        if fault == "expired":
            front.show(made.server)
        if fault == "template":
            there = await client.indices.get_index_template(name=site.prefix)
            assert not there["index_templates"][0]["index_template"].get("composed_of")
            await asyncio.to_thread(setup.run, load(site.config), force=True)
        site.password.write_text(PASSWORD)
        shutil.copy(made.authority, site.authority)
        await site.is_stored(client, 2)

    log = rows(daemon.log)
    errors = [row for row in log if row["level"] == "error"]
    assert len(errors) <= 1 + (time.monotonic() - began) / LOG_INTERVAL
    assert [row["event"] for row in log].count("the store takes documents again") == 1
    text = daemon.log.read_text()
    assert PASSWORD not in text
    assert "Traceback" not in text


Step = Callable[[], Awaitable[None]]
JSON = {"content-type": "application/json", "accept": "application/json"}


async def with_an_api_key(client: AsyncElasticsearch, site: SecuredSite) -> tuple[Step, Step]:
    """Elasticsearch: what makes the key that the daemon has invalid, and what gives it another."""
    file = site.password.with_name("api_key")
    config = site.config.read_text().replace(f'username = "{WRITER}"\n', "")
    config = config.replace(f'password_file = "{site.password}"', f'api_key_file = "{file}"')
    site.config.write_text(config)

    async def give() -> None:
        made = await client.security.create_api_key(name=site.prefix)
        file.write_text(f"{made['id']}:{made['api_key']}")

    async def invalidate() -> None:
        await client.security.invalidate_api_key(name=site.prefix)

    await give()
    return invalidate, give


async def with_an_account(client: AsyncElasticsearch, site: SecuredSite) -> tuple[Step, Step]:
    """OpenSearch: what changes the password there, and what gives it to the daemon."""
    config = site.config.read_text()
    site.config.write_text(config.replace(f'username = "{WRITER}"', f'username = "{site.prefix}"'))
    other = "another-horse-battery"

    async def put(password: str) -> None:
        await client.perform_request(
            "PUT",
            f"/_plugins/_security/api/internalusers/{site.prefix}",
            headers=JSON,
            body={"password": password, "opendistro_security_roles": ["writer"]},
        )

    async def renew() -> None:
        site.password.write_text(other)

    await put(PASSWORD)
    return lambda: put(other), renew


async def test_a_login_that_the_server_takes_no_more_is_renewed_without_a_restart(
    secured_server: SearchServer, tmp_path: Path
) -> None:
    site = SecuredSite(secured_server, tmp_path, secured_server.url)
    is_elasticsearch = secured_server.kind.name == "elasticsearch"
    prepare = with_an_api_key if is_elasticsearch else with_an_account
    async with asking(secured_server) as client:
        spoil, renew = await prepare(client, site)
        with Daemon(site.config) as daemon:
            await asyncio.to_thread(site.hand_over, LINE.format(1))
            await site.is_stored(client, 1)
            await spoil()
            await asyncio.to_thread(site.hand_over, LINE.format(2))
            await logged(daemon.log, "refuses the login: check username and password_file")
            assert spool_status(load(site.config)).frames_kept == 2
            await renew()
            await site.is_stored(client, 2)


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mailingest", *arguments], capture_output=True, text=True
    )


@pytest.mark.servers
def test_a_check_shows_a_wrong_password_and_exits_with_2(
    search_servers: Callable[[Kind], SearchServer], tmp_path: Path
) -> None:
    secured_server = search_servers(SECURED_ELASTICSEARCH)
    site = SecuredSite(secured_server, tmp_path, secured_server.url)
    site.password.write_text("wrong")

    checked = program("check", "--config", str(site.config))

    assert checked.returncode == 2
    [wrong] = [line for line in checked.stdout.splitlines() if line.startswith("WRONG")]
    assert wrong.startswith(f"WRONG  store: {secured_server.url} refuses the login: check username")


@pytest.mark.servers
def test_a_missing_authority_refuses_the_start(
    search_servers: Callable[[Kind], SearchServer], tmp_path: Path
) -> None:
    secured_server = search_servers(SECURED_ELASTICSEARCH)
    site = SecuredSite(secured_server, tmp_path, secured_server.url)
    site.authority.unlink()

    started = program("run", "--config", str(site.config))

    assert started.returncode == 2
    assert f"elasticsearch.ca_certs: cannot use {site.authority}: No such file" in started.stderr
    assert list((tmp_path / "state" / "spool").iterdir()) == []
