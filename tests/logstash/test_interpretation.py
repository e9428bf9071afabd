"""What becomes of a pipeline: nothing is left out, wrongs are found, and lines give the same."""

import gzip
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailingest.commands.import_logstash import read_source, shipped_definitions
from mailingest.config import Settings
from mailingest.config.sections import Inputs
from mailingest.logstash.grammar import parse_pipeline
from mailingest.logstash.interpretation import Imported, Source, interpret, pattern_definitions
from mailingest.logstash.patterns import EQUIVALENTS, TAKEN_APART
from mailingest.logstash.report import Entry
from mailingest.logstash.tree import Array, Hash, Pipeline, Plugin, Text, Value, plugins
from mailingest.postfix.programs import PROGRAMS
from mailingest.wiring import build_decoder, build_parser
from tests.support.logstash_groks import SiteGroks, fields_of

DATA = Path(__file__).parents[1] / "data"
PIPELINES = sorted(path for path in (DATA / "logstash-pipelines").iterdir() if path.is_dir())
NO_POSTFIX = ("11-ninech-amavis-dovecot", "12-whm-exim")
ALL_INPUTS = {*Inputs.model_fields, "file", "lumberjack", "relp"}


@cache
def source(name: str) -> Source:
    return read_source([DATA / "logstash-pipelines" / name])


@cache
def imported(name: str) -> Imported:
    return interpret(source(name), shipped_definitions(), set(Inputs.model_fields))


def of(text: str, patterns: str = "", inputs: frozenset[str] = frozenset(ALL_INPUTS)) -> Imported:
    definitions, others = pattern_definitions([("own.grok", patterns)])
    tree = parse_pipeline("a.conf", text)
    source = Source([tree], definitions, directories_missing=False, no_patterns=others)
    return interpret(source, shipped_definitions(), inputs)


def said(found: Imported, what: str) -> list[tuple[str, str]]:
    return [(one.verdict, one.text) for one in found.entries if one.what == what]


def verdicts(found: Imported) -> dict[str, str]:
    return {one.what: one.verdict for one in found.entries}


# --- Nothing is left out ---


def parts(tree: Pipeline) -> Iterator[tuple[str, int, int]]:
    """The places of all plugins and options, those of codecs too."""

    def of_plugin(plugin: Plugin) -> Iterator[tuple[str, int, int]]:
        yield plugin.place
        for attribute in plugin.attributes:
            yield attribute.place
            yield from of_value(attribute.value)

    def of_value(value: Value) -> Iterator[tuple[str, int, int]]:
        match value:
            case Plugin():
                yield from of_plugin(value)
            case Array(items):
                for item in items:
                    yield from of_value(item)
            case Hash(entries):
                for _, item in entries:
                    yield from of_value(item)

    for section in tree.sections:
        for plugin in plugins(section.body):
            yield from of_plugin(plugin)


def told(entries: Sequence[Entry]) -> Counter[tuple[str, int, int]]:
    return Counter(one.place for one in entries if one.kind in ("plugin", "option"))


@pytest.mark.parametrize("name", [path.name for path in PIPELINES])
def test_each_plugin_and_each_option_is_told_of_exactly_once(name: str) -> None:
    there = Counter(place for tree in source(name).files for place in parts(tree))

    assert told(imported(name).entries) == there


@pytest.mark.parametrize("name", [path.name for path in PIPELINES])
def test_the_settings_are_valid_and_read_back_as_they_were(name: str) -> None:
    document = imported(name).document

    assert tomllib.loads(document.text()) == document.content()
    Settings.model_validate(document.content())


@pytest.mark.parametrize("name", [path.name for path in PIPELINES])
def test_no_secret_is_told(name: str) -> None:
    found = imported(name)
    everything = [found.document.text(), *(f"{one.what} {one.text}" for one in found.entries)]

    assert not [text for text in everything if '"secret"' in text or " secret" in text]


