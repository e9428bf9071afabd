"""A long run under a real systemd: senders that know nothing, reloads, restarts, rotations.

    python -m benchmarks.soak --minutes 30

The unit runs with its socket, as it is shipped.  Lines come in by UDP, TCP, RELP, Lumberjack, a
followed file and the journal, each with a number of its own; meanwhile the service is reloaded
(sometimes with a configuration that is wrong), restarted and killed, the file rotated, journald
restarted.  In the end the store is read, and what was sent and is not there, or is there twice, is
counted for each way.  The memory of the service is sampled all the time.
"""

import argparse
import json
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from tests.support.installed_units import installed, make_users_and_directories
from tests.support.lab.polling import wait_until
from tests.support.shippers import Lumberjack, Program, Rsyslog, documented_config
from tests.support.sqlite import StoredDocuments
from tests.support.systemd_host import SystemdHost

_PLACE: Final = Path("/var/lib/soak")
_STATE: Final = Path("/var/lib/mailingest")
_CONFIG: Final = Path("/etc/mailingest/mailingest.toml")
_MESSAGE: Final = re.compile(r"NOQUEUE: soak: ([\w-]+) number (\d+)")
_IMUXSOCK: Final = 'module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="{}"'
_NATIVE: Final = "/run/systemd/journal/socket"
_SETTINGS: Final = """\
[[inputs.udp]]
port = 5000
[[inputs.tcp]]
port = 5000
[[inputs.relp]]
port = 2514
[[inputs.lumberjack]]
port = 5044
[[inputs.file]]
path = "/var/lib/soak/file/mail.log"
start = "beginning"
[inputs.journald]
enabled = true
[state]
snapshot_interval = 10
[log]
level = "{level}"
report_interval = {interval}
"""
_WRONG: Final = ("[batch]\nmax_age = 0\n", "nonsense", '[grok]\npatterns_dirs = ["/nowhere"]\n')
# The first minutes fill tables, caches and the allocator's arenas.
_WARM: Final = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=15.0, help="lines a second of each way")
    parser.add_argument("--kills", action="store_true", help="kill the service as well")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        Soak(arguments.seed, arguments.rate, kills=arguments.kills).run(arguments.minutes * 60)
        return
    directory = Path(mkdtemp(prefix="soak-"))
    units = installed(directory)
    _let_read(units / "mailingest.service")
    with SystemdHost(units, directory / "console.log") as host:
        make_users_and_directories(host)
        for command in (
            [
                "sh",
                "-c",
                "mkdir -p /etc/systemd; printf '[Journal]\\nRateLimitIntervalSec=0\\n"
                "Storage=volatile\\n' > /etc/systemd/journald.conf",
            ],
            # What systemd-tmpfiles-setup.service does at the start of a machine.
            ["mkdir", "-p", "/run/log/journal"],
            ["systemd-tmpfiles", "--create", "--prefix=/run/log/journal"],
            ["systemctl", "start", "systemd-journald.socket", "systemd-journald.service"],
        ):
            done = host.run(*command)
            if done.returncode:
                raise RuntimeError(f"{command}: {done.stderr}{host.log()}")
        enter = ["nsenter", "-t", str(host._init()), "-m", "-p", "-u", "-i", "-n", "-C"]
        command = [*enter, sys.executable, "-m", "benchmarks.soak", "--inside", *sys.argv[1:]]
        code = subprocess.run(command, check=False).returncode
    shutil.rmtree(directory, ignore_errors=True)
    sys.exit(code)


def _let_read(unit: Path) -> None:
    text = unit.read_text()
    text = text.replace("[Service]", "[Service]\nSupplementaryGroups=systemd-journal", 1)
    unit.write_text(text.replace("ProcSubset=pid", "ProcSubset=all"))


class Way:
    """Lines with numbers, which ``hand_over`` gives to the service; it may wait."""

    def __init__(self, name: str, hand_over: Callable[[Sequence[str]], None]) -> None:
        self.name = name
        self.sent = 0
        self._hand_over = hand_over

    def send(self, count: int) -> None:
        texts = [
            f"NOQUEUE: soak: {self.name} number {number}"
            for number in range(self.sent, self.sent + count)
        ]
        self._hand_over(texts)
        self.sent += count


