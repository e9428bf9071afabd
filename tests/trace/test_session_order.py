"""Lines of one second in any order: what all orders that may have been agree on is told."""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, permutations, product
from typing import Any

import orjson
import pytest

from mailingest.trace.answer import story_to_json
from mailingest.trace.gathering import gather
from mailingest.trace.stories import build_stories
from tests.support.logs import documents_of

CLIENT = "client.example.org[192.0.2.5]"
OTHER = "other.example.org[192.0.2.6]"


def line(second: int, program: str, text: str) -> str:
    return f"Nov 24 15:{second // 60:02}:{second % 60:02} mx1 postfix/{program}[551]: {text}"


def begin(second: int, client: str = CLIENT) -> str:
    return line(second, "smtpd", f"connect from {client}")


def accept(second: int, queue_id: str, client: str = CLIENT) -> str:
    return line(second, "smtpd", f"{queue_id}: client={client}")


def intent(second: int, what: str = "discard", name: str = "ann", client: str = CLIENT) -> str:
    told = f"NOQUEUE: {what}: RCPT from {client}: <bob@example.net>: Recipient address {what}"
    return line(
        second, "smtpd", f"{told}; from=<{name}@example.org> to=<bob@example.net> proto=ESMTP"
    )


def refuse(second: int, queue_id: str) -> str:
    told = f"{queue_id}: reject: RCPT from {CLIENT}: 554 5.7.1 <eve@example.net>: Access denied"
    return line(second, "smtpd", f"{told}; from=<x@example.org> to=<eve@example.net> proto=ESMTP")


def end(second: int, counts: str, client: str = CLIENT) -> str:
    return line(second, "smtpd", f"disconnect from {client} {counts}")


def sent(second: int, queue_id: str) -> Iterator[str]:
    yield line(
        second, "qmgr", f"{queue_id}: from=<x@example.org>, size=800, nrcpt=1 (queue active)"
    )
    relay = "relay=mx.example.net[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0"
    yield line(second, "smtp", f"{queue_id}: to=<c@example.net>, {relay}, status=sent (250 Ok)")
    yield line(second, "qmgr", f"{queue_id}: removed")


# That the lines of this host are displaced, and not by whole seconds.
DISPLACED = [
    each
    for number in range(60)
    for each in (
        begin(number, OTHER),
        line(
            number, "qmgr", f"0{number:04X}4: from=<x@example.org>, size=8, nrcpt=1 (queue active)"
        ),
        accept(number, f"0{number:04X}4", OTHER),
        *list(sent(number, f"0{number:04X}4"))[1:],
        end(number, "ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5", OTHER),
    )
]
# The first five digits are the microseconds: .065536 .131072 .196608 of the second.
FIRST, SECOND, THIRD = "10000AB1", "20000AB2", "30000AB3"
AT = 60


def answers(lines: Sequence[str], seed: int) -> dict[str, str]:
    """The verdict of each queue ID, from a log whose lines are shuffled within each second."""
    chance = random.Random(seed)
    shuffled: list[str] = []
    for _, group in groupby([*DISPLACED, *lines], key=lambda each: each[:15]):
        second = list(group)
        # Where displacement is to be seen, it stays.
        if not second[0].startswith("Nov 24 15:00"):
            chance.shuffle(second)
        shuffled += second
    documents = documents_of([each.encode() for each in shuffled])
    events = [{**orjson.loads(one.body), "_id": one.id} for one in documents]
    rows: list[dict[str, Any]] = [story_to_json(one) for one in build_stories(gather(events))]
    mails = [row for row in rows if row["chain"] and row["verdict"] != "rejected"]
    found = {row["chain"][-1]["queue_id"]: row["verdict"] for row in mails}
    return {one: verdict for one, verdict in found.items() if "AB" in one}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(
            [
                begin(AT),
                intent(AT),
                accept(AT, FIRST),
                accept(AT, SECOND),
                *sent(AT, SECOND),
                accept(AT, THIRD),
                line(AT, "smtpd", f"lost connection after DATA (73 bytes) from {CLIENT}"),
                end(AT, "ehlo=1 mail=3 rcpt=3 data=2/3 commands=9/10"),
            ],
            {FIRST: "discarded", SECOND: "handed_over", THIRD: "not_accepted"},
            id="the last mail is the one that was broken off",
        ),
        pytest.param(
            [
                begin(AT),
                intent(AT),
                accept(AT, FIRST),
                end(AT, "ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5"),
                begin(AT),
                accept(AT, SECOND),
                *sent(AT, SECOND),
                accept(AT, THIRD),
                end(AT, "ehlo=1 mail=2 rcpt=2 data=1/2 commands=6/7"),
            ],
            {FIRST: "discarded", SECOND: "handed_over", THIRD: "not_accepted"},
            id="two sessions, of which one had two mails",
        ),
        pytest.param(
            [
                begin(AT),
                accept(AT, FIRST),
                *sent(AT, FIRST),
                intent(AT + 1),
                accept(AT + 2, SECOND),
                accept(AT + 3, THIRD),
                end(AT + 3, "ehlo=1 mail=3 rcpt=3 data=2 rset=1 quit=1 commands=9"),
            ],
            {FIRST: "handed_over", SECOND: "discarded", THIRD: "not_accepted"},
            id="what is said a second before a mail is not about the next one",
        ),
        pytest.param(
            [
                begin(AT),
                intent(AT),
                accept(AT, FIRST),
                accept(AT, SECOND),
                end(AT, "ehlo=1 mail=2 rcpt=2 data=1 rset=1 quit=1 commands=7"),
            ],
            {FIRST: "unknown", SECOND: "unknown"},
            id="either of them may have been reset",
        ),
        pytest.param(
            [
                begin(AT),
                intent(AT),
                accept(AT, FIRST),
                accept(AT, SECOND),
                end(AT, "ehlo=1 mail=3 rcpt=3 data=2 rset=1 quit=1 commands=9"),
            ],
            {FIRST: "unknown", SECOND: "unknown"},
            id="a queue ID is missing",
        ),
    ],
)
def test_what_all_orders_have_in_common_is_told(
    lines: Sequence[str], expected: dict[str, str], seed: int
) -> None:
    assert answers(lines, seed) == expected