NAMES = st.sampled_from(
    [
        *("udp", "tcp", "syslog", "beats", "relp", "file", "redis", "grok", "kv", "mutate", "date"),
        *("aggregate", "drop", "dissect", "geoip", "ruby", "elasticsearch", "opensearch", "stdout"),
        *("fingerprint", "kafka", "throttle"),
    ]
)
OPTIONS = st.sampled_from(
    [
        *("port", "host", "hosts", "type", "codec", "match", "patterns_dir", "convert", "gsub"),
        *("rename", "replace", "remove_field", "add_field", "add_tag", "code", "source", "path"),
        *("index", "user", "password", "cacert", "ssl", "ssl_key", "ssl_certificate", "timezone"),
        *("target", "mapping", "pattern_definitions", "tag_on_failure", "whatever", "timeout"),
    ]
)
WORDS = st.sampled_from(
    [
        *("5000", "70000", "-1", "mail", "Mail-Log", "%{type}-%{+YYYY.MM.dd}", "x-%{+YYYY.MM.dd}"),
        *("${PORT:5001}", "${PORT}", "message", "%{POSTFIX_SMTP}", "^%{GREEDYDATA:[a][b]}$", "(("),
        *("%{NONE:x}", "integer", "true", "false", "ISO-8859-1", "Europe/Berlin", "https://u:p@h"),
        *("/var/log/mail.log", "postfix_size", "es1:9200", "[::1]:9200", "http://[", "\\n'"),
    ]
)
SCALARS = WORDS.map(lambda word: f'"{word}"')
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(SCALARS, inner), max_size=2).map(
            lambda items: f"{{ {' '.join(f'{key} => {one}' for key, one in items)} }}"
        )
        | st.tuples(st.sampled_from(["plain", "json", "multiline"]), OPTIONS, inner).map(
            lambda one: f"{one[0]} {{ {one[1]} => {one[2]} }}"
        )
    ),
    max_leaves=4,
)
PLUGINS = st.tuples(NAMES, st.lists(st.tuples(OPTIONS, VALUES), max_size=4)).map(
    lambda one: f"{one[0]} {{\n" + "".join(f"{key} => {value}\n" for key, value in one[1]) + "}\n"
)
CONDITIONS = st.sampled_from(
    [
        *('[program] == "postfix/smtp"', "[program] =~ /^postfix/", '"x" in [tags]', "![a]"),
        *('[program] == "own"', '[type] == "mail" or [program] != "own"', "!([program] =~ /(/)"),
        *('[program] in ["own", "postfix/smtpd"]', "[a] xor [b] nand [program] =~ /own/"),
    ]
)
BODIES = st.lists(
    PLUGINS
    | st.tuples(CONDITIONS, PLUGINS, PLUGINS).map(
        lambda one: f"if {one[0]} {{\n{one[1]}}} else {{\n{one[2]}}}\n"
    ),
    max_size=3,
).map("".join)
TEXTS = st.lists(
    st.tuples(st.sampled_from(["input", "filter", "output"]), BODIES).map(
        lambda one: f"{one[0]} {{\n{one[1]}}}\n"
    ),
    max_size=3,
).map("".join)


@given(TEXTS)
@settings(max_examples=60)
def test_whatever_a_pipeline_has_is_told_of_once_and_gives_a_configuration(text: str) -> None:
    tree = parse_pipeline("a.conf", text)
    found = of(text)

    assert told(found.entries) == Counter(parts(tree))
    assert tomllib.loads(found.document.text()) == found.document.content()


# --- What is wrong is found ---

WRONG = {
    "00-udp-charset": {"if [program] == ": 2},
    "03-whyscream-aggregate": {"if [program] == ": 4},
    "04-whyscream-2014": {"pattern POSTFIX_": 3},
    "05-topmedia-2015": {"if [program] == ": 4, "pattern POSTFIX_": 3},
    "06-joelkle-aggregate-all": {"if [program] == ": 3},
    "07-hotnan-zimbra": {"if [program] == ": 4, "grok": 27, "grok match": 27, "drop": 1},
    "09-edificeio-bounce": {},
    "13-rasoolltp-ruby": {"if [program] == ": 1},
    "15-dedi27-missing-pattern": {"if [program] == ": 4, "grok match": 2},
}


@pytest.mark.parametrize("name", [path.name for path in PIPELINES])
def test_what_is_wrong_in_a_pipeline_is_found_and_nothing_else(name: str) -> None:
    found = Counter(one.what for one in imported(name).entries if one.verdict == "wrong")

    kinds = WRONG.get(name, {})
    counted = {
        kind: sum(
            count
            for what, count in found.items()
            if what == kind or (kind.endswith((" ", "_")) and what.startswith(kind))
        )
        for kind in kinds
    }
    assert counted == kinds
    assert sum(counted.values()) == found.total()


