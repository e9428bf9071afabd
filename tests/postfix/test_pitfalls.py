"""What has gone wrong for users of Postfix patterns in Logstash, one test for each report.

The numbers are those of reports about whyscream/postfix-grok-patterns (#) and about the plugins
that they are used with.
"""

from datetime import UTC
from typing import Any

import pytest

from mailingest.postfix.enrichment import CORRELATION_NOMATCH, QueueMap
from mailingest.postfix.event import POSTFIX_SUCCESS, Event
from mailingest.postfix.fields import FIELDS, NAMES
from mailingest.stores.elastic.schema import index_template
from mailingest.syslog.header import RecordDecoder
from mailingest.syslog.timestamps import Clock
from tests.postfix.test_patterns import PARSER, parse, postfix_fields

QID = "4F2A11E0ABC"
CLIENT = "mail.example.org[192.0.2.5]"
SESSION = "from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<mail.example.org>"
DELIVERY = "relay=none, delay=1, delays=0/0/0/1, dsn=2.0.0, status="


def fields_of(tag: str, text: str) -> dict[str, Any]:
    """The event's Postfix fields, if the line matched."""
    event = parse(tag, text)
    assert event.fields["tags"] == [POSTFIX_SUCCESS]
    return postfix_fields(event)


def event_of(line: str) -> Event:
    decoder = RecordDecoder(Clock(UTC, in_order=True))
    return PARSER.parse(decoder.decode(line.encode(), reference=1_795_534_873.0))


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("Subject: =?UTF-8?B?SU5W?= a=b", id="#143: an encoded word"),
        pytest.param("List-Help: <http://example.org/?hl=en&x=y>", id="#149: a URL"),
        pytest.param("X-Spam: score=3.1 required=5 tests=[A=1,B=2]", id="#75: key=value"),
        pytest.param("Subject: from=<x> relay=y, dsn=z, evil_field=1", id="#84: names of ours"),
    ],
)
def test_text_of_a_mail_makes_no_fields(header: str) -> None:
    found = fields_of("cleanup", f"{QID}: info: header {header} from {CLIENT}; {SESSION}")

    assert found == {
        "queueid": QID,
        "message_level": "info",
        "message": f"header {header} from {CLIENT}",
        "client_hostname": "mail.example.org",
        "client_ip": "192.0.2.5",
        "from": "a@example.org",
        "to": "b@example.net",
        "proto": "ESMTP",
        "helo": "mail.example.org",
    }


@pytest.mark.parametrize(
    "sender",
    [
        pytest.param("bsdb=_4343_sdf==@example.org", id="#99: equals signs"),
        pytest.param('"a, to=<x>, b=c"@example.org', id="#51: a list of keys"),
        pytest.param("name with blanks@example.org", id="blanks, as before 3.5"),
    ],
)
def test_an_address_is_not_split_into_keys(sender: str) -> None:
    found = fields_of("qmgr", f"{QID}: from=<{sender}>, size=460, nrcpt=1 (queue active)")

    assert found == {"queueid": QID, "from": sender, "size": 460, "nrcpt": 1}


def test_lines_without_a_queue_id_are_neither_dropped_nor_mixed() -> None:
    """#150, #151, #190, #192."""
    queue_map = QueueMap(wait=0)
    rejects = [
        parse("smtpd", f"NOQUEUE: reject: RCPT from {CLIENT}: 550 5.1.1 <{n}@x>: no; to=<{n}@x>")
        for n in "ab"
    ]
    others = [parse("smtpd", f"connect from {CLIENT}"), parse("qmgr", "warning: queue is full")]
    ready = [one for event in (*rejects, *others) for one in queue_map.feed(event, 0.0)]

    assert ready == [*rejects, *others]
    assert [event.queue_id for event in ready] == [None] * 4
    assert [event.fields.get("postfix_to") for event in ready] == ["a@x", "b@x", None, None]


@pytest.mark.parametrize("changed", ["host", "instance", "queue ID"])
def test_queue_ids_of_others_are_not_mixed(changed: str) -> None:
    """#150: the key is host, instance and queue ID."""
    header = "Nov 24 15:41:13 {} {}/{}[1]: {}: "
    at_host, instance, queue_id = (
        "mx2" if changed == "host" else "mx1",
        "postfix-in" if changed == "instance" else "postfix",
        "5F2A11E0ABC" if changed == "queue ID" else QID,
    )
    queue_map = QueueMap(wait=0)
    active = header.format("mx1", "postfix", "qmgr", QID) + "from=<a@x>, size=1, nrcpt=1 (queue "
    queue_map.feed(event_of(active + "active)"), 0.0)
    sent = header.format(at_host, instance, "smtp", queue_id) + f"to=<b@x>, {DELIVERY}sent (ok)"
    [event] = queue_map.feed(event_of(sent), 0.0)

    assert "postfix_from" not in event.fields
    assert CORRELATION_NOMATCH in event.fields["tags"]


