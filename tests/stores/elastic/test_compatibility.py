"""Recognising servers, and the bridge to those that the client was not made for."""

from typing import Any

import pytest
from elastic_transport import HttpHeaders

from mailingest.errors import UsageError
from mailingest.stores.elastic.compatibility import Server, plain_media_types, recognise


def greeting(number: str, **version: str) -> dict[str, Any]:
    return {"name": "node1", "version": {"number": number, **version}}


@pytest.mark.parametrize(
    ("answer", "server", "native"),
    [
        pytest.param(
            greeting("7.10.2", build_flavor="default"),
            Server("elasticsearch", "7.10.2"),
            False,
            id="Elasticsearch 7.10 is bridged",
        ),
        pytest.param(
            greeting("8.19.0"), Server("elasticsearch", "8.19.0"), False, id="so is version 8"
        ),
        pytest.param(
            greeting("9.2.0"), Server("elasticsearch", "9.2.0"), True, id="version 9 is native"
        ),
        pytest.param(
            greeting("10.0.0-SNAPSHOT"),
            Server("elasticsearch", "10.0.0-SNAPSHOT"),
            True,
            id="and so are later ones",
        ),
        pytest.param(
            greeting("2.19.4", distribution="opensearch"),
            Server("opensearch", "2.19.4"),
            False,
            id="OpenSearch is bridged",
        ),
        pytest.param(
            greeting("7.10.2", distribution="opensearch"),
            Server("opensearch", "7.10.2"),
            False,
            id="OpenSearch that gives the version of Elasticsearch",
        ),
        pytest.param(
            greeting("9.0.0", distribution="opensearch"),
            Server("opensearch", "9.0.0"),
            False,
            id="no OpenSearch is native, whatever its number",
        ),
    ],
)
def test_the_server_is_known_from_its_greeting(
    answer: dict[str, Any], server: Server, native: bool
) -> None:
    assert recognise(answer) == server
    assert server.native is native


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(greeting("6.8.23"), "6.8.23 is too old: 7.10 or later", id="too old"),
        pytest.param(greeting("7.9.3"), "7.9.3 is too old", id="one release too old"),
        pytest.param(greeting("lots"), "'lots' cannot be understood", id="a strange number"),
        pytest.param({"version": "1"}, "neither Elasticsearch nor", id="another product"),
        pytest.param("<html>", "neither Elasticsearch nor OpenSearch", id="a web page"),
        pytest.param(None, "neither Elasticsearch nor OpenSearch", id="nothing"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(answer: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        recognise(answer)


def test_vendor_media_types_become_plain_ones_and_other_headers_stay() -> None:
    vendor = HttpHeaders(
        {
            "Accept": "application/vnd.elasticsearch+json; compatible-with=9",
            "Content-Type": "application/vnd.elasticsearch+x-ndjson; compatible-with=9",
            "Authorization": "Basic xyz",
        }
    )

    plain = plain_media_types(vendor)

    assert plain["accept"] == "application/json"
    assert plain["content-type"] == "application/x-ndjson"
    assert plain["authorization"] == "Basic xyz"
    assert vendor["accept"].startswith("application/vnd"), "the caller's headers are its own"


def test_no_headers_stay_no_headers() -> None:
    assert dict(plain_media_types(None)) == {}
