"""Days of a made-up site, as lines of Postfix with the times of their arrival.

``mx1`` takes mail from the Internet day and night, less of it at night.  ``out1`` is where people
submit mail, on working days.  ``cron1`` sends one mail each hour.  All of it goes out over
``smart.example``, but for what ``mx1`` hands to the mail store.
"""

import heapq
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import count
from random import Random
from typing import Final

from mailingest.config import Settings
from mailingest.pipeline import Pipeline
from mailingest.watching.notices import Notice
from mailingest.wiring import build_pipeline

MONDAY: Final = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
_TICK: Final = 300.0
SMART: Final = "smart.example[192.0.2.25]:25"
STORE: Final = "mx1.example[private/dovecot-lmtp]"

Timed = tuple[float, str]
"""A line, and the time that it has."""

_queue_ids = count(0xA40000)


def line(time: float, host: str, program: str, text: str) -> Timed:
    stamp = datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")
    return time, f"{stamp} {host} postfix/{program}[7]: {text}"


def mail(
    time: float,
    host: str,
    relay: str,
    *,
    user: str = "",
    recipients: int = 1,
    status: str = "sent",
    to: str = "bob@example.net",
) -> list[Timed]:
    """The lines of a mail; ``status`` is deferred where the relay cannot be reached."""
    queue_id = f"{next(_queue_ids):X}"
    login = f", sasl_method=PLAIN, sasl_username={user}" if user else ""
    lmtp = relay == STORE
    name = relay.partition("[")[0]
    end = (
        f"relay={relay}, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok)"
        if status == "sent"
        else "relay=none, delay=1, delays=0/0/0/1, dsn=4.4.1, status=deferred (connect to "
        f"{name}[192.0.2.25]:25: Connection refused)"
    )
    lines = [
        line(time, host, "smtpd", f"{queue_id}: client=pc.example[192.0.2.7]{login}"),
        line(time, host, "cleanup", f"{queue_id}: message-id=<{queue_id}@example.com>"),
        line(
            time,
            host,
            "qmgr",
            f"{queue_id}: from=<{user or 'a'}@example.com>, size=9, nrcpt={recipients} "
            "(queue active)",
        ),
        line(time + 1, host, "lmtp" if lmtp else "smtp", f"{queue_id}: to=<{to}>, {end}"),
    ]
    if status == "sent":
        lines.append(line(time + 1, host, "qmgr", f"{queue_id}: removed"))
    return lines


def is_working(time: float) -> bool:
    moment = datetime.fromtimestamp(time, UTC)
    return moment.weekday() < 5 and 7 <= moment.hour < 18


def mx1(begin: float, end: float, seed: int = 1) -> Iterator[Timed]:
    """Some three minutes between two clients by day, eight at night; one in five has a mail."""
    rng, time = Random(seed), begin
    while True:
        by_day = 6 <= datetime.fromtimestamp(time, UTC).hour < 22
        time += rng.expovariate(1 / (180 if by_day else 480))
        if time >= end:
            return
        if rng.random() < 0.2:
            yield from mail(time, "mx1", STORE)
        else:
            yield line(time, "mx1", "smtpd", "connect from pc.example[192.0.2.7]")


def out1(begin: float, end: float, *, status: str = "sent", seed: int = 2) -> Iterator[Timed]:
    """Five people, who send to a few each hour, on working days."""
    rng, time = Random(seed), begin
    while (time := time + rng.expovariate(1 / 400)) < end:
        if is_working(time):
            user = f"user{rng.randrange(5)}"
            yield from mail(
                time, "out1", SMART, user=user, recipients=rng.randint(1, 4), status=status
            )


def cron1(begin: float, end: float) -> Iterator[Timed]:
    """A mail each hour, at seven minutes past."""
    time = begin + 420
    while time < end:
        yield from mail(time, "cron1", SMART)
        time += HOUR


def site(begin: float, end: float) -> Iterator[Timed]:
    """All three."""
    return merged(mx1(begin, end), out1(begin, end), cron1(begin, end))


def merged(*parts: Iterable[Timed]) -> Iterator[Timed]:
    """In the order of time; lines of one time stay as they are."""
    return heapq.merge(*(sorted(part, key=_time) for part in parts), key=_time)


def _time(timed: Timed) -> float:
    return timed[0]


class Watched:
    """A live pipeline that is fed days; ``told`` are the notices that began, in order."""

    def __init__(self) -> None:
        self.told: list[Notice] = []
        self.ended: list[Notice] = []
        self._new()

    def _new(self) -> None:
        self.pipeline: Pipeline = build_pipeline(Settings(), live=True)

    @property
    def kinds(self) -> list[tuple[str, str]]:
        return [(one.kind, one.subject) for one in self.told]

    def feed(self, lines: Iterable[Timed], until: float, *, at: float | None = None) -> None:
        """Lines arrive at their times, or all ``at`` one; each five minutes there is a tick."""
        ticked = 0.0
        for time, text in lines:
            arrival = time if at is None else at
            while ticked and arrival - ticked > _TICK:
                ticked += _TICK
                self.tick(ticked)
            ticked = ticked or arrival
            self.pipeline.feed(text.encode(), arrival, "192.0.2.1")
        while ticked < until:
            ticked = ticked + _TICK if ticked else until
            self.tick(ticked)

    def tick(self, now: float) -> None:
        self.pipeline.tick(now)
        for notice, began in self.pipeline.watch.board.take():
            (self.told if began else self.ended).append(notice)

    def restart(self) -> None:
        """A daemon goes on where another one ended."""
        self.go_on_from(self.pipeline)

    def go_on_from(self, before: Pipeline) -> None:
        """Know what another pipeline knows."""
        self._new()
        self.pipeline.restore(before.snapshot())
        self.pipeline.watch.restore(before.watch.snapshot())