class Soak:
    """The run, in the namespaces of the booted systemd."""

    def __init__(self, seed: int, rate: float, *, kills: bool) -> None:
        self._random = random.Random(seed)
        self._rate = rate
        self._kills = kills
        self._stop = threading.Event()
        self._done: Counter[str] = Counter()
        self._memory: list[tuple[float, int]] = []
        self._failures: list[str] = []
        self._file_lock = threading.Lock()
        (_PLACE / "file").mkdir(parents=True)
        self._log = _PLACE / "file" / "mail.log"
        self._reopen()
        self._shippers: list[Program] = []
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def run(self, seconds: float) -> None:
        self._configure("info", 60)
        _systemctl("start", "mailingest.socket", "mailingest.service")
        ways = self._ways()
        threads = [threading.Thread(target=self._send, args=(way,)) for way in ways]
        threads.append(threading.Thread(target=self._watch))
        for thread in threads:
            thread.start()
        begin = time.monotonic()
        while (left := begin + seconds - time.monotonic()) > 0:
            time.sleep(min(left, self._random.uniform(5.0, 25.0)))
            self._happen()
            if self._random.random() < 0.15:
                self._print_memory()
        self._stop.set()
        for thread in threads:
            thread.join()
        self._finish(ways)

    # What sends

    def _ways(self) -> list[Way]:
        return [
            Way("udp", self._datagrams),
            Way("tcp", self._connection),
            Way("tcp-rsyslog", self._by_rsyslog("TCP", "5000")),
            Way("relp", self._by_rsyslog("RELP", "2514")),
            Way("lumberjack", self._by_lumberjack()),
            Way("file", self._append),
            Way("journal", self._to_journal),
        ]

    def _send(self, way: Way) -> None:
        chance = random.Random(way.name)
        while not self._stop.is_set():
            try:
                if chance.random() < 0.01:
                    way.send(chance.randint(500, 2000))
                    self._done["bursts"] += 1
                else:
                    way.send(chance.randint(1, 10))
            except OSError as error:
                self._failures.append(f"{way.name}: {error!r}")
            self._stop.wait(chance.expovariate(self._rate / 5.5))

    def _datagrams(self, texts: Sequence[str]) -> None:
        for place, text in enumerate(texts):
            self._udp.sendto(f"<22>{_line(text)}".encode(), ("127.0.0.1", 5000))
            if place % 50 == 49:
                time.sleep(0.002)

    def _connection(self, texts: Sequence[str]) -> None:
        """Until the service ends the connection in order: so it says that it has all."""
        lines = "".join(f"<22>{_line(text)}\n" for text in texts).encode()
        while True:
            try:
                with socket.create_connection(("127.0.0.1", 5000), timeout=60) as connection:
                    connection.sendall(lines)
                    connection.shutdown(socket.SHUT_WR)
                    if connection.recv(1) == b"":
                        return
            except OSError:
                self._done["tcp repeated"] += 1
            time.sleep(0.2)

    def _by_rsyslog(self, title: str, port: str) -> Callable[[Sequence[str]], None]:
        place = _PLACE / title.lower()
        path = place / "socket"
        listening = _IMUXSOCK.format(path)
        config = documented_config(title, {port: port})
        shipper = Rsyslog(place, f'{listening} HostName="mx1" RateLimit.Interval="0")\n{config}')
        shipper.start()
        self._shippers.append(shipper)

        def hand_over(texts: Sequence[str]) -> None:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
                log.connect(str(path))
                for text in texts:
                    stamp = time.strftime("%b %e %H:%M:%S")
                    log.send(f"<22>{stamp} postfix/smtpd[100]: {text}".encode())

        return hand_over

    def _by_lumberjack(self) -> Callable[[Sequence[str]], None]:
        place = _PLACE / "lumberjack"
        place.mkdir()
        file = place / "mail.log"
        shipper = Lumberjack(
            place, file, 5044, "-host", "mx1", "-timeout", "10s", "-inflight", "2", "-compress", "3"
        )
        shipper.start()
        self._shippers.append(shipper)

        def hand_over(texts: Sequence[str]) -> None:
            with file.open("ab") as log:
                log.write("".join(f"{_line(text)}\n" for text in texts).encode())

        return hand_over

    def _append(self, texts: Sequence[str]) -> None:
        with self._file_lock:
            self._writer.write("".join(f"{_line(text)}\n" for text in texts).encode())

    def _reopen(self) -> None:
        self._writer = self._log.open("ab", buffering=0)

    def _to_journal(self, texts: Sequence[str]) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
            for text in texts:
                fields = (
                    f"MESSAGE={text}\nPRIORITY=6\nSYSLOG_FACILITY=2\n"
                    "SYSLOG_IDENTIFIER=postfix/smtpd\nSYSLOG_PID=100\n"
                )
                journal.sendto(fields.encode(), _NATIVE)

    # What happens

    def _happen(self) -> None:
        events: list[tuple[str, Callable[[], None]]] = [
            ("reloads", self._reload),
            ("reloads", self._reload),
            ("wrong reloads", self._reload_wrongly),
            ("restarts", lambda: _systemctl("restart", "mailingest.service")),
            ("rotations", self._rotate),
            ("rotations by copy", self._rotate_by_copy),
            ("restarts of journald", lambda: _systemctl("restart", "systemd-journald.service")),
        ]
        if self._kills:
            events.append(("kills", self._kill))
        name, event = self._random.choice(events)
        try:
            event()
            self._done[name] += 1
        except (subprocess.SubprocessError, OSError) as error:
            self._failures.append(f"{name}: {error!r}")

    def _configure(self, level: str, interval: int) -> None:
        _CONFIG.parent.mkdir(exist_ok=True)
        _CONFIG.write_text(_SETTINGS.format(level=level, interval=interval))

    def _reload(self) -> None:
        self._configure(self._random.choice(["info", "warning"]), self._random.randint(20, 90))
        _systemctl("reload", "mailingest.service")

    def _reload_wrongly(self) -> None:
        right = _CONFIG.read_text()
        _CONFIG.write_text(right + self._random.choice(_WRONG))
        done = subprocess.run(
            ["systemctl", "reload", "mailingest.service"], capture_output=True, check=False
        )
        _CONFIG.write_text(right)
        if done.returncode == 0:
            self._failures.append("a wrong configuration was not refused")

    def _rotate(self) -> None:
        """By renaming; the writer learns of it a moment later."""
        self._logrotate("create 0644\n  compress\n  delaycompress")
        time.sleep(self._random.uniform(0.0, 1.0))
        with self._file_lock:
            self._writer.close()
            self._reopen()

    def _rotate_by_copy(self) -> None:
        with self._file_lock:  # what comes between copy and truncation is lost by logrotate
            self._logrotate("copytruncate\n  compress\n  delaycompress")

    def _logrotate(self, how: str) -> None:
        rules = _PLACE / "logrotate.conf"
        rules.write_text(f"{self._log} {{\n  rotate 500\n  size 1\n  {how}\n}}\n")
        rules.chmod(0o644)
        state = str(_PLACE / "rotated")
        subprocess.run(["logrotate", "--force", "--state", state, str(rules)], check=True)

    def _kill(self) -> None:
        _systemctl("kill", "--signal=KILL", "mailingest.service")
        wait_until(lambda: _main_pid() > 0 and _is_active(), "it is up again")

    # What is seen

    def _watch(self) -> None:
        begin = time.monotonic()
        while not self._stop.wait(5.0):
            if (resident := _resident(_main_pid())) is not None:
                self._memory.append((time.monotonic() - begin, resident))

    def _print_memory(self) -> None:
        if self._memory:
            at, resident = self._memory[-1]
            print(f"{at:6.0f} s  {resident / 1024:7.1f} MiB  {dict(self._done)}", flush=True)

    def _finish(self, ways: list[Way]) -> None:
        wait_until(lambda: self._is_stored(ways), "all is stored, or nothing more comes")
        counters = _status()
        for shipper in self._shippers:
            shipper.stop()
        _systemctl("stop", "mailingest.service")
        found: dict[str, Counter[int]] = {way.name: Counter() for way in ways}
        for name, number in _stored():
            found[name][number] += 1
        print(json.dumps(dict(self._done)))
        for way in ways:
            numbers = found[way.name]
            missing = way.sent - len(numbers)
            twice = sum(count - 1 for count in numbers.values())
            print(f"{way.name:12} sent {way.sent:8} missing {missing:6} twice {twice}")
            if missing:
                absent = [n for n in range(way.sent) if n not in numbers]
                print("   ", absent[:5], "...", absent[-5:])
        keys = ("datagrams_dropped", "datagrams_dropped_by_kernel", "datagrams_over_limit")
        print(
            "counted losses of UDP since the last restart:",
            {key: counters.get(key) for key in keys},
        )
        print(f"memory: {_slope(self._memory)}")
        for failure in self._failures[:20]:
            print("failure:", failure)

    def _is_stored(self, ways: list[Way]) -> bool:
        """Whether the number of stored lines stays the same, with nothing waiting."""
        before = sum(1 for _ in _stored())
        time.sleep(10)
        return sum(1 for _ in _stored()) == before and not _status().get("spool_frames")


