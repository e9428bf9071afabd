"""Few descriptors: told at the start, or connections are refused and files can still be opened."""

import resource
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import PATIENCE, wait_until
from tests.support.site import Site, numbered, texts


def limited(files: int) -> list[str]:
    """A command that runs another with so many descriptors."""
    return ["prlimit", f"--nofile={files}:{files}"]


@pytest.mark.parametrize("files", [12, 30, 79])
def test_too_few_are_told_with_the_remedy(tmp_path: Path, files: int) -> None:
    site = Site(tmp_path)
    done = subprocess.run(
        [*limited(files), sys.executable, "-m", "mailingest", "run", "--config", str(site.config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"mailingest: only {files} files and connections may be open (ulimit -n), and mailingest "
        "needs 80 at least: raise LimitNOFILE= of the systemd unit, or `ulimit -n`\n"
    )


def connected(site: Site, stack: ExitStack) -> socket.socket | None:
    """A connection to the daemon; none where its reset was faster than our own return."""
    try:
        connection = socket.create_connection(("127.0.0.1", site.tcp), PATIENCE)
    except ConnectionResetError:
        return None
    return stack.enter_context(connection)


def test_with_few_all_that_is_accepted_is_stored_and_the_rest_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with Daemon(site.config, limited(80)) as daemon, ExitStack() as stack:
        assert '"max_connections": 1000' in daemon.log.read_text()
        idle = [connection for _ in range(100) if (connection := connected(site, stack))]
        for connection in idle[60:]:
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
        for connection in idle[:10]:
            connection.sendall(b"".join(f"{line}\n".encode() for line in numbered(0, 10)))
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
        wait_until(lambda: site.count_stored() == 10, "what was accepted is stored")
    assert site.messages() == texts(numbered(0, 10))
    assert "Traceback" not in daemon.log.read_text()


def test_the_limit_is_raised_as_far_as_it_is_allowed(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with Daemon(site.config, ["prlimit", "--nofile=100:2000"]) as daemon:
        assert resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)[0] == 1100
        assert "max_connections" not in daemon.log.read_text()
