"""Names of a mail's addresses are hidden in every form in which they stand in a text."""

import html
import json
import unicodedata
from collections.abc import Callable
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mailingest.trace.story import Story
from mailingest.web.known_names import KnownNames
from mailingest.web.links import Links
from mailingest.web.local_parts import names_of
from mailingest.web.masking import story_to_masked_json
from mailingest.web.readings import readings
from mailingest.web.story_view import StoryView
from mailingest.web.texts import Texts
from tests.support.logs import stories_of

DOMAIN = "example.net"


def octets(text: str, mark: str) -> str:
    """Every octet in hexadecimal."""
    return "".join(f"{mark}{one:02X}" for one in text.encode())


def xtext(text: str) -> str:
    """RFC 3461, 4."""
    return "".join(
        one if "!" <= one <= "~" and one not in "+=" else octets(one, "+") for one in text
    )


def pairs(text: str) -> str:
    return "".join(one if one.isalnum() or one == "_" else f"\\{one}" for one in text)


# What a local part looks like, by what is written around it in a reply.
FORMS: dict[str, tuple[Callable[[str], str], str]] = {
    "as it is": (str, "{} is unknown"),
    "an address": (str, f"{{}}@{DOMAIN} is unknown"),
    "in brackets": (str, f"<{{}}@{DOMAIN}>: unknown"),
    "upper case": (str.upper, "user {}"),
    "lower case": (str.lower, "user={},"),
    "other case": (str.swapcase, "({})"),
    "in quotes": (str, 'mailbox "{}" is full'),
    "in single quotes": (str, "mailbox '{}' is full"),
    "of somebody": (str, "{}'s mailbox is full"),
    "at the end": (str, "no such user: {}."),
    "a home": (str, "/home/{}/Maildir/new: cannot open"),
    "a mailbox": (str, f"/var/vmail/{DOMAIN}/{{}}/: cannot open"),
    "a mailbox of Cyrus": (lambda one: one.replace(".", "^"), "user.{}: over quota"),
    "a folder": (str, "user/{}/INBOX"),
    "a URL": (lambda one: quote(one, safe=""), f"https://{DOMAIN}/why?rcpt={{}}%40{DOMAIN}&x=1"),
    "a URL in lower case": (lambda one: quote(one, safe="").lower(), "https://x/?u={}"),
    "a URL in a URL": (lambda one: quote(quote(one, safe=""), safe=""), "https://x/?u={}%2540y"),
    "all of it in hexadecimal": (lambda one: octets(one, "%"), "https://x/?u={}"),
    "after an encoded bracket": (lambda one: quote(one, safe=""), "https://x/?u=%3C{}%3E"),
    "mailto": (lambda one: quote(one, safe=""), f"mailto:{{}}@{DOMAIN}?subject=x"),
    "xtext": (xtext, f"ORCPT=rfc822;{{}}+40{DOMAIN}"),
    "xtext throughout": (lambda one: octets(one, "+"), "ORCPT=rfc822;{}"),
    "quoted-printable": (lambda one: octets(one, "="), "<{}>"),
    "a route": (str, f"<{{}}%{DOMAIN}@relay.example>"),
    "a bang path": (str, f"<{DOMAIN}!{{}}@relay.example>"),
    "a source route": (str, f"<@relay.example:{{}}@{DOMAIN}>"),
    "a quoted local part": (pairs, f'<"{{}}"@{DOMAIN}>'),
    "VERP": (str, f"<list-bounces+{{}}={DOMAIN}@lists.example>"),
    "VERP with a dash": (str, f"<owner-list-{{}}={DOMAIN}@lists.example>"),
    "SRS0": (str, f"<SRS0=Hh7=TT={DOMAIN}={{}}@forward.example>"),
    "SRS1": (str, f"<SRS1=Hh7=f.example==Hh7=TT={DOMAIN}={{}}@forward.example>"),
    "BATV": (str, f"<prvs=0123456789={{}}@{DOMAIN}>"),
    "HTML": (lambda one: html.escape(one), "<b>{}</b>"),
    "numbers of HTML": (lambda one: "".join(f"&#{ord(x)};" for x in one), "<b>{}</b>"),
    "escaped": (pairs, "user {}"),
    "SQL": (lambda one: one.replace("'", "''"), "WHERE name='{}'"),
    "JSON": (lambda one: json.dumps(one)[1:-1], '{{"user":"{}"}}'),
    "Python": (lambda one: one.encode("unicode_escape").decode(), "user {}"),
    "of rsyslog": (
        lambda one: "".join(chr(x) if x < 128 else f"#{x:03o}" for x in one.encode()),
        "user {}",
    ),
    "of Postfix": (
        lambda one: "".join(chr(x) if x < 128 else "?" for x in one.encode()),
        "user {}",
    ),
    "UTF-8 as Latin-1": (lambda one: one.encode().decode("latin-1"), "user {}"),
    "decomposed": (lambda one: unicodedata.normalize("NFD", one), "user {}"),
    "with other separators": (lambda one: one.replace(".", "_"), "user {}"),
    "as words": (lambda one: one.replace(".", " ").replace("_", " "), "user {} is unknown"),
    "with an extension": (str, "mailbox {}+news"),
}
# Others can be in no line: it would end, or be another one.
ATOMS = st.text(
    st.sampled_from("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789!#$&'*+-./=?^_`{|}~%éüßжł"),
    min_size=2,
    max_size=14,
)
LOCALS = st.builds("Zq{}".format, ATOMS)
QUOTED = st.builds(
    "Zq{}".format, st.text(st.sampled_from("abXY09 .,:;()@[]'-_"), min_size=2, max_size=14)
)


