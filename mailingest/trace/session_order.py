"""Sessions whose lines are displaced within a second -> what all their possible orders agree on.

Pure.  smtpd(8) serves one client after the other, and the end of a session counts its commands.
Time stamps tell the second of each line, and queue IDs in which order the mails began.  So the
mails of a process are a row that its sessions cut into pieces.  Every way to do so that these facts
allow is looked at: what is the same in all of them is true, and of the rest nobody can know.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, islice, product
from typing import Final, NamedTuple

from mailingest.postfix.names import SMTP_STAGE
from mailingest.postfix.queue_times import possible_times
from mailingest.trace.facts import Queue, Refusal
from mailingest.trace.lines import is_hold
from mailingest.trace.session_lines import (
    SessionLine,
    accepted_commands,
    break_off,
    completed_mails,
    counts_commands,
    intend,
    is_same_recipient,
    never_came,
    refused_recipients,
    was_waiting,
)

# What takes more to try is left to the numbers.
_MOST_ORDERS: Final = 256
_MOST_SESSIONS: Final = 400
_MOST_STATES: Final = 20_000
_MOST_ASSIGNMENTS: Final = 2000


@dataclass(eq=False)
class _Mail:
    """A mail that was begun: the line with its queue ID, and when that was made, in seconds.

    ``refused`` is how many of its recipients lines tell of that were refused.
    """

    line: SessionLine
    queue: Queue
    began_at: float
    refused: int = 0

    @cached_property
    def is_open(self) -> bool:
        return self.queue.is_undecided

    @cached_property
    def is_taken(self) -> bool:
        return not self.is_open and not self.queue.is_not_taken


@dataclass(eq=False)
class _End:
    """The end of a session, and what it counted."""

    line: SessionLine

    @cached_property
    def client(self) -> str | None:
        return self.line.client

    @cached_property
    def second(self) -> int:
        return _second(self.line)

    @cached_property
    def begun(self) -> int:
        return accepted_commands(self.line.event, "mail")

    @cached_property
    def completed(self) -> int:
        return completed_mails(self.line.event)

    @cached_property
    def with_queue_id(self) -> range:
        """How many mails may have got a queue ID: smtpd makes it for the first recipient."""
        most = min(self.begun, accepted_commands(self.line.event, "rcpt"))
        return range(self.completed, most + 1)

    @cached_property
    def refused(self) -> int:
        """How many recipients were refused."""
        return refused_recipients(self.line.event)

    @cached_property
    def alike(self) -> tuple[object, ...]:
        """What tells it from other ends of its second."""
        counts = self.begun, self.completed, self.with_queue_id, self.refused
        return self.client, self.is_reset, *counts

    @cached_property
    def is_reset(self) -> bool:
        """Whether a mail may have been given up before the end (RFC 5321 4.1.1.5, 4.1.4)."""
        greetings = sum(accepted_commands(self.line.event, name) for name in ("ehlo", "helo"))
        greetings -= accepted_commands(self.line.event, "starttls")
        return accepted_commands(self.line.event, "rset") > 0 or greetings > 1


class _Outcome(NamedTuple):
    """Of a session's undecided mails those that were taken, and the intentions that were why."""

    taken: frozenset[int]
    reasons: frozenset[int]


@dataclass(eq=False)
class _Visit:
    """A session as it may have been: its first and last line, and its mails in their order."""

    begin: SessionLine
    end: _End
    mails: Sequence[_Mail]
    intents: Sequence[SessionLine]

    def has(self, line: SessionLine) -> bool:
        """Whether a line may be one of it."""
        is_within = _second(self.begin) <= _second(line) <= self.end.second
        return is_within and line.client == self.end.client

    @cached_property
    def _fits(self) -> bool:
        begins_at = _second(self.begin)
        if sum(mail.refused for mail in self.mails) > self.end.refused:
            return False
        for mail in self.mails:
            if mail.began_at < begins_at or not self.has(mail.line):
                return False
        return True

    @cached_property
    def about(self) -> Sequence[Sequence[int]]:
        """For each mail the numbers of the intentions that may have been about it."""
        return [list(self._intents_of(number)) for number in range(len(self.mails))]

    def _intents_of(self, number: int) -> Iterator[int]:
        mail = self.mails[number]
        before = self.mails[number - 1].line if number else self.begin
        for intent, line in enumerate(self.intents):
            is_between = _second(before) <= _second(line) <= _second(mail.line)
            if is_between and self.has(line) and _may_be_intended(line, mail.queue):
                yield intent

    @cached_property
    def outcomes(self) -> Sequence[_Outcome]:
        """What it may have come to, by what was counted in the end."""
        taken = sum(mail.is_taken for mail in self.mails)
        undecided = [number for number, mail in enumerate(self.mails) if mail.is_open]
        missing = self.end.completed - taken
        if not 0 <= missing <= len(undecided) or not self._fits:
            return []
        last = len(self.mails) - 1
        found = set()
        for some in combinations(undecided, missing):
            if not self.end.is_reset and not set(undecided) - set(some) <= {last}:
                continue
            reasons = [self.about[one] for one in some if not self.mails[one].queue.intents]
            for chosen in product(*reasons):
                if len(set(chosen)) == len(reasons):
                    found.add(_Outcome(frozenset(some), frozenset(chosen)))
        return list(found)


