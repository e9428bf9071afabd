"""SMTP sessions -> which mail was broken off, and which one a HOLD or DISCARD was about.

Pure.  smtpd(8) serves one client after the other, and some of its lines name no queue ID: those
about a mail that has none yet, and the end of a session, which takes unfinished mails along.  Where
the lines around are in the order in which they must have been written, that order tells what
belongs together.  Where they are not (time stamps have whole seconds; UDP and rsyslog's workers
displace lines), it proves nothing, and only what the numbers of mails and commands leave no choice
about is concluded.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, NamedTuple, Self

from mailingest.postfix.lifecycle import REORDERED_SECONDS
from mailingest.postfix.names import CLIENT_IP, SENDER, SMTP_STAGE
from mailingest.stores.events import StoredEvent, time_of
from mailingest.trace.facts import Queue, Refusal
from mailingest.trace.lines import Session, host_of, is_intent, session_of
from mailingest.trace.session_lines import (
    Kind,
    SessionLine,
    accepted_commands,
    break_off,
    completed_mails,
    counts_commands,
    intend,
    is_same_client,
    is_same_recipient,
    never_came,
    was_waiting,
)
from mailingest.trace.session_numbers import settle_by_numbers
from mailingest.trace.session_order import settle_by_order

_REORDERED: Final = timedelta(seconds=REORDERED_SECONDS)
# So long smtpd waits for a client's next command or line (smtpd_timeout).
_COMMAND_WITHIN: Final = timedelta(minutes=5)
# And then for a policy server (smtpd_policy_service_timeout), before it takes a recipient.
INTENDED_BEFORE: Final = _COMMAND_WITHIN + timedelta(seconds=100)
"""So long before a mail gets its queue ID smtpd may say what is to become of it."""
_SECOND: Final = timedelta(seconds=1)
_MANY: Final = 50


@dataclass(slots=True)
class _Visit:
    """The lines of one session; ``is_certain`` if none of another one is among them.

    ``after`` is the line that begins the next one, if none tells of the end.
    """

    lines: list[SessionLine] = field(default_factory=list)
    is_certain: bool = True
    after: SessionLine | None = None
    _client: str | None = None

    def take(self, line: SessionLine) -> None:
        """Take the next line."""
        self.lines.append(line)
        # XCLIENT tells another one than the first line has.
        if line.kind != "begin":
            self._client = line.client or self._client

    def is_over_at(self, line: SessionLine) -> bool:
        """Whether a line is about the next client."""
        if line.kind == "begin":
            return not _is_twice(self.lines[-1], line)
        return None not in (self._client, line.client) and line.client != self._client

    @property
    def is_whole(self) -> bool:
        """Whether its beginning and end are there, so that what is between is of one session."""
        return self.lines[0].kind == "begin" and self.lines[-1].kind == "end"


class Sessions:
    """The lines of all sessions, in the order of time, and what follows from them."""

    def __init__(self) -> None:
        self._lines: dict[Session, list[SessionLine]] = defaultdict(list)
        self._displaced: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def add(
        self,
        kind: Kind,
        event: StoredEvent,
        *,
        queue: Queue | None = None,
        refusal: Refusal | None = None,
    ) -> None:
        """Take a line; ``queue`` is the mail that is accepted, ``refusal`` what is not."""
        line = SessionLine(kind, event, time_of(event), queue, refusal)
        self._lines[session_of(event)].append(line)

    def is_displaced(self, event: StoredEvent, by: timedelta) -> None:
        """Learn that a line has a later place, and a time stamp so much later, than it should."""
        displaced = (time_of(event).timestamp(), by.total_seconds())
        self._displaced[host_of(event)].append(displaced)

    def settle(self, queues: Iterable[Queue]) -> None:
        """Write into mails and refusals what became of them; ``queues`` are all mails."""
        visits = [visit for lines in self._lines.values() for visit in _visits(lines)]
        disorder = {host: _Disorder.of(found) for host, found in self._displaced.items()}
        doubtful: list[SessionLine] = []
        for visit in visits:
            of_host = disorder.get(host_of(visit.lines[0].event))
            if visit.is_certain and not (of_host and of_host.is_near(visit.lines)):
                _settle_in_order(visit)
                _name_client(visit.lines)
            else:
                doubtful += visit.lines
        for lines in _by_client(_without_order(doubtful, disorder), disorder):
            settle_by_numbers(lines)
        self._doubt_strays(queues)

    def _doubt_strays(self, queues: Iterable[Queue]) -> None:
        """Mails of no session whose client broke off a mail at that time: it may be this one."""
        strays = [one for one in queues if one.session is None and one.intents and one.is_undecided]
        if not strays:
            return
        broken = defaultdict(list)
        for lines in self._lines.values():
            for line in lines:
                if line.kind == "lost" or accepted_commands(line.event, "mail") > completed_mails(
                    line.event
                ):
                    broken[host_of(line.event), line.client].append(line.time)
        for queue in strays:
            event = queue.intents[0]
            earliest = time_of(event) - _REORDERED
            latest = time_of(event) + _COMMAND_WITHIN
            times = broken.get((queue.key.host, event.get(CLIENT_IP)), [])
            if any(earliest <= time <= latest for time in times):
                _doubt([queue])


def _visits(lines: Sequence[SessionLine]) -> Iterator[_Visit]:
    """The sessions of a process, one after the other."""
    visit = _Visit()
    # The first line of all may be in the middle; others have lost their beginning, unless nothing
    # tells of any.
    is_certain, has_no_edges = True, all(line.kind not in ("begin", "end") for line in lines)
    for line in lines:
        if visit.lines and visit.is_over_at(line):
            visit.after = line if line.kind == "begin" else None
            yield visit
            visit = _Visit()
        if not visit.lines:
            visit.is_certain = line.kind == "begin" or is_certain
        visit.take(line)
        is_certain = has_no_edges
        if line.kind == "end":
            yield visit
            visit = _Visit()
    if visit.lines:
        yield visit


def _is_twice(one: SessionLine, other: SessionLine) -> bool:
    """Whether a line came twice."""
    return one.kind == other.kind and one.event.get("message") == other.event.get("message")


class _Disorder(NamedTuple):
    """Where a host's lines are displaced (seconds since 1970, sorted), and by how much at most."""

    times: Sequence[float]
    most: timedelta

    @classmethod
    def of(cls, found: Sequence[tuple[float, float]]) -> Self:
        times = sorted(time for time, _ in found)
        # A few do not show how far it goes.
        most = REORDERED_SECONDS if len(found) < _MANY else max(by for _, by in found)
        return cls(times, timedelta(seconds=most))

    def is_near(self, lines: Sequence[SessionLine]) -> bool:
        """Whether a line was displaced at the time of a session."""
        place = bisect_left(self.times, (lines[0].time - _REORDERED).timestamp())
        end = (lines[-1].time + _REORDERED).timestamp()
        return place < len(self.times) and self.times[place] <= end


