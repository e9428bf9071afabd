"""Each alert rule fires on what it is for, and none on an ordinary day: says promtool."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from mailingest.config import data_directory
from mailingest.service.counters import COUNTERS
from mailingest.service.exposition import metric_name

RULES: Final = data_directory("config") / "prometheus-alerts.yml"
DOCUMENTATION: Final = Path(__file__).parents[2] / "docs" / "monitoring.md"
NAMES: Final = {metric_name(counter) for counter in COUNTERS}

GIB: Final = 1024**3
# What a healthy daemon says for two hours; a minute lies between two values.
WELL: Final[Mapping[str, str]] = {
    "up": "1x120",
    "mailingest_ready": "1x120",
    "mailingest_spool_bytes": f"{GIB // 100}x120",
    "mailingest_spool_limit_bytes": f"{4 * GIB}x120",
    "mailingest_store_stalled_seconds": "0x120",
    "mailingest_retries_total": "3x120",
    "mailingest_lag_seconds": "2x120",
    "mailingest_documents_stored_total": "0+6000x120",
    "mailingest_documents_held": "0x120",
    "mailingest_documents_rejected_total": "5x120",
    "mailingest_datagrams_dropped_by_kernel_total": "9x120",
    "mailingest_datagrams_dropped_total": "9x120",
    "mailingest_datagrams_over_limit_total": "9x120",
    "mailingest_spool_frames_lost_total": "1x120",
    "mailingest_frames_received_total": "0+6000x120",
    'mailingest_lines_unmatched_total{tag="_grok_postfix_smtpd_nomatch"}': "0+60x120",
    **{
        f'mailingest_notices{{kind="{kind}"}}': "0x120"
        for kind in ("host_silent", "clock_off", "unmatched_new", "relay_defers", "account_jump")
    },
}
# Each alert, and what differs then from the first minute on or the last hour.
FIRING: Final[Mapping[str, Mapping[str, str]]] = {
    "MailingestDown": {"up": "1x60 0x60"},
    "MailingestNotReady": {"mailingest_ready": "1x60 0x60"},
    "MailingestSpoolFilling": {"mailingest_spool_bytes": f"{GIB}x60 {GIB * 5 // 2}x60"},
    "MailingestSpoolFullSoon": {
        "mailingest_spool_bytes": f"{GIB // 100}x60 {GIB // 2}+{GIB // 55}x60"
    },
    "MailingestStoreStalled": {"mailingest_store_stalled_seconds": "0x60 0+60x60"},
    "MailingestStoreRetries": {"mailingest_retries_total": "3x60 3+2x60"},
    "MailingestLag": {"mailingest_lag_seconds": "2x60 1800x60"},
    "MailingestDocumentsHeld": {"mailingest_documents_held": "0x60 7x60"},
    "MailingestDeadLetters": {"mailingest_documents_rejected_total": "5x70 6x50"},
    "MailingestKernelDrops": {"mailingest_datagrams_dropped_by_kernel_total": "9x115 10x5"},
    "MailingestLinesLost": {"mailingest_spool_frames_lost_total": "1x115 2x5"},
    "MailingestUnmatched": {
        'mailingest_lines_unmatched_total{tag="_grok_postfix_smtpd_nomatch"}': "0x50 0+600x70"
    },
    "MailingestNewLines": {'mailingest_notices{kind="unmatched_new"}': "0x110 1x10"},
    "MailingestHostSilent": {'mailingest_notices{kind="host_silent"}': "0x110 1x10"},
    "MailingestClockOff": {'mailingest_notices{kind="clock_off"}': "0x60 1x60"},
    "MailingestRelayDefers": {'mailingest_notices{kind="relay_defers"}': "0x110 1x10"},
    "MailingestAccountJump": {'mailingest_notices{kind="account_jump"}': "0x110 1x10"},
}
# What passes by itself.
PASSING: Final[Mapping[str, Mapping[str, str]]] = {
    "a restart": {
        "up": "1x117 0x1 1x2",
        "mailingest_ready": "1x117 _x1 0x1 1x1",
        "mailingest_frames_received_total": "0+6000x117 _x1 0+6000x2",
        "mailingest_documents_stored_total": "0+6000x117 _x1 0+6000x2",
        "mailingest_retries_total": "3x117 _x1 0x2",
    },
    "a store that is restarted": {
        "mailingest_store_stalled_seconds": "0x116 60+60x3",
        "mailingest_retries_total": "3x116 6 9 12 15",
    },
    "a burst": {"mailingest_spool_bytes": f"{GIB // 100}x110 {GIB // 100}+{GIB // 50}x5 0x5"},
    "a backlog that is stored in ten minutes": {"mailingest_lag_seconds": "2x110 4000x10"},
    "one odd line of few": {
        "mailingest_frames_received_total": "0+1x120",
        'mailingest_lines_unmatched_total{tag="_grok_postfix_smtpd_nomatch"}': "0x60 9x60",
    },
}


def rules() -> list[dict[str, Any]]:
    return [
        rule
        for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]
        for rule in group["rules"]
    ]


def series(name: str) -> str:
    """A series of the daemon that is scraped."""
    own = 'job="mailingest", instance="mx1:9725"'
    return f"{name[:-1]}, {own}}}" if name.endswith("}") else f"{name}{{{own}}}"


def case(changes: Mapping[str, str], fires: str | None) -> dict[str, Any]:
    """A test of promtool: which alerts fire after two hours."""
    values = {**WELL, **changes}
    return {
        "interval": "1m",
        "input_series": [{"series": series(name), "values": one} for name, one in values.items()],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": "2h",
                "exp_samples": []
                if fires is None
                else [{"labels": f'{{alertname="{fires}"}}', "value": 1}],
            }
        ],
    }


# What fires lasts, and most of promtool's time is evaluations; what passes may last for a minute.
@pytest.mark.parametrize(
    ("interval", "cases"),
    [
        ("5m", [case(changes, name) for name, changes in FIRING.items()]),
        ("1m", [case({}, None), *(case(changes, None) for changes in PASSING.values())]),
    ],
    ids=["firing", "passing"],
)
def test_each_rule_fires_on_its_own_and_no_other_does(
    interval: str, cases: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = tmp_path / "cases.yml"
    content = {"rule_files": [str(RULES)], "evaluation_interval": interval, "tests": cases}
    file.write_text(yaml.safe_dump(content, width=10_000))
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_rule_is_tried() -> None:
    assert [rule["alert"] for rule in rules()] == list(FIRING)


def test_promtool_finds_the_rules_right() -> None:
    done = subprocess.run(
        ["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(FIRING)} rules found" in done.stdout


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_each_metric_in_a_rule_is_one_that_is_scraped(rule: Mapping[str, Any]) -> None:
    assert set(re.findall(r"mailingest_\w+", rule["expr"])) <= NAMES


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_each_rule_says_what_to_do(rule: Mapping[str, Any]) -> None:
    annotations = rule["annotations"]
    assert {"summary", "description", "runbook"} == set(annotations)
    anchor = annotations["runbook"].removeprefix("docs/monitoring.md#")
    headings = re.findall(r"^#+ (.+)$", DOCUMENTATION.read_text("utf-8"), re.MULTILINE)
    assert anchor in [heading.lower() for heading in headings]
    assert rule["labels"]["severity"] in ("warning", "critical")
