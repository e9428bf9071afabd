"""`/metrics`, `/healthz` and `/readyz` of a real daemon, and what Prometheus' own tool says."""

import json
import re
import socket
import subprocess
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from mailingest.cli import app
from mailingest.commands.status import as_text, needs_somebody
from mailingest.config import Settings
from mailingest.config.sections import Metrics
from mailingest.errors import UsageError
from mailingest.httpd.hosts import served_names
from mailingest.postfix.outcome import OUTCOMES
from mailingest.postfix.reason_classes import REASON_CLASSES, reason_class
from mailingest.service.counters import COUNTERS, read_counters
from mailingest.service.endpoint import Endpoint, endpoint_of
from mailingest.service.exposition import exposition, metric_name
from mailingest.service.noticed import keep, recalled
from mailingest.service.overview import overview, sample
from mailingest.service.parts import build_parts
from mailingest.service.rates import Rates
from mailingest.spool.status_socket import NoAnswer, ask
from mailingest.watching.watch import Watch
from tests.monitoring.watched import Watched
from tests.support.site import Site


def test_all_that_is_declared_is_scraped(watched: Watched) -> None:
    names = {name for name, _ in watched.samples()}
    for counter in COUNTERS:
        if counter.kind == "histogram":
            assert {f"{metric_name(counter)}_{part}" for part in ("bucket", "sum", "count")} < names
        else:
            assert metric_name(counter) in names


def test_the_figures_are_those_of_the_lines(watched: Watched) -> None:
    samples = watched.samples()
    assert samples["mailingest_frames_received_total", ()] == 8
    assert samples["mailingest_outcomes_total", ("sent", "none")] == 1
    assert samples["mailingest_outcomes_total", ("deferred", "network")] == 1
    assert samples["mailingest_lines_unmatched_total", ("_grok_postfix_smtpd_nomatch",)] == 1
    # A name that a line gives to a daemon is no label.
    assert samples["mailingest_lines_unmatched_total", ("other",)] == 1
    assert samples["mailingest_lines_late_total", ()] == 8
    assert samples["mailingest_lag_seconds", ()] > 3600
    assert samples["mailingest_batch_write_seconds_count", ()] >= 1
    assert samples["mailingest_spool_full", ()] == 0


def test_prometheus_finds_nothing_to_complain_of(watched: Watched) -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=watched.get("/metrics")[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_is_alive_and_ready(watched: Watched) -> None:
    assert watched.get("/healthz") == (200, "ok\n")
    assert watched.get("/readyz") == (200, "ready\n")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (None, 200),
        ("localhost:9725", 200),
        ("192.0.2.1:9725", 200),
        ("[2001:db8::1]", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("0x7f.1", 421),
        ("", 421),
    ],
)
def test_only_names_of_this_machine_are_answered(
    watched: Watched, host: str | None, status: int
) -> None:
    assert watched.get("/metrics", host)[0] == status


def test_nothing_listens_unless_a_port_is_set() -> None:
    assert Settings().metrics.port is None
    assert Settings().metrics.host == "127.0.0.1"


async def test_a_port_that_is_taken_is_named(watched: Watched, tmp_path: Path) -> None:
    parts = build_parts(Settings.model_validate({"state": {"directory": tmp_path}}))
    with pytest.raises(UsageError, match=rf"metrics 127\.0\.0\.1:{watched.port}"):
        async with endpoint_of(Metrics(port=watched.port), parts):
            pass


def status(watched: Watched, *options: str) -> tuple[int, str]:
    """Exit code and output of `mailingest status`."""
    done = CliRunner().invoke(app, ["status", "--config", str(watched.site.config), *options])
    return done.exit_code, done.stdout


def test_the_status_is_one_screen_or_json(watched: Watched) -> None:
    code, text = status(watched)
    assert code == 0
    assert text.startswith("mailingest  is well\n")
    assert re.search(r"^  mx1 +last line \d+ s ago$", text, re.MULTILINE)
    assert len(text.splitlines()) < 24
    code, text = status(watched, "--json")
    said = json.loads(text)
    assert code == 0
    assert said["ready"] is True
    assert said["store"]["kind"] == "sqlite"
    assert [one["host"] for one in said["hosts"]] == ["mx1"]
    assert said["counters"]["documents_stored"] == 8
    assert said["counters"]["outcomes"] == {
        "received none": 1,
        "sent none": 1,
        "deferred network": 1,
    }


def test_the_status_says_what_needs_somebody(watched: Watched) -> None:
    said = ask(watched.site.state, 60)
    said["problems"] = [{"what": "dead letters", "do": "look at them"}]
    said["notices"] = [
        {
            "meaning": "a host is silent",
            "subject": "mx\x1b[31m",
            "since": "2026-03-02T10:00:00+00:00",
            "detail": "no line",
            "do": "look",
        }
    ]
    assert needs_somebody(said)
    assert as_text(said, "/x").splitlines()[-6:] == [
        "! dead letters",
        "  do: look at them",
        "",
        "! a host is silent: mx\\x1b[31m",
        "  since 2026-03-02T10:00:00+00:00: no line",
        "  do: look",
    ]


