"""Followed files in a real daemon: rotated by the real logrotate, with kill -9 at any moment."""

import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import wait_until
from tests.support.site import Site

DELAYED = "create 0640\n  compress\n  delaycompress"
COPY = "copytruncate\n  compress\n  delaycompress"


class Writer:
    """Appends lines to a file all the time, as a syslog daemon does: it knows of no reader.

    Each tenth line is there three times, which are the same in all that they say.
    """

    def __init__(self, path: Path) -> None:
        self.written: Counter[object] = Counter()
        self._path = path
        self._lock = threading.Lock()
        self._is_ended = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self._file = path.open("ab", buffering=0)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_ended.set()
        self._thread.join()
        self._file.close()

    def reopen(self) -> None:
        """What SIGHUP does to a syslog daemon after a rotation; while it has a pause."""
        self._file.close()
        self._file = self._path.open("ab", buffering=0)

    @property
    def pause(self) -> threading.Lock:
        """As long as somebody has it, nothing is written."""
        return self._lock

    def _write(self) -> None:
        number = 0
        while not self._is_ended.wait(0.01):
            number += 1
            text = f"NOQUEUE: reject: RCPT from a[192.0.2.1]: number {number}"
            line = f"{time.strftime('%b %e %H:%M:%S')} mx1 postfix/smtpd[867]: {text}\n".encode()
            with self._lock:
                for _ in range(1 if number % 10 else 3):
                    # In pieces, as a buffer of stdio ends anywhere.
                    cut = number % len(line)
                    self._file.write(line[:cut])
                    self._file.write(line[cut:])
                    self.written[text] += 1


@pytest.mark.parametrize("mode", [DELAYED, COPY], ids=["create", "copytruncate"])
def test_nothing_is_lost_or_doubled_through_rotations_and_kills(tmp_path: Path, mode: str) -> None:
    if (logrotate := shutil.which("logrotate", path="/usr/sbin:/usr/bin")) is None:
        raise RuntimeError("logrotate missing; run: apt-get install logrotate")
    chance = random.Random(mode)
    log = tmp_path / "log" / "mail.log"
    log.parent.mkdir(mode=0o750)
    rules = tmp_path / "logrotate.conf"
    rules.write_text(f"{log} {{\n  rotate 50\n  size 1\n  {mode}\n}}\n")
    rules.chmod(0o644)
    site = Site(
        tmp_path, f'snapshot_interval = 0.5\n[[inputs.file]]\npath = "{log}"\nstart = "beginning"\n'
    )

    def rotate(writer: Writer) -> None:
        command = [logrotate, "--force", "--state", str(tmp_path / "rotated"), str(rules)]
        if mode != DELAYED:
            # What is written between the copy and the truncation is lost by logrotate.
            with writer.pause:
                subprocess.run(command, check=True)
                writer.reopen()
        else:
            subprocess.run(command, check=True)
            with writer.pause:
                writer.reopen()

    def has_more(before: int) -> bool:
        return writer.written.total() > before + 50

    with Writer(log) as writer:
        for _ in range(2):
            with Daemon(site.config) as daemon:
                for _ in range(chance.randint(0, 2)):
                    wait_until(partial(has_more, writer.written.total()), "it writes")
                    rotate(writer)
                wait_until(partial(has_more, writer.written.total()), "it writes")
                daemon.kill()
            for _ in range(chance.randint(0, 3)):
                wait_until(partial(has_more, writer.written.total()), "it writes")
                rotate(writer)
    with Daemon(site.config):
        wait_until(lambda: len(site.stored()) >= writer.written.total(), "all is stored")
    assert site.messages() == writer.written
