"""The servers of a test run: each is started once, one after another, while the first tests run."""

from collections import deque
from collections.abc import Callable
from contextlib import ExitStack

from tests.support.lab.polling import wait_until
from tests.support.servers import Kind, SearchServer
from tests.support.servers.process import ServerProblem


class Servers:
    """Starts the servers that are wanted; they end with the ``stack``.

    No thread does it: tests change what belongs to the whole process for a moment (its user, its
    limits, its environment), and a server that is started in that moment would have its share.
    Between tests somebody has to call `go_on`.
    """

    def __init__(self, stack: ExitStack, make: Callable[[Kind], SearchServer]) -> None:
        self._stack = stack
        self._make = make
        self._wanted: deque[Kind] = deque()
        self._starting: SearchServer | None = None
        self._ready: dict[Kind, SearchServer] = {}
        self._problems: dict[Kind, ServerProblem] = {}

    def want(self, kind: Kind) -> None:
        """Have a server of this kind started in its turn."""
        is_starting = self._starting is not None and self._starting.kind == kind
        if not is_starting and kind not in {*self._wanted, *self._ready, *self._problems}:
            self._wanted.append(kind)

    def get(self, kind: Kind) -> SearchServer:
        """The server of this kind, when it answers; raises ServerProblem if it does not start."""
        self.want(kind)
        if kind in self._wanted:
            self._wanted.remove(kind)
            self._wanted.appendleft(kind)

        def is_decided() -> bool:
            self.go_on()
            return kind in self._ready or kind in self._problems

        try:
            wait_until(is_decided, f"{kind} answers")
        except TimeoutError:
            assert self._starting is not None
            raise self._starting.no_answer() from None
        if kind in self._problems:
            raise self._problems[kind]
        return self._ready[kind]

    def go_on(self) -> None:
        """See whether the one that is being started answers; then begin with the next one."""
        if self._starting is not None:
            server = self._starting
            try:
                if not server.is_ready():
                    return
                self._ready[server.kind] = server
            except ServerProblem as problem:
                self._problems[server.kind] = problem
            self._starting = None
        if self._wanted:
            kind = self._wanted.popleft()
            server = self._make(kind)
            self._stack.callback(server.close)
            try:
                server.begin()
                self._starting = server
            except ServerProblem as problem:
                self._problems[kind] = problem
