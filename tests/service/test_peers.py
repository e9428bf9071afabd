"""Who said it: the peer is a field, may be refused, and is marked where it is not known."""

import json
import socket
from pathlib import Path

import pytest

from tests.support.lab.daemon import Daemon, replay
from tests.support.lab.polling import PATIENCE, wait_until
from tests.support.site import LIFE, Site, numbered


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def send_from(address: str, site: Site, *lines: str) -> None:
    """By UDP, from another address of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((address, 0))
        for line in lines:
            sender.sendto(line.encode(), ("127.0.0.1", site.udp))


def connected_from(address: str, site: Site) -> socket.socket:
    return socket.create_connection(("127.0.0.1", site.tcp), PATIENCE, source_address=(address, 0))


def test_an_event_says_which_peer_its_line_came_from(site: Site, tmp_path: Path) -> None:
    with Daemon(site.config):
        site.hand_over(LIFE[0])
        send_from("127.0.0.2", site, LIFE[1])
        wait_until(lambda: site.count_stored() == 2, "both are stored")
    assert sorted(str(one["syslog_peer"]) for one in site.stored()) == ["127.0.0.1", "127.0.0.2"]
    (tmp_path / "other").mkdir()
    other = Site(tmp_path / "other")
    (tmp_path / "mail.log").write_text(f"{LIFE[0]}\n")
    replay(other.config, tmp_path / "mail.log")
    assert ["syslog_peer" in one for one in other.stored()] == [False]


def test_a_line_about_a_queue_id_from_a_peer_that_is_not_the_hosts_is_marked(site: Site) -> None:
    forged = LIFE[4].replace("removed", "from=<x@example.org>, status=expired, returned to sender")
    with Daemon(site.config):
        site.hand_over(*LIFE[:4])
        wait_until(lambda: site.count_stored() == 4, "the host's own lines are stored")
    with Daemon(site.config) as daemon:
        send_from("127.0.0.66", site, forged, *numbered(0, 1))
        wait_until(lambda: site.count_stored() == 6, "all is stored")
        wait_until(lambda: "did not send for it before" in daemon.log.read_text(), "it is logged")
    marked = [one for one in site.stored() if "_syslog_peer_unknown" in str(one["tags"])]
    assert [(one["syslog_peer"], one["service"]) for one in marked] == [("127.0.0.66", "qmgr")]
    assert site.counters(daemon.log)["lines_peer_unknown"] == 1


def test_hosts_over_the_bound_of_a_peer_are_marked_and_stored(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.config.write_text("inputs.max_hosts_per_peer = 3\n" + site.config.read_text())
    lines = [LIFE[0].replace("mx1", f"mx{number}") for number in range(5)]
    with Daemon(site.config) as daemon:
        site.hand_over(*lines)
        wait_until(lambda: site.count_stored() == 5, "all are stored")
    marked = [one for one in site.stored() if "_syslog_peer_hosts_exceeded" in str(one["tags"])]
    assert {one["host"] for one in marked} == {"mx3", "mx4"}
    assert site.counters(daemon.log)["lines_peer_hosts_exceeded"] == 2


def test_only_networks_that_are_allowed_may_send(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.config.write_text(
        site.config.read_text().replace("port =", 'allow = ["127.0.0.8/29"]\nport =')
    )
    with Daemon(site.config) as daemon:
        # No more than the socket of a busy daemon holds.
        send_from("127.0.0.2", site, *numbered(0, 50))
        send_from("127.0.0.9", site, *numbered(1000, 2))
        with connected_from("127.0.0.10", site) as connection:
            connection.sendall(f"{numbered(2000, 1)[0]}\n".encode())
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
        # A reset: what it has sent is not to be taken for accepted.
        with pytest.raises(ConnectionResetError), connected_from("127.0.0.3", site) as connection:
            connection.recv(1)
        wait_until(lambda: site.count_stored() == 3, "what is allowed is stored")
    assert {str(one["syslog_peer"]) for one in site.stored()} == {"127.0.0.9", "127.0.0.10"}
    counters = site.counters(daemon.log)
    assert (counters["datagrams_not_allowed"], counters["connections_not_allowed"]) == (50, 1)
    rows = [json.loads(line) for line in daemon.log.read_text().splitlines()]
    told = [row for row in rows if row["event"] == "a datagram of a sender that is not in allow"]
    assert 1 <= len(told) <= 10
