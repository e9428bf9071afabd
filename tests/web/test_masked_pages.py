"""The pages of a masked store over HTTP: names are gone from HTML, JSON, titles and links."""

import html
import json
import re
from pathlib import Path
from urllib.parse import quote_plus, unquote

import pytest

from mailingest.web.access import Access
from tests.support.logs import documents_of, lines_of
from tests.support.stores import sqlite_reader
from tests.web import serving

# Long lines are log lines.
# ruff: noqa: E501

D = "delay=1, delays=0/0/0/1"


def log(local: str, address: str) -> str:
    plain = local.strip('"')
    xtext = plain.replace("+", "+2B")
    said = f"550 5.1.1 Mailbox {plain} is full: /home/{plain}/Maildir, see https://why.example/?u={quote_plus(plain)}%40example.net; {plain}%example.net@relay.example; SRS0=Hh=TT=example.net={plain}@f.example; rfc822;{xtext}+40example.net"
    return f"""
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7], sasl_method=PLAIN, sasl_username={plain.replace(" ", "")}
24T10:00:01 mx1 postfix/cleanup: AAAAAA1: message-id=<{plain.replace(" ", "")}.1234@pc.example.com>
24T10:00:01 mx1 postfix/qmgr: AAAAAA1: from=<{address}>, size=500, nrcpt=1 (queue active)
24T10:00:02 mx1 postfix/smtp: AAAAAA1: to=<{address}>, orig_to=<{local}>, relay=mx.example.net[198.51.100.9]:25, {D}, dsn=5.1.1, status=bounced (host mx.example.net[198.51.100.9] said: {said})
24T11:00:00 mx1 postfix/smtpd: NOQUEUE: reject: RCPT from pc.example.com[192.0.2.7]: 550 5.1.1 <{address}>: {plain} unknown; from=<{address}> to=<{address}> proto=ESMTP helo=<pc>
"""


@pytest.mark.parametrize(
    "local",
    [
        "quendolin",
        "Quendolin.Smith",
        "o'quendolin",
        "quendolin+private",
        '"quen dolin"',
        "quendolin_x-y",
        "quéndolin",
    ],
)
async def test_no_page_names_anybody(tmp_path: Path, local: str) -> None:
    address = f"{local}@example.net"
    reader = await sqlite_reader(tmp_path, documents_of(lines_of(log(local, address))))
    masked = Access(is_masked=True, questions_a_minute=1000)
    secret = re.compile(r"qu[eé]n.?dolin|private", re.IGNORECASE)
    async for page in serving.served(reader, masked):
        _, first = await page.get("?since=2026-11-24T00:00&until=2026-11-25")
        links = re.findall(r'href="((?:mail|search\.json|overview)[^"]*)"', first)
        assert len([one for one in links if one.startswith("mail?")]) == 2
        paths = [html.unescape(one) for one in links]
        paths += [one.replace("mail?", "mail.json?") for one in paths if one.startswith("mail?")]
        span = "since=2026-11-24&until=2026-11-25"
        paths += [f"overview?{span}", f"overview.json?{span}", "search.json", "mail?line=x&at=y"]
        for language in ("en", "de"):
            for path in ["?since=2026-11-24T00:00&until=2026-11-25", *paths]:
                _, text = await page.get(f"{path}&lang={language}" if "?" in path else path)
                shown = unquote(html.unescape(text))
                assert secret.search(shown) is None, (path, secret.findall(shown))
                if path.endswith(".json"):
                    assert secret.search(json.dumps(json.loads(text), ensure_ascii=False)) is None
        _, mail = await page.get(next(one for one in paths if "queue_id" in one))
        assert "***" in mail
        assert "mx.example.net[198.51.100.9]:25" in mail + first


async def test_what_was_asked_is_in_the_form_and_nowhere_else(tmp_path: Path) -> None:
    address = "quendolin@example.net"
    reader = await sqlite_reader(tmp_path, documents_of(lines_of(log("quendolin", address))))
    async for page in serving.served(reader, Access(is_masked=True)):
        _, text = await page.get(f"?to={address}")
        assert f'value="{address}"' in text
        main = text.partition('<section id="results"')[2]
        main = main.replace("to=quendolin%40example.net", "")
        assert "q***@example.net" in main
        assert "quendolin" not in main
        _, text = await page.get("?since=quendolin")
        assert "is not a valid time" in text
