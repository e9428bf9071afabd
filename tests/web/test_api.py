"""The API for scripts: its answers are as its document says, and tokens let scripts in."""

import asyncio
import gzip
import json
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
import schemathesis
import structlog
from hypothesis import HealthCheck, assume, given, settings
from pydantic import BaseModel
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi import checks as of_openapi

from benchmarks.recipients import mail_of
from mailingest.config import Settings
from mailingest.errors import UsageError
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.web import tokens
from mailingest.web.access import Access
from mailingest.web.api.document import Operation, openapi
from mailingest.web.api.endpoints import OPERATIONS
from mailingest.web.api.models import MailAnswer, Problem, SearchAnswer
from mailingest.web.app import application
from mailingest.web.server import access_of
from mailingest.web.tokens import Tokens, read_tokens
from tests.support.logs import documents_of
from tests.support.stores import sqlite_reader
from tests.web import serving
from tests.web.serving import Page

LOG = Path(__file__).parents[1] / "data" / "scenarios" / "mail.log.gz"
SPAN = "since=2026-11-20&until=2026-12-10"
RECIPIENTS = 230
LARGE = "host=mx1&queue_id=4fXbpG2Zh0z9q2P&at=2026-03-02T05:00:00Z"
ANSWERS = {one.path.rpartition("/")[2]: one.answer for one in OPERATIONS}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a real log."""
    path = tmp_path_factory.mktemp("store")
    lines = gzip.decompress(LOG.read_bytes()).splitlines()

    async def fill() -> None:
        await (await sqlite_reader(path, documents_of(lines))).close()

    asyncio.run(fill())
    return path


@pytest.fixture
async def page(directory: Path) -> AsyncIterator[Page]:
    access = Access(questions_a_minute=100_000)
    async for served in serving.served(SqliteReader(directory, "mail"), access):
        yield served


def valid(name: str, text: str) -> BaseModel:
    return ANSWERS[name].model_validate_json(text, strict=True)


async def test_answers_are_those_of_the_document(page: Page) -> None:
    status, text = await page.get("api/openapi.json")
    assert (status, json.loads(text)) == (200, openapi(OPERATIONS))
    for name in ("search", "overview", "report"):
        status, text = await page.get(f"api/v1/{name}?{SPAN}")
        assert status == 200, text
        valid(name, text)
    _, text = await page.get(f"api/v1/search?{SPAN}&limit=5")
    for mail in json.loads(text)["mails"]:
        query = urlencode(
            {"host": mail["host"], "queue_id": mail["queue_id"] or "", "at": mail["received_at"]}
        )
        if mail["queue_id"]:
            status, text = await page.get(f"api/v1/mail?{query}")
            assert status == 200, text
            valid("mail", text)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a mail to many recipients."""
    path = tmp_path_factory.mktemp("large")

    async def fill() -> None:
        await (await sqlite_reader(path, documents_of(mail_of(RECIPIENTS)))).close()

    asyncio.run(fill())
    return path


async def answer_about(page: Page, query: str) -> MailAnswer:
    status, text = await page.get(f"api/v1/mail?{LARGE}{query}")
    assert status == 200, text
    return MailAnswer.model_validate_json(text, strict=True)


async def test_a_mail_is_told_once_and_its_recipients_in_parts(large: Path) -> None:
    access = Access(questions_a_minute=1000)
    async for page in serving.served(SqliteReader(large, "mail"), access):
        answer = await answer_about(page, "")
        [mail] = answer.mails
        assert sum("client=list.example.org" in line for line in mail.lines) == 1
        every = sum(mail.counts.values())
        assert every == RECIPIENTS + len(range(0, RECIPIENTS, 97))
        found = list(mail.recipients)
        assert len(found) == 50
        while answer.next is not None:
            answer = await answer_about(page, f"&cursor={answer.next}")
            found += answer.mails[0].recipients
        assert len({one.recipient for one in found}) == len(found) == every
        # Nothing is common to all of them, so each line of theirs is there once.
        lines = [line for one in found for line in one.lines]
        assert len(set(lines)) == len(lines)
        bounced = await answer_about(page, "&status=bounced&limit=500")
        assert {one.verdict for one in bounced.mails[0].recipients} == {"bounced"}
        assert len(bounced.mails[0].recipients) == mail.counts["bounced"]
        for to in ("USER81@d1.example.net", "nobody@example.net"):
            named = (await answer_about(page, f"&to={to}")).mails[0].recipients
            assert [one.recipient for one in named] == ([to.lower()] if "81" in to else [])


