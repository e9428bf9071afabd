"""Records -> events: which program, which fields, which tags, and no others whatever comes."""

from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.errors import UsageError
from mailingest.grok.definitions import Definition, parse_definitions
from mailingest.postfix.event import POSTFIX_SUCCESS, Event
from mailingest.postfix.fields import NAMES
from mailingest.postfix.parser import TYPE_MISMATCH, EventParser
from mailingest.postfix.programs import PROGRAMS
from mailingest.syslog.header import HEADER_NOMATCH, RecordDecoder
from mailingest.syslog.records import REPEATED, Record
from mailingest.syslog.timestamps import Clock, moment_of

PATTERNS = Path(__file__).parents[2] / "patterns"
SHIPPED = [
    definition
    for path in sorted(PATTERNS.glob("postfix*.grok"))
    for definition in parse_definitions(path.name, path.read_text("utf-8"))
]
PARSER = EventParser(SHIPPED)

REFERENCE = 1_795_534_873.0
MOMENT = moment_of(REFERENCE)
QID = "4F2A11E0ABC"
DELIVERY = f"{QID}: to=<b@example.net>, relay=none, delay=1, delays=0/0/0/1, dsn=2.0.0, status="


def parse(program: str, text: str, **values: Any) -> Event:
    return PARSER.parse(Record(MOMENT, "mx1", program, "318", text, text, **values))


def postfix_fields(event: Event) -> dict[str, Any]:
    return {name: value for name, value in event.fields.items() if name.startswith("postfix_")}


def test_an_event_of_a_line_with_everything() -> None:
    event = parse("postfix/qmgr", f"{QID}: removed", pri=22, msgid="ID47", structured_data="[a@1]")

    assert event == Event(
        seconds=1_795_534_873,
        hostname="mx1",
        instance="postfix",
        service="qmgr",
        queue_id=QID,
        nomatch="",
        fields={
            "@timestamp": "2026-11-24T15:41:13.000Z",
            "type": "mail",
            "host": "mx1",
            "program": "postfix/qmgr",
            "pid": "318",
            "syslog_facility": 2,
            "syslog_severity": 6,
            "syslog_msgid": "ID47",
            "syslog_structured_data": "[a@1]",
            "message": f"{QID}: removed",
            "tags": [POSTFIX_SUCCESS],
            "postfix_queueid": QID,
            "postfix_message": "removed",
            "program_kind": "postfix",
            "instance": "postfix",
            "service": "qmgr",
        },
    )


def test_an_event_of_a_line_with_next_to_nothing() -> None:
    event = PARSER.parse(Record(MOMENT, "", "", "", "", ""))

    assert event.fields == {
        "@timestamp": "2026-11-24T15:41:13.000Z",
        "type": "mail",
        "host": "",
        "program": "",
        "message": "",
        "tags": [],
    }
    assert (event.instance, event.service, event.queue_id, event.nomatch) == ("", "", None, "")


@pytest.mark.parametrize(
    ("program", "instance", "service"),
    [
        pytest.param("postfix/smtpd", "postfix", "smtpd", id="as Postfix is installed"),
        pytest.param("postfix/submission/smtpd", "postfix", "smtpd", id="a service name"),
        pytest.param("postfix/10025/smtpd", "postfix", "smtpd", id="a service that is a port"),
        pytest.param("postfix-internal/smtpd", "postfix-internal", "smtpd", id="an instance"),
        pytest.param("mailout/smtpd", "mailout", "smtpd", id="any syslog_name before a daemon"),
        pytest.param("postfix2/smtpd", "postfix2", "smtpd", id="an instance without its dash"),
    ],
)
def test_the_program_tells_instance_and_daemon(program: str, instance: str, service: str) -> None:
    event = parse(program, "connect from unknown[unknown]")

    assert (event.instance, event.service) == (instance, service)
    assert postfix_fields(event) == {
        "postfix_client_hostname": "unknown",
        "postfix_client_ip_unknown": "unknown",
    }


