"""The inputs that there are, those that a configuration asks for, and the way from these to those.

An input whose listener did not change goes on as if nothing had happened.  One at the same address
goes on with other settings and the socket that it has, if it is `Reloadable`.  New ones listen
before any old one is closed, also if both are at the same port.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from mailingest.config import Listener
from mailingest.errors import UsageError
from mailingest.inputs.protocol import Input
from mailingest.inputs.reloadable import Reloadable
from mailingest.syslog.sources import Source


@dataclass(frozen=True, slots=True)
class InputPlan:
    """An input as a configuration asks for it: two plans that are equal mean the same input."""

    kind: str
    listener: Listener
    source: Source
    build: Callable[[], Input] = field(compare=False)

    @property
    def place(self) -> tuple[str, object, object]:
        """What two inputs cannot have both; without an address, what it is and reads."""
        return (self.kind, getattr(self.listener, "host", None), self.port)

    @property
    def port(self) -> object:
        """The port, None for an input that does not listen."""
        return getattr(self.listener, "port", None)


@dataclass(slots=True, eq=False)
class _Running:
    """An input that is open, and the task that serves it, once it has one."""

    plan: InputPlan
    input: Input
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Change:
    """What `Listeners.change` does: all that can go wrong has been tried."""

    kept: list[_Running] = field(default_factory=list)
    adapted: list[tuple[_Running, InputPlan, Callable[[], None]]] = field(default_factory=list)
    added: list[_Running] = field(default_factory=list)
    removed: list[_Running] = field(default_factory=list)

    def give_up(self) -> None:
        """Close what was opened for it."""
        for one in self.added:
            one.input.close()


class Listeners:
    """The inputs of the service, which are served in the task group that `serve` is given."""

    def __init__(self, plans: Sequence[InputPlan]) -> None:
        self._running = [_Running(plan, plan.build()) for plan in plans]
        self._closing: list[_Running] = []
        self._ended: Counter[str] = Counter()
        self._counted: list[Mapping[str, int]] | None = None
        self._group: asyncio.TaskGroup | None = None

    @property
    def inputs(self) -> list[Input]:
        """Those that are there, also those that hand on the last of what they took."""
        return [one.input for one in (*self._running, *self._closing)]

    @property
    def places(self) -> list[str]:
        """Where they listen, each with what it is: udp, relp ..."""
        return [f"{one.plan.kind} {one.input.address}" for one in self._running]

    @property
    def transports(self) -> list[str]:
        """The same of those that have a port, each with what carries it: udp or tcp."""
        return [
            f"{'udp' if one.plan.kind == 'udp' else 'tcp'} {one.input.address}"
            for one in self._running
            if one.plan.port is not None
        ]

    def count(self, name: str) -> int:
        """The sum of a counter of all inputs, also of those that have ended."""
        counted = self._counted
        if counted is None:
            return self._ended[name] + sum(one.counters().get(name, 0) for one in self.inputs)
        return self._ended[name] + sum(counters.get(name, 0) for counters in counted)

    @contextmanager
    def counted_once(self) -> Iterator[None]:
        """Inputs are asked once for all that `count` is asked within: some ask the kernel."""
        self._counted = [one.counters() for one in self.inputs]
        try:
            yield
        finally:
            self._counted = None

    def open(self) -> None:
        """Listen; raises UsageError if an address cannot be had."""
        for one in self._running:
            one.input.open()

    def serve(self, group: asyncio.TaskGroup) -> None:
        """Have all of them served by tasks of a group."""
        self._group = group
        for one in self._running:
            self._begin(one)

    def close(self) -> None:
        """Take nothing that comes later."""
        for one in self._running:
            one.input.close()

    async def ended(self, seconds: float) -> None:
        """Wait until what was taken is handed on, or cancel the tasks after these seconds."""
        tasks = [one.task for one in (*self._running, *self._closing) if one.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()

    def prepare(self, plans: Sequence[InputPlan]) -> Change:
        """Open what is new; raises UsageError if that cannot be, and nothing has changed then."""
        change = Change()
        left = list(self._running)
        waiting = []
        for plan in plans:
            # The certificate of one with TLS may have been renewed, in the same file.
            has_tls = getattr(plan.listener, "tls", None) is not None
            same = next((one for one in left if one.plan == plan and not has_tls), None)
            if same is None:
                waiting.append(plan)
            else:
                left.remove(same)
                change.kept.append(same)
        try:
            for plan in waiting:
                self._prepare_one(plan, left, change)
            change.removed = left
            # Those that share a port come last: what the kernel gives them would be lost if another
            # one could not be opened.
            change.added.sort(key=lambda one: bool(_beside(one, left)))
            for one in change.added:
                _open(one, left)
        except UsageError:
            change.give_up()
            raise
        return change

    def change(self, change: Change) -> None:
        """Do what was prepared."""
        for running, plan, adapt in change.adapted:
            adapt()
            running.plan = plan
        self._running = [
            *change.kept,
            *(running for running, _, _ in change.adapted),
            *change.added,
        ]
        for one in change.added:
            self._begin(one, _read_before(one, change.removed))
        for one in change.removed:
            self._closing.append(one)
            one.input.close()

    @staticmethod
    def _prepare_one(plan: InputPlan, left: list[_Running], change: Change) -> None:
        new = plan.build()
        for one in left:
            if one.plan.place != plan.place or not isinstance(one.input, Reloadable):
                continue
            adapt = one.input.prepare(new)
            if adapt is not None:
                left.remove(one)
                change.adapted.append((one, plan, adapt))
                return
        change.added.append(_Running(plan, new))

    def _begin(self, one: _Running, after: Sequence[asyncio.Task[None]] = ()) -> None:
        if self._group is None:
            raise RuntimeError("serve() comes first")
        one.task = self._group.create_task(_serve(one.input, after))
        one.task.add_done_callback(lambda _: self._note_end(one))

    def _note_end(self, one: _Running) -> None:
        if one in self._closing:
            self._closing.remove(one)
            self._ended.update(one.input.counters())


async def _serve(served: Input, after: Sequence[asyncio.Task[None]]) -> None:
    if after:
        await asyncio.wait(after)
    await served.serve()


def _read_before(new: _Running, removed: Sequence[_Running]) -> list[asyncio.Task[None]]:
    """What must have ended before an input that reads, and does not listen, goes on with that."""
    return [
        one.task
        for one in removed
        if new.plan.port is None and one.plan.kind == new.plan.kind and one.task is not None
    ]


def _beside(new: _Running, removed: Sequence[_Running]) -> list[_Running]:
    """Those that are closed after the new one is opened, and may be in its way.

    127.0.0.1:5000 and 0.0.0.0:5000 cannot be had both, unless either asks for it.
    """
    port = new.plan.port
    return [one for one in removed if port not in (None, 0) and one.plan.port == port]


def _open(new: _Running, removed: Sequence[_Running]) -> None:
    for one in _beside(new, removed):
        for sharing in (one.input, new.input):
            if isinstance(sharing, Reloadable):
                sharing.share_address()
    new.input.open()
