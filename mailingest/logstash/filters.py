"""Filters of a pipeline -> what mailingest does by itself, or `[grok]`."""

from collections.abc import Iterable, Mapping
from typing import Final

from mailingest.logstash import groks
from mailingest.logstash.patterns import HEADER_FIELDS, TAKEN_APART
from mailingest.logstash.steps import Handler, Step
from mailingest.logstash.tree import Exists, Not, Selector
from mailingest.logstash.values import field_name, text_of
from mailingest.postfix.fields import CONVERTERS, FIELDS, NAMES

_TYPES: Final = {field.name: field.type for field in FIELDS}
_CONVERSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "integer": ("integer",),
    "integer_eu": ("integer",),
    "float": ("float",),
    "float_eu": ("float",),
    "string": ("keyword", "text", "address", "ip", "date"),
    "boolean": ("keyword",),
}
OWN_TYPES: Final = {
    "integer": "integer",
    "integer_eu": "integer",
    "float": "float",
    "float_eu": "float",
}
"""Types of `[grok.fields]` by those of `mutate convert`; all others are keywords."""

# What an event of a delivery line has from earlier lines (mailingest.postfix.enrichment).
_CORRELATED: Final = frozenset(
    {
        *("postfix_from", "postfix_size", "postfix_nrcpt", "postfix_client_hostname"),
        *("postfix_client_ip", "postfix_message-id", "postfix_sasl_username", "postfix_uid"),
    }
)
# Fields that only Logstash needs, on the way to others.
_SCRATCH: Final = frozenset(
    {
        *TAKEN_APART,
        *(
            "postfix_client",
            "postfix_relay",
            "postfix_delays",
            "postfix_tls",
            "postfix_orig_client",
        ),
        *("timestamp", "syslog_timestamp", "syslog_message", "syslog_program", "syslog_pid"),
        *("syslog_hostname", "syslog_pri", "logsource", "message_body", "@version", "event"),
        *("original", "event.original", "syslog_host_id", "syslog_pri_num", "log", "agent", "ecs"),
    }
)
_SYSLOG_MADE: Final = {
    "syslog_program": "program",
    "syslog_hostname": "host",
    "syslog_message": "message",
    "message_body": "message",
    "syslog_pid": "pid",
    "logsource": "host",
}
_UPSTREAM_MARKS: Final = frozenset(
    {
        *("postfix_requiretls", "postfix_requiretls_policy_violation"),
        "postfix_requiretls_policy_undecided",
    }
)
_ADVICE: Final[Mapping[str, str]] = {
    "geoip": "enrich in the server: an ingest pipeline with geoip, index.default_pipeline of "
    "PREFIX@custom",
    "ruby": "there is no code in mailingest: see what it makes, and query for that instead",
    "dns": "names of clients are in Postfix's own lines",
    "translate": "use a runtime field or an enrich processor of the server",
    "csv": "fields come from grok patterns: [grok.programs]",
    "json": "JSON around lines is read (docs/formats.md); fields come from grok patterns",
    "xml": "fields come from grok patterns: [grok.programs]",
    "throttle": "alert on counters: there are metrics for Prometheus",
    "metrics": "there are metrics for Prometheus",
    "prune": 'index.events = "deliveries" leaves out what no trace needs',
    "clone": "an event is stored once",
    "split": "a line is an event",
    "useragent": "mail has none",
    "cidr": "ask for networks in the server: fields of type ip",
    "elasticsearch": "join when asking: `mailingest trace` does",
    "jdbc_streaming": "join in the server: an enrich processor",
    "memcached": "join in the server: an enrich processor",
    "http": "join in the server: an enrich processor",
    "sleep": "lines wait in the spool",
}
_BY_ITSELF: Final = {
    "syslog_pri": "syslog_facility and syslog_severity are read from the header",
    "fingerprint": "ids are made from the line, so that each is stored once",
    "uuid": "ids are made from the line, so that each is stored once",
    "multiline": "syslog of mail has no lines that go on",
    "urldecode": "texts are kept as they are logged",
}


def read_filter(step: Step) -> None:
    """Say what becomes of a filter."""
    name = step.plugin.name
    if not step.reach.is_mail and not (step.reach.others and name == "drop"):
        step.say("not carried", "no line of mail comes here: keep Logstash for it")
        step.all_options("not carried", "its filter is not for mail")
        return
    if name in _BY_ITSELF:
        step.say("replaced", _BY_ITSELF[name])
        step.all_options("replaced", "as its filter")
    else:
        _HANDLERS.get(name, _unknown)(step)
    _common(step)


