"""Lines that a real shipper sends and repeats: rsyslog by RELP, or Elastic's client by Lumberjack.

A mail host writes its lines to a file, or to the socket of its rsyslog, and knows nothing else.
The shipper takes them from there to the daemon.  Both are killed and started again; whoever reads
a file has it still.

But rsyslog writes down how far it has read without asking what was acknowledged: when it ends in
order, and when a file has more than 512 bytes for the first time (docs/inputs.md).  What was not
acknowledged then is lost when it starts again.  No receiver can help that, so these two things
happen while the daemon answers.
"""

import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from benchmarks.fault_load import Sender
from tests.support.shippers import Lumberjack, Program, Rsyslog, documented_config

SHIPPED_MODES: Final = ("relp", "relp-socket", "lumberjack")
RESTARTED: Final = "shipper restarted"
_INPUTS: Final = {"relp": "relp", "relp-socket": "relp", "lumberjack": "lumberjack"}
_IMUXSOCK: Final = 'module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="{}"'


class Shipped(Sender):
    """A mail host with a shipper; ``shipper`` is its program.

    One that ``reads_ahead`` may write down a position before what lies before it is acknowledged.
    """

    def __init__(
        self, mode: str, host: str, port: int, seed: int, pause: float, directory: Path
    ) -> None:
        super().__init__(host, port, seed, pause)
        place = directory / host
        place.mkdir()
        self.file = place / "mail.log"
        self._writes_to = self._append
        self.reads_ahead = mode == "relp"
        if mode == "lumberjack":
            # Each host another of the client's ways.
            ways = (("-inflight", "3"), ("-compress", "3"), ("-inflight", "2", "-compress", "6"))
            options = Random(host).choice(ways)
            self.shipper: Program = Lumberjack(
                place, self.file, port, "-host", host, "-timeout", "5s", *options
            )
        elif mode == "relp":
            self.file.touch()
            values = {"2514": str(port), "/var/log/mail.log": str(self.file)}
            self.shipper = Rsyslog(place, documented_config("RELP from a file", values))
        else:
            self._socket = place / "socket"
            self._writes_to = self._log
            config = documented_config("RELP", {"2514": str(port)})
            listening = _IMUXSOCK.format(self._socket)
            self.shipper = Rsyslog(
                place, f'{listening} HostName="{host}" RateLimit.Interval="0")\n{config}'
            )

    def start(self) -> None:
        """Start the shipper, and begin to write."""
        self.shipper.start()
        super().start()

    def has_position(self) -> bool:
        """Whether rsyslog has written down how far it has read."""
        return any(self.file.parent.glob("imfile-state:*"))

    def written(self) -> Counter[str]:
        """How often each message is in the file."""
        lines = self.file.read_text().split("\n")[:-1]
        return Counter(line.partition("]: ")[2] for line in lines)

    def _line(self, lines: list[str], service: str, text: str) -> None:
        # As rsyslog writes files since Debian 12.
        stamp = datetime.now(UTC).isoformat(timespec="microseconds")
        lines.append(f"{stamp} {self.host} postfix/{service}[100]: {text}\n")

    def _hand_over(self, burst: bytes) -> None:
        self._writes_to(burst)

    def _append(self, burst: bytes) -> None:
        with self.file.open("ab") as file:
            file.write(burst)

    def _log(self, burst: bytes) -> None:
        """As the C library does; the socket makes its writer wait."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.connect(str(self._socket))
            for line in burst.splitlines():
                _, _, rest = line.partition(b" ")
                _, _, message = rest.partition(b" ")
                stamp = time.strftime("%b %e %H:%M:%S").encode()
                log.send(b"<22>%s %s" % (stamp, message))


def inputs_config(mode: str, port: int) -> str:
    """The input that a mode's shippers send to."""
    return f"tcp = []\n[[inputs.{_INPUTS[mode]}]]\nport = {port}\n"


def shipper_faults(
    mode: str,
    senders: list[Shipped],
    random: Random,
    note: Callable[[str], None],
    wait_until_stored: Callable[[Shipped], None],
) -> dict[str, partial[None]]:
    """What may happen to shippers that have their lines in a file.

    ``note`` is told to which one.  ``wait_until_stored`` returns when all is stored that is in the
    file of one.
    """
    if mode == "relp-socket":
        return {}
    ended = partial(_ended, senders, random, note, wait_until_stored)
    return {
        "shipper killed": partial(ended, is_killed=True),
        RESTARTED: partial(ended, is_killed=False),
    }


def _ended(
    senders: list[Shipped],
    random: Random,
    note: Callable[[str], None],
    wait_until_stored: Callable[[Shipped], None],
    *,
    is_killed: bool,
) -> None:
    sender = random.choice(senders)
    shipper = sender.shipper
    if is_killed:
        shipper.kill()
    else:
        if sender.reads_ahead:
            wait_until_stored(sender)
        shipper.stop()
    note(f"{sender.host}'s shipper has ended")
    time.sleep(random.uniform(0.0, 0.3))
    shipper.start()


@contextmanager
def ended_after(senders: list[Shipped]) -> Iterator[None]:
    """No shipper outlives the context."""
    try:
        yield
    finally:
        for sender in senders:
            sender.shipper.kill()
