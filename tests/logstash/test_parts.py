"""Plugins one by one: what is carried over, and what is said of the rest."""

import re
from typing import Any

import pytest

from mailingest.logstash.interpretation import Imported
from tests.logstash.test_interpretation import of, said, verdicts

EVERYWHERE = {"host": "0.0.0.0"}
ES = {"hosts": ["http://127.0.0.1:9200"]}


def content(text: str, patterns: str = "") -> Any:
    return of(text, patterns).document.content()


# --- Inputs ---


@pytest.mark.parametrize(
    ("plugin", "inputs"),
    [
        ("udp { port => 5140 }", {"udp": [{**EVERYWHERE, "port": 5140}], "tcp": []}),
        (
            'udp { port => "5140" host => "::" type => mail receive_buffer_bytes => 65536 '
            'codec => plain { charset => "UTF-8" } }',
            {
                "udp": [
                    {
                        "host": "::",
                        "port": 5140,
                        "type": "mail",
                        "charset": "UTF-8",
                        "receive_buffer": 65536,
                    }
                ],
                "tcp": [],
            },
        ),
        ('udp { port => "${PORT:514}" }', {"udp": [{**EVERYWHERE, "port": 514}], "tcp": []}),
        (
            "syslog { }",
            {"udp": [{**EVERYWHERE, "port": 514}], "tcp": [{**EVERYWHERE, "port": 514}]},
        ),
        ("relp { }", {"relp": [{**EVERYWHERE, "port": 2514}], "udp": [], "tcp": []}),
        (
            'beats { port => 5044 client_inactivity_timeout => 90 ssl => true ssl_key => "/k" '
            'ssl_certificate => "/c" ssl_certificate_authorities => ["/a"] }',
            {
                "lumberjack": [
                    {
                        **EVERYWHERE,
                        "port": 5044,
                        "idle_timeout": 90.0,
                        "tls": {"certificate": "/c", "key": "/k", "client_ca": "/a"},
                    }
                ],
                "udp": [],
                "tcp": [],
            },
        ),
        (
            'beats { port => 5044 ssl => false ssl_key => "/k" ssl_certificate => "/c" }',
            {"lumberjack": [{**EVERYWHERE, "port": 5044}], "udp": [], "tcp": []},
        ),
        (
            'file { path => ["/var/log/mail.log", "/logs/m*", "/a/**/b", "c"] type => mbox '
            "start_position => beginning }",
            {
                "file": [
                    {"path": "/var/log/mail.log", "start": "beginning", "type": "mbox"},
                    {"path": "/logs/m*", "start": "beginning", "type": "mbox"},
                ],
                "udp": [],
                "tcp": [],
            },
        ),
        ("tcp { port => 5000 mode => client }", None),
        ("udp { }", None),
        ('udp { port => "${PORT}" }', None),
        ("udp { port => 70000 }", None),
        ("kafka { topics => [mail] }", None),
    ],
)
def test_inputs(plugin: str, inputs: Any) -> None:
    assert content(f"input {{ {plugin} }}").get("inputs") == inputs


@pytest.mark.parametrize(
    ("plugin", "what", "verdict", "words"),
    [
        ("udp { }", "udp", "wrong", "has no port"),
        ('udp { port => "${PORT}" }', "udp port", "not carried", "it is in the environment or"),
        ("udp { port => 1 port => 2 }", "udp port", "wrong", "given several times"),
        ('udp { port => 1 type => "A B" }', "udp type", "not carried", "it names the index here"),
        (
            "udp { port => 1 tags => [a2] }",
            "udp tags",
            "not carried",
            "events get no fields by input",
        ),
        ("udp { port => 1 workers => 4 }", "udp workers", "replaced", "nothing of the kind"),
        ("udp { port => 1 whatever => 4 }", "udp whatever", "not carried", "no such setting"),
        ("tcp { port => 1 ssl_enable => true }", "tcp ssl_enable", "not carried", "set tls of the"),
        (
            "tcp { port => 1 codec => multiline { what => previous } }",
            "tcp multiline what",
            "not carried",
            "as its codec",
        ),
        ('file { path => "mail.log" }', "file path", "not carried", "only absolute paths"),
        ("redis { host => a2 }", "redis", "not carried", "let rsyslog or Filebeat send here"),
        ('syslog { timezone => "Europe/Rome" }', "syslog timezone", "carried", "as timezone"),
    ],
)
def test_what_is_said_of_inputs(plugin: str, what: str, verdict: str, words: str) -> None:
    assert_said(of(f"input {{ {plugin} }}"), what, verdict, words)