@pytest.mark.parametrize(
    ("program", "tag"),
    [
        *(
            pytest.param(f"postfix/{service}", f"_grok_postfix_{service}_nomatch", id=service)
            for service in PROGRAMS
            # Three write what they are given or find, two any reason why a mail is not delivered.
            if service not in ("", "postlog", "postlogd", "posttls-finger", "smtp", "lmtp")
        ),
        pytest.param("postfix/my-transport", "_grok_postfix_my-transport_nomatch", id="own name"),
        pytest.param("postfix", "_grok_postfix_postfix_nomatch", id="no daemon"),
        pytest.param("postfix-internal", "_grok_postfix_postfix_nomatch", id="only an instance"),
        pytest.param("postfix/", "_grok_postfix_postfix_nomatch", id="nothing after the slash"),
        pytest.param("postfix/Hostile{}", "_grok_postfix_other_nomatch", id="no daemon's name"),
        pytest.param(f"postfix/{'a' * 33}", "_grok_postfix_other_nomatch", id="a name too long"),
        pytest.param("postfix/smtpd\u0131", "_grok_postfix_other_nomatch", id="beyond ASCII"),
    ],
)
def test_what_does_not_match_is_tagged_and_keeps_its_queue_id(program: str, tag: str) -> None:
    event = parse(program, f"{QID}: no daemon writes this")

    assert (event.nomatch, event.fields["tags"]) == (tag, [tag])
    assert (event.queue_id, postfix_fields(event)) == (
        QID,
        {"postfix_queueid": QID, "postfix_message": "no daemon writes this"},
    )
    assert event.fields["message"] == f"{QID}: no daemon writes this"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("DEBUG: no queue ID", id="a word"),
        pytest.param("4F2A11E0ABCx: not hexadecimal", id="a letter too many"),
        pytest.param("4F2A1: too short", id="too short"),
        pytest.param("4F2A11E0ABC no colon", id="no colon"),
        pytest.param("authentication: a word as long as a long queue ID", id="a long word"),
    ],
)
def test_what_only_looks_like_a_queue_id(text: str) -> None:
    event = parse("postfix/smtpd", text)

    assert (event.queue_id, postfix_fields(event)) == (None, {"postfix_message": text})


def test_an_empty_line_has_no_fields() -> None:
    event = parse("postfix/smtpd", "")

    assert (event.nomatch, postfix_fields(event)) == ("_grok_postfix_smtpd_nomatch", {})


def test_what_does_not_match_keeps_the_level_that_it_has_behind_its_queue_id() -> None:
    assert postfix_fields(parse("postfix/my-transport", f"{QID}: panic: no daemon says so")) == {
        "postfix_queueid": QID,
        "postfix_message_level": "panic",
        "postfix_message": "no daemon says so",
    }


def test_noqueue_is_a_field_but_no_queue_id() -> None:
    event = parse("postfix/smtpd", "NOQUEUE: client=unknown[unknown]")

    assert event.queue_id is None
    assert event.fields["postfix_queueid"] == "NOQUEUE"


@pytest.mark.parametrize(
    "program",
    [
        *("dovecot", "amavis", "opendkim", "rspamd", "postgrey", "policyd-spf", "postfixadmin"),
        *("spamd/child", "", "/", "smtpd"),
    ],
)
def test_other_programs_are_kept_without_postfix_fields(program: str) -> None:
    event = parse(program, f"{QID}: removed")

    assert (event.instance, event.service, event.queue_id, event.nomatch) == ("", "", None, "")
    assert postfix_fields(event) == {}
    assert (event.fields["message"], event.fields["tags"]) == (f"{QID}: removed", [])


