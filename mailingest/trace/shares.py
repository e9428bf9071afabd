"""The lines of a mail under one queue ID -> those that are common, and those of each recipient.

Pure.  A mail may have thousands of recipients; what is told of one does not grow with the others.
A line is of recipients that it names, also by an address in its text.  A delivery agent's line that
names none (``lost connection with ...``) is of those whom its process was trying then.  All others
are common, also those that name nobody whom the other lines know.
"""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from mailingest.postfix.lifecycle import step_of
from mailingest.postfix.names import DELAYS, ORIGINAL_RECIPIENT, OUTCOME, RECIPIENT
from mailingest.stores.events import StoredEvent, time_of
from mailingest.trace.lines import Session, is_whole_mail_refused, service_of, session_of

Address = tuple[str, str]
"""A recipient and the one it was made from, which may be "", in lower case."""

# Time stamps may have whole seconds only.
_WITHIN: Final = timedelta(seconds=1)
_BRACKETED: Final = re.compile(r"<([^<>\s]+)>")
# The parts of a delay in which the delivery agent works.
_WORK: Final = tuple(DELAYS[part] for part in ("conn_setup", "transmission"))


class QueueLines:
    """Who each of the lines is about.

    ``tried`` are the addresses of the delivery lines, by the id of the line.
    """

    def __init__(self, events: Sequence[StoredEvent], tried: Mapping[int, Address]) -> None:
        self._events = events
        # Places of lines.
        self._common: list[int] = []
        self._of_address: dict[Address, list[int]] = defaultdict(list)
        self._of_name: dict[str, list[int]] = defaultdict(list)
        self._addresses: dict[str, list[Address]] = defaultdict(list)
        for address in dict.fromkeys(tried.values()):
            for name in {*address} - {""}:
                self._addresses[name].append(address)
        names = {*self._addresses, *_refused(events)}
        agents = _agents(events, tried)
        for place, event in enumerate(events):
            if id(event) in tried:
                self._of_address[tried[id(event)]].append(place)
            else:
                self._place(place, event, names, agents)

    def _place(
        self, place: int, event: StoredEvent, names: set[str], agents: Mapping[Session, "_Agent"]
    ) -> None:
        if _is_about_all(event):
            self._common.append(place)
            return
        agent = agents.get(session_of(event))
        found = _names_in(event, names, is_of_agent=agent is not None)
        for name in found:
            self._of_name[name].append(place)
        if found:
            return
        during = agent.at(time_of(event)) if agent is not None else []
        for address in during:
            self._of_address[address].append(place)
        if not during:
            self._common.append(place)

    def of(self, tried: Sequence[Address], names: Sequence[str]) -> Iterator[StoredEvent]:
        """The common lines, and those of a recipient that was ``tried``, or has these names."""
        places = set(self._common)
        addresses = tried or [one for name in names for one in self._addresses.get(name, ())]
        for address in addresses:
            places.update(self._of_address.get(address, ()))
        for name in (*names, *(name for address in tried for name in address)):
            places.update(self._of_name.get(name, ()))
        return (self._events[place] for place in sorted(places))


def _refused(events: Sequence[StoredEvent]) -> Iterator[str]:
    """Recipients that were refused: these have answers of their own."""
    for event in events:
        is_refused = RECIPIENT in event and event.get(OUTCOME) == "rejected"
        if is_refused and not _is_about_all(event):
            yield str(event[RECIPIENT]).lower()


def _is_about_all(event: StoredEvent) -> bool:
    """Whether a line, which is no delivery, is about the mail whatever recipient it names."""
    return step_of(service_of(event), event) is not None or is_whole_mail_refused(event)


def _names_in(event: StoredEvent, names: set[str], *, is_of_agent: bool) -> set[str]:
    """Those of the names that a line has; the text of other programs is about what not."""
    fields = (event.get(RECIPIENT), event.get(ORIGINAL_RECIPIENT))
    found = {str(name).lower() for name in fields if name} & names
    if found or not is_of_agent:
        return found
    return set(_BRACKETED.findall(str(event.get("message", "")).lower())) & names


def _agents(events: Sequence[StoredEvent], tried: Mapping[int, Address]) -> dict[Session, "_Agent"]:
    """The processes that tried to deliver the mail."""
    agents: dict[Session, _Agent] = defaultdict(_Agent)
    for event in sorted(events, key=time_of):
        if id(event) in tried:
            agents[session_of(event)].add(event, tried[id(event)])
    return agents


class _Agent:
    """What a process tried, in the order of time, and when it began with that."""

    def __init__(self) -> None:
        self._ends: list[datetime] = []
        self._tries: list[tuple[datetime, Address]] = []
        self._longest = timedelta()

    def add(self, event: StoredEvent, address: Address) -> None:
        """Take a delivery line."""
        time = time_of(event)
        worked = timedelta(seconds=sum(event.get(name) or 0 for name in _WORK)) + _WITHIN
        self._ends.append(time)
        self._tries.append((time - worked, address))
        self._longest = max(self._longest, worked)

    def at(self, time: datetime) -> list[Address]:
        """Those that it was trying at a time."""
        first = bisect_left(self._ends, time)
        last = bisect_right(self._ends, time + self._longest)
        return [address for begun, address in self._tries[first:last] if begun <= time]
