"""Lines that are displaced, shuffled, late or lost make no verdict wrong: on a real log under load.

What is expected are the answers from the log as it was recorded, and what was seen outside of it.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson
import pytest

from mailingest.stores.criteria import Criteria
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.trace.answer import story_to_json
from mailingest.trace.engine import trace
from mailingest.trace.gathering import gather
from mailingest.trace.stories import build_stories
from tests.support.lab import TIMEZONE
from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import wait_until
from tests.support.lab.volume import Volume
from tests.support.logs import documents_of
from tests.support.site import Site

pytest_plugins = ["tests.support.lab.fixture"]
pytestmark = pytest.mark.lab

Row = dict[str, Any]
Lines = list[bytes]
Answers = Counter[tuple[object, ...]]
Disturb = Callable[[Sequence[bytes], random.Random], Lines]

_STAMP = 15
# Of these, only a session's lines tell, and those of one process and client cannot be told apart.
_OF_SESSIONS = {"not_accepted", "discarded", "held", "unknown"}
_LIVE_LINES = 8000
# No process begins two mails within so short a time.
_MICROSECONDS = 500
_QUEUE_ID = re.compile(rb"(?<![-0-9A-Za-z])[0-9A-F]{10,11}(?![-0-9A-Za-z])")


def rows_of(lines: Iterable[bytes]) -> list[Row]:
    events = [{**orjson.loads(one.body), "_id": one.id} for one in documents_of(lines)]
    return [story_to_json(story) for story in build_stories(gather(events))]


def answer_of(row: Mapping[str, Any]) -> tuple[object, ...]:
    chain = tuple(step["queue_id"] for step in row["chain"])
    keys = ["verdict", "temporary", "recipient", "original_recipient"]
    if row["verdict"] != "pending":
        # Of several tries within some seconds, the last one in the log is as good as any.
        keys += ["relay", "remote_queue_id"]
    return (chain, *(row[key] for key in keys), None if chain else row["sender"])


def answers_of(rows: Iterable[Row]) -> Answers:
    return Counter(map(answer_of, rows))


def wrong_among(rows: Iterable[Row], expected: Answers) -> list[tuple[object, ...]]:
    """Answers that claim something that the log as it was recorded does not say."""
    return [answer for answer in answers_of(rows) - expected if answer[1] != "unknown"]


def displaced(lines: Sequence[bytes], chance: random.Random) -> Lines:
    """Each line comes up to 200 places later."""
    places = [number + chance.uniform(0, 200) for number in range(len(lines))]
    return [line for _, line in sorted(zip(places, lines, strict=True))]


def shuffled(lines: Sequence[bytes], chance: random.Random) -> Lines:
    """Within each second."""
    found: Lines = []
    for _, group in groupby(lines, key=lambda line: line[:_STAMP]):
        second = list(group)
        chance.shuffle(second)
        found += second
    return found


def jittered(lines: Sequence[bytes], chance: random.Random) -> Lines:
    """A relay stamps each line up to two seconds off."""
    return [_moved(line, chance.randint(-2, 2)) for line in lines]


def late(lines: Sequence[bytes], chance: random.Random) -> Lines:
    """And up to two seconds late, in the order in which they came then."""
    return sorted((_moved(line, chance.randint(0, 2)) for line in lines), key=lambda one: one[:15])


def _time_of(line: bytes) -> datetime:
    stamp = f"2026 {line[:_STAMP].decode()}"
    return datetime.strptime(stamp, "%Y %b %d %H:%M:%S").replace(tzinfo=UTC)


def _moved(line: bytes, seconds: int) -> bytes:
    time = _time_of(line) + timedelta(seconds=seconds)
    return time.strftime("%b %e %H:%M:%S").encode() + line[_STAMP:]


@pytest.fixture(scope="module")
def lines(volume: Volume) -> Lines:
    return volume.log.splitlines()


@pytest.fixture(scope="module")
def rows(lines: Lines) -> list[Row]:
    return rows_of(lines)


def test_what_was_seen_outside_of_the_log_is_told(volume: Volume, rows: list[Row]) -> None:
    by_chain: dict[object, list[Row]] = defaultdict(list)
    for row in rows:
        by_chain[tuple(step["queue_id"] for step in row["chain"])].append(row)
    known = [ending for ending in volume.endings if ending.chain]
    assert len(known) > 1000
    untold = [
        ending
        for ending in known
        if not any(not ending.differences(row) for row in by_chain[ending.chain])
    ]
    assert not untold


@pytest.mark.parametrize(
    "disturb", [displaced, shuffled, jittered, late], ids=lambda disturb: disturb.__name__
)
def test_the_order_of_lines_makes_no_verdict_wrong(
    lines: Lines, rows: list[Row], disturb: Disturb
) -> None:
    expected = answers_of(rows)
    found = rows_of(disturb(lines, random.Random(1)))
    assert not wrong_among(found, expected)
    missing = expected - answers_of(found)
    assert not [answer for answer in missing if answer[1] not in _OF_SESSIONS]
    # `test_session_order` shows that these are the ones that nobody can decide.
    are_right_to_the_second = disturb in (displaced, shuffled)
    assert missing.total() < len(rows) / (100 if are_right_to_the_second else 10)


def test_a_line_of_a_hundred_that_is_lost_makes_no_verdict_wrong(
    lines: Lines, rows: list[Row]
) -> None:
    chance = random.Random(1)
    kept: Lines = []
    lost: Lines = []
    for line in lines:
        (kept if chance.random() > 0.01 else lost).append(line)
    true: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in rows:
        names = {row["recipient"], row["original_recipient"]} - {None}
        verdicts = {row["verdict"]}
        if row["verdict"] == "deleted" and any(map(partial(_is_deletion, row), lost)):
            # It is told as it was before: nothing else tells of the operator.
            verdicts.add("held")
        for step in row["chain"]:
            # A recipient that no line names any more was one of those.
            for name in ("", *names):
                true[step["queue_id"]] |= {(verdict, name.lower()) for verdict in verdicts}
    wrong = [
        row
        for row in rows_of(kept)
        for step in row["chain"][-1:]
        if row["verdict"] not in ("unknown", "not_accepted")
        and not (row["verdict"] == "pending" and row["note"])
        and (row["verdict"], (row["recipient"] or "").lower()) not in true[step["queue_id"]]
    ]
    assert not wrong


def _is_deletion(row: Row, line: bytes) -> bool:
    queue_id = row["chain"][-1]["queue_id"].encode()
    return b"/postsuper[" in line and line.endswith(b": " + queue_id + b": removed")


def with_reused_ids(lines: Sequence[bytes]) -> tuple[Lines, dict[str, str]]:
    """The log as if short queue IDs came again soon: 7 seconds after a mail is gone."""
    free: list[tuple[datetime, bytes]] = []
    names: dict[bytes, bytes] = {}
    found = []
    for line in lines:
        time = _time_of(line)
        for one in _QUEUE_ID.findall(line):
            if one not in names:
                names[one] = _free_id(one, time, free)
        if line.endswith(b": removed") and (one := _QUEUE_ID.search(line)) is not None:
            free.append((time, names[one[0]]))
        found.append(_QUEUE_ID.sub(lambda one: names[one[0]], line))
    return found, {old.decode(): new.decode() for old, new in names.items()}


def _free_id(queue_id: bytes, time: datetime, free: list[tuple[datetime, bytes]]) -> bytes:
    """One that is free again, of about the same microseconds, which an ID begins with."""
    for number, (since, one) in enumerate(free):
        is_near = abs(int(one[:5], 16) - int(queue_id[:5], 16)) < _MICROSECONDS
        if is_near and time - since > timedelta(seconds=7):
            return free.pop(number)[1]
    return queue_id


def test_a_queue_id_that_comes_again_is_another_mail(lines: Lines, rows: list[Row]) -> None:
    reused, names = with_reused_ids(lines)
    assert len(set(names.values())) < len(names) - 100
    expected: Answers = Counter()
    for answer, count in answers_of(rows).items():
        chain = tuple(names.get(one, one) for one in answer[0])  # type: ignore[attr-defined]
        expected[chain, *answer[1:]] += count
    for lines_then in (reused, shuffled(reused, random.Random(3))):
        assert not wrong_among(rows_of(lines_then), expected)


async def test_the_same_by_udp_into_the_daemon_and_its_store(lines: Lines, tmp_path: Path) -> None:
    part = lines[:_LIVE_LINES]
    expected = answers_of(rows_of(part))
    site = Site(tmp_path, f'[syslog]\ntimezone = "{TIMEZONE}"\n')

    def has_stored(count: int) -> bool:
        return site.count_stored() >= count

    disturbed = [line.decode("latin-1") for line in displaced(part, random.Random(4))]
    with Daemon(site.config):
        for start in range(0, len(part), 500):
            site.send_udp(*disturbed[start : start + 500])
            # The socket of the daemon may hold no more.
            wait_until(partial(has_stored, start), "what was sent before is stored")
    assert site.count_stored() == len(part)
    result = await trace(SqliteReader(site.state / "mail", "mail"), Criteria(), limit=0)
    assert not wrong_among(map(story_to_json, result.stories), expected)
