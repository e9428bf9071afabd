"""Whatever the store, an answer that lacks a day says so, and which one: on every way it is told."""

import json
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mailingest.errors import StoreUnavailable
from mailingest.stores.counts import TimeBuckets
from mailingest.stores.criteria import Criteria, address_term
from mailingest.trace.engine import trace
from mailingest.web.access import Access
from tests.support.breaking import CASES, WAYS, Break, set_aside
from tests.support.lab.polling import PATIENCE
from tests.support.logs import documents_of, lines_of
from tests.support.ports import free_port
from tests.support.stores import StoreCase, case_of, fill
from tests.web import serving

# Long lines are log lines.
# ruff: noqa: E501

BROKEN = "2026.11.05"
# Mails are followed for ten days: what is about the second one is not looked for on that day.
LOG = """
05T10:00:00 mx1 postfix/smtp: AAAAAA1: to=<bob@example.net>, relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 Ok)
24T10:00:00 mx1 postfix/smtp: BBBBBB1: to=<carla@example.net>, relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 Ok)
"""
DAY = 86_400
CODES = {"day_unreadable", "shards_failed"}
NOBODY = "to=nobody@example.net"
CARLA = "to=carla@example.net"


def midnight(day: int) -> int:
    """The beginning of a day of November 2026, in seconds since 1970."""
    return int(day_of(day).timestamp())


def day_of(day: int) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC)


@pytest.fixture
async def case(request: pytest.FixtureRequest, tmp_path: Path) -> StoreCase:
    """A store with two days."""
    made = case_of(request.param, tmp_path / "store", request)
    await fill(made.store, documents_of(lines_of(LOG), made.settings))
    return made


@pytest.mark.parametrize(("case", "broken"), WAYS, indirect=["case"])
async def test_a_day_that_cannot_be_read_is_told(case: StoreCase, broken: Break) -> None:
    reader = case.store.reader()
    nobody, bob, carla = (
        Criteria(recipient=address_term(f"{name}@example.net"))
        for name in ("nobody", "bob", "carla")
    )
    both = [TimeBuckets(midnight(day), DAY, 1) for day in (5, 24)]
    assert [(await trace(reader, one)).is_whole for one in (nobody, bob, carla)] == [True] * 3
    assert [(await reader.counts(one)).total("sent") for one in both] == [1, 1]
    async with broken(case, BROKEN):
        for criteria, count in ((nobody, 0), (bob, int(broken is set_aside)), (carla, 1)):
            result = await trace(reader, criteria)
            assert len(result.stories) == count
            [gap] = result.why
            assert gap.code in CODES
            assert f"{case.prefix}-{BROKEN}" in gap.text
        # Its time has no other day: there may have been logs.
        then = Criteria(until=day_of(6), recipient=nobody.recipient)
        assert not (await trace(reader, then)).is_whole
        later = Criteria(since=day_of(20), recipient=carla.recipient)
        assert (await trace(reader, later)).is_whole
        counts = await reader.counts(both[1])
        assert (counts.total("sent"), counts.why) == (1, [])
        # Where no other file is of that time, nothing is counted.
        with suppress(StoreUnavailable):
            counts = await reader.counts(both[0])
            assert [gap.code in CODES for gap in counts.why] == [True]
    assert (await trace(reader, bob)).is_whole
    assert [(await reader.counts(one)).total("sent") for one in both] == [1, 1]
    await reader.close()


