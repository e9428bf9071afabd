"""Outputs of a pipeline -> the store and the index.

There is one store.  Of several outputs to Elasticsearch, it is the one that lines of Postfix come
to, and the fewest others.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from mailingest.logstash.steps import Step
from mailingest.logstash.values import comparisons, text_of
from mailingest.syslog.sources import TYPE_NAME

PASSWORD_FILE: Final = "/etc/mailingest/elasticsearch-password"  # noqa: S105 - the name of a file
API_KEY_FILE: Final = "/etc/mailingest/elasticsearch-api-key"
_STORES: Final = ("elasticsearch", "opensearch", "elasticsearch_http", "amazon_es")
_DAILY: Final = "-%{+YYYY.MM.dd}"
_TYPES: Final = ("%{type}", "%{[type]}")
_ADVICE: Final[Mapping[str, str]] = {
    "stdout": 'to look at events: `mailingest parse FILE`, or ndjson.path = "-"',
    "kafka": "events go to one store: keep Logstash for it, fed by the same rsyslog",
    "redis": "events go to one store: keep Logstash for it, fed by the same rsyslog",
    "email": "alert on counters: see docs of metrics and alert rules",
    "gelf": "let rsyslog send the lines to Graylog as well",
    "statsd": "there are metrics for Prometheus",
    "graphite": "there are metrics for Prometheus",
    "null": 'index.events = "deliveries" leaves out what no trace needs',
}
_BY_ITSELF: Final[Mapping[str, str]] = {
    "document_type": "types of documents are gone since Elasticsearch 7",
    "action": "documents are indexed, each line once",
    "sniffing": "all hosts that are named share the work",
    **dict.fromkeys(
        ("manage_template", "template", "template_name", "template_overwrite"),
        "`mailingest setup` puts the index template there; your own: PREFIX@custom",
    ),
    **dict.fromkeys(("flush_size", "idle_flush_time"), "[batch] says when documents are written"),
    **dict.fromkeys(
        ("retry_initial_interval", "retry_max_interval", "max_retries", "retry_on_conflict"),
        "it is tried until the server takes it",
    ),
    **dict.fromkeys(
        (
            *("pool_max", "pool_max_per_route", "resurrect_delay", "validate_after_inactivity"),
            *("bind_host", "bind_port", "node_name", "embedded_http_port", "healthcheck_path"),
        ),
        "connections are kept by the client",
    ),
}

_DOCUMENT_ID: Final = (
    "each line has an id of its own here: one document for each is what a trace needs"
)
_BY_HAND: Final[Mapping[str, str]] = {
    "document_id": _DOCUMENT_ID,
    "pipeline": "name it in PREFIX@custom: index.default_pipeline",
    **dict.fromkeys(
        ("ilm_enabled", "ilm_policy", "ilm_pattern", "ilm_rollover_alias"),
        "set retention.days; `mailingest setup` makes the policy",
    ),
    **dict.fromkeys(
        ("data_stream", "data_stream_type", "data_stream_dataset", "data_stream_namespace"),
        "events go to daily indices TYPE-YYYY.MM.dd",
    ),
    **dict.fromkeys(
        ("cloud_id", "proxy", "routing", "parent", "script", "upsert"),
        "set hosts, and what else is needed, by hand",
    ),
}


def is_store(step: Step) -> bool:
    """Whether it is an output to Elasticsearch or OpenSearch."""
    return step.plugin.name in _STORES


def read_outputs(steps: Sequence[Step]) -> None:
    """Say what becomes of all outputs of a pipeline."""
    stores = sorted(
        (one for one in steps if is_store(one) and one.reach.postfix and not _is_of_failures(one)),
        key=lambda one: one.reach.others,
    )
    chosen = stores[0] if stores else None
    files = [one for one in steps if one.plugin.name == "file" and one.reach.postfix]
    for step in steps:
        if step is chosen:
            _elasticsearch(step)
        elif is_store(step):
            _further_store(step, chosen)
        elif step.plugin.name == "file":
            _file(step, is_store_here=chosen is None and step is files[0] if files else False)
        else:
            advice = _ADVICE.get(step.plugin.name, "events go to one store: keep Logstash for it")
            step.say("not carried", f"there is no such output: {advice}")
            step.all_options("not carried", "its output is not carried over")


def _further_store(step: Step, chosen: Step | None) -> None:
    if chosen is not None and _target(step) == _target(chosen) and step.reach.postfix:
        step.say("replaced", f"the same hosts and index as {chosen.where()}")
        step.all_options("replaced", "as in the output that was carried over")
        step.not_carried("document_id", _DOCUMENT_ID)
        return
    why = (
        f"there is one store, that of {chosen.where()}"
        if chosen is not None and step.reach.postfix
        else "no line of Postfix comes here"
    )
    step.say("not carried", f"{why}: keep Logstash for it")
    step.all_options("not carried", "its output is not carried over")


def _target(step: Step) -> tuple[list[str], str | None]:
    return step.texts("hosts") + step.texts("host"), step.option("index")


def _is_of_failures(step: Step) -> bool:
    """Whether it is for lines that a pattern did not match."""
    for guard in step.guards:
        for one in comparisons(guard):
            tag = text_of(one.left) or ""
            if one.operator == "in" and ("fail" in tag or "nomatch" in tag) and guard == one:
                return True
    return False


def _elasticsearch(step: Step) -> None:
    step.say("carried", "as [elasticsearch]")
    secure = step.is_true("ssl") or step.is_true("ssl_enabled") or False
    hosts, users = _hosts(step, secure=secure)
    if not hosts:
        step.say(
            "not carried", "where the server is is not in the pipeline: set elasticsearch.hosts"
        )
        step.all_options("not carried", "as its output")
        return
    table = step.draft.document.table("elasticsearch")
    table.head.append(f"{step.plugin.name}: {step.where()}")
    table.set("hosts", hosts, f"hosts: {step.where('hosts' if step.is_set('hosts') else 'host')}")
    for option in ("hosts", "host", "port", "ssl", "ssl_enabled", "protocol", "path"):
        step.carried(option, "in hosts")
    if step.option("protocol") in ("node", "transport") or step.is_set("cluster"):
        step.say("wrong", "node and transport protocol are gone since 2015; carried over as HTTP")
    step.wrong("cluster", "found the server for a protocol that is gone: hosts says where it is")
    if step.is_true("embedded"):
        step.wrong("embedded", "Logstash has no Elasticsearch within since 2.0: set hosts")
    _login(step, users)
    _trust(step)
    _index(step)
    _requests(step)
    _what_is_left(step)


def _requests(step: Step) -> None:
    table = step.draft.document.table("elasticsearch")
    if (seconds := step.option("timeout")) and seconds.isdigit() and int(seconds):
        step.set(table, "timeout", float(seconds), "timeout")
    if step.is_true("http_compression") or (step.option("compression_level") or "0") != "0":
        table.set("compress", True)
    for option in ("http_compression", "compression_level"):
        step.carried(option, "as compress")


def _what_is_left(step: Step) -> None:
    """Options that have no setting."""
    for option, text in _BY_ITSELF.items():
        step.replaced(option, text)
    identity = step.option("document_id") or ""
    if "fingerprint" in identity or "@metadata" in identity:
        step.replaced("document_id", "ids are made from the line, so that each is stored once")
    for option, text in _BY_HAND.items():
        if option.startswith("ilm_") and step.option("ilm_enabled") == "false":
            step.replaced(option, "days are kept for ever unless retention.days is set")
        step.not_carried(option, text)


def _hosts(step: Step, *, secure: bool) -> tuple[list[str], list[str]]:
    """The URLs, and the user names that stood in them."""
    default = "https" if secure or step.option("protocol") == "https" else "http"
    given = step.texts("hosts") or step.texts("host")
    if not any(map(step.is_set, ("hosts", "host", "cloud_id"))):
        given = ["127.0.0.1"]
    port = step.option("port")
    urls, users = [], []
    for one in given:
        text = one if "://" in one else f"{default}://{one}"
        try:
            parts = urlsplit(text)
            number = parts.port
        except ValueError:
            parts, number = urlsplit(f"{default}://127.0.0.1"), None
            step.wrong("hosts", "is not a host, a host:port or a URL: set hosts")
        if parts.username:
            users.append(parts.username)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        found = number or (int(port) if port and port.isdigit() else 9200)
        scheme = "https" if secure else parts.scheme
        urls.append(f"{scheme}://{host}:{found}{parts.path.rstrip('/')}")
    return urls, users


def _login(step: Step, users: Sequence[str]) -> None:
    table = step.draft.document.table("elasticsearch")
    user = step.option("user") or (users[0] if users else None)
    to_do = "put the secret into a file that only mailingest can read"
    if user:
        table.set("username", user, f"user: {step.where('user')}")
        step.carried("user", "as username")
        table.set(
            "password_file",
            PASSWORD_FILE,
            f"The password of {step.where('password')} belongs into this file.",
        )
        step.not_carried("password", f"write it into {PASSWORD_FILE}, which password_file names")
        step.draft.secrets.append(f"{to_do}: {PASSWORD_FILE}")
    elif step.is_set("api_key"):
        table.set("api_key_file", API_KEY_FILE, "The API key belongs into this file.")
        step.not_carried("api_key", f"write it into {API_KEY_FILE}, which api_key_file names")
        step.draft.secrets.append(f"{to_do}: {API_KEY_FILE}")
    for option in ("password", "api_key", "cloud_auth"):
        step.not_carried(option, "set username and password_file, or api_key_file")


def _trust(step: Step) -> None:
    table = step.draft.document.table("elasticsearch")
    verify = step.is_true("ssl_certificate_verification")
    if verify is False or step.option("ssl_verification_mode") == "none":
        table.set("verify_certs", False, "This trusts any certificate, which is no protection.")
        step.not_carried("cacert", "verify_certs = false trusts all, as Logstash did")
    for option in ("ssl_certificate_verification", "ssl_verification_mode"):
        step.carried(option, "as verify_certs")
    for option in ("cacert", "ssl_certificate_authorities"):
        found = step.texts(option)
        if found and "verify_certs" not in table.values:
            step.set(table, "ca_certs", found[0], option)
    for key, option in (("client_cert", "ssl_certificate"), ("client_key", "ssl_key")):
        if found := step.texts(option):
            step.set(table, key, found[0], option)
    fingerprint = (step.option("ca_trusted_fingerprint") or "").replace(":", "")
    if fingerprint and not {"ca_certs", "verify_certs"} & table.values.keys():
        step.set(table, "fingerprint", fingerprint, "ca_trusted_fingerprint")
    for option in ("truststore", "truststore_password", "keystore", "keystore_password"):
        step.not_carried(option, "ca_certs, client_cert and client_key are PEM files")


def _index(step: Step) -> None:
    """Daily indices are TYPE-YYYY.MM.dd."""
    index = step.option("index")
    if index is not None and index.removesuffix(_DAILY) in _TYPES:
        step.carried("index", "the type of a listener names its index")
        return
    step.draft.types_name_indices = False
    if index is None:
        step.text += "; without an index, Logstash's days were logstash-YYYY.MM.dd: index.prefix"
        return
    prefix, percent, _ = index.partition("%{")
    prefix = prefix.rstrip("-")
    if TYPE_NAME.fullmatch(prefix) is None:
        step.not_carried("index", "set index.prefix: days are PREFIX-YYYY.MM.dd")
        return
    table = step.draft.document.table("index")
    table.set("prefix", prefix, f"index: {step.where('index')}")
    if index == prefix + _DAILY:
        step.carried("index", "as index.prefix")
    elif not percent:
        step.not_carried(
            "index", f"an index a day here: {prefix}-YYYY.MM.dd; ask for {prefix}* in dashboards"
        )
    else:
        step.not_carried("index", f"an index a day here: {prefix}-YYYY.MM.dd")


def _file(step: Step, *, is_store_here: bool) -> None:
    path = step.option("path")
    if _is_of_failures(step):
        step.say("replaced", "`mailingest parse --unmatched` shows what no pattern matches")
        step.all_options("replaced", "as its output")
    elif is_store_here and path and "%{" not in path:
        step.say("carried", "as [ndjson]: a document on each line")
        table = step.draft.document.table("ndjson")
        step.set(table, "path", path, "path")
        step.replaced("codec", "one JSON object a line")
        for option in ("flush_interval", "create_if_deleted", "file_mode", "dir_mode"):
            step.replaced(option)
        step.not_carried("gzip", "let logrotate compress the file")
    else:
        step.say("not carried", "there is one store: let rsyslog write the file")
        step.all_options("not carried", "its output is not carried over")
        step.not_carried("path", "a path with the date is none that mailingest can write to")
