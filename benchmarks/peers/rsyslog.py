"""rsyslog: lines over TCP into mmnormalize, JSON lines out."""

import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

from benchmarks.measure import MeasurementError, Usage, finish, free_port, socket_line
from benchmarks.peers.peer import RULES, Peer, environment, first_line, installed

_WAIT_SECONDS: Final = 300.0


def _version() -> str:
    found = re.search(r"rsyslogd +(\S+)", first_line([installed("rsyslogd"), "-v"]))
    return found[1] if found else "?"


def _run(file: Path, out: Path) -> Usage:
    port = free_port("tcp")
    config = out.with_suffix(".conf")
    text = (RULES / "rsyslog.conf").read_text()
    values = {"{directory}": str(out.parent), "{rules}": str(RULES), "{out}": str(out)}
    for name, value in {**values, "{port}": str(port)}.items():
        text = text.replace(name, value)
    config.write_text(text)
    pid = str(out.with_suffix(".pid"))
    began = time.perf_counter()
    process = subprocess.Popen(
        [installed("rsyslogd"), "-n", "-f", str(config), "-i", pid],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    try:
        _send(process, port, file)
        return finish(process, began)
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()


def _send(process: "subprocess.Popen[bytes]", port: int, file: Path) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while socket_line("tcp", port) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise MeasurementError("rsyslogd did not start")
        time.sleep(0.05)
    with socket.create_connection(("127.0.0.1", port), _WAIT_SECONDS) as connection:
        with file.open("rb") as data:
            connection.sendfile(data)
        connection.shutdown(socket.SHUT_WR)
        # rsyslog closes the connection when it has read all of it.
        connection.recv(1)
    process.send_signal(signal.SIGTERM)


PEER: Final = Peer(
    name="rsyslog, imptcp and mmnormalize, JSON",
    package="rsyslog",
    leaves_out="rarer lines, types, correlation, charsets other than UTF-8",
    version=_version,
    run=_run,
    is_taken_apart=lambda line: b'"originalmsg"' not in line and b'"unparsed-data"' not in line,
)
