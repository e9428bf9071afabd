"""The fault campaign in small: whatever breaks, every accepted line is stored exactly once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.faults import Result, is_clean, run_campaign
from tests.support.servers import ELASTICSEARCH, Kind, SearchServer

# What takes seconds to start again.
MOST = {"server killed": 1, "daemon killed": 2, "daemon restarted": 2}
# All that happens where a shipper sends, in any order; in the end the daemon is restarted as well.
SHIPPED = {
    "daemon killed": 2,
    "daemon restarted": 0,
    "full disk": 1,
    "shipper killed": 2,
    "shipper restarted": 1,
    "store locked": 1,
}


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Another order of faults each time; the seed in the result repeats it."""
    return int(request.config.getoption("randomly_seed", 1))


def check(result: Result) -> None:
    assert is_clean(result.figures), str(result)
    assert result.figures["lines accepted"] > 1000


def test_every_accepted_line_is_stored_once_with_all_that_is_known_of_its_mail(
    tmp_path: Path, seed: int
) -> None:
    check(run_campaign(tmp_path, "sqlite", 9, seed, most=MOST))


def test_whatever_moment_the_daemon_is_killed_in_naive_senders_lose_nothing(
    tmp_path: Path, seed: int
) -> None:
    check(run_campaign(tmp_path, "sqlite", 8, seed, mode="kills"))


def test_whichever_process_is_killed_naive_senders_lose_nothing(tmp_path: Path, seed: int) -> None:
    """Workers, and the process that receives; and there are more of them or fewer after a start."""
    most = MOST | {"workers changed": 2, "full disk": 1, "store locked": 1}
    check(run_campaign(tmp_path, "sqlite", 8, seed, most=most, mode="workers"))


def test_with_a_damaged_spool_exactly_what_is_counted_is_lost(tmp_path: Path, seed: int) -> None:
    result = run_campaign(tmp_path, "sqlite", 8, seed, most=MOST, mode="damage")
    check(result)
    figures = result.figures
    assert figures["spool damaged"] == 4, str(result)
    assert figures["lines counted as lost"] == figures["lines of damaged records"], str(result)


@pytest.mark.parametrize("mode", ["relp", "lumberjack"])
def test_whoever_is_killed_what_real_shippers_send_is_stored_once(
    mode: str, tmp_path: Path, seed: int
) -> None:
    result = run_campaign(tmp_path, "sqlite", sum(SHIPPED.values()), seed, most=SHIPPED, mode=mode)
    check(result)
    happened = {fault: times for fault, times in SHIPPED.items() if times}
    assert result.figures == result.figures | happened, str(result)


@pytest.mark.servers
def test_the_same_holds_with_a_server_that_has_no_ids_and_answers_from_memory(
    tmp_path: Path, seed: int
) -> None:
    check(run_campaign(tmp_path, "victorialogs", 7, seed, most=MOST | {"server killed": 3}))


@pytest.mark.servers
def test_the_same_holds_with_a_cluster(
    tmp_path: Path, seed: int, search_servers: Callable[[Kind], SearchServer]
) -> None:
    server = search_servers(ELASTICSEARCH)
    check(run_campaign(tmp_path, "elasticsearch", 7, seed, server, MOST))