def _unknown(step: Step) -> None:
    advice = _ADVICE.get(step.plugin.name, "fields come from grok patterns: docs/patterns.md")
    step.say("not carried", f"there is no such filter: {advice}")
    step.all_options("not carried", "its filter is not carried over")


def _common(step: Step) -> None:
    """Options that every filter has."""
    for option in ("add_tag", "tag_on_failure", "remove_tag"):
        for one in step.texts(option):
            if one in ("_grokparsefailure", "_dateparsefailure") or one.startswith("_grok"):
                continue
            step.not_carried(option, f"events get no tag {one}: query for what it stands for")
        step.replaced(option, "tags say what matched: _grok_postfix_success, _grok_..._nomatch")
    added = [
        name
        for field, value in step.pairs("add_field")
        if not _is_of_header(name := field_name(field), text_of(value) or "")
    ]
    if added:
        step.not_carried("add_field", f"events get no field {', '.join(map(_instead, added))}")
    step.replaced("add_field", "program, host and message are read from the header")
    _remove_field(step, "remove_field")


def _is_of_header(name: str, made: str) -> bool:
    """Whether a field is one of the header's, with the header's value."""
    is_made = made.removeprefix("%{").removesuffix("}") in _SYSLOG_MADE
    return name in _SYSLOG_MADE or (name in HEADER_FIELDS and is_made)


def _instead(name: str) -> str:
    hint = {
        "received_at": "@timestamp is the time of the line",
        "received_from": "syslog_peer is the sender's address",
    }.get(name)
    return f"{name} ({hint})" if hint else name


def _remove_field(step: Step, option: str) -> None:
    kept = [
        name
        for one in step.texts(option)
        if (name := field_name(one)) in NAMES and name not in _SCRATCH
    ]
    if kept:
        step.not_carried(option, f"{', '.join(kept)}: fields cannot be left out")
    step.replaced(option, "none of them is stored")


def _kv(step: Step) -> None:
    source = field_name(step.option("source") or "message")
    if source in TAKEN_APART:
        step.say("replaced", "the patterns capture each key=value by itself")
        step.all_options("replaced", "as its filter")
        return
    step.say(
        "not carried", f"{source}: fields come from patterns that name each key: docs/patterns.md"
    )
    step.all_options("not carried", "its filter is not carried over")


def _date(step: Step) -> None:
    given = step.texts("match")
    target = field_name(step.option("target") or "@timestamp")
    source = field_name(given[0]) if given else ""
    if target != "@timestamp":
        kept = f"{source} stays as it is logged: a text in local time"
        step.say("not carried", kept)
        step.all_options("not carried", kept)
        return
    step.say("replaced", "the time of a line is read from its header: docs/formats.md")
    step.all_options("replaced", "as its filter")
    zone = step.option("timezone")
    if zone and "%{" in zone:
        step.not_carried("timezone", "set syslog.host_timezones for hosts with zones of their own")
    elif zone:
        step.set(step.draft.document.table("syslog"), "timezone", zone, "timezone")


def _aggregate(step: Step) -> None:
    code = step.option("code") or ""
    quoted = set(_quoted(code))
    names = {one for one in quoted if one.startswith("postfix_")}
    merges_all = "to_hash" in code or "cancel" in code
    if not step.reach.postfix:
        step.say("not carried", "only lines of Postfix are joined; a trace joins those of filters")
        step.all_options("not carried", "its filter is not carried over")
    elif merges_all or step.is_true("push_map_as_event_on_timeout"):
        step.say(
            "not carried",
            "each line stays an event: a delivery has sender, size, client and Message-ID of its "
            "mail, and `mailingest trace` shows all lines of a mail as one story",
        )
        step.all_options("not carried", "its filter is not carried over")
    elif more := sorted(names - _CORRELATED - {"postfix_queueid", "postfix_status"}):
        step.say(
            "not carried",
            f"deliveries have the sender, size, client and Message-ID of their mail, and not "
            f"{', '.join(more)}",
        )
        step.all_options("not carried", "its filter is not carried over")
    else:
        step.say("replaced", "every delivery has what earlier lines said of its queue ID")
        step.all_options("replaced", "as its filter")


def _quoted(code: str) -> Iterable[str]:
    """Texts between quotes, of either kind, that stand in Ruby code."""
    at = 0
    while at < len(code):
        if code[at] in "'\"":
            end = code.find(code[at], at + 1)
            if end < 0:
                return
            yield code[at + 1 : end]
            at = end
        at += 1