async def test_the_json_of_the_page_has_the_recipients_that_it_shows(large: Path) -> None:
    access = Access(questions_a_minute=1000)
    async for page in serving.served(SqliteReader(large, "mail"), access):
        every = (await answer_about(page, "&limit=500")).mails[0].recipients
        found: list[str] = []
        number: str | None = "1"
        while number is not None:
            _, text = await page.get(f"mail.json?{LARGE}&page={number}")
            assert len(text) < 200_000
            answer = json.loads(text)
            found += [one["recipient"] for one in answer["mails"][0]["recipients"]]
            number = answer["next"]
        assert found == [one.recipient for one in every]


async def test_replies_are_explained_in_the_language_that_is_asked_for(large: Path) -> None:
    access = Access(questions_a_minute=1000)
    words = {"": "does not know", "&lang=de": "kennt diese Adresse"}
    async for page in serving.served(SqliteReader(large, "mail"), access):
        for lang, means in words.items():
            bounced = "to=user81@d1.example.net" + lang
            _, text = await page.get(f"api/v1/search?{bounced}")
            [story] = SearchAnswer.model_validate_json(text, strict=True).mails
            [mail] = (await answer_about(page, f"&{bounced}")).mails
            [recipient] = mail.recipients
            assert story.explanation == recipient.explanation
            assert story.explanation is not None
            assert means in story.explanation.means
            assert story.explanation.advice
            told = [(await page.get(f"search.{form}?{bounced}"))[1] for form in ("json", "jsonl")]
            told.append((await page.get(f"mail.json?{LARGE}&{bounced}"))[1])
            assert all(means in one for one in told)


async def test_the_examples_of_the_documentation(page: Page) -> None:
    text = (Path(__file__).parents[2] / "docs" / "http-api.md").read_text()
    paths = re.findall(r"'https://trace\.example\.net/(api/v1/(\w+)[^']*)'", text)
    assert len(paths) == 3
    for path, name in paths:
        status, answer = await page.get(path)
        assert status == 200
        valid(name, answer)


async def test_pages_lead_to_all_mails_once(page: Page) -> None:
    _, text = await page.get(f"api/v1/search?{SPAN}&to=@example.org&limit=500")
    every = SearchAnswer.model_validate_json(text)
    found: list[Any] = []
    cursor = ""
    while True:
        _, text = await page.get(f"api/v1/search?{SPAN}&to=@example.org&limit=5&cursor={cursor}")
        answer = SearchAnswer.model_validate_json(text)
        found = [*answer.mails, *found]
        if answer.next is None:
            break
        cursor = answer.next
    assert len(found) > 5
    assert found == every.mails


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("search?limit=0", 400, "limit: "),
        ("search?nonsense=1", 400, "nonsense: there is no such parameter"),
        ("search?to=a&to=b", 400, "to: is there twice"),
        ("search?since=then", 400, "then"),
        ("search?cursor=x", 400, "cursor"),
        ("search?status=lost", 400, "lost"),
        ("search?type=x", 400, "type"),
        ("mail", 400, "at: "),
        ("mail?at=x", 400, "host, queue_id and at"),
        ("mail?at=2026-11-24T00:00:00Z&host=mx1&queue_id=NONE", 404, "no such mail"),
        ("mail?at=2026-11-24T00:00:00Z&host=mx1&queue_id=NONE&cursor=-1", 400, "cursor"),
        ("mail?at=2026-11-24T00:00:00Z&host=mx1&queue_id=NONE&status=lost", 400, "status"),
        ("search?lang=fr", 400, "lang"),
        ("overview?span=1h", 400, "span"),
        ("report?since=2026-11-20&until=2026-11-19", 400, ""),
        ("nothing", 404, ""),
    ],
)
async def test_errors_are_problems(page: Page, path: str, status: int, words: str) -> None:
    async with page.session.get(f"{page.url}api/v1/{path}") as response:
        assert response.status == status
        assert response.content_type == "application/problem+json"
        problem = Problem.model_validate_json(await response.text())
    assert problem.status == status
    assert words in problem.detail


