"""A daemon whose configuration changes under a sender that knows nothing of it."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mailingest.service.control import ask
from tests.support.lab.polling import wait_until
from tests.support.ports import free_port
from tests.support.sqlite import StoredDocuments

SENDER = "ann@example.com"
_QUEUE_ID = "4cKNgh5Qj6z9vNW"
# It is known from before the first reload on, and never sent again.
BEGINNING = (
    f"Nov 24 15:41:22 mx1 postfix/qmgr[550]: {_QUEUE_ID}: from=<{SENDER}>, size=389, nrcpt=9"
    " (queue active)"
)
_TYPES = ("mail", "mbox")
_STORES = ("mail", "other")


def delivery(number: int, way: str) -> str:
    """One of many delivery lines of the mail, no two of which are the same."""
    return (
        f"Nov 24 15:41:23 mx1 postfix/smtp[914]: {_QUEUE_ID}: to=<{way}{number}@example.net>,"
        " relay=mx.example.net[198.51.100.9]:25, delay=0.18, delays=0.12/0/0.02/0.04, dsn=2.0.0,"
        " status=sent (250 2.0.0 Ok)"
    )


class SteadySender:
    """Sends numbered lines by UDP, and by one TCP connection, until the context ends."""

    def __init__(self, udp: int, tcp: int, *, a_second: int) -> None:
        self.sent: Counter[str] = Counter()
        self._pause = 1 / a_second
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.connect(("127.0.0.1", udp))
        self._connection = socket.create_connection(("127.0.0.1", tcp))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self._failure: Exception | None = None

    def __enter__(self) -> "SteadySender":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._datagrams.close()
        self._connection.close()
        if self._failure is not None:
            raise self._failure

    def _send(self) -> None:
        number, due = 0, time.monotonic()
        try:
            while not self._stop.is_set():
                due += self._pause
                number += 1
                by_udp, by_tcp = delivery(number, "udp"), delivery(number, "tcp")
                self._datagrams.send(f"<22>{by_udp}".encode())
                self._connection.sendall(f"<22>{by_tcp}\n".encode())
                self.sent.update((by_udp, by_tcp))
                time.sleep(max(0.0, due - time.monotonic()))
        except OSError as error:
            self._failure = error


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of reload: what it does to the configuration, and what is to come of it.

    ``says`` is part of what has changed, or of the reason why it was ``refused``.
    """

    name: str
    change: Callable[["ReloadedSite"], None]
    says: str
    refused: bool = False
    is_costly: bool = False
    """It takes seconds of CPU: patterns are compiled, and tried with ReDoS payloads."""


class ReloadedSite:
    """The configuration, as parts that a reload may change, and what was stored by all of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.config = directory / "mailingest.toml"
        self.patterns = directory / "patterns"
        self.patterns.mkdir()
        self.pattern = self.patterns / "own.grok"
        self.udp, self.tcp, self.further = free_port(), free_port(), free_port()
        self.parts = {
            "inputs.udp": [f'port = {self.udp}\nhost = "127.0.0.1"'],
            "inputs.tcp": [f"port = {self.tcp}"],
            "state": [f'directory = "{self.state}"'],
        }
        self.write()

    def write(self, more: str = "") -> None:
        """Write the configuration of now."""
        text = "".join(
            f"[[{name}]]\n{table}\n" if name.startswith("inputs.") else f"[{name}]\n{table}\n"
            for name, tables in self.parts.items()
            for table in tables
        )
        self.config.write_text(text + more)

    def set(self, section: str, *tables: str) -> None:
        """Give a section other tables, or take it out."""
        self.parts.pop(section, None)
        if tables:
            self.parts[section] = list(tables)
        self.write()

    def begin(self) -> None:
        """Send what is known of the queue ID, and wait until it is stored."""
        with socket.create_connection(("127.0.0.1", self.tcp)) as connection:
            connection.sendall(f"<22>{BEGINNING}\n".encode())
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
        wait_until(self.stored, "the beginning is stored")

    def reload(self, kind: Kind, *, in_any_order: bool = False) -> str:
        """Have the daemon reload; what is wrong with what came of it, or nothing.

        In another order than that of `KINDS`, what has changed may be something else.
        """
        before = {name: list(tables) for name, tables in self.parts.items()}
        pattern = self.pattern.read_text() if self.pattern.exists() else ""
        kind.change(self)
        answer = ask(self.state, "reload")
        if kind.refused:
            self.parts = before
            self.write()
            self.pattern.write_text(pattern)
            if in_any_order:
                return "" if answer["refused"] else f"{kind.name}: {answer}"
            return "" if kind.says in (answer["refused"] or "") else f"{kind.name}: {answer}"
        if in_any_order:
            return f"{kind.name}: {answer}" if answer["refused"] else ""
        is_right = any(kind.says in line for line in answer["changes"])
        return "" if is_right else f"{kind.name}: {answer}"

    def stored(self) -> list[dict[str, object]]:
        """The documents of all stores and types."""
        return [
            document
            for store in _STORES
            for name in _TYPES
            for document in StoredDocuments(self.state / store, name).find(limit=1_000_000)
        ]


def proves_nothing_lost(site: ReloadedSite, sender: SteadySender) -> None:
    """Each line is stored once, with what its queue ID is known for."""
    expected = Counter({line.partition("]: ")[2]: n for line, n in sender.sent.items()})

    def deliveries() -> list[dict[str, object]]:
        return [one for one in site.stored() if "to=<" in str(one["message"])]

    wait_until(lambda: len(deliveries()) >= expected.total(), "all is stored")
    found = deliveries()
    counted = Counter(str(one["message"]) for one in found)
    assert counted - expected == Counter(), "stored once too often"
    assert expected - counted == Counter(), "lost"
    strangers = [one["message"] for one in found if one.get("postfix_from") != SENDER]
    assert strangers == [], "without what was known before"


@contextmanager
def taken_port(port: int) -> Iterator[None]:
    """Another process listens there."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        yield


