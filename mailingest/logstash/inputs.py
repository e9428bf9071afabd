"""Inputs of a pipeline -> `[inputs]`."""

from collections.abc import Mapping
from typing import Final

from mailingest.logstash.steps import Handler, Step
from mailingest.logstash.toml import Table
from mailingest.logstash.tree import Plugin
from mailingest.syslog.sources import TYPE_NAME

_EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - what Logstash listens on if nothing is said
_EVERYWHERE_TEXT: Final = "Logstash listens on every address: `allow` says who may send"
_TLS: Final[Mapping[str, tuple[str, ...]]] = {
    "certificate": ("ssl_certificate", "ssl_cert"),
    "key": ("ssl_key",),
    "client_ca": ("ssl_certificate_authorities", "ssl_cacert", "ssl_extra_chain_certs", "cacert"),
}
_TLS_SWITCHES: Final = ("ssl", "ssl_enable", "ssl_enabled", "tls")
_ELSEWHERE: Final[Mapping[str, str]] = {
    "stdin": "pipe into `mailingest replay -`, or `mailingest parse -` to look at it",
    "redis": "let rsyslog or Filebeat send here directly",
    "rabbitmq": "let rsyslog or Filebeat send here directly",
    "kafka": "let rsyslog or Filebeat send here directly",
    "s3": "`mailingest replay FILE...` takes files, also compressed",
    "exec": "pipe into `mailingest replay -`",
    "pipe": "pipe into `mailingest replay -`",
    "unix": "let rsyslog read it",
    "journald": "[inputs.journald] reads it, or rsyslog does",
}


def _udp(step: Step) -> None:
    table = _listener(step, "udp", None)
    if table is None:
        return
    if (size := step.option("receive_buffer_bytes")) and size.isdigit() and int(size) >= 4096:
        step.set(table, "receive_buffer", int(size), "receive_buffer_bytes")


def _tcp(step: Step) -> None:
    if step.option("mode") == "client":
        step.say("not carried", "mailingest does not connect to senders: let them send here")
        step.all_options("not carried", "mailingest does not connect to senders")
        return
    step.replaced("mode", "the only one there is")
    table = _listener(step, "tcp", None)
    if table is not None:
        _tls(step, table)


def _syslog(step: Step) -> None:
    """Logstash's takes datagrams and connections on one port."""
    for name in ("udp", "tcp"):
        _listener(step, name, 514)
    step.say("carried", "as [[inputs.udp]] and [[inputs.tcp]]")
    for option in ("use_labels", "facility_labels", "severity_labels", "locale"):
        step.replaced(option, "facility, severity and months of any language are read")
    for option in ("grok_pattern", "syslog_field"):
        step.replaced(option, "headers of all kinds are read: docs/formats.md")
    _zone(step)


def _beats(step: Step) -> None:
    table = _listener(step, "lumberjack", 5044 if step.plugin.name == "beats" else None)
    if table is None:
        return
    for option in ("include_codec_tag", "add_hostname", "congestion_threshold"):
        step.replaced(option)
    if seconds := step.option("client_inactivity_timeout"):
        if seconds.isdigit() and int(seconds):
            step.set(table, "idle_timeout", float(seconds), "client_inactivity_timeout")
        else:
            step.replaced("client_inactivity_timeout", "connections are kept")
    _tls(step, table)


def _relp(step: Step) -> None:
    table = _listener(step, "relp", 2514)
    if table is not None:
        _tls(step, table)


def _file(step: Step) -> None:
    paths = step.texts("path")
    if "file" not in step.draft.input_kinds:
        _not_there(step, "follow the file with rsyslog's imfile; old ones: `mailingest replay`")
        return
    if not paths:
        step.say("wrong", "has no path")
        return
    followed = [path for path in paths if path.startswith("/") and not _is_odd(path)]
    if followed != paths:
        step.not_carried("path", "only absolute paths, with * and ?, can be followed")
    start = step.option("start_position")
    for path in followed:
        table = step.draft.document.add("inputs.file")
        table.head.append(f"file: {step.where()}")
        table.set("path", path, f"path: {step.where('path')}")
        if start in ("beginning", "end"):
            step.set(table, "start", start, "start_position")
        _type(step, table)
        _codec(step, table)
    step.say("carried", "as [[inputs.file]]; what is there already: `mailingest replay FILE...`")
    step.carried("path", "as path")
    step.not_carried("exclude", "name the files that are wanted instead")
    for option in ("sincedb_path", "sincedb_write_interval", "stat_interval"):
        step.replaced(option, "where it stopped is kept in the state directory")
    for option in ("discover_interval", "close_older", "max_open_files", "ignore_older", "mode"):
        step.replaced(option)


def _is_odd(path: str) -> bool:
    """Whether it is a pattern of a kind that is not known here."""
    return "**" in path or not set(path).isdisjoint("[]{}")


def _unknown(step: Step) -> None:
    advice = _ELSEWHERE.get(step.plugin.name, "let rsyslog or Filebeat send here")
    _not_there(step, advice)