def test_the_wrongs_are_told_in_words() -> None:
    zimbra, missing = imported("07-hotnan-zimbra"), imported("15-dedi27-missing-pattern")
    old = imported("05-topmedia-2015")

    assert said(zimbra, "drop") == [
        (
            "wrong",
            "drops every line: nothing in the pipeline ever makes postfix_queueid.  Nothing is "
            "dropped here",
        )
    ]
    assert said(zimbra, "grok match")[1][1].startswith("name and field are swapped: ")
    assert [text for verdict, text in said(missing, "grok match") if verdict == "wrong"] == [
        "%{POSTFIX_MAIL_ADDRESS_FROM}: nobody defines it, and Logstash does not start with it",
        "%{POSTFIX_MAIL_ADDRESS_TO}: nobody defines it, and Logstash does not start with it",
    ]
    assert "September 2015" in said(old, "pattern POSTFIX_CLIENT_INFO")[0][1]


@pytest.mark.parametrize("name", [path.name for path in PIPELINES])
def test_only_what_has_something_of_postfix_is_imported(name: str) -> None:
    assert imported(name).is_postfix == (name not in NO_POSTFIX)


# --- Lines give what the pipeline's own grok gives ---

PARTS = {
    "postfix_client": ("POSTFIX_CLIENT", "POSTFIX_CLIENT_INFO"),
    "postfix_orig_client": ("POSTFIX_ORIG_CLIENT_INFO",),
    "postfix_relay": ("POSTFIX_RELAY", "POSTFIX_RELAY_INFO"),
    "postfix_delays": ("POSTFIX_DELAYS",),
    "postfix_tls": ("POSTFIX_TLS_FEATURES",),
    "postfix_command_counter_data": ("POSTFIX_COMMAND_COUNTER_DATA",),
}
# Where the pipelines' own patterns, or kv, take something else than what is meant: the program,
# and the field.
MISTAKEN = {
    ("cleanup", "postfix_helo"): "with the colon behind it",
    ("cleanup", "postfix_name"): "a part of a header, as key=value",
    ("cleanup", "postfix_status"): "in what the mail says",
    ("cleanup", "postfix_message"): "with the queue ID",
    ("cleanup", "postfix_warning"): "with the queue ID",
    ("cleanup", "postfix_message-id"): "cut at a blank; with its bracket if it was cut",
    ("smtpd", "postfix_message"): "with the client",
    ("smtpd", "postfix_warning"): "with the client",
    ("smtpd", "postfix_status_message"): "with the address that it is about",
    ("postscreen", "postfix_status_message"): "with the client's address",
    ("smtpd", "postfix_smtpd_lostconn_data"): "the number behind it",
    ("smtpd", "postfix_action"): "no action",
    ("smtpd", "postfix_client_hostname"): "a name that is no client's, or an empty one",
    ("postscreen", "postfix_client_hostname"): "an empty one",
    ("dnsblog", "postfix_client_hostname"): "an empty one",
    ("tlsproxy", "postfix_client_hostname"): "an empty one",
    ("smtp", "postfix_smtp_stage"): "in a reply that is kept whole",
    ("lmtp", "postfix_smtp_stage"): "in a reply that is kept whole",
    ("smtp", "postfix_smtp_response"): "without the code; behind the last bracket",
    ("lmtp", "postfix_smtp_response"): "without the code; behind the last bracket",
    ("error", "postfix_error_response"): "a warning",
}


@cache
def lines() -> list[tuple[str, str, Mapping[str, Any]]]:
    """Real lines of Postfix: program, text, and the fields that they have here.

    One of each kind, and none with what was made to mislead: kv splits that.
    """
    decoder, parser = build_decoder(Settings(), live=False), build_parser(Settings())
    raw = gzip.decompress((DATA / "scenarios" / "mail.log.gz").read_bytes()).splitlines()
    for path in sorted((DATA.parent / "goldens").glob("*.log")):
        raw += path.read_bytes().splitlines()
    found: dict[tuple[Any, ...], tuple[str, str, Mapping[str, Any]]] = {}
    for line in raw:
        record = decoder.decode(line, reference=1_795_600_000.0)
        event = parser.parse(record)
        misleads = any(mark in record.text for mark in ('<"', "fake", "?", "with space", ";id="))
        if event.service and event.service in PROGRAMS and not misleads:
            key = (event.service, tuple(event.fields), event.fields.get("postfix_status"))
            found.setdefault(key, (event.service, record.text, event.fields))
    return list(found.values())