async def test_a_store_that_cannot_be_read_is_no_empty_answer(tmp_path: Path) -> None:
    (tmp_path / "mail-2026.11.24.sqlite").write_bytes(b"no database" * 1000)
    reader = SqliteReader(tmp_path, "mail")
    async for page in serving.served(reader, Access()):
        for name in ("search", "overview", "report"):
            async with page.session.get(f"{page.url}api/v1/{name}?{SPAN}") as response:
                assert response.status == 503
                Problem.model_validate_json(await response.text())


# Everything that the document allows, and what it does not


@pytest.fixture(scope="module")
def url(directory: Path) -> Iterator[str]:
    """The pages in a thread, for a client that waits."""
    started, ended = threading.Event(), asyncio.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        reader = SqliteReader(directory, "mail")
        app = application(reader, Access(questions_a_minute=100_000), ZoneInfo("UTC"))
        async for page in serving.served_app(app):
            found.update(url=page.url, loop=asyncio.get_running_loop())
            started.set()
            await ended.wait()
        await reader.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    started.wait()
    yield found["url"].rstrip("/")
    found["loop"].call_soon_threadsafe(ended.set)
    thread.join()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_everything_is_answered_as_the_document_says(
    operation: Operation, mode: GenerationMode, url: str
) -> None:
    described = schemathesis.openapi.from_dict(openapi(OPERATIONS))[operation.path]["GET"]

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(described.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        # A longer request line is refused before anybody looks at it.
        assume(len(urlencode(case.query or {}, doseq=True)) < 7000)
        case.call_and_validate(
            base_url=url,
            checks=[
                checks.not_a_server_error,
                of_openapi.status_code_conformance,
                of_openapi.content_type_conformance,
                of_openapi.response_schema_conformance,
                of_openapi.negative_data_rejection,
            ],
        )

    ask()


# Tokens


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def test_a_token_lets_a_script_in_and_is_kept_nowhere(
    directory: Path, tmp_path: Path
) -> None:
    path = tmp_path / "tokens"
    secret = tokens.create(path, "tickets", [])
    bound = tokens.create(path, "mine", ["example.org"])
    assert secret not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    access = Access(proxy_header="X-Remote-User", tokens=Tokens(read_tokens(path)))
    with structlog.testing.capture_logs() as logged:
        async for page in serving.served(SqliteReader(directory, "mail"), access):
            asked = f"api/v1/search?{SPAN}"
            assert (await page.get(asked))[0] == 401
            every, own = [
                json.loads((await page.get(asked, headers=bearer(one)))[1])
                for one in (secret, bound)
            ]
            assert {mail["not_shown"] for mail in every["mails"]} == {0}
            assert own["mails"]
            assert own["total"] < 50
            assert (await page.get("search.json", headers=bearer(secret)))[0] == 200
            wrong = [(await page.get(asked, headers=bearer("x" * n)))[0] for n in range(1, 30)]
            assert set(wrong[:20]) == {401}
            assert wrong[-1] == 429
            assert (await page.get(asked, headers=bearer(secret)))[0] == 200
    assert "token:tickets" in str(logged)
    assert secret not in str(logged)
    tokens.revoke(path, "tickets")
    assert [one.name for one in read_tokens(path)] == ["mine"]
    assert Tokens(read_tokens(path)).of(secret) is None


def test_the_command_creates_lists_and_revokes(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f'[web]\nproxy_header = "X"\ntokens_file = "{tmp_path}/tokens"\n')

    def ran(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "mailingest", "web-token", *words, "--config", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout

    code, secret = ran("create", "tickets", "--domain", "example.org")
    assert (code, len(secret.strip()) > 40) == (0, True)
    assert ran("create", "tickets")[0] == 2
    assert ran("create", "x", "--domain", "nonsense")[0] == 2
    assert ran("list") == (0, "tickets\texample.org\n")
    assert ran("revoke", "tickets")[0] == 0
    assert ran("revoke", "tickets")[0] == 2


def test_tokens_need_a_login_and_a_right_file(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text("x:y\n")
    with pytest.raises(UsageError, match=r"web.tokens_file: nobody has to log in"):
        access_of(Settings.model_validate({"web": {"tokens_file": str(path)}}))
    web = {"tokens_file": str(path), "proxy_header": "X"}
    with pytest.raises(UsageError, match=r"tokens:1: must be name:hash"):
        access_of(Settings.model_validate({"web": web}))