@pytest.mark.parametrize(
    ("text", "service", "fields"),
    [
        pytest.param(
            "connect from unknown[unknown]",
            "smtpd",
            {
                "postfix_client_hostname": "unknown",
                "postfix_client_ip_unknown": "unknown",
            },
            id="smtpd",
        ),
        pytest.param(
            f"{QID}: message-id=<a@b>", "cleanup", {"postfix_message-id": "a@b"}, id="cleanup"
        ),
        pytest.param(
            f"{QID}: milter-reject: END-OF-MESSAGE from a[192.0.2.5]: no; from=<a> to=<b>",
            "cleanup",
            {
                "postfix_milter_result": "reject",
                "postfix_milter_message": "END-OF-MESSAGE from a[192.0.2.5]: no",
                "postfix_status_message": "no",
                "postfix_smtp_stage": "END-OF-MESSAGE",
                "postfix_client_hostname": "a",
                "postfix_client_ip": "192.0.2.5",
                "postfix_from": "a",
                "postfix_to": "b",
            },
            id="cleanup, not smtpd, asks milters at the end of a mail",
        ),
        pytest.param(
            f"{QID}: from=<>, size=1, nrcpt=2 (queue active)",
            "qmgr",
            {"postfix_from": "", "postfix_size": 1, "postfix_nrcpt": 2},
            id="qmgr: active",
        ),
        pytest.param(f"{QID}: removed", "qmgr", {"postfix_message": "removed"}, id="qmgr: removed"),
        pytest.param(
            f"{QID}: uid=0 from=<root>",
            "pickup",
            {"postfix_uid": 0, "postfix_from": "root"},
            id="pickup",
        ),
        pytest.param(
            f"{QID}: sender delay notification: 5A3B22F1BCD",
            "bounce",
            {
                "postfix_bounce_recipient": "sender",
                "postfix_bounce_reason": "delay",
                "postfix_bounce_queueid": "5A3B22F1BCD",
            },
            id="bounce",
        ),
        pytest.param(
            "connect to a[192.0.2.9]:25: no",
            "smtp",
            {
                "postfix_relay_hostname": "a",
                "postfix_relay_ip": "192.0.2.9",
                "postfix_relay_port": 25,
                "postfix_smtp_lostconn_data": "no",
            },
            id="smtp",
        ),
        pytest.param(
            f"{QID}: placed on hold",
            "postsuper",
            {"postfix_postsuper_action": "placed on hold"},
            id="postsuper",
        ),
        pytest.param(
            "PASS OLD [192.0.2.5]:4711",
            "postscreen",
            {
                "postfix_postscreen_access": "PASS OLD",
                "postfix_client_ip": "192.0.2.5",
                "postfix_client_port": 4711,
            },
            id="postscreen",
        ),
        pytest.param(
            "cache btree:/var/lib/postfix/verify_cache full cleanup: retained=2 dropped=1 entries",
            "verify",
            {
                "postfix_verify_cleanup_type": "full",
                "postfix_verify_cache_retained": 2,
                "postfix_verify_cache_dropped": 1,
            },
            id="verify, by the name of its cache",
        ),
        pytest.param(
            "cache btree:/var/lib/postfix/psc full cleanup: retained=2 dropped=1 entries",
            "postscreen",
            {
                "postfix_postscreen_cleanup_type": "full",
                "postfix_postscreen_cache_retained": 2,
                "postfix_postscreen_cache_dropped": 1,
            },
            id="postscreen, by the name of its cache",
        ),
        pytest.param(
            "certificate verification failed for a[192.0.2.9]:25: self-signed certificate",
            "smtp",
            {
                "postfix_relay_hostname": "a",
                "postfix_relay_ip": "192.0.2.9",
                "postfix_relay_port": 25,
                "postfix_tls_error": "self-signed certificate",
            },
            id="smtp, not smtpd, by the port of the other side",
        ),
        pytest.param(
            "statistics: max cache size 1 at Nov 24 15:41:13",
            "anvil",
            {"postfix_anvil_cache_size": 1, "postfix_anvil_timestamp": "Nov 24 15:41:13"},
            id="anvil",
        ),
        pytest.param(
            "terminating on signal 15",
            "master",
            {"postfix_message": "terminating", "postfix_termination_signal": 15},
            id="master",
        ),
    ],
)
def test_a_tag_that_was_cut_at_the_slash_is_guessed_by_the_text(
    text: str, service: str, fields: dict[str, Any]
) -> None:
    event = parse("postfix", text)
    found = postfix_fields(event)
    found.pop("postfix_queueid", None)

    assert (event.instance, event.service, found) == ("postfix", service, fields)
    assert event.fields["tags"] == [POSTFIX_SUCCESS]


def test_a_delivery_is_a_delivery_also_where_the_daemon_is_not_known() -> None:
    fields = parse("postfix", f"{DELIVERY}sent (250 ok)").fields

    assert (fields["postfix_to"], fields["postfix_status"]) == ("b@example.net", "sent")


@pytest.mark.parametrize(
    ("relay", "outcome", "service", "name"),
    [
        pytest.param("a[192.0.2.9]:25", "sent", "smtp", "smtp_response", id="a host"),
        pytest.param("a[private/lmtp]", "sent", "lmtp", "smtp_response", id="a socket"),
        pytest.param("local", "sent", "local", "local_response", id="local"),
        pytest.param("virtual", "sent", "virtual", "smtp_response", id="virtual"),
        pytest.param("maildrop", "sent", "pipe", "pipe_response", id="a transport of pipe"),
        pytest.param("none", "sent", "discard", "smtp_response", id="nowhere"),
        pytest.param("none", "deferred", "smtp", "smtp_response", id="no connection"),
    ],
)
def test_the_relay_tells_who_delivered_where_the_tag_was_cut(
    relay: str, outcome: str, service: str, name: str
) -> None:
    event = parse("postfix", f"{DELIVERY}{outcome} (why)".replace("relay=none", f"relay={relay}"))
    texts = {one for one in event.fields if one.endswith("_response")}

    assert (event.service, event.fields["postfix_status"]) == (service, outcome)
    assert (texts, event.fields[f"postfix_{name}"]) == ({f"postfix_{name}"}, "why")


