"""Reloads of every kind while lines come in: none is lost, and a bad one changes nothing.

That is what docs/configuration.md says.
"""

import subprocess
import sys
from pathlib import Path

from mailingest.service.control import ask
from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import PATIENCE, wait_until
from tests.support.reloads import (
    KINDS,
    Kind,
    ReloadedSite,
    SteadySender,
    proves_nothing_lost,
    taken_port,
)


def mailingest_reload(config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mailingest", "reload", "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def test_no_line_is_lost_by_reloads_of_every_kind(tmp_path: Path) -> None:
    kinds = [kind for kind in KINDS if not kind.is_costly]
    site = ReloadedSite(tmp_path)
    with Daemon(site.config) as daemon:
        site.begin()
        with SteadySender(site.udp, site.tcp, a_second=200) as sender:
            assert [wrong for kind in kinds if (wrong := site.reload(kind))] == []
            with taken_port(site.further):
                assert not site.reload(
                    Kind(
                        "a port that is taken",
                        lambda site: site.set(
                            "inputs.tcp", f"port = {site.tcp}", f"port = {site.further}"
                        ),
                        f"tcp 127.0.0.1:{site.further}: address already in use",
                        refused=True,
                    )
                )
            site.set("log", 'level = "warning"')
            daemon.hang_up()
            # That of the reload before it may be heard only now.
            ends = len([*kinds, "a port that is taken", "by SIGHUP"])
            wait_until(
                lambda: daemon.notifications.count("READY=1") == ends, "systemd is told of its end"
            )
            assert ask(site.state, "reload")["changes"] == [], "SIGHUP has done it"
        proves_nothing_lost(site, sender)
    reloads = [one for one in daemon.notifications if one.startswith(("RELOADING=1", "READY=1"))]
    assert all(one.startswith("RELOADING=1\nMONOTONIC_USEC=") for one in reloads[::2])
    assert set(reloads[1::2]) == {"READY=1"}


def test_the_command_says_what_came_of_it(tmp_path: Path) -> None:
    site = ReloadedSite(tmp_path)
    done = mailingest_reload(site.config)
    assert done.returncode == 7
    assert str(site.state) in done.stderr
    with Daemon(site.config):
        done = mailingest_reload(site.config)
        assert (done.returncode, done.stdout) == (0, "nothing has changed\n")
        site.set("log", 'report_interval = "5min"')
        done = mailingest_reload(site.config)
        assert (done.returncode, done.stdout) == (0, "log.report_interval: 60.0 -> 300.0\n")
        site.set("log", 'level = "loud"')
        done = mailingest_reload(site.config)
        assert done.returncode == 2
        assert "log.level" in done.stderr
        assert "goes on with the configuration it had" in done.stderr
