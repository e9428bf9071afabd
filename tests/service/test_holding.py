"""The daemon before a cluster that takes nothing: nobody who sends knows, and nothing is lost."""

import asyncio
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from elasticsearch import AsyncElasticsearch

from mailingest.delivery.deadletters import read_letters
from tests.support.elastic import asking, searched
from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import until
from tests.support.servers import SearchServer
from tests.support.site import Site


class ClusterSite(Site):
    """A daemon that writes to a cluster, and may keep few dead letters."""

    def __init__(self, server: SearchServer, directory: Path) -> None:
        self.prefix = f"mail-{uuid4().hex[:8]}"
        self.sent: Counter[str] = Counter()
        super().__init__(
            directory,
            f"""
max_dead_letter_bytes = 4000
[index]
prefix = "{self.prefix}"
[batch]
max_age = 0.1
[elasticsearch]
hosts = ["{server.url}"]
replicas = 0
""",
        )

    def index(self, time: datetime) -> str:
        return f"{self.prefix}-{time:%Y.%m.%d}"

    def send(self, count: int, time: datetime) -> None:
        """Hand lines of that time over, each over a connection of its own."""
        for _ in range(count):
            text = f"{len(self.sent):010X}: removed"
            self.sent[text] += 1
            self.hand_over(f"<22>{time.isoformat()} mx1 postfix/qmgr[550]: {text}")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mailingest", *arguments, "--config", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True)

    async def says(self, text: str) -> None:
        """Wait until an operator who looks at the spool is told."""

        async def is_told() -> bool:
            shown = await asyncio.to_thread(self.run, "spool", "status")
            return shown.returncode == 1 and f"HELD       {text}" in shown.stdout

        await until(is_told, f"spool status says {text}")

    async def messages_on(self, client: AsyncElasticsearch) -> Counter[str]:
        answer = await searched(client, f"{self.prefix}-*", size=1000)
        return Counter(hit["_source"]["message"] for hit in answer["hits"]["hits"])

    async def has_stored(self, client: AsyncElasticsearch, expected: Counter[str]) -> None:
        async def all_is_there() -> bool:
            return (await self.messages_on(client)).total() >= expected.total()

        await until(all_is_there, f"{expected.total()} lines are stored")
        assert await self.messages_on(client) == expected


async def test_naive_senders_lose_nothing_and_the_operator_is_told_what_to_do(
    search_server: SearchServer, tmp_path: Path
) -> None:
    site = ClusterSite(search_server, tmp_path)
    now = datetime.now(UTC)
    today, old = site.index(now), site.index(now - timedelta(days=5))
    async with asking(search_server) as client:
        with Daemon(site.config) as daemon:
            await asyncio.to_thread(site.send, 3, now)
            await site.has_stored(client, site.sent)
            await client.indices.put_settings(index=today, settings={"index.blocks.write": True})
            await asyncio.to_thread(site.send, 20, now)
            await site.says(f"held documents: {today} has a write block: set index.blocks.write")
            checked = await asyncio.to_thread(site.run, "check")
            assert checked.returncode == 2
            assert f"WRONG  delivery: held documents: {today} has a write block" in checked.stdout
            await asyncio.to_thread(site.send, 5, now)
            assert list(read_letters(site.state)) == []
            await client.indices.put_settings(index=today, settings={"index.blocks.write": None})
            await site.has_stored(client, site.sent)

            # A day that was put away long ago: its lines go to the dead letters, until these are
            # full, and today's go on.
            await client.indices.create(index=old)
            await client.indices.close(index=old)
            before = Counter(site.sent)
            await asyncio.to_thread(site.send, 40, now - timedelta(days=5))
            await site.says(f"dead letters: dead letters in {site.state} are full")
            late = site.sent - before
            await asyncio.to_thread(site.send, 3, now)
            await site.has_stored(client, site.sent - late)
            kept = {one.id for one in read_letters(site.state)}
            assert 0 < len(kept) < late.total()

            await client.indices.open(index=old)

            async def all_were_sent_again() -> bool:
                await asyncio.to_thread(site.run, "deadletter", "retry")
                return (await site.messages_on(client)).total() >= site.sent.total()

            await until(all_were_sent_again, "the rest finds room, and is stored")
            await site.has_stored(client, site.sent)
        log = daemon.log.read_text()
    assert "Traceback" not in log
    assert f"{today} has a write block" in log
    assert "dead letters have room again" in log
