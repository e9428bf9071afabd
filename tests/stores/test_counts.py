"""The counts of an overview: one suite for the embedded store and for servers."""

import sqlite3
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from mailingest.documents import Document
from mailingest.errors import StoreUnavailable
from mailingest.postfix.completion import stored_outcome
from mailingest.postfix.outcome import OUTCOMES
from mailingest.stores.counts import Counts, TimeBuckets
from mailingest.stores.sqlite import summary
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.writer import SqliteWriter
from tests.support.logs import documents_of, lines_of
from tests.support.stores import MakeCountingReader, sqlite_reader

# Long lines are log lines.
# ruff: noqa: E501

MIDNIGHT = 1_795_478_400  # 24 November 2026, UTC
DAY = TimeBuckets(MIDNIGHT, 3600, 24)
D = "delay=1, delays=0.1/0.2/0.3/0.4"
REMOTE = f"relay=mx.example.net[198.51.100.9]:25, {D}"
SESSION = "from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<pc>"

LOG = f"""
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7]
24T10:00:00 mx1 postfix/qmgr: AAAAAA1: from=<ann@example.com>, size=500, nrcpt=2 (queue active)
24T10:09:59 mx1 postfix/smtp: AAAAAA1: to=<bob@example.net>, {REMOTE}, dsn=2.0.0, status=sent (250 Ok: queued as 4XYZQ1)
24T10:09:59 mx1 postfix/smtp: AAAAAA1: to=<eve@example.net>, {REMOTE}, dsn=4.2.2, status=deferred (host mx.example.net[198.51.100.9] said: 452 4.2.2 <eve@example.net>: Mailbox full (in reply to RCPT TO command))
24T11:10:00 mx1 postfix/smtp: AAAAAA1: to=<eve@example.net>, {REMOTE}, dsn=4.2.2, status=deferred (host mx.example.net[198.51.100.9] said: 452 4.2.2 <Eve@example.net>: Mailbox full (in reply to RCPT TO command))
24T12:20:00 mx1 postfix/qmgr: AAAAAA1: from=<ann@example.com>, status=expired, returned to sender
24T13:00:00 mx1 postfix/smtpd: NOQUEUE: reject: RCPT from pc.example.com[192.0.2.7]: 550 5.1.1 <no@example.com>: Recipient address rejected: User unknown in relay recipient table; {SESSION}
24T23:59:59 mx1 postfix/smtp: AAAAAA2: to=<bob@example.net>, {REMOTE}, dsn=5.0.0, status=bounced (connect to mx.example.net[198.51.100.9]:25: Connection refused)
25T00:00:00 mx1 postfix/pickup: AAAAAA3: uid=0 from=<root>
"""
KINDS_OF_LINES = f"""
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7], sasl_method=PLAIN, sasl_username=ann
24T10:00:00 mx1 postfix/smtpd: AAAAAA2: client=localhost[127.0.0.1]
24T10:00:00 mx1 postfix/smtpd: AAAAAA3: client=localhost[127.0.0.1], sasl_method=PLAIN, sasl_username=ann
24T10:00:00 mx1 postfix/smtpd: AAAAAA4: client=localhost[127.0.0.1], orig_queue_id=AAAAAA1, orig_client=pc.example.com[192.0.2.7]
24T10:00:00 mx1 postfix/smtpd: AAAAAA5: client=localhost[127.0.0.1], orig_client=pc.example.com[192.0.2.7]
24T10:00:00 mx1 postfix/smtpd: NOQUEUE: client=pc.example.com[192.0.2.7]
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: reject: RCPT from pc.example.com[192.0.2.7]: 450 4.7.1 no; {SESSION}
24T10:00:00 mx1 postfix/smtpd: NOQUEUE: reject_warning: RCPT from pc.example.com[192.0.2.7]: 450 4.7.1 no; {SESSION}
24T10:00:00 mx1 postfix/smtpd: NOQUEUE: milter-reject: RCPT from pc.example.com[192.0.2.7]: 451 4.7.1 not now; {SESSION}
24T10:00:00 mx1 postfix/smtpd: NOQUEUE: discard: RCPT from pc.example.com[192.0.2.7]: <b@example.net>: Recipient address; {SESSION}
24T10:00:00 mx1 postfix/smtpd: proxy-reject: END-OF-MESSAGE: 554 5.7.1 spam; {SESSION}
24T10:00:00 mx1 postfix/smtpd: proxy-accept: END-OF-MESSAGE: 250 2.0.0 Ok; {SESSION}
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: lost connection after DATA (5 bytes) from pc.example.com[192.0.2.7]
24T10:00:00 mx1 postfix/smtpd: connect from pc.example.com[192.0.2.7]
24T10:00:00 mx1 postfix/qmqpd: AAAAAA6: client=pc.example.com[192.0.2.7]
24T10:00:00 mx1 postfix/postscreen: NOQUEUE: reject: RCPT from [192.0.2.7]:49152: 550 5.7.1 Service unavailable; client [192.0.2.7] blocked using zen.example.com; from=<a@example.org>, to=<b@example.net>, proto=ESMTP, helo=<pc>
24T10:00:00 mx1 postfix/postscreen: NOQUEUE: reject: CONNECT from [192.0.2.7]:49152: all screening ports busy
24T10:00:00 mx1 postfix/pickup: AAAAAA7: uid=0 from=<root>
24T10:00:00 mx1 postfix/pickup: AAAAAA8: uid=0 from=<root> orig_id=AAAAAA7
24T10:00:00 mx1 postfix/cleanup: AAAAAA7: message-id=<one@example.com>
24T10:00:00 mx1 postfix/cleanup: AAAAAA7: milter-reject: END-OF-MESSAGE from pc.example.com[192.0.2.7]: 5.7.1 virus; {SESSION}
24T10:00:00 mx1 postfix/cleanup: AAAAAA7: milter-discard: END-OF-MESSAGE from pc.example.com[192.0.2.7]: milter triggers DISCARD action; {SESSION}
24T10:00:00 mx1 postfix/cleanup: AAAAAA7: reject: header Subject: secret plan from pc.example.com[192.0.2.7]; {SESSION}: 5.7.1 not here
24T10:00:00 mx1 postfix/cleanup: AAAAAA7: warning: header Subject: x from pc.example.com[192.0.2.7]; {SESSION}: seen
24T10:00:00 mx1 postfix/cleanup: AAAAAA7: hold: header Subject: x from pc.example.com[192.0.2.7]; {SESSION}: kept
24T10:00:01 mx1 postfix/smtp: AAAAAA1: to=<b@example.net>, relay=127.0.0.1[127.0.0.1]:10024, {D}, dsn=2.0.0, status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as AAAAAA4)
24T10:00:01 mx1 postfix/smtp: AAAAAA1: to=<b@example.net>, relay=::1[::1]:10024, {D}, dsn=2.0.0, status=sent (250 2.0.0 taken)
24T10:00:01 mx1 postfix/smtp: AAAAAA1: to=<b@example.net>, relay=127.0.0.1[127.0.0.1]:10024, {D}, dsn=2.7.0, status=sent (250 2.7.0 Ok, discarded, id=1-01 - spam)
24T10:00:01 mx1 postfix/smtp: AAAAAA1: to=<b@example.net>, relay=127.0.0.1[127.0.0.1]:10024, {D}, dsn=2.5.0, status=sent (250 2.5.0 Ok, id=1-01, BOUNCE)
24T10:00:01 mx1 postfix/lmtp: AAAAAA1: to=<b@example.net>, relay=127.0.0.1[127.0.0.1]:24, {D}, dsn=2.0.0, status=sent (250 2.0.0 <b@example.net> qYyyBMsl9FRuZQAA15QOA Saved)
24T10:00:01 mx1 postfix/lmtp: AAAAAA1: to=<b@example.net>, relay=mx1[private/dovecot-lmtp], {D}, dsn=2.0.0, status=sent (250 2.0.0 <b@example.net> qYyyBMsl9FRuZQAA15QOA Saved)
24T10:00:01 mx1 postfix/local: AAAAAA1: to=<b@example.net>, relay=local, {D}, dsn=2.0.0, status=sent (delivered to mailbox)
24T10:00:01 mx1 postfix/local: AAAAAA1: to=<b@example.net>, relay=local, {D}, dsn=2.0.0, status=sent (forwarded as AAAAAA9)
24T10:00:01 mx1 postfix/discard: AAAAAA1: to=<b@example.net>, relay=none, {D}, dsn=2.0.0, status=sent (gone)
24T10:00:01 mx1 postfix/error: AAAAAA1: to=<b@example.net>, relay=none, {D}, dsn=5.0.0, status=bounced (User unknown)
24T10:00:01 mx1 postfix/smtp: AAAAAA1: to=<b@example.net>, relay=mx[198.51.100.9]:25, {D}, dsn=2.0.0, status=deliverable (250 Ok)
24T10:00:01 mx1 postfix/smtp: AAAAAA1: to=<b@example.net>, relay=mx[198.51.100.9]:25, {D}, dsn=5.0.0, status=undeliverable (550 no)
24T10:00:01 mx1 postfix/qmgr: AAAAAA1: from=<a@example.com>, status=force-expired, returned to sender
24T10:00:02 mx1 postfix/qmgr: AAAAAA1: removed
24T10:00:02 mx1 opendkim: AAAAAA1: mail.example.org [192.0.2.5] not internal
24T10:00:02 mx1 cron: hello
"""


