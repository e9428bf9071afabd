"""Lines whose time no clock of this year gave: they fill neither the disk nor the descriptors."""

import json
import resource
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.lab.daemon import Daemon, replay
from tests.support.lab.polling import PATIENCE, wait_until
from tests.support.site import LIFE, Site

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def dated(days: range, at: datetime = NOW) -> list[str]:
    """Lines that are dated so many days after a time."""
    return [
        f"{at + timedelta(day):%Y-%m-%dT%H:%M:%SZ} mx1 postfix/qmgr[7]: 4AB12CD{day % 4096:03X}: "
        f"from=<a@example.org>, size={abs(day)}, nrcpt=1 (queue active)"
        for day in days
    ]


def days_on_disk(site: Site) -> list[str]:
    return sorted(path.name for path in (site.state / "mail").glob("*.sqlite"))


def test_a_thousand_days_ahead_are_filed_under_their_arrival(site: Site) -> None:
    lines = dated(range(10, 1010))
    with Daemon(site.config) as daemon:
        site.send_udp(*lines)
        wait_until(lambda: site.count_stored() == len(lines), "all are stored")
    stored = site.stored()
    assert len(days_on_disk(site)) <= 2  # it may be midnight
    assert {line.partition(" ")[0] for line in lines} == {
        str(one["syslog_timestamp"]).replace(".000Z", "Z") for one in stored
    }
    assert all("_syslog_time_implausible" in str(one["tags"]) for one in stored)
    assert site.counters(daemon.log)["lines_filed_by_arrival"] == len(lines)


def test_days_that_are_over_when_they_come_in_are_filed_under_their_arrival(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path, "[retention]\ndays = 7\n")
    with Daemon(site.config):
        site.hand_over(*dated(range(-40, 0)))
        wait_until(lambda: site.count_stored() == 40, "all are stored")
    assert 7 <= len(days_on_disk(site)) <= 9


def test_a_batch_of_any_number_of_days_is_stored_with_few_descriptors(site: Site) -> None:
    lines = dated(range(-300, 0))
    with Daemon(site.config) as daemon:
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (64, 64))
        site.hand_over(*lines)
        wait_until(lambda: site.count_stored() == len(lines), "all are stored")
    assert len(days_on_disk(site)) == 300


def test_what_waits_in_the_spool_is_judged_by_when_it_arrived(site: Site) -> None:
    """As after a stop of months: what was a plausible time then, still is."""
    lines = dated(range(3))
    with Daemon(site.config) as daemon:
        site.hand_over(lines[0])
        wait_until(lambda: site.count_stored() == 1, "there is a store")
        with site.store_locked():
            site.hand_over(*lines[1:])
            daemon.kill()
    with Daemon(site.config):
        wait_until(lambda: site.count_stored() == 3, "all are stored")
    assert not any("syslog_timestamp" in one for one in site.stored())


def test_a_replay_takes_lines_of_any_time(site: Site, tmp_path: Path) -> None:
    old = dated(range(-2000, -1990))
    file = tmp_path / "mail.log"
    file.write_text("".join(f"{line}\n" for line in old))
    replay(site.config, file)
    assert len(days_on_disk(site)) == 10
    assert not any("syslog_timestamp" in one for one in site.stored())


def test_a_mail_that_is_filed_under_its_arrival_is_found_with_its_lines_in_order(
    site: Site,
) -> None:
    life = [line.replace("Nov 24 15:41:22", "2029-11-24T15:41:22Z") for line in LIFE]
    with Daemon(site.config):
        site.hand_over(*life[:3])
        site.hand_over(*life[3:])
        wait_until(lambda: site.count_stored() == len(life), "all is stored")
    command = [sys.executable, "-m", "mailingest", "trace", "--config", str(site.config)]
    asked = subprocess.run(
        [*command, "--to", "bob@example.net", "--since", f"{NOW:%Y-%m-%d}", "--json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    [answer] = map(json.loads, asked.stdout.splitlines())
    assert (answer["verdict"], answer["sender"]) == ("handed_over", "ann@example.com")
    assert [line.rpartition("]: ")[2][:22] for line in answer["proof"]] == [
        line.rpartition("]: ")[2][:22] for line in life
    ]
    assert answer["received_at"][:10] in {f"{NOW:%Y-%m-%d}", f"{NOW + timedelta(1):%Y-%m-%d}"}
