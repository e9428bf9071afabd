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
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, Self

from mailingest.postfix.lifecycle import REORDERED_SECONDS
from mailingest.postfix.names import (
    CLIENT_HOSTNAME,
    CLIENT_IP,
    COMMANDS,
    LOST_CONNECTION,
    RECIPIENT,
    SENDER,
    SMTP_STAGE,
)
from mailingest.stores.events import StoredEvent, time_of
from mailingest.trace.facts import Queue, Refusal, Session, host_of, is_hold, session_of

_REORDERED: Final = timedelta(seconds=REORDERED_SECONDS)
# So long smtpd waits for a client's next command or line (smtpd_timeout).
_SESSION: Final = timedelta(minutes=5)
_MANY: Final = 50
_BEGIN: Final = "connect from "
_END: Final = "disconnect from "

Kind = Literal["begin", "end", "lost", "accepted", "intent", "refused", "announced"]
"""What a line says of its session.

``accepted`` gives a mail its queue ID; ``intent`` says, before that, that the mail is to be held or
discarded, ``refused`` that a recipient is not taken, and ``announced`` anything else about one.
"""


def kind_of_edge(event: StoredEvent) -> Kind | None:
    """What a line about a client and no mail says of its session."""
    if LOST_CONNECTION in event:
        return "lost"
    message = str(event.get("message", ""))
    if message.startswith(_BEGIN):
        return "begin"
    return "end" if message.startswith(_END) else None


class _Line(NamedTuple):
    kind: Kind
    event: StoredEvent
    time: datetime
    queue: Queue | None = None
    refusal: Refusal | None = None

    @property
    def client(self) -> str | None:
        return self.event.get(CLIENT_IP)

    @property
    def intent(self) -> Refusal | None:
        return self.refusal if self.kind == "intent" else None


@dataclass(slots=True)
class _Visit:
    """The lines of one session; ``is_certain`` if none of another one is among them.

    ``after`` is the line about the next client, if none tells of the end.
    """

    lines: list[_Line] = field(default_factory=list)
    is_certain: bool = True
    after: _Line | None = None


class Sessions:
    """The lines of all sessions, in the order of time, and what follows from them."""

    def __init__(self) -> None:
        self._lines: dict[Session, list[_Line]] = defaultdict(list)
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
        line = _Line(kind, event, time_of(event), queue, refusal)
        self._lines[session_of(event)].append(line)

    def is_displaced(self, event: StoredEvent, by: timedelta) -> None:
        """Learn that a line has a later place, and a time stamp so much later, than it should."""
        displaced = (time_of(event).timestamp(), by.total_seconds())
        self._displaced[host_of(event)].append(displaced)

    def settle(self, queues: Iterable[Queue]) -> None:
        """Write into mails and refusals what became of them; ``queues`` are all mails."""
        visits = [visit for lines in self._lines.values() for visit in _visits(lines)]
        disorder = {host: _Disorder.of(found) for host, found in self._displaced.items()}
        doubtful: list[_Line] = []
        for visit in visits:
            of_host = disorder.get(host_of(visit.lines[0].event))
            if visit.is_certain and not (of_host and of_host.is_near(visit.lines)):
                _settle_in_order(visit)
                _name_client(visit.lines)
            else:
                doubtful += visit.lines
        for lines in _by_client(doubtful, disorder):
            _settle_by_numbers(lines)
        self._doubt_strays(queues)

    def _doubt_strays(self, queues: Iterable[Queue]) -> None:
        """Mails of no session whose client broke off a mail at that time: it may be this one."""
        strays = [one for one in queues if one.session is None and one.intents and one.is_undecided]
        if not strays:
            return
        broken = defaultdict(list)
        for lines in self._lines.values():
            for line in lines:
                if line.kind == "lost" or _number(line.event, "mail") > _completed(line.event):
                    broken[host_of(line.event), line.client].append(line.time)
        for queue in strays:
            event = queue.intents[0]
            earliest = time_of(event) - _REORDERED
            latest = time_of(event) + _SESSION
            times = broken.get((queue.key.host, event.get(CLIENT_IP)), [])
            if any(earliest <= time <= latest for time in times):
                _doubt([queue])


