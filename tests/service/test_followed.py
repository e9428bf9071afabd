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

from mailingest.service.control import ask
from mailingest.spool.status_socket import ask as status_of
from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import PATIENCE, wait_until
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
        wait_until(lambda: site.count_stored() >= writer.written.total(), "all is stored")
    assert site.messages() == writer.written


def line(number: int) -> str:
    return f"Nov 24 15:41:22 mx1 postfix/smtpd[867]: NOQUEUE: reject: number {number}\n"


def append(path: Path, *numbers: int) -> None:
    with path.open("a") as file:
        file.writelines(map(line, numbers))


def numbers(site: Site) -> list[int]:
    return sorted(int(str(one["message"]).split()[-1]) for one in site.stored())


def holds(site: Site, *expected: int) -> None:
    wait_until(lambda: len(numbers(site)) >= len(expected), "what is new is stored")
    assert numbers(site) == sorted(expected)


def followed(site: Site) -> object:
    return status_of(site.state, PATIENCE)["counters"]["files_followed"]


def test_the_first_start_begins_at_the_end_and_later_ones_where_it_was(tmp_path: Path) -> None:
    log, between, later = (tmp_path / f"{name}.mail" for name in "abc")
    append(log, 1, 2)
    with log.open("a") as file:
        file.write(line(3)[:40])  # a line that is being written has no end yet, so it is new
    site = Site(tmp_path, f'snapshot_interval = 0.5\n[[inputs.file]]\npath = "{tmp_path}/*.mail"\n')
    positions = site.state / "positions"
    with Daemon(site.config):
        wait_until(
            lambda: positions.exists() and str(log) in positions.read_text(), "it is followed"
        )
        with log.open("a") as file:
            file.write(line(3)[40:])
        append(log, 4)
        holds(site, 3, 4)
    append(log, 5)
    # What was not there at the first start is new from its first line on.
    append(between, 6, 7)
    with Daemon(site.config):
        holds(site, 3, 4, 5, 6, 7)
        append(later, 8, 9)
        holds(site, 3, 4, 5, 6, 7, 8, 9)


def test_a_reload_adds_a_file_leaves_it_and_goes_on_where_it_was(tmp_path: Path) -> None:
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    append(first, 1)
    append(second, 11)
    one, other = (
        f'[[inputs.file]]\npath = "{path}"\nstart = "beginning"\n' for path in (first, second)
    )
    site = Site(tmp_path, one)
    bare = site.config.read_text().removesuffix(one)

    def reload(more: str) -> None:
        site.config.write_text(bare + more)
        answer = ask(site.state, "reload")
        assert not answer["refused"], answer

    with Daemon(site.config):
        holds(site, 1)
        reload(one + other)
        holds(site, 1, 11)
        append(first, 2)
        append(second, 12)
        holds(site, 1, 2, 11, 12)
        reload(other)
        wait_until(lambda: followed(site) == 1, "a look that was under way is over")
        append(first, 3)
        append(second, 13)
        holds(site, 1, 2, 11, 12, 13)
        reload(one + other)
        holds(site, 1, 2, 3, 11, 12, 13)
        wait_until(lambda: followed(site) == 2, "both are followed")