class _TooManyError(Exception):
    """There are more possibilities than are looked at."""


def settle_by_order(lines: Sequence[SessionLine]) -> bool:
    """Write into mails and refusals what all orders agree on; False if none can be told.

    ``lines`` are those of one process, from a second before which no session was open to another
    one; the second of each is right.
    """
    begins = [line for line in lines if line.kind == "begin"]
    ends = [_End(line) for line in lines if line.kind == "end"]
    intents = [line for line in lines if line.intent is not None]
    mails = {id(line.queue): line for line in lines if line.queue is not None}
    is_counted = all(counts_commands(end.line.event) for end in ends)
    if not len(begins) == len(ends) <= _MOST_SESSIONS or not is_counted:
        return False
    if not intents and not any(one.queue and one.queue.is_undecided for one in mails.values()):
        return False
    findings = _Findings(intents)
    try:
        row = _Row(list(mails.values()), _refused_recipients(lines))
        ways = _Ways(begins, ends, row, intents)
        for step in ways.possible():
            findings.add(step.visit, step.outcome)
        findings.write(lines)
    except _TooManyError:
        return False
    return bool(findings.is_complete)


def _refused_recipients(lines: Sequence[SessionLine]) -> Counter[int]:
    """How many recipients of each mail were refused under its queue ID, by its `id`."""
    refused = [line for line in lines if line.refusal and line.event.get(SMTP_STAGE) == "RCPT"]
    # A line may have come twice.
    each = {(id(one.refusal.queue), one.event.get("message")) for one in refused if one.refusal}
    return Counter(queue for queue, _ in each)


def _second(line: SessionLine) -> int:
    return int(line.time.timestamp())


class _Place(NamedTuple):
    """A place in a row of mails: in which second, in which of its orders, and behind how many."""

    second: int = 0
    order: int | None = None
    number: int = 0


class _State(NamedTuple):
    """How far it has come: seconds with ends that are over, ends of the next one, mails.

    ``reasons`` are the intentions that were about mails, as far as they may matter to later ones.
    """

    seconds: int
    ends: frozenset[int]
    mails: _Place
    reasons: frozenset[int] = frozenset()


class _Step(NamedTuple):
    """A session, what it came to, and how far it has come then."""

    visit: _Visit
    outcome: _Outcome
    after: _State


class _Row:
    """The mails of a process in the order in which they began.

    The line about a mail that began at the end of a second may be in the next one.  So of those
    logged in one second, some may be the first or the last.
    """

    def __init__(self, lines: Sequence[SessionLine], refused: Counter[int]) -> None:
        """Raises `_TooManyError` if an ID does not tell when it was made."""
        of_second: dict[int, list[list[_Mail]]] = defaultdict(list)
        for line in lines:
            times = possible_times(line.queue.key.queue_id, line.time) if line.queue else ()
            if line.queue is None or not times:
                raise _TooManyError
            few = refused[id(line.queue)]
            found = [_Mail(line, line.queue, time.timestamp(), few) for time in times]
            of_second[_second(line)].append(found)
        self._orders = [_orders(of_second[second]) for second in sorted(of_second)]
        self.end = _Place(len(self._orders))

    def runs(self, place: _Place, size: int) -> Iterator[tuple[list[_Mail], _Place]]:
        """The mails that may come next, so many of them, and the place behind them."""
        if not size or place == self.end:
            if not size:
                yield [], place
            return
        orders = self._orders[place.second]
        for number in range(len(orders)) if place.order is None else [place.order]:
            some = orders[number][place.number : place.number + size]
            after = place.number + len(some)
            is_over = after == len(orders[number])
            then = _Place(place.second + 1) if is_over else _Place(place.second, number, after)
            for more, end in self.runs(then, size - len(some)):
                yield [*some, *more], end


