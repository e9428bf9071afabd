"""What systemd is notified of, through real sockets."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mailingest.service.systemd import notify, watchdog_interval
from tests.support.lab.polling import PATIENCE


@pytest.fixture(params=["path", "abstract"])
def systemd(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """The socket that systemd listens on, its address in the environment."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(PATIENCE)
        if request.param == "path":
            address = str(tmp_path / "notify")
            listener.bind(address)
        else:
            listener.bind("")  # Linux chooses an abstract address
            address = "@" + listener.getsockname()[1:].decode("ascii")
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield listener


def test_systemd_is_notified_state_by_state(systemd: socket.socket) -> None:
    notify("READY=1")
    notify("STOPPING=1")
    assert systemd.recv(100) == b"READY=1"
    assert systemd.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("value", [None, ""])
def test_outside_of_systemd_nothing_happens(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if value is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", value)
    with capture_logs() as logs:
        notify("READY=1")
    assert logs == []


def test_a_socket_that_is_gone_is_a_warning_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    with capture_logs() as logs:
        notify("WATCHDOG=1")
    assert [(log["log_level"], log["reason"]) for log in logs] == [
        ("warning", "No such file or directory")
    ]


@pytest.mark.parametrize(
    ("limit", "pid", "interval"),
    [
        pytest.param("30000000", None, 15.0, id="half of the limit"),
        pytest.param("30000000", str(os.getpid()), 15.0, id="for this process"),
        pytest.param("30000000", "1", None, id="for another process"),
        pytest.param(None, None, None, id="no watchdog"),
        pytest.param("", None, None, id="empty"),
        pytest.param("0", None, None, id="zero"),
        pytest.param("rubbish", None, None, id="no number"),
        pytest.param("-5", None, None, id="negative"),
    ],
)
def test_the_watchdog_interval_is_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, limit: str | None, pid: str | None, interval: float | None
) -> None:
    for name, value in (("WATCHDOG_USEC", limit), ("WATCHDOG_PID", pid)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert watchdog_interval() == interval
