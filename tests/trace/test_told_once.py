"""The invariant: each queue ID, recipient line and refusal of a log is told in exactly one answer.

Held to logs that a site could have, and worse: several mails with one Message-ID within a second,
filters that name queue IDs and such that do not, aliases, pipes, requeued mails, circles, lost and
displaced lines.
"""

# Long lines are log lines.
# ruff: noqa: E501

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailingest.stores.events import StoredEvent
from tests.support.logs import documents_of, events_of
from tests.support.told import faults_of

GOLDENS = sorted((Path(__file__).parents[1] / "goldens").glob("*.log"))
FIELD_CASES = sorted((Path(__file__).parents[1] / "data" / "field-cases").glob("*.jsonl"))

IDS = [f"AAAAAA{number}" for number in range(1, 7)]
MESSAGE_IDS = ["one@example.com", "two@example.com"]
RECIPIENTS = ["bob@example.net", "bob+spam@example.net", "eve@example.net", "root@mx1"]
SECONDS = st.integers(0, 3)
FILTER_IDS = ["20A9560092030F3374", "20A9560092030F3375"]

# What begins a queue ID, without the Message-ID.
BEGINNINGS = [
    "smtpd: {id}: client=pc.example.com[192.0.2.7], sasl_method=PLAIN, sasl_username=ann",
    "smtpd: {id}: client=localhost[127.0.0.1]",
    "smtpd: {id}: client=localhost[127.0.0.1], orig_queue_id={other}, orig_client=pc[192.0.2.7]",
    "smtpd: {id}: client=mx1[192.0.2.1]",
    "pickup: {id}: uid=0 from=<root>",
    "pickup: {id}: uid=119 from=<ann@example.com> orig_id={other}",
    "",
]
D = "delay=1, delays=0/0/0/1, dsn=2.0.0"
DELIVERIES = [
    "smtp: {id}: to=<{to}>{orig}, relay=127.0.0.1[127.0.0.1]:10024, {D}, status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as {other})",
    "smtp: {id}: to=<{to}>{orig}, relay=127.0.0.1[127.0.0.1]:10026, {D}, status=sent (250 Ok)",
    "smtp: {id}: to=<{to}>{orig}, relay=mbox[192.0.2.2]:25, {D}, status=sent (250 2.0.0 Ok: queued as {other})",
    "smtp: {id}: to=<{to}>{orig}, relay=mx.example.net[198.51.100.9]:25, {D}, status=sent (250 2.0.0 Ok: queued as 4XYZQ1)",
    "smtp: {id}: to=<{to}>{orig}, relay=none, {D}, status=deferred (connect to mx: Connection timed out)",
    "smtp: {id}: to=<{to}>{orig}, relay=mx[198.51.100.9]:25, {D}, status=bounced (550 no)",
    "local: {id}: to=<{to}>{orig}, relay=local, {D}, status=sent (forwarded as {other})",
    "local: {id}: to=<{to}>{orig}, relay=local, {D}, status=sent (delivered to mailbox)",
    "pipe: {id}: to=<{to}>{orig}, relay=spamassassin, {D}, status=sent (delivered via spamassassin service)",
    "pipe: {id}: to=<{to}>{orig}, relay=dovecot, {D}, status=sent (delivered via dovecot service)",
    "lmtp: {id}: to=<{to}>{orig}, relay=mx1[private/lmtp], {D}, status=sent (250 2.0.0 <{to}> abcdefgh Saved)",
    "lmtp: {id}: to=<{to}>{orig}, relay=127.0.0.1[127.0.0.1]:10024, {D}, status=sent (250 2.5.0 OK ({filter_id}))",
    "discard: {id}: to=<{to}>{orig}, relay=none, {D}, status=sent (silently)",
    "smtp: {id}: to=<{to}>{orig}, relay=mx[198.51.100.9]:25, {D}, status=deliverable (250 Ok)",
]
OTHERS = [
    "postsuper: {id}: requeued",
    "postsuper: {id}: removed",
    "postsuper: {id}: placed on hold",
    "qmgr: {id}: removed",
    "qmgr: {id}: from=<ann@example.com>, status=expired, returned to sender",
    "bounce: {id}: sender non-delivery notification: {other}",
    "cleanup: {id}: reject: header Subject: x from pc[192.0.2.7]; from=<a@example.com> to=<{to}> proto=ESMTP helo=<pc>: 5.7.1 no",
    "cleanup: {id}: hold: header Subject: x from pc[192.0.2.7]; from=<a@example.com> to=<{to}> proto=ESMTP helo=<pc>: no",
    "smtpd: NOQUEUE: hold: RCPT from pc[192.0.2.7]: <a@example.com>: Sender address on hold; from=<a@example.com> to=<{to}> proto=ESMTP helo=<pc>",
    "smtpd: NOQUEUE: filter: RCPT from pc[192.0.2.7]: <a@example.com>: Sender address triggers FILTER smtp:[127.0.0.1]:10024; from=<a@example.com> to=<{to}> proto=ESMTP helo=<pc>",
    "smtpd: NOQUEUE: reject: RCPT from pc[192.0.2.7]: 450 4.2.0 <{to}>: Greylisted; from=<ann@example.com> to=<{to}> proto=ESMTP helo=<pc>",
    "smtpd: {id}: reject: RCPT from pc[192.0.2.7]: 550 5.1.1 <{to}>: no; from=<ann@example.com> to=<{to}> proto=ESMTP helo=<pc>",
    "smtpd: {id}: reject: DATA from pc[192.0.2.7]: 550 5.5.0 <DATA>: no; from=<ann@example.com> to=<{to}> proto=ESMTP helo=<pc>",
    "smtpd: lost connection after DATA from pc.example.com[192.0.2.7]",
]