def by_bucket(counts: Counts) -> dict[str, dict[int, int]]:
    """Outcomes and time buckets that something was counted in."""
    return {
        outcome: found
        for outcome, buckets in counts.volume.items()
        if (found := {bucket: count for bucket, count in enumerate(buckets) if count})
    }


async def test_each_line_counts_once_in_its_bucket(
    make_counting_reader: MakeCountingReader,
) -> None:
    counts = await (await make_counting_reader(LOG)).counts(DAY)
    assert by_bucket(counts) == {
        "received": {10: 1},
        "sent": {10: 1},
        "deferred": {10: 1, 11: 1},
        "expired": {12: 1},
        "rejected": {13: 1},
        "bounced": {23: 1},
    }
    assert counts.sent_bytes == 500
    assert not counts.is_partial
    assert not counts.why


async def test_reasons_are_counted_together_whoever_they_are_about(
    make_counting_reader: MakeCountingReader,
) -> None:
    counts = await (await make_counting_reader(LOG)).counts(DAY)
    assert {outcome: dict(found) for outcome, found in counts.reasons.items() if found} == {
        "deferred": {"452 4.2.2 *: Mailbox full": 2},
        "expired": {"expired": 1},
        "rejected": {
            "550 5.1.1 *: Recipient address rejected: User unknown in relay recipient table": 1
        },
        "bounced": {"connect to *: Connection refused": 1},
    }