# --- Outputs ---


@pytest.mark.parametrize(
    ("plugins", "expected"),
    [
        ("elasticsearch { }", {"elasticsearch": ES}),
        (
            'elasticsearch { hosts => ["a1", "b2:9201", "https://c3", "[::1]:1"] ssl => true }',
            {
                "elasticsearch": {
                    "hosts": [
                        "https://a1:9200",
                        "https://b2:9201",
                        "https://c3:9200",
                        "https://[::1]:1",
                    ]
                }
            },
        ),
        (
            'elasticsearch { host => "a1" port => "9300" protocol => "node" cluster => "x" }',
            {"elasticsearch": {"hosts": ["http://a1:9300"]}},
        ),
        (
            'opensearch { hosts => "https://ann:pw@a1:9200/es/" cacert => "/ca" timeout => 30 '
            'compression_level => 1 index => "mbox-%{+YYYY.MM.dd}" }',
            {
                "elasticsearch": {
                    "hosts": ["https://a1:9200/es"],
                    "username": "ann",
                    "password_file": "/etc/mailingest/elasticsearch-password",
                    "ca_certs": "/ca",
                    "timeout": 30.0,
                    "compress": True,
                },
                "index": {"prefix": "mbox"},
            },
        ),
        (
            'elasticsearch { api_key => "id:key" ssl_verification_mode => "none" cacert => "/ca" }',
            {
                "elasticsearch": {
                    **ES,
                    "api_key_file": "/etc/mailingest/elasticsearch-api-key",
                    "verify_certs": False,
                }
            },
        ),
        ('elasticsearch { index => "Mail" }', {"elasticsearch": ES}),
        ('elasticsearch { cloud_id => "x1" }', {}),
        ('elasticsearch { hosts => ["${ES}"] }', {}),
        (
            'elasticsearch { index => "mail-%{+YYYY.MM}" }',
            {"elasticsearch": ES, "index": {"prefix": "mail"}},
        ),
        ('file { path => "/tmp/%{+YYYY}" }', {}),
        ('file { path => "/tmp/x" }', {"ndjson": {"path": "/tmp/x"}}),
        ('file { path => "/tmp/x" } elasticsearch { }', {"elasticsearch": ES}),
        ("stdout { codec => rubydebug }", {}),
        (
            'elasticsearch { index => "all" } if [program] =~ /^postfix/ { elasticsearch '
            '{ index => "mta-%{+YYYY.MM.dd}" } } else { elasticsearch { index => "rest" } }',
            {"elasticsearch": ES, "index": {"prefix": "mta"}},
        ),
    ],
)
def test_outputs(plugins: str, expected: Any) -> None:
    assert content(f"output {{ {plugins} }}") == expected