# The pattern files of the others are these, or versions between them.
VERSIONS = ("01-", "04-", "05-", "06-", "08-", "09-", "15-")


@pytest.mark.parametrize(
    "name", [path.name for path in PIPELINES if path.name.startswith(VERSIONS)]
)
def test_lines_have_the_fields_that_the_pipeline_gave_them(name: str) -> None:
    groks = SiteGroks((DATA / "logstash-pipelines" / name / "patterns.d").glob("postfix*"))
    second = {
        field: f"^%{{{known}}}$"
        for field, names in PARTS.items()
        if (known := next((one for one in names if one in groks), None))
    }
    missing = {
        one.text.partition(" ")[0]
        for one in imported(name).entries
        if one.kind == "pattern" and one.verdict == "not carried"
    }
    unlike = []
    compared = 0
    for service, text, ours in lines():
        if PROGRAMS[service] not in groks:
            continue
        for field, value in fields_of(groks, f"^%{{{PROGRAMS[service]}}}$", text, second).items():
            compared += 1
            here = ours.get(field, ours.get(EQUIVALENTS.get(field, "")))
            if field in missing or field in (*TAKEN_APART, "postfix_tls", "postfix_orig_client"):
                continue
            if (service, field) not in MISTAKEN and not is_same(here, value):
                unlike.append((service, field, value, here, text))

    assert unlike == []
    assert compared > 300


def test_fields_of_the_first_patterns_are_those_here_under_other_names() -> None:
    text = (
        "Untrusted TLS connection established to mx1[192.0.2.9]:25: TLSv1.2 with cipher AES "
        "(128/256 bits)"
    )
    files = (DATA / "logstash-pipelines" / "04-whyscream-2014" / "patterns.d").glob("postfix*")
    theirs = SiteGroks(files).match("%{POSTFIX_SMTP}", text) or {}
    record = build_decoder(Settings(), live=False).decode(
        f"Nov 24 15:41:22 mx1 postfix/smtp[5]: {text}".encode(), reference=1_795_600_000.0
    )
    ours = build_parser(Settings()).parse(record).fields

    names = [f"postfix_smtp_tls_{name}" for name in ("version", "cipher", "cipher_size")]
    assert [theirs[name] for name in names] == [ours[EQUIVALENTS[name]] for name in names]


def is_same(here: Any, value: str) -> bool:
    if here == "true":
        return value in ("!", "?", "requiretls")
    return str(here) == value or (isinstance(here, int | float) and float(value) == here)


def test_names_that_inline_patterns_give_are_told_as_the_names_here() -> None:
    """14 has no pattern files: what it calls a value, and what it is called here."""
    name = "14-mrlesmithjr-elk-processor"
    (text,) = [
        text for verdict, text in said(imported(name), "grok match") if "other names" in text
    ]
    names = {
        theirs: ours
        for part in text.partition(": ")[2].split("; ")
        if " is " in part and " is no field" not in part
        for theirs, _, ours in [part.removesuffix(" here").partition(" is ")]
    }
    (tree,) = [one for one in source(name).files if "330_" in one.sections[0].place.file]
    grok = next(iter(plugins(tree.sections[0].body)))
    match = grok.attributes[0].value
    assert isinstance(match, Array)
    expressions = [one.raw for one in match.items[1::2] if isinstance(one, Text)]
    groks = SiteGroks([])
    compared: Counter[str] = Counter()
    for service, line, ours in lines():
        if service not in ("qmgr", "smtp"):
            continue
        whole = f"Nov 24 15:41:22 mx1 postfix/{service}[5]: {line}"
        found = next(filter(None, (groks.match(one, whole) for one in expressions)), {})
        for theirs, value in found.items():
            if theirs in names:
                assert is_same(ours.get(names[theirs]), value.rstrip(">,")), (theirs, line)
                compared[theirs] += 1

    assert names["from_addr"] == "postfix_from"
    assert {"queue_id", "from_addr", "msg_size", "msg_rcpts"} <= compared.keys()