def _visits(lines: Sequence[_Line]) -> Iterator[_Visit]:
    """The sessions of a process, one after the other."""
    visit = _Visit()
    is_first = True
    for line in lines:
        if line.kind == "begin":
            if visit.lines and not _is_twice(visit.lines[-1], line):
                visit.after = line
                yield visit
                visit = _Visit()
        elif not visit.lines:
            # The first line of all may be in the middle; others have lost their beginning.
            visit.is_certain = is_first
        visit.lines.append(line)
        is_first = False
        if line.kind == "end":
            yield visit
            visit = _Visit()
    if visit.lines:
        yield visit


def _is_twice(one: _Line, other: _Line) -> bool:
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

    def is_near(self, lines: Sequence[_Line]) -> bool:
        """Whether a line was displaced at the time of a session."""
        place = bisect_left(self.times, (lines[0].time - _REORDERED).timestamp())
        end = (lines[-1].time + _REORDERED).timestamp()
        return place < len(self.times) and self.times[place] <= end


def _by_client(lines: Sequence[_Line], disorder: Mapping[str, _Disorder]) -> Iterator[list[_Line]]:
    """The lines of each process and client that may be of one session."""
    parts: dict[tuple[Session, str | None], list[_Line]] = {}
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


def _is_open(lines: Sequence[_Line]) -> bool:
    kinds = [line.kind for line in lines]
    return kinds.count("begin") > kinds.count("end")


def _name_client(lines: Sequence[_Line]) -> None:
    """Tell who the client of a refusal was whose line does not name it."""
    for line in lines:
        if line.refusal is not None and lines[0].kind == "begin":
            line.refusal.session_begin = lines[0].event


def _settle_in_order(visit: _Visit) -> None:
    accepted: list[Queue] = []
    waiting: list[Refusal] = []
    announced: StoredEvent | None = None
    for line in (*visit.lines, *([visit.after] if visit.after is not None else [])):
        if line.intent is not None:
            waiting.append(line.intent)
        elif line.kind == "announced":
            announced = line.event
        elif line.kind == "refused":
            announced = None
            for intent in waiting:
                intent.is_overruled |= _is_same_recipient(intent.event, line.event)
        elif line.queue is not None:
            accepted.append(line.queue)
            _intend([line.queue], [one for one in waiting if _may_be_of(one, line.queue, visit)])
            # If lines are missing, what is announced may be of an earlier session.
            if announced is not None and _is_same_client(announced, line.event):
                line.queue.announce(announced)
            waiting, announced = [], None
        elif line.kind != "begin" or line is visit.after:
            _break_off(_broken_off(line, accepted), [line.event])
            if line is visit.after:
                _doubt(accepted[-1:])
            elif _misses_a_mail(line, visit, accepted):
                _doubt(accepted)
            if not _counts(line.event) or _completed(line.event) <= len(accepted):
                _never_came(waiting, line.event)
            waiting = []


def _may_be_of(intent: Refusal, queue: Queue, visit: _Visit) -> bool:
    """Whether what was said before a mail had a queue ID is about this one.

    Canonical maps may change the sender.  Where the session had more mails than got a queue ID,
    another sender tells that the line with the queue ID in between is missing.
    """
    if queue.sender is None or queue.sender == intent.sender:
        return True
    begun = sum(_number(line.event, "mail") for line in visit.lines if line.kind == "end")
    return begun <= sum(line.kind == "accepted" for line in visit.lines)


def _misses_a_mail(end: _Line, visit: _Visit, accepted: Sequence[Queue]) -> bool:
    """Whether a session had a mail that no line tells of, and one that was not completed."""
    begun = _number(end.event, "mail")
    refused = sum(line.kind == "refused" for line in visit.lines)
    return begun > len(accepted) + refused and begun > _completed(end.event)


