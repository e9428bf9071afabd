"""Which peers send for which hosts: the first has a name, others have to wait for a day."""

import pytest

from mailingest.syslog.peers import HOSTS_EXCEEDED, PEER_UNKNOWN, Peers

DAY = 86_400.0
T = 1_795_500_000.0
OWN, OTHER, RELAY = "192.0.2.1", "192.0.2.66", "192.0.2.40"


def tag(peers: Peers, peer: str, host: str, now: float = T, *, queue_id: bool = True) -> str:
    if (peer, host) in peers.usual:
        return ""
    return peers.judge(peer, host, now, has_queue_id=queue_id)


def copied(peers: Peers) -> Peers:
    copy = Peers(100)
    copy.restore(list(peers.snapshot()))
    return copy


def test_the_first_peer_of_a_host_has_its_name_and_another_one_is_marked_for_a_day() -> None:
    peers = Peers(100)
    assert [tag(peers, OWN, "mx1") for _ in range(3)] == ["", "", ""]
    assert tag(peers, OTHER, "mx1") == PEER_UNKNOWN
    assert tag(peers, OTHER, "mx1", queue_id=False) == ""
    assert tag(peers, OTHER, "mx1", T + DAY - 1) == PEER_UNKNOWN
    assert tag(peers, OTHER, "mx1", T + DAY) == ""
    assert tag(peers, OTHER, "mx1", T + DAY + 1) == ""
    assert tag(peers, OWN, "mx1", T + DAY + 1) == ""
    assert peers.lines_unknown == 2
    assert [(one.kind, one.host, one.peer) for one in peers.take()] == [
        ("peer_unknown", "mx1", OTHER)
    ]
    assert peers.take() == []


def test_a_host_of_its_own_gives_no_right_to_another_name() -> None:
    peers = Peers(100)
    tag(peers, OWN, "mx1")
    assert tag(peers, OTHER, "mx2") == ""
    assert tag(peers, OTHER, "mx1") == PEER_UNKNOWN


def test_what_is_known_survives_a_restart() -> None:
    peers = Peers(100)
    tag(peers, OWN, "mx1")
    tag(peers, OTHER, "mx1")
    after = copied(peers)
    assert tag(after, OWN, "mx1", T + 5) == ""
    assert tag(after, OTHER, "mx1", T + 5) == PEER_UNKNOWN
    assert tag(after, OTHER, "mx1", T + DAY) == ""
    assert list(Peers(1).snapshot()) == []


def test_a_relay_has_many_hosts_and_those_over_the_bound_are_marked() -> None:
    peers = Peers(10)
    tags = [tag(peers, RELAY, f"mx{number}") for number in range(12)]
    assert tags == [""] * 10 + [HOSTS_EXCEEDED] * 2
    assert tag(peers, RELAY, "mx3") == ""
    assert tag(peers, OWN, "mx11") == ""  # nobody has that name
    assert tag(peers, RELAY, "mx11") == PEER_UNKNOWN
    assert peers.lines_exceeded == 2


def test_pairs_that_are_not_seen_are_forgotten_and_the_others_are_not() -> None:
    peers = Peers(2)
    assert tag(peers, RELAY, "old") == tag(peers, RELAY, "mx1") == ""
    for month in range(1, 4):
        # Something unknown makes it look at the time.
        tag(peers, OTHER, f"other{month}", T + 31 * DAY * month)
        assert tag(peers, RELAY, "mx1", T + 31 * DAY * month) == ""
    assert tag(peers, RELAY, "new", T + 93 * DAY) == ""
    assert tag(copied(peers), OTHER, "old", T + 93 * DAY) == ""


def test_made_up_peers_and_hosts_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailingest.syslog.peers._MOST_PAIRS", 50)
    peers = Peers(1000)
    tag(peers, OWN, "mx1")
    for number in range(500):
        tag(peers, f"198.51.100.{number}", f"host{number}")
        tag(peers, f"198.51.100.{number}", "mx1")
    assert len(peers.usual) == 50
    assert sum(1 for _ in peers.snapshot()) == 1
    assert tag(peers, OWN, "mx1") == ""
    assert tag(peers, OTHER, "mx1") == PEER_UNKNOWN
    assert peers.lines_exceeded == 451