def test_a_daemon_that_does_not_answer_is_named(tmp_path: Path) -> None:
    site = Site(tmp_path)
    command = ["status", "--config", str(site.config)]
    assert CliRunner().invoke(app, command).exit_code == 4
    site.state.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(site.state / "status"))
        with pytest.raises(NoAnswer, match="no daemon works in"):
            ask(site.state, 60)
        listener.listen()
        with pytest.raises(NoAnswer, match=r"does not answer within 0\.1 s"):
            ask(site.state, 0.1)


def test_what_needs_somebody_is_a_problem(tmp_path: Path) -> None:
    parts = build_parts(Settings.model_validate({"state": {"directory": tmp_path}}))
    parts.readiness.phase = "serving"
    rates = Rates()

    def problems() -> list[str]:
        return [one["what"] for one in overview(parts, rates, "sqlite")["problems"]]

    assert problems() == []
    parts.dead_letters.size_bytes = 7
    rates.feed(sample(read_counters(parts))._replace(at=time.monotonic() - 60, lost=-3))
    assert problems() == [
        "dead letters: 7 bytes that the store refused",
        "3 lines were lost in the last hour",
    ]


def test_what_is_not_ready_says_why(tmp_path: Path) -> None:
    parts = build_parts(Settings.model_validate({"state": {"directory": tmp_path}}))
    readiness = parts.readiness
    assert readiness.reasons == ["mailingest is starting"]
    readiness.phase = "serving"
    assert readiness.reasons == []
    parts.spool.open(None)
    parts.spool._journal.refuse("no space left on device")
    assert readiness.reasons == ["the spool is full: no space left on device"]
    parts.spool.close()


async def test_many_scrapes_in_a_second_cost_as_much_as_one(tmp_path: Path) -> None:
    parts = build_parts(Settings.model_validate({"state": {"directory": tmp_path}}))
    endpoint = Endpoint(parts, served_names("127.0.0.1"))
    first = await endpoint._metrics(None)  # type: ignore[arg-type]
    parts.pipeline.counters.frames += 1
    second = await endpoint._metrics(None)  # type: ignore[arg-type]
    assert first.body == second.body
    assert exposition(parts) != first.body


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("4.4.1", "network"),
        ("5.1.1", "address"),
        ("5.7.26", "policy"),
        ("4.2.2", "mailbox"),
        ("5.99.1", "other"),
        ("5", "other"),
        ("", "other"),
    ],
)
def test_the_class_of_a_reason_is_the_subject_of_its_code(code: str, expected: str) -> None:
    assert reason_class({"postfix_dsn": code}) == expected
    assert reason_class({"postfix_status_code_enhanced": code}) == expected


def test_the_labels_of_outcomes_are_a_closed_list() -> None:
    assert reason_class({}) in REASON_CLASSES
    assert len(OUTCOMES) * len(REASON_CLASSES) < 100


def test_names_of_hosts_are_escaped_bounded_and_no_addresses(tmp_path: Path) -> None:
    parts = build_parts(Settings.model_validate({"state": {"directory": tmp_path}}))
    hosts = parts.pipeline.watch.hosts
    now = time.time()
    for host in ('a"b\\c\n', "192.0.2.1", "2001:db8::1", *(f"mx{n}" for n in range(300))):
        hosts.add(host, now - 60)
    text = exposition(parts).decode()
    [family] = [
        one
        for one in text_string_to_metric_families(text)
        if one.name == "mailingest_host_silence_seconds"
    ]
    found = {sample.labels["host"]: sample.value for sample in family.samples}
    assert len(found) == 200
    assert found['a"b\\c\n'] >= 60
    assert found["other"] >= 60
    assert not {"192.0.2.1", "2001:db8::1"} & found.keys()


def test_what_was_learned_outlives_the_daemon_and_damage_does_no_harm(tmp_path: Path) -> None:
    watch = Watch()
    watch.hosts.add("mx1", 1_772_000_000.0)
    keep(tmp_path / "noticed", watch.snapshot())
    assert list(recalled(tmp_path / "noticed").snapshot()) == list(watch.snapshot())
    whole = (tmp_path / "noticed").read_bytes()
    for damaged in (whole[:-20], b"", b"\x00" * 99, whole.replace(b"mx1", b'"]['), b"[]\n" + whole):
        (tmp_path / "noticed").write_bytes(damaged)
        assert not recalled(tmp_path / "noticed").hosts.last_line
    assert not recalled(tmp_path / "nothing").hosts.last_line


def test_a_spool_whose_limit_is_changed_says_so(tmp_path: Path) -> None:
    parts = build_parts(Settings.model_validate({"state": {"directory": tmp_path}}))
    parts.spool.limit(64 * 1024**2)
    assert "mailingest_spool_limit_bytes 6.7108864e+07\n" in exposition(parts).decode()