@pytest.mark.parametrize(
    ("plugins", "what", "verdict", "words"),
    [
        ("elasticsearch { cluster => x1 }", "elasticsearch", "wrong", "gone since 2015"),
        ("elasticsearch { embedded => true }", "elasticsearch embedded", "wrong", "since 2.0"),
        (
            "elasticsearch { pipeline => geo }",
            "elasticsearch pipeline",
            "not carried",
            "default_pip",
        ),
        (
            "elasticsearch { ilm_policy => p1 }",
            "elasticsearch ilm_policy",
            "not carried",
            "retention",
        ),
        (
            'elasticsearch { document_id => "%{[@metadata][fingerprint]}" }',
            "elasticsearch document_id",
            "replaced",
            "ids are made from the line",
        ),
        (
            'elasticsearch { document_id => "%{postfix_to}" }',
            "elasticsearch document_id",
            "not carried",
            "each line has an id of its own",
        ),
        (
            'elasticsearch { index => "mail-%{+YYYY.MM}" }',
            "elasticsearch index",
            "not carried",
            "an index a day here: mail-YYYY.MM.dd",
        ),
        (
            'if "_grokparsefailure" in [tags] { file { path => "/tmp/x" } }',
            "file",
            "replaced",
            "parse --unmatched",
        ),
        (
            'elasticsearch { cloud_id => "x1" }',
            "elasticsearch",
            "not carried",
            "where the server is",
        ),
        ('elasticsearch { hosts => ["${ES}"] }', "elasticsearch hosts", "not carried", "(ES): set"),
        ("kafka { topic_id => mail }", "kafka", "not carried", "events go to one store"),
        ('elasticsearch { hosts => "http://[" }', "elasticsearch hosts", "wrong", "is not a host"),
    ],
)
def test_what_is_said_of_outputs(plugins: str, what: str, verdict: str, words: str) -> None:
    assert_said(of(f"output {{ {plugins} }}"), what, verdict, words)


# --- Filters ---