@dataclass(frozen=True)
class Counts:
    """What the end of a session counts: mails begun and completed, RSET, recipients refused."""

    mail: int
    data: int
    rset: int
    refused: int

    def line(self) -> str:
        rset = f" rset={self.rset}" if self.rset else ""
        rcpt = f"{self.mail}/{self.mail + self.refused}" if self.refused else f"{self.mail}"
        return end(AT, f"ehlo=1 mail={self.mail} rcpt={rcpt} data={self.data}{rset} commands=9")


Row = Sequence[tuple[str, bool, int]]
"""Queue IDs in their order, whether other lines tell that the mail was taken, and how many of its
recipients were refused under its queue ID.
"""


def truths(sessions: Sequence[Counts], row: Row, intents: int) -> dict[str, set[str]]:
    """All that may have become of mails, by trying out whatever leaves the same counts."""
    found: dict[str, set[str]] = defaultdict(set)
    for order in permutations(sessions):
        for sizes in product(*(range(one.data, one.mail + 1) for one in order)):
            if sum(sizes) != len(row):
                continue
            rest = iter(row)
            parts = [[next(rest) for _ in range(size)] for size in sizes]
            ways = [list(outcomes(one, part)) for one, part in zip(order, parts, strict=True)]
            is_spare = any(len(part) < one.mail for one, part in zip(order, parts, strict=True))
            for way in product(*ways):
                verdicts = {queue_id: verdict for part in way for queue_id, verdict in part}
                discarded = list(verdicts.values()).count("discarded")
                # An intention is about a mail that was completed, given up, or got no queue ID.
                has_place = is_spare or any(one != "handed_over" for one in verdicts.values())
                if discarded <= intents and (has_place or not intents):
                    for queue_id, verdict in verdicts.items():
                        found[queue_id].add(verdict)
    return found


def outcomes(counts: Counts, part: Row) -> Iterator[list[tuple[str, str]]]:
    if sum(refused for *_, refused in part) > counts.refused:
        return
    undecided = [queue_id for queue_id, is_taken, _ in part if not is_taken]
    missing = counts.data - (len(part) - len(undecided))
    for some in combinations(undecided, missing) if missing >= 0 else ():
        given_up = [one for one in undecided if one not in some]
        if counts.rset or all(one == part[-1][0] for one in given_up):
            verdict = {one: "discarded" if one in some else "not_accepted" for one in undecided}
            yield [(queue_id, verdict.get(queue_id, "handed_over")) for queue_id, *_ in part]


@pytest.mark.parametrize("seed", range(60))
def test_what_is_unknown_is_what_several_histories_may_have_left(seed: int) -> None:
    chance = random.Random(seed)
    lines: list[str] = []
    row: list[tuple[str, bool, int]] = []
    sessions: list[Counts] = []
    intents = 0
    for _ in range(chance.choice((2, 3))):
        kinds = [
            chance.choice(["taken", "taken", "reset", "discarded"])
            for _ in range(chance.choice((1, 2)))
        ]
        if chance.random() < 0.3:
            kinds[-1] = "lost"
        lines.append(begin(AT))
        refused = 0
        for number, kind in enumerate(kinds):
            if kind == "discarded" and intents:
                kinds[number] = kind = "taken"
            queue_id = f"{(len(row) + 1) << 16:05X}AB{len(row)}"
            if kind == "discarded":
                lines.append(intent(AT))
                intents += 1
            lines.append(accept(AT, queue_id))
            lines += sent(AT, queue_id) if kind == "taken" else ()
            # Of a recipient that is refused before there is a queue ID, nobody knows whose it was.
            early, late = chance.choice([(0, 0), (0, 0), (0, 1), (1, 0)])
            lines += [refuse(AT, "NOQUEUE")] * early + [refuse(AT, queue_id)] * late
            refused += early + late
            row.append((queue_id, kind == "taken", late))
        completed = sum(kind in ("taken", "discarded") for kind in kinds)
        sessions.append(Counts(len(kinds), completed, kinds.count("reset"), refused))
        lines.append(sessions[-1].line())
    expected = {
        queue_id: verdicts.pop() if len(verdicts) == 1 else "unknown"
        for queue_id, verdicts in truths(sessions, row, intents).items()
    }
    assert answers(lines, seed) == expected
