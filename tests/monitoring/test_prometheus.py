"""A real Prometheus scrapes a real daemon; the dashboard and the alert rules find what they ask."""

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from typer.testing import CliRunner

from mailingest.cli import app
from mailingest.config import data_directory
from tests.monitoring.watched import DEFERRED, UNMATCHED, Watched
from tests.stores.elastic.dashboards import assert_panels_fit
from tests.support.grafana import dropped, mistyped
from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import wait_until
from tests.support.ports import free_port
from tests.support.site import LIFE

CONFIG: Final = data_directory("config")
DASHBOARD: Final[dict[str, Any]] = json.loads((CONFIG / "grafana-metrics.json").read_text())
EXPRESSIONS: Final = [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
]
# What Grafana puts in for its variables.
VARIABLES: Final = {"$instance": ".*", "$__rate_interval": "1m"}


class Prometheus:
    """Prometheus, which scrapes one daemon each second, with the shipped alert rules."""

    def __init__(self, directory: Path, watched: Watched) -> None:
        self.watched = watched
        program = shutil.which("prometheus")
        assert program, "no prometheus: install it with: apt-get install prometheus"
        self._port = free_port()
        scrape = {
            "job_name": "mailingest",
            "static_configs": [{"targets": [f"127.0.0.1:{watched.port}"]}],
        }
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(CONFIG / "prometheus-alerts.yml")],
            "scrape_configs": [scrape],
        }
        file = directory / "prometheus.yml"
        file.write_text(yaml.safe_dump(config))
        with (directory / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL", program),
                    f"--config.file={file}",
                    f"--storage.tsdb.path={directory}/data",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stderr=log,
            )

    def get(self, path: str, **parameters: str) -> Any:
        """The data of an answer; None if there is none yet."""
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """What an expression gives now, but for what is not a number."""
        found = self.get("query", query=expression)
        results = found["result"] if found else []
        return [one for one in results if one["value"][1] != "NaN"]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It has scraped a daemon to which lines have come since."""
    directory = tmp_path_factory.mktemp("prometheus")
    watched = Watched(directory)
    with Daemon(watched.site.config):
        watched.site.hand_over(*LIFE, DEFERRED, *UNMATCHED)
        prometheus = Prometheus(directory, watched)
        try:
            wait_until(
                lambda: prometheus.ask('mailingest_outcomes_total{outcome="deferred"}'),
                "Prometheus has scraped",
            )
            watched.site.hand_over(*LIFE, DEFERRED, *UNMATCHED)
            wait_until(
                lambda: prometheus.ask("rate(mailingest_batch_write_seconds_count[1m]) > 0"),
                "Prometheus has scraped again",
            )
            yield prometheus
        finally:
            prometheus.process.kill()
            prometheus.process.wait()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_each_panel_of_the_dashboard_has_data(prometheus: Prometheus, expression: str) -> None:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    assert prometheus.ask(expression)


def test_the_daemon_is_that_of_the_rules(prometheus: Prometheus) -> None:
    [up] = prometheus.ask('up{job="mailingest"}')
    assert up["value"][1] == "1"


def test_no_rule_fails_and_none_fires_on_a_daemon_that_is_well(prometheus: Prometheus) -> None:
    wait_until(
        lambda: all(
            rule["health"] != "unknown" for rule in prometheus.get("rules")["groups"][0]["rules"]
        ),
        "all rules were evaluated",
    )
    rules = prometheus.get("rules")["groups"][0]["rules"]
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []


def test_what_the_daemon_notices_is_told_everywhere(prometheus: Prometheus) -> None:
    site = prometheus.watched.site
    ahead = f"{datetime.now(UTC) + timedelta(hours=2):%b %e %H:%M:%S} mx2 postfix/qmgr[550]: "
    site.hand_over(*(f"{ahead}652D1A4A86{number}: removed" for number in range(3)))
    wait_until(
        lambda: prometheus.ask('mailingest_notices{kind="clock_off"} == 1'), "it is in Prometheus"
    )
    done = CliRunner().invoke(app, ["status", "--config", str(site.config)])
    assert done.exit_code == 1
    assert done.stdout.startswith("mailingest  needs you: see below\n")
    assert re.search(
        r"! a host's clock is off: mx2\n  since \S+: lines are dated \S+ h ahead of their arrival\n"
        r"  do: set the clock",
        done.stdout,
    )
    assert '"host": "mx2"' in site.config.with_suffix(".log").read_text()


def test_grafana_knows_all_of_the_dashboard() -> None:
    register_default_plugins()
    read = Dashboard.from_json(DASHBOARD)
    assert list(dropped(DASHBOARD, json.loads(json.dumps(read, cls=JSONEncoder)))) == []
    assert list(mistyped(read)) == []


def test_the_panels_do_not_overlap_and_fit_the_grid() -> None:
    assert_panels_fit((panel["gridPos"] for panel in DASHBOARD["panels"]), 24)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
