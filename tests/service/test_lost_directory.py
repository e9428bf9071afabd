"""The state directory is taken away while the daemon runs: nothing is accepted into thin air."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import wait_until
from tests.support.site import Site, numbered, texts


def deleted(state: Path) -> None:
    # What the daemon makes meanwhile would be in the way of deleting it in place.
    shutil.rmtree(state.rename(state.with_name("deleted")))


def renamed(state: Path) -> None:
    state.rename(state.with_name("renamed"))


def only_the_files_of_the_spool(state: Path) -> None:
    for path in (state / "spool").iterdir():
        path.unlink()


@pytest.mark.parametrize("take_away", [deleted, renamed, only_the_files_of_the_spool])
def test_what_is_accepted_afterwards_survives_the_end_of_the_daemon(
    tmp_path: Path, take_away: Callable[[Path], None]
) -> None:
    site = Site(tmp_path)
    with Daemon(site.config) as daemon:
        site.hand_over(*numbered(0, 10))
        wait_until(lambda: site.count_stored() == 10, "the first lines are stored")
        take_away(site.state)
        site.hand_over(*numbered(10, 10))
        daemon.kill()
    log = daemon.log.read_text()
    with Daemon(site.config):
        wait_until(
            lambda: texts(numbered(10, 10)) <= site.messages(), "what was accepted is stored"
        )
    assert "the directory of the spool was deleted or renamed" in log
    assert "the directory of the spool is made anew" in log
    assert "Traceback" not in log


def test_without_a_place_for_another_one_senders_wait(tmp_path: Path) -> None:
    site = Site(tmp_path)
    blocked = "its directory cannot be made"
    with Daemon(site.config) as daemon:
        site.hand_over(*numbered(0, 1))
        wait_until(lambda: site.count_stored() == 1, "it is stored")
        kept = site.state.rename(tmp_path / "renamed")
        # Not even root can make a directory below a file.
        site.state.write_text(blocked)
        wait_until(lambda: "was deleted or renamed" in daemon.log.read_text(), "it is told")
        site.send_tcp(*numbered(1, 1))
        site.state.unlink()
        kept.rename(site.state)
        wait_until(lambda: site.count_stored() == 2, "what waited is stored")
    assert site.messages() == texts(numbered(0, 2))
    assert "Traceback" not in daemon.log.read_text()