def _line(text: str) -> str:
    return f"{time.strftime('%b %e %H:%M:%S')} mx1 postfix/smtpd[100]: {text}"


def _stored() -> Iterator[tuple[str, int]]:
    for document in StoredDocuments(_STATE / "mail", "mail").find(limit=10**9):
        if (found := _MESSAGE.search(document["message"])) is not None:
            yield found[1], int(found[2])


def _systemctl(*arguments: str) -> None:
    subprocess.run(["systemctl", *arguments], check=True, capture_output=True)


def _show(name: str) -> str:
    command = ["systemctl", "show", "--value", "-p", name, "mailingest.service"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _main_pid() -> int:
    return int(_show("MainPID") or 0)


def _is_active() -> bool:
    return _show("ActiveState") == "active"


def _resident(pid: int) -> int | None:
    """KiB in memory."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    return int(found[1]) if found else None


def _status() -> dict[str, int]:
    state = json.loads((_STATE / "spool" / "state").read_bytes())
    counters: dict[str, int] = state.get("counters", {})
    return counters


def _slope(samples: list[tuple[float, int]]) -> str:
    if len(samples) < 10:
        return "too few samples"
    warm = samples[int(len(samples) * _WARM) :]
    slope, _ = statistics.linear_regression([at for at, _ in warm], [kib for _, kib in warm])
    sizes = [kib / 1024 for _, kib in samples]
    return (
        f"first {sizes[0]:.1f}, last {sizes[-1]:.1f}, most {max(sizes):.1f} MiB; after the first "
        f"fifth {slope * 3600 / 1024:+.1f} MiB an hour"
    )


if __name__ == "__main__":
    os.chdir(Path(__file__).parents[1])
    main()