def _doubt(queues: Iterable[Queue]) -> None:
    """What is to be held or discarded is not called so if the end of the session is missing."""
    for queue in queues:
        queue.is_doubtful |= queue.is_undecided and bool(queue.intents)


def _broken_off(line: _Line, accepted: Sequence[Queue]) -> list[Queue]:
    """The mails that the end of a session takes along, since they are not complete."""
    undecided = [queue for queue in accepted if queue.is_undecided]
    if not undecided:
        return []
    plain = [queue for queue in undecided if not queue.intents]
    last = [queue for queue in undecided if queue is accepted[-1]]
    if line.kind == "lost":
        return last if line.event.get(SMTP_STAGE) != "END-OF-MESSAGE" else []
    if not _counts(line.event):
        return [queue for queue in last if not queue.intents]
    # What was refused in the end has a line of its own.
    refused = sum(queue.is_not_taken for queue in accepted)
    completed = _completed(line.event)
    missing = _number(line.event, "mail") - completed - refused
    broken = plain if missing >= len(plain) else []
    if not broken and missing > 0:
        broken = [queue for queue in last if not queue.intents]
    # What is to be held or discarded leaves no other line, and is not called broken off in doubt.
    intended = [queue for queue in undecided if queue.intents]
    if len(accepted) - refused - completed - len(broken) >= len(intended):
        broken = [*broken, *intended]
    return broken


def _settle_by_numbers(lines: Sequence[_Line]) -> None:
    kinds = [line.kind for line in lines]
    is_whole = kinds.count("begin") == kinds.count("end")
    every = {id(line.queue): line.queue for line in lines if line.queue is not None}.values()
    # What was refused in the end is counted as begun.
    accepted = [queue for queue in every if not queue.is_not_taken]
    intents = [line.intent for line in lines if line.intent is not None]
    intents = [one for one in _each_once(intents) if not _is_of_released(one, accepted)]
    undecided = [queue for queue in accepted if queue.is_undecided]
    plain = [queue for queue in undecided if not queue.intents]
    intended = [queue for queue in undecided if queue.intents]
    ends = _Ends.of(lines, len(every) - len(accepted))
    incomplete = ends.incomplete(accepted, undecided) if is_whole else None
    if incomplete == len(undecided) and undecided and ends.last:
        _intend(undecided, intents)
        _break_off(undecided, ends.last)
        return
    if intents:
        if not undecided:
            refused = [line.event for line in lines if line.kind == "refused"]
            for intent in intents:
                intent.is_overruled = any(_is_same_recipient(intent.event, one) for one in refused)
            if is_whole and ends.are_counted and ends.completed <= len(accepted):
                _never_came(intents, ends.last[0])
        elif incomplete == 0 and _is_one_choice(plain or undecided, intents):
            _intend(plain or undecided, intents)
    elif is_whole and ends.last and len(plain) <= ends.most_missing:
        _break_off(plain, ends.last)
        incomplete = None if incomplete is None else incomplete - len(plain)
    for queue in intended:
        queue.is_doubtful = incomplete is None or incomplete > 0