def _orders(mails: Sequence[Sequence[_Mail]]) -> list[list[_Mail]]:
    """The orders of mails that were logged in one second, each of which may have begun at times."""
    found: dict[tuple[int, ...], list[_Mail]] = {}
    for number, chosen in enumerate(product(*mails)):
        if number >= _MOST_ORDERS:
            raise _TooManyError
        order = sorted(chosen, key=lambda mail: mail.began_at)
        found.setdefault(tuple(id(mail.queue) for mail in order), order)
    return list(found.values())


class _Ways:
    """The ways in which the sessions of a process may have had a row of mails."""

    def __init__(
        self,
        begins: Sequence[SessionLine],
        ends: Sequence[_End],
        row: _Row,
        intents: Sequence[SessionLine],
    ) -> None:
        self._row = row
        self._intents = intents
        self._known_visits: dict[tuple[int, int, _Place], list[tuple[_Visit, _Place]]] = {}
        self._begins: dict[str | None, list[SessionLine]] = defaultdict(list)
        for begin in begins:
            self._begins[begin.client].append(begin)
        of_second: dict[int, list[_End]] = defaultdict(list)
        for end in ends:
            of_second[end.second].append(end)
        self._ends = [of_second[second] for second in sorted(of_second)]
        # How many sessions of each client were over before each second.
        self._over: list[dict[str | None, int]] = [{}]
        for some in self._ends:
            count = dict(self._over[-1])
            for end in some:
                count[end.client] = count.get(end.client, 0) + 1
            self._over.append(count)

    def possible(self) -> list[_Step]:
        """Each session that is part of a whole way."""
        steps: dict[_State, list[_Step]] = {}
        waiting = [_State(0, frozenset(), _Place())]
        while waiting:
            state = waiting.pop()
            if state in steps:
                continue
            if len(steps) >= _MOST_STATES:
                raise _TooManyError
            steps[state] = list(self._steps(state))
            waiting += (step.after for step in steps[state])
        before: dict[_State, list[tuple[_Step, _State]]] = defaultdict(list)
        for state, some in steps.items():
            for step in some:
                before[step.after].append((step, state))
        is_last = (len(self._ends), self._row.end)
        waiting = [state for state in steps if (state.seconds, state.mails) == is_last]
        found, seen = [], set(waiting)
        while waiting:
            for step, state in before[waiting.pop()]:
                found.append(step)
                if state not in seen:
                    seen.add(state)
                    waiting.append(state)
        return found

    def _steps(self, state: _State) -> Iterator[_Step]:
        """The sessions that may come next."""
        if state.seconds == len(self._ends):
            return
        ends = self._ends[state.seconds]
        over_at = ends[0].second if state.ends else self._end_before(state.seconds)
        over_now = Counter(ends[number].client for number in state.ends)
        seen = set()
        for number, end in enumerate(ends):
            if number in state.ends or end.alike in seen:
                continue
            # Those that allow the same can change places.
            seen.add(end.alike)
            over = self._over[state.seconds].get(end.client, 0) + over_now[end.client]
            begin = self._begin_of(end.client, over)
            if begin is None or not over_at <= _second(begin) <= end.second:
                continue
            used = state.ends | {number}
            for visit, place in self._visits(begin, end, state.mails):
                for outcome in visit.outcomes:
                    if not outcome.reasons & state.reasons:
                        reasons = state.reasons | outcome.reasons
                        yield _Step(visit, outcome, self._after(state, used, place, reasons))

    def _visits(
        self, begin: SessionLine, end: _End, place: _Place
    ) -> Sequence[tuple[_Visit, _Place]]:
        """The session with the mails that may come next, and the place behind them.

        Many states are at the same place, and differ in what the sessions before have come to.
        """
        key = (id(begin), id(end), place)
        found = self._known_visits.get(key)
        if found is None:
            visits = [
                (_Visit(begin, end, mails, self._intents), after)
                for size in end.with_queue_id
                for mails, after in self._row.runs(place, size)
            ]
            found = [(visit, after) for visit, after in visits if visit.outcomes]
            self._known_visits[key] = found
        return found

    def _after(
        self, state: _State, ends: frozenset[int], mails: _Place, reasons: frozenset[int]
    ) -> _State:
        if len(ends) < len(self._ends[state.seconds]):
            return _State(state.seconds, ends, mails, reasons)
        # What was said before this second is about no later session.
        now = self._ends[state.seconds][0].second
        late = frozenset(one for one in reasons if _second(self._intents[one]) >= now)
        return _State(state.seconds + 1, frozenset(), mails, late)

    def _end_before(self, seconds: int) -> int:
        return self._ends[seconds - 1][0].second if seconds else 0

    def _begin_of(self, client: str | None, over: int) -> SessionLine | None:
        """The first line of a client's next session, when so many are over."""
        begins = self._begins[client]
        return begins[over] if over < len(begins) else None