def _not_there(step: Step, advice: str) -> None:
    step.say("not carried", f"there is no such input: {advice}")
    step.all_options("not carried", "its input is not carried over")


def _listener(step: Step, kind: str, port: int | None) -> Table | None:
    """A listener with what all have: address, port, type, charset."""
    if kind not in step.draft.input_kinds:
        _not_there(step, "let rsyslog send here with TCP")
        return None
    given = step.option("port")
    number = int(given) if given and given.isdigit() else port
    if number is None or number > 65_535:
        if not step.is_set("port"):
            step.say("wrong", "has no port, and Logstash does not start without one")
        else:
            step.say("not carried", "set the port of a listener in [inputs]")
        step.all_options("not carried", "its input is not carried over")
        return None
    table = step.draft.document.add(f"inputs.{kind}")
    table.head.append(f"{step.plugin.name}: {step.where()}")
    step.say("carried", f"as [[inputs.{kind}]]")
    host = step.option("host")
    table.set("host", host or _EVERYWHERE, *([] if host else [_EVERYWHERE_TEXT]))
    step.carried("host", "as host")
    table.set("port", number)
    step.carried("port", "as port")
    _type(step, table)
    _codec(step, table)
    for option in ("tags", "add_field", "add_tag"):
        step.not_carried(option, "events get no fields by input: its `type` tells inputs apart")
    for option in ("proxy_protocol", "tcp_keep_alive", "source_ip_fieldname"):
        step.replaced(option, "syslog_peer is the sender's address")
    return table


def _type(step: Step, table: Table) -> None:
    """The type names the index here, so it is taken if it does there too."""
    type_ = step.option("type")
    if type_ is None:
        return
    if TYPE_NAME.fullmatch(type_) is None:
        step.not_carried("type", "it names the index here: use lower-case letters, digits, _ and -")
        return
    if not step.draft.types_name_indices:
        step.not_carried("type", f"{type_}: it would name an index here, and the output names one")
        return
    table.set("type", type_, f"type: {step.where('type')}")
    step.carried("type", "as type, which names the index")


def _codec(step: Step, table: Table) -> None:
    codec = step.value("codec")
    name = codec.name if isinstance(codec, Plugin) else step.option("codec")
    if name in ("multiline",):
        step.not_carried("codec", "a line is a line: syslog of mail has none that go on")
        for option in ("pattern", "what", "negate", "charset", "auto_flush_interval"):
            step.not_carried(f"codec.{option}", "as its codec")
    elif name in (None, "plain", "line", "json", "json_lines", "es_bulk"):
        step.replaced("codec", "lines, and JSON with lines in it, are read: docs/formats.md")
    else:
        step.not_carried("codec", "look with `mailingest parse` whether its lines are read")
    if not isinstance(codec, Plugin):
        return
    for attribute in codec.attributes:
        if attribute.name == "charset" and name != "multiline":
            charset = Step(step.draft, step.section, codec, step.guards, step.reach).option(
                "charset"
            )
            if charset:
                table.set(
                    "charset",
                    charset,
                    f"codec charset: {attribute.place.file}:{attribute.place.line}",
                )
                step.carried("codec.charset", "as charset")
        elif attribute.name in ("format", "delimiter"):
            step.replaced(f"codec.{attribute.name}")


def _tls(step: Step, table: Table) -> None:
    switched = [step.is_true(name) for name in _TLS_SWITCHES if step.is_set(name)]
    values = {
        key: step.texts(name)[0]
        for key, names in _TLS.items()
        for name in names
        if step.is_set(name) and step.texts(name)
    }
    known = [name for names in _TLS.values() for name in names]
    if True not in switched and not (values and not switched):
        for option in (*_TLS_SWITCHES, *known):
            step.replaced(option, "there is no TLS unless tls is set")
        return
    if "certificate" in values and "key" in values:
        table.set("tls", values, "TLS: the files have to be readable for mailingest")
        for option in (*_TLS_SWITCHES, *known):
            step.carried(option, "in tls")
    else:
        for option in (*_TLS_SWITCHES, *known):
            step.not_carried(option, "set tls of the listener: certificate, key, client_ca")
    for option in (
        "ssl_verify",
        "ssl_verify_mode",
        "ssl_client_authentication",
        "ssl_peer_metadata",
    ):
        step.replaced(option, "client_ca asks senders for certificates")
    for option in ("ssl_key_passphrase", "ssl_supported_protocols", "ssl_cipher_suites"):
        step.not_carried(option, "use a key without a passphrase; TLS 1.2 and later are spoken")


def _zone(step: Step) -> None:
    zone = step.option("timezone")
    if zone:
        step.set(step.draft.document.table("syslog"), "timezone", zone, "timezone")


HANDLERS: Final[Mapping[str, Handler]] = {
    "udp": _udp,
    "tcp": _tcp,
    "syslog": _syslog,
    "beats": _beats,
    "elastic_agent": _beats,
    "lumberjack": _beats,
    "relp": _relp,
    "file": _file,
}


def read_input(step: Step) -> None:
    """Say what becomes of an input."""
    HANDLERS.get(step.plugin.name, _unknown)(step)