class _Ends(NamedTuple):
    """What the ends of one or more sessions say of their mails."""

    ends: Sequence[StoredEvent]
    lost: Sequence[StoredEvent]
    not_taken: int

    @classmethod
    def of(cls, lines: Sequence[_Line], not_taken: int) -> Self:
        return cls(
            [line.event for line in lines if line.kind == "end"],
            [line.event for line in lines if line.kind == "lost"],
            not_taken,
        )

    @property
    def last(self) -> Sequence[StoredEvent]:
        """The line that proves that a mail was not complete; empty if there is none."""
        return (self.lost or self.ends)[-1:]

    @property
    def are_counted(self) -> bool:
        return bool(self.ends) and all(map(_counts, self.ends))

    @property
    def begun(self) -> int:
        """Of how many mails no other line tells that they were refused."""
        return sum(_number(end, "mail") for end in self.ends) - self.not_taken

    @property
    def completed(self) -> int:
        return sum(map(_completed, self.ends))

    @property
    def most_missing(self) -> int:
        """How many mails may have been begun and not completed."""
        return self.begun - self.completed if self.are_counted else len(self.ends or self.lost)

    def incomplete(self, accepted: Sequence[Queue], undecided: Sequence[Queue]) -> int | None:
        """How many of the mails that got a queue ID were not completed; None in doubt."""
        if not self.are_counted:
            return 0 if self.ends and not self.lost else None
        completed = self.completed
        if completed <= len(accepted) - len(undecided):
            return len(undecided)
        if not self.most_missing:
            return 0
        # Others may have lines that are not here.
        are_all = len(accepted) >= self.begun or not self.lost
        return max(0, len(accepted) - completed) if are_all else None


def _each_once(intents: Sequence[Refusal]) -> list[Refusal]:
    """Without those whose line came twice, which are told by the first."""
    first: dict[object, Refusal] = {}
    for intent in intents:
        line = (intent.event.get("message"), intent.event["@timestamp"])
        intent.is_told |= first.setdefault(line, intent) is not intent
    return list(first.values())


def _is_of_released(intent: Refusal, accepted: Sequence[Queue]) -> bool:
    """Whether a mail that was to be held is one that an operator released; it is then told so."""
    fit = [
        queue
        for queue in accepted
        if queue.sender == intent.sender and not queue.intents and _was_waiting(queue)
    ]
    if len(fit) == 1 and is_hold(intent.event):
        _intend(fit, [intent])
    return intent.is_told


def _was_waiting(queue: Queue) -> bool:
    """Whether a mail was not given to the queue manager at once."""
    became_active = min(queue.activations, default=queue.created_at)
    return bool(queue.releases) or became_active - queue.created_at > _REORDERED


def _is_one_choice(queues: Sequence[Queue], intents: Sequence[Refusal]) -> bool:
    """Whether there is one way only for intentions to be about all of some mails."""
    are_alike = len({(one.action, one.sender, one.recipient) for one in intents}) == 1
    return len(queues) == 1 or (0 < len(queues) <= len(intents) and are_alike)


def _intend(queues: Sequence[Queue], intents: Sequence[Refusal]) -> None:
    """Tell intentions by the mails that they were about; the last mail gets what is left."""
    for number, intent in enumerate(intents):
        queues[min(number, len(queues) - 1)].intend(intent.event, is_for_it=not intent.is_overruled)
        intent.is_told = True


def _never_came(intents: Sequence[Refusal], end: StoredEvent) -> None:
    for intent in intents:
        intent.broken_off = end
        intent.is_told |= intent.is_overruled


def _break_off(queues: Sequence[Queue], ends: Sequence[StoredEvent]) -> None:
    for queue in queues:
        for end in ends:
            queue.broken_off = end
            queue.events.append(end)


def _is_same_client(one: StoredEvent, other: StoredEvent) -> bool:
    return all(one.get(name) == other.get(name) for name in (CLIENT_HOSTNAME, CLIENT_IP))


def _is_same_recipient(one: StoredEvent, other: StoredEvent) -> bool:
    return all(one.get(name) == other.get(name) for name in (SENDER, RECIPIENT, CLIENT_IP))


def _counts(event: StoredEvent) -> bool:
    """Whether the end of a session says how many mails there were (Postfix 3.0 and later)."""
    return f"{COMMANDS}mail" in event


def _completed(event: StoredEvent) -> int:
    """How many mails of a session were taken: a mail may come in several BDAT commands."""
    return min(_number(event, "mail"), _number(event, "data") + _number(event, "bdat"))


def _number(event: StoredEvent, command: str) -> int:
    """How often a command was accepted in a session; only those with failures tell it apart."""
    every = event.get(f"{COMMANDS}{command}", 0)
    return int(event.get(f"{COMMANDS}{command}_accepted", every))
