"""What a damaged spool costs, and how an operator gets it back."""

import json
import socket
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.support.lab.daemon import Daemon, replay
from tests.support.lab.polling import PATIENCE, wait_until
from tests.support.ports import free_port
from tests.support.sqlite import StoredDocuments

TEXTS = [f"4AB12C{number:04X}: message-id=<{number}@example.org>" for number in range(300)]


def test_a_replay_stores_what_a_damaged_spool_has_lost_and_only_that(tmp_path: Path) -> None:
    port = free_port()
    state, config, log = tmp_path / "state", tmp_path / "mailingest.toml", tmp_path / "mail.log"
    config.write_text(
        f"shutdown_timeout = {PATIENCE}\n[inputs]\nudp = []\n[[inputs.tcp]]\nport = {port}\n"
        f'[state]\ndirectory = "{state}"\n[batch]\nmax_age = 0.1\n'
    )
    rows = [
        f"2026-11-24T06:00:{number % 60:02d}Z mx1 postfix/cleanup[100]: {text}\n"
        for number, text in enumerate(TEXTS)
    ]
    log.write_text("".join(rows))

    def hand_over(part: list[str]) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            connection.sendall("".join(part).encode())
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""

    def stored() -> Counter[str]:
        events = StoredDocuments(state / "mail", "mail").find(limit=10_000)
        return Counter(event["message"] for event in events)

    with Daemon(config) as daemon:
        hand_over(rows[:100])
        wait_until(lambda: len(stored()) == 100, "the first part is stored")
        [day] = (state / "mail").glob("*.sqlite")
        with closing(sqlite3.connect(day, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            hand_over(rows[100:200])
            hand_over(rows[200:])
            daemon.kill()
    [segment] = (state / "spool").glob("*.journal")
    content = bytearray(segment.read_bytes())
    content[content.index(TEXTS[150].encode())] ^= 1
    segment.write_bytes(content)
    with Daemon(config) as daemon:
        wait_until(lambda: len(stored()) == 200, "what is intact is stored")
    reported: list[dict[str, Any]] = [
        json.loads(row) for row in daemon.log.read_text().splitlines()
    ]
    [error] = [row for row in reported if row["level"] == "error"]
    assert error["event"].startswith("lines of the spool are lost: a file is damaged")
    assert error["frames"] == 100
    assert Path(*error["kept"]).read_bytes() == content
    assert [row for row in reported if row["event"] == "counters"][-1]["spool_frames_lost"] == 100
    assert stored() == Counter(TEXTS[:100] + TEXTS[200:])
    replay(config, log)
    assert stored() == Counter(TEXTS)
