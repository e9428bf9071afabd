"""Bulk requests: what is sent, and what each answer means."""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.documents import Document
from mailingest.errors import StoreUnavailable
from mailingest.stores.elastic.bulk import REQUEST_BYTES, cut, encode, sort_response


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
    batch = [document(1), document(2)]
    outcome = sort_response(batch, answer(CREATED, CREATED))

    assert (outcome.stored, outcome.duplicates, outcome.refused) == (batch, 0, [])


def test_each_document_of_a_mixed_answer_is_sorted_by_its_own_item() -> None:
    batch = [document(number) for number in range(4)]

    outcome = sort_response(batch, answer(CREATED, CONFLICT, NO_NUMBER, QUEUE_FULL))

    assert (outcome.stored, outcome.duplicates) == (batch[:2], 1)
    assert [one for one, _ in outcome.refused] == batch[2:]
    assert [refusal.fault for _, refusal in outcome.refused] == ["document", "passing"]


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


@given(st.lists(st.sampled_from([CREATED, CONFLICT, NO_NUMBER, SHARD_DOWN])))
def test_every_document_is_counted_exactly_once(items: list[dict[str, Any]]) -> None:
    outcome = sort_response([document(n) for n in range(len(items))], answer(*items))

    assert len(outcome.stored) + len(outcome.refused) == len(items)
