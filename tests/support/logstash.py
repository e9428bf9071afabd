"""Days as Logstash makes them: the same lines, with dynamic mapping and all values as texts."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Literal

import orjson
from elasticsearch import AsyncElasticsearch
from elasticsearch.helpers import async_bulk

from mailingest.postfix.parser import EventParser
from mailingest.stores.elastic.schema import index_template
from mailingest.wiring import build_decoder, build_parser
from tests.support.logs import REFERENCE, SETTINGS

# What Logstash's own template has: each string is a text with a keyword of 256 characters.
MAPPINGS: Final = {
    "dynamic_templates": [
        {
            "string_fields": {
                "match": "*",
                "match_mapping_type": "string",
                "mapping": {
                    "type": "text",
                    "norms": False,
                    "fields": {"keyword": {"type": "keyword", "ignore_above": 256}},
                },
            }
        }
    ],
    "properties": {"@timestamp": {"type": "date"}, "@version": {"type": "keyword"}},
}
LOGSTASH_TEMPLATE: Final = {
    "settings": {"number_of_shards": 1, "number_of_replicas": 0},
    "mappings": MAPPINGS,
}
# What is read from a reply or a line as a whole, and no pattern captures.
_COMPUTED: Final = frozenset(
    {
        *("program_kind", "instance", "service", "outcome", "unfit", "raw"),
        *("syslog_facility", "syslog_severity", "postfix_remote_queueid"),
        *("postfix_forwarded_queueid", "postfix_lmtp_session", "postfix_disposition"),
    }
)
# Below what the test servers take (`tests.conftest.MAX_REQUEST`).
_CHUNK: Final = 200_000
_AGGREGATED: Final = ("postfix_from", "postfix_size", "postfix_nrcpt")

Variant = Literal["plain", "ecs", "numbers", "unsplit", "whole line"]
"""``plain`` has all values as texts; ``ecs`` an object for the host, ``numbers`` sizes and such as
numbers (mutate), ``unsplit`` no key=value pairs taken apart (kv), ``whole line`` the line with its
header as message."""


def logstash_documents(lines: Iterable[bytes], variant: Variant = "plain") -> list[dict[str, Any]]:
    """What Logstash stores of the lines, with the same patterns and its aggregate filter."""
    decoder, parser = build_decoder(SETTINGS, live=False), build_parser(SETTINGS)
    queue: dict[tuple[str, str], dict[str, Any]] = {}
    made = []
    for line in lines:
        fields = _fields(decoder.decode(line, reference=REFERENCE), parser, queue)
        made.append(_stored(fields, line.decode(), variant))
    return made


def _fields(
    record: Any, parser: EventParser, queue: dict[tuple[str, str], dict[str, Any]]
) -> dict[str, Any]:
    event = parser.parse(record)
    fields = {name: value for name, value in event.fields.items() if name not in _COMPUTED}
    if event.queue_id is not None:
        of_queue = queue.setdefault((event.hostname, event.queue_id), {})
        if event.service == "qmgr":
            of_queue |= {name: fields[name] for name in _AGGREGATED if name in fields}
        elif event.service == "smtp":
            fields |= of_queue
    return fields


def _stored(fields: Mapping[str, Any], line: str, variant: Variant) -> dict[str, Any]:
    time = datetime.fromisoformat(fields["@timestamp"])
    stored = {
        name: value if isinstance(value, list) or variant == "numbers" else str(value)
        for name, value in fields.items()
    }
    stored |= {"@version": "1", "timestamp": f"{time:%b %e %H:%M:%S}"}
    if variant == "ecs":
        stored["host"] = {"name": fields["host"], "ip": "192.0.2.40"}
    elif variant == "whole line":
        stored["message"] = line
    elif variant == "unsplit" and "postfix_status" in fields:
        for name in ("postfix_to", "postfix_orig_to", "postfix_relay", "postfix_delay"):
            if name in stored:
                stored["postfix_keyvalue_data"] = str(fields["message"]).partition(" status=")[0]
                del stored[name]
    return stored


def earlier_template() -> dict[str, Any]:
    """Settings and mappings of the first version: no `.lower`, no `.keyword` of numbers."""
    # Fields of a type share one mapping.
    template: dict[str, Any] = orjson.loads(orjson.dumps(index_template(replicas=0)))
    for mapping in template["mappings"]["properties"].values():
        below = mapping.get("fields", {})
        below.pop("lower", None)
        if below.pop("parts", None):
            mapping["analyzer"] = "mailingest_address"
        if mapping["type"] in ("long", "float", "ip"):
            del mapping["fields"]
    return template


async def store_day(
    client: AsyncElasticsearch,
    index: str,
    documents: Iterable[Mapping[str, Any]],
    template: Mapping[str, Any] = LOGSTASH_TEMPLATE,
) -> None:
    """Index the documents into an index that no other template has a part in."""
    await client.indices.create(index=index, **template)
    actions = ({"_index": index, "_source": one} for one in documents)
    await async_bulk(client, actions, max_chunk_bytes=_CHUNK)
    await client.indices.refresh(index=index)
