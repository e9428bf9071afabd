"""Real mails through real Postfix, real rsyslog and the real daemon into each kind of store."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch

from tests.support.elastic import asking, searched
from tests.support.lab import HOSTNAME, TIMEZONE, MailLab, polling
from tests.support.lab.daemon import Daemon, replay
from tests.support.lab.facts import Recipient, Refused, SentMail
from tests.support.lab.polling import wait_until
from tests.support.lab.scenarios import GREYLISTED, SCENARIOS
from tests.support.ports import free_port
from tests.support.servers import ELASTICSEARCH, SearchServer
from tests.support.sqlite import StoredDocuments, stored_bodies

pytest_plugins = ["tests.support.lab.fixture"]
pytestmark = pytest.mark.lab

# "Grüße" in ISO-8859-1, as a daemon with 8-bit text writes it to /dev/log.
LATIN1_LINE = b"<22>Nov 24 12:00:00 dovecot: imap(bob): Gr\xfc\xdfe"

Fields = dict[str, Any]


@dataclass(frozen=True)
class Stored:
    """A document as it lies in a store."""

    index: str
    id: str
    fields: Fields


@dataclass(frozen=True)
class Run:
    """One run of mails: what is known of them, and the span of time (UTC) they were sent in."""

    facts: list[SentMail]
    refused: list[Refused]
    started: datetime
    ended: datetime
    traditional_log: Path
    iso_log: Path
    lines: int

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The span, widened to whole seconds, which is all that traditional syslog tells."""
        return self.started.replace(microsecond=0), self.ended + timedelta(seconds=1)


def send_mails(lab: MailLab, *, udp_ports: Sequence[int] = (), tcp_ports: Sequence[int]) -> Run:
    started = datetime.now(UTC)
    lab.record(udp_ports=udp_ports, tcp_ports=tcp_ports)
    lab.send_all()
    lab.log(LATIN1_LINE)
    wait_until(lambda: LATIN1_LINE[-5:] in lab.traditional_log.read_bytes(), "the last line")
    return Run(
        facts=lab.facts,
        refused=lab.refused,
        started=started,
        ended=datetime.now(UTC),
        traditional_log=lab.traditional_log,
        iso_log=lab.iso_log,
        lines=len(lab.log_lines()),
    )


def listen(protocol: str, port: int) -> str:
    """The settings for one listener and none of the other protocol."""
    others = {"udp": "tcp", "tcp": "udp"}
    return f"{others[protocol]} = []\n[[inputs.{protocol}]]\nport = {port}\n"


def configure(directory: Path, inputs: str = "", output: str = "") -> Path:
    """Write a configuration file; without ``output`` documents go to SQLite in ``directory``."""
    directory.mkdir(exist_ok=True)
    output = output or f'[sqlite]\ndirectory = "{directory}"\n'
    config = directory / "mailingest.toml"
    state = f'[state]\ndirectory = "{directory}/state"\n'
    config.write_text(f'[inputs]\n{inputs}\n{output}{state}[syslog]\ntimezone = "{TIMEZONE}"\n')
    return config


def in_sqlite(directory: Path) -> list[Stored]:
    documents = []
    for path in directory.glob("mail-*.sqlite"):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as day:
            documents += [
                Stored(path.stem, document_id, body) for document_id, body in stored_bodies(day)
            ]
    return documents


def has_lines(directory: Path, lines: int) -> bool:
    return len(list(StoredDocuments(directory, "mail").find(limit=lines))) == lines


@dataclass(frozen=True)
class SqliteRun(Run):
    """A run whose lines lie in three stores: in ``directory``, each named after its way there."""

    directory: Path


@pytest.fixture(scope="module")
def run(lab: MailLab, tmp_path_factory: pytest.TempPathFactory) -> SqliteRun:
    """One run of mails, received by two daemons at a time and replayed from its file."""
    directory = tmp_path_factory.mktemp("stores")
    udp_port, tcp_port = free_port(), free_port()
    with (
        Daemon(configure(directory / "udp", listen("udp", udp_port))),
        Daemon(configure(directory / "tcp", listen("tcp", tcp_port))),
    ):
        sent = send_mails(lab, udp_ports=[udp_port], tcp_ports=[tcp_port])
        for way in ("udp", "tcp"):
            wait_until(
                partial(has_lines, directory / way, sent.lines), f"all that came by {way} is stored"
            )
    replay(configure(directory / "replay"), sent.traditional_log)
    return SqliteRun(**vars(sent), directory=directory)


