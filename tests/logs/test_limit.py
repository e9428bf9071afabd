"""mailingest's own log cannot be flooded: by a sender, with whatever it sends."""

import json
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import structlog

from mailingest.logs.limit import LogLimit
from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import PATIENCE, wait_until
from tests.support.site import Site, numbered

MORE = "more like this in the last minute"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limit(clock: Clock) -> LogLimit:
    return LogLimit(clock)


@pytest.fixture
def entries(limit: LogLimit) -> Iterator[list[dict[str, Any]]]:
    before = structlog.get_config()
    seen: list[dict[str, Any]] = []

    def keep(_: Any, level: str, entry: Any) -> Any:
        seen.append({"level": level, **entry})
        raise structlog.DropEvent

    # Whatever level a command has set that was run in this process.
    structlog.configure(
        processors=[limit, keep],
        wrapper_class=structlog.make_filtering_bound_logger("debug"),
        cache_logger_on_first_use=False,
    )
    yield seen
    structlog.configure(**before)


def test_a_message_comes_through_ten_times_a_minute_and_the_rest_is_counted(
    limit: LogLimit, clock: Clock, entries: list[dict[str, Any]]
) -> None:
    log = structlog.get_logger()
    for number in range(1244):
        log.warning("half a frame", peer=number)
    log.warning("another message")
    assert Counter(one["event"] for one in entries) == {"half a frame": 10, "another message": 1}
    clock.now = 59.9
    limit.report()
    assert len(entries) == 11
    clock.now = 60.0
    limit.report()
    limit.report()
    assert entries[11:] == [
        {"level": "warning", "event": MORE, "of": "half a frame", "count": 1234}
    ]
    log.warning("half a frame", peer=0)
    assert entries[-1] == {"level": "warning", "event": "half a frame", "peer": 0}


def test_the_next_message_tells_of_those_before(
    clock: Clock, entries: list[dict[str, Any]]
) -> None:
    log = structlog.get_logger()
    for _ in range(12):
        log.error("it failed")
    clock.now = 100.0
    log.info("something else")
    assert [one["event"] for one in entries[10:]] == [MORE, "something else"]
    assert (entries[10]["level"], entries[10]["count"]) == ("error", 2)


def test_what_a_timer_logs_and_details_are_not_bounded(entries: list[dict[str, Any]]) -> None:
    log = structlog.get_logger()
    for _ in range(30):
        log.info("counters")
        log.debug("a detail")
    assert len(entries) == 60


def test_threads_may_log_at_once(limit: LogLimit, entries: list[dict[str, Any]]) -> None:
    def work() -> None:
        for _ in range(500):
            structlog.get_logger().warning("from a thread")

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    limit.report(at_the_end=True)
    assert [one.get("count") for one in entries] == [None] * 10 + [1990]


# What a sender can do


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, '[log]\nformat = "text"\n')


def half_frame(site: Site, number: int) -> None:
    with socket.create_connection(("127.0.0.1", site.tcp), PATIENCE) as connection:
        connection.sendall(b"999 half a frame %d" % number)


def reset(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.tcp), PATIENCE) as connection:
        connection.sendall(b"line\n")
        # Closing sends RST: the other side fails to read.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_half_frames_and_broken_connections_do_not_flood_the_log(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with Daemon(site.config) as daemon:
        for number in range(300):
            half_frame(site, number)
            reset(site)
        wait_until(lambda: site.count_stored() >= 300, "the halves are stored")
    rows = [json.loads(line) for line in daemon.log.read_text().splitlines()]
    events = Counter(row["event"] for row in rows)
    assert events["tcp connection ended within a frame"] == 10
    assert events["tcp connection failed"] <= 10
    told = {row["of"]: row["count"] for row in rows if row["event"] == MORE}
    assert told["tcp connection ended within a frame"] == 290
    counters = site.counters(daemon.log)
    assert counters["frames_unterminated"] == 300
    assert len(rows) < 60


def test_made_up_hosts_and_clocks_do_not_flood_the_log(tmp_path: Path) -> None:
    site = Site(tmp_path)
    lines = [
        f"2029-11-24T15:41:22Z host{number} postfix[7]: 4AB12CD34: removed"
        for number in range(500)
        for _ in range(3)
    ]
    with Daemon(site.config) as daemon:
        site.hand_over(*lines)
        wait_until(lambda: site.count_stored() == len(lines), "all is stored")
        wait_until(lambda: "clock is wrong" in daemon.log.read_text(), "it is logged")
    rows = [json.loads(line) for line in daemon.log.read_text().splitlines()]
    assert max(Counter(row["event"] for row in rows).values()) <= 10
    assert sum(row["count"] for row in rows if row["event"] == MORE) == 2 * 490


def test_what_a_sender_says_stays_escaped_in_the_log(site: Site) -> None:
    host = "mx\x1b\x07\u202e"
    lines = [f"2029-11-24T15:41:22Z {host} postfix[7]: 4AB12CD34: removed"] * 3
    with Daemon(site.config) as daemon:
        with socket.create_connection(("127.0.0.1", site.tcp), PATIENCE) as connection:
            connection.sendall("".join(f"{line}\n" for line in [*lines, *numbered(0, 1)]).encode())
        wait_until(lambda: "clock is wrong" in daemon.log.read_text(), "it is logged")
    text = daemon.log.read_text()
    assert r"mx\x1b\x07\u202e" in text
    assert [line for line in text.split("\n") if not line.isprintable()] == []