def is_hidden(name: str, text: str) -> bool:
    """Whether no reading of a text has the name, also where only case and the like differ."""
    folded = next(iter(readings(name))).text
    return not any(folded in reading.text for reading in readings(text))


@pytest.mark.parametrize("form", FORMS)
@given(local=LOCALS)
def test_a_known_name_is_hidden_in_every_form(form: str, local: str) -> None:
    write, around = FORMS[form]
    written = write(local)
    text = f"550 5.1.1 {around.format(written)} 9.9"
    masked = KnownNames([f"{local}@{DOMAIN}"]).masked(text)
    assert written.casefold() not in masked.casefold()
    assert is_hidden(local, masked)
    assert masked.startswith("550 5.1.1 ")
    assert masked.endswith(" 9.9")


@given(local=QUOTED)
def test_a_quoted_local_part_is_hidden_with_and_without_its_quotes(local: str) -> None:
    assume(local.strip() == local and "  " not in local)
    address = f'"{local}"@{DOMAIN}'
    for text in (f"<{address}>", f"user {local} unknown", f"https://x/?u={quote(local)}%40y"):
        assert is_hidden(local, KnownNames([address]).masked(text))


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("bob@example.net", {"bob"}),
        ("<bob@example.net>", {"bob"}),
        ("bob", {"bob"}),
        ("", set()),
        ("@example.net", set()),
        ("bob+news@example.net", {"bob+news", "bob", "news"}),
        ("bob-news@example.net", {"bob-news", "bob"}),
        ("o'brien@example.net", {"o'brien"}),
        ('"dora von x"@example.org', {'"dora von x"', "dora von x"}),
        ('"a\\"b"@example.org', {'"a\\"b"', 'a"b'}),
        ("bob%inner.example@relay.example", {"bob%inner.example", "bob"}),
        ("inner.example!bob@relay.example", {"inner.example!bob", "bob"}),
        ('"bob@inner.example"@relay.example', {'"bob@inner.example"', "bob@inner.example", "bob"}),
        ("@relay.example:bob@example.net", {"bob"}),
        ("EXAMPLE\\bob", {"EXAMPLE\\bob", "bob"}),
        ("prvs=012345678=bob@example.net", {"prvs=012345678=bob", "bob"}),
        ("bob@example.net@example.org", {"bob@example.net", "bob"}),
    ],
)
def test_the_names_in_an_address(address: str, names: set[str]) -> None:
    found = names_of([address])
    assert names <= found
    assert not any("example" in name and "bob" not in name for name in found)