@pytest.mark.parametrize(
    "queue_id",
    [
        pytest.param("4D2E3F", id="short, 6 digits"),
        pytest.param("4F2A11E0ABC", id="short, 11 digits"),
        pytest.param("ED06590130AA1C9D6D862", id="short, on a file system with large inodes"),
        pytest.param("4cbdb56t4MzP", id="long, 12 characters"),
        pytest.param("4cbdb56t4MzPjf", id="#115, #117: long, 14 characters"),
        pytest.param("4DnpgZ4fYLzKq1w", id="long, 15 characters"),
    ],
)
def test_a_queue_id_of_any_length_is_found(queue_id: str) -> None:
    event = parse("qmgr", f"{queue_id}: removed")

    assert (event.queue_id, event.nomatch) == (queue_id, "")


@pytest.mark.parametrize("word", ["authentication", "NOQUEUED", "postscreen", "statistics"])
def test_a_long_word_is_no_queue_id(word: str) -> None:
    assert parse("smtpd", f"{word}: a line").queue_id is None


def test_the_queue_id_stands_after_the_level() -> None:
    """#182, #183."""
    event = parse("cleanup", f"warning: {QID}: queue file size limit exceeded")

    assert event.queue_id == QID
    assert postfix_fields(event)["message_level"] == "warning"


@pytest.mark.parametrize(
    ("tls", "fields"),
    [
        ("may", {"tls_security_level": "may"}),
        ("may:none", {"tls_security_level": "may", "tls_downgrade_level": "none"}),
        ("dane?", {"tls_security_level": "dane", "tls_policy_undecided": "?"}),
        (
            "dane/requiretls",
            {"tls_security_level": "dane", "tls_policy": "requiretls", "requiretls": "true"},
        ),
        (
            "dane/requiretls?",
            {
                "tls_security_level": "dane",
                "tls_policy": "requiretls",
                "tls_policy_undecided": "?",
                "requiretls": "true",
                "requiretls_policy_undecided": "true",
            },
        ),
        (
            "dane/!requiretls:nostarttls",
            {
                "tls_security_level": "dane",
                "tls_policy_violated": "!",
                "tls_policy": "requiretls",
                "tls_policy_reason": "nostarttls",
                "requiretls": "true",
                "requiretls_policy_violation": "true",
                "requiretls_downgrade_level": "nostarttls",
            },
        ),
        ("words=of(a)later+version", {}),
    ],
)
def test_tls_in_a_delivery_line_does_not_spoil_it(tls: str, fields: dict[str, str]) -> None:
    """#209: since 3.11."""
    found = fields_of(
        "smtp",
        f"{QID}: to=<b@x>, relay=none, delay=1, delays=0/0/0/1, tls={tls}, dsn=2.0.0, "
        "status=sent (250 ok)",
    )

    assert found.pop("dsn") == "2.0.0"
    assert {name: found[name] for name in found if name.startswith(("tls", "requiretls"))} == fields


@pytest.mark.parametrize(
    ("end", "fields"),
    [
        pytest.param("", {}, id="nothing"),
        pytest.param(
            " key-exchange X25519 server-signature ECDSA (P-256) server-digest SHA256",
            {
                "tls_key_exchange": "X25519",
                "tls_server_signature": "ECDSA",
                "tls_server_signature_curve": "P-256",
                "tls_server_digest": "SHA256",
            },
            id="#197: a curve",
        ),
        pytest.param(
            " key-exchange X25519 server-signature RSA-PSS (2048 bits)",
            {
                "tls_key_exchange": "X25519",
                "tls_server_signature": "RSA-PSS",
                "tls_server_signature_size": "2048",
            },
            id="#208: no digest",
        ),
        pytest.param(
            " server-signature RSA-PSS (2048 bits) server-digest SHA256 client-signature RSA-PSS "
            "(4096 bits) client-digest SHA512",
            {
                "tls_server_signature": "RSA-PSS",
                "tls_server_signature_size": "2048",
                "tls_server_digest": "SHA256",
                "tls_client_signature": "RSA-PSS",
                "tls_client_signature_size": "4096",
                "tls_client_digest": "SHA512",
            },
            id="the client's signature is not part of the server's digest",
        ),
        pytest.param(
            " key-exchange ECDHE (P-256)",
            {"tls_key_exchange": "ECDHE", "tls_key_exchange_curve": "P-256"},
            id="the curve is not part of the key exchange",
        ),
    ],
)
def test_no_part_of_a_tls_line_gets_into_another(end: str, fields: dict[str, str]) -> None:
    found = fields_of(
        "smtpd",
        f"Anonymous TLS connection established from {CLIENT}: TLSv1.3 with cipher "
        f"TLS_AES_256_GCM_SHA384 (256/256 bits){end}",
    )

    assert found == {
        "client_hostname": "mail.example.org",
        "client_ip": "192.0.2.5",
        "tls_trustlevel": "Anonymous",
        "tls_version": "TLSv1.3",
        "tls_cipher": "TLS_AES_256_GCM_SHA384",
        "tls_cipher_size": "256/256",
        **fields,
    }