def _drop(step: Step) -> None:
    step.all_options("not carried", "nothing is dropped")
    absent = [
        ".".join(guard.condition.operand.parts)
        for guard in step.guards
        if isinstance(guard, Not)
        and isinstance(guard.condition, Exists)
        and isinstance(guard.condition.operand, Selector)
    ]
    never = [name for name in absent if name not in step.draft.captured]
    if never and step.reach.postfix:
        step.say(
            "wrong",
            f"drops every line: nothing in the pipeline ever makes {never[0]}.  Nothing is dropped "
            "here",
        )
    elif "postfix_queueid" in absent:
        step.say(
            "not carried",
            "lines without a queue ID are kept: connections and refusals are traced by them; "
            'index.events = "deliveries" leaves out what no trace needs',
        )
    else:
        step.say(
            "not carried",
            "all lines that come here are kept: let rsyslog not send them, or set retention.days",
        )


def _dissect(step: Step) -> None:
    mapping = step.pairs("mapping")
    texts = " ".join(text_of(one) or "" for _, one in mapping)
    if any(field_name(name) == "message" for name, _ in mapping) and "program" in texts:
        step.say("replaced", "headers of all kinds are read: docs/formats.md")
        step.all_options("replaced", "as its filter")
    else:
        _unknown(step)


def _mutate(step: Step) -> None:
    step.say(
        "replaced", "each of its options is told of" if step.plugin.attributes else "does nothing"
    )
    step.all_options("not carried", "fields are what patterns capture")
    _convert(step)
    marks = {field_name(one) for one in step.texts("gsub")[::3]}
    if marks <= _UPSTREAM_MARKS | {"postfix_tls_policy_undecided"}:
        step.replaced("gsub", "the marks of REQUIRETLS are `true`")
    step.not_carried("gsub", f"{', '.join(sorted(marks))}: stored as logged")
    for option in ("strip", "lstrip", "rstrip", "lowercase", "uppercase", "capitalize"):
        names = [field_name(one) for one in step.texts(option)]
        if all(name in _SCRATCH for name in names):
            step.replaced(option, "headers are read without it")
        elif option.endswith("case"):
            step.not_carried(
                option,
                f"{', '.join(names)}: stored as logged; questions are in any case of letters",
            )
        step.not_carried(option, f"{', '.join(names)}: stored as logged")
    for option in ("split", "join", "merge", "coerce"):
        names = [field_name(name) for name, _ in step.pairs(option)]
        step.not_carried(option, f"{', '.join(names)}: stored as logged, as one text")
    for option in ("rename", "copy"):
        _renames(step, option)
    for option in ("replace", "update"):
        _replaces(step, option)
    _remove_field(step, "remove")


def _renames(step: Step, option: str) -> None:
    left = [
        f"{field_name(name)} as {field_name(text_of(value) or '')}"
        for name, value in step.pairs(option)
        if _SYSLOG_MADE.get(field_name(name)) != field_name(text_of(value) or "")
    ]
    if left:
        step.not_carried(
            option,
            f"{', '.join(left)}: names are those of docs/fields.md; an alias field of "
            "PREFIX@custom gives another",
        )
    step.replaced(option, "program, host and message are read from the header")


def _replaces(step: Step, option: str) -> None:
    left = [
        field_name(name)
        for name, value in step.pairs(option)
        if _SYSLOG_MADE.get((text_of(value) or "").removeprefix("%{").removesuffix("}"))
        != field_name(name)
    ]
    if left:
        step.not_carried(option, f"{', '.join(left)}: fields are what the line says")
    step.replaced(option, "program, host and message are read from the header")


def _convert(step: Step) -> None:
    """Types that are the same here, those of own programs, and those of no field."""
    other, none, own = [], [], []
    for field, value in step.pairs("convert"):
        name, wanted = field_name(field), (text_of(value) or "").lower()
        if name in _TYPES:
            if _TYPES[name] not in _CONVERSIONS.get(wanted, ()) and not _is_number(name, wanted):
                other.append(f"{name} is {_TYPES[name]}")
        elif name in step.draft.document.table("grok.fields").values:
            own.append(name)
        else:
            none.append(name)
    if other or none:
        parts = [*other, *([f"no field here: {', '.join(none)}"] if none else [])]
        step.not_carried("convert", "; ".join(parts))
    elif own:
        step.carried("convert", f"as grok.fields: {', '.join(own)}")
    step.replaced("convert", "fields have these types: docs/fields.md")


def _is_number(name: str, wanted: str) -> bool:
    """A whole number is a float as well, and sizes are texts for some keys only."""
    return wanted == "float" and _TYPES[name] == "integer" and name in CONVERTERS


_HANDLERS: Final[Mapping[str, Handler]] = {
    "grok": groks.read_grok,
    "kv": _kv,
    "date": _date,
    "aggregate": _aggregate,
    "drop": _drop,
    "dissect": _dissect,
    "mutate": _mutate,
}
