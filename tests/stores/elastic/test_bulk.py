"""Bulk requests: what is sent, and what each answer means."""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.documents import Document
from mailingest.errors import StoreUnavailable
from mailingest.stores.elastic.bulk import (
    REASON_LENGTH,
    REQUEST_BYTES,
    cut,
    encode,
    reason,
    sort_response,
)


def document(number: int = 0, body: bytes = b"{}", index: str = "mail-2026.03.01") -> Document:
    return Document(index, f"id{number}", body, 1772323200, {})


def answer(*items: dict[str, Any]) -> dict[str, Any]:
    """An answer as the server gives it with ``filter_path=errors,items.*.status,items.*.error``."""
    return {"errors": any("error" in i for i in items), "items": [{"create": i} for i in items]}


CREATED = {"status": 201}
CONFLICT = {
    "status": 409,
    "error": {
        "type": "version_conflict_engine_exception",
        "reason": "[id1]: version conflict, document already exists (current version [1])",
        "index": "mail-2026.03.01",
    },
}
NO_NUMBER = {
    "status": 400,
    "error": {
        "type": "mapper_parsing_exception",
        "reason": "failed to parse field [n] of type [integer] in document with id 'id2'. "
        "Preview of field's value: 'zwei'",
        "caused_by": {"type": "number_format_exception", "reason": 'For input string: "zwei"'},
    },
}
CLOSED = {"status": 400, "error": {"type": "index_closed_exception", "reason": "closed"}}
WRITE_BLOCK = {
    "status": 403,
    "error": {
        "type": "cluster_block_exception",
        "reason": "index [mail-2026.03.01] blocked by: [FORBIDDEN/8/index write (api)];",
    },
}
DISK_FULL = {
    "status": 429,
    "error": {
        "type": "cluster_block_exception",
        "reason": "index [mail-2026.03.01] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded "
        "flood-stage watermark, index has read-only-allow-delete block];",
    },
}
QUEUE_FULL = {
    "status": 429,
    "error": {"type": "es_rejected_execution_exception", "reason": "rejected execution of ..."},
}
SHARD_DOWN = {
    "status": 503,
    "error": {
        "type": "unavailable_shards_exception",
        "reason": "[mail-2026.03.01][0] primary shard is not active Timeout: [1m]",
    },
}
SHARDS_FULL = {
    "status": 400,
    "error": {
        "type": "validation_exception",
        "reason": "Validation Failed: 1: this action would add [2] total shards, but this cluster "
        "currently has [1000]/[1000] maximum shards open;",
    },
}
NO_AUTO_CREATE = {
    "status": 404,
    "error": {"type": "index_not_found_exception", "reason": "no such index [mail-2026.03.01]"},
}
FORBIDDEN = {
    "status": 403,
    "error": {
        "type": "security_exception",
        "reason": "no permissions for [indices:data/write/bulk[s]] and User [name=mail]",
    },
}


def test_a_request_creates_each_document_with_its_index_id_and_body() -> None:
    first = document(1, b'{"a":1}')
    second = document(2, b'{"b":2}', "mail-2026.03.02")

    assert encode([first, second]) == (
        b'{"create":{"_index":"mail-2026.03.01","_id":"id1"}}\n{"a":1}\n'
        b'{"create":{"_index":"mail-2026.03.02","_id":"id2"}}\n{"b":2}\n'
    )


@given(st.text(), st.text())
def test_any_index_and_id_survive_the_encoding(index: str, id_: str) -> None:
    action, body, end = encode([Document(index, id_, b"{}", 0, {})]).split(b"\n")

    assert orjson.loads(action) == {"create": {"_index": index, "_id": id_}}
    assert (body, end) == (b"{}", b"")


