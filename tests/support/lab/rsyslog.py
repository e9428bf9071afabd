"""A real rsyslogd on the private /dev/log, forwarding as its users configure it."""

from collections.abc import Iterable
from pathlib import Path

from tests.support.lab.namespace import Namespace
from tests.support.lab.polling import PATIENCE, wait_until

# The forwarding lines are those of the rsyslog manual, with the default forward format.
_CONFIG = """\
global(workDirectory="{directory}")
module(load="imuxsock" SysSock.Name="/dev/log" SysSock.RateLimit.Interval="0")
mail.* action(type="omfile" file="{traditional}" template="RSYSLOG_TraditionalFileFormat")
mail.* action(type="omfile" file="{iso}" template="RSYSLOG_FileFormat")
syslog.* action(type="omfile" file="{directory}/rsyslog.log")
"""


class Rsyslog:
    """One rsyslogd: writes two files and forwards to the ports; ``directory`` must be new."""

    def __init__(
        self,
        namespace: Namespace,
        directory: Path,
        udp_ports: Iterable[int],
        tcp_ports: Iterable[int],
    ) -> None:
        directory.mkdir()
        self.traditional_log = directory / "traditional.log"
        self.iso_log = directory / "iso.log"
        self._namespace = namespace
        self._pid_file = directory / "rsyslogd.pid"
        config = directory / "rsyslog.conf"
        forwards = [f"mail.* @127.0.0.1:{port}" for port in udp_ports]
        forwards += [f"mail.* @@127.0.0.1:{port}" for port in tcp_ports]
        files = {"traditional": self.traditional_log, "iso": self.iso_log}
        config.write_text(_CONFIG.format(directory=directory, **files) + "\n".join(forwards) + "\n")
        command = ["rsyslogd", "-n", "-f", str(config), "-i", str(self._pid_file)]
        self._process = namespace.start(command)
        log = namespace.path("/dev/log")
        wait_until(lambda: self._pid_file.exists() and log.exists(), "rsyslogd opens /dev/log")

    def close(self) -> None:
        """Stop rsyslogd; what it has in hand is written and sent first."""
        self._namespace.run(["kill", self._pid_file.read_text().strip()])
        self._process.wait(PATIENCE)