@pytest.mark.parametrize(
    ("buckets", "found"),
    [
        pytest.param(
            TimeBuckets(MIDNIGHT + 10 * 3600, 600, 1),
            {"received": {0: 1}, "sent": {0: 1}, "deferred": {0: 1}},
            id="a bucket has its first second and its last",
        ),
        pytest.param(
            TimeBuckets(MIDNIGHT - 1800, 86_400, 2),
            {
                "received": {0: 1, 1: 1},
                "sent": {0: 1},
                "deferred": {0: 2},
                "expired": {0: 1},
                "rejected": {0: 1},
                "bounced": {1: 1},
            },
            id="days that do not begin at midnight UTC, of two files",
        ),
        pytest.param(TimeBuckets(MIDNIGHT - 86_400, 3600, 24), {}, id="a time without lines"),
    ],
)
async def test_lines_are_counted_in_their_buckets(
    make_counting_reader: MakeCountingReader, buckets: TimeBuckets, found: dict[str, dict[int, int]]
) -> None:
    counts = await (await make_counting_reader(LOG)).counts(buckets)
    assert by_bucket(counts) == found


async def test_an_empty_store_has_no_counts(make_counting_reader: MakeCountingReader) -> None:
    counts = await (await make_counting_reader("")).counts(DAY)
    assert by_bucket(counts) == {}
    assert not counts.is_partial