def of_recipient(documents: list[Fields], mail: SentMail, recipient: Recipient) -> list[Fields]:
    return [
        fields
        for fields in documents
        if fields.get("postfix_queueid") == mail.queue_id
        and fields.get("postfix_to") == recipient.address
        and "postfix_status" in fields
    ]


def known_of(mail: SentMail) -> Fields:
    """What each delivery event of a mail has to carry."""
    known: Fields = {
        "postfix_from": mail.sender,
        "postfix_size": mail.size,
        "postfix_nrcpt": len(mail.recipients),
        "postfix_message-id": mail.message_id.strip("<>"),
        "postfix_client_hostname": mail.client_hostname,
        "postfix_client_ip": mail.client_ip,
        "postfix_uid": mail.uid,
        "host": HOSTNAME,
    }
    return {name: value for name, value in known.items() if value is not None}


def check_deliveries(run: Run, documents: list[Fields]) -> None:
    """All attempts to deliver to all recipients are there, each with what is known of its mail."""
    expected = 0
    for mail in run.facts:
        known = known_of(mail)
        for recipient in mail.recipients:
            deliveries = of_recipient(documents, mail, recipient)
            statuses = sorted(fields["postfix_status"] for fields in deliveries)
            assert statuses == sorted(recipient.statuses), (mail, recipient)
            for fields in deliveries:
                assert fields.items() >= known.items()
                assert ("postfix_client_ip" in fields) == (mail.client_ip is not None)
                assert ("postfix_uid" in fields) == (mail.uid is not None)
                if fields["postfix_status"] == "sent" and fields["program"] == "postfix/smtp":
                    assert fields["postfix_remote_queueid"] == mail.remote_queue_id
            expected += len(deliveries)
    assert expected == sum("postfix_status" in fields for fields in documents)


def check_whole(run: Run, documents: list[Stored]) -> None:
    """Every line is there once, understood, at its time and in the index of its day in UTC."""
    first, last = run.span
    assert len(documents) == run.lines
    assert len({document.id for document in documents}) == run.lines
    for document in documents:
        time = datetime.fromisoformat(document.fields["@timestamp"])
        assert first <= time <= last, document
        assert document.index == f"mail-{time:%Y.%m.%d}"
        is_postfix = document.fields["program"].startswith("postfix/")
        assert ("_grok_postfix_success" in document.fields["tags"]) == is_postfix, document
    (latin1,) = [each for each in documents if each.fields["program"] == "dovecot"]
    assert latin1.fields["message"] == "imap(bob): Grüße"


def check_refused(run: Run, documents: list[Fields]) -> None:
    """Whom smtpd refused is there with the reply, and with no other mail's facts."""
    rejects = [fields for fields in documents if fields.get("postfix_queueid") == "NOQUEUE"]
    assert len(rejects) == len(run.refused)
    for fields, refused in zip(rejects, run.refused, strict=True):
        assert fields["postfix_action"] == "reject"
        assert fields["postfix_from"] == refused.sender
        assert fields["postfix_to"] == refused.recipient
        assert refused.reply in fields["message"]
        assert "postfix_message-id" not in fields


@pytest.mark.parametrize("way", ["udp", "tcp", "replay"])
def test_every_delivery_carries_what_is_known_of_its_mail(run: SqliteRun, way: str) -> None:
    check_deliveries(run, [document.fields for document in in_sqlite(run.directory / way)])


@pytest.mark.parametrize("way", ["udp", "tcp", "replay"])
def test_every_line_is_stored_once_in_the_index_of_its_day(run: SqliteRun, way: str) -> None:
    check_whole(run, in_sqlite(run.directory / way))


@pytest.mark.parametrize("way", ["udp", "tcp", "replay"])
def test_a_refused_recipient_is_stored_with_its_reply(run: SqliteRun, way: str) -> None:
    check_refused(run, [document.fields for document in in_sqlite(run.directory / way)])


@pytest.mark.parametrize("way", ["udp", "tcp", "replay"])
def test_a_recipient_and_a_time_find_the_mail_in_sqlite(run: SqliteRun, way: str) -> None:
    reader = StoredDocuments(run.directory / way, "mail")
    since, until = run.span
    for mail in run.facts:
        for recipient in mail.recipients:
            found = list(reader.find(recipient=recipient.address.upper(), since=since, until=until))
            assert len(of_recipient(found, mail, recipient)) == len(recipient.statuses)
            assert not list(reader.find(recipient=recipient.address, until=since))


