"""A plain listener that keeps what a syslog sender sends: UDP datagrams and TCP bytes."""

import selectors
import socket
import threading
from types import TracebackType
from typing import Self

from tests.support.lab.polling import PATIENCE

_LARGEST_DATAGRAM = 65535
_SO_RCVBUFFORCE = 33  # socket(7); Python has no name for it


class Collector:
    """Listens on UDP and TCP, on ports of 127.0.0.1 that the system chooses."""

    def __init__(self) -> None:
        self.datagrams: list[bytes] = []
        self.stream = b""
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # As root: the kernel must not drop what comes while this thread has to wait for a core.
        self._udp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 24)
        self._udp.bind(("127.0.0.1", 0))
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self.udp_port: int = self._udp.getsockname()[1]
        self.tcp_port: int = self._tcp.getsockname()[1]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._collect, name="collector")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def _collect(self) -> None:
        with selectors.DefaultSelector() as selector:
            connections = []
            selector.register(self._udp, selectors.EVENT_READ)
            selector.register(self._tcp, selectors.EVENT_READ)
            while not self._stop.is_set():
                for key, _ in selector.select(timeout=0.05):
                    if key.fileobj is self._udp:
                        self.datagrams.append(self._udp.recv(_LARGEST_DATAGRAM))
                    elif key.fileobj is self._tcp:
                        connections.append(self._tcp.accept()[0])
                        selector.register(connections[-1], selectors.EVENT_READ)
                    else:
                        assert isinstance(key.fileobj, socket.socket)
                        chunk = key.fileobj.recv(_LARGEST_DATAGRAM)
                        self.stream += chunk
                        if not chunk:
                            selector.unregister(key.fileobj)
            for each in (self._udp, self._tcp, *connections):
                each.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