async def test_every_store_counts_a_line_as_the_rules_say(
    make_counting_reader: MakeCountingReader,
) -> None:
    expected = dict.fromkeys(OUTCOMES, 0)
    for document in documents_of(lines_of(KINDS_OF_LINES + LOG)):
        outcome = stored_outcome(document.fields)
        if outcome is not None:
            expected[outcome] += 1
    assert min(expected.values()) > 0
    store = await make_counting_reader(KINDS_OF_LINES + LOG)
    counts = await store.counts(TimeBuckets(MIDNIGHT, 3600, 48))
    assert {outcome: sum(lines) for outcome, lines in counts.volume.items()} == expected


# The embedded store's table


def old_file(path: Path, documents: list[Document]) -> None:
    """A file as an earlier version left it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE documents (id TEXT PRIMARY KEY NOT NULL, time INTEGER NOT NULL, "
            'body TEXT NOT NULL, "postfix_queueid" TEXT, "postfix_to" TEXT, "postfix_orig_to" TEXT,'
            ' "postfix_from" TEXT, "postfix_message-id" TEXT, "linked" TEXT)'
        )
        connection.execute("CREATE INDEX by_time ON documents(time)")
        for one in documents:
            connection.execute(
                "INSERT INTO documents (id, time, body) VALUES (?, ?, ?)",
                [one.id, one.seconds, one.body.decode()],
            )
        connection.execute("PRAGMA user_version = 1")
        connection.commit()


async def test_a_document_that_comes_again_is_not_counted_again(tmp_path: Path) -> None:
    documents = documents_of(lines_of(LOG))
    writer = SqliteWriter(tmp_path)
    await writer.open()
    for batch in (documents[:3], documents[:5], documents, documents + documents):
        await writer.write(batch)
    await writer.close()
    counts = await SqliteReader(tmp_path, "mail").counts(DAY)
    expected = await (await sqlite_reader(tmp_path / "once", documents)).counts(DAY)
    assert counts == expected
    assert counts.total(*OUTCOMES) == 7


async def test_a_file_of_an_earlier_version_is_read_and_said_to_be_partial(tmp_path: Path) -> None:
    old_file(tmp_path / "mail-2026.11.24.sqlite", documents_of(lines_of(LOG))[:4])
    counts = await SqliteReader(tmp_path, "mail").counts(DAY)
    assert by_bucket(counts) == {}
    assert counts.is_partial


async def test_a_file_of_an_earlier_version_counts_from_now_on(tmp_path: Path) -> None:
    documents = documents_of(lines_of(LOG))
    old_file(tmp_path / "mail-2026.11.24.sqlite", documents[:4])
    writer = SqliteWriter(tmp_path)
    await writer.open()
    await writer.write(documents)
    await writer.close()
    reader = SqliteReader(tmp_path, "mail")
    counts = await reader.counts(DAY)
    assert by_bucket(counts) == {
        "deferred": {11: 1},
        "expired": {12: 1},
        "rejected": {13: 1},
        "bounced": {23: 1},
    }
    assert counts.is_partial
    later = await reader.counts(TimeBuckets(MIDNIGHT + 11 * 3600, 3600, 13))
    assert not later.is_partial


async def test_endless_reasons_are_bounded_and_the_frequent_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "_REASONS_KEPT", 3)
    writer = SqliteWriter(tmp_path)
    await writer.open()
    for number in range(50):
        reasons = ["often", f"once {number}", "often"]
        await writer.write(
            [
                Document(
                    "mail-2026.11.24",
                    f"{number:03}-{place}",
                    orjson.dumps({}),
                    MIDNIGHT + number,
                    {"program_kind": "postfix", "outcome": "deferred", "postfix_reason": reason},
                )
                for place, reason in enumerate(reasons)
            ]
        )
    await writer.close()
    with closing(sqlite3.connect(tmp_path / "mail-2026.11.24.sqlite")) as connection:
        rows = connection.execute("SELECT reason, count FROM summary").fetchall()
    assert len(rows) <= 2 * 3 + 1
    assert dict(rows)["often"] == 100
    assert sum(count for _, count in rows) == 150


async def test_counts_of_files_that_cannot_be_read_are_not_zero(tmp_path: Path) -> None:
    (tmp_path / "mail-2026.11.24.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        await SqliteReader(tmp_path, "mail").counts(DAY)