@dataclass
class _Findings:
    """What became of each mail, and which mails each intention may have been about."""

    intents: Sequence[SessionLine]
    is_complete: bool = False
    _is_taken: dict[int, set[bool]] = field(default_factory=lambda: defaultdict(set))
    _about: dict[int, dict[int, Queue | None]] = field(default_factory=lambda: defaultdict(dict))
    _queues: dict[int, Queue] = field(default_factory=dict)
    _end_of: dict[int, SessionLine] = field(default_factory=dict)

    def add(self, visit: _Visit, outcome: _Outcome) -> None:
        """Add what a session may have come to."""
        if visit.end.begun > len(visit.mails):
            for line in filter(visit.has, self.intents):
                self._about[id(line.intent)][0] = None
                self._end_of.setdefault(id(line.intent), visit.end.line)
        for number, mail in enumerate(visit.mails):
            for one in visit.about[number]:
                self._about[id(self.intents[one].intent)][id(mail.queue)] = mail.queue
            if mail.is_open:
                self._queues[id(mail.queue)] = mail.queue
                self._end_of.setdefault(id(mail.queue), visit.end.line)
                self._is_taken[id(mail.queue)].add(number in outcome.taken)

    def write(self, lines: Sequence[SessionLine]) -> None:
        """Tell what is known, if there is any way at all."""
        self.is_complete = bool(self._queues or self._about) and all(self._is_taken.values())
        assignments = list(self._assignments()) if self.is_complete else []
        if not assignments:
            self.is_complete = False
            return
        refused = [line.event for line in lines if line.kind == "refused"]
        for number, line in enumerate(self.intents):
            if line.intent is None:
                continue
            targets = {chosen[number] for chosen in assignments}
            line.intent.is_overruled = any(is_same_recipient(line.event, one) for one in refused)
            if len(targets) == 1:
                self._tell(line.intent, self._about[id(line.intent)][targets.pop()])
        for number, is_taken in self._is_taken.items():
            queue = self._queues[number]
            if is_taken == {False}:
                break_off([queue], [self._end_of[number].event])
            else:
                queue.is_doubtful = not queue.intents or False in is_taken

    def _tell(self, intent: Refusal, queue: Queue | None) -> None:
        if queue is None:
            never_came([intent], self._end_of[id(intent)].event)
        else:
            intend([queue], [intent])

    def _assignments(self) -> Iterator[Sequence[int]]:
        """To which mails all intentions may belong; 0 stands for one without a queue ID."""
        needing = {
            number
            for number, is_taken in self._is_taken.items()
            if is_taken == {True} and not self._queues[number].intents
        }
        choices = [list(self._about[id(line.intent)]) for line in self.intents]
        every = list(islice(product(*choices), _MOST_ASSIGNMENTS + 1))
        if len(every) > _MOST_ASSIGNMENTS:
            raise _TooManyError
        return (chosen for chosen in every if needing <= set(chosen))


def _may_be_intended(line: SessionLine, queue: Queue) -> bool:
    """Whether a mail may be one that was to be held or discarded."""
    if queue.is_not_taken:
        return True
    if is_hold(line.event):
        return queue.is_undecided or was_waiting(queue)
    # What smtpd discards, cleanup never sees.
    return queue.is_undecided and queue.message_id is None
