"""A disk without room for anything, whatever the daemon is about to write."""

import resource
import select
import socket
from pathlib import Path

import pytest

from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import PATIENCE, wait_until
from tests.support.site import Site, numbered, texts


@pytest.mark.parametrize(
    "more",
    [
        pytest.param("", id="SQLite"),
        pytest.param('[ndjson]\npath = "{directory}/mail.ndjson"\n', id="NDJSON"),
    ],
)
@pytest.mark.parametrize("before", [0, 100])
def test_nothing_is_accepted_nor_lost_without_room_for_anything(
    tmp_path: Path, more: str, before: int
) -> None:
    site = Site(
        tmp_path,
        "snapshot_interval = 0.1\n[log]\nreport_interval = 0.1\n" + more.format(directory=tmp_path),
    )

    def stored() -> int:
        ndjson = tmp_path / "mail.ndjson"
        if not more:
            return site.count_stored()
        return len(set(ndjson.read_bytes().splitlines())) if ndjson.exists() else 0

    with Daemon(site.config) as daemon:
        if before:
            site.hand_over(*numbered(0, before))
            wait_until(lambda: stored() == before, "the first lines are stored")
        # Not a byte more goes into any file, that of the log included.
        limit = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        with socket.create_connection(("127.0.0.1", site.tcp), PATIENCE) as sending:
            sending.sendall("".join(f"{line}\n" for line in numbered(before, 100)).encode())
            sending.shutdown(socket.SHUT_WR)
            for _ in range(3):
                # Meanwhile all its chores try to write.
                assert not select.select([sending], [], [], 0.5)[0], "nothing is accepted"
            resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, limit)
            assert sending.recv(1) == b""
        wait_until(lambda: stored() == before + 100, "what was accepted is stored")
    if not more:
        assert site.messages() == texts(numbered(0, before + 100))
    assert "Traceback" not in daemon.log.read_text()