def test_a_cut_tag_and_a_cut_line_have_no_text() -> None:
    event = parse("postfix", DELIVERY.replace("relay=none", "relay=local"))

    assert event.service == "local"
    assert not any(name.endswith("_response") for name in event.fields)


@pytest.mark.parametrize(
    ("program", "text", "name", "value"),
    [
        pytest.param(
            "postfix/qmgr",
            f"{QID}: from=<a>, size={'9' * 30}, nrcpt=2 (queue active)",
            "postfix_size",
            "9" * 30,
            id="an integer that is too large",
        ),
        pytest.param(
            "postfix/smtpd",
            "connect from a[192.0.2.256]",
            "postfix_client_ip",
            "192.0.2.256",
            id="an address that is none",
        ),
        pytest.param(
            "postfix/smtp",
            f"{DELIVERY}sent (ok)".replace("delay=1", f"delay={'9' * 30}"),
            "postfix_delay",
            "9" * 30,
            id="a delay beyond all time",
        ),
    ],
)
def test_a_value_that_does_not_fit_its_type_is_kept_as_text(
    program: str, text: str, name: str, value: str
) -> None:
    event = parse(program, text)

    assert event.fields["tags"] == [POSTFIX_SUCCESS, TYPE_MISMATCH]
    assert event.fields["unfit"] == [f"{name}={value}"]
    assert name not in event.fields
    assert event.nomatch == ""


def test_all_values_that_do_not_fit_are_kept() -> None:
    event = parse("postfix/smtpd", f"connect from a[1::2::3]:{'9' * 19}")

    assert event.fields["unfit"] == [
        "postfix_client_ip=1::2::3",
        f"postfix_client_port={'9' * 19}",
    ]


@pytest.mark.parametrize(
    ("program", "text", "links"),
    [
        pytest.param(
            "smtp",
            f"{DELIVERY}sent (250 2.0.0 Ok: queued as 5A3B22F1BCD)",
            {"postfix_remote_queueid": "5A3B22F1BCD"},
            id="Postfix",
        ),
        pytest.param(
            "smtp",
            f"{DELIVERY}sent (250 OK id=1tABCd-000000001aB-2cDe)",
            {"postfix_remote_queueid": "1tABCd-000000001aB-2cDe"},
            id="Exim",
        ),
        pytest.param(
            "lmtp",
            f"{DELIVERY}sent (250 2.0.0 from MTA(smtp:[::1]:10025): 250 Ok: queued as 5A3B22F1BCD)",
            {"postfix_remote_queueid": "5A3B22F1BCD"},
            id="a filter that tells what Postfix said to it",
        ),
        pytest.param(
            "local",
            f"{DELIVERY}sent (forwarded as 5A3B22F1BCD)",
            {"postfix_forwarded_queueid": "5A3B22F1BCD"},
            id="an alias",
        ),
        pytest.param(
            "smtpd",
            "proxy-accept: END-OF-MESSAGE: 250 Ok: queued as 5A3B22F1BCD; from=<a> to=<b>",
            {"postfix_remote_queueid": "5A3B22F1BCD"},
            id="a filter before the queue",
        ),
        pytest.param("smtp", f"{DELIVERY}sent (250 ok)", {}, id="nothing is said"),
        pytest.param(
            "smtp", f"{DELIVERY}bounced (550 not queued as 5A3B22F1BCD)", {}, id="not sent"
        ),
        pytest.param(
            "smtp", f"{DELIVERY}sent (250 5A3B2 is not forwarded as 5A3B2)", {}, id="other words"
        ),
        pytest.param("smtp", f"{DELIVERY}sent (250 queued as {'A' * 4})", {}, id="too short"),
        pytest.param("local", f"{DELIVERY}sent (forwarded as me)", {}, id="no queue ID"),
    ],
)
def test_the_link_to_the_next_queue_id(program: str, text: str, links: dict[str, str]) -> None:
    fields = parse(f"postfix/{program}", text).fields
    names = ("postfix_remote_queueid", "postfix_forwarded_queueid")

    assert {name: fields[name] for name in names if name in fields} == links


def test_a_repeated_line_is_matched_by_what_is_repeated() -> None:
    text = "connect from unknown[unknown]"
    record = Record(MOMENT, "mx1", "postfix/smtpd", "318", f"… [{text}]", text, repeated=4)
    fields = PARSER.parse(record).fields

    assert (fields["message"], fields["syslog_repeated"]) == (f"… [{text}]", 4)
    assert fields["postfix_client_hostname"] == "unknown"