@given(st.lists(st.integers(0, 2 * REQUEST_BYTES // 3), max_size=12))
def test_cutting_keeps_all_documents_in_order_and_each_request_in_its_limit(
    sizes: list[int],
) -> None:
    documents = [document(number, b"x" * size) for number, size in enumerate(sizes)]

    batches = list(cut(documents))

    assert [one for batch in batches for one in batch] == documents
    assert all(len(encode(batch)) <= REQUEST_BYTES for batch in batches)
    for batch, following in pairwise(batches):
        assert len(encode([*batch, following[0]])) > REQUEST_BYTES


def test_a_document_over_the_limit_gets_a_request_of_its_own() -> None:
    small, large, last = document(1), document(2, b"x" * REQUEST_BYTES), document(3)

    assert list(cut([small, large, last])) == [[small], [large], [last]]


def test_an_answer_without_errors_means_that_all_documents_were_created() -> None:
    outcome = sort_response([document(1), document(2)], answer(CREATED, CREATED))

    assert (outcome.created, outcome.duplicates) == (2, 0)
    assert (outcome.rejected, outcome.retry) == ([], [])


def test_each_document_of_a_mixed_answer_is_sorted_by_its_own_item() -> None:
    batch = [document(number) for number in range(4)]

    outcome = sort_response(batch, answer(CREATED, CONFLICT, NO_NUMBER, QUEUE_FULL))

    assert (outcome.created, outcome.duplicates) == (1, 1)
    assert [one for one, _ in outcome.rejected] == [batch[2]]
    assert [one for one, _ in outcome.retry] == [batch[3]]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param(QUEUE_FULL, "429 es_rejected_execution", id="a full queue passes"),
        pytest.param(DISK_FULL, "disk usage exceeded", id="a full disk gets emptied"),
        pytest.param(SHARD_DOWN, "primary shard is not active", id="a shard comes back"),
        pytest.param(SHARDS_FULL, "maximum shards open", id="the shard limit gets raised"),
        pytest.param(NO_AUTO_CREATE, "no such index", id="index creation gets allowed"),
        pytest.param(FORBIDDEN, "no permissions", id="a privilege gets granted"),
    ],
)
def test_what_is_no_fault_of_the_document_is_tried_again(
    item: dict[str, Any], expected: str
) -> None:
    one = document()

    outcome = sort_response([one], answer(item))

    [(again, why)] = outcome.retry
    assert again is one
    assert expected in why
    assert (outcome.created, outcome.duplicates, outcome.rejected) == (0, 0, [])


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param(NO_NUMBER, "failed to parse field [n]", id="a value that does not fit"),
        pytest.param(CLOSED, "400 index_closed_exception: closed", id="a closed index"),
        pytest.param(WRITE_BLOCK, "blocked by", id="a write-blocked index"),
    ],
)
def test_a_document_that_cannot_be_stored_is_rejected_with_the_reason(
    item: dict[str, Any], expected: str
) -> None:
    one = document()

    outcome = sort_response([one], answer(item))

    [(rejected, why)] = outcome.rejected
    assert rejected is one
    assert expected in why
    assert (outcome.created, outcome.duplicates, outcome.retry) == (0, 0, [])


@pytest.mark.parametrize(
    "response",
    [
        pytest.param({"errors": False, "items": [{"create": CREATED}]}, id="an item too few"),
        pytest.param({"errors": False}, id="no items"),
        pytest.param({}, id="nothing"),
    ],
)
def test_an_answer_that_does_not_fit_the_request_decides_nothing(response: dict[str, Any]) -> None:
    with pytest.raises(StoreUnavailable, match="does not fit"):
        sort_response([document(1), document(2)], response)


@given(st.lists(st.sampled_from([CREATED, CONFLICT, NO_NUMBER, SHARD_DOWN, SHARDS_FULL])))
def test_every_document_is_counted_exactly_once(items: list[dict[str, Any]]) -> None:
    outcome = sort_response([document(n) for n in range(len(items))], answer(*items))

    sorted_ = outcome.created + outcome.duplicates + len(outcome.rejected) + len(outcome.retry)
    assert sorted_ == len(items)


def test_a_reason_names_the_causes_in_their_order() -> None:
    assert reason(400, NO_NUMBER["error"]) == (
        "400 mapper_parsing_exception: failed to parse field [n] of type [integer] in document "
        "with id 'id2'. Preview of field's value: 'zwei'; "
        'number_format_exception: For input string: "zwei"'
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param("alias is missing", "400 alias is missing", id="a bare text"),
        pytest.param({"type": "x", "reason": "a\n  b"}, "400 x: a b", id="several lines"),
        pytest.param({"type": "x"}, "400 x", id="no reason"),
        pytest.param(None, "400", id="no error"),
        pytest.param(
            {"type": "json_parse_exception", "reason": "bad\n at [Source: ... authorization: x"},
            "400 json_parse_exception: bad",
            id="the request repeated with its password",
        ),
    ],
)
def test_a_reason_is_one_line_whatever_the_error_looks_like(error: object, expected: str) -> None:
    assert reason(400, error) == expected


def test_a_reason_is_short() -> None:
    assert len(reason(400, {"type": "x", "reason": "y" * 100_000})) == REASON_LENGTH
