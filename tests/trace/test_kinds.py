"""What a program is on a mail's way decides what its lines may say; and documents of before."""

# Long lines are log lines.
# ruff: noqa: E501

from pathlib import Path
from typing import Any

import orjson
import pytest

from mailingest.config import Settings
from mailingest.documents import Document
from mailingest.stores.criteria import Criteria
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.writer import SqliteWriter
from mailingest.trace.answer import story_to_json
from mailingest.trace.engine import trace
from mailingest.trace.gathering import gather
from mailingest.trace.stories import build_stories
from tests.support.logs import as_stored_before, documents_of, lines_of, stories_of, summary

MAIL = """
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7]
24T10:00:00 mx1 postfix/cleanup: AAAAAA1: message-id=<1@example.com>
24T10:00:00 mx1 postfix/qmgr: AAAAAA1: from=<ann@example.com>, size=500, nrcpt=1 (queue active)
24T10:00:01 mx1 mine[5]: checked AAAAAA1 for ann: clean
24T10:00:02 mx1 postfix/lmtp: AAAAAA1: to=<bob@example.net>, relay=mx1[/run/lmtp], delay=2, delays=1/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 <bob> wIDaOw Saved)
24T10:00:02 mx1 postfix/qmgr: AAAAAA1: removed
24T10:05:00 mx1 postfix/smtpd: NOQUEUE: reject: RCPT from pc.example.com[192.0.2.7]: 550 5.1.1 <no@example.net>: User unknown; from=<ann@example.com> to=<no@example.net> proto=ESMTP helo=<pc>
24T10:06:00 mx1 dovecot: lmtp(bob)<7><x>: msgid=<1@example.com>: saved mail to INBOX
"""
OWN_PATTERNS = r"MINE checked %{POSTFIX_QUEUEID:postfix_queueid} for %{GREEDYDATA:mine_user}: %{WORD:mine_result}"


@pytest.fixture
def own_program(tmp_path: Path) -> Settings:
    (tmp_path / "mine.grok").write_text(OWN_PATTERNS + "\n")
    return Settings.model_validate(
        {
            "syslog": {"timezone": "UTC"},
            "grok": {
                "patterns_dirs": [tmp_path],
                "programs": {"mine": "MINE"},
                "fields": {"mine_user": "keyword", "mine_result": "keyword"},
            },
        }
    )


def test_a_users_own_program_that_names_a_queue_id_makes_no_story_of_its_own(
    own_program: Settings,
) -> None:
    documents = documents_of(lines_of(MAIL), own_program)
    [mine] = [one.fields for one in documents if one.fields["program"] == "mine"]
    assert (mine["program_kind"], mine["postfix_queueid"]) == ("other", "AAAAAA1")
    events = [{**orjson.loads(one.body), "_id": one.id} for one in documents]
    delivered, rejected = build_stories(gather(events))
    assert summary(delivered) == {
        "verdict": "delivered",
        "recipient": "bob@example.net",
        "original": None,
        "chain": ["AAAAAA1"],
    }
    assert rejected.verdict == "rejected"
    # Its line is among the proof, all the same.
    assert any("checked AAAAAA1" in event["message"] for event in delivered.proof)


FILTERED = """
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7]
24T10:00:00 mx1 postfix/qmgr: AAAAAA1: from=<ann@example.com>, size=500, nrcpt=1 (queue active)
24T10:00:01 mx1 postfix/smtpd: AAAAAA2: client=localhost[127.0.0.1]
24T10:00:01 mx1 postfix/qmgr: AAAAAA2: from=<ann@example.com>, size=600, nrcpt=1 (queue active)
24T10:00:02 mx1 mine[5]: {said}
24T10:00:02 mx1 postfix/smtp: AAAAAA1: to=<bob@example.net>, relay=127.0.0.1[127.0.0.1]:10024, delay=2, delays=1/0/0/1, dsn=2.0.0, status=sent (250 {reply})
24T10:00:02 mx1 postfix/qmgr: AAAAAA1: removed
24T10:00:02 mx1 postfix/lmtp: AAAAAA2: to=<bob@example.net>, relay=mx1[/run/lmtp], delay=2, delays=1/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 <bob> wIDaOw Saved)
24T10:00:02 mx1 postfix/qmgr: AAAAAA2: removed
"""