@pytest.mark.parametrize(
    ("filters", "what", "verdict", "words"),
    [
        (
            'grok { match => { "message" => "%{SYSLOGBASE} %{GREEDYDATA:message}" } }',
            "grok",
            "replaced",
            "headers of all kinds",
        ),
        (
            'grok { match => { "message" => "%{SYSLOGBASE} (?<queue_id>[0-9A-F]+): '
            'from=<%{DATA:sender_x}>, size=%{INT:bytes_x}, %{WORD:odd}" } }',
            "grok match",
            "not carried",
            "fields have other names: queue_id is postfix_queueid here; sender_x is postfix_from "
            "here; bytes_x is postfix_size here; odd is no field here",
        ),
        ("grok { }", "grok", "wrong", "matches nothing"),
        (
            'grok { match => { "postfix_smtp_response" => "^(?<code>[0-9]+) " } }',
            "grok match",
            "not carried",
            "code is no field here",
        ),
        (
            'grok { match => { "message" => "%{POSTFIX_SMTP}" } break_on_match => false }',
            "grok break_on_match",
            "not carried",
            "the first pattern that matches",
        ),
        ("kv { source => postfix_keyvalue_data }", "kv", "replaced", "each key=value"),
        ("kv { source => other_data }", "kv", "not carried", "other_data: "),
        ('date { match => ["timestamp", "ISO8601"] }', "date", "replaced", "read from its header"),
        (
            'date { match => ["x1", "ISO8601"] target => "y1" }',
            "date",
            "not carried",
            "x1 stays as it is logged",
        ),
        ('date { match => [ts, "ISO8601"] timezone => "UTC" }', "date timezone", "carried", "as"),
        (
            'date { match => [ts, "ISO8601"] timezone => "%{zone}" }',
            "date timezone",
            "not carried",
            "syslog.host_timezones",
        ),
        (
            'mutate { convert => { "postfix_size" => "integer" } }',
            "mutate convert",
            "replaced",
            "fields have these types",
        ),
        (
            'mutate { convert => [ "postfix_size", "integer", "postfix_dsn", "float" ] '
            'convert => [ "x", "integer" ] }',
            "mutate convert",
            "not carried",
            "postfix_dsn is keyword; no field here: x",
        ),
        ("mutate { }", "mutate", "replaced", "does nothing"),
        (
            'mutate { rename => { "syslog_program" => "program" } }',
            "mutate rename",
            "replaced",
            "read from the header",
        ),
        (
            'mutate { rename => { "postfix_to" => "rcpt" } }',
            "mutate rename",
            "not carried",
            "postfix_to as rcpt",
        ),
        (
            'mutate { replace => { "message" => "%{syslog_message}" } }',
            "mutate replace",
            "replaced",
            "read from the header",
        ),
        ('mutate { replace => { "host" => "x1" } }', "mutate replace", "not carried", "host: "),
        ('mutate { lowercase => "postfix_to" }', "mutate lowercase", "not carried", "in any case"),
        (
            'mutate { gsub => [ "a", "b", "c" ] }',
            "mutate gsub",
            "not carried",
            "a: stored as logged",
        ),
        (
            'mutate { remove_field => ["postfix_keyvalue_data", "x"] }',
            "mutate remove_field",
            "replaced",
            "none of them is stored",
        ),
        (
            'mutate { remove_field => ["postfix_to"] }',
            "mutate remove_field",
            "not carried",
            "postfix_to: fields cannot be left out",
        ),
        ('mutate { add_tag => "x1" }', "mutate add_tag", "not carried", "events get no tag x1"),
        (
            'mutate { add_tag => "_grok_postfix_program_nomatch" }',
            "mutate add_tag",
            "replaced",
            "tags say what matched",
        ),
        (
            'mutate { add_field => { "program" => "%{syslog_program}" } }',
            "mutate add_field",
            "replaced",
            "",
        ),
        (
            'mutate { add_field => ["received_at", "x", "y", "z"] '
            'add_field => ["program", "%{syslog_program}"] }',
            "mutate add_field",
            "not carried",
            "events get no field received_at (@timestamp is the time of the line), y",
        ),
        (
            "aggregate { code => \"map['postfix_size'] = event.get('postfix_size')\" }",
            "aggregate",
            "replaced",
            "every delivery has",
        ),
        (
            "aggregate { code => \"map['postfix_dsn'] = event.get('postfix_dsn')\" }",
            "aggregate",
            "not carried",
            "and not postfix_dsn",
        ),
        ('aggregate { code => "event.cancel()" }', "aggregate", "not carried", "each line stays"),
        ("drop { }", "drop", "not carried", "all lines that come here are kept"),
        ("if ![postfix_queueid] { drop { } }", "drop", "wrong", "drops every line"),
        (
            'grok { match => { "message" => "(?<postfix_queueid>[A-F]+): (?<x>.)" } } '
            "if ![postfix_queueid] { drop { } }",
            "drop",
            "not carried",
            "lines without a queue ID are kept",
        ),
        ("fingerprint { }", "fingerprint", "replaced", "ids are made from the line"),
        ("syslog_pri { }", "syslog_pri", "replaced", "syslog_facility"),
        (
            'dissect { mapping => { "message" => "%{program}[%{pid}]: %{message}" } }',
            "dissect",
            "replaced",
            "headers of all kinds",
        ),
        (
            'if [program] == "named" { mutate { add_tag => "x" } }',
            "mutate",
            "replaced",
            "each of its options",
        ),
        (
            'if [type] == "apache" { mutate { add_tag => "x" } } if [type] == "mail" { }',
            "mutate",
            "not carried",
            "no line of mail comes here",
        ),
        (
            'if [program] == "postfix/smtpd" { }',
            'if [program] == "postfix/smtpd"',
            "wrong",
            "misses the daemons of other instances",
        ),
        (
            'if [program] in ["postfix/smtp", "postfix/lmtp"] { }',
            'if [program] in [ "postfix/smtp", "postfix/lmtp" ]',
            "wrong",
            "misses the daemons of other instances",
        ),
        (
            r"if [program] =~ /^postfix\/smtp$/ { }",
            r"if [program] =~ /^postfix\/smtp$/",
            "wrong",
            "misses the daemons of other instances",
        ),
        (
            'if [program] == "dovecot" { grok { match => { "message" => "%{WORD:dovecot_x}" } } }',
            "grok match",
            "not carried",
            "has other fields: dovecot_x",
        ),
        (
            r'if [program] == "own" { grok { match => { "message" => "^\p{L}%{INT:x}$" } } }',
            "grok",
            "not carried",
            "the pattern cannot be used as it is",
        ),
    ],
)
def test_what_is_said_of_filters(filters: str, what: str, verdict: str, words: str) -> None:
    assert_said(of(f"filter {{ {filters} }}"), what, verdict, words)