def _without_order(
    lines: Iterable[SessionLine], disorder: Mapping[str, _Disorder]
) -> list[SessionLine]:
    """The lines that no possible order tells anything about.

    Where lines are not more than a second too late by their time stamps, these can be relied on.
    """
    left: list[SessionLine] = []
    of_process: dict[Session, list[SessionLine]] = defaultdict(list)
    for line in lines:
        of_process[session_of(line.event)].append(line)
    for process, found in of_process.items():
        of_host = disorder.get(process[0])
        is_exact = of_host is not None and of_host.most < _SECOND
        for part in _closed_parts(found) if is_exact else ():
            if not settle_by_order(part):
                left += part
        left += found if not is_exact else ()
    return left


def _closed_parts(lines: Iterable[SessionLine]) -> Iterator[list[SessionLine]]:
    """The lines of a process, cut at seconds between which no session was open."""
    part: list[SessionLine] = []
    is_open = 0
    for line in sorted(lines, key=lambda line: line.time):
        if part and not is_open and line.time - part[-1].time >= _SECOND:
            yield part
            part = []
        is_open += (line.kind == "begin") - (line.kind == "end")
        part.append(line)
    if part:
        yield part


def _by_client(
    lines: Sequence[SessionLine], disorder: Mapping[str, _Disorder]
) -> Iterator[list[SessionLine]]:
    """The lines of each process and client that may be of one session."""
    parts: dict[tuple[Session, str | None], list[SessionLine]] = {}
    for line in sorted(lines, key=lambda line: line.time):
        key = (session_of(line.event), line.client)
        part = parts.get(key, [])
        of_host = disorder.get(host_of(line.event))
        most = of_host.most if of_host is not None else timedelta()
        if part and line.time - part[-1].time > most and not _is_open(part):
            yield part
            part = []
        parts[key] = part
        part.append(line)
    yield from parts.values()


def _is_open(lines: Sequence[SessionLine]) -> bool:
    kinds = [line.kind for line in lines]
    return kinds.count("begin") > kinds.count("end")


def _name_client(lines: Sequence[SessionLine]) -> None:
    """Tell who the client of a refusal was whose line does not name it."""
    for line in lines:
        if line.refusal is not None and lines[0].kind == "begin":
            line.refusal.session_begin = lines[0].event