@pytest.mark.parametrize(
    "address",
    [
        "SRS0=HHH=TT=example.com=bob@forward.example",
        "srs0+HHH=TT=example.com=bob@forward.example",
        "SRS1=HHH=one.example==HHH=TT=example.com=bob@forward.example",
        "owner-list+bob=example.com@lists.example",
        "list-bounces-bob=example.com@lists.example",
        "btv1==012345678==bob@example.com",
        "SRS0=HHH=TT=example.com=owner-list+bob=example.org@forward.example",
    ],
)
def test_an_address_within_a_local_part_is_an_address(address: str) -> None:
    assert "bob" in names_of([address])
    assert names_of([address]).isdisjoint({"example.com", "HHH", "TT", "forward.example"})


def test_what_only_contains_a_name_stays() -> None:
    text = "bobcat kebob 1bob bob2 mx.example.net[198.51.100.9]:25"
    assert KnownNames(["bob@example.net"]).masked(text) == text


def test_names_of_services_stay_in_text() -> None:
    text = "relay=mail.example.net[198.51.100.9]:25 (postfix/smtp)"
    assert KnownNames(["mail@example.net", "smtp@example.net"]).masked(text) == text


@pytest.mark.parametrize("unit", ["bob", "bob ", "%62", "+62", "\\", "''", "&#98;", "bo", "%25"])
def test_a_long_text_takes_no_more_time_than_its_length(unit: str) -> None:
    text = unit * (300_000 // len(unit))
    KnownNames(["bob@example.net", "o'brien@example.net"]).masked(text)


@pytest.mark.parametrize(
    "unit", ["+", "-", "=", "a+", "a-b=", "%", "!", "\\", "@", "SRS0=", "prvs="]
)
def test_a_long_address_takes_no_more_time_than_its_length(unit: str) -> None:
    assert len(names_of([unit * (60_000 // len(unit))])) < 200


def story_of(local: str, reply: str) -> Story:
    log = f"""
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7], sasl_method=PLAIN, sasl_username={local}
24T10:00:01 mx1 postfix/qmgr: AAAAAA1: from=<{local}@example.com>, size=500, nrcpt=1 (queue active)
24T10:00:02 mx1 postfix/smtp: AAAAAA1: to=<{local}@example.net>, orig_to=<{local}>, relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (host mx.example.net[198.51.100.9] said: 550 {reply})
"""  # noqa: E501
    [story] = stories_of(log)
    return story


@given(local=st.from_regex(r"\A[zZ]q[a-z0-9.'_%+=!-]{1,10}[a-z]\Z"), form=st.sampled_from([*FORMS]))
def test_no_form_of_a_name_is_left_in_an_answer(local: str, form: str) -> None:
    write, around = FORMS[form]
    story = story_of(local, around.format(write(local)))
    shown = story_to_masked_json(story)
    view = StoryView(Texts("en"), ZoneInfo("UTC"), Links("en"), story_to_masked_json)
    row = view.row(story)
    for text in (*strings(shown), *strings(row)):
        assert is_hidden(local, text), text
    assert shown["relay"] == "mx.example.net[198.51.100.9]:25"


def strings(value: object) -> list[str]:
    """All texts in a value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for one in value for text in strings(one)]
    return [value] if isinstance(value, str) else []


def test_of_names_with_one_beginning_each_is_found_where_it_stands() -> None:
    known = KnownNames(["ann@example.net", "annabelle@example.net", "anna@example.net"])
    for text in ("ann", "anna", "annabelle", "x ann", "annabelle ann anna"):
        assert known.masked(text) == " ".join(
            "x" if word == "x" else "a***" for word in text.split()
        )
    assert known.masked("annab annabell anne") == "annab annabell anne"


def test_thousands_of_names_are_found_among_one_another() -> None:
    names = [f"user{number}" for number in range(3000)]
    known = KnownNames(f"{name}@example.net" for name in names)
    assert known.masked("user7, user2999; user3000 xuser7") == "u***, u***; user3000 xuser7"