@pytest.mark.parametrize(
    ("counters", "fields"),
    [
        pytest.param("ehlo=2 auth=0/1", {"ehlo": 2, "auth_accepted": 0, "auth": 1},
                     id="#97, #108: auth"),
        pytest.param("quit=1 xforward=3 vrfy=1 etrn=1 help=1 xclient=1",
                     {"quit": 1, "xforward": 3, "vrfy": 1, "etrn": 1, "help": 1, "xclient": 1},
                     id="#120: in any order"),
        pytest.param("ehlo=1 brandnew=4/5", {"ehlo": 1}, id="a command of a later version"),
    ],
)  # fmt: skip
def test_an_unknown_counter_does_not_spoil_the_others(
    counters: str, fields: dict[str, int]
) -> None:
    found = fields_of("smtpd", f"disconnect from {CLIENT} {counters} commands=6/7")

    assert found == {
        "client_hostname": "mail.example.org",
        "client_ip": "192.0.2.5",
        "cmd_count_accepted": 6,
        "cmd_count": 7,
        **{f"cmd_{name}": value for name, value in fields.items()},
    }


def test_a_client_without_address_leaves_the_field_for_addresses_alone() -> None:
    """#46."""
    assert fields_of("smtpd", "connect from unknown[unknown]") == {
        "client_hostname": "unknown",
        "client_ip_unknown": "unknown",
    }


@pytest.mark.parametrize(
    "action",
    [
        pytest.param("milter-reject", id="#200"),
        pytest.param("reject_warning", id="#165"),
        *("permit", "warn", "hold", "redirect", "bcc", "hangup", "filter", "a-later-one"),
    ],
)
def test_an_action_of_any_name_is_one(action: str) -> None:
    found = fields_of("smtpd", f"NOQUEUE: {action}: RCPT from {CLIENT}: 450 4.7.1 no; {SESSION}")

    assert (found["action"], found["smtp_stage"], found["status_code"]) == (action, "RCPT", 450)
    assert (found["from"], found["to"]) == ("a@example.org", "b@example.net")


def test_a_bare_line_feed_ends_a_session() -> None:
    """#186: since the cure of SMTP smuggling."""
    found = fields_of("smtpd", f"bare <LF> received after DATA from {CLIENT}")

    assert (found["smtpd_lostconn_data"], found["smtp_stage"]) == ("bare <LF> received", "DATA")


@pytest.mark.parametrize("access", ["ALLOWLISTED", "DENYLISTED", "WHITELISTED", "BLACKLISTED"])
def test_the_words_of_before_and_after_3_6_are_known(access: str) -> None:
    """#185."""
    found = fields_of("postscreen", f"{access} [192.0.2.5]:4711")

    assert (found["postscreen_access"], found["client_ip"]) == (access, "192.0.2.5")


@pytest.mark.parametrize("reason", ["non-delivery", "delay", "delivery status"])
@pytest.mark.parametrize("recipient", ["sender", "postmaster"])
def test_a_notification_to_the_postmaster_is_one_too(recipient: str, reason: str) -> None:
    """#199."""
    found = fields_of("bounce", f"{QID}: {recipient} {reason} notification: 5A3B22F1BCD")

    assert (found["bounce_recipient"], found["bounce_reason"]) == (recipient, reason)
    assert found["bounce_queueid"] == "5A3B22F1BCD"


@pytest.mark.parametrize("tag", ["cleanup", "smtp"])
def test_a_header_that_was_replaced_is_read(tag: str) -> None:
    """#121, #168."""
    end = f" from {CLIENT}; {SESSION}: Y: z" if tag == "cleanup" else ": Y: z"
    found = fields_of(tag, f"{QID}: replace: header X: y{end}")

    assert (found["queueid"], found["action"]) == (QID, "replace")


def test_pix_workarounds_are_read() -> None:
    """#157."""
    found = fields_of(
        "smtp", f"{QID}: enabling PIX workarounds: disable_esmtp for mx[192.0.2.9]:25"
    )

    assert (found["pix_workaround"], found["relay_ip"]) == ("disable_esmtp", "192.0.2.9")


def test_what_nobody_asked_for_yet_keeps_its_queue_id_and_text() -> None:
    """#121: a line that no pattern matches is none that nobody needs."""
    event = parse("local", f"{QID}: a line of a version to come: x=y")

    assert event.queue_id == QID
    assert event.fields["tags"] == ["_grok_postfix_local_nomatch"]
    assert event.fields["message"] == f"{QID}: a line of a version to come: x=y"
    assert postfix_fields(event)["message"] == "a line of a version to come: x=y"