@pytest.mark.parametrize(
    ("said", "reply", "chain"),
    [
        pytest.param(
            "took AAAAAA1, gave AAAAAA2", "Ok", ["AAAAAA1", "AAAAAA2"], id="both queue IDs"
        ),
        pytest.param(
            "job 0123456789AB gave AAAAAA2",
            "2.0.0 OK (0123456789AB)",
            ["AAAAAA1", "AAAAAA2"],
            id="an ID of its own, which is in the reply",
        ),
        pytest.param("job 0123456789AB done", "Ok", ["AAAAAA2"], id="neither"),
    ],
)
def test_a_users_own_filter_may_name_the_next_queue_id(
    tmp_path: Path, said: str, reply: str, chain: list[str]
) -> None:
    (tmp_path / "mine.grok").write_text(
        "MINE took %{POSTFIX_QUEUEID:postfix_queueid}, gave %{POSTFIX_QUEUEID:postfix_remote_queueid}"
        "|job (?<filter_id>[0-9A-F]{12})(?: gave %{POSTFIX_QUEUEID:postfix_remote_queueid}| done)\n"
    )
    settings = Settings.model_validate(
        {
            "syslog": {"timezone": "UTC"},
            "grok": {"patterns_dirs": [tmp_path], "programs": {"mine": "MINE"}},
        }
    )
    documents = documents_of(lines_of(FILTERED.format(said=said, reply=reply)), settings)
    stories = build_stories(
        gather([{**orjson.loads(one.body), "_id": one.id} for one in documents])
    )
    [delivered] = [one for one in stories if one.verdict == "delivered"]
    assert summary(delivered)["chain"] == chain


@pytest.mark.parametrize("tag", ["postfix", "postfix-out"])
def test_the_service_that_a_cut_tag_leaves_to_be_guessed_is_used_by_the_trace(tag: str) -> None:
    log = MAIL.replace("postfix/smtpd:", f"{tag}:").replace("postfix/cleanup:", f"{tag}:")
    log = log.replace("postfix/qmgr:", f"{tag}:").replace("postfix/lmtp:", f"{tag}:")
    assert [story.verdict for story in stories_of(log)] == ["delivered", "rejected"]


@pytest.mark.parametrize(
    ("program", "kind"),
    [
        ("postfix/smtp", "postfix"),
        ("postfix-out/my-transport", "postfix"),
        ("amavis", "filter"),
        ("dovecot", "mail_store"),
        ("sshd", None),
        ("postfixadmin", None),
    ],
)
def test_what_a_program_is(program: str, kind: str | None) -> None:
    [document] = documents_of(lines_of(f"24T10:00:00 mx1 {program}: something"))
    assert document.fields.get("program_kind") == kind


async def test_documents_of_an_earlier_version_give_the_same_answers(tmp_path: Path) -> None:
    """They lack what is computed when a line is stored now."""
    now, before = documents_of(lines_of(MAIL)), []
    for one in now:
        fields = as_stored_before(one.fields)
        before.append(Document(one.index, one.id, orjson.dumps(fields), one.seconds, fields))
    answers: list[list[dict[str, Any]]] = []
    for name, documents in (("now", now), ("before", before)):
        writer = SqliteWriter(tmp_path / name)
        await writer.open()
        await writer.write(documents)
        await writer.close()
        result = await trace(SqliteReader(tmp_path / name, "mail"), Criteria())
        answers.append([story_to_json(story) for story in result.stories])
    assert answers[0] == answers[1]
    assert [row["verdict"] for row in answers[0]] == ["delivered", "rejected"]
