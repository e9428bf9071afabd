"""A type and a charset for each input: mail and mbox side by side, through a crash, to a trace."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from mailingest.api import Question, story_to_json, trace_async
from mailingest.config import Settings, load
from mailingest.spool.status import spool_status
from mailingest.stores.elastic.store import ElasticStore
from mailingest.stores.victorialogs.store import VictoriaLogsStore
from mailingest.wiring import build_store
from tests.support.elastic import searched
from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import PATIENCE, until, wait_until
from tests.support.ports import free_port
from tests.support.servers import Kind
from tests.support.site import Site
from tests.support.sqlite import StoredDocuments
from tests.support.stores import SEARCHED
from tests.support.victorialogs import stored as of_victorialogs

# A mail that mx1 hands to mbox1, which has it delivered: what mx1 logs is UTF-8, the rest is not.
MAIL = (
    "Nov 24 15:41:22 mx1 postfix/smtpd[867]: AAAAAA1: client=pc1.example.com[192.0.2.7]",
    "Nov 24 15:41:22 mx1 postfix/cleanup[877]: AAAAAA1: message-id=<a.1@example.com>",
    "Nov 24 15:41:22 mx1 postfix/qmgr[550]: AAAAAA1: from=<ann@example.com>, size=389, nrcpt=1"
    " (queue active)",
    "Nov 24 15:41:23 mx1 postfix/smtp[914]: AAAAAA1: to=<bob@example.net>,"
    " relay=mbox1.example.net[192.0.2.8]:25, delay=0.18, delays=0.12/0/0.02/0.04, dsn=2.0.0,"
    " status=sent (250 2.0.0 Ok: queued as BBBBBB2)",
    "Nov 24 15:41:23 mx1 postfix/qmgr[550]: AAAAAA1: removed",
    "Nov 24 15:41:23 mx1 myfilter: 100 €",
)
MBOX = (
    "Nov 24 15:41:23 mbox1 postfix/smtpd[867]: BBBBBB2: client=mx1.example.com[192.0.2.9]",
    "Nov 24 15:41:23 mbox1 postfix/cleanup[877]: BBBBBB2: message-id=<a.1@example.com>",
    "Nov 24 15:41:23 mbox1 postfix/qmgr[550]: BBBBBB2: from=<ann@example.com>, size=512, nrcpt=1"
    " (queue active)",
    "Nov 24 15:41:24 mbox1 postfix/lmtp[914]: BBBBBB2: to=<bob@example.net>,"
    " relay=mbox1.example.net[private/dovecot-lmtp], delay=0.18, delays=0.12/0/0.02/0.04,"
    " dsn=2.0.0, status=sent (250 2.0.0 <bob@example.net> c2Fs Saved)",
    "Nov 24 15:41:24 mbox1 postfix/qmgr[550]: BBBBBB2: removed",
    "Nov 24 15:41:24 mbox1 myfilter: 200 €",
)


# By the setting that says where the store is.
_SECTIONS = {"hosts": "elasticsearch", "url": "victorialogs", "directory": "sqlite"}


class TypedSite(Site):
    """A site whose inputs have types, and a store that may be away."""

    def __init__(self, directory: Path, store: str) -> None:
        super().__init__(directory)
        name = uuid4().hex[:8]
        self.mail, self.mbox = f"mail-{name}", f"mbox-{name}"
        self._store = store
        self.configure()

    def configure(self, prefix: str = "", more: str = "", *, is_away: bool = False) -> Settings:
        """Mail by UDP, mbox by TCP, unless there is another ``prefix``: then they set nothing."""
        mbox = f'type = "{self.mbox}"\ncharset = "iso-8859-15"\n'
        store = f'hosts = ["http://127.0.0.1:{free_port()}"]' if is_away else self._store
        section = _SECTIONS[store.partition(" ")[0]]
        self.config.write_text(
            f'shutdown_timeout = {PATIENCE}\n[index]\nprefix = "{prefix or self.mail}"\n'
            f"[[inputs.udp]]\nport = {self.udp}\n"
            f"[[inputs.tcp]]\nport = {self.tcp}\n{'' if prefix else mbox}"
            f'[state]\ndirectory = "{self.state}"\n[syslog]\ntimezone = "UTC"\n'
            f"[{section}]\n{store}\n{more}"
        )
        return load(self.config)

    def accepted(self) -> int:
        return spool_status(load(self.config)).frames_kept

    def send(self, mail: Sequence[str], mbox: Sequence[str]) -> None:
        """Send the lines of both, and wait until they are accepted."""
        count = self.accepted()
        self.send_bytes(*(line.encode() for line in mail))
        # One stream and one record after the other: the order in the spool is known.
        wait_until(lambda: self.accepted() == count + len(mail), "datagrams are accepted")
        self.hand_over_bytes(*(line.encode("iso-8859-15") for line in mbox))


async def told(settings: Settings, only: str | None = None) -> dict[str, Any]:
    """The answer to what became of the mail, from all types or from one."""
    question = Question(recipient="Bob@example.net")
    [story] = (await trace_async(question, settings, only_type=only)).stories
    return story_to_json(story)


@pytest.fixture(params=SEARCHED, ids=str)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> TypedSite:
    kind = request.param
    if kind == "victorialogs":
        url = request.getfixturevalue("victorialogs_server").url
        return TypedSite(tmp_path, f'url = "{url}"')
    if not isinstance(kind, Kind):
        return TypedSite(tmp_path, f'directory = "{tmp_path / "mail"}"')
    url = request.getfixturevalue("search_servers")(kind).url
    return TypedSite(tmp_path, f'hosts = ["{url}"]\nreplicas = 0\ntimeout = {PATIENCE}')


async def stored(settings: Settings, name: str) -> list[dict[str, Any]]:
    """What is stored under a type, in the order of time."""
    store = build_store(settings)
    if isinstance(store, VictoriaLogsStore):
        found = [dict(one) for one in await of_victorialogs(store, name)]
    elif not isinstance(store, ElasticStore):
        found = list(StoredDocuments(settings.sqlite_directory, name).find())
    else:
        async with store.connection().opened("all") as client:
            answer = await searched(client, f"{name}-*", size=1000)
            found = [hit["_source"] for hit in answer["hits"]["hits"]]
    return sorted(found, key=lambda one: (one["@timestamp"], one["program"], one["message"]))


def messages(lines: Sequence[str]) -> list[str]:
    return sorted(line.partition(": ")[2] for line in lines)


async def check_stored(site: TypedSite, settings: Settings) -> None:
    """Each line is stored once, under the type and in the charset of the input it came in by."""

    async def is_stored() -> bool:
        return [len(await stored(settings, one)) for one in (site.mail, site.mbox)] == [6, 6]

    await until(is_stored, "all is stored")
    for name, lines in ((site.mail, MAIL), (site.mbox, MBOX)):
        documents = await stored(settings, name)
        assert sorted(one["message"] for one in documents) == messages(lines)
        assert {one["type"] for one in documents} == {name}
        assert {one["host"] for one in documents} == {lines[0].split()[3]}
        [delivery] = [one for one in documents if one.get("postfix_status") == "sent"]
        assert delivery["postfix_from"] == "ann@example.com"


async def templates(settings: Settings, *types: str) -> list[str]:
    """The index templates of these types, as names, that the server has; no other store has any."""
    store = build_store(settings)
    if not isinstance(store, ElasticStore):
        return list(types)
    async with store.connection().opened("all") as client:
        answer = await client.indices.get_index_template()
        names = {one["name"] for one in answer["index_templates"]}
        return [one for one in types if one in names]


def warned(log: Path) -> list[tuple[str, str]]:
    """The types that the log warns of, and what it says."""
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    return [(row["type"], row["event"].partition(";")[0]) for row in rows if "type" in row]


async def check_told(site: TypedSite, settings: Settings) -> None:
    """The mail is told whole from all types, and from one as far as it goes there."""
    answers = [await told(settings, only) for only in (None, site.mail, site.mbox)]
    assert [
        (one["verdict"], [queue["queue_id"] for queue in one["chain"]], one["types"])
        for one in answers
    ] == [
        ("delivered", ["AAAAAA1", "BBBBBB2"], [site.mail, site.mbox]),
        ("handed_over", ["AAAAAA1"], [site.mail]),
        ("delivered", ["BBBBBB2"], [site.mbox]),
    ]


async def test_mail_and_mbox_side_by_side(tmp_path: Path) -> None:
    site = TypedSite(tmp_path, f'directory = "{tmp_path / "mail"}"')
    settings = site.configure()
    with Daemon(site.config):
        site.send(MAIL, MBOX)
    await check_stored(site, settings)
    await check_told(site, settings)


async def test_lines_in_the_spool_stay_what_they_were_when_they_came(site: TypedSite) -> None:
    site.configure(is_away=True)
    with Daemon(site.config) as daemon:
        site.send(MAIL, MBOX)
        daemon.kill()
    # Nothing of what they were is set any more; and another crash comes in between.
    settings = site.configure(f"post-{site.mail}")
    with Daemon(site.config) as daemon:
        await check_stored(site, settings)
        daemon.kill()
    reason = "the spool has lines of a type that is no longer set"
    assert warned(daemon.log) == [(site.mail, reason), (site.mbox, reason)]
    with Daemon(site.config):
        pass
    await check_stored(site, settings)
    assert await stored(settings, settings.index.prefix) == []
    assert await templates(settings, site.mail, site.mbox) == [site.mail, site.mbox]
    await check_told(
        site,
        site.configure(f"post-{site.mail}", f"[types]\n{site.mail} = {{}}\n{site.mbox} = {{}}\n"),
    )