@pytest.mark.parametrize(
    ("tag", "response"),
    [
        *(("smtp", "smtp"), ("lmtp", "smtp"), ("virtual", "smtp"), ("discard", "smtp")),
        *(("local", "local"), ("pipe", "pipe"), ("error", "error"), ("retry", "error")),
        *(("qmgr", "smtp"), ("cleanup", "smtp"), ("bounce", "smtp"), ("my-transport", "smtp")),
    ],
)
def test_every_delivery_agent_writes_the_same_line(tag: str, response: str) -> None:
    """#42, #87, #189: the text may have brackets and blanks of its own."""
    text = 'delivered to command: procmail -a "$EXTENSION" (x) :)'
    found = fields_of(tag, f"{QID}: to=<b@x>, {DELIVERY}deferred ({text})")

    assert (found["to"], found["status"]) == ("b@x", "deferred")
    assert found[f"{response}_response"] == text


def test_every_field_has_a_type_in_the_index() -> None:
    """#66, #141, #169, #191."""
    template = index_template(replicas=0)

    assert set(template["mappings"]["properties"]) == {field.name for field in FIELDS}
    properties = template["mappings"]["properties"]
    assert [
        properties[name]["type"]
        for name in ("postfix_client_ip", "postfix_size", "postfix_delay", "postfix_queueid")
    ] == ["ip", "long", "float", "keyword"]


def test_a_repeated_line_stands_for_what_was_repeated() -> None:
    """#78."""
    event = event_of(
        "Nov 24 15:41:13 mx1 postfix/smtpd[1]: message repeated 3 times: "
        f"[ lost connection after AUTH from {CLIENT}]"
    )

    assert event.fields["syslog_repeated"] == 3
    assert event.fields["postfix_smtpd_lostconn_data"] == "lost connection"
    assert event.fields["postfix_client_ip"] == "192.0.2.5"


@pytest.mark.parametrize(
    "text",
    [
        "SSL_accept:before SSL initialization",
        "0000 16 03 01 02 00 01 00 01-fc 03 03 f5 6a 0e 1c 2b  ........ ....j..+",
    ],
)
def test_lines_of_a_high_tls_loglevel_are_tagged_and_kept(text: str) -> None:
    """#78."""
    event = parse("smtpd", text)

    assert event.fields["tags"] == ["_grok_postfix_smtpd_nomatch"]
    assert (event.fields["message"], event.fields["postfix_message"]) == (text, text)


def test_an_address_does_not_lose_its_end_or_get_more() -> None:
    """logstash-filter-kv #59: `foo@example.com>`."""
    found = fields_of("smtp", f"{QID}: to=<foo@example.com>, orig_to=<>, {DELIVERY}sent (ok)")

    assert (found["to"], found["orig_to"]) == ("foo@example.com", "")


@pytest.mark.parametrize(
    ("tag", "text", "name"),
    [
        ("smtpd", "connect from mail_1.example.org[192.0.2.5]", "client_hostname"),
        ("smtp", "connect to mail_1.example.org[192.0.2.5]:25: refused", "relay_hostname"),
        (
            "smtp",
            f"{QID}: to=<b@x>, relay=mail_1.example.org[192.0.2.5]:25, delay=1, delays=0/0/0/1, "
            "dsn=2.0.0, status=sent (ok)",
            "relay_hostname",
        ),
    ],
)
def test_a_hostname_may_have_an_underscore(tag: str, text: str, name: str) -> None:
    """patterns-core #17, #107, #285."""
    assert fields_of(tag, text)[name] == "mail_1.example.org"


@pytest.mark.parametrize(
    "program", ["postfix/smtpd", "postfix/submission/smtpd", "postfix-a/smtpd"]
)
def test_the_program_is_that_of_the_tag_and_has_no_queue_id_in_it(program: str) -> None:
    """patterns-core #193."""
    event = event_of(f"Nov 24 15:41:13 mx1 {program}[1]: {QID}: client={CLIENT}")

    assert (event.fields["program"], event.fields["pid"]) == (program, "1")
    assert event.queue_id == QID


def test_what_stands_behind_a_line_break_still_belongs_to_the_line() -> None:
    """#89: Ruby's ^ and $ are the ends of any line, so that half a text could match."""
    found = fields_of("smtp", f"{QID}: to=<b@x>, {DELIVERY}sent (250 one\n{QID}: removed)")

    assert found["smtp_response"] == f"250 one\n{QID}: removed"


def test_no_place_is_guessed_from_an_address() -> None:
    """#140: needs differ; users who want it do it behind mailingest."""
    assert not any("geo" in name for name in NAMES)