def _settle_in_order(visit: _Visit) -> None:
    accepted: list[Queue] = []
    waiting: list[Refusal] = []
    announced: StoredEvent | None = None
    for line in visit.lines:
        if line.intent is not None:
            waiting.append(line.intent)
        elif line.kind == "announced":
            announced = line.event
        elif line.kind == "refused":
            announced = None
            for intent in waiting:
                intent.is_overruled |= is_same_recipient(intent.event, line.event)
        elif line.queue is not None:
            accepted.append(line.queue)
            _intend(line, line.queue, waiting, visit)
            if announced is not None and _may_be_said_of(announced, line, line.queue, visit):
                line.queue.announce(announced)
            waiting, announced = [], None
        elif line.kind != "begin":
            break_off(_broken_off(line, accepted), [line.event])
            if _misses_a_mail(line, visit, accepted):
                _doubt(accepted)
            if not counts_commands(line.event) or completed_mails(line.event) <= len(accepted):
                never_came(waiting, line.event)
            waiting = []
    if visit.after is not None:
        break_off(_unfinished(accepted), [visit.after.event])
        _doubt(accepted[-1:])
        never_came(waiting, visit.after.event)
        waiting = []
    _leave_to_refusals(waiting)


def _leave_to_refusals(intents: Iterable[Refusal]) -> None:
    """The lines about recipients that were refused tell what was to become of their mails."""
    for intent in intents:
        intent.is_told |= intent.is_overruled


def _intend(line: SessionLine, queue: Queue, waiting: Sequence[Refusal], visit: _Visit) -> None:
    """Tell intentions by the mail that gets its queue ID next, if they may be about it."""
    own = [one for one in waiting if _may_be_said_of(one.event, line, queue, visit)]
    intend([queue], own)
    _leave_to_refusals(waiting)


def _may_be_said_of(event: StoredEvent, line: SessionLine, queue: Queue, visit: _Visit) -> bool:
    """Whether what was said before a mail had a queue ID is about this one.

    Between the lines of one session, only the sender may tell of another mail whose line with the
    queue ID is missing; canonical maps may change it, so it counts where there were more mails than
    got a queue ID.  Where the session's edges are missing, there may be another session in between.
    """
    if not is_same_client(event, line.event):
        return False
    if is_intent(event) and queue.is_active and not was_waiting(queue):
        return False
    if SENDER not in event or queue.sender in (None, event[SENDER]):
        return visit.is_whole or line.time - time_of(event) <= INTENDED_BEFORE
    if not visit.is_whole:
        return False
    begun = accepted_commands(visit.lines[-1].event, "mail")
    return begun <= sum(line.kind == "accepted" for line in visit.lines)


def _misses_a_mail(end: SessionLine, visit: _Visit, accepted: Sequence[Queue]) -> bool:
    """Whether a session had a mail that no line tells of, and one that was not completed."""
    begun = accepted_commands(end.event, "mail")
    refusals = [line.refusal for line in visit.lines if line.kind == "refused" and line.refusal]
    refused = {refusal.sender for refusal in refusals if refusal.queue is None}
    return begun > len(accepted) + len(refused) and begun > completed_mails(end.event)


def _doubt(queues: Iterable[Queue]) -> None:
    """What is to be held or discarded is not called so if the end of the session is missing."""
    for queue in queues:
        queue.is_doubtful |= queue.is_undecided and bool(queue.intents)


def _unfinished(accepted: Sequence[Queue]) -> list[Queue]:
    """The last mail of a session, if nothing tells that it was taken."""
    return [queue for queue in accepted[-1:] if queue.is_undecided and not queue.intents]


def _broken_off(line: SessionLine, accepted: Sequence[Queue]) -> list[Queue]:
    """The mails that the end of a session takes along, since they are not complete."""
    undecided = [queue for queue in accepted if queue.is_undecided]
    if not undecided:
        return []
    plain = [queue for queue in undecided if not queue.intents]
    if line.kind == "lost":
        last = [queue for queue in undecided if queue is accepted[-1]]
        return last if line.event.get(SMTP_STAGE) != "END-OF-MESSAGE" else []
    if not counts_commands(line.event):
        return _unfinished(accepted)
    # What was refused in the end has a line of its own.
    refused = sum(queue.is_not_taken for queue in accepted)
    completed = completed_mails(line.event)
    missing = accepted_commands(line.event, "mail") - completed - refused
    broken = plain if missing >= len(plain) else []
    if not broken and missing > 0:
        broken = _unfinished(accepted)
    # What is to be held or discarded leaves no other line, and is not called broken off in doubt.
    intended = [queue for queue in undecided if queue.intents]
    if len(accepted) - refused - completed - len(broken) >= len(intended):
        broken = [*broken, *intended]
    return broken