def test_udp_and_tcp_give_the_same_documents(run: SqliteRun) -> None:
    by_udp = {document.id: document for document in in_sqlite(run.directory / "udp")}
    by_tcp = {document.id: document for document in in_sqlite(run.directory / "tcp")}
    assert by_udp == by_tcp


def test_a_replay_gives_the_same_documents_but_for_priority_and_peer(run: SqliteRun) -> None:
    by_tcp = {document.id: document.fields for document in in_sqlite(run.directory / "tcp")}
    replayed = {document.id: document.fields for document in in_sqlite(run.directory / "replay")}
    for fields in by_tcp.values():
        assert fields.pop("syslog_facility") == 2
        assert fields.pop("syslog_severity") in (4, 6)
        assert fields.pop("syslog_peer") == "127.0.0.1"
    assert replayed == by_tcp


@pytest.mark.parametrize("file", ["traditional_log", "iso_log"])
def test_a_replay_of_what_is_stored_adds_nothing(run: SqliteRun, file: str) -> None:
    before = sorted(document.id for document in in_sqlite(run.directory / "replay"))
    replay(run.directory / "replay" / "mailingest.toml", getattr(run, file))
    assert sorted(document.id for document in in_sqlite(run.directory / "replay")) == before


def test_what_is_known_of_a_mail_survives_a_restart_of_the_daemon(
    lab: MailLab, tmp_path: Path
) -> None:
    port = free_port()
    config = configure(tmp_path, listen("tcp", port))
    reader = StoredDocuments(tmp_path, "mail")

    def statuses() -> list[str]:
        found = reader.find(recipient=GREYLISTED)
        return [fields["postfix_status"] for fields in found]

    (scenario,) = (each for each in SCENARIOS if each.recipients[0].address == GREYLISTED)
    with Daemon(config):
        lab.record(tcp_ports=[port])
        lab.submit(scenario)
        wait_until(lambda: statuses() == ["deferred"], "the first attempt is stored")
    with Daemon(config):
        lab.flush()
        lab.wait_until_quiet()
        wait_until(lambda: statuses() == ["sent", "deferred"], "the second attempt is stored")
    (mail,) = lab.facts
    for fields in reader.find(recipient=GREYLISTED):
        assert fields.items() >= known_of(mail).items()


@pytest.fixture(scope="module")
def server() -> Iterator[SearchServer]:
    with SearchServer(ELASTICSEARCH) as running:
        yield running


@pytest.mark.servers
async def test_a_recipient_and_a_time_find_the_mail_in_elasticsearch(
    lab: MailLab, server: SearchServer, tmp_path: Path
) -> None:
    port = free_port()
    output = f'[elasticsearch]\nhosts = ["{server.url}"]\n'
    async with asking(server) as client:
        with Daemon(configure(tmp_path / "daemon", listen("tcp", port), output)):
            run = send_mails(lab, tcp_ports=[port])
            await polling.until(partial(has_documents, client, run.lines), "all is stored")
        everything = await searched(client, "mail-*", size=1000)
        documents = [
            Stored(hit["_index"], hit["_id"], hit["_source"]) for hit in everything["hits"]["hits"]
        ]
        check_whole(run, documents)
        check_deliveries(run, [document.fields for document in documents])
        check_refused(run, [document.fields for document in documents])
        since, until = run.span
        for mail in run.facts:
            for recipient in mail.recipients:
                found = await search(client, recipient.address, since, until)
                assert len(of_recipient(found, mail, recipient)) == len(recipient.statuses)
                assert not await search(client, recipient.address, since.min, since)


async def has_documents(client: AsyncElasticsearch, count: int) -> bool:
    found = await searched(client, "mail-*", size=0, track_total_hits=True)
    return bool(found["hits"]["total"]["value"] >= count)


async def search(
    client: AsyncElasticsearch, recipient: str, since: datetime, until: datetime
) -> list[Fields]:
    """The search of existing scripts: a recipient within a span of time."""
    span = {"gte": since.isoformat(), "lt": until.isoformat()}
    answer = await searched(
        client,
        "mail-*",
        size=1000,
        query={
            "bool": {
                "must": [{"match_phrase": {"postfix_to": recipient}}],
                "filter": [{"range": {"@timestamp": span}}],
            }
        },
    )
    return [hit["_source"] for hit in answer["hits"]["hits"]]