@pytest.mark.parametrize(("case", "broken"), CASES, indirect=["case"])
async def test_the_page_tells_it_in_each_form(case: StoreCase, broken: Break) -> None:
    mail = "host=mx1&queue_id={}&at=2026-11-24T10:00:00Z"
    async for page in serving.served(case.store.reader(), Access()):

        async def answer(path: str, page: serving.Page = page) -> tuple[int, dict[str, Any]]:
            status, text = await page.get(path)
            return status, json.loads(text)

        assert [(await page.get(f"search.json?{one}"))[0] for one in (NOBODY, CARLA)] == [200, 200]
        assert (await page.get(f"mail.json?{mail.format('NONE')}"))[0] == 404
        async with broken(case, BROKEN):
            for path, status, count in (
                (f"search.json?{NOBODY}", 503, 0),
                (f"search.json?{CARLA}", 200, 1),
                (f"mail.json?{mail.format('NONE')}", 503, 0),
                (f"mail.json?{mail.format('BBBBBB1')}", 200, 1),
            ):
                got, said = await answer(path)
                assert (got, len(said["mails"]), said["whole"]) == (status, count, False), path
                [why] = said["why"]
                assert why["code"] in CODES
                # What an operator calls it is in the log.
                assert BROKEN not in json.dumps(said)
            for path, status in ((f"?{NOBODY}", 503), (f"?{CARLA}", 200)):
                for language, words, nothing in (
                    ("en", "the log of this service says", "Not found in what could be read"),
                    ("de", "im Log dieses Dienstes", "Nicht gefunden in dem, was zu lesen"),
                ):
                    got, html = await page.get(f"{path}&lang={language}")
                    assert (got, words in html, nothing in html) == (status, True, status == 503)
                    assert "No such mail" not in html
                    assert "Keine solche Mail" not in html
            got, said = await answer("overview.json?since=2026-11-04&until=2026-11-07")
            assert (got, said["whole"]) == (503, False)
            got, html = await page.get("overview?since=2026-11-04&until=2026-11-25&lang=en")
            assert (got, "the log of this service says" in html) == (200, True)
            got, said = await answer("overview.json?since=2026-11-20&until=2026-11-25")
            assert (got, said["whole"], said["why"]) == (200, True, [])


@pytest.mark.parametrize(("case", "broken"), CASES, indirect=["case"])
async def test_the_command_has_an_exit_code_for_it(
    case: StoreCase, broken: Break, tmp_path: Path
) -> None:
    config = tmp_path / "mailingest.toml"

    def asked(name: str, *form: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "mailingest", "trace", "-c", str(config)]
        return subprocess.run(
            [*program, "--to", f"{name}@example.net", *form],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    hosts = case.settings.elasticsearch.hosts
    store = (
        f'[elasticsearch]\nhosts = ["{hosts[0]}"]\n'
        if hosts
        else f'[sqlite]\ndirectory = "{case.settings.sqlite_directory}"\n'
    )
    state = f'[state]\ndirectory = "{tmp_path}/state"\n[index]\nprefix = "{case.prefix}"\n'
    config.write_text(state + store)
    assert asked("nobody").returncode == 1
    async with broken(case, BROKEN):
        text = asked("nobody")
        assert (text.returncode, text.stdout) == (3, "")
        assert f"{case.prefix}-{BROKEN}" in text.stderr
        assert "not found in what could be read and understood of the store" in text.stderr
        assert "no such mail" not in text.stderr
        nothing = asked("nobody", "--json")
        [row] = map(json.loads, nothing.stdout.splitlines())
        assert (nothing.returncode, row["verdict"], row["whole"]) == (3, None, False)
        assert row["why"][0]["code"] in CODES
        for form in ("--json", "--csv"):
            found = asked("carla", form)
            assert (found.returncode, "handed_over" in found.stdout) == (3, True)
            assert f"{case.prefix}-{BROKEN}" in found.stderr
        assert '"whole":false' in asked("carla", "--json").stdout
    if hosts:
        config.write_text(f'{state}[elasticsearch]\nhosts = ["http://127.0.0.1:{free_port()}"]\n')
        away = asked("carla", "--json")
        [row] = map(json.loads, away.stdout.splitlines())
        assert (away.returncode, row["verdict"], row["whole"]) == (4, None, False)
        assert [why["code"] for why in row["why"]] == ["store_unavailable"]
        assert "cannot be reached" in away.stderr
