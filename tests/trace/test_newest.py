"""How much is looked at for the newest stories: it follows their number, not that of the lines."""

from pathlib import Path

import pytest

from mailingest.stores.criteria import Criteria
from mailingest.stores.protocol import Found
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.trace.engine import _growth, trace
from tests.support.logs import documents_of, lines_of
from tests.support.stores import sqlite_reader

MAILS = 60
D = "relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1"


def log(is_deferred: bool) -> str:
    """Mails that are handed over, each fifth of them at the second try if so said."""
    lines = []
    for number in range(MAILS):
        at, queue_id = f"24T10:{number:02}", f"4F2A11E{number:04X}"
        to = f"{queue_id}: to=<bob@example.net>, {D}"
        lines += [
            f"{at}:00 mx1 postfix/smtpd: {queue_id}: client=pc.example.com[192.0.2.7]",
            f"{at}:00 mx1 postfix/qmgr: {queue_id}: from=<a@example.com>, size=5, nrcpt=1 "
            "(queue active)",
        ]
        if is_deferred:
            lines.append(f"{at}:01 mx1 postfix/smtp: {to}, dsn=4.0.0, status=deferred (later)")
        if not is_deferred or number % 5:
            lines.append(f"{at}:02 mx1 postfix/smtp: {to}, dsn=2.0.0, status=sent (250 Ok)")
    return "\n".join(lines)


class Asked(SqliteReader):
    """Knows how many events were asked for at once."""

    limits: list[int]

    async def find(self, criteria: Criteria, limit: int) -> Found:
        self.limits.append(limit)
        return await super().find(criteria, limit)


async def asked(directory: Path, is_deferred: bool, verdict: str, limit: int) -> list[int]:
    await (await sqlite_reader(directory, documents_of(lines_of(log(is_deferred))))).close()
    reader = Asked(directory, "mail")
    reader.limits = []
    result = await trace(reader, Criteria(verdicts=frozenset({verdict})), limit=limit)
    assert [story.verdict for story in result.stories] == [verdict] * limit
    assert result.has_enough
    return reader.limits


async def test_what_most_mails_have_is_found_by_the_lines_that_say_it(tmp_path: Path) -> None:
    assert await asked(tmp_path, False, "handed_over", 5) == [20]


async def test_what_few_of_the_lines_prove_is_looked_for_further(tmp_path: Path) -> None:
    # In the last 20 lines are two mails that wait: five take three times as many.
    assert await asked(tmp_path, True, "pending", 5) == [20, 62]


@pytest.mark.parametrize(
    ("settled", "growth"), [(0, 8), (1, 8), (10, 6.25), (25, 2.5), (49, 1.5), (50, 1.5)]
)
def test_the_fewer_were_found_the_more_is_looked_at(settled: int, growth: float) -> None:
    assert _growth(settled, 50) == growth