def test_a_line_that_is_no_pattern_is_told_of_and_the_others_are_read() -> None:
    text = 'filter { if [program] == "own" { grok { match => { "message" => "^%{B}$" } } } }'
    found = of(text, "A a\nREADME\n# comment\n\nB (?<b>b)\n")

    assert said(found, "line") == [
        ("wrong", "no pattern: a NAME, a blank and a regular expression")
    ]
    assert [str(one.place) for one in found.entries if one.what == "line"] == ["own.grok:2:1"]
    assert found.pattern_file == "B (?<b>b)\n"


@pytest.mark.parametrize(
    "condition",
    [
        r"[program] =~ /^postfix.*\/smtp$/",
        "[program] =~ /^postfix/",
        '[type] == "postfix/smtp"',
        '[program] == "postfix"',
        '"postfix/smtp" in [tags]',
    ],
)
def test_a_condition_that_takes_all_instances_is_right(condition: str) -> None:
    found = of(f"filter {{ if {condition} {{ }} }}")

    assert not [one for one in found.entries if one.verdict == "wrong"]


@pytest.mark.parametrize(
    ("conditions", "tags"),
    [
        ('if [program] == "own" { GROK }', {"own"}),
        ('if [program] in ["own", "x-y"] { GROK }', {"own", "x-y"}),
        ('if [program] not in ["own", "x-y"] { } else { GROK }', {"own", "x-y"}),
        ('if [program] != "own" { } else { GROK }', {"own"}),
        (r"if [program] =~ /^sub\/own$/ { GROK }", {"sub/own"}),
        ('if [program] !~ /^own/ { } else if [program] == "own2" { } else { GROK }', {"own"}),
        ('if [program] == "own" and [program] == "x-y" { GROK }', set()),
        ('if [program] == "own" or ([syslog_program] == "x-y") { GROK }', {"own", "x-y"}),
        ('if [program] == "own" nand [program] == "own" { } else { GROK }', {"own"}),
        ('if ([program] == "x-y" xor [program] == "own") { GROK }', {"own", "x-y"}),
        ('if !([program] == "own") { } else { if "x" in [tags] { GROK } }', {"own"}),
        ('if "x" in [tags] { GROK }', set()),
    ],
)
def test_patterns_go_to_the_programs_whose_lines_come_there(
    conditions: str, tags: set[str]
) -> None:
    grok = 'grok { match => { "message" => "^%{NUMBER:own_score}$" } }'
    found = content(f"filter {{ {conditions.replace('GROK', grok)} }}")

    assert found.get("grok", {}).get("programs", {}).keys() == tags


SECRET = "hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f'output {{ elasticsearch {{ user => "ann" password => "{SECRET}" }} }}',
        f'output {{ elasticsearch {{ password => "{SECRET}" }} elasticsearch {{ }} }}',
        f'output {{ elasticsearch {{ hosts => "https://ann:{SECRET}@es1:9200" }} }}',
        f'output {{ elasticsearch {{ hosts => "https://ann:{SECRET}@es1:port" }} }}',
        f'output {{ elasticsearch {{ api_key => "{SECRET}" cloud_auth => "{SECRET}" }} }}',
        f'output {{ elasticsearch {{ keystore_password => "{SECRET}" }} }}',
        f'output {{ kafka {{ sasl_jaas_config => "{SECRET}" }} }}',
        f'output {{ email {{ password => "{SECRET}" }} }}',
        f'input {{ beats {{ port => 1 ssl_key_passphrase => "{SECRET}" }} }}',
        f'input {{ rabbitmq {{ password => "{SECRET}" }} redis {{ password => "{SECRET}" }} }}',
        f'filter {{ http {{ password => "{SECRET}" }} }}',
        f'filter {{ elasticsearch {{ password => "{SECRET}" }} }}',
        f'filter {{ translate {{ dictionary => {{ "a" => "{SECRET}" }} }} }}',
    ],
)
def test_no_secret_is_told_or_written(text: str) -> None:
    found = of(text)

    assert SECRET not in found.document.text()
    assert not [one for one in found.entries if SECRET in one.what + one.text]


def assert_said(found: Imported, what: str, verdict: str, words: str) -> None:
    assert what in verdicts(found)
    assert [text for told, text in said(found, what) if told == verdict and words in text], (
        said(found, what),
        re.sub(r"\s+", " ", found.document.text()),
    )
