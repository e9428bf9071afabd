"""What each refusal means: the texts are those of Elasticsearch 7.10.2 and OpenSearch 2.19.4.

`tests/stores/elastic/test_holding.py` has the same of the servers themselves.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.documents import Document
from mailingest.errors import StoreUnavailable, UsageError
from mailingest.stores.elastic.refusals import (
    FEW,
    REASON_LENGTH,
    Refused,
    block_hint,
    held_line,
    judge,
    reason,
)

INDEX = "mail-2026.03.01"
BLOCKED = f"index [{INDEX}] blocked by: "
NO_NUMBER = {
    "type": "mapper_parsing_exception",
    "reason": "failed to parse field [n] of type [integer] in document with id 'id2'. "
    "Preview of field's value: 'zwei'",
    "caused_by": {"type": "number_format_exception", "reason": 'For input string: "zwei"'},
}
OBJECT = {
    "type": "mapper_parsing_exception",
    "reason": "object mapping for [host] tried to parse field [host] as object, but found a "
    "concrete value",
}
OBJECT_8 = {"type": "document_parsing_exception", "reason": f"[1:80] {OBJECT['reason']}"}


def error(kind: str, text: str) -> dict[str, Any]:
    return {"type": kind, "reason": text}


def block(text: str) -> dict[str, Any]:
    return error("cluster_block_exception", text)


@pytest.mark.parametrize(
    ("status", "said", "fault", "fix"),
    [
        pytest.param(
            403,
            block(f"{BLOCKED}[FORBIDDEN/8/index write (api)];"),
            "index",
            f"{INDEX} has a write block: set index.blocks.write to null (PUT {INDEX}/_settings)",
            id="write block",
        ),
        pytest.param(
            403,
            block(f"{BLOCKED}[FORBIDDEN/5/index read-only (api)];"),
            "index",
            "set index.blocks.read_only to null",
            id="read-only",
        ),
        pytest.param(
            403,
            block(f"{BLOCKED}[FORBIDDEN/9/index metadata (api)];"),
            "index",
            "set index.blocks.metadata to null",
            id="metadata block",
        ),
        pytest.param(
            429,
            block(
                f"{BLOCKED}[TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index "
                "has read-only-allow-delete block];"
            ),
            "cluster",
            "a disk of the cluster is over its flood stage",
            id="flood stage",
        ),
        pytest.param(
            403,
            block(f"{BLOCKED}[FORBIDDEN/12/index read-only / allow delete (api)];"),
            "cluster",
            "free disk space",
            id="flood stage of an old server",
        ),
        pytest.param(
            403,
            error("index_create_block_exception", "blocked by: [FORBIDDEN/10/cluster create-index"),
            "cluster",
            "over the high watermark",
            id="no new index for want of disk space",
        ),
        pytest.param(
            403, block(f"{BLOCKED}[FORBIDDEN/77/new one];"), "index", "blocked", id="another block"
        ),
        pytest.param(
            400,
            error("index_closed_exception", "closed"),
            "index",
            f"{INDEX} is closed: open it (POST {INDEX}/_open)",
            id="closed",
        ),
        pytest.param(
            400,
            error(
                "validation_exception",
                "Validation Failed: 1: this action would add [2] total shards, but this cluster "
                "currently has [1000]/[1000] maximum shards open;",
            ),
            "index",
            "raise cluster.max_shards_per_node",
            id="shard limit",
        ),
        pytest.param(
            400,
            error(
                "validation_exception",
                "Validation Failed: 1: this action would add [2] shards, but this cluster "
                "currently has [1000]/[1000] maximum normal shards open;",
            ),
            "index",
            "raise cluster.max_shards_per_node",
            id="shard limit of a newer server",
        ),
        pytest.param(
            400,
            error(
                "validation_exception",
                "Validation Failed: 1: this action would add [1] total LOCAL_ONLY shards, but this "
                "cluster currently has [1]/[1] maximum LOCAL_ONLY shards open;",
            ),
            "index",
            "raise cluster.max_shards_per_node",
            id="shard limit of OpenSearch 3",
        ),
        pytest.param(
            400,
            error("validation_exception", "Validation Failed: 1: expected [2] things;"),
            "index",
            "cannot be made, for the reason in parentheses",
            id="another reason why no index can be made",
        ),
        pytest.param(
            404,
            error("index_not_found_exception", f"no such index [{INDEX}]"),
            "index",
            "allow it in action.auto_create_index",
            id="no index may be made",
        ),
        pytest.param(
            404,
            error(
                "index_not_found_exception",
                f"no such index [{INDEX}] and [require_alias] request flag is [true] and [{INDEX}] "
                "is not an alias",
            ),
            "index",
            f"{INDEX} has to be an alias",
            id="missing alias",
        ),
        pytest.param(
            400,
            error("illegal_argument_exception", f"no write index is defined for alias [{INDEX}]."),
            "index",
            "set is_write_index",
            id="alias without a write index",
        ),
        pytest.param(
            400,
            error("illegal_argument_exception", "pipeline with id [x] does not exist"),
            "index",
            "ingest pipeline that the server does not have",
            id="missing pipeline",
        ),
        pytest.param(
            403,
            error("security_exception", "no permissions for [indices:data/write/bulk[s]]"),
            "cluster",
            "give its role monitor and manage_index_templates",
            id="a missing privilege",
        ),
        pytest.param(405, error("new", "no"), "index", "takes no document", id="another status"),
        pytest.param(400, NO_NUMBER, "document", "", id="a value that does not fit"),
        pytest.param(400, OBJECT, "document", "", id="an object"),
        pytest.param(400, error("new", "no"), "document", "", id="another bad request"),
        pytest.param(
            500,
            error("fail_processor_exception", "no"),
            "document",
            "a processor of an ingest pipeline",
            id="a pipeline that fails",
        ),
        pytest.param(429, error("es_rejected_execution_exception", ""), "passing", "", id="busy"),
        pytest.param(
            503, error("unavailable_shards_exception", "no primary"), "passing", "", id="no shard"
        ),
        pytest.param(
            503,
            block("blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];"),
            "passing",
            "",
            id="a server that starts",
        ),
    ],
)
def test_each_refusal_has_whose_fault_it_is_and_what_to_do(
    status: int, said: dict[str, Any], fault: str, fix: str
) -> None:
    refusal = judge(status, said, INDEX)

    assert refusal.fault == fault
    assert fix in refusal.hint
    assert bool(fix) == bool(refusal.hint)
    assert str(said["reason"])[:200] in refusal.line
    assert isinstance(refusal.error(), StoreUnavailable if fault == "passing" else UsageError)


@given(
    st.sampled_from(
        [
            "no write index is defined for alias [x]",
            f"{BLOCKED}[FORBIDDEN/8/index write (api)];",
            "pipeline with id [x] does not exist",
            "cluster_block_exception: blocked by: [FORBIDDEN/8/index write (api)]",
        ]
    ),
    st.text(max_size=9),
)
def test_what_somebody_sends_is_never_taken_for_the_word_of_the_server(
    text: str, around: str
) -> None:
    said = error(
        "mapper_parsing_exception",
        "failed to parse field [n] of type [long] in document with id 'x'. Preview of field's "
        f"value: '{around}{text}{around}'",
    )
    assert judge(400, said, INDEX).fault == "document"


def test_a_block_of_a_request_is_named_and_nothing_else_is() -> None:
    assert "read-only" in block_hint(block("blocked by: [FORBIDDEN/6/cluster read-only (api)];"))
    assert "deletions" in block_hint(block("blocked by: [FORBIDDEN/13/cluster read-only / allow"))
    assert not block_hint(error("index_not_found_exception", "no such index [x]"))
    assert not block_hint(None)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (OBJECT, f"{INDEX} maps host as object, and mailingest as keyword: move its documents"),
        (OBJECT_8, f"{INDEX} maps host as object, and mailingest as keyword: move its documents"),
        (NO_NUMBER, f"{INDEX} maps n as integer: move its documents elsewhere"),
        (error("new", "no"), f"{INDEX} takes no document: move its documents elsewhere"),
    ],
)
def test_a_wrong_mapping_names_field_and_types(said: dict[str, Any], line: str) -> None:
    shown = held_line(INDEX, judge(400, said, INDEX), {"host": "keyword"})

    assert shown.startswith(line)
    assert reason(400, said) in shown


# ---- poison, or the index?


def documents(count: int, index: str = INDEX, first: int = 0) -> list[Document]:
    return [Document(index, f"{number}", b"{}", 0, {}) for number in range(first, first + count)]


def held(refused: Refused, some: list[Document], said: dict[str, Any] = NO_NUMBER) -> list[bool]:
    """Which of them are held when a request with them is refused."""
    sent = refused.sending()
    refusal = judge(400, said, some[0].index)
    for one in some:
        refused.add(one, refusal)
    return [refused.is_held(one, refusal, sent) for one in some]


def store(refused: Refused, some: list[Document]) -> None:
    refused.are_stored(some, refused.sending())


def test_a_few_documents_are_poison_and_more_in_a_row_are_the_index() -> None:
    refused = Refused()
    assert not any(held(refused, documents(FEW - 1)))
    assert held(refused, documents(1, first=FEW)) == [True]
    assert all(held(Refused(), documents(FEW)))


def test_a_document_that_is_stored_between_begins_the_row_anew() -> None:
    refused = Refused()
    held(refused, documents(FEW - 1))
    store(refused, documents(1, "mail-2026.03.02"))
    assert held(refused, documents(1, first=100)) == [True]
    store(refused, documents(1, first=200))
    assert not any(held(refused, documents(FEW - 1, first=300)))


def test_each_index_and_each_reason_has_a_row_of_its_own() -> None:
    refused = Refused()
    assert not any(held(refused, documents(FEW - 1)))
    assert not any(held(refused, documents(FEW - 1), OBJECT))
    assert not any(held(refused, documents(FEW - 1, "mail-2026.03.02")))


def test_what_was_held_is_at_fault_if_its_index_took_others_before_it_was_sent_again() -> None:
    refused = Refused()
    some = documents(2 * FEW)
    assert all(held(refused, some))
    assert all(held(refused, some))
    store(refused, documents(1, first=100))
    assert not any(held(refused, some))
    assert refused.sending() == (frozenset(), frozenset())


def test_what_was_under_way_when_its_index_took_others_is_still_held() -> None:
    refused = Refused()
    some = documents(FEW)
    held(refused, some)
    sent = refused.sending()
    store(refused, documents(1, first=100))
    refusal = judge(400, NO_NUMBER, INDEX)
    for one in some:
        refused.add(one, refusal)
    assert all(refused.is_held(one, refusal, sent) for one in some)


def test_others_that_were_sent_before_say_nothing_of_an_index_that_was_changed_since() -> None:
    refused = Refused()
    sent = refused.sending()
    assert all(held(refused, documents(2 * FEW)))
    refused.are_stored(documents(1, first=100), sent)
    assert all(held(refused, documents(2 * FEW)))


def test_an_index_that_is_at_fault_again_has_taken_others_before_and_not_since() -> None:
    refused = Refused()
    some = documents(FEW)
    assert all(held(refused, some))
    store(refused, documents(1, first=100))
    assert all(held(refused, documents(FEW, first=200))[FEW - 1 :])
    assert all(held(refused, some))
    store(refused, documents(1, first=101))
    assert not any(held(refused, some))


# ---- what a server says, in one line


def test_a_reason_names_the_causes_in_their_order() -> None:
    assert reason(400, NO_NUMBER) == (
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