def _own_pattern(text: str) -> Callable[[ReloadedSite], None]:
    def change(site: ReloadedSite) -> None:
        site.pattern.write_text(text)
        site.set(
            "grok",
            f'patterns_dirs = ["{site.patterns}"]\nprograms = {{ mine = "MINE" }}\n'
            'fields = { own = "keyword" }',
        )

    return change


def _setting(section: str, *tables: str) -> Callable[[ReloadedSite], None]:
    return lambda site: site.set(section, *tables)


def _udp(*more: str) -> Callable[[ReloadedSite], None]:
    """The UDP listener that is sent to, with other settings."""

    def change(site: ReloadedSite) -> None:
        host = "" if any("host" in line for line in more) else '\nhost = "127.0.0.1"'
        site.set("inputs.udp", "\n".join((f"port = {site.udp}{host}", *more)))

    return change


def _tcp(*more: str) -> Callable[[ReloadedSite], None]:
    return lambda site: site.set("inputs.tcp", "\n".join((f"port = {site.tcp}", *more)))


def _further_listener(site: ReloadedSite) -> None:
    site.set("inputs.tcp", f"port = {site.tcp}", f"port = {site.further}")


def _toml(text: str) -> Callable[[ReloadedSite], None]:
    return lambda site: site.write(text)


KINDS: Sequence[Kind] = (
    Kind("log level", _setting("log", 'level = "debug"'), "log.level: info -> debug"),
    Kind("log format", _setting("log", 'format = "json"'), "log.format"),
    Kind("not TOML", _toml("[batch\n"), "TOML", refused=True),
    Kind("an own pattern", _own_pattern("MINE %{WORD:own}\n"), "grok.programs"),
    Kind("another one", _own_pattern("MINE x%{WORD:own}\n"), "patterns: ", is_costly=True),
    Kind("no such pattern", _own_pattern("MINE %{NOWHERE}\n"), "NOWHERE", refused=True),
    Kind("slow", _own_pattern("MINE (a+)+b\n"), "repetitions", refused=True, is_costly=True),
    Kind("no own pattern", _setting("grok"), "grok.programs"),
    Kind("zone", _setting("syslog", 'timezone = "Asia/Tokyo"'), "syslog.timezone"),
    Kind("usual zone", _setting("syslog"), "syslog.timezone"),
    Kind("charset", _setting("syslog", 'charset = "iso-8859-15"'), "syslog.charset"),
    Kind("batches", _setting("batch", "max_documents = 7\ncapacity = 1000"), "batch.max_documents"),
    Kind("queue IDs", _setting("correlation", "max_queue_ids = 1000"), "correlation.max_queue_ids"),
    Kind("spool", _setting("spool", 'max_bytes = "32M"\nsync = "always"'), "spool.max_bytes"),
    Kind("type", _udp('type = "mbox"'), "inputs.udp.0.type"),
    Kind("allowed", _udp('allow = ["127.0.0.0/8"]'), "inputs.udp.0.allow"),
    Kind("everywhere", _udp('host = "0.0.0.0"'), "inputs.udp.0.host"),
    Kind("here", _udp(), "inputs.udp.0.host"),
    Kind("buffer", _udp('receive_buffer = "2M"'), "inputs.udp.0.receive_buffer"),
    Kind("connections", _tcp("max_connections = 5"), "inputs.tcp.0.max_connections"),
    Kind("type of connections", _tcp('type = "mbox"'), "inputs.tcp.0.type"),
    Kind("a further listener", _further_listener, "inputs.tcp.1: new"),
    Kind("it is gone", _tcp(), "inputs.tcp.1: gone"),
    Kind(
        "another store",
        lambda site: site.set("sqlite", f'directory = "{site.state}/other"'),
        "sqlite.directory",
    ),
    Kind("no store", _setting("ndjson", 'path = "/dev/null/x"'), "one store", refused=True),
    Kind("the store before", _setting("sqlite"), "sqlite.directory"),
    Kind("unwritable", _setting("sqlite", 'directory = "/dev/null/x"'), "/dev/null", refused=True),
    Kind("state", _setting("state", 'directory = "/tmp"'), "state.directory", refused=True),
    Kind("retention", _setting("retention", 'days = "400d"'), "retention.days"),
)