@dataclass
class Mails:
    """Lines of a log, and what filters say in none of Postfix's lines."""

    lines: list[tuple[int, str]] = field(default_factory=list)
    filter_lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def events(self) -> list[StoredEvent]:
        log = "\n".join(f"24T10:00:{second:02d} {text}" for second, text in self.lines)
        return [*events_of(log), *self.filter_lines]


def filter_line(number: int, second: int, **fields: str) -> dict[str, Any]:
    return {
        "_id": f"filter-{number}",
        "@timestamp": f"2026-11-24T10:00:{second:02d}.000Z",
        "host": "mx1",
        "program": "checker",
        "pid": "5",
        "message": f"a line of a filter, {number}",
        "program_kind": "filter",
        **fields,
    }


@st.composite
def mails(draw: st.DrawFn) -> Mails:
    found = Mails()

    def values(queue_id: str) -> dict[str, str]:
        orig = draw(st.sampled_from(["", "", ", orig_to=<all@example.net>"]))
        return {
            "id": queue_id,
            "other": draw(st.sampled_from(IDS)),
            "to": draw(st.sampled_from(RECIPIENTS)),
            "orig": orig,
            "D": D,
            "filter_id": draw(st.sampled_from(FILTER_IDS)),
        }

    for queue_id in draw(st.lists(st.sampled_from(IDS), min_size=1, max_size=6)):
        host = draw(st.sampled_from(["mx1", "mx1", "mx1", "mbox"]))
        tag = f"{host} postfix/"
        begun = draw(SECONDS)
        beginning = draw(st.sampled_from(BEGINNINGS))
        if beginning:
            found.lines.append((begun, tag + beginning.format(**values(queue_id))))
        if draw(st.integers(0, 5)):
            message_id = draw(st.sampled_from(MESSAGE_IDS))
            found.lines.append((begun, f"{tag}cleanup: {queue_id}: message-id=<{message_id}>"))
        if draw(st.integers(0, 5)):
            size, nrcpt = draw(st.integers(1, 3)) * 500, draw(st.integers(1, 3))
            found.lines.append(
                (
                    begun,
                    f"{tag}qmgr: {queue_id}: from=<ann@example.com>, size={size}, nrcpt={nrcpt} (queue active)",
                )
            )
        for text in draw(st.lists(st.sampled_from(DELIVERIES), max_size=3)):
            found.lines.append((begun + draw(SECONDS), tag + text.format(**values(queue_id))))
        for text in draw(st.lists(st.sampled_from(OTHERS), max_size=2)):
            found.lines.append((begun + draw(SECONDS), tag + text.format(**values(queue_id))))
    for number in range(draw(st.integers(0, 3))):
        fields = draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "postfix_queueid": st.sampled_from(IDS),
                    "postfix_remote_queueid": st.sampled_from(IDS),
                    "filter_id": st.sampled_from(FILTER_IDS),
                    "filter_action": st.sampled_from(["accept", "block", "quarantine"]),
                    "postfix_to": st.sampled_from(RECIPIENTS),
                },
            )
        )
        found.filter_lines.append(filter_line(number, draw(SECONDS), **fields))
    if draw(st.booleans()):
        found.lines.sort(key=lambda line: line[0])
    else:
        random.Random(draw(st.integers(0, 99))).shuffle(found.lines)
    return found


@settings(max_examples=300)
@given(mails=mails())
def test_each_queue_id_recipient_and_refusal_is_told_in_one_answer(mails: Mails) -> None:
    assert faults_of(mails.events) == []


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_of_the_goldens_all_is_told_once(path: Path) -> None:
    documents = documents_of(path.read_bytes().splitlines())
    assert faults_of([{**orjson.loads(one.body), "_id": one.id} for one in documents]) == []


@pytest.mark.parametrize("path", FIELD_CASES, ids=lambda path: path.stem)
def test_of_the_field_cases_all_is_told_once(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        case = orjson.loads(line)
        documents = documents_of([one.encode() for one in case["lines"]])
        events = [{**orjson.loads(one.body), "_id": one.id} for one in documents]
        assert faults_of(events) == [], case["id"]