def test_what_went_wrong_before_comes_first_among_the_tags() -> None:
    event = parse("postfix/qmgr", f"{QID}: removed", problems=(REPEATED,), raw=b"\xff", repeated=1)

    assert event.fields["tags"] == [REPEATED, POSTFIX_SUCCESS]
    assert event.fields["raw"] == b"\xff"


def test_a_line_without_header_says_so() -> None:
    event = PARSER.parse(RecordDecoder(Clock(UTC, in_order=False)).decode(b"x", reference=1.0))

    assert (event.nomatch, event.fields["tags"]) == (HEADER_NOMATCH, [HEADER_NOMATCH])
    assert (event.fields["message"], event.fields["raw"]) == ("x", b"x")


def test_many_made_up_programs_do_not_change_what_is_read() -> None:
    for number in range(5_000):
        parse(f"postfix/{number}", "x")

    assert parse("postfix/qmgr", f"{QID}: removed").queue_id == QID


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        pytest.param("(", "own.grok:7: pattern POSTFIX_PICKUP: ", id="that does not compile"),
        pytest.param("%{NONE}", "own.grok:7: pattern POSTFIX_PICKUP: ", id="that is not whole"),
        pytest.param(
            "(?<color>red)",
            "own.grok:7: pattern POSTFIX_PICKUP: there is no field color",
            id="with a field that is not declared",
        ),
    ],
)
def test_an_own_pattern_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        EventParser([*SHIPPED, Definition("POSTFIX_PICKUP", pattern, "own.grok", 7)])

    assert str(refused.value).startswith(message)


def test_an_own_pattern_replaces_the_shipped_one() -> None:
    own = Definition("POSTFIX_PICKUP", "red (?<postfix_message>.*)", "own.grok", 7)
    event = EventParser([*SHIPPED, own]).parse(
        Record(MOMENT, "mx1", "postfix/pickup", "", "red alert", "red alert")
    )

    assert postfix_fields(event) == {"postfix_message": "alert"}


LINES = [
    f"{DELIVERY}sent (250 2.0.0 Ok: queued as 5A3B22F1BCD)",
    f"{QID}: client=a[192.0.2.5], sasl_method=PLAIN, sasl_username=u, orig_queue_id=5A3B22F1BCD",
    "disconnect from a[192.0.2.5] ehlo=1 mail=0/1 quit=1 commands=2/3",
    f"{QID}: from=<a@example.org>, size=460, nrcpt=1 (queue active)",
    f"{QID}: warning: header X: y from a[192.0.2.5]; from=<a> to=<b> proto=ESMTP helo=<h>: why",
    "NOQUEUE: reject: RCPT from a[192.0.2.5]: 550 5.1.1 <b>: no; from=<a> to=<b> proto=SMTP",
]
names = st.sampled_from(sorted(PROGRAMS)) | st.text(max_size=5)
programs = names.map("postfix/{}".format) | st.text() | st.sampled_from(["postfix", "dovecot"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Anything, or a line that is damaged in a few places."""
    if draw(st.booleans()):
        return draw(st.text())
    text = draw(st.sampled_from(LINES))
    for _ in range(draw(st.integers(0, 3))):
        begin = draw(st.integers(0, len(text)))
        end = draw(st.integers(begin, min(begin + 5, len(text))))
        text = text[:begin] + draw(st.text(max_size=3)) + text[end:]
    return text


@given(program=programs, text=texts())
def test_every_field_is_declared_and_the_text_is_kept_whatever_comes(
    program: str, text: str
) -> None:
    event = parse(program, text)
    fields = event.fields

    assert set(fields) <= NAMES
    assert fields["message"] == text
    assert event.queue_id == fields.get("postfix_queueid") or event.queue_id is None
    assert (TYPE_MISMATCH in fields["tags"]) == ("unfit" in fields)
    assert (event.nomatch in fields["tags"]) == (event.nomatch != "")
    assert all(isinstance(value, str | int | float | list) for value in fields.values())


@given(payload=st.binary() | texts().map(str.encode), header=st.sampled_from([b"", b"<22>1 - - "]))
def test_no_bytes_raise(payload: bytes, header: bytes) -> None:
    decoder = RecordDecoder(Clock(UTC, in_order=False))
    tag = b"Nov 24 15:41:13 mx1 postfix/smtpd[1]: " if not header else b"postfix 1 - - "
    event = PARSER.parse(decoder.decode(header + tag + payload, reference=REFERENCE))

    assert set(event.fields) <= NAMES
