"""Stories are told once each as they are decided, whatever comes late or twice."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from mailingest.errors import StoreUnavailable
from mailingest.stores.criteria import Criteria
from mailingest.trace.engine import TraceResult, trace
from mailingest.trace.follow import Follower
from tests.support.lab.polling import PATIENCE
from tests.support.logs import documents_of, lines_of
from tests.support.stores import sqlite_reader

BEGIN = datetime(2026, 11, 24, 10, tzinfo=UTC)
RECEIVED = """
24T10:00:01 mx1 postfix/smtpd: 4F2A11E0ABC: client=pc.example.com[192.0.2.7]
24T10:00:01 mx1 postfix/qmgr: 4F2A11E0ABC: from=<ann@example.com>, size=5000, nrcpt=1 (queue active)
"""
DEFERRED = """
24T10:00:05 mx1 postfix/smtp: 4F2A11E0ABC: to=<bob@example.net>, relay=none, delay=4, delays=0/0/4/0, dsn=4.4.1, status=deferred (connect to mx.example.net[198.51.100.9]:25: Connection timed out)
"""  # noqa: E501
SENT = """
24T10:05:05 mx1 postfix/smtp: 4F2A11E0ABC: to=<bob@example.net>, relay=mx.example.net[198.51.100.9]:25, delay=304, delays=304/0/0/0, dsn=2.0.0, status=sent (250 2.0.0 Ok)
24T10:05:05 mx1 postfix/qmgr: 4F2A11E0ABC: removed
"""  # noqa: E501
EARLIER = """
24T09:00:05 mx1 postfix/smtp: 4F2A11E0ABD: to=<eve@example.net>, relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok)
"""  # noqa: E501


class Site:
    """A store that fills while it is followed."""

    def __init__(self, directory: Path, criteria: Criteria) -> None:
        self.directory = directory
        self.now = BEGIN
        self.follower = Follower(criteria, lambda: self.now)

    async def told(self, log: str = "", seconds: float = 2.0) -> list[tuple[str, str | None]]:
        """What is told after so many seconds, in which these lines came into the store."""
        self.now += timedelta(seconds=seconds)
        reader = await sqlite_reader(self.directory, documents_of(lines_of(log)))
        try:
            result = await self.follower.ask(partial(trace, reader))
        finally:
            await reader.close()
        return [(story.verdict, story.recipient) for story in result.stories]


async def test_each_story_is_told_when_it_is_decided_and_once(tmp_path: Path) -> None:
    site = Site(tmp_path, Criteria())
    assert await site.told(EARLIER) == []
    assert await site.told(RECEIVED) == []
    assert await site.told(DEFERRED) == [("pending", "bob@example.net")]
    assert await site.told() == []
    assert await site.told(SENT, seconds=300) == [("handed_over", "bob@example.net")]
    assert await site.told() == []
    assert await site.told(seconds=60) == []


async def test_a_time_to_begin_tells_what_was_before(tmp_path: Path) -> None:
    site = Site(tmp_path, Criteria(since=BEGIN - timedelta(hours=2)))
    assert await site.told(EARLIER) == [("handed_over", "eve@example.net")]
    assert await site.told() == []


async def test_lines_that_come_late_are_told(tmp_path: Path) -> None:
    site = Site(tmp_path, Criteria())
    assert await site.told(seconds=10) == []
    # It was written 7 seconds before they came into the store.
    assert await site.told(RECEIVED + DEFERRED) == [("pending", "bob@example.net")]


async def test_what_is_decided_while_the_store_is_away_is_told_afterwards(tmp_path: Path) -> None:
    site = Site(tmp_path, Criteria())
    assert await site.told(RECEIVED) == []

    async def away(_: Criteria) -> TraceResult:
        raise StoreUnavailable("away")

    for _ in range(10):
        site.now += timedelta(seconds=30)
        with pytest.raises(StoreUnavailable):
            await site.follower.ask(away)
    assert await site.told(DEFERRED + SENT) == [("handed_over", "bob@example.net")]


async def test_a_busy_store_is_asked_less_often(tmp_path: Path) -> None:
    site = Site(tmp_path, Criteria())

    async def slow(_: Criteria) -> TraceResult:
        site.now += timedelta(seconds=3)
        return TraceResult([], None, is_cut=False)

    await site.told()
    assert site.follower.pause == 2
    await site.follower.ask(slow)
    assert site.follower.pause == 12


def delivery(number: int, now: datetime) -> Iterable[str]:
    stamp = now.isoformat(timespec="milliseconds")
    yield (
        f"{stamp} mx1 postfix/qmgr[1]: 4F2A11E0AB{number}: from=<a@b>, size=1, nrcpt=1 "
        "(queue active)"
    )
    yield (
        f"{stamp} mx1 postfix/smtp[1]: 4F2A11E0AB{number}: to=<user{number}@example.net>, "
        "relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, "
        "status=sent (250 2.0.0 Ok)"
    )


def test_the_command_shows_them_until_it_is_interrupted(tmp_path: Path) -> None:
    config = tmp_path / "mailingest.toml"
    config.write_text(f'[state]\ndirectory = "{tmp_path}/state"\n')
    program = [sys.executable, "-m", "mailingest"]
    arguments = ["trace", "-c", str(config), "--follow", "--json", "--to", "@example.net"]
    with subprocess.Popen([*program, *arguments], stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        for number in (1, 2):
            # Until the command is there, nothing is new to it.
            lines = "\n".join(delivery(number, datetime.now(UTC) + timedelta(seconds=60)))
            replay = [*program, "replay", "-c", str(config), "-"]
            subprocess.run(
                replay, input=lines, text=True, check=True, capture_output=True, timeout=PATIENCE
            )
            told = json.loads(following.stdout.readline())
            assert told["recipient"] == f"user{number}@example.net"
        following.send_signal(signal.SIGINT)
        assert following.wait(PATIENCE) == 130


@pytest.mark.parametrize("option", [["--file", "mail.log"], ["--until", "now"]])
def test_only_a_store_is_followed_and_without_end(option: list[str]) -> None:
    program = [sys.executable, "-m", "mailingest", "trace", "--follow", *option]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 2
    assert "--follow asks the store" in done.stderr
