"""What replies of mail servers mean to people."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.config import Settings, data_directory
from mailingest.config.explanations import read_rules
from mailingest.errors import UsageError
from mailingest.trace.explanations import Explanations
from mailingest.wiring import build_explanations

FILE = data_directory("config") / "explanations.toml"
SHIPPED = build_explanations(Settings())


def row(reply: str | None, dsn: str | None = None, relay: str | None = None) -> dict[str, Any]:
    return {"verdict": "bounced", "reply": reply, "dsn": dsn, "relay": relay}


def means(
    reply: str | None, dsn: str | None = None, relay: str | None = None, language: str = "en"
) -> str | None:
    found = SHIPPED.of(row(reply, dsn, relay), language)
    return None if found is None else found.means


GOOGLE = "gmail-smtp-in.l.google.com[142.250.27.26]:25"
OUTLOOK = "example-com.mail.protection.outlook.com[52.101.73.2]:25"


@pytest.mark.parametrize(
    ("reply", "dsn", "relay", "meaning"),
    [
        pytest.param(
            "host gmail-smtp-in.l.google.com[142.250.27.26] said: 550-5.1.1 The email account that "
            "you tried to reach does not exist. (in reply to RCPT TO command)",
            "5.1.1", GOOGLE, "Google does not know this address.", id="google, unknown",
        ),
        pytest.param(
            "host gmail-smtp-in.l.google.com[142.250.27.26] said: 421-4.7.28 Gmail has detected an "
            "unusual rate of unsolicited mail originating from your IP Netblock",
            "4.7.28", GOOGLE, "Google takes mail more slowly for a while", id="google, too much",
        ),
        pytest.param(
            "host example-com.mail.protection.outlook.com[52.101.73.2] said: 550 5.7.1 "
            "Unfortunately, messages from [192.0.2.7] weren't sent. Please contact your Internet "
            "service provider since part of their network is on our block list (S3150).",
            "5.7.1", OUTLOOK, "Microsoft has blocked the address", id="microsoft, blocked",
        ),
        pytest.param(
            "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org",
            "5.7.1", None, "is on a list of senders of spam", id="spamhaus",
        ),
        pytest.param("550 no such user here", None, None, "does not know this address", id="plain"),
        pytest.param("452 4.2.2 Over quota", "4.2.2", None, "mailbox is full", id="full"),
        pytest.param("odd words", "5.1.10", None, "takes no mail at all", id="a code only"),
        pytest.param("550 5.7.26 odd", None, None, "does not prove", id="a code in the reply"),
        pytest.param("odd words", "5.7.199", None, "A rule of the server", id="its class only"),
        pytest.param(
            "connect to mx.example.net[192.0.2.9]:25: Connection timed out", "4.4.1", "none",
            "could not be reached", id="no connection",
        ),
        pytest.param(
            "450 4.2.0 <bob@example.net>: Recipient address rejected: Greylisted", "4.2.0", None,
            "wait once", id="greylisted",
        ),
    ],
)  # fmt: skip
def test_a_reply_is_explained(reply: str, dsn: str, relay: str, meaning: str) -> None:
    assert meaning in (means(reply, dsn, relay) or "")


@pytest.mark.parametrize(
    "given_row",
    [
        pytest.param({**row("250 2.0.0 Ok", "2.0.0"), "verdict": "handed_over"}, id="well"),
        pytest.param(row("250 2.0.0 quota", "2.0.0"), id="a success"),
        pytest.param(row(None), id="nothing was said"),
        pytest.param(row("odd words"), id="nobody knows"),
        pytest.param(row("odd words", "5.9.1"), id="there is no such class"),
        pytest.param(row("sent from 15.1.1.2"), id="an address is no code"),
    ],
)
def test_what_nobody_knows_is_not_explained(given_row: dict[str, Any]) -> None:
    assert SHIPPED.of(given_row) is None


def test_both_languages() -> None:
    assert means("550 5.1.1 who", "5.1.1", language="de") == "Es gibt kein solches Postfach."
    assert all(rule.de is not None for rule in read_rules(FILE))


def test_each_shipped_rule_is_the_first_for_something() -> None:
    for rule in read_rules(FILE):
        code = (rule.code or "").replace("x.", "5.", 1).replace("x", "999") or None
        server = f"mx.{rule.relay[0]}" if rule.relay else None
        texts = rule.text or ("odd words",)
        found = [SHIPPED.of(row(text, code, server)) for text in texts]
        assert any(one is not None and one.means == rule.en.means for one in found), rule


CODES = st.from_regex(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", fullmatch=True)


@given(st.text(), st.none() | CODES, st.text())
def test_any_reply_may_come(reply: str, dsn: str | None, relay: str) -> None:
    found = SHIPPED.of(row(reply, dsn, relay))
    assert found is None or (found.means and found.advice)


def own(directory: Path, text: str) -> Explanations:
    file = directory / "own.toml"
    file.write_text(text)
    return build_explanations(Settings.model_validate({"trace": {"explanations": [str(file)]}}))


WORDS = 'en = { means = "Gone.", advice = "Call them." }'


def test_own_explanations_come_first(tmp_path: Path) -> None:
    mine = own(tmp_path, f'[[reply]]\ncode = "5.1.1"\n{WORDS}\n')
    # Without words in a language, the English ones are better than none.
    assert str(mine.of(row("550 5.1.1 who", "5.1.1"), "de")) == "Gone. Call them."
    assert mine.of(row("452 4.2.2 full", "4.2.2")) == SHIPPED.of(row("452 4.2.2 full", "4.2.2"))


def test_the_example_of_the_documentation_is_right(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "trace.md").read_text("utf-8")
    example = text.partition("```toml\n[[reply]]")[2].partition("```")[0]
    found = own(tmp_path, f"[[reply]]{example}").of(
        row("450 4.7.1 Our greylisting", "4.7.1", "mx.example.net[192.0.2.1]:25"), "de"
    )
    assert found is not None
    assert found.advice == "Zehn Minuten warten."


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        pytest.param('code = "5.1.1"', "own.toml: reply.0.en: Field required", id="no words"),
        pytest.param(WORDS, "needs a code or a text", id="for all replies"),
        pytest.param(f'code = "5.1"\n{WORDS}', "own.toml: reply.0.code", id="no code"),
        pytest.param(f'txt = ["x"]\n{WORDS}', "own.toml: reply.0.txt", id="misspelt"),
        pytest.param("code = 5.1.1", "own.toml:2: not TOML", id="not TOML"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, rule: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        own(tmp_path, f"[[reply]]\n{rule}\n")
